/*
 * test_codec - quoted-printable, base64 and the survey; GMime's decoders are the independent judge.
 */
#include "fixture.h"

#include "core/codec.h"

#include <gmime/gmime.h>
#include <string.h>

#define S(text) (text), sizeof(text) - 1

/* 70 octets: with a few more they reach the edge of a line. */
#define X70 "1234567890123456789012345678901234567890123456789012345678901234567890"

/* Decoded by GMime; buf_free() it. */
static struct buf
gmime_decode(GMimeContentEncoding encoding, const struct buf *text)
{
	GMimeEncoding state;
	struct buf out = BUF_INIT;

	g_mime_encoding_init_decode(&state, encoding);
	buf_reserve(&out, g_mime_encoding_outlen(&state, text->len) + 1);
	assert_false(buf_failed(&out));
	if (text->len > 0)
		out.len = g_mime_encoding_flush(&state, text->data, text->len, out.data);
	return out;
}

static void
check_octets(const char *name, const struct buf *got, const void *want, size_t len)
{
	check_int(name, got->len, len);
	check_true(name, len == 0 || memcmp(got->data, want, len) == 0);
}

/* What every encoded text is: short lines of ASCII that nothing on the way can mistake. */
static void
check_text(const char *name, const struct buf *text, bool as_lines)
{
	const char *p = text->data, *end = p != NULL ? p + text->len : p;

	check_true(name, !buf_failed(text));
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((lf != NULL ? lf : end) - p);

		if (lf != NULL)
			check_true(name, len > 0 && p[--len] == '\r');
		else
			check_true(name, !as_lines);
		check_true(name, len <= 76);
		for (size_t i = 0; i < len; i++)
			check_true(name, (p[i] >= ' ' && p[i] < 127) || p[i] == '\t');
		check_true(name, len == 0 || (p[len - 1] != ' ' && p[len - 1] != '\t'));
		check_true(name, len == 0 || p[0] != '.');
		check_true(name, len < 2 || strncmp(p, "--", 2) != 0);
		check_true(name, len < 5 || strncmp(p, "From ", 5) != 0);
		p = lf != NULL ? lf + 1 : end;
	}
}

/* Encoded both ways, with and without as_lines, and decoded by us and by GMime: the same octets. */
static void
check_round_trip(const char *name, const void *data, size_t len)
{
	for (unsigned i = 0; i < 4; i++) {
		bool as_lines = i & 1, base64 = i & 2;
		struct buf text = BUF_INIT, ours = BUF_INIT, theirs;
		const char *why = NULL;

		(base64 ? base64_encode : quoted_printable_encode)(data, len, as_lines, &text);
		check_text(name, &text, as_lines);
		check_true(name, (base64 ? base64_decode : quoted_printable_decode)(
					 text.data, text.len, &ours, &why));
		check_octets(name, &ours, data, len);
		theirs = gmime_decode(base64 ? GMIME_CONTENT_ENCODING_BASE64
					     : GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
				      &text);
		check_octets(name, &theirs, data, len);
		buf_free(&theirs);
		buf_free(&ours);
		buf_free(&text);
	}
}

/* ---- quoted-printable, encoded */

#define PLAIN false
#define LINES true

