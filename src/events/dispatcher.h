/*
 * dispatcher - brings events from the database to all destinations of the settings.
 *
 * At least once: an event waits in the database until its receiver has it.  One batch at a time
 * for a destination, in the order in which events were added.  Nothing of the caller's threads
 * waits for a receiver.
 */
#ifndef POOLMILTER_EVENTS_DISPATCHER_H
#define POOLMILTER_EVENTS_DISPATCHER_H

#include "core/settings.h"

struct dispatcher;

/**
 * Starts its threads, with references to the settings: in the process that is to stay (no fork()
 * later). The database in state_dir is opened as soon as it is there.  NULL with *why (g_free
 * it).
 */
struct dispatcher *dispatcher_new(struct settings *s, char **why);

/**
 * Ends the threads: what is under way gets 2 s, and is sent again at the next start. NULL is
 * allowed.
 */
void dispatcher_free(struct dispatcher *d);

/**
 * Takes other settings, at a reload; state_dir stays. A destination that waits after a failure
 * tries at once.
 */
void dispatcher_change(struct dispatcher *d, struct settings *s);

/** Something was added to the database: it is looked at now instead of within half a second. */
void dispatcher_wake(struct dispatcher *d);

#endif
