/*
 * test_tag_list - lists of tag=value, by the grammar of RFC 6376 3.2.
 */
#include "fixture.h"

#include "core/tag_list.h"

#include <string.h>

static const struct {
	const char *name, *text;
	const char *tags;    /* of those that are well-formed: "name=value|..." */
	const char *problem; /* begin of it; NULL: none */
	const char *piece;
} cases[] = {
	{"one", "v=DKIM1", "v=DKIM1", NULL, NULL},
	{"several", "v=DKIM1; k=rsa; p=abc", "v=DKIM1|k=rsa|p=abc", NULL, NULL},
	{"no blanks", "v=DKIM1;k=rsa;p=abc", "v=DKIM1|k=rsa|p=abc", NULL, NULL},
	{"blanks everywhere", " \tv = DKIM1 ;\tk\t=\trsa ", "v=DKIM1|k=rsa", NULL, NULL},
	{"folded", "v=DKIM1;\r\n p=ab\r\n\tcd", "v=DKIM1|p=ab cd", NULL, NULL},
	{"blanks inside a value", "p=ab  c\t d", "p=ab c d", NULL, NULL},
	{"empty value", "p=; n=", "p=|n=", NULL, NULL},
	{"equals sign in a value", "n=a=b==", "n=a=b==", NULL, NULL},
	{"semicolon at the end", "v=DKIM1;", "v=DKIM1", NULL, NULL},
	{"semicolon and blank at the end", "v=DKIM1; ", "v=DKIM1", NULL, NULL},
	{"digits and underscores in a name", "a1_=x", "a1_=x", NULL, NULL},
	{"names differ by case", "p=1; P=2", "p=1|P=2", NULL, NULL},
	{"empty", "", "", "nothing", ""},
	{"a semicolon", ";", "", "nothing", ""},
	{"two semicolons at the end", "v=1;;", "v=1", "nothing", ""},
	{"two semicolons inside", "v=1;;p=2", "v=1|p=2", "nothing", ""},
	{"word alone", "v=1; word; p=2", "v=1|p=2", "a piece without", "word"},
	{"bare mailto", "v=DMARC1; mailto:a@b.example", "v=DMARC1", "a piece without",
	 "mailto:a@b.example"},
	{"no name", "=1", "", "no tag name", "=1"},
	{"name begins with a digit", "1a=x", "", "no tag name", "1a=x"},
	{"name with a hyphen", "a-b=x", "", "no tag name", "a-b=x"},
	{"name of two words", "a b=x", "", "no tag name", "a b=x"},
	{"twice", "v=1; p=2; v=3", "v=1|p=2", "a tag that was there before", "v=3"},
	{"8-bit", "n=\xc3\xbc", "", "a character", "n=??"},
	{"control character", "n=a\001b", "", "a character", "n=a?b"},
	{"bare line end", "n=a\nb", "", "a character", "n=a?b"},
	{"line end without a blank", "n=a\r\nb", "", "a character", "n=a??b"},
	{"quotes are characters", "\"v=DKIM1\"", "", "no tag name", "\"v=DKIM1\""},
	{"the first problem is told", "v=1; x; y", "v=1", "a piece without", "x"},
};

static char *
joined(const struct tag_list *l)
{
	GString *all = g_string_new(NULL);

	for (guint i = 0; i < l->tags->len; i++) {
		const struct tag *t = l->tags->pdata[i];

		g_string_append_printf(all, "%s%s=%s", i > 0 ? "|" : "", t->name, t->value);
	}
	return g_string_free(all, FALSE);
}

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct tag_list *l = tag_list_parse(cases[i].text, strlen(cases[i].text));
		char *tags = joined(l);

		check_string(cases[i].name, tags, cases[i].tags);
		if (cases[i].problem == NULL)
			check_string(cases[i].name, l->problem, NULL);
		else
			check_true(cases[i].name,
				   g_str_has_prefix(l->problem != NULL ? l->problem : "",
						    cases[i].problem));
		check_string(cases[i].name, l->piece, cases[i].piece);
		g_free(tags);
		tag_list_free(l);
	}
}

static void
test_length_counts(void **state)
{
	struct tag_list *l = tag_list_parse("v=1;p=23", 7);

	(void)state;
	assert_string_equal(tag_list_get(l, "p"), "2");
	tag_list_free(l);
	l = tag_list_parse("p=a\0b", 5);
	assert_non_null(l->problem);
	tag_list_free(l);
}

static void
test_begins(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} versions[] = {{"v=DMARC1; p=none", true},  {"v=DMARC1", true},
			{"v=dmarc1; p=none", false}, {"v=DMARC10; p=none", false},
			{"p=none; v=DMARC1", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
		struct tag_list *l = tag_list_parse(versions[i].text, strlen(versions[i].text));

		check_int(versions[i].text, tag_list_begins(l, "DMARC1"), versions[i].want);
		tag_list_free(l);
	}
}

static void
test_value_has(void **state)
{
	(void)state;
	assert_true(tag_value_has("y:s", ':', "s"));
	assert_true(tag_value_has(" y : S ", ':', "s"));
	assert_true(tag_value_has("sha256", ':', "sha256"));
	assert_false(tag_value_has("sha2567", ':', "sha256"));
	assert_false(tag_value_has("", ':', "y"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_length_counts),
		cmocka_unit_test(test_begins),
		cmocka_unit_test(test_value_has),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
