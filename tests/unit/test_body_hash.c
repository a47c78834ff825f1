/*
 * test_body_hash - canonical bodies and their hashes.
 *
 * Two judges that share nothing with the module: a slow model below, that goes from line to line as RFC
 * 6376 3.4 tells it, and libopendkim, in all that it does right.  Python's dkim is the third, in
 * tests/component/test_body_hash.py.
 */
#include "fixture.h"

#include "core/body_hash.h"
#include "core/codec.h"
#include "io/keygen.h"

#include <opendkim/dkim.h>
#include <openssl/evp.h>
#include <string.h>

#define S(text) (text), sizeof(text) - 1

static const bool forms[] = {false, true}; /* simple? */

/* ---- our hash, and the two others; all as text in base64, to be freed */

static char *
base64_of(const unsigned char *sha256)
{
	return g_base64_encode(sha256, BODY_HASH_SIZE);
}

static char *
our_hash(const char *body, size_t len, bool simple)
{
	/* Exactly as large as it is, so that a sanitizer sees who reads behind it. */
	char *copy = len > 0 ? g_memdup2(body, len) : NULL;
	struct body_hash h = {.simple = simple};

	assert_true(body_hash_make(&h, copy, len));
	assert_true(h.known);
	g_free(copy);
	return base64_of(h.sha256);
}

static char *
hash_of(const char *canonical, size_t len)
{
	unsigned char sha256[EVP_MAX_MD_SIZE];

	assert_int_equal(EVP_Digest(canonical, len, sha256, NULL, EVP_sha256(), NULL), 1);
	return base64_of(sha256);
}

static void
relax_line(GString *out, const char *line, size_t len)
{
	bool blank = false;

	for (size_t i = 0; i < len; i++) {
		if (line[i] == ' ' || line[i] == '\t') {
			blank = true;
			continue;
		}
		if (blank)
			g_string_append_c(out, ' ');
		g_string_append_c(out, line[i]);
		blank = false;
	}
}

static char *
model_hash(const char *body, size_t len, bool simple)
{
	GString *out = g_string_new(NULL);
	size_t at = 0, end = 0; /* end: of the last line that is not empty */
	char *hash;

	while (at < len) {
		const char *crlf = memmem(body + at, len - at, "\r\n", 2);
		size_t line_len = crlf != NULL ? (size_t)(crlf - body) - at : len - at, before = out->len;

		if (simple)
			g_string_append_len(out, body + at, (gssize)line_len);
		else
			relax_line(out, body + at, line_len);
		if (out->len > before)
			end = out->len + 2;
		g_string_append(out, "\r\n");
		at += line_len + 2;
	}
	if (end == 0 && simple) {
		g_string_assign(out, "\r\n");
		end = 2;
	}
	hash = hash_of(out->str, end);
	g_string_free(out, TRUE);
	return hash;
}

/* libopendkim gets the body in two pieces. */
static char *
their_hash(const char *body, size_t len, size_t first, bool simple)
{
	static DKIM_LIB *lib;
	static char *pem;
	char *why = NULL, *bh, *hash;
	u_char *value;
	size_t value_len;
	DKIM_STAT st;
	DKIM *dkim;

	if (lib == NULL) {
		void *key = keygen_new(KEY_RSA, 1024, &why);

		lib = dkim_init(NULL, NULL);
		pem = keygen_pem(key);
		keygen_free(key);
	}
	dkim = dkim_sign(lib, (const u_char *)"test", NULL, (dkim_sigkey_t)pem, (const u_char *)"s",
			 (const u_char *)"d", DKIM_CANON_RELAXED,
			 simple ? DKIM_CANON_SIMPLE : DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, -1, &st);
	assert_non_null(dkim);
	assert_int_equal(dkim_header(dkim, (u_char *)S("From: a")), DKIM_STAT_OK);
	assert_int_equal(dkim_eoh(dkim), DKIM_STAT_OK);
	if (first > 0)
		assert_int_equal(dkim_body(dkim, (u_char *)body, first), DKIM_STAT_OK);
	if (len > first)
		assert_int_equal(dkim_body(dkim, (u_char *)body + first, len - first), DKIM_STAT_OK);
	if (len > 0 && body[len - 1] != '\n')
		assert_int_equal(dkim_body(dkim, (u_char *)S("\r\n")), DKIM_STAT_OK);
	assert_int_equal(dkim_eom(dkim, NULL), DKIM_STAT_OK);
	assert_int_equal(dkim_getsighdr_d(dkim, 0, &value, &value_len), DKIM_STAT_OK);
	bh = strstr((char *)value, "bh=");
	assert_non_null(bh);
	hash = g_strndup(bh + 3, strcspn(bh + 3, ";"));
	dkim_free(dkim);
	return hash;
}

