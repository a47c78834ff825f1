/*
 * event_db_batch - tallies on their way to Redis; see event_db_batch.h.
 *
 * Facts: "tallies.node", "tallies.serial" (of the last batch), "tallies.batch" (lines of words: key,
 * field, number; there while the batch is on its way).
 */
#include "io/event_db_batch.h"
#include "core/event_stats.h"
#include "core/word.h"
#include "io/event_db_private.h"

#include <string.h>

#define NODE "tallies.node"
#define SERIAL "tallies.serial"
#define BATCH "tallies.batch"

void
event_db_batch_clear(struct event_db_batch *b)
{
	tally_batch_free(b->batch);
	tally_table_free(b->table);
	g_free(b->node);
	*b = (struct event_db_batch){0};
}

/* ---- as text ---- */

/* False: it is damaged. */
static bool
read_line(const char *line, size_t len, struct tally_table *t, GString *key, GString *field)
{
	struct word_line words = {line, line + len};
	int64_t by;

	return word_begins(&words, "tally") && word_take(&words, key) && word_take(&words, field) &&
	       word_take_number(&words, INT64_MIN, INT64_MAX, &by) && word_ended(&words) &&
	       tally_table_add(t, key->str, field->str, by);
}

static bool
read_text(const char *text, struct tally_table *t)
{
	GString *key = g_string_new(NULL), *field = g_string_new(NULL);
	bool ok = true;

	while (ok && *text != '\0') {
		size_t len = strcspn(text, "\n");

		ok = read_line(text, len, t, key, field);
		text += len + (text[len] == '\n');
	}
	g_string_free(key, TRUE);
	g_string_free(field, TRUE);
	return ok;
}

/* What stands in a text, as a batch; of a damaged one what can be read. */
static void
batch_of(const char *text, struct event_db_batch *out)
{
	out->table = tally_table_new(TALLY_KEYS_MAX);
	(void)read_text(text, out->table);
	out->batch = tally_table_take(out->table, TALLY_KEYS_MAX);
}

/* ---- making one ---- */

/* The first keys of hours with all their numbers, as text. */
static bool
collect(struct event_db *db, guint keys_max, GString *text, char **why)
{
	sqlite3_stmt *s = event_db_query(
		db,
		"SELECT key, field, value FROM tallies WHERE key IN"
		" (SELECT DISTINCT key FROM tallies WHERE key < ? OR key >= ? ORDER BY key LIMIT ?)"
		" ORDER BY key, field",
		"ssi", EVENT_STATS_TOTAL, "t0", (int64_t)keys_max);

	while (event_db_row(s)) {
		g_string_append(text, "tally");
		word_put(text, (const char *)sqlite3_column_text(s, 0));
		word_put(text, (const char *)sqlite3_column_text(s, 1));
		word_put_number(text, sqlite3_column_int64(s, 2));
		g_string_append_c(text, '\n');
	}
	return event_db_end(db, s, why);
}

static bool
delete_collected(struct event_db *db, guint keys_max, char **why)
{
	return event_db_write(db, why,
			      "DELETE FROM tallies WHERE key IN"
			      " (SELECT DISTINCT key FROM tallies WHERE key < ? OR key >= ?"
			      " ORDER BY key LIMIT ?)",
			      "ssi", EVENT_STATS_TOTAL, "t0", (int64_t)keys_max);
}

/* The fact, made where it is not there yet. */
static bool
fact_or(struct event_db *db, const char *name, char *preset, char **value, char **why)
{
	bool ok = event_db_fact(db, name, value, why);

	if (ok && *value == NULL) {
		*value = preset;
		return event_db_set_fact(db, name, preset, why);
	}
	g_free(preset);
	return ok;
}

/* In a transaction. *text: the batch, "" for none. */
static bool
make(struct event_db *db, guint keys_max, uint64_t *serial, GString *text, char **why)
{
	char *next = NULL;
	bool ok = collect(db, keys_max, text, why);

	if (!ok || text->len == 0)
		return ok;
	next = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)++*serial);
	ok = delete_collected(db, keys_max, why) && event_db_set_fact(db, SERIAL, next, why) &&
	     event_db_set_fact(db, BATCH, text->str, why);
	g_free(next);
	return ok;
}

bool
event_db_batch_take(struct event_db *db, guint keys_max, struct event_db_batch *out, char **why)
{
	GString *text = g_string_new(NULL);
	char *serial = NULL, *batch = NULL;
	bool ok;

	*out = (struct event_db_batch){0};
	ok = event_db_begin(db, why) && fact_or(db, NODE, g_uuid_string_random(), &out->node, why) &&
	     fact_or(db, SERIAL, g_strdup("0"), &serial, why) && event_db_fact(db, BATCH, &batch, why);
	if (ok) {
		out->serial = g_ascii_strtoull(serial, NULL, 10);
		if (batch != NULL && *batch != '\0')
			g_string_assign(text, batch);
		else
			ok = make(db, keys_max, &out->serial, text, why);
	}
	ok = ok && event_db_commit(db, why);
	if (!ok)
		event_db_rollback(db);
	if (ok && text->len > 0) {
		batch_of(text->str, out);
		if (out->batch == NULL) /* damaged: it shall not stand in the way for ever */
			ok = event_db_batch_done(db, why);
	}
	g_free(serial);
	g_free(batch);
	g_string_free(text, TRUE);
	return ok;
}

bool
event_db_batch_done(struct event_db *db, char **why)
{
	bool ok = event_db_begin(db, why) && event_db_set_fact(db, BATCH, "", why) &&
		  event_db_commit(db, why);

	if (!ok)
		event_db_rollback(db);
	return ok;
}

bool
event_db_drop_tallies(struct event_db *db, const char *hour, char **why)
{
	bool ok = event_db_begin(db, why) &&
		  event_db_write(db, why,
				 "DELETE FROM tallies WHERE (key < ? OR key >= ?) AND substr(key, -10) < ?",
				 "sss", EVENT_STATS_TOTAL, "t0", hour) &&
		  event_db_commit(db, why);

	if (!ok)
		event_db_rollback(db);
	return ok;
}
