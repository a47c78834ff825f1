/*
 * shared_limiter - the limiter that all nodes share: Redis, as the settings in force name it; and this
 * node's own, which takes over while Redis is down.
 */
#ifndef POOLMILTER_DAEMON_SHARED_LIMITER_H
#define POOLMILTER_DAEMON_SHARED_LIMITER_H

#include "core/limiter_memory.h"
#include "core/settings.h"
#include "io/limiter_redis.h"

/** Once, before the other functions. local: this node's own. */
void shared_limiter_begin(struct limiter_memory *local);

/**
 * Takes the settings' group redis, at the start and at each reload before the settings are in force.
 * The first time there is one a thread starts.  Waits for Redis, but no longer than connect_timeout_ms.
 * False with *why (g_free it), and it stays as it was.
 */
bool shared_limiter_change(const struct settings *s, char **why);

/**
 * The facade; lives as long as the process. Without Redis so far: LIMITER_FAILED.  What it allows is
 * recorded with this node's own limiter too.  Thread-safe.
 */
const struct limiter *shared_limiter_facade(void);

/** This node's own, while Redis is down; remembers what it allows, for Redis. Thread-safe. */
const struct limiter *shared_limiter_local(void);

/** At the stop: tells Redis what was allowed while it was down, if it is up now. */
void shared_limiter_end(void);

/** Redis' driver; NULL if no settings have named one yet. Thread-safe. */
struct limiter_redis *shared_limiter_redis(void);

#endif