static void
check_hash(const char *name, char *got, char *want, const char *body, size_t len)
{
	if (strcmp(got, want) != 0) {
		char *text = g_base64_encode((const guchar *)body, len);

		fail_msg("case \"%s\": %s, not %s; the body in base64: %s", name, got, want, text);
	}
	g_free(got);
	g_free(want);
}

static void
check_model(const char *name, const char *body, size_t len)
{
	for (size_t i = 0; i < G_N_ELEMENTS(forms); i++)
		check_hash(name, our_hash(body, len, forms[i]), model_hash(body, len, forms[i]), body, len);
}

/* For bodies of lines that end with CRLF, but for the last perhaps. */
static void
check_libopendkim(const char *name, const char *body, size_t len, size_t first)
{
	for (size_t i = 0; i < G_N_ELEMENTS(forms); i++)
		check_hash(name, our_hash(body, len, forms[i]), their_hash(body, len, first, forms[i]), body,
			   len);
}

/* ---- named cases */

static const struct {
	const char *name, *body;
	size_t len;
	const char *relaxed;
	size_t relaxed_len;
	const char *simple;
	size_t simple_len;
} cases[] = {
	{"empty", S(""), S(""), S("\r\n")},
	{"one empty line", S("\r\n"), S(""), S("\r\n")},
	{"empty lines", S("\r\n\r\n\r\n"), S(""), S("\r\n")},
	{"a blank", S(" "), S(""), S(" \r\n")},
	{"lines of blanks", S(" \r\n\t\t\r\n"), S(""), S(" \r\n\t\t\r\n")},
	{"a line", S("x\r\n"), S("x\r\n"), S("x\r\n")},
	{"no line end", S("x"), S("x\r\n"), S("x\r\n")},
	{"no line end but blanks", S("x\r\ny \t"), S("x\r\ny\r\n"), S("x\r\ny \t\r\n")},
	{"blanks behind the last line", S("x\r\n \r\n\t"), S("x\r\n"), S("x\r\n \r\n\t\r\n")},
	{"trailing empty lines", S("x\r\n\r\n\r\n"), S("x\r\n"), S("x\r\n")},
	{"trailing lines of blanks", S("x \r\n \r\n\r\n\t \r\n"), S("x\r\n"), S("x \r\n \r\n\r\n\t \r\n")},
	{"blanks at line ends", S("a \r\nb\t\r\nc \t \r\n"), S("a\r\nb\r\nc\r\n"), S("a \r\nb\t\r\nc \t \r\n")},
	{"blanks in lines", S(" a  b\tc \t d\r\n"), S(" a b c d\r\n"), S(" a  b\tc \t d\r\n")},
	{"an empty line between", S("a\r\n \r\nb\r\n"), S("a\r\n\r\nb\r\n"), S("a\r\n \r\nb\r\n")},
	{"RFC 6376 3.4.5", S(" C \r\nD \t E\r\n\r\n\r\n"), S(" C\r\nD E\r\n"), S(" C \r\nD \t E\r\n")},
	{"8-bit and NUL", S("\xff\0 \x80\r\n"), S("\xff\0 \x80\r\n"), S("\xff\0 \x80\r\n")},
	{"form feed and vertical tab are no blanks", S("a\f\v \r\n"), S("a\f\v\r\n"), S("a\f\v \r\n")},
	{"bare LF", S("a \nb\n\nc\n"), S("a \nb\n\nc\n\r\n"), S("a \nb\n\nc\n\r\n")},
	{"bare CR", S("a \rb\r\r\n\r\n"), S("a \rb\r\r\n"), S("a \rb\r\r\n")},
	{"bare CR at the end", S("a\r\n\r"), S("a\r\n\r\r\n"), S("a\r\n\r\r\n")},
	{"a line of CRs", S("a\r\n\r\r\nb\r\n"), S("a\r\n\r\r\nb\r\n"), S("a\r\n\r\r\nb\r\n")},
	{"LF before CR", S("a\n\r\n"), S("a\n\r\n"), S("a\n\r\n")},
};

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		check_hash(cases[i].name, our_hash(cases[i].body, cases[i].len, false),
			   hash_of(cases[i].relaxed, cases[i].relaxed_len), cases[i].body, cases[i].len);
		check_hash(cases[i].name, our_hash(cases[i].body, cases[i].len, true),
			   hash_of(cases[i].simple, cases[i].simple_len), cases[i].body, cases[i].len);
		check_model(cases[i].name, cases[i].body, cases[i].len);
	}
}

