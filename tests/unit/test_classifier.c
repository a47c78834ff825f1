/*
 * test_classifier - patterns of the settings, their order, and what a bad or hostile one costs.
 *
 * What the shipped patterns make of real replies is in tests/component/test_classify.py.
 */
#include "fixture.h"

#include "base/thread.h"
#include "io/classifier.h"

#include <stdlib.h>
#include <string.h>

static struct settings *settings;
static struct classifier *classifier;

static void
load(const char *text)
{
	struct errors *errors = errors_new();
	char *whole = g_strconcat("events: { }; pools = ( " POOL("acme", "example.com", "") " );\n",
				  text, NULL);

	settings = fixture_settings(whole);
	classifier = classifier_new(settings, errors);
	if (errors_any(errors))
		fail_msg("%s", (char *)errors->errors->pdata[0]);
	errors_free(errors);
	g_free(whole);
}

static int
unload(void **state)
{
	(void)state;
	classifier_free(classifier);
	settings_unref(settings);
	classifier = NULL;
	settings = NULL;
	return 0;
}

static const char patterns[] =
	"\nisps = ( { name = \"one\"; domains = [ \"one.example\" ]; },\n"
	"         { name = \"Two\"; domains = [ \"two.example\" ]; } );\n"
	"bounces = ( { pattern = \"both lists\"; category = \"full\"; },\n"
	"            { isp = \"one\"; pattern = \"both\"; category = \"rate\"; },\n"
	"            { pattern = \"first\"; category = \"inactive\"; },\n"
	"            { pattern = \"first of two\"; category = \"policy\"; },\n"
	"            { code = \"4.7.2\"; category = \"rate\"; },\n"
	"            { code = \"5.7.\"; pattern = \"seven\"; category = \"reputation\"; },\n"
	"            { code = \"45\"; pattern = \"digits\"; category = \"temporary\"; },\n"
	"            { pattern = \"^550 anchored$\"; category = \"bad-domain\"; },\n"
	"            { pattern = \"(ab)c.*\\\\1x\"; category = \"bad-mailbox\"; },\n"
	"            { pattern = \"z\"; isp = \"TWO\"; category = \"other\"; } );\n"
	"shipped_bounces = ( { pattern = \"both lists\"; category = \"other\"; },\n"
	"            { isp = \"one\"; pattern = \"of one\"; category = \"bad-mailbox\"; },\n"
	"            { pattern = \"of\"; category = \"bad-domain\"; },\n"
	"            { isp = \"nowhere\"; pattern = \"of\"; category = \"full\"; } );\n";

static const struct {
	const char *name, *isp;
	int code;
	const char *dsn, *reply;
	enum category want;
	enum classified_by by;
} cases[] = {
	{"custom wins over shipped", NULL, 550, "5.1.1", "in both lists", CATEGORY_FULL,
	 CLASSIFIED_BY_CUSTOM},
	{"the ISP's before all", "one", 550, "5.1.1", "in both lists", CATEGORY_RATE,
	 CLASSIFIED_BY_CUSTOM},
	{"ISP in any case", "ONE", 550, "5.1.1", "in both lists", CATEGORY_RATE,
	 CLASSIFIED_BY_CUSTOM},
	{"ISP of the record's case", "Two", 550, "5.0.0", "z", CATEGORY_OTHER,
	 CLASSIFIED_BY_CUSTOM},
	{"another ISP", "x", 550, "5.1.1", "in both lists", CATEGORY_FULL, CLASSIFIED_BY_CUSTOM},
	{"first in the list", NULL, 0, NULL, "first of two", CATEGORY_INACTIVE,
	 CLASSIFIED_BY_CUSTOM},
	{"case", NULL, 0, NULL, "FIRST", CATEGORY_INACTIVE, CLASSIFIED_BY_CUSTOM},
	{"shipped of the ISP", "one", 550, NULL, "is of one", CATEGORY_BAD_MAILBOX,
	 CLASSIFIED_BY_SHIPPED},
	{"shipped of all", "two", 550, NULL, "is of one", CATEGORY_BAD_DOMAIN,
	 CLASSIFIED_BY_SHIPPED},
	{"code alone", NULL, 421, "4.7.2", "x", CATEGORY_RATE, CLASSIFIED_BY_CUSTOM},
	{"a code is a whole number", NULL, 421, "4.7.28", "x", CATEGORY_RATE, CLASSIFIED_BY_DSN},
	{"code that ends in a dot", NULL, 550, "5.7.26", "seven", CATEGORY_REPUTATION,
	 CLASSIFIED_BY_CUSTOM},
	{"code that is another", NULL, 550, "5.1.1", "seven", CATEGORY_BAD_MAILBOX,
	 CLASSIFIED_BY_DSN},
	{"digits of the reply code", NULL, 452, "4.2.2", "digits", CATEGORY_TEMPORARY,
	 CLASSIFIED_BY_CUSTOM},
	{"other digits", NULL, 421, "4.2.2", "digits", CATEGORY_FULL, CLASSIFIED_BY_DSN},
	{"a code, but there is none", NULL, 0, NULL, "seven", CATEGORY_OTHER,
	 CLASSIFIED_BY_NOTHING},
	{"anchors", NULL, 550, NULL, "550 anchored", CATEGORY_BAD_DOMAIN, CLASSIFIED_BY_CUSTOM},
	{"anchors are the reply's, not Postfix' words'", NULL, 550, NULL,
	 "host mx.example[192.0.2.1] said: 550 anchored (in reply to RCPT TO command)",
	 CATEGORY_BAD_DOMAIN, CLASSIFIED_BY_CUSTOM},
	{"back reference", NULL, 0, NULL, "abc then abx", CATEGORY_BAD_MAILBOX,
	 CLASSIFIED_BY_CUSTOM},
	{"enhanced code", NULL, 550, "5.2.2", "x", CATEGORY_FULL, CLASSIFIED_BY_DSN},
	{"reply code", NULL, 552, "5.0.0", "x", CATEGORY_FULL, CLASSIFIED_BY_CODE},
	{"reply code alone", NULL, 421, NULL, "x", CATEGORY_TEMPORARY, CLASSIFIED_BY_CODE},
	{"nothing known", NULL, 550, NULL, "x", CATEGORY_OTHER, CLASSIFIED_BY_NOTHING},
	{"nothing at all", NULL, 0, NULL, "", CATEGORY_OTHER, CLASSIFIED_BY_NOTHING},
	{"success", NULL, 250, "2.0.0", "first", CATEGORY_NONE, CLASSIFIED_BY_NOTHING},
	{"success by its enhanced code", NULL, 0, "2.0.0", "first", CATEGORY_NONE,
	 CLASSIFIED_BY_NOTHING},
	{"hostile codes", NULL, -1, "%s%n", "x", CATEGORY_OTHER, CLASSIFIED_BY_NOTHING},
	{"any octets", NULL, 0, NULL, "\xff\xfe first \x80", CATEGORY_INACTIVE,
	 CLASSIFIED_BY_CUSTOM},
};

