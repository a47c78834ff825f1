/*
 * limit_state - counters of limits and statistics over a restart: limits.state in the state directory.
 */
#ifndef POOLMILTER_DAEMON_LIMIT_STATE_H
#define POOLMILTER_DAEMON_LIMIT_STATE_H

#include "core/limiter_memory.h"

/**
 * Reads what an earlier process left in directory into l and tallies, which are new and live until
 * the process ends.  What goes wrong stands in the log: the counters begin empty then.
 */
void limit_state_begin(struct limiter_memory *l, struct tally_table *tallies, const char *directory);

/**
 * Writes it there, if it has changed; what goes wrong stands in the log.  Without limit_state_begin()
 * before: nothing.  Waits for the disk.  Thread-safe.
 */
void limit_state_write(void);

#endif
