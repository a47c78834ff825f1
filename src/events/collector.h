/*
 * collector - makes events of the MTA's log: reads lines, joins them, and keeps what comes of them.
 *
 * Lines are taken in batches.  What a batch makes (events, the joiner's state, tallies) and the
 * position behind its last line are committed in one transaction, so nothing is lost or counted
 * twice, whenever the process dies.  After a failure collector_open() goes back to the last
 * position that was committed.
 * For one thread.
 */
#ifndef POOLMILTER_EVENTS_COLLECTOR_H
#define POOLMILTER_EVENTS_COLLECTOR_H

#include "core/settings.h"
#include "io/classifier.h"
#include "io/event_db.h"
#include "io/log_source.h"

#define COLLECTOR_IDENT "poolevents" /* of our own lines, which may stand in the log that we read */
#define COLLECTOR_BATCH_LINES 5000
#define COLLECTOR_BATCH_OCTETS (8 * 1024 * 1024)

struct collector_tools {
	struct event_db *db;
	const struct log_source *source;
	/** New events, once they are committed: of struct event *. */
	void (*kept)(const GPtrArray *events, void *context);
	void *context;
};

struct collector;

/** Tools must live as long as the collector; free with collector_free(). */
struct collector *collector_new(const struct collector_tools *tools);
void collector_free(struct collector *c); /* NULL is allowed */

/** Settings and classifier for the lines from now on: stay the caller's, until others are given. */
void collector_change(struct collector *c, const struct settings *s,
		      const struct classifier *classifier);

/**
 * Goes to the position that is kept in the database; where there is none, as log_source's open()
 * says, and keeps that.  False with *why (g_free it): call it again later.
 */
bool collector_open(struct collector *c, bool from_start, char **why);

enum collected {
	COLLECTED_MORE,   /* there are more lines */
	COLLECTED_ALL,    /* not now */
	COLLECTED_SOON,   /* not now; in a moment */
	COLLECTED_END,    /* there will never be more */
	COLLECTED_FAILED, /* with *why (g_free it), nothing of the batch is kept: collector_open() */
};

/** Takes a batch of lines, if there are lines. */
enum collected collector_batch(struct collector *c, char **why);

/**
 * To be called while no lines come: once when messages have waited for long enough for lines that
 * will not come.  False with *why (g_free it), as COLLECTED_FAILED.
 */
bool collector_idle(struct collector *c, char **why);

/** Seconds since the line was written that was read last, while there are more to read; else 0. */
int64_t collector_behind(const struct collector *c);

#endif
