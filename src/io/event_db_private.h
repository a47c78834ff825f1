/*
 * event_db_private - a connection to the events' database, and SQL with values: for the files of
 * event_db alone.
 *
 *	sqlite3_stmt *s = event_db_query(db, "SELECT a, b FROM c WHERE d = ?", "s", text);
 *
 *	while (event_db_row(s))
 *		... sqlite3_column_int64(s, 0) ...
 *	return event_db_end(db, s, why);
 *
 * No statement is left between its first row and event_db_end() while somebody else's function is
 * called: an open one keeps the write-ahead log from being used again.
 */
#ifndef POOLMILTER_IO_EVENT_DB_PRIVATE_H
#define POOLMILTER_IO_EVENT_DB_PRIVATE_H

#include "io/event_db.h"

#include <sqlite3.h>

enum event_db_state {
	EVENT_DB_IDLE,
	EVENT_DB_IN_TRANSACTION,
	EVENT_DB_BROKEN, /* something in the transaction failed: it can only be rolled back */
};

struct event_db {
	sqlite3 *sqlite;
	char *path;
	GHashTable *statements; /* SQL, a static text, by its address -> sqlite3_stmt * */
	enum event_db_state state;
	gint64 waited;   /* since when it has waited for a lock: monotonic, microseconds */
	gint64 patience; /* for how long it does, microseconds */
	struct tally_table *tallies; /* of the transaction, to be written with its commit */
	int64_t pruned;  /* the last seq that event_db_prune_events() has looked at */
	struct joiner_store store;
	char *store_error;
};

/** Rows that are read at a time, where there may be many. */
#define EVENT_DB_ROWS 500

/**
 * A statement with its values, ready for its first row; sql must be static.  types has a letter for
 * each value: "s" const char * (NULL: NULL), which must live until event_db_end(), "i" int64_t.
 * NULL: it failed, which event_db_end() tells.
 */
sqlite3_stmt *event_db_query(struct event_db *db, const char *sql, const char *types, ...);

/** True: there is a row. s may be NULL: there is none. */
bool event_db_row(sqlite3_stmt *s);

/** Ends a statement; false with *why if something about it failed. */
bool event_db_end(struct event_db *db, sqlite3_stmt *s, char **why);

/** A whole statement that writes: fails outside of a transaction. */
bool event_db_write(struct event_db *db, char **why, const char *sql, const char *types, ...);

/** Rows that the last event_db_write() has changed, those of triggers not counted. */
guint64 event_db_changed(const struct event_db *db);

/**
 * A whole statement that gives a number: the first row's, or none if it is NULL or there is no
 * row.
 */
bool event_db_number(struct event_db *db, int64_t *number, int64_t none, char **why,
		     const char *sql, const char *types, ...);

/** A copy of a column's text (g_free it); NULL for NULL. */
char *event_db_text(sqlite3_stmt *s, int column);

/** Says why something failed (path, reason), breaks the transaction; returns false. */
bool event_db_fail(struct event_db *db, char **why);

/** Of struct event_row *; and one of the columns seq, time, id, pool, json. */
GPtrArray *event_db_rows_new(void);
struct event_row *event_db_row_new(sqlite3_stmt *s);

/**
 * Brings the tables to this version's, or checks that they are (create: false). event_db_schema.c
 */
bool event_db_schema(struct event_db *db, bool create, char **why);

/** Writes what the transaction has counted: before it is committed. event_db_tallies.c */
bool event_db_write_tallies(struct event_db *db, char **why);

/** Sets db->store. event_db_flights.c */
void event_db_store_init(struct event_db *db);

#endif
