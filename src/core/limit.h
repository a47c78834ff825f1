/*
 * limit - "20/second": at most so many in any window of a length, whatever its edges.
 *
 * The rule and its count.  The same algorithm runs in memory (limiter_memory.h) and in Redis; limit.c
 * tells it and why it keeps the promise.
 */
#ifndef POOLMILTER_CORE_LIMIT_H
#define POOLMILTER_CORE_LIMIT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMIT_PARTS 50	      /* a bucket holds at most a 50th of the limit, or one charge */
#define LIMIT_BUCKETS_MAX 100 /* follows from it: two neighbours hold more than a 50th together */
#define LIMIT_MOST_MAX 1000000000
#define LIMIT_SECONDS_MAX (31 * 86400)

/** A rule: in no window of so many seconds more than most. */
struct limit {
	uint32_t most;
	uint32_t seconds;
};

/**
 * Reads "N/second", "N/minute", "N/hour", "N/day", "N/30s", "N/15m", "N/2h", "N/1d".  False, *limit as it
 * was, for anything else, numbers with a leading zero, and what is over the maxima.
 */
bool limit_parse(const char *text, struct limit *limit);

/** The rule in its normal form, "20/second" or "20/30s" (g_free it). */
char *limit_text(struct limit limit);

/**
 * Charges that still count, oldest first; zeroed it is empty.  Times are microseconds of whatever clock
 * the owner keeps.  Not locked.  Free with limit_window_clear().
 */
struct limit_window {
	uint64_t used; /* sum of the buckets' counts */
	struct limit_bucket {
		int64_t last; /* time of the last charge */
		uint64_t count;
	} *buckets;
	uint32_t n;
	uint32_t room;
};

/** Drops what counts no longer; returns how much still counts at that time. */
uint64_t limit_window_used(struct limit_window *w, struct limit limit, int64_t now);

/**
 * How long to wait until amount more fits if nothing else is charged, in microseconds: 0: it fits now;
 * negative: never, amount is over the limit itself.  At most the window's length.
 */
int64_t limit_window_wait(struct limit_window *w, struct limit limit, uint64_t amount, int64_t now);

/**
 * Charges, without asking.  Times must not go back but when the clock was set back: what was charged at
 * later times then counts as charged now, so it counts for at most one window more.
 */
void limit_window_charge(struct limit_window *w, struct limit limit, uint64_t amount, int64_t now);

/** Frees the memory; the window is empty and usable. */
void limit_window_clear(struct limit_window *w);

#endif
