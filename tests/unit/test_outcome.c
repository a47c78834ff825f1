/*
 * test_outcome - the log line of a message: its form is a contract (poolmilter(8)).
 */
#include "fixture.h"

#include "core/outcome.h"

#include <string.h>

static void
test_lines(void **state)
{
	static char name[] = "acme";
	static const struct pool acme = {.name = name};
	static const struct {
		const char *name, *queue_id, *sender, *new_sender;
		const struct pool *pool;
		unsigned nrcpt, added, deleted;
		const char *dkim;
		gint64 took;
		enum verdict verdict;
		const char *reason, *want;
	} cases[] = {
		{"treated", "4F2A3B", "a@example.com", "b+x@b.example.com", &acme, 1, 1, 2,
		 "example.com/ak/rsa-sha256", 940, VERDICT_ACCEPTED, NULL,
		 "4F2A3B: pool=acme isp=- from=<a@example.com> return_path=<b+x@b.example.com> nrcpt=1 size=10 encoded=- "
		 "headers=+1-2 dkim=example.com/ak/rsa-sha256 limit=- took_ms=0.9 result=accepted"},
		{"treated, nothing changed", "4F2A3B", "a@example.com", NULL, &acme, 3, 0, 0, "", 0, VERDICT_ACCEPTED, NULL,
		 "4F2A3B: pool=acme isp=- from=<a@example.com> return_path=- nrcpt=3 size=10 encoded=- headers=+0-0 dkim=- limit=- "
		 "took_ms=0.0 result=accepted"},
		{"two signatures", "4F2A3B", "", NULL, &acme, 1, 0, 0, "a/b/c,d/e/f", 1234567, VERDICT_ACCEPTED, NULL,
		 "4F2A3B: pool=acme isp=- from=<> return_path=- nrcpt=1 size=10 encoded=- headers=+0-0 dkim=a/b/c,d/e/f limit=- "
		 "took_ms=1234.6 result=accepted"},
		{"passed", "4F2A3B", "a@x", NULL, NULL, 1, 0, 0, NULL, -1, VERDICT_PASSED, "no-pool",
		 "4F2A3B: pool=- isp=- from=<a@x> return_path=- nrcpt=1 size=10 encoded=- headers=- dkim=- limit=- took_ms=- result=passed "
		 "reason=no-pool"},
		{"deferred", "4F2A3B", "a@x", NULL, &acme, 1, 0, 0, NULL, 50, VERDICT_DEFERRED, "signature",
		 "4F2A3B: pool=acme isp=- from=<a@x> return_path=- nrcpt=1 size=10 encoded=- headers=- dkim=- limit=- took_ms=0.1 "
		 "result=deferred reason=signature"},
		{"rejected without queue ID", NULL, "a@x", NULL, NULL, 0, 0, 0, NULL, 0, VERDICT_REJECTED, "size",
		 "-: pool=- isp=- from=<a@x> return_path=- nrcpt=0 size=10 encoded=- headers=- dkim=- limit=- took_ms=0.0 result=rejected "
		 "reason=size"},
		{"held", "1", "a@x", NULL, &acme, 1, 0, 0, NULL, 0, VERDICT_HELD, NULL,
		 "1: pool=acme isp=- from=<a@x> return_path=- nrcpt=1 size=10 encoded=- headers=+0-0 dkim=- limit=- took_ms=0.0 result=held"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = fixture_message("A: 1\n\nabcd", cases[i].sender, NULL);
		struct plan *p = plan_new(m);
		GString *line;

		check_int(cases[i].name, m->size, 10); /* "A: 1\r\n" and "abcd" */
		m->queue_id = g_strdup(cases[i].queue_id);
		for (unsigned n = 0; n < cases[i].nrcpt; n++)
			message_add_rcpt(m, "u@example.org");
		p->pool = cases[i].pool;
		p->new_sender = g_strdup(cases[i].new_sender);
		p->headers_added = cases[i].added;
		p->headers_deleted = cases[i].deleted;
		p->dkim = cases[i].dkim != NULL ? g_string_new(cases[i].dkim) : NULL;
		plan_end(p, cases[i].verdict, cases[i].reason);
		line = outcome_line(m, p, cases[i].took);
		check_string(cases[i].name, line->str, cases[i].want);
		g_string_free(line, TRUE);
		plan_free(p);
		message_free(m);
	}
}

static void
test_limits(void **state)
{
	static const struct {
		const char *name;
		enum limit_state limit;
		const char *key;
		int64_t wait_us;
		const char *want;
	} cases[] = {
		{"none", LIMIT_NONE, NULL, 0, " dkim=- limit=- took_ms="},
		{"charged", LIMIT_OK, NULL, 0, " dkim=- limit=ok took_ms="},
		{"not known", LIMIT_UNKNOWN, NULL, 0, " dkim=- limit=unknown took_ms="},
		{"pool", LIMIT_OVER, "p/a.b-c_d", 1500001, " limit=over:p/a.b-c_d/20/second wait_ms=1501 took_ms="},
		{"pool and ISP", LIMIT_OVER, "pi/acme/gmail", 1, " limit=over:pi/acme/gmail/20/second wait_ms=1 took_ms="},
		{"never", LIMIT_OVER, "i/gmail", -1, " limit=over:i/gmail/20/second wait_ms=- took_ms="},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = fixture_message("A: 1\n\nabcd", "a@x", NULL);
		const struct charge charge = {cases[i].key, {20, 1}, 1};
		struct plan *p = plan_new(m);
		GString *line;

		p->limit = cases[i].limit;
		if (cases[i].key != NULL)
			limits_over_set(&p->over, &charge, cases[i].wait_us);
		line = outcome_line(m, p, 0);
		check_true(cases[i].name, strstr(line->str, cases[i].want) != NULL);
		g_string_free(line, TRUE);
		plan_free(p);
		message_free(m);
	}
}

static void
test_size_is_unknown_until_sealed(void **state)
{
	struct message *m = message_new("a@x", 1000);
	struct plan *p = plan_new(m);
	GString *line = outcome_line(m, p, -1);

	(void)state;
	assert_non_null(strstr(line->str, " size=- "));
	g_string_free(line, TRUE);
	plan_free(p);
	message_free(m);
}

/* Whatever an address holds, it stays one word, and no key can be forged with it. */
static void
test_addresses(void **state)
{
	static const struct {
		const char *name, *address, *want;
	} cases[] = {
		{"none", NULL, " from=-"},
		{"empty", "", " from=<>"},
		{"plain", "a+b=c@example.com", " from=<a+b=c@example.com>"},
		{"blank and forged keys", "x> result=accepted pool=y <", " from=<x%3E%20result=accepted%20pool=y%20%3C>"},
		{"line ends and NUL's neighbours", "a\r\nb\x01", " from=<a%0D%0Ab%01>"},
		{"UTF-8", "\xc3\xb6@x", " from=<%C3%B6@x>"},
		{"percent sign", "a%20b", " from=<a%2520b>"},
		{"DEL", "\x7f", " from=<%7F>"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GString *line = g_string_new(NULL);

		outcome_address(line, "from", cases[i].address);
		check_string(cases[i].name, line->str, cases[i].want);
		g_string_free(line, TRUE);
	}
}

static void
test_long_address_is_cut(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		char octet;
		bool cut;
	} cases[] = {
		{"just as long as RFC 5321 allows", 320, 'a', false},
		{"one more", 321, 'a', true},
		{"very long", 100000, 'a', true},
		{"very long and escaped", 100000, ' ', true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *address = g_strnfill(cases[i].len, cases[i].octet);
		GString *line = g_string_new(NULL);

		outcome_address(line, "from", address);
		check_int(cases[i].name, g_str_has_suffix(line->str, "...>"), cases[i].cut);
		check_true(cases[i].name, line->len < 340 && line->len > 320);
		g_string_free(line, TRUE);
		g_free(address);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_size_is_unknown_until_sealed),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_long_address_is_cut),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
