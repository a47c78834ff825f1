/*
 * lock_place - where the locks of a configuration are set, for poolctl and poolevents.
 *
 * Redis where the configuration has it; else the milter daemon of this node, asked through its
 * control socket.  The daemon is told as well while Redis does not answer: it obeys at once, and
 * hands the lock on to Redis later.
 */
#ifndef POOLMILTER_IO_LOCK_PLACE_H
#define POOLMILTER_IO_LOCK_PLACE_H

#include "core/limiter.h"
#include "core/lock_table.h"
#include "core/settings.h"

struct lock_place;

/**
 * The place of a configuration; with Redis a thread starts.  NULL with *why (g_free it) if its
 * group redis cannot be; whether anybody answers there shows later.  Free with lock_place_free().
 */
struct lock_place *lock_place_new(const struct settings *s, char **why);
void lock_place_free(struct lock_place *p); /* NULL is allowed */

/** With Redis: waits until it answers, 3 seconds at the most; false with *why if it does not. */
bool lock_place_wait(struct lock_place *p, char **why);

/** "Redis at 127.0.0.1:6379", "poolmilter on this node": where things are now; g_free it. */
char *lock_place_where(struct lock_place *p);

/** Sets a lock unless one there holds (lock_holds()): *set tells. False with *why if not known. */
bool lock_place_set(struct lock_place *p, const struct lock *l, bool *set, char **why);

/** Releases one; *was: there was one. False with *why, also while Redis is down. */
bool lock_place_release(struct lock_place *p, const char *pool, const char *isp, bool *was,
			char **why);

/** Those in force, sorted: of struct lock, g_array_unref() it; NULL with *why. */
GArray *lock_place_list(struct lock_place *p, char **why);

/** Puts them into t, in place of what is there; of Redis only if they have changed since. */
bool lock_place_refresh(struct lock_place *p, struct lock_table *t, char **why);

/** Redis as a limiter; NULL without. Belongs to p. */
const struct limiter *lock_place_limiter(struct lock_place *p);

/** Forgets what that counts under a key and a limit. False with *why. */
bool lock_place_forget(struct lock_place *p, const char *key, struct limit limit, char **why);

#endif
