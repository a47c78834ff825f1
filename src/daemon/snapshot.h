/*
 * snapshot - the settings in force; swapped whole by a reload.
 */
#ifndef POOLMILTER_DAEMON_SNAPSHOT_H
#define POOLMILTER_DAEMON_SNAPSHOT_H

#include "core/settings.h"

/** Puts new settings in force (takes the caller's reference) and gives the old ones back. NULL: none. */
void snapshot_set(struct settings *s);

/** The settings in force, with a reference for the caller: settings_unref(). Thread-safe. */
struct settings *snapshot_get(void);

#endif
