/*
 * loop - the main thread of poolevents: collects, waits, does what is due, and acts on signals.
 */
#ifndef POOLMILTER_EVENTS_LOOP_H
#define POOLMILTER_EVENTS_LOOP_H

#include "events/collector.h"

#define LOOP_PERIODS_MAX 8

/** Blocks the signals that the loop reads, in this thread and all that it starts. Call it first. */
void loop_block_signals(void);

/**
 * Has function called each so many seconds, in the loop's thread, from the first round on. Before
 * loop_run().
 */
void loop_every(guint seconds, void (*function)(void));

struct loop {
	struct collector *collector; /* which is open */
	const struct log_source *source;
	void (*reload)(void); /* on SIGHUP */
	bool once;            /* end when all that is there has been read */
};

/**
 * Runs until SIGTERM or SIGINT, or until there will be no more lines.  What was read by then is
 * committed. False: of a run once, something could not be read or kept, which the log tells.
 */
bool loop_run(const struct loop *l);

#endif
