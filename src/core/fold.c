/*
 * fold - header fields with lines that no MTA carries; see fold.h.
 *
 * Postfix cuts such a line with CRLF and a space when it sends the mail, after the signature, which
 * then is broken.  So it is cut before: at a blank that is there (RFC 5322 2.2.3: without the folds
 * the text stays the same to the octet), for few folds as late as FOLD_AT allows.  A word that is
 * too long for any line is cut as Postfix would, but not in fields where a blank more would change
 * who or what is meant.  Signatures, seals and trace fields are not touched at all.
 */
#include "core/fold.h"
#include "core/codec.h"

#include <string.h>

#define FOLD_AT 900 /* octets of a line, where a blank can be chosen */

/* A line of a field that is being written. */
struct line {
	const char *p, *end; /* what is left of it */
	size_t used;         /* octets of "Name:" that stand before p */
	bool cut;
};

bool
fold_is_needed(const struct field *f)
{
	size_t used = f->name_len + 1;
	const char *p = f->value, *end = f->value + f->value_len;

	if (used + f->value_len <= CODEC_LINE_MAX)
		return false;
	for (;;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		if (used + (size_t)((lf != NULL ? lf : end) - p) > CODEC_LINE_MAX)
			return true;
		if (lf == NULL)
			return false;
		p = lf + 1;
		used = 0;
	}
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* True if some octet is not blank. */
static bool
has_word(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p < end;
}

/*
 * Where the line is best folded: before the first of some blanks behind a word, as late as it can
 * be at most octets from the line's beginning; NULL if there is no such place.
 */
static const char *
find_fold(const struct line *l, size_t most)
{
	const char *p = l->p + MIN((size_t)(l->end - l->p), most - MIN(most, l->used));

	for (; p > l->p; p--)
		if (p < l->end && is_blank(*p) && !is_blank(p[-1]))
			return has_word(p, l->end) ? p : NULL;
	return NULL;
}

/* The first such place behind FOLD_AT, if it comes in time. */
static const char *
find_late_fold(const struct line *l)
{
	const char *p = find_fold(l, CODEC_LINE_MAX);

	/* Right behind the name: allowed, and better than nothing. */
	if (p == NULL && l->used > 0 && is_blank(*l->p) && has_word(l->p, l->end))
		p = l->p;
	return p;
}

static bool
put_line(struct line *l, bool may_cut, struct buf *out)
{
	while (l->used + (size_t)(l->end - l->p) > CODEC_LINE_MAX) {
		const char *p = find_fold(l, FOLD_AT);

		if (p == NULL)
			p = find_late_fold(l);
		if (p == NULL) {
			if (!may_cut || l->used >= CODEC_LINE_MAX)
				return false;
			p = l->p + (CODEC_LINE_MAX - l->used);
			for (int i = 0; i < 3 && ((unsigned char)*p & 0xc0) == 0x80 && p - 1 > l->p;
			     i++)
				p--; /* not inside of an UTF-8 character */
			if (!has_word(l->p, p) || !has_word(p, l->end))
				return false; /* it would leave a line of blanks */
		}
		buf_add(out, l->p, (size_t)(p - l->p));
		buf_puts(out, "\n");
		l->used = 0;
		if (!is_blank(*p)) {
			buf_puts(out, " ");
			l->used = 1;
			l->cut = true;
		}
		l->p = p;
	}
	buf_add(out, l->p, (size_t)(l->end - l->p));
	return true;
}

static bool
name_is_in(const struct field *f, const char *const *names)
{
	for (; *names != NULL; names++)
		if (field_matches(f, *names))
			return true;
	return false;
}

enum fold_result
fold_value(const struct field *f, struct buf *out)
{
	/* clang-format off */
	static const char *const never[] = { /* signatures, seals, trace */
		"DKIM-Signature", "DomainKey-Signature", "ARC-*", "Received", "Return-Path", NULL,
	};
	static const char *const only_at_blanks[] = {
		"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-*", "Message-ID",
		"MIME-Version", "Content-*", "Authentication-Results", NULL,
	};
	/* clang-format on */
	struct line l = {f->value, NULL, f->name_len + 1, false};
	const char *end = f->value + f->value_len, *lf;
	bool may_cut = !name_is_in(f, only_at_blanks);

	if (!fold_is_needed(f))
		return FOLD_NOT_NEEDED;
	if (name_is_in(f, never) || memchr(f->value, '\r', f->value_len) != NULL)
		return FOLD_CANNOT;
	do {
		lf = memchr(l.p, '\n', (size_t)(end - l.p));
		l.end = lf != NULL ? lf : end;
		if (!put_line(&l, may_cut, out))
			return FOLD_CANNOT;
		if (lf != NULL)
			buf_puts(out, "\n");
		l.p = l.end + 1;
		l.used = 0;
	} while (lf != NULL);
	return l.cut ? FOLD_CUT : FOLD_DONE;
}
