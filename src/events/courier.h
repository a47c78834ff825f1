/*
 * courier - a thread that brings events to all destinations of one kind, by a carrier.
 *
 * It has a connection of its own to the events' database, and looks there when somebody has
 * committed something: at once when it is woken, else within COURIER_REST.
 */
#ifndef POOLMILTER_EVENTS_COURIER_H
#define POOLMILTER_EVENTS_COURIER_H

#include "events/carrier.h"

#define COURIER_REST (G_USEC_PER_SEC / 2)  /* between two looks when nothing happens, at most */
#define COURIER_SCAN (G_USEC_PER_SEC / 5)  /* between two looks when something does, at least */
#define COURIER_GRACE (2 * G_USEC_PER_SEC) /* for what is under way when it is to end */

struct courier;

/**
 * Starts one with a reference to the settings.  Takes the carrier's context, also on failure.
 * sweeps: it buries what is too old for destinations that are in nobody's settings.  NULL with
 * *why (g_free it).
 */
struct courier *courier_new(const struct carrier *carrier, void *context, struct settings *s,
			    bool sweeps, char **why);

/** Tells it to end: what is under way gets COURIER_GRACE. From any thread. */
void courier_stop(struct courier *c);

/**
 * The same, and waits: no longer than that and what cannot be broken off, a transaction or a
 * round trip.
 */
void courier_free(struct courier *c);

/** Other settings; takes a reference of its own. From any thread. */
void courier_change(struct courier *c, struct settings *s);

/** There is something new in the database. From any thread. */
void courier_wake(struct courier *c);

#endif
