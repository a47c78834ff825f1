/*
 * joiner - joins lines of the log, the MTA's and ours, by queue ID into events.
 *
 * Fed line by line in the order of the log.  A message has events only if poolmilter treated it:
 * its line names a pool.  What comes before that line waits for it; a message that is in the
 * queue and has none by the time that its grace is over is nobody's.
 *
 * A message that came from this host and has the Message-ID of exactly one other in the queue, or
 * that a "queued as" or "forwarded as" of this host names, is that one, injected again (content
 * filters, aliases): its events have that one's queue ID, which the sender was told, its pool,
 * sender and headers, and the hop between them is no delivery.  One that poolmilter treats
 * itself, by a line that is read within JOINER_SKEW, is a message of its own.  A requeued message
 * goes on as the one it was.  This host is a loopback address, a UNIX-domain socket, or the host
 * that wrote the line, by exactly its name.
 *
 * So "sent" to this host itself is told late: by JOINER_HOP where an SMTP server here has taken
 * it, and by JOINER_GRACE where pipe(8) has, since what that starts may hand it back as a new
 * message.  Both end with a whole second.
 *
 * Memory is bounded: flights_max in memory, all others rest in the store; and some 100 octets for
 * each message that is coming in or waits.
 * Not thread-safe.
 */
#ifndef POOLMILTER_CORE_JOINER_H
#define POOLMILTER_CORE_JOINER_H

#include "core/flight.h"
#include "core/log_line.h"

/* In time of the log: */
#define JOINER_COMING ((int64_t)3600 * G_USEC_PER_SEC) /* that a message takes to come in */
#define JOINER_GRACE ((int64_t)60 * G_USEC_PER_SEC)    /* that it then waits for our line */
#define JOINER_SKEW ((int64_t)2 * G_USEC_PER_SEC) /* by which lines may be out of their order */
#define JOINER_HOP ((int64_t)3 * G_USEC_PER_SEC)  /* that "sent" to this host waits: longer */

/**
 * Where flights rest; all false: the store failed, and what was read since the last flush is to be
 * read again.
 */
struct joiner_store {
	/** The latest flight of a queue ID, or *out NULL. */
	bool (*load)(void *context, const char *queue_id, struct flight **out);
	/** Queue IDs (of char *) of up to max flights that have this Message-ID, have not ended and
	    were born since. */
	bool (*find)(void *context, const char *message_id, int64_t since, guint max,
		     GPtrArray *queue_ids);
	/** Puts it in the place of what is there with its queue ID and birth. */
	bool (*save)(void *context, const struct flight *f);
	/** Forgets it. */
	bool (*forget)(void *context, const char *queue_id, int64_t born);
	void *context;
};

/**
 * Queue ID and birth of a flight that is no message: its sender is a list of the queue IDs of those
 * that wait, which the next joiner goes on with.
 */
#define JOINER_NOTES "*"
#define JOINER_NOTES_BORN (INT64_MAX - 1)

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

/**
 * When joiner_tick() will have something to do, in time of the log, if no more lines come: then it
 * should be called, for what waits is told late or not at all without it.  INT64_MAX: nothing waits.
 */
int64_t joiner_due(const struct joiner *j);

/** Saves what has changed: before the store's transaction is committed. */
bool joiner_flush(struct joiner *j);

/** Flights in memory. */
guint joiner_size(const struct joiner *j);

#endif
