/*
 * test_required_text - what a text must contain to match: too much would be wrong.
 */
#include "fixture.h"

#include "core/required_text.h"

#include <string.h>

static const struct {
	const char *pattern, *want; /* texts with "|" between; NULL: nothing is known */
} cases[] = {
	{"user unknown", "user unknown"},
	{"User Unknown", "user unknown"},
	{"ab", NULL},
	{"", NULL},
	{"\\[TSS04\\]", "[tss04]"},
	{"abc|defg", "abc|defg"},
	{"abc|d", NULL},
	{"abc|", NULL},
	{"(?:abc|defg)", "abc|defg"},
	{"(?:abc|defg)+", "abc|defg"},
	{"(?:abc|defg)?xyz", "xyz"},
	{"(?:abc|defg)*", NULL},
	{"(?:abc){0,3}xyz", "xyz"},
	{"(?:abc){2}", NULL},
	{"x(abc)y", "abc"},
	{"(?:abc|x)longer", "longer"},
	{"colou?r", "colo"},
	{"abc+def", "abc"},
	{"abcd*efg", "abc"},
	{"abc{2,3}def", "def"},
	{"abcd{2", NULL},
	{"abcd{x}efg", NULL},
	{"abcd{|}", NULL},
	{"abcd{}{0,1}efg", NULL},
	{"abc.def", "abc"},
	{"^abc$", "abc"},
	{"\\babc\\b", "abc"},
	{"a\\dbcd", "bcd"},
	{"abc\\.de", "abc.de"},
	{"[abc]def", "def"},
	{"[]abc]def", "def"},
	{"[^]abc]def", "def"},
	{"[a\\]bcd]efg", "efg"},
	{"[[:alpha:]]def", NULL},
	{"(?=abc)d", "abc"},
	{"(?!abcdef)ghi", "ghi"},
	{"(?<!abcdef)ghi", "ghi"},
	{"(?<=abcdef)ghi", NULL},
	{"(?<name>abcdef)ghi", NULL},
	{"(?x) abc # def", NULL},
	{"(?-i)abc", NULL},
	{"(?#abc)defg", NULL},
	{"(*UTF)abc", NULL},
	{"\\Qabc\\E", NULL},
	{"\\x61bcd", NULL},
	{"abc\\x{64}", NULL},
	{"(abc)\\1", NULL},
	{"(?:a(?:b(?:cde|fgh)))", "cde|fgh"},
	{"((((((((((((((((((((((((abc))))))))))))))))))))))))", NULL},
	{"over ?-?quota", "quota"},
	{"(?:block|black)[- ]?list", "list"},
};

static void
test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GPtrArray *texts = required_text(cases[i].pattern);
		char *joined = NULL;

		if (texts != NULL) {
			g_ptr_array_add(texts, NULL);
			joined = g_strjoinv("|", (char **)texts->pdata);
			g_ptr_array_unref(texts);
		}
		check_string(cases[i].pattern, joined, cases[i].want);
		g_free(joined);
	}
}

static void
test_trigrams(void **state)
{
	struct trigrams t;
	uint16_t numbers[4];

	(void)state;
	trigrams_of(&t, "No Such User here", 17);
	assert_int_equal(trigram_numbers("such user", numbers, 4), 4);
	for (int i = 0; i < 4; i++)
		assert_true(trigrams_have(&t, numbers[i]));
	assert_int_equal(trigram_numbers("xyz", numbers, 4), 1);
	assert_false(trigrams_have(&t, numbers[0]));
	assert_int_equal(trigram_numbers("ab", numbers, 4), 0);
	trigrams_of(&t, "ab", 2);
	assert_int_equal(trigram_numbers("abc", numbers, 4), 1);
	assert_false(trigrams_have(&t, numbers[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_trigrams),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
