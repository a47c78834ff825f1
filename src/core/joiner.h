/*
 * joiner - joins lines of the log, the MTA's and ours, by queue ID into events.
 *
 * Fed line by line in the order of the log.  A message has events only if poolmilter treated it: its
 * line names a pool.  What comes before that line waits for it; a message without one by the time that
 * its grace is over is nobody's.  A message that came from this host and has the Message-ID of another
 * one in the queue, or that a "queued as" names, is that one, injected again (content filters): its
 * events have that one's pool and headers, and the hop between them is no delivery.
 *
 * Memory is bounded: flights_max in memory, all others rest in the store.
 * Not thread-safe.
 */
#ifndef POOLMILTER_CORE_JOINER_H
#define POOLMILTER_CORE_JOINER_H

#include "core/flight.h"
#include "core/log_line.h"

#define JOINER_GRACE ((int64_t)60 * G_USEC_PER_SEC) /* that a message waits for our line, in time of the log */

/** Where flights rest; all false: the store failed, and what was read since the last flush is to be read again. */
struct joiner_store {
	/** The latest flight of a queue ID, or *out NULL. */
	bool (*load)(void *context, const char *queue_id, struct flight **out);
	/** Queue IDs of up to max flights that have this Message-ID, have not ended and were born since: of char *. */
	bool (*find)(void *context, const char *message_id, int64_t since, guint max, GPtrArray *queue_ids);
	/** Puts it in the place of what is there with its queue ID and birth. */
	bool (*save)(void *context, const struct flight *f);
	/** Forgets it. */
	bool (*forget)(void *context, const char *queue_id, int64_t born);
	void *context;
};

struct joiner;

/**
 * node: in events whose line names no host.  event() takes the event over; category, isp of the
 * recipient and pool statistics are its matter.  Free with joiner_free().
 */
struct joiner *joiner_new(const struct joiner_store *store, const char *node, guint flights_max,
			  void (*event)(struct event *e, void *context), void *context);
void joiner_free(struct joiner *j);

/** Takes a line; false: the store failed. */
bool joiner_line(struct joiner *j, const struct log_line *line);

/** Ends graces; now in time of the log (of the last line, or the clock's where no lines come). */
bool joiner_tick(struct joiner *j, int64_t now);

/** Saves what has changed: before the store's transaction is committed. */
bool joiner_flush(struct joiner *j);

/** Flights in memory. */
guint joiner_size(const struct joiner *j);

#endif
