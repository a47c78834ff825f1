/*
 * test_pool - the pool of a domain, the control header, and what no_pool says.
 */
#include "fixture.h"

#include "core/author.h"
#include "core/pipeline.h"
#include "core/pool.h"

#include <string.h>

#define POOLS                                                                                      \
	"pools = (" POOL("acme", "example.com", "") ","                                            \
	POOL("sub", "sub.example", "match_subdomains = true;") ","                                 \
	POOL("deep", "deep.a.sub.example", "") ","                                                 \
	POOL("idn", "m\xc3\xbcnchen.example", "") ","                                              \
	POOL("closed", "closed.example", "users = [ \"boss\" ];") ");"

static void
test_find(void **state)
{
	static const struct {
		const char *name, *domain, *pool;
	} cases[] = {
		{"exact", "example.com", "acme"},
		{"no subdomains without match_subdomains", "www.example.com", NULL},
		{"suffix is no parent", "badexample.com", NULL},
		{"top level", "com", NULL},
		{"empty", "", NULL},
		{"subdomain", "x.sub.example", "sub"},
		{"deep subdomain", "a.b.c.d.sub.example", "sub"},
		{"itself", "sub.example", "sub"},
		{"nearest wins", "deep.a.sub.example", "deep"},
		{"beside it", "a.sub.example", "sub"},
		{"below one that does not match goes on up", "x.deep.a.sub.example", "sub"},
		{"not below", "xsub.example", NULL},
		{"A-label", "xn--mnchen-3ya.example", "idn"},
	};
	struct settings *s = fixture_settings(POOLS);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct pool *p = pool_find(s, cases[i].domain);

		check_string(cases[i].name, p != NULL ? p->name : NULL, cases[i].pool);
	}
	settings_unref(s);
}

