/*
 * word - lines of words and numbers with one blank between two, as our files and sockets have them.
 *
 * In words, octets other than 33 to 126 and "%" are %XX; a word may be empty.
 */
#ifndef POOLMILTER_CORE_WORD_H
#define POOLMILTER_CORE_WORD_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/** Appends a blank and the text as a word. */
void word_put(GString *line, const char *text);

/** Appends a blank and the number. */
void word_put_number(GString *line, int64_t number);

/** What is left of a line that is being read: no line end, any octets. */
struct word_line {
	const char *p;
	const char *end;
};

/** Takes the first word of a line if it is this one, which needs no escapes; else false. */
bool word_begins(struct word_line *line, const char *word);

/** Takes the next word as text in place of what is there; false if there is none that is good. */
bool word_take(struct word_line *line, GString *text);

/** Takes the next word, which must be a number from min to max; false if it is not. */
bool word_take_number(struct word_line *line, int64_t min, int64_t max, int64_t *number);

/** True if nothing is left. */
bool word_ended(const struct word_line *line);

#endif
