/*
 * reply_text - replies in one form; see reply_text.h.
 *
 * Never longer than what comes in, so REPLY_TEXT_MAX octets of it always have room.
 */
#include "core/reply_text.h"
#include "core/mta_line.h"

#include <stdio.h>
#include <string.h>

static bool
is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 127;
}

static const char *
word_end(const char *p, const char *end)
{
	while (p < end && !is_blank(*p))
		p++;
	return p;
}

/* True if the word is "5.1.1" or the like. */
static bool
is_dsn(const char *p, const char *end)
{
	unsigned dots = 0;

	for (const char *q = p; q < end; q++) {
		bool dot = *q == '.';

		if (!g_ascii_isdigit(*q) && (!dot || q == p || q[-1] == '.'))
			return false;
		dots += dot;
	}
	return dots == 2 && end - p <= 9 && end[-1] != '.';
}

/* If codes of a further line of the reply stand at p, the place behind them; else p. */
static const char *
skip_codes(const char *code, const char *p, const char *end)
{
	const char *stop = word_end(p, end), *next;

	if (stop - p < 3 || strncmp(p, code, 3) != 0)
		return p;
	if (stop - p == 3) { /* "550 5.1.1 text": the last line */
		for (next = stop; next < end && is_blank(*next);)
			next++;
		return is_dsn(next, word_end(next, end)) ? word_end(next, end) : stop;
	}
	if (p[3] != '-')
		return p;
	return is_dsn(p + 4, stop) ? stop : p + 4;
}

/* The code of a reply of several lines, "550-"; NULL: it is of one line, or no reply. */
static const char *
code_of_lines(const char *p, const char *end)
{
	return end - p > 4 && g_ascii_isdigit(p[0]) && g_ascii_isdigit(p[1]) &&
			       g_ascii_isdigit(p[2]) && p[3] == '-'
		       ? p
		       : NULL;
}

size_t
reply_text(const char *reply, char out[REPLY_TEXT_MAX + 1])
{
	struct text_part said =
		mta_reply_said((struct text_part){reply, strnlen(reply, REPLY_TEXT_MAX)});
	const char *p = said.p, *end = said.p + said.len, *code;
	size_t n = 0;

	while (p < end && is_blank(*p))
		p++;
	for (code = code_of_lines(p, end); p < end; p++) {
		const char *stop;

		if (n > 0 && code != NULL)
			p = skip_codes(code, p, end);
		stop = word_end(p, end);
		if (stop > p && n > 0)
			out[n++] = ' ';
		memcpy(out + n, p, (size_t)(stop - p));
		n += (size_t)(stop - p);
		p = stop;
	}
	out[n] = '\0';
	return n;
}

bool
reply_text_dsn(const char *text, char dsn[REPLY_DSN_SIZE])
{
	const char *hash = strstr(text, "(#");
	unsigned class, subject, detail;
	int n = 0;

	if (strspn(text, "0123456789") == 3 && (text[3] == ' ' || text[3] == '-'))
		text += 4;
	text += *text == '#';
	if ((sscanf(text, "%1u.%3u.%3u%n", &class, &subject, &detail, &n) == 3 &&
	     (text[n] == '\0' || text[n] == ' ')) ||
	    (hash != NULL && sscanf(hash, "(#%1u.%3u.%3u)", &class, &subject, &detail) == 3)) {
		g_snprintf(dsn, REPLY_DSN_SIZE, "%u.%u.%u", class, subject, detail);
		return true;
	}
	dsn[0] = '\0';
	return false;
}
