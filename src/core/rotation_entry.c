/*
 * rotation_entry - what is written down of the rotation of keys; see rotation_entry.h.
 */
#include "core/rotation_entry.h"
#include "core/state_text.h"

#include <string.h>

#define VERSION_LINE "poolmilter-keys 1\n"
#define AT_MAX INT64_C(253402300799) /* the last second of the year 9999 */

static const char *const mark_words[] = {
	[ROTATION_SEEN] = "seen",
	[ROTATION_SWITCHED] = "switched",
	[ROTATION_BACK] = "back",
	[ROTATION_RETIRED] = "retired",
};

void
rotation_entry_clear(struct rotation_entry *e)
{
	g_free(e->pool);
	g_free(e->domain);
	g_free(e->selector);
	g_free(e->fingerprint);
	g_free(e->before);
}

void
rotation_entry_free(void *entry)
{
	rotation_entry_clear(entry);
	g_free(entry);
}

GPtrArray *
rotation_entries_new(void)
{
	return g_ptr_array_new_with_free_func(rotation_entry_free);
}

void
rotation_entries_write(const GPtrArray *entries, struct buf *out)
{
	GString *line = g_string_new(NULL);
	size_t start = out->len;

	buf_puts(out, VERSION_LINE);
	for (guint i = 0; i < entries->len; i++) {
		const struct rotation_entry *e = entries->pdata[i];

		g_string_assign(line, mark_words[e->mark]);
		word_put(line, e->pool);
		word_put(line, e->domain);
		word_put(line, e->selector);
		word_put(line, e->fingerprint);
		word_put_number(line, e->at);
		word_put_number(line, e->seen);
		word_put(line, e->before);
		g_string_append_c(line, '\n');
		buf_add(out, line->str, line->len);
	}
	state_text_end(out, start);
	g_string_free(line, TRUE);
}

/* ROTATION_UNMARKED: it begins with no such word. */
static enum rotation_mark
take_mark(struct word_line *line)
{
	for (enum rotation_mark mark = ROTATION_SEEN; mark <= ROTATION_RETIRED; mark++)
		if (word_begins(line, mark_words[mark]))
			return mark;
	return ROTATION_UNMARKED;
}

/* A word that is not empty; NULL: there is none. */
static char *
take_text(struct word_line *line, GString *word)
{
	return word_take(line, word) && word->len > 0 ? g_strdup(word->str) : NULL;
}

static bool
is_fingerprint(const char *text)
{
	return strlen(text) == ROTATION_FINGERPRINT_LEN &&
	       strspn(text, "0123456789abcdef") == ROTATION_FINGERPRINT_LEN;
}

static bool
read_entry(struct rotation_entry *e, struct word_line *line, GString *word)
{
	int64_t seen = 0;

	e->mark = take_mark(line);
	if (e->mark == ROTATION_UNMARKED || (e->pool = take_text(line, word)) == NULL ||
	    (e->domain = take_text(line, word)) == NULL ||
	    (e->selector = take_text(line, word)) == NULL ||
	    (e->fingerprint = take_text(line, word)) == NULL || !is_fingerprint(e->fingerprint) ||
	    !word_take_number(line, 0, AT_MAX, &e->at) || !word_take_number(line, 0, 1, &seen) ||
	    (e->before = take_text(line, word)) == NULL || !word_ended(line))
		return false;
	e->seen = seen != 0;
	return true;
}

bool
rotation_entries_read(GPtrArray *entries, const char *text, size_t len, const char **why)
{
	GHashTable *pools = g_hash_table_new(g_str_hash, g_str_equal);
	GString *word = g_string_new(NULL);
	struct state_text lines;
	struct word_line line;

	*why = state_text_begin(&lines, text, len, VERSION_LINE);
	while (*why == NULL && state_text_line(&lines, &line)) {
		struct rotation_entry *e = g_new0(struct rotation_entry, 1);

		g_ptr_array_add(entries, e);
		if (!read_entry(e, &line, word))
			*why = "a line is not as it should be";
		else if (e->mark != ROTATION_RETIRED && !g_hash_table_add(pools, e->pool))
			*why = "a pool stands there twice";
	}
	g_string_free(word, TRUE);
	g_hash_table_destroy(pools);
	return *why == NULL;
}

bool
rotation_entry_names(const struct rotation_entry *e, const struct signature *sig)
{
	return strcmp(e->selector, sig->selector) == 0 && strcmp(e->domain, sig->domain) == 0;
}