static void
test_order(void **state)
{
	(void)state;
	load(patterns);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct classified c = classifier_find(classifier, cases[i].isp, cases[i].code,
						      cases[i].dsn, cases[i].reply);

		check_string(cases[i].name, category_name(c.category),
			     category_name(cases[i].want));
		check_int(cases[i].name, c.by, cases[i].by);
		check_int(cases[i].name, c.pattern != NULL,
			  c.by == CLASSIFIED_BY_CUSTOM || c.by == CLASSIFIED_BY_SHIPPED);
	}
}

static const char locks[] =
	"\nisps = ( { name = \"one\"; domains = [ \"one.example\" ]; locks = (\n"
	"  { name = \"category\"; category = \"rate\"; threshold = \"10/5m\"; pause = \"10m\"; },\n"
	"  { name = \"pattern\"; pattern = \"\\\\bslow down\\\\b\"; threshold = \"10/5m\"; pause = "
	"\"10m\"; },\n"
	"  { name = \"both\"; category = \"rate\"; pattern = \"x\"; threshold = \"10/5m\"; pause = "
	"\"10m\"; } ); } );\n";

static void
test_lock_rules(void **state)
{
	static const struct {
		const char *reply;
		enum category category;
		const char *want; /* a digit for each rule */
	} rows[] = {
		{"a", CATEGORY_RATE, "100"},
		{"x", CATEGORY_RATE, "101"},
		{"x", CATEGORY_POLICY, "000"},
		{"SLOW  DOWN please", CATEGORY_OTHER, "010"},
		{"421-slow 421 down x", CATEGORY_RATE, "111"},
		{"slowdown", CATEGORY_NONE, "000"},
	};

	(void)state;
	load(locks);
	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		const struct isp *isp = settings->isps->pdata[0];
		char got[4] = "";

		for (guint k = 0; k < 3; k++)
			got[k] = classifier_rule_matches(classifier, isp->locks->pdata[k],
							 rows[i].category, rows[i].reply)
					 ? '1'
					 : '0';
		check_string(rows[i].reply, got, rows[i].want);
	}
}

