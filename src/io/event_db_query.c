/*
 * event_db_query - SQL with values; see event_db_private.h.
 *
 * Statements are prepared once for each connection and kept: looked up by the address of their
 * text. After a failure SQLite may have rolled the transaction back by itself, and what is written
 * next would be committed at once: so a transaction in which anything failed takes nothing more.
 */
#include "io/event_db_private.h"

#include <stdarg.h>
#include <string.h>

/* ---- failures ---- */

/* What people can do something about, in words; NULL: SQLite's own. */
static const char *
words_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "another process has kept it locked for too long";
	case SQLITE_FULL:
		return "no room on the disk";
	case SQLITE_CORRUPT:
		return "damaged";
	case SQLITE_NOTADB:
		return "not a database";
	case SQLITE_READONLY:
		return "may not be written";
	case SQLITE_IOERR:
		return "error of the disk";
	case SQLITE_NOMEM:
		return "no memory";
	default:
		return NULL;
	}
}

/* The system's reason where there is one. */
static bool
has_errno(int code)
{
	return (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
}

bool
event_db_fail(struct event_db *db, char **why)
{
	int code = sqlite3_extended_errcode(db->sqlite), error = sqlite3_system_errno(db->sqlite);
	const char *words = words_of(code);

	if (db->state == EVENT_DB_IN_TRANSACTION)
		db->state = EVENT_DB_BROKEN;
	if (has_errno(code) && error != 0)
		*why = g_strdup_printf("%s: %s: %s", db->path,
				       words != NULL ? words : "cannot be opened",
				       g_strerror(error));
	else if (words != NULL)
		*why = g_strdup_printf("%s: %s (SQLite %d: %s)", db->path, words, code,
				       sqlite3_errmsg(db->sqlite));
	else
		*why = g_strdup_printf("%s: SQLite %d: %s", db->path, code,
				       sqlite3_errmsg(db->sqlite));
	return false;
}

/* ---- statements ---- */

static sqlite3_stmt *
statement(struct event_db *db, const char *sql)
{
	sqlite3_stmt *s = g_hash_table_lookup(db->statements, sql);

	if (s == NULL && sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &s,
					    NULL) == SQLITE_OK)
		g_hash_table_insert(db->statements, (void *)sql, s);
	return s;
}

static int
bind_text(sqlite3_stmt *s, int at, const char *text)
{
	return text == NULL
		       ? sqlite3_bind_null(s, at)
		       : sqlite3_bind_text64(s, at, text, strlen(text), SQLITE_STATIC, SQLITE_UTF8);
}

static sqlite3_stmt *
query(struct event_db *db, const char *sql, const char *types, va_list values)
{
	sqlite3_stmt *s = statement(db, sql);
	int code = SQLITE_OK;

	for (int i = 0; s != NULL && code == SQLITE_OK && types[i] != '\0'; i++)
		code = types[i] == 's' ? bind_text(s, i + 1, va_arg(values, const char *))
				       : sqlite3_bind_int64(s, i + 1, va_arg(values, int64_t));
	return code == SQLITE_OK ? s : NULL;
}

sqlite3_stmt *
event_db_query(struct event_db *db, const char *sql, const char *types, ...)
{
	va_list values;
	sqlite3_stmt *s;

	va_start(values, types);
	s = query(db, sql, types, values);
	va_end(values);
	return s;
}

bool
event_db_row(sqlite3_stmt *s)
{
	return s != NULL && sqlite3_step(s) == SQLITE_ROW;
}

bool
event_db_end(struct event_db *db, sqlite3_stmt *s, char **why)
{
	if (s == NULL || sqlite3_reset(s) != SQLITE_OK)
		return event_db_fail(db, why);
	return true;
}

bool
event_db_write(struct event_db *db, char **why, const char *sql, const char *types, ...)
{
	va_list values;
	sqlite3_stmt *s;

	if (db->state != EVENT_DB_IN_TRANSACTION) {
		*why = g_strdup_printf("%s: %s", db->path,
				       db->state == EVENT_DB_BROKEN
					       ? "something in this transaction has failed before"
					       : "written to outside of a transaction");
		return false;
	}
	va_start(values, types);
	s = query(db, sql, types, values);
	va_end(values);
	while (event_db_row(s))
		;
	return event_db_end(db, s, why);
}

guint64
event_db_changed(const struct event_db *db)
{
	return (guint64)sqlite3_changes(db->sqlite);
}

bool
event_db_number(struct event_db *db, int64_t *number, int64_t none, char **why, const char *sql,
		const char *types, ...)
{
	va_list values;
	sqlite3_stmt *s;

	*number = none;
	va_start(values, types);
	s = query(db, sql, types, values);
	va_end(values);
	if (event_db_row(s) && sqlite3_column_type(s, 0) != SQLITE_NULL)
		*number = sqlite3_column_int64(s, 0);
	return event_db_end(db, s, why);
}

char *
event_db_text(sqlite3_stmt *s, int column)
{
	return g_strdup((const char *)sqlite3_column_text(s, column));
}

/* ---- rows of events ---- */

static void
row_free(void *p)
{
	struct event_row *row = p;

	g_free(row->id);
	g_free(row->pool);
	g_free(row->json);
	g_free(row);
}

GPtrArray *
event_db_rows_new(void)
{
	return g_ptr_array_new_with_free_func(row_free);
}

struct event_row *
event_db_row_new(sqlite3_stmt *s)
{
	struct event_row *row = g_new(struct event_row, 1);

	row->seq = sqlite3_column_int64(s, 0);
	row->time = sqlite3_column_int64(s, 1);
	row->id = event_db_text(s, 2);
	row->pool = event_db_text(s, 3);
	row->json = event_db_text(s, 4);
	return row;
}
