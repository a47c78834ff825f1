/*
 * store_words - the words of a command; see store_words.h.
 *
 * One text for all of them: a command of fifty words is made with a handful of allocations.
 */
#include "io/store_words.h"

#include <string.h>

void
store_words_init(struct store_words *w)
{
	w->text = g_string_sized_new(1000);
	w->begin = 0;
	w->lengths = g_array_sized_new(FALSE, FALSE, sizeof(size_t), 64);
	w->argv = NULL;
}

void
store_words_clear(struct store_words *w)
{
	g_string_free(w->text, TRUE);
	g_array_free(w->lengths, TRUE);
	g_free(w->argv);
}

void
store_words_end(struct store_words *w)
{
	size_t len = w->text->len - w->begin;

	g_array_append_val(w->lengths, len);
	g_string_append_c(w->text, '\0');
	w->begin = w->text->len;
}

void
store_words_add(struct store_words *w, const char *word)
{
	g_string_append(w->text, word);
	store_words_end(w);
}

void
store_words_add_number(struct store_words *w, gint64 number)
{
	char digits[24], *p = digits + sizeof digits;
	guint64 n = number < 0 ? -(guint64)number : (guint64)number;

	*--p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	if (number < 0)
		*--p = '-';
	store_words_add(w, p);
}

struct store_command
store_words_command(struct store_words *w)
{
	const char *p = w->text->str;

	w->argv = g_renew(const char *, w->argv, w->lengths->len);
	for (guint i = 0; i < w->lengths->len; i++) {
		w->argv[i] = p;
		p += g_array_index(w->lengths, size_t, i) + 1;
	}
	return (struct store_command){(int)w->lengths->len, w->argv, (size_t *)w->lengths->data};
}
