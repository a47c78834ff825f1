/*
 * limiter_redis_settings - the configuration's group redis, as the limiter's driver wants it.
 */
#ifndef POOLMILTER_IO_LIMITER_REDIS_SETTINGS_H
#define POOLMILTER_IO_LIMITER_REDIS_SETTINGS_H

#include "core/settings.h"
#include "io/limiter_redis.h"

/** What s has in its group redis; strings stay those of s. Give back with the next function. */
void limiter_redis_settings_from(const struct settings *s, struct limiter_redis_settings *out);
void limiter_redis_settings_clear(struct limiter_redis_settings *r);

#endif
