/*
 * limiter_redis - limits and statistics that all nodes share, in Redis.
 *
 * The driver of core/limiter.h: one round trip a message.  Statistics come in batches, from each
 * node's own tally_table.  What it keeps there:
 *
 *	{PREFIX}:l:MOST/SECONDSs:KEY	a string, a window of charges; lives a second longer than it
 *					counts
 *	{PREFIX}:t:KEY			a hash, the statistics of a key; lives stats_days after its
 *					last field has come up
 *	{PREFIX}:n:NODE			a string, the serial of a node's last batch; lives stats_days
 *					after it
 *	{PREFIX}:k			a hash, the locks of pools to ISPs (limiter_redis_locks.h); lives
 *					a minute longer than the last of them
 *	{PREFIX}:probe			a window that nobody asks; lives a minute
 *
 * All in one slot of a Redis Cluster, which is what one atomic step needs.
 */
#ifndef POOLMILTER_IO_LIMITER_REDIS_H
#define POOLMILTER_IO_LIMITER_REDIS_H

#include "core/limiter.h"
#include "core/limiter_memory.h" /* struct limiter_use */
#include "core/tally_table.h"
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
 * For who asks once and ends: waits until Redis answers, at most timeout_ms; false, with the reason
 * in *why (g_free it), if it does not by then.  Thread-safe.
 */
bool limiter_redis_wait_up(struct limiter_redis *l, guint timeout_ms, char **why);

/**
 * Adds a batch to the statistics, in one atomic step and at most once, however often it is sent:
 * only if the serial is above that of node's last batch.  So
 *
 *	node	is a name of its own for each life of a process: a hostname alone may be another's
 *		too, and after a restart its serials would have to go on above the old ones
 *	serial	begins at 1 and grows with each batch
 *	STORE_REPLIED	it is counted, by this or an earlier call; numbers whose key is not ours in
 *			Redis are left out, and the log tells it
 *	STORE_REFUSED	this call has counted nothing, *why tells the reason: to be sent again
 *	STORE_UNCERTAIN	not known, *why tells the reason: the same must be sent again with the
 *			same serial before another is
 *
 * A batch may be put back and sent with others, under the next serial, only so long as none of its
 * calls was STORE_UNCERTAIN.  *why: g_free it.  Takes the time of a command.  Thread-safe, but one
 * node's batches must come one after the other.
 */
enum store_result limiter_redis_add(struct limiter_redis *l, const char *node, uint64_t serial,
				    const struct tally_batch *batch, char **why);

/* Keys in a batch, at most.  Redis counts 1,200 numbers in a millisecond: with 16 fields 3 ms. */
#define LIMITER_REDIS_BATCH_KEYS 200

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
