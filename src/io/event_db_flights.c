/*
 * event_db_flights - the joiner's store, and flights for bounces that come late; see event_db.h.
 *
 * What a flight is is in its text (flight_write()); the columns beside it are what it is looked up
 * by. A flight whose text is damaged is as one that is not known, with a line in the log: one row
 * must not keep all others from being read for ever.
 */
#include "base/log.h"
#include "io/event_db_private.h"

#include <string.h>

#define OWN_MAX 100 /* flights of a Message-ID that are looked at */

/* Octets of a hash that nobody can aim at, as a number: what it finds is compared. */
static int64_t
message_key(const char *message_id)
{
	GChecksum *sum;
	guint8 digest[32];
	gsize len = sizeof digest;
	int64_t key;

	sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_checksum_update(sum, (const guchar *)message_id, -1);
	g_checksum_get_digest(sum, digest, &len);
	g_checksum_free(sum);
	memcpy(&key, digest, sizeof key);
	return key;
}

static struct flight *
take(const struct event_db *db, sqlite3_stmt *s)
{
	struct flight *f = flight_read((const char *)sqlite3_column_text(s, 0),
				       (size_t)sqlite3_column_bytes(s, 0));

	if (f == NULL)
		log_line(LOG_WARNING, "%s: a flight is damaged: passed over", db->path);
	return f;
}

/* ---- reading ---- */

/* A failure leaves nothing to be freed. */
static bool
found(bool ok, struct flight **out)
{
	if (!ok)
		g_clear_pointer(out, flight_free);
	return ok;
}

bool
event_db_flight(struct event_db *db, const char *queue_id, int64_t born_before, struct flight **out,
		char **why)
{
	sqlite3_stmt *s = event_db_query(db,
					 "SELECT data FROM flights WHERE queue_id = ? AND born < ?"
					 " ORDER BY born DESC LIMIT 1",
					 "si", queue_id, born_before);

	*out = event_db_row(s) ? take(db, s) : NULL;
	return found(event_db_end(db, s, why), out);
}

/* A pool's is the one that is looked for: others have the Message-ID of one injected again. */
static bool
of_pool(const struct flight *f)
{
	return f->pool != NULL && strcmp(f->pool, "-") != 0;
}

bool
event_db_flight_by_message_id(struct event_db *db, const char *message_id, struct flight **out,
			      char **why)
{
	sqlite3_stmt *s =
		event_db_query(db,
			       "SELECT data FROM flights WHERE message_key = ? AND message_id = ?"
			       " ORDER BY born DESC LIMIT ?",
			       "isi", message_key(message_id), message_id, (int64_t)OWN_MAX);

	*out = NULL;
	while ((*out == NULL || !of_pool(*out)) && event_db_row(s)) {
		struct flight *f = take(db, s);

		if (*out == NULL || (f != NULL && of_pool(f))) {
			flight_free(*out);
			*out = f;
		} else {
			flight_free(f);
		}
	}
	return found(event_db_end(db, s, why), out);
}

/* ---- the store ---- */

static bool
stored(struct event_db *db, bool ok, char **why)
{
	if (!ok) {
		g_free(db->store_error);
		db->store_error = *why;
	}
	return ok;
}

static bool
load(void *context, const char *queue_id, struct flight **out)
{
	char *why = NULL;

	return stored(context, event_db_flight(context, queue_id, INT64_MAX, out, &why), &why);
}

static bool
find(void *context, const char *message_id, int64_t since, guint max, GPtrArray *queue_ids)
{
	struct event_db *db = context;
	char *why = NULL;
	sqlite3_stmt *s = event_db_query(
		db,
		"SELECT queue_id FROM flights WHERE message_key = ? AND message_id = ?"
		" AND ended = 0 AND born >= ? ORDER BY born LIMIT ?",
		"isii", message_key(message_id), message_id, since, (int64_t)max);

	while (event_db_row(s))
		g_ptr_array_add(queue_ids, event_db_text(s, 0));
	return stored(db, event_db_end(db, s, &why), &why);
}

static bool
insert(struct event_db *db, const struct flight *f, const char *data, char **why)
{
	int64_t key = f->message_id != NULL ? message_key(f->message_id) : 0;

	return event_db_write(db, why,
			      "INSERT INTO flights(ended, data, queue_id, born, message_id,"
			      " message_key) VALUES(?1, ?2, ?3, ?4, ?5, iif(?5 IS NULL, NULL, ?6))"
			      " ON CONFLICT(queue_id, born) DO UPDATE SET ended = excluded.ended,"
			      " data = excluded.data, message_id = excluded.message_id,"
			      " message_key = excluded.message_key",
			      "issisi", f->ended, data, f->queue_id, f->born, f->message_id, key);
}

/* Most flights are there and keep their Message-ID: then its index is let alone. */
static bool
put(struct event_db *db, const struct flight *f, const char *data, char **why)
{
	return event_db_write(db, why,
			      "UPDATE flights SET ended = ?1, data = ?2"
			      " WHERE queue_id = ?3 AND born = ?4 AND message_id IS ?5",
			      "issis", f->ended, data, f->queue_id, f->born, f->message_id) &&
	       (event_db_changed(db) > 0 || insert(db, f, data, why));
}

static bool
save(void *context, const struct flight *f)
{
	struct event_db *db = context;
	GString *data = g_string_sized_new(1024);
	char *why = NULL;
	bool ok;

	flight_write(f, data);
	ok = put(db, f, data->str, &why);
	g_string_free(data, TRUE);
	return stored(db, ok, &why);
}

static bool
forget(void *context, const char *queue_id, int64_t born)
{
	struct event_db *db = context;
	char *why = NULL;

	return stored(db,
		      event_db_write(db, &why,
				     "DELETE FROM flights WHERE queue_id = ? AND born = ?", "si",
				     queue_id, born),
		      &why);
}

void
event_db_store_init(struct event_db *db)
{
	db->store = (struct joiner_store){
		.load = load, .find = find, .save = save, .forget = forget, .context = db};
}

const struct joiner_store *
event_db_store(struct event_db *db)
{
	return &db->store;
}

const char *
event_db_store_error(const struct event_db *db)
{
	return db->store_error != NULL ? db->store_error : "no error";
}

/* ---- deleting ---- */

bool
event_db_prune_flights(struct event_db *db, int64_t ended_before, int64_t born_before, guint max,
		       guint *n, char **why)
{
	*n = 0;
	if (!event_db_write(db, why,
			    "DELETE FROM flights WHERE number IN (SELECT number FROM flights"
			    " WHERE ended > 0 AND ended < ? ORDER BY ended LIMIT ?)",
			    "ii", ended_before, (int64_t)max))
		return false;
	*n = (guint)event_db_changed(db);
	if (!event_db_write(db, why,
			    "DELETE FROM flights WHERE number IN (SELECT number FROM flights"
			    " WHERE ended = 0 AND born < ? ORDER BY born LIMIT ?)",
			    "ii", born_before, (int64_t)(max - *n)))
		return false;
	*n += (guint)event_db_changed(db);
	return true;
}
