/*
 * test_outcome - the log line of a message: its form is a contract (poolmilter(8)).
 */
#include "fixture.h"

#include "core/outcome.h"
#include "core/word.h"

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

static char acme_name[] = "acme";
static const struct pool acme_pool = {.name = acme_name};

/* The event lines of a message with "|" between them (g_free it). */
static char *
event_lines(const struct message *m, const struct pool *pool, enum verdict verdict, const char *names)
{
	GPtrArray *headers = g_ptr_array_new(), *lines;
	char **parts = g_strsplit(names, " ", -1), *joined;
	struct plan *p = plan_new(m);

	for (char **name = parts; *name != NULL; name++)
		g_ptr_array_add(headers, *name);
	p->pool = pool;
	plan_end(p, verdict, NULL);
	lines = outcome_event_lines(m, p, headers);
	g_ptr_array_add(lines, NULL);
	joined = g_strjoinv("|", (char **)lines->pdata);
	g_ptr_array_unref(lines);
	plan_free(p);
	g_strfreev(parts);
	g_ptr_array_unref(headers);
	return joined;
}

static void
test_event_lines(void **state)
{
	static const struct {
		const char *name, *queue_id;
		const struct pool *pool;
		enum verdict verdict;
		const char *header, *names, *want;
	} cases[] = {
		{"recipient", "4X", &acme_pool, VERDICT_ACCEPTED, "A: 1\n", "", "4X: event: rcpt:u@x"},
		{"held", "4X", &acme_pool, VERDICT_HELD, "A: 1\n", "", "4X: event: rcpt:u@x"},
		{"deferred", "4X", &acme_pool, VERDICT_DEFERRED, "A: 1\n", "A", ""},
		{"rejected", "4X", &acme_pool, VERDICT_REJECTED, "A: 1\n", "A", ""},
		{"passed", "4X", &acme_pool, VERDICT_PASSED, "A: 1\n", "A", ""},
		{"no pool", "4X", NULL, VERDICT_ACCEPTED, "A: 1\n", "A", ""},
		{"no queue ID", NULL, &acme_pool, VERDICT_ACCEPTED, "A: 1\n", "A", ""},
		{"header", "4X", &acme_pool, VERDICT_ACCEPTED, "A: 1\n", "A", "4X: event: header:A:1 rcpt:u@x"},
		{"header that is not there", "4X", &acme_pool, VERDICT_ACCEPTED, "A: 1\n", "B", "4X: event: rcpt:u@x"},
		{"name as the settings have it", "4X", &acme_pool, VERDICT_ACCEPTED, "x-cAMP: 1\n", "X-Camp",
		 "4X: event: header:X-Camp:1 rcpt:u@x"},
		{"the first of a name", "4X", &acme_pool, VERDICT_ACCEPTED, "A: 1\na: 2\n", "A",
		 "4X: event: header:A:1 rcpt:u@x"},
		{"order of the settings", "4X", &acme_pool, VERDICT_ACCEPTED, "A: 1\nB: 2\n", "B A",
		 "4X: event: header:B:2 header:A:1 rcpt:u@x"},
		{"blanks around it", "4X", &acme_pool, VERDICT_ACCEPTED, "A: \t 1 2 \t\n", "A",
		 "4X: event: header:A:1%202 rcpt:u@x"},
		{"folds", "4X", &acme_pool, VERDICT_ACCEPTED, "A:\n 1\n\t2\n", "A", "4X: event: header:A:1%092 rcpt:u@x"},
		{"empty", "4X", &acme_pool, VERDICT_ACCEPTED, "A:\n", "A", "4X: event: header:A: rcpt:u@x"},
		{"colons", "4X", &acme_pool, VERDICT_ACCEPTED, "A: b:c:\n", "A", "4X: event: header:A:b:c: rcpt:u@x"},
		{"forged words", "4X", &acme_pool, VERDICT_ACCEPTED, "A: 1 rcpt:v@x%20\n", "A",
		 "4X: event: header:A:1%20rcpt:v@x%2520 rcpt:u@x"},
		{"control characters", "4X", &acme_pool, VERDICT_ACCEPTED, "A: \x1b[0m\r4Y: event:\x7f\n", "A",
		 "4X: event: header:A:%1B[0m%0D4Y:%20event:%7F rcpt:u@x"},
		{"UTF-8 and what is none", "4X", &acme_pool, VERDICT_ACCEPTED, "A: \xc3\xa4\xff\n", "A",
		 "4X: event: header:A:%C3%A4%FF rcpt:u@x"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *text = g_strconcat(cases[i].header, "\nbody", NULL), *lines;
		struct message *m = fixture_message(text, "a@x", "u@x");

		m->queue_id = g_strdup(cases[i].queue_id);
		lines = event_lines(m, cases[i].pool, cases[i].verdict, cases[i].names);
		check_string(cases[i].name, lines, cases[i].want);
		g_free(lines);
		message_free(m);
		g_free(text);
	}
}

/* A value of that many times the text, and how many octets of it are told. */
static void
test_event_values_end(void **state)
{
	static const struct {
		const char *name, *text;
		unsigned times;
		size_t told;
	} cases[] = {
		{"all", "a", 300, 300},
		{"one more", "a", 301, 300},
		{"much", "a", 100000, 300},
		{"two octets each", "\xc3\xa4", 200, 300},
		{"three octets each", "\xe2\x82\xac", 200, 300},
		{"four octets each", "\xf0\x9f\x98\x80", 200, 300},
		{"two octets each, odd", "a\xc3\xa4", 101, 300},
		{"three and one", "\xe2\x82\xac" "a", 100, 300},
		{"three and two", "\xe2\x82\xac\xc3\xa4", 100, 300},
		{"four and three", "\xf0\x9f\x98\x80\xe2\x82\xac", 100, 298},
		{"four and three of one", "\xf0\x9f\x98\x80" "abc", 100, 300},
		{"no UTF-8", "\x80", 1000, 297},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GString *text = g_string_new("A: "), *word = g_string_new(NULL);
		struct word_line line;
		struct message *m;
		char *lines;

		for (unsigned n = 0; n < cases[i].times; n++)
			g_string_append(text, cases[i].text);
		g_string_append(text, "\n\nbody");
		m = fixture_message(text->str, "a@x", "u@x");
		m->queue_id = g_strdup("4X");
		lines = event_lines(m, &acme_pool, VERDICT_ACCEPTED, "A");
		line.p = lines;
		line.end = lines + strlen(lines);
		check_true(cases[i].name, word_begins(&line, "4X:") && word_begins(&line, " event:"));
		check_true(cases[i].name, word_take(&line, word));
		check_int(cases[i].name, word->len, strlen("header:A:") + cases[i].told);
		check_true(cases[i].name, strncmp(word->str + strlen("header:A:"), text->str + 3, cases[i].told) == 0);
		check_true(cases[i].name, word_take(&line, word) && word_ended(&line));
		check_string(cases[i].name, word->str, "rcpt:u@x");
		g_free(lines);
		message_free(m);
		g_string_free(word, TRUE);
		g_string_free(text, TRUE);
	}
}

static void
test_event_lines_are_bounded(void **state)
{
	static const struct {
		const char *name;
		unsigned rcpts;	 /* all different */
		size_t len;	 /* of each */
		char octet;
		unsigned told;
	} cases[] = {
		{"a few lines", 300, 40, 'a', 300},
		{"all that are told", 2000, 20, 'a', 2000},
		{"more than are told", 2100, 20, 'a', 2000},
		{"long", 300, 320, 'a', 300},
		{"long and escaped", 300, 320, ' ', 300},
		{"too long", 300, 321, 'a', 0},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = fixture_message("A: 1\n\nbody", "a@x", NULL);
		char *pad = g_strnfill(cases[i].len - 8, cases[i].octet), *lines, **each;
		unsigned told = 0;

		m->queue_id = g_strdup("4XYZ123456789");
		for (unsigned n = 0; n < cases[i].rcpts; n++) {
			char *rcpt = g_strdup_printf("%06u%s@x", n, pad);

			message_add_rcpt(m, rcpt);
			message_add_rcpt(m, rcpt); /* is told once */
			g_free(rcpt);
		}
		lines = event_lines(m, &acme_pool, VERDICT_ACCEPTED, "");
		each = g_strsplit(lines, "|", -1);
		for (char **line = each; *line != NULL; line++) {
			check_true(cases[i].name, strlen(*line) <= OUTCOME_EVENT_LINE);
			check_true(cases[i].name, g_str_has_prefix(*line, "4XYZ123456789: event: rcpt:"));
			for (const char *p = *line; (p = strstr(p, " rcpt:")) != NULL; p++)
				check_int(cases[i].name, atoi(p + strlen(" rcpt:")), told++);
		}
		check_int(cases[i].name, told, cases[i].told);
		g_strfreev(each);
		g_free(lines);
		g_free(pad);
		message_free(m);
	}
}

/* Whatever a message holds, each word has room in a line. */
static void
test_largest_words_fit(void **state)
{
	char *name = g_strnfill(76, '%'), *value = g_strnfill(300, '\x01');
	char *text = g_strdup_printf("%s: %s\n\nbody", name, value), *lines;
	struct message *m = fixture_message(text, "a@x", "u@x");

	(void)state;
	m->queue_id = g_strdup("4XYZ1234567890123456");
	lines = event_lines(m, &acme_pool, VERDICT_ACCEPTED, name);
	assert_true(strlen(lines) <= OUTCOME_EVENT_LINE);
	assert_true(g_str_has_suffix(lines, "%01%01 rcpt:u@x"));
	g_free(lines);
	message_free(m);
	g_free(text);
	g_free(value);
	g_free(name);
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
		cmocka_unit_test(test_event_lines),
		cmocka_unit_test(test_event_values_end),
		cmocka_unit_test(test_event_lines_are_bounded),
		cmocka_unit_test(test_largest_words_fit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
