/*
 * test_headers - the pool's rules: order, counts, what templates see (FAULTS D1, D2).
 */
#include "fixture.h"

#include "core/author.h"
#include "core/pipeline.h"

#include <string.h>

struct run {
	struct settings *s;
	struct message *m;
	struct plan *plan;
	char *image;
};

/* rcpts: '|' between them. */
static void
run(struct run *r, const char *rules, const char *header, const char *rcpts)
{
	char *config = g_strdup_printf("pools = (%s%s });", "{ name = \"acme\"; sender_domain = \"example.com\";"
				       " spf_domain = \"b.example.com\"; dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; ",
				       rules);
	char **list = g_strsplit(rcpts, "|", -1);
	struct job job;

	r->s = fixture_settings(config);
	r->m = fixture_message(header, "a@example.com", NULL);
	for (char **rcpt = list; *rcpt != NULL; rcpt++)
		message_add_rcpt(r->m, *rcpt);
	r->m->queue_id = g_strdup("4F2A3B");
	r->m->login = g_strdup("log\r\nX-Evil: in");
	r->plan = plan_new(r->m);
	r->plan->pool = r->s->pools->pdata[0];
	job = (struct job){.settings = r->s, .message = r->m};
	r->plan->isp = r->s->default_isp;
	assert_true(stage_headers(&job, r->plan));
	r->image = fixture_image_text(r->plan->image);
	g_strfreev(list);
	g_free(config);
}

static void
end(struct run *r)
{
	g_free(r->image);
	plan_free(r->plan);
	message_free(r->m);
	settings_unref(r->s);
}

#define ADD(name, value) "add_headers = ({ name = \"" name "\"; value = \"" value "\"; });"
#define SET(name, value) "set_headers = ({ name = \"" name "\"; value = \"" value "\"; });"

static void
test_rules(void **state)
{
	static const struct {
		const char *name, *rules, *header, *rcpts, *want;
		unsigned added, deleted;
	} cases[] = {
		{"none", "", "From: a\n", "u@x.org", "From: a\n", 0, 0},
		{"delete", "delete_headers = [ \"X-A\" ];", "X-A: 1\nFrom: a\nx-a: 2\n", "u@x.org", "From: a\n", 0, 2},
		{"delete by wildcard", "delete_headers = [ \"X-Internal-*\" ];", "X-Internal-A: 1\nX-Internal: 2\nx-internal-: 3\n", "u@x.org", "X-Internal: 2\n", 0, 2},
		{"delete, then add the same name", "delete_headers = [ \"X-A\" ]; " ADD("X-A", "new"), "X-A: 1\nFrom: a\n", "u@x.org", "From: a\nX-A: new\n", 1, 1},
		{"delete, then set the same name", "delete_headers = [ \"X-A\" ]; " SET("X-A", "new"), "X-A: 1\nFrom: a\n", "u@x.org", "From: a\nX-A: new\n", 1, 1},
		{"set, then add the same name", SET("X-A", "one") ADD("X-A", "two"), "X-A: 1\nX-A: 2\n", "u@x.org", "X-A: one\nX-A: two\n", 2, 2},
		{"set what is not there", SET("X-A", "v"), "From: a\n", "u@x.org", "From: a\nX-A: v\n", 1, 0},
		{"set to nothing leaves it", SET("X-A", "${header:X-None}"), "X-A: 1\n", "u@x.org", "X-A: 1\n", 0, 0},
		{"add nothing", ADD("X-A", "${header:X-None}"), "From: a\n", "u@x.org", "From: a\n", 0, 0},
		{"a deleted header is still there for templates", "delete_headers = [ \"X-Campaign\" ]; " ADD("Feedback-ID", "${header:X-Campaign}:${pool}"), "X-Campaign: c1\n", "u@x.org", "Feedback-ID: c1:acme\n", 1, 1},
		{"variables", ADD("X-V", "${pool} ${sender_domain} ${queue_id} ${sender}"), "From: a\n", "u@x.org", "From: a\nX-V: acme example.com 4F2A3B a@example.com\n", 1, 0},
		{"one recipient", ADD("X-R", "${rcpt} ${rcpt_domain}"), "", "u@x.org", "X-R: u@x.org x.org\n", 1, 0},
		{"two recipients of a domain", ADD("X-R", "[${rcpt}] ${rcpt_domain}"), "", "u@x.org|v@X.ORG", "X-R: [] x.org\n", 1, 0},
		{"recipients of two domains", ADD("X-R", "[${rcpt}${rcpt_domain}]"), "", "u@x.org|v@y.org", "X-R: []\n", 1, 0},
		{"Message-ID", ADD("X-M", "${message_id}"), "message-id: <1@x>\n", "u@x.org", "message-id: <1@x>\nX-M: <1@x>\n", 1, 0},
		{"the first of several", ADD("X-S", "${header:Subject}"), "Subject: 1\nSubject: 2\n", "u@x.org", "Subject: 1\nSubject: 2\nX-S: 1\n", 1, 0},
		{"a folded one", ADD("X-S", "${header:Subject}"), "Subject: 1\n\t2\n", "u@x.org", "Subject: 1\n\t2\nX-S: 1 2\n", 1, 0},
		{"a hostile login", ADD("X-L", "${login}"), "", "u@x.org", "X-L: log X-Evil: in\n", 1, 0},
		{"a hostile recipient", ADD("X-R", "${rcpt}"), "", "\"u\r\nX-Evil: in\"@x.org", "X-R: \"u X-Evil: in\"@x.org\n", 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct run r;

		run(&r, cases[i].rules, cases[i].header, cases[i].rcpts);
		check_string(cases[i].name, r.image, cases[i].want);
		check_int(cases[i].name, r.plan->headers_added, cases[i].added);
		check_int(cases[i].name, r.plan->headers_deleted, cases[i].deleted);
		end(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
