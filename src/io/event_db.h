/*
 * event_db - events on disk until who asked for them has them; and what the joiner knows meanwhile.
 *
 * A SQLite database in WAL mode, STATE_DIR/events.db, which poolevents, poolctl bounce and poolctl
 * events open at the same time.  In it:
 *
 *	events		as JSON; kept for a while after all destinations have them, for poolctl events
 *	waiting		which destination has not got which event yet: the queue
 *	dead		what a destination did not take in max_age, or refused for good, and why
 *	destinations	how each one does: failures in a row, the next try, the last error
 *	flights		the joiner's store: messages in the MTA's queue, and for `history` after that
 *	tallies		of the statistics: what has not been brought to Redis
 *	facts		small texts by name: the position in the log
 *
 * A struct event_db is one connection: for one thread.  What writes stands between event_db_begin()
 * and event_db_commit().  All that can fail gives false and *why (g_free it); a failed write leaves
 * the transaction to be ended with event_db_rollback().
 */
#ifndef POOLMILTER_IO_EVENT_DB_H
#define POOLMILTER_IO_EVENT_DB_H

#include "core/event.h"
#include "core/joiner.h"
#include "core/tally_table.h"

struct event_db;

#define EVENT_DB_NAME "events.db"

enum event_db_mode {
	EVENT_DB_READ,   /* it must be there */
	EVENT_DB_WRITE,  /* it must be there */
	EVENT_DB_CREATE, /* it is made, mode 0600, or brought to this version's tables, if need be */
};

struct event_db *event_db_open(const char *state_dir, enum event_db_mode mode, char **why);
void event_db_close(struct event_db *db); /* NULL is allowed; rolls back what is open */

/** Waits for other writers, at most 10 s. */
bool event_db_begin(struct event_db *db, char **why);
bool event_db_commit(struct event_db *db, char **why); /* on disk when it returns */
void event_db_rollback(struct event_db *db);

/* ---- facts ---- */

/** *value: g_free it; NULL if there is none. */
bool event_db_fact(struct event_db *db, const char *name, char **value, char **why);
bool event_db_set_fact(struct event_db *db, const char *name, const char *value, char **why);

/* ---- events and the queue ---- */

/**
 * Adds an event, and has it wait for each destination (names, of char *).  One whose time and ID are
 * there changes nothing; *is_new (may be NULL) tells.
 */
bool event_db_add(struct event_db *db, const struct event *e, const char *json,
		  const GPtrArray *destinations, bool *is_new, char **why);

struct event_row {
	int64_t seq; /* in the order that they were added */
	int64_t time; /* when it was added: microseconds since 1970 */
	char *id, *pool, *json;
};

/**
 * The oldest events that wait for a destination: of struct event_row *, at most so many, with at most
 * so many octets of JSON but at least one; g_ptr_array_unref() it.
 */
bool event_db_waiting(struct event_db *db, const char *destination, guint max, size_t octets,
		      GPtrArray **rows, char **why);

/** They have reached the destination: they wait for it no longer. */
bool event_db_delivered(struct event_db *db, const char *destination, const GPtrArray *rows, char **why);

/** It will not get them: into the dead-letter table, with the reason. */
bool event_db_bury(struct event_db *db, const char *destination, const GPtrArray *rows,
		   const char *reason, char **why);

/**
 * Buries all that have waited since before a time, up to the first one that has not; *n: how many.
 * What was called back from the dead waits since then.
 */
bool event_db_bury_older(struct event_db *db, const char *destination, int64_t before, guint *n,
			 char **why);

/** How a destination does. */
struct event_destination {
	char *name;
	guint64 waiting, dead; /* events */
	int64_t oldest;	       /* time of the first one that waits; 0: none */
	guint failures;	       /* in a row */
	int64_t next_try;      /* microseconds since 1970; 0: at once */
	char *error;	       /* the last one; NULL: none */
};

/** All that are known: of struct event_destination *, sorted by name; g_ptr_array_unref() it. */
bool event_db_destinations(struct event_db *db, GPtrArray **out, char **why);

/** Notes how a destination does (name, failures, next_try, error). */
bool event_db_note(struct event_db *db, const struct event_destination *d, char **why);

/** For poolctl: the next try of a destination (NULL: of all) is now, and what is dead waits again. */
bool event_db_retry(struct event_db *db, const char *destination, bool dead_too, guint64 *n, char **why);

/** For poolctl: drops what waits for a destination, or what is dead. */
bool event_db_drop(struct event_db *db, const char *destination, bool dead, guint64 *n, char **why);

/**
 * Calls each() for dead letters of a destination, oldest first, until it returns false; NULL: of all,
 * one destination after the other.  Nothing is locked while each() runs, nor in the functions below.
 */
bool event_db_dead(struct event_db *db, const char *destination,
		   bool (*each)(const struct event_row *row, const char *destination, const char *reason,
				void *context),
		   void *context, char **why);

/** Calls each() for events after seq (0: all that are kept), of a pool (NULL: of all), in their order. */
bool event_db_each(struct event_db *db, int64_t after, const char *pool,
		   bool (*each)(const struct event_row *row, void *context), void *context, char **why);

/** The last event's seq; 0: there is none. */
bool event_db_last(struct event_db *db, int64_t *seq, char **why);

/** The seq of the last event that was added before a time; 0: there is none. */
bool event_db_before(struct event_db *db, int64_t time, int64_t *seq, char **why);

/** A number that is another one after each commit of another connection: cheap, for who follows. */
bool event_db_changes(struct event_db *db, int64_t *number, char **why);

/**
 * Deletes events that nobody waits for and that were added before a time, unless one of their dead
 * letters was buried since then; the letters go with them.  Looks at so many, goes on from there the
 * next time, and begins anew at the end; *n: how many it deleted.  Gives room that is free back to the
 * file system, if it is much, some of it at a time.
 */
bool event_db_prune_events(struct event_db *db, int64_t before, guint max, guint *n, char **why);

/* ---- flights ---- */

/** The store for a joiner; belongs to db. Why it failed: event_db_store_error(). */
const struct joiner_store *event_db_store(struct event_db *db);
const char *event_db_store_error(const struct event_db *db);

/**
 * Flights, ended ones too: by queue ID the last one born before a time, or by Message-ID the last one
 * that is of a pool, if one is.  *out NULL: there is none.
 */
bool event_db_flight(struct event_db *db, const char *queue_id, int64_t born_before, struct flight **out,
		     char **why);
bool event_db_flight_by_message_id(struct event_db *db, const char *message_id, struct flight **out,
				   char **why);

/**
 * Deletes flights that ended before a time, and those that have not ended and were born before the
 * other one; at most so many, *n: how many.
 */
bool event_db_prune_flights(struct event_db *db, int64_t ended_before, int64_t born_before, guint max,
			    guint *n, char **why);

/* ---- statistics ---- */

/**
 * Adds to numbers of a key.  They stop at the ends of their range; one that is brought to 0 by what is
 * taken off goes away.  They can be read, here too, after the commit.
 */
bool event_db_tally(struct event_db *db, const char *key, const struct tally *tallies, guint n, char **why);

/** Calls each() for the numbers of keys that begin with start, those of a key one after the other. */
bool event_db_each_tally(struct event_db *db, const char *start,
			 void (*each)(const char *key, const char *field, int64_t value, void *context),
			 void *context, char **why);

#endif
