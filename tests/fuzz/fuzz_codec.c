/*
 * fuzz_codec - quoted-printable and base64: what we encode comes back, what we decode has one
 * reading.
 *
 * Input: one octet chooses what is done, the rest is the content or the text.  GMime's decoders
 * are the second reader.  They take broken texts too: which texts are right is told by patterns,
 * made from the grammar of RFC 2045 6.7 and 6.8.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "core/codec.h"

#include <gmime/gmime.h>
#include <string.h>

/* Plain octets, escapes, soft breaks, and line ends that no blank precedes: nor the end. */
#define QUOTED_PRINTABLE \
	"\\A(?:[\\t\\x20-\\x3c\\x3e-\\x7e]|=[0-9A-Fa-f]{2}|=\\r\\n|" \
	"(?<![\\t ])\\r\\n)*+(?<![\\t ])\\z"

/* Four characters with line ends between them; the last group may be padded, with no bits set. */
#define CRLFS "(?:\\r\\n)*+"
#define CHARACTER CRLFS "[A-Za-z0-9+/]"
#define BASE64 \
	"\\A(?:" CHARACTER CHARACTER CHARACTER CHARACTER ")*+(?:" CHARACTER CRLFS "[AQgw]" CRLFS \
	"==|" CHARACTER CHARACTER CRLFS "[AEIMQUYcgkosw048]" CRLFS "=)?" CRLFS "\\z"

/* A codec under test. */
struct codec {
	void (*encode)(const void *data, size_t len, bool as_lines, struct buf *out);
	bool (*decode)(const char *text, size_t len, struct buf *out, const char **why);
	GMimeContentEncoding encoding;
	const char *pattern;
	GRegex *right;
};

static struct codec codecs[] = {
	{quoted_printable_encode, quoted_printable_decode, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
	 QUOTED_PRINTABLE, NULL},
	{base64_encode, base64_decode, GMIME_CONTENT_ENCODING_BASE64, BASE64, NULL},
};

static void
require_same(const struct buf *got, const void *want, size_t len)
{
	require(!buf_failed(got));
	require(got->len == len);
	require(len == 0 || memcmp(got->data, want, len) == 0);
}

/* GMime decodes the text to the content, too. */
static void
check_second_reader(const struct codec *c, const void *text, size_t len, const struct buf *content)
{
	GMimeEncoding state;
	struct buf out = BUF_INIT;

	g_mime_encoding_init_decode(&state, c->encoding);
	buf_reserve(&out, g_mime_encoding_outlen(&state, len) + 1);
	require(!buf_failed(&out));
	if (len > 0)
		out.len = g_mime_encoding_flush(&state, text, len, out.data);
	require_same(&out, content->data, content->len);
	buf_free(&out);
}

/* Lines that every hop carries and nobody takes for something else. */
static void
check_line(const char *line, size_t len)
{
	require(len <= 76);
	for (size_t i = 0; i < len; i++)
		require((line[i] >= ' ' && line[i] < 127) || line[i] == '\t');
	if (len == 0)
		return;
	require(line[len - 1] != ' ' && line[len - 1] != '\t');
	require(line[0] != '.');
	require(len < 2 || strncmp(line, "--", 2) != 0);
	require(len < 5 || strncmp(line, "From ", 5) != 0);
}

static void
check_text(const struct buf *text, bool as_lines)
{
	size_t at = 0;

	while (at < text->len) {
		const char *line = text->data + at, *lf = memchr(line, '\n', text->len - at);

		require(lf != NULL || !as_lines);
		if (lf == NULL) {
			check_line(line, text->len - at);
			return;
		}
		require(lf > line && lf[-1] == '\r');
		check_line(line, (size_t)(lf - line) - 1);
		at += (size_t)(lf - line) + 1;
	}
}

/* decode(encode(x)) = x, by us and by GMime. */
static void
content(const struct codec *c, bool as_lines, struct input in)
{
	struct buf text = BUF_INIT, back = BUF_INIT;
	const char *why = NULL;

	c->encode(in.data, in.len, as_lines, &text);
	require(!buf_failed(&text));
	check_text(&text, as_lines);
	require_of(c->decode(text.data, text.len, &back, &why), why);
	require_same(&back, in.data, in.len);
	check_second_reader(c, text.data, text.len, &back);
	buf_free(&back);
	buf_free(&text);
}

/* True if the text is right, by its grammar. */
static bool
right(struct codec *c, const void *data, size_t len)
{
	GError *error = NULL;
	bool match;

	if (c->right == NULL)
		c->right = g_regex_new(c->pattern, G_REGEX_RAW | G_REGEX_DOLLAR_ENDONLY, 0, NULL);
	require(c->right != NULL);
	match = g_regex_match_full(c->right, len > 0 ? data : "", (gssize)len, 0, 0, NULL, &error);
	require(error == NULL);
	return match;
}

/* Any text: taken when it is right and only then, and read as GMime reads it. */
static void
coded(struct codec *c, struct input in)
{
	struct buf out = BUF_INIT;
	const char *why = NULL;
	bool ok;

	buf_puts(&out, "before");
	ok = c->decode((const char *)in.data, in.len, &out, &why);
	require(!buf_failed(&out) && out.len >= 6 && memcmp(out.data, "before", 6) == 0);
	require(ok == right(c, in.data, in.len));
	if (ok) {
		struct buf decoded = {out.data + 6, out.len - 6, 0, false};

		check_second_reader(c, in.data, in.len, &decoded);
	} else {
		require(out.len == 6 && why != NULL);
	}
	buf_free(&out);
}

/* What the survey says, octet by octet. */
static void
survey(struct input in)
{
	struct survey got = codec_survey(in.data, in.len), want = {0};
	size_t line = 0;

	for (size_t i = 0; i < in.len; i++) {
		unsigned c = in.data[i];
		bool cr = c == '\r' && i + 1 < in.len && in.data[i + 1] == '\n';
		bool lf = c == '\n' && i > 0 && in.data[i - 1] == '\r';

		want.has_8bit |= c > 127;
		want.has_nul |= c == 0;
		want.has_bare_cr |= c == '\r' && !cr;
		want.has_bare_lf |= c == '\n' && !lf;
		line = lf ? 0 : line + !cr;
		want.has_long_line |= line > CODEC_LINE_MAX;
		want.ends_line = lf;
		want.escapes += (c < 32 && c != '\t' && !cr && !lf) || c > 126 || c == '=';
	}
	require(got.has_8bit == want.has_8bit && got.has_nul == want.has_nul);
	require(got.has_bare_cr == want.has_bare_cr && got.has_bare_lf == want.has_bare_lf);
	require(got.has_long_line == want.has_long_line && got.escapes == want.escapes);
	require(got.ends_line == (want.ends_line || in.len == 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned what = input_choice(&in, 8);

	g_mime_init();
	survey(in);
	if (what < 4)
		content(&codecs[what / 2], what % 2 == 1, in);
	else
		coded(&codecs[what % 2], in);
	return 0;
}
