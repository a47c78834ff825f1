/*
 * limiter_redis - limits and statistics that all nodes share, in Redis.
 *
 * The driver of core/limiter.h: one round trip a message.  What it keeps there:
 *
 *	{PREFIX}:l:MOST/SECONDSs:KEY	a string, a window of charges; lives a second longer than it
 *counts {PREFIX}:t:KEY			a hash, the tallies of a key; lives stats_days
 *	{PREFIX}:probe			a window that nobody asks; lives a minute
 *
 * All in one slot of a Redis Cluster, which is what one atomic step needs.
 */
#ifndef POOLMILTER_IO_LIMITER_REDIS_H
#define POOLMILTER_IO_LIMITER_REDIS_H

#include "core/limiter.h"
#include "core/limiter_memory.h" /* struct limiter_use */
#include "io/store.h"

struct limiter_redis;

struct limiter_redis_settings {
	struct store_settings store;
	const char *prefix; /* any octets; NULL or "": "poolmilter" */
	guint stats_days;   /* 0: 1 */
};

/**
 * A limiter; starts a thread, so after the process has become a daemon.  Redis need not be there.
 * NULL with *why (g_free it) if the settings cannot be: the loader asks limiter_redis_check()
 * before.  Free with limiter_redis_free(), when nobody asks any more.
 */
struct limiter_redis *limiter_redis_new(const struct limiter_redis_settings *settings, char **why);
void limiter_redis_free(struct limiter_redis *l); /* NULL is allowed */

/** What is wrong with the settings, files of TLS included (g_free it); NULL: nothing. */
char *limiter_redis_check(const struct limiter_redis_settings *settings);

/** Takes changed settings; false with *why, and the old ones stay. Thread-safe. */
bool limiter_redis_change(struct limiter_redis *l, const struct limiter_redis_settings *settings,
			  char **why);

/** The facade; belongs to l. LIMITER_FAILED comes at once while Redis is known to be down. */
const struct limiter *limiter_redis_facade(struct limiter_redis *l);

/** True while Redis answers. Thread-safe. */
bool limiter_redis_up(struct limiter_redis *l);

/**
 * Calls each() for all limits in use; false with *why if not all could be read.  Goes through the
 * keys in small steps, so it holds up nobody; what changes meanwhile may be told or not.
 * Thread-safe.
 */
bool limiter_redis_each(struct limiter_redis *l,
			void (*each)(const struct limiter_use *use, void *context), void *context,
			char **why);

/** Calls each() for all tallies of keys that begin with start (""; all), in the same way. */
bool limiter_redis_each_tally(struct limiter_redis *l, const char *start,
			      void (*each)(const char *key, const char *field, int64_t value,
					   void *context),
			      void *context, char **why);

/**
 * Forgets the charges of a key, under all its limits; *forgotten: how many windows there were.
 * False with *why if that is not known to be done.
 */
bool limiter_redis_reset(struct limiter_redis *l, const char *key, guint *forgotten, char **why);

#endif
