/*
 * codec - content-transfer-encodings (RFC 2045 6); see codec.h for the contract.
 *
 * The survey counts octets in blocks without a branch, which compilers turn into vector code; what it
 * has to say follows from the counts.  The encoders write line by line.  The decoders write into room
 * for the longest possible result, which becomes content of the buf when all of the text was right.
 *
 * A quoted-printable text is refused if it has
 *	- a "=" that neither two hexadecimal digits (of any case) nor CRLF follow; a "=" with blanks
 *	  before CRLF, which some readers skip, is refused too,
 *	- a space or tab before CRLF or at the end, which some readers drop: RFC 2045 6.7 (3),
 *	- an octet over 127, a control character other than tab, a CR or LF without the other.
 * Lines may be longer than 76: all readers agree on those.
 *
 * A base64 text is refused if it has
 *	- anything but the alphabet of RFC 2045 6.8 and CRLF: readers skip others, or end there,
 *	- a number of characters that is no multiple of 4,
 *	- "=" anywhere but as the last one or two characters, on one line,
 *	- bits before the padding that are not zero: more than one text for the same content.
 *
 * The only failure of the encoders is memory, which the buf tells.  libcrypto encodes base64; its
 * decoder skips blanks and ends at "-", so that the table here is needed, and no slower.
 */
#include "core/codec.h"

#include <glib.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#define ENCODED_MAX 76 /* octets of an encoded line without CRLF: RFC 2045 6.7 (5), 6.8 */
#define LINE_ROOM (ENCODED_MAX + 2)         /* with it */
#define SOFT_MAX (ENCODED_MAX - 1)          /* with the "=" of a soft line break to come */
#define BASE64_OCTETS (ENCODED_MAX / 4 * 3) /* that make a line */
#define ESCAPE 3                            /* octets of =XX */

/* True for what quoted-printable may hold as it is: printable ASCII but "=", space, tab. */
/* clang-format off */
static const uint8_t plain[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, /* \t */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, /* = */
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, /* DEL; the rest is 0 */
};
/* clang-format on */

/* Copies plain octets, as many as there are; returns the end of the copy. */
static uint8_t *
copy_plain(const uint8_t **from, const uint8_t *end, uint8_t *o)
{
	const uint8_t *p = *from;

	for (; end - p >= 8 && (plain[p[0]] & plain[p[1]] & plain[p[2]] & plain[p[3]] &
				plain[p[4]] & plain[p[5]] & plain[p[6]] & plain[p[7]]);
	     p += 8, o += 8)
		memcpy(o, p, 8);
	while (p < end && plain[*p])
		*o++ = *p++;
	*from = p;
	return o;
}

static bool
at_crlf(const uint8_t *p, const uint8_t *end)
{
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t';
}

/* ---- survey */

#define BLOCK 240 /* a multiple of a vector's size; below 256, so that one octet counts */

struct counts {
	uint8_t all; /* octets, or-ed */
	bool nul;
	size_t cr, lf, crlf;
	size_t escapes; /* octets that are not plain, CRs and LFs among them */
};

/* Counts in p[0] to p[BLOCK - 1]; p[BLOCK] is looked at for the LF of a CR. */
static void
count_block(const uint8_t *p, struct counts *counts)
{
	uint8_t all = 0, nul = 0, cr = 0, lf = 0, crlf = 0, escapes = 0;

	for (int i = 0; i < BLOCK; i++) {
		all |= p[i];
		nul |= p[i] == 0;
		cr += p[i] == '\r';
		lf += p[i] == '\n';
	}
	for (int i = 0; i < BLOCK; i++)
		crlf += (p[i] == '\r') & (p[i + 1] == '\n');
	for (int i = 0; i < BLOCK; i++)
		escapes += (((int8_t)p[i] < ' ') & (p[i] != '\t')) | (p[i] == '=') | (p[i] == 127);
	counts->all |= all;
	counts->nul |= nul != 0;
	counts->cr += cr;
	counts->lf += lf;
	counts->crlf += crlf;
	counts->escapes += escapes;
}

