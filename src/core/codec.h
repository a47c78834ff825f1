/*
 * codec - content-transfer-encodings (RFC 2045 6): what octets look like, strict decoding, encoding.
 *
 * Decoding is strict: what two readers could read differently is refused, so that whoever re-encodes
 * knows exactly what the content is.  Encoding is exact: decode(encode(x)) = x for any octets.
 */
#ifndef POOLMILTER_CORE_CODEC_H
#define POOLMILTER_CORE_CODEC_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define CODEC_LINE_MAX 998 /* octets of a line without CRLF that SMTP carries, RFC 5321 4.5.3.1.6 */

/** What a pass over octets finds; lines end with CRLF. */
struct survey {
	bool has_8bit;	     /* an octet over 127 */
	bool has_nul;
	bool has_bare_cr;    /* a CR that is not followed by LF */
	bool has_bare_lf;    /* an LF that does not follow a CR */
	bool has_long_line;  /* one of more than CODEC_LINE_MAX octets */
	bool ends_line;	     /* empty, or the last two octets are CRLF */
	size_t escapes;	     /* octets that quoted-printable writes as three wherever they stand */
};

/**
 * Looks at all octets. Quick: they cost a tenth of a nanosecond each, whatever they are.
 * Among escapes are "=", octets over 126, control characters but tab, CR and LF without each other; not
 * those that are escaped for their place in a line (few, but for a blank at the end of each line).
 */
struct survey codec_survey(const void *data, size_t len);

/** What has_bare_cr of a survey says, by a look for nothing else: in a quarter of its time. */
bool codec_has_bare_cr(const void *data, size_t len);

/**
 * True if the octets can travel as they are over a hop that takes 8-bit text: as lines, without NUL.
 * The last line may lack its CRLF: ends_line tells.
 */
bool survey_is_lines(const struct survey *s);

/** True if they can travel over any hop: lines of ASCII without NUL. */
bool survey_is_7bit(const struct survey *s);

/*
 * In all that follows the octets must not lie in out, and memory is told by out's sticky failure.
 */

/**
 * Appends octets as quoted-printable (RFC 2045 6.7): CRLF is a line break, every other CR and LF is
 * escaped, lines have at most 76 octets, none begins with ".", "--" or "From ", none ends with a blank.
 * as_lines: the result must end with CRLF (a whole body); a soft line break ends it where the content
 * does not.  No content gives no text.
 */
void quoted_printable_encode(const void *data, size_t len, bool as_lines, struct buf *out);

/**
 * Appends the octets that a quoted-printable text stands for.  False, with *why (a static word for the
 * log: "broken-quoted-printable"), if any reader could read it another way: see codec.c for the list;
 * nothing is appended then.  False with "no-memory" as well when out has failed.
 */
bool quoted_printable_decode(const char *text, size_t len, struct buf *out, const char **why);

/** Appends base64 (RFC 2045 6.8) in lines of 76, each but the last ended by CRLF; as_lines: that too. */
void base64_encode(const void *data, size_t len, bool as_lines, struct buf *out);

/** Appends the octets that a base64 text stands for; false with *why ("broken-base64") as above. */
bool base64_decode(const char *text, size_t len, struct buf *out, const char **why);

#endif
