/*
 * test_category_code - categories by codes: never a hard one for what may be taken another time.
 */
#include "fixture.h"

#include "core/category_code.h"

#include <string.h>

static const struct {
	const char *dsn;
	int code;
	enum category want;
} dsns[] = {
	{"5.1.1", 550, CATEGORY_BAD_MAILBOX},
	{"5.1.1", 0, CATEGORY_BAD_MAILBOX},
	{"5.1.1", 450, CATEGORY_TEMPORARY},
	{"4.1.1", 450, CATEGORY_TEMPORARY},
	{"4.1.1", 550, CATEGORY_TEMPORARY},
	{"5.1.2", 550, CATEGORY_BAD_DOMAIN},
	{"5.1.3", 501, CATEGORY_BAD_MAILBOX},
	{"5.1.6", 551, CATEGORY_INACTIVE},
	{"5.1.8", 553, CATEGORY_AUTHENTICATION},
	{"5.1.10", 556, CATEGORY_BAD_DOMAIN},
	{"5.2.1", 550, CATEGORY_INACTIVE},
	{"4.2.1", 450, CATEGORY_TEMPORARY},
	{"5.2.2", 552, CATEGORY_FULL},
	{"4.2.2", 452, CATEGORY_FULL},
	{"5.3.4", 552, CATEGORY_POLICY},
	{"5.4.4", 550, CATEGORY_BAD_DOMAIN},
	{"4.4.4", 451, CATEGORY_TEMPORARY},
	{"4.4.1", 0, CATEGORY_TEMPORARY},
	{"5.4.7", 0, CATEGORY_TEMPORARY},
	{"5.7.1", 550, CATEGORY_POLICY},
	{"5.7.17", 550, CATEGORY_BAD_MAILBOX},
	{"5.7.18", 550, CATEGORY_BAD_DOMAIN},
	{"5.7.20", 550, CATEGORY_AUTHENTICATION},
	{"5.7.26", 550, CATEGORY_AUTHENTICATION},
	{"4.7.25", 450, CATEGORY_AUTHENTICATION},
	{"5.7.27", 550, CATEGORY_POLICY},
	{"4.7.28", 421, CATEGORY_RATE},
	{"5.0.0", 550, CATEGORY_NONE},
	{"5.1.0", 550, CATEGORY_NONE},
	{"5.99.1", 550, CATEGORY_NONE},
	{"5.1.999", 550, CATEGORY_NONE},
	{"2.0.0", 250, CATEGORY_NONE},
	{"", 0, CATEGORY_NONE},
	{"5.1", 0, CATEGORY_NONE},
	{"5.1.1x", 0, CATEGORY_NONE},
	{"5.1.1.1", 0, CATEGORY_NONE},
	{"55.1.1", 0, CATEGORY_NONE},
	{"5.-1.1", 0, CATEGORY_NONE},
	{"x", 0, CATEGORY_NONE},
};

static const struct {
	int code;
	enum category want;
} codes[] = {
	{421, CATEGORY_TEMPORARY}, {450, CATEGORY_TEMPORARY}, {451, CATEGORY_TEMPORARY},
	{452, CATEGORY_TEMPORARY}, {499, CATEGORY_TEMPORARY}, {500, CATEGORY_NONE},
	{521, CATEGORY_BAD_DOMAIN}, {530, CATEGORY_POLICY},   {550, CATEGORY_NONE},
	{551, CATEGORY_BAD_MAILBOX}, {552, CATEGORY_FULL},    {553, CATEGORY_BAD_MAILBOX},
	{554, CATEGORY_NONE},	   {556, CATEGORY_BAD_DOMAIN}, {250, CATEGORY_NONE},
	{0, CATEGORY_NONE},
};

static void
test_dsn(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(dsns); i++)
		check_int(dsns[i].dsn, category_of_dsn(dsns[i].dsn, dsns[i].code), dsns[i].want);
}

static void
test_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		if (category_of_code(codes[i].code) != codes[i].want)
			fail_msg("%d is %s", codes[i].code,
				 category_name(category_of_code(codes[i].code)));
}

/* Every code there is: what says 4 anywhere is never hard. */
static void
test_temporary_is_never_hard(void **state)
{
	unsigned known = 0;

	(void)state;
	for (unsigned n = 0; n < 10 * 100; n++)
		for (unsigned class = 4; class <= 5; class ++) {
			char dsn[16];
			enum category c;

			g_snprintf(dsn, sizeof dsn, "%u.%u.%u", class, n / 100, n % 100);
			c = category_of_dsn(dsn, class == 4 ? 550 : 450);
			known += c != CATEGORY_NONE;
			check_true(dsn, strcmp(category_class(c), "hard") != 0);
		}
	assert_true(known > 100);
	for (int code = 400; code < 500; code++)
		assert_string_not_equal(category_class(category_of_code(code)), "hard");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_temporary_is_never_hard),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