static void
test_stage(void **state)
{
	static const struct {
		const char *name, *no_pool, *header, *login;
		bool go_on;
		const char *pool; /* when it goes on */
		enum verdict verdict;
		const char *reason, *image; /* image NULL: as the header */
	} cases[] = {
		{"by From", "pass", "From: a@example.com\n", NULL, true, "acme", VERDICT_ACCEPTED, NULL, NULL},
		{"U-label", "pass", "From: a@m\xc3\xbcnchen.example\n", NULL, true, "idn", VERDICT_ACCEPTED, NULL, NULL},
		{"none passes", "pass", "From: a@other.example\n", NULL, false, NULL, VERDICT_PASSED, "no-pool", NULL},
		{"none is rejected", "reject", "From: a@other.example\n", NULL, false, NULL, VERDICT_REJECTED, "no-pool", NULL},
		{"none goes to a pool", "acme", "From: a@other.example\n", NULL, true, "acme", VERDICT_ACCEPTED, NULL, NULL},
		{"two From pass", "pass", "From: a@example.com\nFrom: a@example.com\n", NULL, false, NULL, VERDICT_PASSED, "two-from", NULL},
		{"two From never go to no_pool", "acme", "From: a@example.com\nFrom: a@example.com\n", NULL, false, NULL, VERDICT_PASSED, "two-from", NULL},
		{"no From never goes to no_pool", "acme", "To: b\n", NULL, false, NULL, VERDICT_PASSED, "no-from", NULL},
		{"unreadable From is rejected", "reject", "From: nobody\n", NULL, false, NULL, VERDICT_REJECTED, "from-unreadable", NULL},
		{"user of the pool", "pass", "From: a@closed.example\n", "boss", true, "closed", VERDICT_ACCEPTED, NULL, NULL},
		{"not a user of the pool", "pass", "From: a@closed.example\n", "x", false, NULL, VERDICT_PASSED, "not-in-pool", NULL},
		{"control header", "pass", "X-Pool: sub\nFrom: a@example.com\n", NULL, true, "sub", VERDICT_ACCEPTED, NULL, "From: a@example.com\n"},
		{"control header, foreign From", "reject", "X-Pool: sub\nFrom: a@other.example\n", NULL, true, "sub", VERDICT_ACCEPTED, NULL, "From: a@other.example\n"},
		{"control header in other case, with blanks", "pass", "x-pool :\tacme \nFrom: a@sub.example\n", NULL, true, "acme", VERDICT_ACCEPTED, NULL, "From: a@sub.example\n"},
		{"several control headers: the first counts, all go", "pass", "X-Pool: sub\nFrom: a@example.com\nX-POOL: acme\n", NULL, true, "sub", VERDICT_ACCEPTED, NULL, "From: a@example.com\n"},
		{"control header: unknown pool", "pass", "X-Pool: nope\nFrom: a@example.com\n", NULL, false, NULL, VERDICT_REJECTED, "control-header", NULL},
		{"control header: empty", "pass", "X-Pool:\nFrom: a@example.com\n", NULL, false, NULL, VERDICT_REJECTED, "control-header", NULL},
		{"control header: a pool of others", "pass", "X-Pool: closed\nFrom: a@example.com\n", "x", false, NULL, VERDICT_REJECTED, "control-header", NULL},
		{"control header: case counts in names", "pass", "X-Pool: ACME\nFrom: a@example.com\n", NULL, false, NULL, VERDICT_REJECTED, "control-header", NULL},
		{"control header, two From: not signed", "pass", "X-Pool: acme\nFrom: a@example.com\nFrom: b@example.com\n", NULL, false, NULL, VERDICT_PASSED, "two-from", "From: a@example.com\nFrom: b@example.com\n"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *config = g_strdup_printf("no_pool = \"%s\"; %s", cases[i].no_pool, POOLS);
		struct settings *s = fixture_settings(config);
		struct message *m = fixture_message(cases[i].header, "", NULL);
		struct plan *plan = plan_new(m);
		const struct job job = {.settings = s, .message = m};
		char *image;

		m->login = g_strdup(cases[i].login);
		check_int(cases[i].name, stage_pool(&job, plan), cases[i].go_on);
		if (cases[i].go_on)
			check_string(cases[i].name, plan->pool != NULL ? plan->pool->name : NULL, cases[i].pool);
		check_int(cases[i].name, plan->verdict, cases[i].verdict);
		check_string(cases[i].name, plan->reason, cases[i].reason);
		check_int(cases[i].name, plan->reply != NULL, cases[i].verdict == VERDICT_REJECTED);
		image = fixture_image_text(plan->image);
		if (cases[i].image != NULL)
			check_string(cases[i].name, image, cases[i].image);
		else if (strchr(cases[i].header, '\t') == NULL)
			check_string(cases[i].name, image, cases[i].header);
		g_free(image);
		plan_free(plan);
		message_free(m);
		settings_unref(s);
		g_free(config);
	}
}

/* A client learns nothing from a refusal: the pool that is not there and the one of others answer alike. */
static void
test_refusals_are_alike(void **state)
{
	static const char *const headers[] = {"X-Pool: nope\nFrom: a@example.com\n", "X-Pool: closed\nFrom: a@example.com\n"};
	struct settings *s = fixture_settings(POOLS);
	char *replies[2];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct message *m = fixture_message(headers[i], "", NULL);
		struct plan *plan = plan_new(m);
		const struct job job = {.settings = s, .message = m};

		assert_false(stage_pool(&job, plan));
		replies[i] = g_strdup_printf("%s %s %s", plan->reply_code, plan->reply_status, plan->reply);
		plan_free(plan);
		message_free(m);
	}
	assert_string_equal(replies[0], replies[1]);
	assert_true(g_str_has_prefix(replies[0], "550 5.7.1 "));
	g_free(replies[0]);
	g_free(replies[1]);
	settings_unref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_stage),
		cmocka_unit_test(test_refusals_are_alike),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
