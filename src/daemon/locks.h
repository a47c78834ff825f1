/*
 * locks - the locks of pools to ISPs that this node obeys: from Redis, or set through the control
 * socket.
 */
#ifndef POOLMILTER_DAEMON_LOCKS_H
#define POOLMILTER_DAEMON_LOCKS_H

#include "core/lock_table.h"
#include "core/settings.h"

/**
 * Once, before the other functions: reads what an earlier process left in directory into t, which
 * is empty and lives as long as the process.  What goes wrong stands in the log.
 */
void locks_begin(struct lock_table *t, const char *directory);

/**
 * Takes the settings, after shared_limiter_change() has: with Redis the locks are read from there
 * at once, and each second from now on.  In the signal thread, or before that runs.
 */
void locks_change(const struct settings *s);

/** For the control socket: see daemon/control.h. In the signal thread. */
bool locks_set(const struct lock *l, char **why);
bool locks_release(const char *pool, const char *isp, char **why);

/** At the stop: writes them down, if they have changed. Thread-safe. */
void locks_end(void);

#endif