static const struct {
	const char *name, *content;
	size_t len;
	bool as_lines;
	const char *want;
} encoded[] = {
	{"empty", S(""), PLAIN, ""},
	{"empty body", S(""), LINES, ""},
	{"text", S("hello"), PLAIN, "hello"},
	{"text as lines", S("hello"), LINES, "hello=\r\n"},
	{"line", S("hello\r\n"), PLAIN, "hello\r\n"},
	{"line as lines", S("hello\r\n"), LINES, "hello\r\n"},
	{"only CRLFs", S("\r\n\r\n\r\n"), LINES, "\r\n\r\n\r\n"},
	{"one CRLF", S("\r\n"), PLAIN, "\r\n"},
	{"equals sign", S("a=b"), PLAIN, "a=3Db"},
	{"RFC 2045: 12 and 61", S("\f="), PLAIN, "=0C=3D"},
	{"8-bit in upper case", S("caf\xc3\xa9"), PLAIN, "caf=C3=A9"},
	{"NUL", S("a\0b"), PLAIN, "a=00b"},
	{"DEL", S("a\x7f"), PLAIN, "a=7F"},
	{"bare CR", S("a\rb"), PLAIN, "a=0Db"},
	{"bare LF", S("a\nb"), PLAIN, "a=0Ab"},
	{"LF CR", S("a\n\rb"), PLAIN, "a=0A=0Db"},
	{"CR CRLF", S("a\r\r\n"), PLAIN, "a=0D\r\n"},
	{"CRLF LF", S("\r\n\n"), PLAIN, "\r\n=0A"},
	{"CR at the end", S("a\r"), PLAIN, "a=0D"},
	{"CR at the end as lines", S("a\r"), LINES, "a=0D=\r\n"},
	{"tab and space within", S("a \tb"), PLAIN, "a \tb"},
	{"space before CRLF", S("a \r\nb"), PLAIN, "a=20\r\nb"},
	{"tab before CRLF", S("a\t\r\nb"), PLAIN, "a=09\r\nb"},
	{"two spaces before CRLF", S("a  \r\nb"), PLAIN, "a =20\r\nb"},
	{"space at the end", S("a "), PLAIN, "a=20"},
	{"tab at the end", S("a\t"), PLAIN, "a=09"},
	{"space at the end as lines", S("a "), LINES, "a=20=\r\n"},
	{"a line of one space", S(" \r\n"), LINES, "=20\r\n"},
	{"space before bare LF", S("a \nb"), PLAIN, "a =0Ab"},
	{"signature separator", S("-- \r\nme\r\n"), LINES, "=2D-=20\r\nme\r\n"},
	{"boundary", S("a\r\n--b--\r\n"), LINES, "a\r\n=2D-b--\r\n"},
	{"two hyphens", S("--"), PLAIN, "=2D-"},
	{"one hyphen", S("-a\r\n-"), PLAIN, "-a\r\n-"},
	{"dot alone", S(".\r\n"), LINES, "=2E\r\n"},
	{"dot alone at the end", S("a\r\n."), PLAIN, "a\r\n=2E"},
	{"leading dots", S("..a\r\n.b\r\n"), LINES, "=2E.a\r\n=2Eb\r\n"},
	{"From at a line start", S("From me\r\na From b\r\nFrom "), PLAIN,
	 "=46rom me\r\na From b\r\n=46rom=20"},
	{"other From", S("From\r\nFrom\tx\r\n>From x\r\nfrom x\r\nFro"), PLAIN,
	 "From\r\nFrom\tx\r\n>From x\r\nfrom x\r\nFro"},
	{"75", S(X70 "12345"), PLAIN, X70 "12345"},
	{"76", S(X70 "123456"), PLAIN, X70 "123456"},
	{"77", S(X70 "1234567"), PLAIN, X70 "12345=\r\n67"},
	{"75 as lines", S(X70 "12345"), LINES, X70 "12345=\r\n"},
	{"76 as lines", S(X70 "123456"), LINES, X70 "12345=\r\n6=\r\n"},
	{"75 and CRLF", S(X70 "12345\r\n"), LINES, X70 "12345\r\n"},
	{"76 and CRLF", S(X70 "123456\r\n"), LINES, X70 "123456\r\n"},
	{"77 and CRLF", S(X70 "1234567\r\n"), LINES, X70 "12345=\r\n67\r\n"},
	{"76 and bare CR", S(X70 "123456\r"), PLAIN, X70 "12345=\r\n6=0D"},
	{"75 and bare LF", S(X70 "12345\n"), PLAIN, X70 "12345=\r\n=0A"},
	{"escape to 75", S(X70 "12\xff."), PLAIN, X70 "12=FF."},
	{"escape to 75, more", S(X70 "12\xff.."), PLAIN, X70 "12=FF=\r\n=2E."},
	{"escape to 76", S(X70 "123\xff"), PLAIN, X70 "123=FF"},
	{"escape to 76 and CRLF", S(X70 "123\xff\r\n"), LINES, X70 "123=FF\r\n"},
	{"escape to 76 as lines", S(X70 "123\xff"), LINES, X70 "123=\r\n=FF=\r\n"},
	{"escape to 76, more",
	 S(X70 "123\xff"
	       "a"),
	 PLAIN, X70 "123=\r\n=FFa"},
	{"escape to 77", S(X70 "1234\xff"), PLAIN, X70 "1234=\r\n=FF"},
	{"escape to 78", S(X70 "12345\xff"), PLAIN, X70 "12345=\r\n=FF"},
	{"escapes at the edge", S(X70 "1234\xff\xfe"), PLAIN, X70 "1234=\r\n=FF=FE"},
	{"space as the 73rd", S(X70 "12 "), PLAIN, X70 "12=20"},
	{"space as the 74th", S(X70 "123 "), PLAIN, X70 "123=20"},
	{"space as the 75th", S(X70 "1234 "), PLAIN, X70 "1234=\r\n=20"},
	{"space as the 76th", S(X70 "12345 "), PLAIN, X70 "12345=\r\n=20"},
	{"space as the 77th", S(X70 "123456 "), PLAIN, X70 "12345=\r\n6=20"},
	{"space as the 74th as lines", S(X70 "123 "), LINES, X70 "123=\r\n=20=\r\n"},
	{"space as the 76th and CRLF", S(X70 "12345 \r\n"), LINES, X70 "12345=\r\n=20\r\n"},
	{"spaces around the edge", S(X70 "1234   \r\n"), LINES, X70 "1234 =\r\n =20\r\n"},
	{"space before a soft break", S(X70 "1234 12"), PLAIN, X70 "1234 =\r\n12"},
	{"dot after a soft break", S(X70 "12345.6"), PLAIN, X70 "12345=\r\n=2E6"},
	{"dot as the 76th", S(X70 "12345."), PLAIN, X70 "12345."},
	{"hyphens after a soft break", S(X70 "12345--6"), PLAIN, X70 "12345=\r\n=2D-6"},
	{"hyphens across a soft break", S(X70 "1234--"), PLAIN, X70 "1234--"},
	{"hyphens across a soft break, more", S(X70 "1234--6"), PLAIN, X70 "1234-=\r\n-6"},
	{"From after a soft break", S(X70 "12345From me"), PLAIN, X70 "12345=\r\n=46rom me"},
};

