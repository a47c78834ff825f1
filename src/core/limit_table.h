/*
 * limit_table - the windows of many keys, in shards with a lock each. A part of limiter_memory.
 *
 * Whoever works on entries holds the locks of their shards: all that are needed, taken at once.  Entries
 * that count nothing more go by a sweep that looks at a few with each request, so that none waits long.
 */
#ifndef POOLMILTER_CORE_LIMIT_TABLE_H
#define POOLMILTER_CORE_LIMIT_TABLE_H

#include "core/limit.h"

#define LIMIT_TABLE_SHARDS 32

/** What is counted under a key and a limit; the same key with another limit is another entry. */
struct limit_entry {
	guint hash;
	guint shard;
	const char *key;
	struct limit limit;
	struct limit_window window;
	struct limit_entry *next, *prev; /* the sweep's round */
};

struct limit_table;

/** A table of at most so many entries. */
struct limit_table *limit_table_new(guint entries_max);
void limit_table_free(struct limit_table *t);

/** Another maximum from now on; what is over it stays until it is swept. */
void limit_table_set_max(struct limit_table *t, guint entries_max);

/** Entries there are. */
guint limit_table_size(struct limit_table *t);

/** Makes e what limit_table_find() and limit_table_add() take; the key is not copied. */
void limit_entry_probe(struct limit_entry *e, const char *key, struct limit limit);

/** True if both have the same key and limit. */
bool limit_entry_same(const struct limit_entry *a, const struct limit_entry *b);

/** Locks the shards whose bits are set (1u << shard), in their order. */
void limit_table_lock(struct limit_table *t, uint32_t shards);
void limit_table_unlock(struct limit_table *t, uint32_t shards);

/** The entry, or NULL. */
struct limit_entry *limit_table_find(struct limit_table *t, const struct limit_entry *probe);

/** Takes room for n entries; false, and nothing taken, if there is not so much. */
bool limit_table_reserve(struct limit_table *t, guint n);

/** A new entry, empty, in room that was reserved. There must be none such. */
struct limit_entry *limit_table_add(struct limit_table *t, const struct limit_entry *probe);

/** Looks at the next n entries of a shard's round and frees those that count nothing. */
void limit_table_sweep(struct limit_table *t, guint shard, guint n, int64_t now);

/** Calls each() for all entries of the shards, a shard at a time, locked. each() may empty windows. */
void limit_table_each(struct limit_table *t, uint32_t shards,
		      void (*each)(struct limit_entry *e, void *context), void *context);

/** Frees all entries. */
void limit_table_clear(struct limit_table *t);

#endif