static struct counts
count(const uint8_t *p, size_t len)
{
	struct counts counts = {0};
	uint8_t last[BLOCK + 1];

	for (; len > BLOCK; p += BLOCK, len -= BLOCK)
		count_block(p, &counts);
	memset(last, 'x', sizeof last); /* counts as nothing */
	if (len > 0)
		memcpy(last, p, len);
	count_block(last, &counts);
	return counts;
}

/*
 * True if a line is too long.  Looks for CRLF backwards, from the last place where that of the
 * first line may stand: of usual text only one octet in twenty is read.
 */
static bool
find_long_line(const uint8_t *p, size_t len)
{
	while (len > CODEC_LINE_MAX) {
		size_t n = MIN(len, CODEC_LINE_MAX + 2);

		while (n >= 2 && !(p[n - 2] == '\r' && p[n - 1] == '\n'))
			n--;
		if (n < 2)
			return true;
		p += n;
		len -= n;
	}
	return false;
}

struct survey
codec_survey(const void *data, size_t len)
{
	const uint8_t *p = data;
	struct counts counts = count(p, len);
	struct survey s;

	s.has_8bit = counts.all > 127;
	s.has_nul = counts.nul;
	s.has_bare_cr = counts.cr != counts.crlf;
	s.has_bare_lf = counts.lf != counts.crlf;
	s.has_long_line = find_long_line(p, len);
	s.ends_line = len == 0 || (len >= 2 && p[len - 2] == '\r' && p[len - 1] == '\n');
	s.escapes = counts.escapes - 2 * counts.crlf;
	return s;
}

/* True if a CR in p[0] to p[BLOCK - 1] has no LF behind it; p[BLOCK] is looked at. */
static bool
block_has_bare_cr(const uint8_t *p)
{
	uint8_t bare = 0;

	for (int i = 0; i < BLOCK; i++)
		bare |= (p[i] == '\r') & (p[i + 1] != '\n');
	return bare != 0;
}

bool
codec_has_bare_cr(const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > BLOCK; p += BLOCK, len -= BLOCK)
		if (block_has_bare_cr(p))
			return true;
	for (size_t i = 0; i < len; i++)
		if (p[i] == '\r' && (i + 1 == len || p[i + 1] != '\n'))
			return true;
	return false;
}

bool
survey_is_lines(const struct survey *s)
{
	return !s->has_nul && !s->has_bare_cr && !s->has_bare_lf && !s->has_long_line;
}

bool
survey_is_7bit(const struct survey *s)
{
	return !s->has_8bit && survey_is_lines(s);
}

/* ---- what both decoders need */

/* Room for len octets behind the content; no content may be lost to a forgotten buf_failed(). */
static bool
make_room(struct buf *out, size_t len, const char **why)
{
	buf_reserve(out, len);
	if (buf_failed(out)) {
		*why = "no-memory";
		return false;
	}
	return true;
}

/* Keeps len octets that were written there. */
static void
keep(struct buf *out, size_t len)
{
	out->len += len;
	out->data[out->len] = '\0';
}

/* ---- quoted-printable */

static uint8_t *
put_escape(uint8_t *o, uint8_t c)
{
	static const char digits[] = "0123456789ABCDEF";

	o[0] = '=';
	o[1] = (uint8_t)digits[c >> 4];
	o[2] = (uint8_t)digits[c & 15];
	return o + ESCAPE;
}

/*
 * True if the octet must not begin an output line: "From " that an mbox would quote, a dot that
 * somebody might forget to double or to take away (RFC 5321 4.5.2), what looks like a boundary.
 */
static bool
escape_at_start(const uint8_t *p, const uint8_t *end)
{
	size_t len = (size_t)(end - p);

	return p[0] == '.' || (p[0] == '-' && len >= 2 && p[1] == '-') ||
	       (p[0] == 'F' && len >= 5 && memcmp(p, "From ", 5) == 0);
}

