/*
 * tallies - where the statistics of events go: Redis, the metrics file.
 *
 * They are counted in the events' database, in the transaction of their event.  Without Redis they stay
 * there, where poolctl stats finds them.  Functions are for the main thread.
 */
#ifndef POOLMILTER_EVENTS_TALLIES_H
#define POOLMILTER_EVENTS_TALLIES_H

#include "core/settings.h"
#include "io/event_db.h"

/** Once. db stays the caller's; behind() tells how many seconds old the log's last line is. */
void tallies_begin(struct event_db *db, int64_t (*behind)(void));

/** Takes settings, at the start and at each reload; a reference of its own. */
void tallies_change(struct settings *s);

#define TALLIES_SHIP_SECONDS 5
#define TALLIES_METRICS_SECONDS 15
#define TALLIES_DROP_SECONDS 3600

/** What is to be done so often: to Redis what has not reached it; the metrics file; old hours deleted. */
void tallies_ship(void);
void tallies_metrics(void);
void tallies_drop(void);

/** At the stop: ships once more. */
void tallies_end(void);

#endif