/* ---- each place in a block, each piece */

#define NASTY "a  b \r\n\t\r\n\r\n .\tx \t\r\n\r\n--\xe9 \0\t\r\n  \r\n"

/* What is long and needs no change before and behind it moves it over the edges of blocks. */
static void
test_every_place(void **state)
{
	static const char *const fillers[] = {"x", "x\r\n", "ab ", " \r\n"};

	(void)state;
	for (size_t f = 0; f < G_N_ELEMENTS(fillers); f++)
		for (size_t before = 0; before < 200; before++) {
			GString *body = g_string_new(NULL);

			while (body->len < before)
				g_string_append(body, fillers[f]);
			g_string_append_len(body, S(NASTY));
			check_model(fillers[f], body->str, body->len);
			for (size_t n = 0; n < 100; n++)
				g_string_append(body, fillers[f]);
			g_string_append_len(body, S(NASTY));
			check_model(fillers[f], body->str, body->len);
			g_string_free(body, TRUE);
		}
}

/* Cut anywhere: our hash of the beginning, and libopendkim's of the whole in two pieces. */
static void
test_every_length(void **state)
{
	static const char nasty[] = NASTY "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy z\r\n" NASTY;

	(void)state;
	for (size_t n = 0; n < sizeof nasty; n++) {
		check_model("beginning", nasty, n);
		check_libopendkim("two pieces", nasty, sizeof nasty - 1, n);
	}
}

/* ---- random bodies */

static const char *const pieces[] = {" ",    "  ",	  "\t",	 "\r\n", "\r\n\r\n", " \r\n", "\t \r\n",
				     "a",    "word", "=20", ".",	 "--",	     "\xff",	"\xc3\xa4",
				     "From ", "\f",   "\v"};

/* Lines with CRLF; odd: bare CR and LF as well. */
static GString *
random_body(GRand *random, bool odd)
{
	GString *body = g_string_new(NULL);
	int n = g_rand_int_range(random, 0, g_rand_boolean(random) ? 30 : 800);

	for (int i = 0; i < n; i++) {
		int what = g_rand_int_range(random, 0, 100);

		if (what < 3)
			for (int k = g_rand_int_range(random, 0, what == 0 ? 9000 : 300); k > 0; k--)
				g_string_append_c(body, (char)('a' + k % 26));
		else if (what < 5)
			g_string_append_c(body, '\0');
		else if (odd && what < 15)
			g_string_append_c(body, what < 10 ? '\r' : '\n');
		else
			g_string_append(body, pieces[g_rand_int_range(random, 0, G_N_ELEMENTS(pieces))]);
	}
	return body;
}

static void
test_random(void **state)
{
	GRand *random = g_rand_new_with_seed(6376);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		GString *body = random_body(random, false);

		check_model("random", body->str, body->len);
		check_libopendkim("random", body->str, body->len, body->len);
		g_string_free(body, TRUE);
		body = random_body(random, true);
		check_model("random, odd line ends", body->str, body->len);
		g_string_free(body, TRUE);
	}
	g_rand_free(random);
}

/* ---- bare CR */

static bool
model_has_bare_cr(const char *body, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (body[i] == '\r' && (i + 1 == len || body[i + 1] != '\n'))
			return true;
	return false;
}

static void
test_bare_cr(void **state)
{
	char lines[600];

	(void)state;
	for (size_t i = 0; i < sizeof lines; i++)
		lines[i] = i % 6 == 4 ? '\r' : i % 6 == 5 ? '\n' : 'x';
	for (size_t len = 0; len <= sizeof lines; len++) {
		char *body = g_memdup2(lines, len);

		assert_int_equal(codec_has_bare_cr(body, len), model_has_bare_cr(body, len));
		for (size_t at = 0; at < len; at++) {
			char was = body[at];

			body[at] = '\r';
			if (codec_has_bare_cr(body, len) != model_has_bare_cr(body, len))
				fail_msg("a CR at %zu of %zu", at, len);
			body[at] = was;
		}
		g_free(body);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),	     cmocka_unit_test(test_every_place),
		cmocka_unit_test(test_every_length), cmocka_unit_test(test_random),
		cmocka_unit_test(test_bare_cr),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