static void
test_quoted_printable_encode(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(encoded); i++) {
		struct buf out = BUF_INIT;

		buf_puts(&out, "before:");
		quoted_printable_encode(encoded[i].content, encoded[i].len, encoded[i].as_lines,
					&out);
		check_true(encoded[i].name,
			   !buf_failed(&out) && g_str_has_prefix(out.data, "before:"));
		check_string(encoded[i].name, out.data + 7, encoded[i].want);
		check_int(encoded[i].name, out.len, 7 + strlen(encoded[i].want));
		buf_free(&out);
		check_round_trip(encoded[i].name, encoded[i].content, encoded[i].len);
	}
}

/* ---- all octets, all places */

/* The octet at a place of a content that is otherwise letters and CRLFs. */
static void
check_octet(unsigned c, const char *before, const char *after)
{
	char *name = g_strdup_printf("octet %u after \"%s\" before \"%s\"", c, before, after);
	struct buf content = BUF_INIT;
	const char octet = (char)c;

	buf_puts(&content, before);
	buf_add(&content, &octet, 1);
	buf_puts(&content, after);
	check_round_trip(name, content.data, content.len);
	buf_free(&content);
	g_free(name);
}

static void
test_every_octet(void **state)
{
	static const struct {
		const char *before, *after;
	} places[] = {
		{"", ""},         {"", "\r\n"},        {"a", "b"},           {"a\r\n", "b"},
		{"a\r\n", ""},    {"a", "\r\nb"},      {"a", "\nb"},         {"a\r", "b"},
		{X70 "123", ""},  {X70 "1234", ""},    {X70 "12345", ""},    {X70 "123456", ""},
		{X70 "12", "34"}, {X70 "123", "\r\n"}, {X70 "1234", "\r\n"}, {X70 "12345", "\r\n"},
	};

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
			check_octet(c, places[i].before, places[i].after);
}

/* Random contents: of any octets, and of those that are hard on the line rules. */
static void
test_random(void **state)
{
	static const char hard[] = " \t\r\n\r\n..--From =a\xff";
	static char data[100000];
	GRand *random = g_rand_new_with_seed(20450607);

	(void)state;
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (char)g_rand_int_range(random, 0, 256);
	check_round_trip("any octets", data, sizeof data);
	for (int n = 0; n < 2000; n++) {
		size_t len = (size_t)g_rand_int_range(random, 0, 200), run = 0;

		for (size_t i = 0; i < len; i++) {
			if (run == 0 && g_rand_boolean(random))
				run = (size_t)g_rand_int_range(random, 0, 80);
			data[i] =
				run > 0 ? 'x' : hard[g_rand_int_range(random, 0, sizeof hard - 1)];
			run -= run > 0;
		}
		check_round_trip("hard octets", data, len);
	}
	g_rand_free(random);
}

/* ---- quoted-printable, decoded */

