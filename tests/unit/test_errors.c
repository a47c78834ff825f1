/*
 * test_errors - the lines that tell what is wrong with a configuration.
 */
#include "fixture.h"

#include "base/errors.h"

static void
test_lines(void **state)
{
	static const struct {
		const char *name;
		struct origin at;
		const char *key, *text, *want;
	} cases[] = {
		{"all parts", {"/etc/p.conf", 12}, "pools[0].spf_domain", "\"x..y\": not a domain",
		 "/etc/p.conf:12: pools[0].spf_domain: \"x..y\": not a domain"},
		{"no line", {"/etc/p.conf", 0}, "listen", "missing", "/etc/p.conf: listen: missing"},
		{"no key", {"/etc/p.conf", 3}, NULL, "syntax error", "/etc/p.conf:3: syntax error"},
		{"no file", {NULL, 0}, "user", "bad", "configuration: user: bad"},
		{"nothing but text", {NULL, 0}, NULL, "bad", "configuration: bad"},
		{"percent signs of the user", {"%n%s", 1}, "%s%n", "%d%s", "%n%s:1: %s%n: %d%s"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct errors *e = errors_new();

		errors_add(e, cases[i].at, cases[i].key, "%s", cases[i].text);
		check_int(cases[i].name, e->errors->len, 1);
		check_string(cases[i].name, e->errors->pdata[0], cases[i].want);
		check_int(cases[i].name, e->warnings->len, 0);
		check_true(cases[i].name, errors_any(e));
		errors_free(e);
	}
}

static void
test_order_and_warnings(void **state)
{
	struct errors *e = errors_new();
	const struct origin at = {"f", 1};

	(void)state;
	assert_false(errors_any(e));
	errors_warn(e, at, "k", "unwise: %d", 7);
	assert_false(errors_any(e));
	assert_string_equal(e->warnings->pdata[0], "f:1: k: unwise: 7");
	for (int i = 0; i < 100; i++)
		errors_add(e, at, NULL, "%d", i);
	assert_true(errors_any(e));
	assert_int_equal(e->errors->len, 100);
	assert_string_equal(e->errors->pdata[0], "f:1: 0");
	assert_string_equal(e->errors->pdata[99], "f:1: 99");
	assert_int_equal(e->warnings->len, 1);
	errors_free(e);
	errors_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_order_and_warnings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
