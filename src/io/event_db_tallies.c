/*
 * event_db_tallies - numbers of the statistics that are not elsewhere yet; see event_db.h.
 *
 * Events of a transaction count under few keys, so they are added up in memory and written with the
 * commit.
 *
 * A number stops at the ends of its range (a sum that is too large becomes a REAL in SQLite, and
 * CAST brings that back to the largest integer).
 */
#include "io/event_db_private.h"

static bool
write_one(struct event_db *db, const char *key, const struct tally *t, char **why)
{
	return event_db_write(db, why,
			      "INSERT INTO tallies(key, field, value) VALUES(?, ?, ?)"
			      " ON CONFLICT(key, field) DO UPDATE"
			      " SET value = CAST(value + excluded.value AS INTEGER)",
			      "ssi", key, t->field, t->by) &&
	       (t->by > 0 ||
		event_db_write(db, why,
			       "DELETE FROM tallies WHERE key = ? AND field = ? AND value = 0",
			       "ss", key, t->field));
}

bool
event_db_tally(struct event_db *db, const char *key, const struct tally *tallies, guint n,
	       char **why)
{
	if (db->state != EVENT_DB_IN_TRANSACTION) {
		*why = g_strdup_printf("%s: statistics outside of a transaction", db->path);
		return false;
	}
	if (!tally_table_add_many(db->tallies, key, tallies, n)) {
		*why = g_strdup_printf("%s: too many statistics in a transaction", db->path);
		return false;
	}
	return true;
}

bool
event_db_write_tallies(struct event_db *db, char **why)
{
	struct tally_batch *b = tally_table_take(db->tallies, TALLY_KEYS_MAX);
	bool ok = true;

	for (guint i = 0; b != NULL && ok && i < b->n; i++)
		for (guint k = 0; ok && k < b->rows[i]->n; k++)
			ok = write_one(db, b->rows[i]->key, &b->rows[i]->tallies[k], why);
	tally_batch_free(b);
	return ok;
}

struct row {
	char *key, *field;
	int64_t value;
};

static void
row_free(void *p)
{
	struct row *row = p;

	g_free(row->key);
	g_free(row->field);
	g_free(row);
}

/*
 * Those that come after a key and field; keys that begin with start are the first ones from there.
 */
static bool
read_after(struct event_db *db, const char *key, const char *field, GPtrArray *rows, char **why)
{
	sqlite3_stmt *s = event_db_query(db,
					 "SELECT key, field, value FROM tallies"
					 " WHERE (key, field) > (?, ?) ORDER BY key, field LIMIT ?",
					 "ssi", key, field, (int64_t)EVENT_DB_ROWS);

	while (event_db_row(s)) {
		struct row *row = g_new(struct row, 1);

		row->key = event_db_text(s, 0);
		row->field = event_db_text(s, 1);
		row->value = sqlite3_column_int64(s, 2);
		g_ptr_array_add(rows, row);
	}
	return event_db_end(db, s, why);
}

bool
event_db_each_tally(struct event_db *db, const char *start,
		    void (*each)(const char *key, const char *field, int64_t value, void *context),
		    void *context, char **why)
{
	GPtrArray *rows = NULL, *next;
	const char *key = start, *field = "";
	bool ok, more;

	do {
		next = g_ptr_array_new_with_free_func(row_free);
		ok = read_after(db, key, field, next, why);
		if (rows != NULL)
			g_ptr_array_unref(rows);
		rows = next;
		more = rows->len == EVENT_DB_ROWS;
		for (guint i = 0; ok && i < rows->len; i++) {
			const struct row *row = rows->pdata[i];

			if (!g_str_has_prefix(row->key, start)) {
				more = false;
				break;
			}
			each(row->key, row->field, row->value, context);
			key = row->key;
			field = row->field;
		}
	} while (ok && more);
	g_ptr_array_unref(rows);
	return ok;
}
