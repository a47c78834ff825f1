/*
 * test_word - what is put into a line comes out of it, and nothing else is taken.
 */
#include "fixture.h"

#include "core/word.h"

#include <string.h>

static void
test_put(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"plain", "pi/acme/gmail", "line pi/acme/gmail"},
		{"empty", "", "line "},
		{"blank, percent, ends of the range", " %!~\x7f", "line %20%25!~%7F"},
		{"line ends", "a\r\nb\tc", "line a%0D%0Ab%09c"},
		{"8-bit", "\xc3\xbc\xff\x80", "line %C3%BC%FF%80"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GString *line = g_string_new("line"), *back = g_string_new("what was there");
		struct word_line rest;

		word_put(line, cases[i].text);
		check_string(cases[i].name, line->str, cases[i].want);
		rest = (struct word_line){line->str, line->str + line->len};
		check_true(cases[i].name, word_begins(&rest, "line"));
		check_true(cases[i].name, word_take(&rest, back));
		check_string(cases[i].name, back->str, cases[i].text);
		check_true(cases[i].name, word_ended(&rest));
		g_string_free(line, TRUE);
		g_string_free(back, TRUE);
	}
}

static void
test_every_octet(void **state)
{
	GString *line = g_string_new(NULL), *text = g_string_new(NULL), *back = g_string_new(NULL);
	struct word_line rest;

	(void)state;
	for (int c = 1; c < 256; c++)
		g_string_append_c(text, (char)c);
	word_put(line, text->str);
	for (size_t i = 1; i < line->len; i++)
		check_true("one word", line->str[i] > 32 && line->str[i] < 127);
	rest = (struct word_line){line->str, line->str + line->len};
	check_true("taken", word_take(&rest, back) && word_ended(&rest));
	check_string("the same", back->str, text->str);
	g_string_free(line, TRUE);
	g_string_free(text, TRUE);
	g_string_free(back, TRUE);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *name, *line;
		size_t len;
	} cases[] = {
		{"nothing", "", 0},
		{"no blank before it", "word", 4},
		{"cut escape", " ab%4", 5},
		{"cut escape before a word", " ab%4 x", 7},
		{"percent at the end", " ab%", 4},
		{"no hexadecimal", " %4g", 4},
		{"8-bit", " a\xc3", 3},
		{"control", " a\x01", 3},
		{"delete", " a\x7f", 3},
		{"NUL", " a\0b", 4},
		{"escaped NUL", " a%00b", 6},
	};
	GString *text = g_string_new(NULL);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct word_line rest = {cases[i].line, cases[i].line + cases[i].len};

		check_true(cases[i].name, !word_take(&rest, text));
	}
	g_string_free(text, TRUE);
}

static void
test_numbers(void **state)
{
	static const struct {
		const char *name, *line;
		int64_t min, max;
		bool ok;
		int64_t want;
	} cases[] = {
		{"zero", " 0", 0, 9, true, 0},
		{"least of all", " -9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
		{"most of all", " 9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
		{"over that", " 9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
		{"far over", " 99999999999999999999999", INT64_MIN, INT64_MAX, false, 0},
		{"longer than any", " 000000000000000000000001", INT64_MIN, INT64_MAX, false, 0},
		{"at the least", " 5", 5, 7, true, 5},
		{"below it", " 4", 5, 7, false, 0},
		{"at the most", " 7", 5, 7, true, 7},
		{"above it", " 8", 5, 7, false, 0},
		{"no number", " x", 0, 9, false, 0},
		{"empty", " ", 0, 9, false, 0},
		{"minus alone", " -", -9, 9, false, 0},
		{"plus", " +1", 0, 9, false, 0},
		{"letters behind", " 1x", 0, 9, false, 0},
		{"two blanks", "  1", 0, 9, false, 0},
		{"hexadecimal", " 0x1", 0, 9, false, 0},
		{"tab before", " \t1", 0, 9, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct word_line rest = {cases[i].line, cases[i].line + strlen(cases[i].line)};
		int64_t number = 0;
		bool ok = word_take_number(&rest, cases[i].min, cases[i].max, &number);

		check_int(cases[i].name, ok, cases[i].ok);
		if (!ok)
			continue;
		check_true(cases[i].name, number == cases[i].want && word_ended(&rest));
	}
}

static void
test_put_numbers(void **state)
{
	static const int64_t numbers[] = {0, 7, -7, 10, 1234567890123, INT64_MAX, INT64_MIN};
	GString *line = g_string_new(NULL);
	struct word_line rest;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
		word_put_number(line, numbers[i]);
	check_string("line", line->str,
		     " 0 7 -7 10 1234567890123 9223372036854775807 -9223372036854775808");
	rest = (struct word_line){line->str, line->str + line->len};
	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
		int64_t number = 1;

		check_true("back", word_take_number(&rest, INT64_MIN, INT64_MAX, &number));
		check_true("the same", number == numbers[i]);
	}
	check_true("all", word_ended(&rest));
	g_string_free(line, TRUE);
}

static void
test_begins(void **state)
{
	static const struct {
		const char *name, *line, *word;
		bool ok;
	} cases[] = {
		{"whole line", "stats", "stats", true},
		{"more words", "stats a", "stats", true},
		{"longer word", "statsx", "stats", false},
		{"shorter word", "stat", "stats", false},
		{"empty line", "", "stats", false},
		{"blank before", " stats", "stats", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct word_line rest = {cases[i].line, cases[i].line + strlen(cases[i].line)};
		bool ok = word_begins(&rest, cases[i].word);

		check_int(cases[i].name, ok, cases[i].ok);
		check_true(cases[i].name,
			   rest.p == cases[i].line + (ok ? strlen(cases[i].word) : 0));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),         cmocka_unit_test(test_every_octet),
		cmocka_unit_test(test_refused),     cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_put_numbers), cmocka_unit_test(test_begins),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
