/*
 * word - lines of words and numbers; see word.h.
 *
 * What is read may come from anybody: nothing but what the writing half makes is taken.  A NUL is
 * refused in both its forms, since texts end with one here.
 */
#include "core/word.h"

#include <errno.h>
#include <string.h>

void
word_put(GString *line, const char *text)
{
	g_string_append_c(line, ' ');
	for (; *text != '\0'; text++)
		if (*text > 32 && *text < 127 && *text != '%')
			g_string_append_c(line, *text);
		else
			g_string_append_printf(line, "%%%02X", (unsigned char)*text);
}

/* By hand: with printf() keys were locked five times as long. */
void
word_put_number(GString *line, int64_t number)
{
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
	char text[24], *p = text + sizeof text;

	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		*--p = '-';
	*--p = ' ';
	g_string_append_len(line, p, text + sizeof text - p);
}

bool
word_begins(struct word_line *line, const char *word)
{
	size_t len = strlen(word), left = (size_t)(line->end - line->p);

	if (left < len || memcmp(line->p, word, len) != 0 || (left > len && line->p[len] != ' '))
		return false;
	line->p += len;
	return true;
}

/* The next word without the blank that must precede it. */
static bool
take(struct word_line *line, const char **word, size_t *len)
{
	const char *blank;

	if (line->p == line->end || *line->p != ' ')
		return false;
	*word = ++line->p;
	blank = memchr(line->p, ' ', (size_t)(line->end - line->p));
	line->p = blank != NULL ? blank : line->end;
	*len = (size_t)(line->p - *word);
	return true;
}

bool
word_take_number(struct word_line *line, int64_t min, int64_t max, int64_t *number)
{
	char digits[24], *end;
	const char *word;
	size_t len;

	if (!take(line, &word, &len) || len == 0 || len >= sizeof digits ||
	    !(g_ascii_isdigit(*word) || *word == '-'))
		return false;
	memcpy(digits, word, len);
	digits[len] = '\0';
	errno = 0;
	*number = g_ascii_strtoll(digits, &end, 10);
	return errno == 0 && end == digits + len && *number >= min && *number <= max;
}

bool
word_take(struct word_line *line, GString *text)
{
	const char *word;
	size_t len;

	if (!take(line, &word, &len))
		return false;
	g_string_truncate(text, 0);
	for (size_t i = 0; i < len; i++) {
		char c = word[i];

		if (c == '%') {
			if (len - i < 3 || !g_ascii_isxdigit(word[i + 1]) ||
			    !g_ascii_isxdigit(word[i + 2]))
				return false;
			c = (char)(g_ascii_xdigit_value(word[i + 1]) << 4 |
				   g_ascii_xdigit_value(word[i + 2]));
			i += 2;
		} else if (c < 33 || c > 126) {
			return false;
		}
		if (c == '\0')
			return false;
		g_string_append_c(text, c);
	}
	return true;
}

bool
word_ended(const struct word_line *line)
{
	return line->p == line->end;
}
