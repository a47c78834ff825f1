/*
 * key_watch - the rotation of keys while the daemon runs: looks for records, writes down, tells the log.
 */
#ifndef POOLMILTER_DAEMON_KEY_WATCH_H
#define POOLMILTER_DAEMON_KEY_WATCH_H

#include "core/settings.h"

/**
 * Watches the pools of these settings from now on, which are in force; loaded: seconds since 1970 when the
 * reading of them began.  Call it in the signal thread, or before that runs.
 */
void key_watch_change(struct settings *s, int64_t loaded);

#endif