/* Those that are wrong are told, with their place; the others do their work. */
static void
test_wrong_patterns(void **state)
{
	struct bounce_pattern wrong = {
		.pattern = (char *)"a(b", .category = CATEGORY_FULL, .origin = {"there.conf", 12}};
	struct bounce_pattern utf = {.pattern = (char *)"(*UTF)abc",
				     .category = CATEGORY_FULL,
				     .origin = {"there.conf", 13}};
	struct bounce_pattern good = {
		.pattern = (char *)"ab", .category = CATEGORY_RATE, .origin = {"there.conf", 14}};
	struct lock_rule rule = {
		.name = (char *)"x", .pattern = (char *)"[a", .origin = {"locks.conf", 3}};
	struct isp isp = {.name = (char *)"i"};
	struct settings *s = settings_new();
	struct errors *errors = errors_new();
	GPtrArray *bounces = s->bounces, *isps = s->isps; /* others may share them */

	(void)state;
	s->bounces = g_ptr_array_new();
	s->isps = g_ptr_array_new();
	g_ptr_array_add(s->bounces, &wrong);
	g_ptr_array_add(s->bounces, &utf);
	g_ptr_array_add(s->bounces, &good);
	isp.locks = g_ptr_array_new();
	g_ptr_array_add(isp.locks, &rule);
	g_ptr_array_add(s->isps, &isp);
	classifier = classifier_new(s, errors);
	assert_int_equal(errors->errors->len, 3);
	assert_string_equal(
		errors->errors->pdata[0],
		"there.conf:12: pattern: \"a(b\": missing closing parenthesis (at offset 3)");
	assert_true(g_str_has_prefix(errors->errors->pdata[1],
				     "there.conf:13: pattern: \"(*UTF)abc\": "));
	assert_true(g_str_has_prefix(errors->errors->pdata[2], "locks.conf:3: pattern: \"[a\": "));
	assert_int_equal(classifier_find(classifier, NULL, 0, NULL, "abc").category, CATEGORY_RATE);
	assert_false(classifier_rule_matches(classifier, &rule, CATEGORY_RATE, "a"));
	g_ptr_array_unref(s->bounces);
	g_ptr_array_unref(s->isps);
	s->bounces = bounces;
	s->isps = isps;
	g_ptr_array_unref(isp.locks);
	errors_free(errors);
	settings = s;
}

/* A pattern that never ends is given up, and told once; 100 kB of reply cost no more than 4. */
static void
test_catastrophe(void **state)
{
	clock_t begun;
	GString *reply = g_string_new(NULL);

	(void)state;
	load("bounces = ( { pattern = \"^(a+)+$\"; category = \"full\"; },\n"
	     "{ pattern = \"(a|aa)+b\"; category = \"full\"; },\n"
	     "{ pattern = \"(.*)(.*)(.*)(.*)(.*)[0-9]\"; category = \"full\"; },\n"
	     "{ pattern = \"^(([a-z])+.)+[A-Z]([a-z])+#\"; category = \"full\"; },\n"
	     "{ pattern = \"a!\"; category = \"rate\"; } );\n");
	while (reply->len < 3000)
		g_string_append_c(reply, 'a');
	g_string_append_c(reply, '!');
	while (reply->len < 100000)
		g_string_append_c(reply, 'c');
	g_string_append(reply, "ab 1"); /* not looked at */
	begun = clock();
	assert_int_equal(classifier_find(classifier, NULL, 0, NULL, reply->str).category,
			 CATEGORY_RATE);
	g_string_assign(reply, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
	for (int i = 0; i < 10; i++)
		assert_int_equal(classifier_find(classifier, NULL, 0, NULL, reply->str).category,
				 CATEGORY_RATE);
	assert_true(fixture_under_a_second(begun));
	g_string_free(reply, TRUE);
}

static void
give_up_twice(void)
{
	for (int i = 0; i < 2; i++)
		classifier_find(classifier, NULL, 0, NULL,
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");
}

static void
test_given_up_is_told_once(void **state)
{
	char *told, *first;

	(void)state;
	load("bounces = ( { pattern = \"(a+)+$\"; category = \"full\"; } );\n");
	told = fixture_stderr_of(give_up_twice);
	first = strstr(told, "was given up");
	assert_non_null(first);
	assert_null(strstr(first + 1, "was given up"));
	assert_non_null(strstr(told, "\"(a+)+$\""));
	g_free(told);
}

enum { THREADS = 4, ROUNDS = 2000 };

static void *
ask(void *wrong)
{
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = (size_t)i % G_N_ELEMENTS(cases);
		struct classified c = classifier_find(classifier, cases[n].isp, cases[n].code,
						      cases[n].dsn, cases[n].reply);

		if (c.category != cases[n].want || c.by != cases[n].by)
			g_atomic_int_inc((gint *)wrong);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[THREADS];
	gint wrong = 0;

	(void)state;
	load(patterns);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(thread_start(&threads[i], ask, &wrong), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(wrong, 0);
}

static void
test_none(void **state)
{
	(void)state;
	load("");
	assert_int_equal(classifier_find(classifier, "x", 550, "5.1.1", "x").category,
			 CATEGORY_BAD_MAILBOX);
	classifier_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_order, unload),
		cmocka_unit_test_teardown(test_lock_rules, unload),
		cmocka_unit_test_teardown(test_wrong_patterns, unload),
		cmocka_unit_test_teardown(test_catastrophe, unload),
		cmocka_unit_test_teardown(test_given_up_is_told_once, unload),
		cmocka_unit_test_teardown(test_threads, unload),
		cmocka_unit_test_teardown(test_none, unload),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