static const struct {
	const char *name, *text;
	const char *content; /* NULL: broken */
	size_t len;
} quoted_printable[] = {
	{"empty", "", S("")},
	{"text", "hello", S("hello")},
	{"RFC 2045 6.7",
	 "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
	 S("Now's the time for all folk to come to the aid of their country.")},
	{"escapes", "=C3=a9=3D=0d=0A=00", S("\xc3\xa9=\r\n\0")},
	{"lines", "a\r\n\r\nb\r\n", S("a\r\n\r\nb\r\n")},
	{"soft break at the end", "a=\r\n", S("a")},
	{"soft breaks only", "=\r\n=\r\n", S("")},
	{"blank before a soft break", "a \t=\r\nb", S("a \tb")},
	{"escaped blank at the end", "a=20\r\nb=09", S("a \r\nb\t")},
	{"line start", " a\r\n\tb", S(" a\r\n\tb")},
	{"long line", X70 X70, S(X70 X70)},
	{"equals sign at the end", "a=", NULL, 0},
	{"one digit at the end", "a=4", NULL, 0},
	{"CR of a soft break at the end", "a=\r", NULL, 0},
	{"soft break with LF", "a=\nb", NULL, 0},
	{"soft break with CR", "a=\rb", NULL, 0},
	{"soft break with a space", "a= \r\nb", NULL, 0},
	{"soft break with a tab", "a=\t\r\nb", NULL, 0},
	{"no digit first", "=G0", NULL, 0},
	{"no digit second", "=0g", NULL, 0},
	{"two equals signs", "==41", NULL, 0},
	{"equals sign as a digit", "=4=", NULL, 0},
	{"text behind an equals sign", "a=bc", S("a\xbc")},
	{"digit and CRLF", "=4\r\n1", NULL, 0},
	{"bare LF", "a\nb", NULL, 0},
	{"bare CR", "a\rb", NULL, 0},
	{"CR at the end", "a\r", NULL, 0},
	{"LF CR", "a\n\r", NULL, 0},
	{"CR CRLF", "a\r\r\n", NULL, 0},
	{"CRLF LF", "a\r\n\n", NULL, 0},
	{"space before CRLF", "a \r\nb", NULL, 0},
	{"tab before CRLF", "a\t\r\nb", NULL, 0},
	{"line of a space", " \r\n", NULL, 0},
	{"space at the end", "a ", NULL, 0},
	{"tab at the end", "\t", NULL, 0},
	{"space behind a soft break at the end", "a=\r\n ", NULL, 0},
	{"8-bit", "caf\xc3\xa9", NULL, 0},
	{"8-bit behind an equals sign", "=\xc3\xa9", NULL, 0},
	{"octet 255 after a long run", X70 "\xff", NULL, 0},
	{"DEL", "a\x7f", NULL, 0},
	{"BEL", "a\a", NULL, 0},
	{"form feed", "\f", NULL, 0},
};

static void
check_decoded(const char *name, bool (*decode)(const char *, size_t, struct buf *, const char **),
	      GMimeContentEncoding encoding, const struct buf *text, const struct buf *content)
{
	struct buf out = BUF_INIT, theirs;
	const char *why = NULL;

	buf_puts(&out, "before:");
	check_int(name, decode(text->data, text->len, &out, &why), content != NULL);
	check_true(name, g_str_has_prefix(out.data, "before:") && out.data[out.len] == '\0');
	if (content == NULL) {
		check_int(name, out.len, 7);
		check_string(name, why,
			     encoding == GMIME_CONTENT_ENCODING_BASE64 ? "broken-base64"
								       : "broken-quoted-printable");
	} else {
		check_int(name, out.len, 7 + content->len);
		check_true(name, memcmp(out.data + 7, content->data, content->len) == 0);
		theirs = gmime_decode(encoding, text);
		check_octets(name, &theirs, content->data, content->len);
		buf_free(&theirs);
	}
	buf_free(&out);
}

static void
test_quoted_printable_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(quoted_printable); i++) {
		const struct buf text = {(char *)quoted_printable[i].text,
					 strlen(quoted_printable[i].text), 0, false};
		const struct buf content = {(char *)quoted_printable[i].content,
					    quoted_printable[i].len, 0, false};

		check_decoded(quoted_printable[i].name, quoted_printable_decode,
			      GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE, &text,
			      content.data != NULL ? &content : NULL);
	}
}

/* A literal octet that is no text is refused wherever it stands; the others are taken. */
static void
test_quoted_printable_octets(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		char octets[] = {'a', (char)c, 'b', '\0'}, name[16];
		const struct buf text = {octets, 3, 0, false};
		bool right = c == '\t' || (c >= ' ' && c < 127 && c != '=');

		g_snprintf(name, sizeof name, "octet %u", c);
		check_decoded(name, quoted_printable_decode, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
			      &text, right ? &text : NULL);
	}
}

/* ---- base64 */

