/*
 * test_reply_text - the form of replies that patterns see.
 */
#include "fixture.h"

#include "core/reply_text.h"

#include <string.h>

static const struct {
	const char *name, *reply, *want;
} cases[] = {
	{"one line", "550 5.1.1 No such user", "550 5.1.1 No such user"},
	{"empty", "", ""},
	{"blanks only", " \r\n\t ", ""},
	{"blanks", "  550  5.1.1\tNo\r\n such   user \n", "550 5.1.1 No such user"},
	{"control characters", "550 a\001\002b\177c", "550 a b c"},
	{"other octets stay", "550 \xe7\x94\xa8\xff", "550 \xe7\x94\xa8\xff"},
	{"lines of Postfix", "550-5.1.1 No such 550-5.1.1 user, 550 5.1.1 see x",
	 "550-5.1.1 No such user, see x"},
	{"lines without an enhanced code", "550-No such 550-user 550 here",
	 "550-No such user here"},
	{"lines of a bounce", "421-4.7.28 unusual rate\r\n421-4.7.28 of mail\r\n421 4.7.28 bye",
	 "421-4.7.28 unusual rate of mail bye"},
	{"line with codes only", "550-5.7.1 a 550-5.7.1 550-5.7.1 b 550 5.7.1", "550-5.7.1 a b"},
	{"code without a blank", "554-a 554-b 554 c", "554-a b c"},
	{"another code stays", "550-5.1.1 a 551-5.1.1 b", "550-5.1.1 a 551-5.1.1 b"},
	{"in one line codes stay", "550 5.1.1 a 550-5.1.1 b", "550 5.1.1 a 550-5.1.1 b"},
	{"code in a word stays", "550-a x550-b 5500 550", "550-a x550-b 5500"},
	{"Postfix' words",
	 "host mx.example[192.0.2.1] said: 550-5.1.1 No such 550 5.1.1 user (in reply to RCPT TO "
	 "command)",
	 "550-5.1.1 No such user"},
	{"Postfix' own", "connect to mx.example[192.0.2.1]:25: Connection timed out",
	 "connect to mx.example[192.0.2.1]:25: Connection timed out"},
	{"three digits", "550", "550"},
	{"four octets", "550-", "550-"},
};

static void
test_form(void **state)
{
	char out[REPLY_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		size_t len = reply_text(cases[i].reply, out);

		check_string(cases[i].name, out, cases[i].want);
		check_int(cases[i].name, len, strlen(cases[i].want));
	}
}

static const struct {
	const char *text, *want;
} dsns[] = {
	{"550 5.1.1 No such user", "5.1.1"},
	{"550-5.7.26 x", "5.7.26"},
	{"421 #4.3.2 All server ports are busy", "4.3.2"},
	{"5.4.7 expired", "5.4.7"},
	{"5.1.1", "5.1.1"},
	{"550 5.1.1", "5.1.1"},
	{"553 sorry, no mailbox here by that name. (#5.7.1)", "5.7.1"},
	{"Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1"},
	{"550 No such user", ""},
	{"550", ""},
	{"", ""},
	{"550 5.1.1x", ""},
	{"192.0.2.1 said", ""},
	{"550 1234.5678.99999", ""},
	{"x (#", ""},
	{"x (#x)", ""},
};

static void
test_dsn(void **state)
{
	char dsn[REPLY_DSN_SIZE];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(dsns); i++) {
		check_int(dsns[i].text, reply_text_dsn(dsns[i].text, dsn), dsns[i].want[0] != '\0');
		check_string(dsns[i].text, dsn, dsns[i].want);
	}
}

/* 100 kB: cut, and never more than came in. */
static void
test_long(void **state)
{
	const char *const pieces[] = {"x",    " ",   "550-", "550-5.1.1 ",
				      "550 ", "ab ", "\n",   "host x said: "};
	char out[REPLY_TEXT_MAX + 1];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		GString *reply = g_string_new("550-5.1.1 ");

		while (reply->len < 100000)
			g_string_append(reply, pieces[i]);
		check_true(pieces[i], reply_text(reply->str, out) <= REPLY_TEXT_MAX);
		check_int(pieces[i], strlen(out) <= REPLY_TEXT_MAX, 1);
		g_string_free(reply, TRUE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_dsn),
		cmocka_unit_test(test_long),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
