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
#define LOCK_WHY_MAX 200                        /* octets of why that are kept */
#define LOCK_TIME_MAX INT64_C(9000000000000000) /* in 2255; numbers of Lua are exact so far */
#define LOCK_BY_HAND "-"

/** Times are of the wall clock, microseconds since 1970: nodes share them. */
struct lock {
	char *pool, *isp; /* names */
	char *rule;       /* name of the rule that has set it, or LOCK_BY_HAND */
	char *why;        /* the reply that was the last drop; or NULL */
	int64_t since, until;
	bool paused;       /* nothing is sent */
	struct limit rate; /* else: at first no more than this, */
	int64_t step;      /* and twice as much after each so many microseconds; 0: never */
};

void lock_clear(struct lock *l); /* frees its strings */
struct lock lock_copy(const struct lock *l);

/** An array of struct lock that clears them. */
GArray *lock_array_new(void);

/** The rate in force at a time. */
struct limit lock_rate(const struct lock *l, int64_t now);

/**
 * True if a lock stays where another one of its pool and ISP is to be set.  Who sets one by hand
 * has the last word; a rule does not set its lock anew while that is in force; else to pause is
 * more than to slow, and of two alike the one stays that ends later.
 */
bool lock_holds(const struct lock *there, const struct lock *l, int64_t now);

/** "2026-11-20T19:30:00Z"; g_free it. */
char *lock_time(int64_t us);

/** "pool=acme isp=gmail rule=throttled paused until=2026-11-20T19:30:00Z", for the log; g_free it.
 */
char *lock_text(const struct lock *l);

struct lock_table;

struct lock_table *lock_table_new(void);
void lock_table_free(struct lock_table *t); /* NULL is allowed */

/** Copies it in, in place of the one of its pool and ISP; false: no room. */
bool lock_table_set(struct lock_table *t, const struct lock *l);

/** The same, unless the one there holds: false then, too. */
bool lock_table_offer(struct lock_table *t, const struct lock *l, int64_t now);

/** False if there was none. */
bool lock_table_release(struct lock_table *t, const char *pool, const char *isp);

/** What is in force for a message. */
struct lock_state {
	bool paused;       /* until it ends */
	struct limit rate; /* else: at present */
	int64_t until;
	char *rule; /* g_free it */
};

/**
 * False: there is no lock in force, and out is not touched.  Quick, most of all while there are no
 * locks at all: see lock_table_empty().
 */
bool lock_table_find(struct lock_table *t, const char *pool, const char *isp, int64_t now,
		     struct lock_state *out);

/** True if there are none. One atomic load. */
bool lock_table_empty(const struct lock_table *t);

/** Puts other locks in place of all: an array of struct lock (not taken over). */
void lock_table_replace(struct lock_table *t, const GArray *locks);

/** Copies of those in force, sorted by pool and ISP: of struct lock; g_array_unref() it. */
GArray *lock_table_list(struct lock_table *t, int64_t now);

/** Takes out those that have ended: of struct lock; g_array_unref() it. */
GArray *lock_table_ended(struct lock_table *t, int64_t now);

/**
 * Appends a lock as words of a line (core/word.h): for Redis, the control socket, the state file.
 *
 *	lock POOL ISP RULE SINCE UNTIL paused WHY
 *	lock POOL ISP RULE SINCE UNTIL slowed MOST SECONDS STEP WHY
 */
void lock_write(const struct lock *l, GString *line);

/** Reads such a line of whomever; false for anything else. lock_clear() it. */
bool lock_read(const char *line, size_t len, struct lock *out);

/** A number that grows with each change. */
uint64_t lock_table_changes(struct lock_table *t);

#endif