/* True if an output line may have len octets when what is left begins at p. */
static bool
fits(size_t len, const uint8_t *p, const uint8_t *end, bool as_lines)
{
	if (len <= SOFT_MAX)
		return true;
	return len <= ENCODED_MAX && (p == end ? !as_lines : at_crlf(p, end)); /* without a "=" */
}

/*
 * Writes the octets of one output line without its break; returns their end, and in *from what is
 * left.  A line takes at least one octet, but for an empty one.
 */
static uint8_t *
encode_line(const uint8_t **from, const uint8_t *end, bool as_lines, uint8_t *line)
{
	const uint8_t *p = *from;
	uint8_t *o = line;

	if (escape_at_start(p, end))
		o = put_escape(o, *p++);
	for (;;) {
		if (p < end && plain[*p]) /* else text of escapes pays for the call */
			o = copy_plain(&p, p + MIN(end - p, line + SOFT_MAX - o), o);
		if (p == end || at_crlf(p, end))
			break;
		if (!fits((size_t)(o - line) + (plain[*p] ? 1 : ESCAPE), p + 1, end, as_lines))
			break;
		if (plain[*p])
			*o++ = *p++;
		else
			o = put_escape(o, *p++);
	}
	if (o > line && is_blank(o[-1]) && (p == end || at_crlf(p, end))) {
		o--;
		if (fits((size_t)(o - line) + ESCAPE, p, end, as_lines))
			o = put_escape(o, p[-1]);
		else
			p--; /* to the next line, where it is the only one */
	}
	*from = p;
	return o;
}

void
quoted_printable_encode(const void *data, size_t len, bool as_lines, struct buf *out)
{
	const uint8_t *p = data, *end;
	size_t coded;

	if (len == 0)
		return;
	end = p + len;
	coded = len + (ESCAPE - 1) * codec_survey(data, len).escapes;
	buf_reserve(out, coded + coded / (SOFT_MAX / ESCAPE) + ENCODED_MAX);
	while (p < end) {
		uint8_t *line;

		buf_reserve(out, LINE_ROOM); /* is there, but if much is escaped for its place */
		if (buf_failed(out))
			return;
		line = (uint8_t *)out->data + out->len;
		keep(out, (size_t)(encode_line(&p, end, as_lines, line) - line));
		if (at_crlf(p, end)) {
			buf_add(out, "\r\n", 2);
			p += 2;
		} else if (p < end || as_lines) {
			buf_add(out, "=\r\n", 3);
		}
	}
}

/* The value of a hexadecimal digit of any case. */
static uint8_t
hex_value(uint8_t c)
{
	return (uint8_t)((c & 15) + (c >> 6) * 9); /* letters have bit 6, and "A" ends with 1 */
}

/* Decodes to where room is for len octets; returns how many there are, -1 if the text is broken. */
static ptrdiff_t
decode_quoted_printable(const uint8_t *text, size_t len, uint8_t *to)
{
	const uint8_t *p = text, *end = text + len;
	uint8_t *o = to;

	for (;;) {
		if (p < end && plain[*p]) /* as above */
			o = copy_plain(&p, end, o);
		if (p == end || at_crlf(p, end)) {
			if (p > text && is_blank(p[-1]))
				return -1;
			if (p == end)
				return o - to;
			*o++ = *p++;
			*o++ = *p++;
			continue;
		}
		if (*p != '=' || end - p < ESCAPE)
			return -1;
		if (!at_crlf(p + 1, end)) {
			if (!g_ascii_isxdigit(p[1]) || !g_ascii_isxdigit(p[2]))
				return -1;
			*o++ = (uint8_t)(hex_value(p[1]) << 4 | hex_value(p[2]));
		}
		p += ESCAPE;
	}
}

bool
quoted_printable_decode(const char *text, size_t len, struct buf *out, const char **why)
{
	ptrdiff_t decoded;

	if (len == 0)
		return true;
	if (!make_room(out, len, why))
		return false;
	decoded = decode_quoted_printable((const uint8_t *)text, len,
					  (uint8_t *)out->data + out->len);
	keep(out, decoded > 0 ? (size_t)decoded : 0);
	if (decoded < 0)
		*why = "broken-quoted-printable";
	return decoded >= 0;
}

