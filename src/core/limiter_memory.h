/*
 * limiter_memory - limits in the memory of this process.
 *
 * The driver without Redis, and the one that takes over on each node while Redis is away.  What it knows
 * can be written down and read again, so that a restart forgets nothing.  Memory is bounded: a request
 * that would count more than LIMITER_KEYS_MAX keys at a time gets LIMITER_FAILED and charges nothing
 * (to forget one that counts would break the promise).
 */
#ifndef POOLMILTER_CORE_LIMITER_MEMORY_H
#define POOLMILTER_CORE_LIMITER_MEMORY_H

#include "base/buf.h"
#include "core/limiter.h"
#include "core/tally_table.h"

#define LIMITER_KEYS_MAX 1000000 /* 180 octets each with one message, 1.8 kB at most */

struct limiter_memory;

/**
 * A limiter that knows nothing.  share: each limit counts divided by it, at least 1 (this node's share of
 * so many nodes).  clock: microseconds that pass, of any beginning; NULL: the system's monotonic clock,
 * which nobody can set.  It is called with locks held.  Free with limiter_memory_free().
 *
 * A clock that goes back all the same makes charges count from then on anew, at most a window longer; a
 * clock that jumps ahead is believed.
 */
struct limiter_memory *limiter_memory_new(guint share, int64_t (*clock)(void *context), void *context);
void limiter_memory_free(struct limiter_memory *l);

/** The facade; belongs to l. FAILED only for want of room; never UNCERTAIN. */
const struct limiter *limiter_memory_facade(struct limiter_memory *l);

/** Another share from now on. Thread-safe. */
void limiter_memory_set_share(struct limiter_memory *l, guint share);

/** Another maximum than LIMITER_KEYS_MAX. Thread-safe. */
void limiter_memory_set_max(struct limiter_memory *l, guint keys);

/** The file in the state directory that holds what these two write and read, and its octets at most. */
#define LIMITER_STATE_NAME "limits.state"
#define LIMITER_STATE_MAX ((size_t)1024 * 1024 * 1024) /* a million keys are some 100 MB */

/**
 * Appends all that counts still, and the statistics with it, as text with a version in the first
 * line and a checksum in the last.  wall: the time of day, microseconds since 1970; charges are
 * written in it, since the clock above may begin anew with the machine.  A few keys are locked at a time.  Thread-safe.  Ask buf_failed(out).
 */
void limiter_memory_write(struct limiter_memory *l, struct tally_table *tallies, int64_t wall,
			  struct buf *out);

/**
 * Reads that again into an empty limiter and an empty table that nobody uses yet; false, with *why
 * (static), and both still empty, if it is damaged in any way.  wall: the time of day now.  If that
 * is before what was charged (the time of day was set back), the charge counts as made now.
 */
bool limiter_memory_read(struct limiter_memory *l, struct tally_table *tallies, int64_t wall,
			 const char *text, size_t len, const char **why);

/** One limit in use, for poolctl limits. */
struct limiter_use {
	const char *key;
	struct limit limit; /* as it was asked: undivided */
	uint32_t most;	    /* this node's share of it */
	uint64_t used;
	int64_t wait_us; /* until one more fits; 0: now */
};

/** Calls each() for all limits in use, in no order; it must not call the limiter. Thread-safe. */
void limiter_memory_each(struct limiter_memory *l,
			 void (*each)(const struct limiter_use *use, void *context), void *context);

/** Forgets the charges of a key, under all its limits; false if there are none. Thread-safe. */
bool limiter_memory_reset(struct limiter_memory *l, const char *key);

/** A number that grows with each charge and reset: so long as it is the same, nothing has changed. */
uint64_t limiter_memory_changes(struct limiter_memory *l);

/** Keys that are kept: those that count, and some that counted lately. Thread-safe. */
guint limiter_memory_size(struct limiter_memory *l);

#endif
