/*
 * event_stats - what an event adds to the statistics; the keys are those of core/stats.h.
 */
#ifndef POOLMILTER_CORE_EVENT_STATS_H
#define POOLMILTER_CORE_EVENT_STATS_H

#include "core/event.h"
#include "core/stats.h"

/**
 * Calls add() for each key: its pool's hour and its pool's and ISP's, and the same without the hour
 * under EVENT_STATS_TOTAL, which go up for ever.  False as soon as add() is, with its *why.
 */
bool event_stats(const struct event *e,
		 bool (*add)(void *context, const char *key, const struct tally *tallies, guint n,
			     char **why),
		 void *context, char **why);

#define EVENT_STATS_TOTAL "t/" /* in front of keys: "t/p/acme", "t/pi/acme/gmail" */

#endif
