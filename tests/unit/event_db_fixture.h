/*
 * event_db_fixture - what the tests of the events' database share.
 */
#ifndef POOLMILTER_TESTS_EVENT_DB_FIXTURE_H
#define POOLMILTER_TESTS_EVENT_DB_FIXTURE_H

#include "fixture.h"

#include "io/event_db.h"
#include "io/event_db_private.h"

/** Fails with the reason if a step of the database failed. */
#define check_db(name, step) \
	do { \
		char *why = NULL; \
		if (!(step)) \
			fail_msg("case \"%s\": %s: %s", (name), #step, why); \
	} while (0)

/** A directory of its own for a case; valid until the program ends. */
const char *event_db_directory(const char *name);

/** A path in it; valid until the program ends. */
const char *event_db_file(const char *name, const char *suffix);

/** Opens it, fails the test if that fails. */
struct event_db *event_db_opened(const char *name, enum event_db_mode mode);

/** Fails the test unless opening fails with these words, after the path. */
void event_db_refused(const char *name, enum event_db_mode mode, const char *words);

/** Adds the nth event of a series, {"n":N}, in the transaction that is open; true if it is new. */
bool event_db_put(struct event_db *db, const char *series, unsigned n, const char *pool,
		  const GPtrArray *destinations);

/** Adds so many in a transaction. */
void event_db_put_many(struct event_db *db, const char *series, unsigned n, const char *pool,
		       const GPtrArray *destinations);

/** Names of destinations, NULL at the end; valid until the program ends. */
const GPtrArray *event_db_names(const char *first, ...) G_GNUC_NULL_TERMINATED;

/** n of an event of event_db_put(). */
unsigned event_db_n(const struct event_row *row);

/** The first that wait for a destination: "n n n". */
void event_db_check_waiting(const char *name, struct event_db *db, const char *destination,
			    guint max, size_t octets, const char *want);

/** What waits and is dead: "name waiting/dead ..." of all destinations. */
void event_db_check_counts(const char *name, struct event_db *db, const char *want);

/** Runs SQL, past everything. */
void event_db_sql(struct event_db *db, const char *sql);

#endif
