/*
 * statistics - where this node's statistics go: Redis, the state file, the metrics file, the log.
 */
#ifndef POOLMILTER_DAEMON_STATISTICS_H
#define POOLMILTER_DAEMON_STATISTICS_H

#include "core/limiter_memory.h"
#include "core/settings.h"
#include "core/stats.h"

/**
 * Makes them; once, before the first of these functions.  limiter tells its size in the metrics.  What
 * they count into is statistics_hours().
 */
struct stats *statistics_begin(struct limiter_memory *limiter);
struct tally_table *statistics_hours(void);

/** Takes settings, at the start and at each reload when they are in force. In the signal thread. */
void statistics_change(const struct settings *s);

/**
 * At the stop: the last line of each pool, and to Redis what has not reached it yet, if it can now;
 * what cannot stays in statistics_hours().
 */
void statistics_end(void);

#endif
