/*
 * event_db_queue - what waits for destinations, and what they did not take; see event_db.h.
 *
 * A row of waiting or dead is one event and one destination; the event's own row stays as long as
 * one of them is there.  since is when it began to wait: when it was added, or called back from
 * the dead; died is when it was buried.
 */
#include "io/event_db_private.h"

#include <string.h>

#define COLUMNS "e.seq, e.time, e.id, e.pool, e.json"
#define NAMED "(SELECT number FROM destinations WHERE name = ?1)"
#define NAMED_OR_ALL "(SELECT number FROM destinations WHERE ?1 IS NULL OR name = ?1)"

bool
event_db_waiting(struct event_db *db, const char *destination, guint max, size_t octets,
		 GPtrArray **rows, char **why)
{
	sqlite3_stmt *s = event_db_query(db,
					 "SELECT " COLUMNS
					 " FROM waiting w CROSS JOIN events e ON e.seq = w.seq"
					 " WHERE w.destination = " NAMED " ORDER BY w.seq LIMIT ?2",
					 "si", destination, (int64_t)max);
	size_t total = 0;
	bool ok;

	*rows = event_db_rows_new();
	while (event_db_row(s)) {
		total += (size_t)sqlite3_column_bytes(s, 4);
		if ((*rows)->len > 0 && total > octets)
			break;
		g_ptr_array_add(*rows, event_db_row_new(s));
	}
	ok = event_db_end(db, s, why);
	if (!ok)
		g_clear_pointer(rows, g_ptr_array_unref);
	return ok;
}

/* ---- what became of them ---- */

static bool
number_of(struct event_db *db, const char *destination, int64_t *number, char **why)
{
	return event_db_number(db, number, 0, why, "SELECT number FROM destinations WHERE name = ?",
			       "s", destination);
}

static bool
leave(struct event_db *db, int64_t destination, int64_t seq, char **why)
{
	return event_db_write(db, why, "DELETE FROM waiting WHERE destination = ? AND seq = ?",
			      "ii", destination, seq);
}

bool
event_db_delivered(struct event_db *db, const char *destination, const GPtrArray *rows, char **why)
{
	int64_t number;
	bool ok = number_of(db, destination, &number, why);

	for (guint i = 0; ok && i < rows->len; i++)
		ok = leave(db, number, ((const struct event_row *)rows->pdata[i])->seq, why);
	return ok;
}

/* Buries one that still waits: somebody may have dropped it meanwhile. */
static bool
bury(struct event_db *db, int64_t destination, int64_t seq, const char *reason, char **why)
{
	if (!leave(db, destination, seq, why))
		return false;
	return event_db_changed(db) == 0 ||
	       event_db_write(db, why,
			      "INSERT OR IGNORE INTO dead(destination, seq, died, reason)"
			      " VALUES(?, ?, ?, ?)",
			      "iiis", destination, seq, (int64_t)g_get_real_time(), reason);
}

bool
event_db_bury(struct event_db *db, const char *destination, const GPtrArray *rows,
	      const char *reason, char **why)
{
	int64_t number;
	bool ok = number_of(db, destination, &number, why);

	for (guint i = 0; ok && i < rows->len; i++)
		ok = bury(db, number, ((const struct event_row *)rows->pdata[i])->seq, reason, why);
	return ok;
}

bool
event_db_bury_older(struct event_db *db, const char *destination, int64_t before, guint *n,
		    char **why)
{
	int64_t number, young, now = g_get_real_time();

	*n = 0;
	/*
	 * The first one that is young; what is of a time to come, when the clock was wrong, tells
	 * nothing.
	 */
	if (!number_of(db, destination, &number, why) ||
	    !event_db_number(db, &young, INT64_MAX, why,
			     "SELECT seq FROM waiting WHERE destination = ?1"
			     " AND since >= ?2 AND since <= ?3 ORDER BY seq LIMIT 1",
			     "iii", number, before, MAX(before, now)) ||
	    !event_db_write(db, why,
			    "INSERT OR IGNORE INTO dead(destination, seq, died, reason)"
			    " SELECT destination, seq, ?3, ?4"
			    " FROM waiting WHERE destination = ?1 AND seq < ?2",
			    "iiis", number, young, now, "not taken in max_age"))
		return false;
	*n = (guint)event_db_changed(db);
	return *n == 0 ||
	       event_db_write(db, why, "DELETE FROM waiting WHERE destination = ? AND seq < ?",
			      "ii", number, young);
}

/* ---- destinations ---- */

static void
destination_free(void *p)
{
	struct event_destination *d = p;

	g_free(d->name);
	g_free(d->error);
	g_free(d);
}