static const struct {
	const char *name, *content;
	size_t len;
	bool as_lines;
	const char *want;
} base64_encoded[] = {
	{"empty", S(""), PLAIN, ""},
	{"empty as lines", S(""), LINES, ""},
	{"RFC 4648: f", S("f"), PLAIN, "Zg=="},
	{"RFC 4648: fo", S("fo"), PLAIN, "Zm8="},
	{"RFC 4648: foo", S("foo"), PLAIN, "Zm9v"},
	{"RFC 4648: foob", S("foob"), PLAIN, "Zm9vYg=="},
	{"RFC 4648: fooba", S("fooba"), PLAIN, "Zm9vYmE="},
	{"RFC 4648: foobar as lines", S("foobar"), LINES, "Zm9vYmFy\r\n"},
	{"the last two of the alphabet", S("\xfb\xff\xbf"), PLAIN, "+/+/"},
	{"56 octets", S("12345678901234567890123456789012345678901234567890123456"), LINES,
	 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY=\r\n"},
	{"57 octets", S("123456789012345678901234567890123456789012345678901234567"), PLAIN,
	 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3"},
	{"57 octets as lines", S("123456789012345678901234567890123456789012345678901234567"),
	 LINES, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\r\n"},
	{"58 octets", S("1234567890123456789012345678901234567890123456789012345678"), PLAIN,
	 "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\r\nOA=="},
};

static void
test_base64_encode(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(base64_encoded); i++) {
		struct buf out = BUF_INIT;

		buf_puts(&out, "before:");
		base64_encode(base64_encoded[i].content, base64_encoded[i].len,
			      base64_encoded[i].as_lines, &out);
		check_string(base64_encoded[i].name, out.data + 7, base64_encoded[i].want);
		check_int(base64_encoded[i].name, out.len, 7 + strlen(base64_encoded[i].want));
		buf_free(&out);
		check_round_trip(base64_encoded[i].name, base64_encoded[i].content,
				 base64_encoded[i].len);
	}
}

static const struct {
	const char *name, *text;
	size_t text_len;
	const char *content; /* NULL: broken */
	size_t len;
} base64[] = {
	{"empty", S(""), S("")},
	{"CRLFs only", S("\r\n\r\n"), S("")},
	{"lines", S("Zm9v\r\nYmFy\r\n"), S("foobar")},
	{"empty lines", S("\r\n\r\nZm9v\r\n\r\n\r\nYmFy\r\n\r\n"), S("foobar")},
	{"lines that end within a group", S("Z\r\nm9\r\nvYm\r\nFy"), S("foobar")},
	{"padding of one", S("Zm8=\r\n\r\n"), S("fo")},
	{"padding of two", S("Zm9vYg=="), S("foob")},
	{"long line",
	 S("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"
	   "QUFB"),
	 S("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")},
	{"all bits", S("AAAA////++++"), S("\0\0\0\xff\xff\xff\xfb\xef\xbe")},
	{"1 character", S("Z"), NULL, 0},
	{"2 characters", S("Zg"), NULL, 0},
	{"3 characters", S("Zm8"), NULL, 0},
	{"5 characters", S("Zm9vY"), NULL, 0},
	{"5 characters on two lines", S("Zm9v\r\nY\r\n"), NULL, 0},
	{"one = too few", S("Zg="), NULL, 0},
	{"one = too many", S("Zm8=="), NULL, 0},
	{"= behind a full group", S("Zm9v="), NULL, 0},
	{"== behind a full group", S("Zm9v=="), NULL, 0},
	{"a group of =", S("Zm9v===="), NULL, 0},
	{"three =", S("Z==="), NULL, 0},
	{"four =", S("===="), NULL, 0},
	{"= at the start", S("=Zm9"), NULL, 0},
	{"= within", S("Zm=v"), NULL, 0},
	{"text after padding", S("Zg==Zm9v"), NULL, 0},
	{"text after padding on the next line", S("Zg==\r\nZm9v"), NULL, 0},
	{"padding on two lines", S("Zg=\r\n="), NULL, 0},
	{"padding on the next line", S("Zm8\r\n="), S("fo")},
	{"leftover bits of four", S("Zh=="), NULL, 0},
	{"highest leftover bit of four", S("Zo=="), NULL, 0},
	{"highest leftover bit of two", S("Zm6="), NULL, 0},
	{"leftover bits of two", S("Zm9="), NULL, 0},
	{"space", S("Zm9v YmFy"), NULL, 0},
	{"space before CRLF", S("Zm9v \r\nYmFy"), NULL, 0},
	{"space at the start", S(" Zm9v"), NULL, 0},
	{"space at the end", S("Zm9v "), NULL, 0},
	{"space after padding", S("Zg== "), NULL, 0},
	{"tab", S("Zm9v\t"), NULL, 0},
	{"bare LF", S("Zm9v\nYmFy"), NULL, 0},
	{"bare LF at the end", S("Zm9v\n"), NULL, 0},
	{"bare CR", S("Zm9v\rYmFy"), NULL, 0},
	{"CR at the end", S("Zm9v\r"), NULL, 0},
	{"CR after padding", S("Zg==\r"), NULL, 0},
	{"LF after padding", S("Zg==\n"), NULL, 0},
	{"LF CR", S("Zm9v\n\r"), NULL, 0},
	{"8-bit", S("Zm9v\xc3\xa9\xc3\xa9"), NULL, 0},
	{"NUL", S("Zm9v\0\0\0\0"), NULL, 0},
	{"NUL after padding", S("Zg==\0"), NULL, 0},
	{"RFC 4648 5: -", S("Zm9-"), NULL, 0},
	{"RFC 4648 5: _", S("_m9v"), NULL, 0},
	{"exclamation mark", S("Zm9v!YmFy"), NULL, 0},
	{"list footer", S("Zm9v\r\n\r\n-- \r\nlist\r\n"), NULL, 0},
};

static void
test_base64_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(base64); i++) {
		const struct buf text = {(char *)base64[i].text, base64[i].text_len, 0, false};
		const struct buf content = {(char *)base64[i].content, base64[i].len, 0, false};

		check_decoded(base64[i].name, base64_decode, GMIME_CONTENT_ENCODING_BASE64, &text,
			      content.data != NULL ? &content : NULL);
	}
}

