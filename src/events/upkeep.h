/*
 * upkeep - keeps the database of events from growing for ever.
 */
#ifndef POOLMILTER_EVENTS_UPKEEP_H
#define POOLMILTER_EVENTS_UPKEEP_H

#include "core/settings.h"
#include "io/event_db.h"

#define UPKEEP_SECONDS 10 /* how often to call it */
#define UPKEEP_FLIGHT_SECONDS (30 * 24 * 3600) /* no message is in a queue for longer */

/**
 * Deletes events that nobody waits for and that are older than the settings' keep, and messages
 * that ended longer ago than their history; in steps, for a second at most.  What goes wrong stands
 * in the log.
 */
void upkeep_run(struct event_db *db, const struct settings *s);

#endif
