/*
 * metrics_events - what became of the mail, for Prometheus (text format 0.0.4): poolevents' file.
 */
#ifndef POOLMILTER_CORE_METRICS_EVENTS_H
#define POOLMILTER_CORE_METRICS_EVENTS_H

#include "base/buf.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/** How a destination of events does. */
struct metrics_destination {
	const char *name;
	guint64 waiting, dead; /* events */
	int64_t oldest;	       /* seconds that the first one waits */
	guint failures;	       /* in a row */
};

struct metrics_events;

/** Begins; metrics_events_free() it. */
struct metrics_events *metrics_events_new(void);
void metrics_events_free(struct metrics_events *m);

/** Takes a number of the statistics; what is no total of events (core/event_stats.h) is left. */
void metrics_events_total(const char *key, const char *field, int64_t value, void *m);

/** Takes a destination. */
void metrics_events_destination(struct metrics_events *m, const struct metrics_destination *d);

/**
 * Appends all of it; ask buf_failed(out).  started: of the process, seconds since 1970; behind: seconds
 * since the log's line that was read last was written, 0 if all is read.
 */
void metrics_events_text(const struct metrics_events *m, time_t started, int64_t behind,
			 struct buf *out);

#endif