/* Exactly 64 characters are taken, at each place of a group. */
static void
test_base64_octets(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (unsigned place = 0; place < 4; place++) {
			char text[] = "AAAAAAAA", name[24];
			struct buf out = BUF_INIT;
			const char *why = NULL;
			bool right = c != 0 && strchr(alphabet, (int)c) != NULL;

			if (c == '=' && place == 3)
				continue; /* padding */
			text[4 + place] = (char)c;
			g_snprintf(name, sizeof name, "octet %u as %u", c, place);
			check_int(name, base64_decode(text, 8, &out, &why), right);
			check_int(name, out.len, right ? 6 : 0);
			if (right)
				check_int(name,
					  (uint8_t)out.data[3] << 16 | (uint8_t)out.data[4] << 8 |
						  (uint8_t)out.data[5],
					  (strchr(alphabet, (int)c) - alphabet)
						  << (18 - 6 * place));
			buf_free(&out);
		}
}

/* ---- memory */

/* What stands behind the end is not looked at. */
static void
test_length_counts(void **state)
{
	static const struct {
		const char *name, *content;
		size_t len;
		const char *want;
	} cases[] = {
		{"CR of a CRLF", "a\r\n", 2, "a=0D"},
		{"space before a letter", "a b", 2, "a=20"},
		{"a hyphen of two", "--", 1, "-"},
		{"From", "From me", 4, "From"},
	};
	struct buf out = BUF_INIT;
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		quoted_printable_encode(cases[i].content, cases[i].len, false, &out);
		check_string(cases[i].name, out.data, cases[i].want);
		buf_clear(&out, SIZE_MAX);
	}
	assert_false(quoted_printable_decode("=41", 2, &out, &why));
	assert_false(quoted_printable_decode("=\r\n", 2, &out, &why));
	assert_false(quoted_printable_decode("a\r\n", 2, &out, &why));
	assert_false(quoted_printable_decode("a b", 2, &out, &why));
	assert_false(base64_decode("Zm9vYmFy", 7, &out, &why));
	assert_false(base64_decode("Zg==", 3, &out, &why));
	assert_false(base64_decode("Zm9v\r\n", 5, &out, &why));
	buf_free(&out);
}

static void
test_failed_buf(void **state)
{
	struct buf out = BUF_INIT;
	const char *why = NULL;

	(void)state;
	out.failed = true;
	quoted_printable_encode("a", 1, true, &out);
	base64_encode("a", 1, true, &out);
	assert_int_equal(out.len, 0);
	assert_false(quoted_printable_decode("a", 1, &out, &why));
	assert_string_equal(why, "no-memory");
	why = NULL;
	assert_false(base64_decode("Zg==", 4, &out, &why));
	assert_string_equal(why, "no-memory");
	assert_int_equal(out.len, 0);
	assert_true(buf_failed(&out));
	buf_free(&out);
}

/* Nothing to do with nothing, which may be no memory at all. */
static void
test_nothing(void **state)
{
	struct buf out = BUF_INIT;
	const char *why = NULL;
	struct survey s = codec_survey(NULL, 0);

	(void)state;
	assert_true(s.ends_line && survey_is_7bit(&s));
	quoted_printable_encode(NULL, 0, true, &out);
	base64_encode(NULL, 0, true, &out);
	assert_true(quoted_printable_decode(NULL, 0, &out, &why));
	assert_true(base64_decode(NULL, 0, &out, &why));
	assert_int_equal(out.len, 0);
	assert_false(buf_failed(&out));
	buf_free(&out);
}

