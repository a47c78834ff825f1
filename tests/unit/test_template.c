/*
 * test_template - parsing, and what expansion may never do (FAULTS D2).
 */
#include "fixture.h"

#include "core/author.h" /* author_init() is for GMime, which templates use too */
#include "core/template.h"

#include <gmime/gmime.h>
#include <string.h>

/* Octets that every variable expands to. */
struct octets {
	const char *data;
	size_t len;
};

static const char *
value_of(const void *context, const char *name, size_t *len)
{
	const struct octets *o = context;

	if (strcmp(name, "login") == 0) /* the one that has no value */
		return NULL;
	if (strcmp(name, "pool") == 0) {
		*len = 4;
		return "acme";
	}
	*len = o->len;
	return o->data;
}

static char *
expand(const char *text, const char *field, const char *data, size_t len, bool *any)
{
	const struct octets o = {data, len};
	const struct template_source source = {value_of, &o};
	const char *why = NULL;
	struct template *t = template_parse(text, &why);
	struct buf out = BUF_INIT;
	char *result;

	if (t == NULL)
		fail_msg("\"%s\": %s", text, why);
	*any = template_expand(t, field, &source, &out);
	assert_false(buf_failed(&out));
	result = g_strndup(out.data != NULL ? out.data : "", out.len);
	assert_int_equal(strlen(result), out.len); /* no NUL */
	buf_free(&out);
	template_free(t);
	return result;
}

