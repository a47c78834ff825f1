/*
 * limiter_redis_locks - locks of pools to ISPs in Redis, for all nodes.
 *
 * A hash at {PREFIX}:k: for each lock a field POOL/ISP with the words of lock_write(); and a field
 * without a name, the version, which is another one after each change: who knows it need not read
 * the locks again.  Times are of the nodes' clocks, which must agree (NTP).
 */
#ifndef POOLMILTER_IO_LIMITER_REDIS_LOCKS_H
#define POOLMILTER_IO_LIMITER_REDIS_LOCKS_H

#include "core/lock_table.h"
#include "io/limiter_redis.h"

/**
 * Sets a lock in one atomic step, unless the one that is there holds (lock_holds()): *set tells.
 * False with *why (g_free it) if it is not known; to set it again does no harm.  Takes the time of
 * a command, as all here.  Thread-safe, as all here.
 */
bool limiter_redis_lock_set(struct limiter_redis *l, const struct lock *lock, int64_t now,
			    bool *set, char **why);

/** Releases a lock; *was: there was one. False with *why in the same way. */
bool limiter_redis_lock_release(struct limiter_redis *l, const char *pool, const char *isp,
				bool *was, char **why);

/**
 * Reads the locks, unless *version is theirs still: *locks is NULL then, else those in force (of
 * struct lock; g_array_unref() it), and *version is the new one (g_free it).  *version NULL: they
 * are read. Those that have ended are removed there.  What is no lock is left alone, and the log
 * tells it.  Many are read in steps of some hundred, so that Redis serves others in between.  False
 * with *why, and *version as it was.
 */
bool limiter_redis_lock_look(struct limiter_redis *l, int64_t now, char **version, GArray **locks,
			     char **why);

/** Forgets the charges of a key under one limit: in one step, unlike limiter_redis_reset(). */
bool limiter_redis_forget(struct limiter_redis *l, const char *key, struct limit limit, char **why);

#endif