/* ---- survey */

/* What codec.h says, octet by octet. */
static struct survey
survey_slowly(const char *p, size_t len)
{
	struct survey s = {0};
	size_t line = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)p[i];
		bool cr = c == '\r' && i + 1 < len && p[i + 1] == '\n';
		bool lf = c == '\n' && i > 0 && p[i - 1] == '\r';

		s.has_8bit |= c > 127;
		s.has_nul |= c == 0;
		s.has_bare_cr |= c == '\r' && !cr;
		s.has_bare_lf |= c == '\n' && !lf;
		line = lf ? 0 : line + !cr;
		s.has_long_line |= line > CODEC_LINE_MAX;
		s.escapes += (c < 32 && c != '\t' && !cr && !lf) || c > 126 || c == '=';
	}
	s.ends_line = len == 0 || (len >= 2 && memcmp(p + len - 2, "\r\n", 2) == 0);
	return s;
}

static void
check_survey(const char *name, const char *p, size_t len)
{
	struct survey got = codec_survey(p, len), want = survey_slowly(p, len);

	check_int(name, got.has_8bit, want.has_8bit);
	check_int(name, got.has_nul, want.has_nul);
	check_int(name, got.has_bare_cr, want.has_bare_cr);
	check_int(name, got.has_bare_lf, want.has_bare_lf);
	check_int(name, got.has_long_line, want.has_long_line);
	check_int(name, got.ends_line, want.ends_line);
	check_int(name, got.escapes, want.escapes);
}

static const struct {
	const char *name, *text;
	size_t len;
	struct survey want; /* 8bit, NUL, CR, LF, long, ends_line, escapes */
	bool lines, ascii;
} surveys[] = {
	{"empty", S(""), {0, 0, 0, 0, 0, 1, 0}, true, true},
	{"text", S("hello"), {0, 0, 0, 0, 0, 0, 0}, true, true},
	{"line", S("hello\tyou \r\n"), {0, 0, 0, 0, 0, 1, 0}, true, true},
	{"8-bit", S("caf\xc3\xa9\r\n"), {1, 0, 0, 0, 0, 1, 2}, true, false},
	{"octet 127", S("\x7f"), {0, 0, 0, 0, 0, 0, 1}, true, true},
	{"octet 128", S("\x80"), {1, 0, 0, 0, 0, 0, 1}, true, false},
	{"equals signs", S("a=b=c"), {0, 0, 0, 0, 0, 0, 2}, true, true},
	{"NUL", S("a\0b"), {0, 1, 0, 0, 0, 0, 1}, false, false},
	{"bare CR", S("a\rb\r\n"), {0, 0, 1, 0, 0, 1, 1}, false, false},
	{"bare LF", S("a\nb\r\n"), {0, 0, 0, 1, 0, 1, 1}, false, false},
	{"LF CR", S("a\n\r"), {0, 0, 1, 1, 0, 0, 2}, false, false},
	{"CR CRLF", S("\r\r\n"), {0, 0, 1, 0, 0, 1, 1}, false, false},
	{"CRLF LF", S("\r\n\n"), {0, 0, 0, 1, 0, 0, 1}, false, false},
	{"as many CRs as LFs", S("a\rb\nc"), {0, 0, 1, 1, 0, 0, 2}, false, false},
	{"CR at the end", S("a\r"), {0, 0, 1, 0, 0, 0, 1}, false, false},
	{"LF at the start", S("\na"), {0, 0, 0, 1, 0, 0, 1}, false, false},
	{"LF alone", S("\n"), {0, 0, 0, 1, 0, 0, 1}, false, false},
	{"controls", S("\a\x1b\x1f"), {0, 0, 0, 0, 0, 0, 3}, true, true},
};

static void
test_survey(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(surveys); i++) {
		const char *name = surveys[i].name;
		struct survey s = codec_survey(surveys[i].text, surveys[i].len);

		check_int(name, s.has_8bit, surveys[i].want.has_8bit);
		check_int(name, s.has_nul, surveys[i].want.has_nul);
		check_int(name, s.has_bare_cr, surveys[i].want.has_bare_cr);
		check_int(name, s.has_bare_lf, surveys[i].want.has_bare_lf);
		check_int(name, s.has_long_line, surveys[i].want.has_long_line);
		check_int(name, s.ends_line, surveys[i].want.ends_line);
		check_int(name, s.escapes, surveys[i].want.escapes);
		check_int(name, survey_is_lines(&s), surveys[i].lines);
		check_int(name, survey_is_7bit(&s), surveys[i].ascii);
	}
}