static void
test_parse_errors(void **state)
{
	static const struct {
		const char *name, *text, *why; /* why: must stand in the message */
	} cases[] = {
		{"unknown variable", "${nope}", "unknown variable"},
		{"empty variable", "${}", "unknown variable"},
		{"unclosed", "a${pool", "without \"}\""},
		{"single dollar", "5 $ each", "$$"},
		{"dollar at the end", "x$", "$$"},
		{"header without a name", "${header:}", "not a header name"},
		{"blank in a header's name", "${header:A B}", "not a header name"},
		{"colon in a header's name", "${header:A:B}", "not a header name"},
		{"CR LF", "a\r\nBcc: x", "control"},
		{"LF", "a\nb", "control"},
		{"tab", "a\tb", "control"},
		{"DEL", "a\177", "control"},
		{"not UTF-8", "\xff", "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const char *why = NULL;

		check_true(cases[i].name, template_parse(cases[i].text, &why) == NULL);
		check_true(cases[i].name, why != NULL && strstr(why, cases[i].why) != NULL);
	}
	template_free(NULL);
}

static void
test_expansion(void **state)
{
	static const struct {
		const char *name, *text, *value, *want;
	} cases[] = {
		{"literal", "hello", "", "hello"},
		{"variable", "${pool}", "", "acme"},
		{"around", "<${pool}>:${header:X}", "v", "<acme>:v"},
		{"dollar", "$$5 $${pool}", "", "$5 ${pool}"},
		{"no value", "a${login}b", "", "ab"},
		{"nothing at all", "${login}", "", ""},
		{"blanks only", "${header:X}", " \t ", ""},
		{"blanks around go", "  ${header:X}  ", "  v ", "v"},
		{"folds become one blank", "${header:X}", "a\n\t b", "a b"},
		{"CR LF is no new field", "${header:X}", "a\r\nBcc: victim", "a Bcc: victim"},
		{"bare CR", "${header:X}", "a\rb", "a b"},
		{"escape and DEL", "${header:X}", "a\033[1mb\177c", "a [1mb c"},
		{"percent signs", "${header:X}", "%s%n", "%s%n"},
		{"dollars of the message stay", "${header:X}", "${pool}", "${pool}"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		bool any;
		char *got = expand(cases[i].text, "X-A", cases[i].value, strlen(cases[i].value), &any);

		check_string(cases[i].name, got, cases[i].want);
		check_int(cases[i].name, any, *cases[i].want != '\0');
		g_free(got);
	}
}

static void
test_nul(void **state)
{
	bool any;
	char *got = expand("${header:X}", "X-A", "a\0b", 3, &any);

	(void)state;
	assert_string_equal(got, "a b");
	g_free(got);
}

static void
test_8bit(void **state)
{
	static const struct {
		const char *name, *value, *decoded;
	} cases[] = {
		{"UTF-8", "Gr\xc3\xbc\xc3\x9f" "e aus M\xc3\xbcnchen", "Gr\xc3\xbc\xc3\x9f" "e aus M\xc3\xbcnchen"},
		{"not UTF-8", "Gr\xfc\xdf" "e", "Gr\xef\xbf\xbd\xef\xbf\xbd" "e"},
		{"with a line end", "\xc3\xbc\r\n\xc3\xbc", "\xc3\xbc \xc3\xbc"},
		{"C1 control", "a\xc2\x85z", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		bool any;
		char *got = expand("${header:X}", "X-A", cases[i].value, strlen(cases[i].value), &any);
		char *decoded = g_mime_utils_header_decode_text(NULL, got);

		for (const char *p = got; *p != '\0'; p++)
			check_true(cases[i].name, (unsigned char)*p < 127);
		if (cases[i].decoded != NULL)
			check_string(cases[i].name, decoded, cases[i].decoded);
		g_free(decoded);
		g_free(got);
	}
}

/* RFC 5322 2.1.1 and 2.2.3, of a whole field. */
static void
check_lines(const char *name, const char *field, const char *value)
{
	size_t line = strlen(field) + 2; /* "Name: " */

	for (const char *p = value; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		check_true(name, c >= 32 || c == '\n');
		check_true(name, c < 127);
		if (c == '\n') {
			check_true(name, line <= 998);
			check_true(name, p[1] == ' ');
			check_true(name, p[2] != ' ' && p[2] != '\n' && p[2] != '\0');
			line = 0;
		} else {
			line++;
		}
	}
	check_true(name, line <= 998);
}

static char *
unfold(const char *value)
{
	char **lines = g_strsplit(value, "\n ", -1), *joined = g_strjoinv(" ", lines);

	g_strfreev(lines);
	return joined;
}

#define NAME_76 "X-Seventy-Six-Octets-And-Not-One-More-0123456789012345678901234567890123456"

static void
test_folding(void **state)
{
	static const char *const names[] = {"X", "X-Sender-Id", NAME_76};
	static const struct {
		const char *name, *unit;
		size_t count;
		bool lossless; /* unfolding gives the words back: no word was cut */
	} cases[] = {
		{"short", "word ", 3, true},
		{"long text", "word ", 2000, true},
		{"words of 70", "seventy-octets-long-words-seventy-octets-long-words-seventy-octets-lo ", 50, true},
		{"words of 100", "hundred-octets-long-words-hundred-octets-long-words-hundred-octets-long-words-hundred-octets-long-w ", 20, true},
		{"one word of 500", "x", 500, true},
		{"one word of 920", "x", 920, true},
		{"one word of 990", "x", 990, false},
		{"one word of 997", "x", 997, false},
		{"one word of 10 kB", "x", 10000, false},
		{"8-bit 10 kB", "\xc3\xbc", 5000, false},
		{"8-bit words", "gr\xc3\xbc\xc3\x9f" "e ", 1000, false},
		{"blanks", " ", 10000, true},
	};

	(void)state;
	for (size_t n = 0; n < G_N_ELEMENTS(names); n++) {
		for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
			GString *value = g_string_new(NULL);
			char *got, *unfolded;
			bool any;

			for (size_t k = 0; k < cases[i].count; k++)
				g_string_append(value, cases[i].unit);
			got = expand("${header:X}", names[n], value->str, value->len, &any);
			check_lines(cases[i].name, names[n], got);
			unfolded = unfold(got);
			if (cases[i].lossless)
				check_string(cases[i].name, unfolded, g_strstrip(value->str));
			g_free(unfolded);
			g_free(got);
			g_string_free(value, TRUE);
		}
	}
}

static void
test_short_lines_where_possible(void **state)
{
	bool any;
	char *got = expand("${header:X}", "X-A", "one two three four five six seven eight nine ten eleven "
			   "twelve thirteen fourteen fifteen sixteen seventeen eighteen", 116, &any);
	char **lines = g_strsplit(got, "\n", -1);

	(void)state;
	assert_true(g_strv_length(lines) >= 2);
	assert_true(strlen("X-A: ") + strlen(lines[0]) <= 78);
	for (char **line = lines + 1; *line != NULL; line++)
		assert_true(strlen(*line) <= 78);
	g_strfreev(lines);
	g_free(got);
}

/* Any octets in any variable: the result is one field. */
static void
test_random_octets(void **state)
{
	GRand *random = g_rand_new_with_seed(20240611);

	(void)state;
	for (int round = 0; round < 3000; round++) {
		static const char alphabet[] = "ab \r\n\t\0:\xc3\xbc\x85\xff\x7f=?_,<>\"${}";
		size_t len = (size_t)g_rand_int_range(random, 0, round % 10 == 0 ? 4000 : 200);
		char *data = g_malloc(len + 1), *got, name[32];
		bool any;

		for (size_t i = 0; i < len; i++)
			data[i] = round % 2 ? alphabet[g_rand_int_range(random, 0, sizeof alphabet - 1)]
					    : (char)g_rand_int_range(random, 0, 256);
		g_snprintf(name, sizeof name, "round %d", round);
		got = expand("a ${header:X}${sender}", "X-Sender-Id", data, len, &any);
		check_true(name, any);
		check_lines(name, "X-Sender-Id", got);
		g_free(got);
		g_free(data);
	}
	g_rand_free(random);
}

static void
test_appends(void **state)
{
	const struct octets o = {"v", 1};
	const struct template_source source = {value_of, &o};
	const char *why;
	struct template *t = template_parse("${login}", &why);
	struct buf out = BUF_INIT;

	(void)state;
	buf_puts(&out, " ");
	assert_false(template_expand(t, "X", &source, &out));
	assert_string_equal(out.data, " ");
	template_free(t);
	t = template_parse("${header:A}", &why);
	assert_true(template_expand(t, "X", &source, &out));
	assert_string_equal(out.data, " v");
	template_free(t);
	buf_free(&out);
}

static void
test_uses(void **state)
{
	const char *why;
	struct template *t = template_parse("pool ${rcpt} $${login} ${header:Subject}", &why);

	(void)state;
	assert_true(template_uses(t, "rcpt"));
	assert_true(template_uses(t, "header:Subject"));
	assert_false(template_uses(t, "pool"));
	assert_false(template_uses(t, "login"));
	assert_false(template_uses(t, "rcpt_domain"));
	template_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_errors),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_8bit),
		cmocka_unit_test(test_folding),
		cmocka_unit_test(test_short_lines_where_possible),
		cmocka_unit_test(test_random_octets),
		cmocka_unit_test(test_appends),
		cmocka_unit_test(test_uses),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
