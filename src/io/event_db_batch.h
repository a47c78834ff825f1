/*
 * event_db_batch - tallies of the statistics on their way from the events' database to Redis.
 *
 * Exactly once: a batch leaves the tallies and becomes a fact in one transaction, and is a fact, the
 * same with its serial, until Redis has said that it is counted.  Totals (EVENT_STATS_TOTAL) stay.
 */
#ifndef POOLMILTER_IO_EVENT_DB_BATCH_H
#define POOLMILTER_IO_EVENT_DB_BATCH_H

#include "io/event_db.h"

/** A batch for limiter_redis_add(). */
struct event_db_batch {
	struct tally_batch *batch; /* NULL: there is nothing to be sent */
	struct tally_table *table; /* of the batch */
	char *node;		   /* a name of this database's life */
	uint64_t serial;
};

void event_db_batch_clear(struct event_db_batch *b);

/**
 * Gives the batch that is on its way, or else makes one of up to keys_max keys.  A transaction of its
 * own.  False with *why (g_free it).
 */
bool event_db_batch_take(struct event_db *db, guint keys_max, struct event_db_batch *out, char **why);

/** The batch is counted: it is no fact any more. A transaction of its own. */
bool event_db_batch_done(struct event_db *db, char **why);

/** Deletes tallies of hours before this one (core/stats.h); those are in nobody's way but the disk's. */
bool event_db_drop_tallies(struct event_db *db, const char *hour, char **why);

#endif