/* Each kind of octet at each place of texts of all lengths around the survey's blocks. */
static void
test_survey_places(void **state)
{
	static const char *const kinds[] = {"\r", "\n", "\r\n", "\n\r", "\xff",
					    "=",  "\t", "\x7f", "\1"};
	char text[500], name[64];

	(void)state;
	for (size_t len = 2; len < sizeof text; len += len < 230 || len > 250 ? 13 : 1)
		for (size_t k = 0; k < G_N_ELEMENTS(kinds); k++)
			for (size_t at = 0; at + strlen(kinds[k]) <= len; at++) {
				memset(text, 'x', len);
				text[len] = '\n'; /* none of it */
				memcpy(text + at, kinds[k], strlen(kinds[k]));
				g_snprintf(name, sizeof name, "kind %zu at %zu of %zu", k, at, len);
				check_survey(name, text, len);
			}
	memset(text, '=', sizeof text);
	check_survey("equals signs", text, sizeof text);
	memset(text, '\0', sizeof text);
	check_survey("NULs", text, sizeof text);
	memset(text, 0xff, sizeof text);
	check_survey("octets 255", text, sizeof text);
	memset(text, '\r', sizeof text);
	check_survey("CRs", text, sizeof text);
	memset(text, '\n', sizeof text);
	check_survey("LFs", text, sizeof text);
}

/* Lines of given lengths, and what follows them. */
static void
check_lines(const char *name, const int *lengths, const char *end, const char *rest, bool is_long)
{
	struct buf text = BUF_INIT;
	struct survey s;

	for (; *lengths >= 0; lengths++) {
		for (int i = 0; i < *lengths; i++)
			buf_puts(&text, "x");
		buf_puts(&text, lengths[1] >= 0 ? "\r\n" : end);
	}
	buf_puts(&text, rest);
	s = codec_survey(text.data, text.len);
	check_int(name, s.has_long_line, is_long);
	check_int(name, survey_is_lines(&s), !is_long && !s.has_bare_cr && !s.has_bare_lf);
	check_survey(name, text.data, text.len);
	buf_free(&text);
}

static void
test_long_lines(void **state)
{
	static const struct {
		const char *name;
		int lengths[8];
		const char *end, *rest;
		bool is_long;
	} cases[] = {
		{"998", {998, -1}, "\r\n", "", false},
		{"999", {999, -1}, "\r\n", "", true},
		{"998 without CRLF", {998, -1}, "", "", false},
		{"999 without CRLF", {999, -1}, "", "", true},
		{"998 and CR", {998, -1}, "\r", "", true},
		{"998 and LF", {998, -1}, "\n", "", true},
		{"997 and LF", {997, -1}, "\n", "", false},
		{"several of 998", {998, 998, 998, -1}, "\r\n", "", false},
		{"999 between short ones", {0, 5, 999, 7, -1}, "\r\n", "", true},
		{"998 between short ones", {0, 5, 998, 7, -1}, "\r\n", "", false},
		{"999 at the end", {70, 70, 0, 999, -1}, "", "", true},
		{"998 at the end", {70, 70, 0, 998, -1}, "", "", false},
		{"999 at the start", {999, 1, -1}, "\r\n", "", true},
		{"500 LF 500", {500, -1}, "\n", X70 X70 X70 X70 X70 X70 X70 X70 X70 X70, true},
		{"long with CRs and LFs", {990, -1}, "\n\r\n\n\r\n\n\n\n\n", "", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_lines(cases[i].name, cases[i].lengths, cases[i].end, cases[i].rest,
			    cases[i].is_long);
}

/* The estimate is exact where no octet is escaped for its place. */
static void
test_escapes_are_the_cost(void **state)
{
	char data[60];

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		struct buf out = BUF_INIT;
		char name[16];

		g_snprintf(name, sizeof name, "octet %u", c);
		memset(data, 'x', sizeof data);
		data[20] = (char)c;
		quoted_printable_encode(data, sizeof data, false, &out);
		check_int(name, out.len, sizeof data + 2 * codec_survey(data, sizeof data).escapes);
		buf_free(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quoted_printable_encode),
		cmocka_unit_test(test_every_octet),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_quoted_printable_decode),
		cmocka_unit_test(test_quoted_printable_octets),
		cmocka_unit_test(test_base64_encode),
		cmocka_unit_test(test_base64_decode),
		cmocka_unit_test(test_base64_octets),
		cmocka_unit_test(test_length_counts),
		cmocka_unit_test(test_failed_buf),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_survey),
		cmocka_unit_test(test_survey_places),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_escapes_are_the_cost),
	};

	g_mime_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
