/*
 * lane - one destination of events: what waits for it, the batch that is on its way, and when to
 * try again after a failure.
 *
 * A lane is taken (a batch is read from the database), sent (by a carrier), returned with how that
 * ended, and settled (the database is told); then it can be taken again.  So a destination has one
 * batch at a time, and its events keep their order.  For one thread.
 *
 * A batch that is refused for what it is (DELIVERY_REFUSED) is sent again with half as many events,
 * down to one; an event that is refused LANE_REFUSALS_MAX times when it is alone goes to the dead
 * letters.  What fails otherwise is sent again after core/backoff.h's time, without end.
 */
#ifndef POOLMILTER_EVENTS_LANE_H
#define POOLMILTER_EVENTS_LANE_H

#include "io/delivery.h"
#include "io/event_db.h"

#define LANE_REFUSALS_MAX 3
#define LANE_OCTETS_MAX 1000000 /* JSON in a batch, unless one event has more */

enum lane_state {
	LANE_IDLE,
	LANE_SENDING,
	LANE_RETURNED, /* the database is to be told */
};

enum lane_fate {
	LANE_KEEP, /* the events wait on */
	LANE_DELIVERED,
	LANE_BURY,
};

struct lane {
	char *name;
	guint batch;        /* events in one, at most */
	int64_t patience;   /* microseconds that an event waits for others to go with it */
	const void *target; /* the carrier's, of the settings in force */
	bool gone;          /* not in the settings any more */

	enum lane_state state;
	GPtrArray *rows; /* the batch, of struct event_row *; NULL: none */
	enum lane_fate fate;
	bool note; /* how the destination does has changed */

	bool known;      /* the database has been asked about it */
	guint64 backlog; /* events that waited when it was asked last, those under way included */
	guint64 waiting; /* events; about so many when oldest is 0 */
	int64_t oldest;  /* when the first one was added, microseconds since 1970; 0: not known */

	guint limit;         /* events in the next batch, at most */
	guint streak;        /* batches delivered since that has changed */
	int64_t refused_seq; /* the event that was refused when it was alone */
	guint refusals;      /* how often */

	guint failures;    /* in a row */
	gint64 down_since; /* g_get_monotonic_time() */
	gint64 wait_until; /* the same; 0: no need to */
	int64_t next_try;  /* microseconds since 1970, for the database; 0: at once */
	char *error;       /* the last one; NULL: none */
};

struct lane *lane_new(const char *name);
void lane_free(void *lane);

/** What settings say; a lane that waits after a failure waits no longer. */
void lane_set(struct lane *l, guint batch, int64_t patience, const void *target);

/** What the database says of it. */
void lane_look(struct lane *l, const struct event_destination *d);

/**
 * When it may be taken, g_get_monotonic_time()'s; G_MAXINT64: not before something else happens.
 */
gint64 lane_due(const struct lane *l);

/**
 * Reads a batch; the state tells whether there is one: not if its events are better sent later.
 * False with *why (g_free it) if the database fails.
 */
bool lane_take(struct lane *l, struct event_db *db, char **why);

/** The batch came back. Takes d->why. */
void lane_return(struct lane *l, const struct delivery *d);

/** Tells the database, in the caller's transaction; false with *why (g_free it). */
bool lane_settle(const struct lane *l, struct event_db *db, char **why);

/** That transaction is committed. */
void lane_settled(struct lane *l);

/** There is reason to try now. */
void lane_hurry(struct lane *l);

#endif
