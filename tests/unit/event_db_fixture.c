/*
 * event_db_fixture - what the tests of the events' database share; see event_db_fixture.h.
 */
#include "event_db_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *
event_db_directory(const char *name)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	const char *path;

	for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++)
		event_db_file(name, suffixes[i]); /* removed before the directory is */
	path = fixture_path(name);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		fail_msg("%s: %s", path, g_strerror(errno));
	return path;
}

const char *
event_db_file(const char *name, const char *suffix)
{
	char *file = g_strconcat(name, "/", EVENT_DB_NAME, suffix, NULL);
	const char *path = fixture_path(file);

	g_free(file);
	return path;
}

struct event_db *
event_db_opened(const char *name, enum event_db_mode mode)
{
	char *why = NULL;
	struct event_db *db = event_db_open(event_db_directory(name), mode, &why);

	if (db == NULL)
		fail_msg("case \"%s\": %s", name, why);
	return db;
}

void
event_db_refused(const char *name, enum event_db_mode mode, const char *words)
{
	char *why = NULL;

	check_true(name, event_db_open(event_db_directory(name), mode, &why) == NULL);
	if (why == NULL || strstr(why, EVENT_DB_NAME ": ") == NULL || strstr(why, words) == NULL)
		fail_msg("case \"%s\": \"%s\" has no \"%s\"", name, why, words);
	g_free(why);
}

bool
event_db_put(struct event_db *db, const char *series, unsigned n, const char *pool,
	     const GPtrArray *destinations)
{
	struct event *e = event_new(EVENT_DELIVERED, EVENT_FROM_LOG);
	char *json = g_strdup_printf("{\"n\":%u}", n);
	bool is_new = false;

	e->time = 1700000000000000 + n;
	e->queue_id = g_strdup(series);
	e->pool = g_strdup(pool);
	event_identify(e, n);
	check_db(series, event_db_add(db, e, json, destinations, &is_new, &why));
	g_free(json);
	event_free(e);
	return is_new;
}

void
event_db_put_many(struct event_db *db, const char *series, unsigned n, const char *pool,
		  const GPtrArray *destinations)
{
	check_db(series, event_db_begin(db, &why));
	for (unsigned i = 1; i <= n; i++)
		event_db_put(db, series, i, pool, destinations);
	check_db(series, event_db_commit(db, &why));
}

const GPtrArray *
event_db_names(const char *first, ...)
{
	static GPtrArray *all; /* freed at the end of the program, as LeakSanitizer sees it */
	GPtrArray *names = g_ptr_array_new();
	va_list more;

	if (all == NULL)
		all = g_ptr_array_new();
	g_ptr_array_add(all, names);
	va_start(more, first);
	for (const char *name = first; name != NULL; name = va_arg(more, const char *))
		g_ptr_array_add(names, (char *)name);
	va_end(more);
	return names;
}

unsigned
event_db_n(const struct event_row *row)
{
	unsigned n;

	assert_int_equal(sscanf(row->json, "{\"n\":%u}", &n), 1);
	return n;
}

void
event_db_check_waiting(const char *name, struct event_db *db, const char *destination, guint max,
		       size_t octets, const char *want)
{
	GString *text = g_string_new(NULL);
	GPtrArray *rows;

	check_db(name, event_db_waiting(db, destination, max, octets, &rows, &why));
	for (guint i = 0; i < rows->len; i++)
		g_string_append_printf(text, "%s%u", i > 0 ? " " : "", event_db_n(rows->pdata[i]));
	check_string(name, text->str, want);
	g_string_free(text, TRUE);
	g_ptr_array_unref(rows);
}

void
event_db_check_counts(const char *name, struct event_db *db, const char *want)
{
	GString *text = g_string_new(NULL);
	GPtrArray *all;

	check_db(name, event_db_destinations(db, &all, &why));
	for (guint i = 0; i < all->len; i++) {
		const struct event_destination *d = all->pdata[i];

		check_int(d->name, d->oldest != 0, d->waiting != 0);
		g_string_append_printf(text, "%s%s %d/%d", i > 0 ? " " : "", d->name,
				       (int)d->waiting, (int)d->dead);
	}
	check_string(name, text->str, want);
	g_string_free(text, TRUE);
	g_ptr_array_unref(all);
}

void
event_db_sql(struct event_db *db, const char *sql)
{
	if (sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db->sqlite));
}
