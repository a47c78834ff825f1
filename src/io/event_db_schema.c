/*
 * event_db_schema - the tables of the events' database, and how an older one is brought to them.
 *
 * PRAGMA user_version has the version, application_id says that the file is ours.  Each version is
 * a step from the one before; all that are missing are taken in one transaction.  Steps that are
 * out in the world are never changed: a change is a new step.
 *
 * destinations.waiting and .dead are counts that triggers keep: millions of rows are not counted
 * each time that somebody asks.  events_id has the event's own time in front: IDs are random, and
 * with them alone each event would change a page of the index somewhere else.  message_key is for
 * the same reason a small number that is made of a Message-ID.
 */
#include "io/event_db_private.h"

#define APPLICATION_ID 0x506d4576 /* "PmEv" */

static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE facts(name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
	" at INTEGER NOT NULL, id TEXT NOT NULL, pool TEXT, json TEXT NOT NULL);"
	"CREATE UNIQUE INDEX events_id ON events(at, id);"
	"CREATE TABLE destinations(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" waiting INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0,"
	" failures INTEGER NOT NULL DEFAULT 0, next_try INTEGER NOT NULL DEFAULT 0, error TEXT);"
	"CREATE TABLE waiting(destination INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" since INTEGER NOT NULL, PRIMARY KEY(destination, seq)) WITHOUT ROWID;"
	"CREATE TABLE dead(destination INTEGER NOT NULL, seq INTEGER NOT NULL,"
	" died INTEGER NOT NULL, reason TEXT NOT NULL,"
	" PRIMARY KEY(destination, seq)) WITHOUT ROWID;"
	"CREATE TRIGGER waiting_more AFTER INSERT ON waiting BEGIN"
	" UPDATE destinations SET waiting = waiting + 1 WHERE number = new.destination; END;"
	"CREATE TRIGGER waiting_less AFTER DELETE ON waiting BEGIN"
	" UPDATE destinations SET waiting = waiting - 1 WHERE number = old.destination; END;"
	"CREATE TRIGGER dead_more AFTER INSERT ON dead BEGIN"
	" UPDATE destinations SET dead = dead + 1 WHERE number = new.destination; END;"
	"CREATE TRIGGER dead_less AFTER DELETE ON dead BEGIN"
	" UPDATE destinations SET dead = dead - 1 WHERE number = old.destination; END;"
	"CREATE TABLE flights(number INTEGER PRIMARY KEY, queue_id TEXT NOT NULL,"
	" born INTEGER NOT NULL, ended INTEGER NOT NULL, message_key INTEGER, message_id TEXT,"
	" data TEXT NOT NULL);"
	"CREATE UNIQUE INDEX flights_queue_id ON flights(queue_id, born);"
	"CREATE INDEX flights_message ON flights(message_key) WHERE message_key IS NOT NULL;"
	"CREATE INDEX flights_age ON flights(ended, born);"
	"CREATE TABLE tallies(key TEXT NOT NULL, field TEXT NOT NULL, value INTEGER NOT NULL,"
	" PRIMARY KEY(key, field)) WITHOUT ROWID;",
};

#define SCHEMA_VERSION ((int64_t)G_N_ELEMENTS(steps))

static bool
refuse(struct event_db *db, const char *reason, char **why)
{
	*why = g_strdup_printf("%s: %s", db->path, reason);
	return false;
}

static bool
run(struct event_db *db, const char *sql, char **why)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ||
	       event_db_fail(db, why);
}

static bool
pragma(struct event_db *db, const char *sql, int64_t *number, char **why)
{
	return event_db_number(db, number, 0, why, sql, "");
}

/* Its version; 0 for a file that is empty; false for what is not ours. */
static bool
version_of(struct event_db *db, int64_t *version, char **why)
{
	int64_t application, tables;

	if (!pragma(db, "PRAGMA user_version", version, why) ||
	    !pragma(db, "PRAGMA application_id", &application, why) ||
	    !pragma(db, "SELECT count(*) FROM sqlite_master", &tables, why))
		return false;
	if (application == APPLICATION_ID || (application == 0 && *version == 0 && tables == 0))
		return true;
	return refuse(db, "not a database of events", why);
}

/* In a transaction, as another process may do the same. */
static bool
bring_up(struct event_db *db, char **why)
{
	char *set = g_strdup_printf("PRAGMA application_id = %d; PRAGMA user_version = %d",
				    APPLICATION_ID, (int)SCHEMA_VERSION);
	int64_t version = 0;
	bool ok = event_db_begin(db, why) && version_of(db, &version, why);

	for (int64_t i = version; ok && i < SCHEMA_VERSION; i++)
		ok = run(db, steps[i], why);
	ok = ok && (version >= SCHEMA_VERSION || run(db, set, why)) && event_db_commit(db, why);
	if (!ok)
		event_db_rollback(db);
	g_free(set);
	return ok;
}

bool
event_db_schema(struct event_db *db, bool create, char **why)
{
	int64_t version = 0;

	if (!version_of(db, &version, why))
		return false;
	if (create && version < SCHEMA_VERSION &&
	    (!bring_up(db, why) || !version_of(db, &version, why)))
		return false;
	if (version > SCHEMA_VERSION)
		return refuse(db, "made by a newer poolmilter than this one", why);
	if (version < SCHEMA_VERSION)
		return refuse(db,
			      "of an older poolmilter: this one's poolevents has not been started",
			      why);
	return true;
}
