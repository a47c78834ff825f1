/*
 * mta_line_parts - for mta_line.c and mta_delivery.c alone: texts that are taken from their front.
 */
#ifndef POOLMILTER_CORE_MTA_LINE_PARTS_H
#define POOLMILTER_CORE_MTA_LINE_PARTS_H

#include "core/mta_line.h"

#include <string.h>

#define PART(literal) ((struct text_part){literal, sizeof(literal) - 1})

static inline bool
part_is(struct text_part t, struct text_part other)
{
	return t.len == other.len && memcmp(t.p, other.p, t.len) == 0;
}

static inline bool
part_begins(struct text_part t, struct text_part with)
{
	return t.len >= with.len && memcmp(t.p, with.p, with.len) == 0;
}

static inline bool
part_ends(struct text_part t, struct text_part with)
{
	return t.len >= with.len && memcmp(t.p + t.len - with.len, with.p, with.len) == 0;
}

static inline void
part_drop(struct text_part *t, size_t n)
{
	t->p += n;
	t->len -= n;
}

/** Takes a text off the front; false if it does not begin so. */
static inline bool
part_skip(struct text_part *t, struct text_part begin)
{
	if (!part_begins(*t, begin))
		return false;
	part_drop(t, begin.len);
	return true;
}

/** Where a text stands in t for the first time; t.len: nowhere. */
static inline size_t
part_find(struct text_part t, struct text_part what)
{
	const char *at = t.len > 0 ? memmem(t.p, t.len, what.p, what.len) : NULL;

	return at != NULL ? (size_t)(at - t.p) : t.len;
}

/** Takes digits off the front; false if there are none. */
static inline bool
part_skip_digits(struct text_part *t)
{
	const char *begin = t->p;

	while (t->len > 0 && g_ascii_isdigit(*t->p))
		part_drop(t, 1);
	return t->p > begin;
}

/** Takes a queue ID off the front: letters and digits, and no word of a language. */
bool part_take_queue_id(struct text_part *t, struct text_part *id);

/** Reads a delivery agent's line from "to=<" on. */
bool mta_delivery_parse(struct text_part text, struct mta_line *out);

#endif
