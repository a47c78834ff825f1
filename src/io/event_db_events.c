/*
 * event_db_events - events as they are kept: adding, reading, deleting the old ones; see
 * event_db.h.
 *
 * seq is never used again (AUTOINCREMENT): who follows asks for what came after the last one that
 * it saw.  Transactions that write come one after the other, so seq is also the order of commits.
 */
#include "io/event_db_private.h"

#include <string.h>

#define COLUMNS "seq, time, id, pool, json"

/* ---- adding ---- */

static bool
wait_for(struct event_db *db, const char *destination, int64_t seq, int64_t now, char **why)
{
	static const char add[] = "INSERT INTO waiting(destination, seq, since)"
				  " SELECT number, ?2, ?3 FROM destinations WHERE name = ?1";

	return event_db_write(db, why, add, "sii", destination, seq, now) &&
	       (event_db_changed(db) > 0 ||
		(event_db_write(db, why, "INSERT INTO destinations(name) VALUES(?)", "s",
				destination) &&
		 event_db_write(db, why, add, "sii", destination, seq, now)));
}

bool
event_db_add(struct event_db *db, const struct event *e, const char *json,
	     const GPtrArray *destinations, bool *is_new, char **why)
{
	int64_t now = g_get_real_time(), seq;
	bool ok =
		event_db_write(db, why,
			       "INSERT INTO events(time, at, id, pool, json) VALUES(?, ?, ?, ?, ?)"
			       " ON CONFLICT(at, id) DO NOTHING",
			       "iisss", now, e->time, e->id, e->pool, json);
	bool added = ok && event_db_changed(db) > 0;

	if (is_new != NULL)
		*is_new = added;
	if (!added)
		return ok;
	seq = sqlite3_last_insert_rowid(db->sqlite);
	for (guint i = 0; ok && i < destinations->len; i++)
		ok = wait_for(db, destinations->pdata[i], seq, now, why);
	return ok;
}

/* ---- reading ---- */

static bool
read_after(struct event_db *db, int64_t after, const char *pool, GPtrArray *rows, char **why)
{
	sqlite3_stmt *s = event_db_query(db,
					 "SELECT " COLUMNS " FROM events"
					 " WHERE seq > ?1 AND (?2 IS NULL OR pool = ?2)"
					 " ORDER BY seq LIMIT ?3",
					 "isi", after, pool, (int64_t)EVENT_DB_ROWS);

	while (event_db_row(s))
		g_ptr_array_add(rows, event_db_row_new(s));
	return event_db_end(db, s, why);
}

bool
event_db_each(struct event_db *db, int64_t after, const char *pool,
	      bool (*each)(const struct event_row *row, void *context), void *context, char **why)
{
	bool ok = true, more = true;

	while (ok && more) {
		GPtrArray *rows = event_db_rows_new();

		ok = read_after(db, after, pool, rows, why);
		more = rows->len == EVENT_DB_ROWS;
		for (guint i = 0; ok && i < rows->len; i++) {
			const struct event_row *row = rows->pdata[i];

			after = row->seq;
			if (!each(row, context)) {
				more = false;
				break;
			}
		}
		g_ptr_array_unref(rows);
	}
	return ok;
}

bool
event_db_last(struct event_db *db, int64_t *seq, char **why)
{
	return event_db_number(db, seq, 0, why, "SELECT max(seq) FROM events", "");
}

bool
event_db_before(struct event_db *db, int64_t time, int64_t *seq, char **why)
{
	int64_t low = 0, high, at;
	bool ok = event_db_last(db, &high, why);

	/* All up to low were added before the time, none after high was. */
	while (ok && low < high) {
		int64_t middle = low + (high - low + 1) / 2;

		ok = event_db_number(db, &at, INT64_MAX, why,
				     "SELECT time FROM events WHERE seq >= ? ORDER BY seq LIMIT 1",
				     "i", middle);
		if (at < time)
			low = middle;
		else
			high = middle - 1;
	}
	*seq = low;
	return ok;
}

/* ---- deleting ---- */

/* Pages that are free, and so many of them that some are given back to the file system. */
#define FREE_MIN 16384
#define VACUUM "PRAGMA incremental_vacuum(1024)"

/* The next rows that are looked at: the last one's seq (0: there is none) and time. */
static bool
next_rows(struct event_db *db, guint max, int64_t *last, int64_t *time, char **why)
{
	sqlite3_stmt *s =
		event_db_query(db,
			       "SELECT seq, time FROM events WHERE seq = (SELECT max(seq) FROM"
			       " (SELECT seq FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2))",
			       "ii", db->pruned, (int64_t)max);

	*last = *time = 0;
	if (event_db_row(s)) {
		*last = sqlite3_column_int64(s, 0);
		*time = sqlite3_column_int64(s, 1);
	}
	return event_db_end(db, s, why);
}

/* Nobody who has nothing waiting is asked: there may be thousands of destinations. */
#define WAITED_FOR \
	"SELECT w.seq FROM destinations d CROSS JOIN waiting w ON w.destination = d.number" \
	" WHERE d.waiting > 0 AND w.seq > ?1 AND w.seq <= ?2"
#define DEAD_SINCE \
	"SELECT x.seq FROM destinations d CROSS JOIN dead x ON x.destination = d.number" \
	" WHERE d.dead > 0 AND x.seq > ?1 AND x.seq <= ?2 AND x.died >= ?3"

static bool
prune_range(struct event_db *db, int64_t last, int64_t before, guint *n, char **why)
{
	if (!event_db_write(db, why,
			    "DELETE FROM events WHERE seq > ?1 AND seq <= ?2 AND time < ?3"
			    " AND seq NOT IN (" WAITED_FOR ") AND seq NOT IN (" DEAD_SINCE ")",
			    "iii", db->pruned, last, before))
		return false;
	*n = (guint)event_db_changed(db);
	return *n == 0 || event_db_write(db, why,
					 "DELETE FROM dead WHERE destination IN"
					 " (SELECT number FROM destinations WHERE dead > 0)"
					 " AND seq > ?1 AND seq <= ?2 AND seq NOT IN"
					 " (SELECT seq FROM events WHERE seq > ?1 AND seq <= ?2)",
					 "ii", db->pruned, last);
}

/* The file shrinks only if much of it is free: what is free is used again otherwise. */
static bool
give_back(struct event_db *db, char **why)
{
	int64_t spare, all;

	if (!event_db_number(db, &spare, 0, why, "PRAGMA freelist_count", "") ||
	    !event_db_number(db, &all, 0, why, "PRAGMA page_count", ""))
		return false;
	return spare < FREE_MIN || spare < all / 4 || event_db_write(db, why, VACUUM, "");
}

bool
event_db_prune_events(struct event_db *db, int64_t before, guint max, guint *n, char **why)
{
	int64_t last, time;

	*n = 0;
	if (!next_rows(db, max, &last, &time, why))
		return false;
	if (last > 0 && !prune_range(db, last, before, n, why))
		return false;
	/* From the start again. Rows of a time to come (the clock was wrong) are passed over. */
	if (last == 0 || (time >= before && time <= g_get_real_time()))
		last = 0;
	db->pruned = last;
	return give_back(db, why);
}