/* ---- base64 */

void
base64_encode(const void *data, size_t len, bool as_lines, struct buf *out)
{
	const unsigned char *p = data;
	size_t lines = (len + BASE64_OCTETS - 1) / BASE64_OCTETS;

	buf_reserve(out, (len + 2) / 3 * 4 + 2 * lines);
	if (buf_failed(out))
		return;
	while (len > 0) {
		size_t n = MIN(len, BASE64_OCTETS);

		keep(out,
		     (size_t)EVP_EncodeBlock((unsigned char *)out->data + out->len, p, (int)n));
		p += n;
		len -= n;
		if (len > 0 || as_lines)
			buf_add(out, "\r\n", 2);
	}
}

#define NO 128 /* no character of the alphabet: no value has this bit */

/* What a character stands for. */
/* clang-format off */
static const uint8_t base64_value[256] = {
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
	NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO,
	NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
	NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};
/* clang-format on */

static uint8_t *
put_three(uint8_t *o, uint32_t bits)
{
	o[0] = (uint8_t)(bits >> 16);
	o[1] = (uint8_t)(bits >> 8);
	o[2] = (uint8_t)bits;
	return o + 3;
}

/* Decodes whole groups of four on one line; returns the end of what it wrote. */
static uint8_t *
decode_groups(const uint8_t **from, const uint8_t *end, uint8_t *o)
{
	const uint8_t *p = *from;

	for (; end - p >= 4; p += 4) {
		uint8_t a = base64_value[p[0]], b = base64_value[p[1]], c = base64_value[p[2]],
			d = base64_value[p[3]];

		if ((a | b | c | d) & NO)
			break;
		o = put_three(o, (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d);
	}
	*from = p;
	return o;
}

/* True if the text ends well at p: padding for a last group of n characters, then CRLFs only. */
static bool
ends_well(const uint8_t *p, const uint8_t *end, unsigned n, uint32_t bits)
{
	if (n == 1 || (n == 2 && (bits & 15) != 0) || (n == 3 && (bits & 3) != 0))
		return false;
	for (; n % 4 != 0; n++)
		if (p == end || *p++ != '=')
			return false;
	while (at_crlf(p, end))
		p += 2;
	return p == end;
}

/* As decode_quoted_printable(), with room for three octets for each four characters or less. */
static ptrdiff_t
decode_base64(const uint8_t *p, size_t len, uint8_t *to)
{
	const uint8_t *end = p + len;
	uint8_t *o = to;
	uint32_t bits = 0;
	unsigned n = 0; /* characters of a group that is not complete; its lines may end anywhere */

	for (;;) {
		if (n == 0)
			o = decode_groups(&p, end, o);
		if (at_crlf(p, end)) {
			p += 2;
			continue;
		}
		if (p == end || base64_value[*p] == NO)
			break;
		bits = bits << 6 | base64_value[*p++];
		if (++n == 4) {
			o = put_three(o, bits);
			n = 0;
		}
	}
	if (!ends_well(p, end, n, bits))
		return -1;
	if (n >= 2)
		*o++ = (uint8_t)(n == 2 ? bits >> 4 : bits >> 10);
	if (n == 3)
		*o++ = (uint8_t)(bits >> 2);
	return o - to;
}

bool
base64_decode(const char *text, size_t len, struct buf *out, const char **why)
{
	ptrdiff_t decoded;

	if (len == 0)
		return true;
	if (!make_room(out, len / 4 * 3 + 3, why))
		return false;
	decoded = decode_base64((const uint8_t *)text, len, (uint8_t *)out->data + out->len);
	keep(out, decoded > 0 ? (size_t)decoded : 0);
	if (decoded < 0)
		*why = "broken-base64";
	return decoded >= 0;
}
