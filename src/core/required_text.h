/*
 * required_text - what a text must contain to match a pattern: a sieve before the matching.
 *
 * Of hundreds of patterns one at most matches a reply.  Nearly all have words in them that are not
 * in the reply, which is told much faster than by matching.
 */
#ifndef POOLMILTER_CORE_REQUIRED_TEXT_H
#define POOLMILTER_CORE_REQUIRED_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Texts in lower case of at least three octets, one of which stands, in any case of its letters, in
 * whatever matches a pattern (PCRE2, without UTF, without regard to case).  NULL if that cannot be
 * told, or is not.  The pattern must be a good one.  Free with g_ptr_array_unref().
 */
GPtrArray *required_text(const char *pattern);

/** Which groups of three octets a text has; there may seem to be more. */
#define TRIGRAM_BITS 8192
struct trigrams {
	uint64_t bits[TRIGRAM_BITS / 64];
};
void trigrams_of(struct trigrams *t, const char *text, size_t len);

/** Numbers of those of a text, without regard to case: at most n, spread over it; returns how many.
 */
size_t trigram_numbers(const char *text, uint16_t *numbers, size_t n);

static inline bool
trigrams_have(const struct trigrams *t, uint16_t number)
{
	return (t->bits[number / 64] >> (number % 64) & 1) != 0;
}

#endif
