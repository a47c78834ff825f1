/*
 * tally_table - numbers of the statistics by key and field. A part of limiter_memory.
 *
 * Thread-safe.  Bounded: what has no room is not counted, and how often that was is told.
 */
#ifndef POOLMILTER_CORE_TALLY_TABLE_H
#define POOLMILTER_CORE_TALLY_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define TALLY_FIELDS_MAX 64 /* of different names */

struct tally_table;

/** A table of at most so many keys. */
struct tally_table *tally_table_new(guint keys_max);
void tally_table_free(struct tally_table *t);

/** Another maximum from now on; what is over it stays. */
void tally_table_set_max(struct tally_table *t, guint keys_max);

/** Adds by, which may be negative, to a number; it stops at the ends of its range. False: no room. */
bool tally_table_add(struct tally_table *t, const char *key, const char *field, int64_t by);

/** Calls each() for all numbers; those of a key one after the other. each() must not call the table. */
void tally_table_each(struct tally_table *t,
		      void (*each)(const char *key, const char *field, int64_t value, void *context),
		      void *context);

/** Drops the keys whose part after the last "/" sorts before this one, as octets. */
void tally_table_drop_before(struct tally_table *t, const char *before);

/** Drops all of them. */
void tally_table_clear(struct tally_table *t);

/** Keys there are, and how many additions had no room. */
guint tally_table_size(struct tally_table *t);
uint64_t tally_table_lost(struct tally_table *t);

#endif
