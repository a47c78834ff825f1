/*
 * lock_table - pools that may not send to an ISP for a while, or only so much.
 *
 * Set where an ISP's replies have reached a rule's threshold (struct lock_rule), by any node.  Each
 * node has a table, which is asked for each message: a hash look-up.  With Redis it is a copy of
 * what stands there; without, it is what there is, and rests in a state file over a restart.
 * Thread-safe.
 */
#ifndef POOLMILTER_CORE_LOCK_TABLE_H
#define POOLMILTER_CORE_LOCK_TABLE_H

#include "base/buf.h"
#include "core/limit.h"

#include <stdbool.h>
#include <stdint.h>

#define LOCKS_MAX 100000

/** Times are of the wall clock, microseconds since 1970: nodes share them. */
struct lock {
	char *pool, *isp; /* names */
	char *rule;	  /* name of the rule that has set it; "-": by hand */
	char *why;	  /* the reply that was the last drop, cut */
	int64_t since, until;
	bool paused;	   /* nothing is sent */
	struct limit rate; /* else: at first no more than this, */
	int64_t step;	   /* and twice as much after each so many microseconds */
};

void lock_clear(struct lock *l); /* frees its strings */

/** The rate in force at a time. */
struct limit lock_rate(const struct lock *l, int64_t now);

struct lock_table;

struct lock_table *lock_table_new(void);
void lock_table_free(struct lock_table *t);

/** Copies it in, in place of the one of its pool and ISP; false: no room. */
bool lock_table_set(struct lock_table *t, const struct lock *l);

/** False if there was none. */
bool lock_table_release(struct lock_table *t, const char *pool, const char *isp);

/** What is in force for a message. */
struct lock_state {
	bool paused;
	int64_t wait_us; /* paused: until it ends */
	bool slowed;
	struct limit rate;
};

/** False: there is no lock in force. Quick, most of all while there are no locks at all. */
bool lock_table_find(struct lock_table *t, const char *pool, const char *isp, int64_t now,
		     struct lock_state *out);

/** Puts other locks in place of all: an array of struct lock (not taken over). */
void lock_table_replace(struct lock_table *t, const GArray *locks);

/** Copies of those in force, sorted by pool and ISP: of struct lock; g_array_unref() it. */
GArray *lock_table_list(struct lock_table *t, int64_t now);

/** Takes out those that have ended: of struct lock; g_array_unref() it. */
GArray *lock_table_ended(struct lock_table *t, int64_t now);

/** A lock as words of a line (core/word.h), for Redis, the control socket and the state file. */
void lock_write(const struct lock *l, GString *line);
bool lock_read(const char *line, size_t len, struct lock *out); /* lock_clear() it */

/** A number that grows with each change. */
uint64_t lock_table_changes(struct lock_table *t);

#endif
