/*
 * store_words - the words of a command, while it is put together.
 */
#ifndef POOLMILTER_IO_STORE_WORDS_H
#define POOLMILTER_IO_STORE_WORDS_H

#include "io/store_link.h"

struct store_words {
	GString *text;   /* all words, each with a NUL after it */
	gsize begin;     /* of the word that is being written */
	GArray *lengths; /* of size_t */
	const char **argv;
};

/** No words. Free with store_words_clear(). */
void store_words_init(struct store_words *w);
void store_words_clear(struct store_words *w);

/** A word as it is. */
void store_words_add(struct store_words *w, const char *word);
void store_words_add_number(struct store_words *w, gint64 number);

/** Ends the word that was appended to w->text. */
void store_words_end(struct store_words *w);

/** The command; valid until w changes. */
struct store_command store_words_command(struct store_words *w);

#endif
