/*
 * tally_table - numbers of the statistics by key and field: what a node counts in its own memory.
 *
 * Every message adds here, so adding is cheap and threads hardly wait for each other.  A background
 * step may take what has come together out again, batch by batch, to bring it elsewhere.
 * Thread-safe.  Bounded: what has no room is not counted, and how often that was is told.
 */
#ifndef POOLMILTER_CORE_TALLY_TABLE_H
#define POOLMILTER_CORE_TALLY_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define TALLY_KEYS_MAX 2000000 /* 200 octets each with 4 fields */
#define TALLY_FIELDS_MAX 64    /* of different names */

struct tally_table;

/** How much a number goes up; negative: down. */
struct tally {
	const char *field; /* "messages" */
	int64_t by;
};

/** A key with its numbers. */
struct tally_row {
	const char *key; /* "pool/acme/gmail/2026112013": any octets */
	const struct tally *tallies;
	guint n;
};

/** A table of at most so many keys. */
struct tally_table *tally_table_new(guint keys_max);
void tally_table_free(struct tally_table *t); /* NULL is allowed */

/** Another maximum from now on; what is over it stays. */
void tally_table_set_max(struct tally_table *t, guint keys_max);

/** Adds to a number; it stops at the ends of its range. False: no room. */
bool tally_table_add(struct tally_table *t, const char *key, const char *field, int64_t by);

/**
 * Adds to numbers of a key in one step: quicker than one by one, and quickest where the fields come
 * in the same order each time.  False: some had no room.
 */
bool tally_table_add_many(struct tally_table *t, const char *key, const struct tally *tallies,
			  guint n);

/**
 * Calls each() for all numbers; those of a key one after the other.  each() must not call the table.
 */
void tally_table_each(struct tally_table *t,
		      void (*each)(const char *key, const char *field, int64_t value, void *context),
		      void *context);

/** Keys and their numbers that were taken out of a table. */
struct tally_batch {
	const struct tally_row **rows;
	guint n;
};

/**
 * Takes up to keys_max keys, each with all its numbers, out of the table; NULL if there is none.
 * Nothing is lost and nothing is there twice: what is added meanwhile is in the batch or stays in
 * the table.  A batch of fewer keys means that all keys were come by.  Holds up who adds for the
 * time of that many keys.  To be ended with tally_batch_free() or tally_batch_put_back(), before the
 * table.
 */
struct tally_batch *tally_table_take(struct tally_table *t, guint keys_max);

/** Adds a batch to a table again, and frees it. False: some had no room. */
bool tally_batch_put_back(struct tally_batch *b, struct tally_table *t);
void tally_batch_free(struct tally_batch *b); /* NULL is allowed */

/**
 * Drops the keys whose part after the last "/" sorts before this, as octets: with keys as
 * "pool/acme/gmail/2026112013" and before "2026110100" those of hours before November.
 */
void tally_table_drop_before(struct tally_table *t, const char *before);

/** Drops all of them. */
void tally_table_clear(struct tally_table *t);

/** Keys there are, and how many additions had no room. */
guint tally_table_size(struct tally_table *t);
uint64_t tally_table_lost(struct tally_table *t);

/** A number that grows with each change: so long as it is the same, nothing has changed. */
uint64_t tally_table_changes(struct tally_table *t);

#endif