bool
event_db_destinations(struct event_db *db, GPtrArray **out, char **why)
{
	sqlite3_stmt *s = event_db_query(
		db,
		"SELECT name, waiting, dead, (SELECT since FROM waiting"
		" WHERE destination = d.number ORDER BY seq LIMIT 1), failures, next_try, error"
		" FROM destinations d ORDER BY name",
		"");
	bool ok;

	*out = g_ptr_array_new_with_free_func(destination_free);
	while (event_db_row(s)) {
		struct event_destination *d = g_new(struct event_destination, 1);

		d->name = event_db_text(s, 0);
		d->waiting = (guint64)sqlite3_column_int64(s, 1);
		d->dead = (guint64)sqlite3_column_int64(s, 2);
		d->oldest = sqlite3_column_int64(s, 3);
		d->failures = (guint)sqlite3_column_int64(s, 4);
		d->next_try = sqlite3_column_int64(s, 5);
		d->error = event_db_text(s, 6);
		g_ptr_array_add(*out, d);
	}
	ok = event_db_end(db, s, why);
	if (!ok)
		g_clear_pointer(out, g_ptr_array_unref);
	return ok;
}

bool
event_db_note(struct event_db *db, const struct event_destination *d, char **why)
{
	return event_db_write(db, why,
			      "INSERT INTO destinations(name, failures, next_try, error)"
			      " VALUES(?, ?, ?, ?) ON CONFLICT(name) DO UPDATE SET"
			      " failures = excluded.failures, next_try = excluded.next_try,"
			      " error = excluded.error",
			      "siis", d->name, (int64_t)d->failures, d->next_try, d->error);
}

/* ---- for people ---- */

bool
event_db_retry(struct event_db *db, const char *destination, bool dead_too, guint64 *n, char **why)
{
	*n = 0;
	if (!event_db_write(db, why,
			    "UPDATE destinations SET next_try = 0 WHERE number IN " NAMED_OR_ALL,
			    "s", destination))
		return false;
	if (!dead_too)
		return true;
	if (!event_db_write(db, why,
			    "INSERT OR IGNORE INTO waiting(destination, seq, since)"
			    " SELECT destination, seq, ?2"
			    " FROM dead WHERE destination IN " NAMED_OR_ALL,
			    "si", destination, (int64_t)g_get_real_time()))
		return false;
	*n = event_db_changed(db);
	return event_db_write(db, why, "DELETE FROM dead WHERE destination IN " NAMED_OR_ALL, "s",
			      destination);
}

bool
event_db_drop(struct event_db *db, const char *destination, bool dead, guint64 *n, char **why)
{
	bool ok = event_db_write(db, why,
				 dead ? "DELETE FROM dead WHERE destination IN " NAMED_OR_ALL
				      : "DELETE FROM waiting WHERE destination IN " NAMED_OR_ALL,
				 "s", destination);

	*n = ok ? event_db_changed(db) : 0;
	return ok;
}

/* ---- dead letters ---- */

/* Who wants them. */
struct letters {
	bool (*each)(const struct event_row *row, const char *destination, const char *reason,
		     void *context);
	void *context;
	bool more;
};

static bool
read_letters(struct event_db *db, int64_t destination, int64_t after, GPtrArray *rows,
	     GPtrArray *reasons, char **why)
{
	sqlite3_stmt *s =
		event_db_query(db,
			       "SELECT " COLUMNS ", d.reason FROM dead d CROSS JOIN events e"
			       " ON e.seq = d.seq WHERE d.destination = ? AND d.seq > ?"
			       " ORDER BY d.seq LIMIT ?",
			       "iii", destination, after, (int64_t)EVENT_DB_ROWS);

	while (event_db_row(s)) {
		g_ptr_array_add(rows, event_db_row_new(s));
		g_ptr_array_add(reasons, event_db_text(s, 5));
	}
	return event_db_end(db, s, why);
}

/* Some after a seq, which moves on; *n: how many. */
static bool
some_letters(struct event_db *db, const char *name, int64_t destination, int64_t *after, guint *n,
	     struct letters *l, char **why)
{
	GPtrArray *rows = event_db_rows_new(), *reasons = g_ptr_array_new_with_free_func(g_free);
	bool ok = read_letters(db, destination, *after, rows, reasons, why);

	*n = rows->len;
	for (guint i = 0; ok && l->more && i < rows->len; i++) {
		const struct event_row *row = rows->pdata[i];

		*after = row->seq;
		l->more = l->each(row, name, reasons->pdata[i], l->context);
	}
	g_ptr_array_unref(reasons);
	g_ptr_array_unref(rows);
	return ok;
}

static bool
letters_of(struct event_db *db, const char *name, struct letters *l, char **why)
{
	int64_t number, after = 0;
	guint n = EVENT_DB_ROWS;
	bool ok = number_of(db, name, &number, why);

	while (ok && l->more && n == EVENT_DB_ROWS)
		ok = some_letters(db, name, number, &after, &n, l, why);
	return ok;
}

bool
event_db_dead(struct event_db *db, const char *destination,
	      bool (*each)(const struct event_row *row, const char *destination, const char *reason,
			   void *context),
	      void *context, char **why)
{
	struct letters l = {.each = each, .context = context, .more = true};
	GPtrArray *all;
	bool ok = event_db_destinations(db, &all, why);

	for (guint i = 0; ok && l.more && i < all->len; i++) {
		const struct event_destination *d = all->pdata[i];

		if (d->dead > 0 && (destination == NULL || strcmp(destination, d->name) == 0))
			ok = letters_of(db, d->name, &l, why);
	}
	if (all != NULL)
		g_ptr_array_unref(all);
	return ok;
}
