/*
 * test_event_db_queue - events, who waits for them, dead letters, and what is deleted.
 */
#include "event_db_fixture.h"

#include <string.h>

#define ALL G_MAXUINT

/* ---- events ---- */

static void
test_add(void **state)
{
	struct event_db *db = event_db_opened("add", EVENT_DB_CREATE);
	const GPtrArray *both = event_db_names("file", "stream", NULL);
	int64_t last;

	(void)state;
	check_db("none", event_db_last(db, &last, &why));
	assert_int_equal(last, 0);
	check_db("begin", event_db_begin(db, &why));
	assert_true(event_db_put(db, "a", 1, "acme", both));
	assert_true(event_db_put(db, "a", 2, NULL, event_db_names("stream", NULL)));
	assert_false(event_db_put(db, "a", 1, "acme", both));
	assert_true(event_db_put(db, "a", 3, "acme", event_db_names(NULL, NULL)));
	check_db("commit", event_db_commit(db, &why));
	check_db("begin", event_db_begin(db, &why));
	assert_false(event_db_put(db, "a", 3, "acme", both));
	check_db("commit", event_db_commit(db, &why));
	event_db_check_counts("counts", db, "file 1/0 stream 2/0");
	event_db_check_waiting("file", db, "file", ALL, G_MAXSIZE, "1");
	event_db_check_waiting("stream", db, "stream", ALL, G_MAXSIZE, "1 2");
	event_db_check_waiting("of no such destination", db, "fil", ALL, G_MAXSIZE, "");
	check_db("last", event_db_last(db, &last, &why));
	assert_true(last >= 3); /* what was there already may leave a gap */
	event_db_close(db);
}

static void
test_waiting(void **state)
{
	struct event_db *db = event_db_opened("waiting", EVENT_DB_CREATE);

	(void)state;
	event_db_put_many(db, "w", 12, "acme", event_db_names("file", NULL));
	event_db_check_waiting("some", db, "file", 3, G_MAXSIZE, "1 2 3");
	event_db_check_waiting("octets", db, "file", 100, 14, "1 2");
	event_db_check_waiting("just less", db, "file", 100, 13, "1");
	event_db_check_waiting("at least one", db, "file", 100, 0, "1");
	event_db_check_waiting("all", db, "file", 12, 7 * 9 + 8 * 3, "1 2 3 4 5 6 7 8 9 10 11 12");
	event_db_close(db);
}

struct seen {
	struct event_db *db;
	GString *text;
	guint n, stop;
	int64_t last;
};

/* Whoever looks may be slow: nothing is held meanwhile. */
static bool
see(const struct event_row *row, void *context)
{
	struct seen *seen = context;

	assert_int_equal(sqlite3_txn_state(seen->db->sqlite, NULL), SQLITE_TXN_NONE);
	assert_true(row->seq > seen->last);
	assert_int_equal(strlen(row->id), EVENT_ID_SIZE - 1);
	seen->last = row->seq;
	if (seen->n < 5)
		g_string_append_printf(seen->text, "%s%u", seen->n > 0 ? " " : "", event_db_n(row));
	return ++seen->n != seen->stop;
}

static void
test_each(void **state)
{
	static const struct {
		const char *name;
		int64_t after;
		const char *pool;
		guint stop, n;
		const char *want;
	} cases[] = {
		{"all", 0, NULL, 0, 2500, "1 2 3 4 5"},
		{"after one", 1000, NULL, 0, 1500, "1001 1002 1003 1004 1005"},
		{"until it has enough", 0, NULL, 3, 3, "1 2 3"},
		{"enough after pages", 0, NULL, 1100, 1100, "1 2 3 4 5"},
		{"of a pool", 0, "acme", 0, 625, "4 8 12 16 20"},
		{"of a pool, after one", 2490, "acme", 0, 3, "2492 2496 2500"},
		{"of no pool of this name", 0, "acm", 0, 0, ""},
		{"after the last", 2500, NULL, 0, 0, ""},
	};
	struct event_db *db = event_db_opened("each", EVENT_DB_CREATE);

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	for (unsigned i = 1; i <= 2500; i++)
		event_db_put(db, "each", i,
			     i % 4 == 0   ? "acme"
			     : i % 4 == 1 ? NULL
					  : "other",
			     event_db_names(NULL, NULL));
	check_db("commit", event_db_commit(db, &why));
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct seen seen = {.db = db, .text = g_string_new(NULL), .stop = cases[i].stop};

		check_db(cases[i].name,
			 event_db_each(db, cases[i].after, cases[i].pool, see, &seen, &why));
		check_int(cases[i].name, seen.n, cases[i].n);
		check_string(cases[i].name, seen.text->str, cases[i].want);
		g_string_free(seen.text, TRUE);
	}
	event_db_close(db);
}

static void
test_before(void **state)
{
	struct event_db *db = event_db_opened("before", EVENT_DB_CREATE);
	int64_t seq;

	(void)state;
	check_db("none", event_db_before(db, INT64_MAX, &seq, &why));
	assert_int_equal(seq, 0);
	event_db_put_many(db, "before", 100, "acme", event_db_names(NULL, NULL));
	event_db_sql(db, "UPDATE events SET time = 1000 * seq; DELETE FROM events WHERE seq < 40 OR"
			 " seq BETWEEN 50 AND 59");
	for (int64_t want = 60; want <= 100; want++) {
		check_db("between", event_db_before(db, 1000 * want + 500, &seq, &why));
		check_int("between", seq, want);
		check_db("exactly", event_db_before(db, 1000 * want + 1000, &seq, &why));
		check_int("exactly", seq, want);
	}
	check_db("all are later", event_db_before(db, 40000, &seq, &why));
	check_true("all are later", seq < 40);
	check_db("in a gap", event_db_before(db, 55000, &seq, &why));
	check_true("in a gap", seq >= 49 && seq < 60);
	event_db_close(db);
}

/* ---- the queue ---- */

/* The first so many that wait for a destination. */
static GPtrArray *
first(struct event_db *db, const char *destination, guint n)
{
	GPtrArray *rows;

	check_db(destination, event_db_waiting(db, destination, n, G_MAXSIZE, &rows, &why));
	assert_int_equal(rows->len, n);
	return rows;
}

static void
test_delivered(void **state)
{
	struct event_db *db = event_db_opened("delivered", EVENT_DB_CREATE);
	GPtrArray *rows;

	(void)state;
	event_db_put_many(db, "d", 6, "acme", event_db_names("file", "webhook/a", NULL));
	rows = first(db, "file", 2);
	check_db("begin", event_db_begin(db, &why));
	check_db("delivered", event_db_delivered(db, "file", rows, &why));
	event_db_rollback(db);
	event_db_check_counts("rolled back", db, "file 6/0 webhook/a 6/0");
	check_db("begin", event_db_begin(db, &why));
	check_db("delivered", event_db_delivered(db, "file", rows, &why));
	check_db("again", event_db_delivered(db, "file", rows, &why));
	check_db("unknown", event_db_delivered(db, "webhook/unknown", rows, &why));
	check_db("commit", event_db_commit(db, &why));
	event_db_check_counts("counts", db, "file 4/0 webhook/a 6/0");
	event_db_check_waiting("file", db, "file", ALL, G_MAXSIZE, "3 4 5 6");
	event_db_check_waiting("the other", db, "webhook/a", ALL, G_MAXSIZE, "1 2 3 4 5 6");
	g_ptr_array_unref(rows);
	event_db_close(db);
}

static bool
see_letter(const struct event_row *row, const char *destination, const char *reason, void *context)
{
	struct seen *seen = context;

	assert_int_equal(sqlite3_txn_state(seen->db->sqlite, NULL), SQLITE_TXN_NONE);
	g_string_append_printf(seen->text, "%s %u %s; ", destination, event_db_n(row), reason);
	return ++seen->n != seen->stop;
}

static void
check_dead(const char *name, struct event_db *db, const char *destination, guint stop,
	   const char *want)
{
	struct seen seen = {.db = db, .text = g_string_new(NULL), .stop = stop};

	check_db(name, event_db_dead(db, destination, see_letter, &seen, &why));
	check_string(name, seen.text->str, want);
	g_string_free(seen.text, TRUE);
}

static void
test_bury(void **state)
{
	struct event_db *db = event_db_opened("bury", EVENT_DB_CREATE);
	GPtrArray *rows, *dropped;
	guint64 n;

	(void)state;
	event_db_put_many(db, "b", 6, "acme", event_db_names("file", "stream", NULL));
	rows = first(db, "stream", 3);
	dropped = first(db, "file", 2);
	check_db("begin", event_db_begin(db, &why));
	check_db("bury", event_db_bury(db, "stream", rows, "410 \"gone\"", &why));
	check_db("again", event_db_bury(db, "stream", rows, "another", &why));
	check_db("delivered", event_db_delivered(db, "file", dropped, &why));
	check_db("not waited for", event_db_bury(db, "file", rows, "why", &why)); /* 1, 2 are not */
	check_db("commit", event_db_commit(db, &why));
	event_db_check_counts("counts", db, "file 3/1 stream 3/3");
	check_dead("all", db, NULL, 0,
		   "file 3 why; stream 1 410 \"gone\"; stream 2 410 \"gone\"; stream 3 410 "
		   "\"gone\"; ");
	check_dead("of one", db, "file", 0, "file 3 why; ");
	check_dead("until it has enough", db, NULL, 2, "file 3 why; stream 1 410 \"gone\"; ");
	check_db("begin", event_db_begin(db, &why));
	check_db("retry", event_db_retry(db, "stream", true, &n, &why));
	check_int("retry", n, 3);
	check_db("drop", event_db_drop(db, "file", true, &n, &why));
	check_int("drop dead", n, 1);
	check_db("drop", event_db_drop(db, "file", false, &n, &why));
	check_int("drop waiting", n, 3);
	check_db("commit", event_db_commit(db, &why));
	event_db_check_counts("after", db, "file 0/0 stream 6/0");
	event_db_check_waiting("in their order", db, "stream", ALL, G_MAXSIZE, "1 2 3 4 5 6");
	g_ptr_array_unref(dropped);
	g_ptr_array_unref(rows);
	event_db_close(db);
}

static void
test_bury_older(void **state)
{
	static const struct {
		const char *name, *sql;
		int64_t before;
		guint n;
		const char *waiting;
	} cases[] = {
		{"none is old", "", 1, 0, "1 2 3 4 5 6 7 8"},
		{"some are", "UPDATE waiting SET since = 1000 * seq", 3500, 3, "4 5 6 7 8"},
		{"just so old", "", 4000, 0, "4 5 6 7 8"},
		{"the clock was wrong once",
		 "UPDATE waiting SET since = 4000000000000000 WHERE seq = 4", 6500, 3, "7 8"},
		{"called back", "UPDATE waiting SET since = 9000 WHERE seq = 7", 9000, 0, "7 8"},
		{"all are", "", INT64_MAX, 2, ""},
	};
	struct event_db *db = event_db_opened("older", EVENT_DB_CREATE);
	guint n;

	(void)state;
	event_db_put_many(db, "o", 8, "acme", event_db_names("file", "stream", NULL));
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		event_db_sql(db, cases[i].sql);
		check_db(cases[i].name, event_db_begin(db, &why));
		check_db(cases[i].name, event_db_bury_older(db, "file", cases[i].before, &n, &why));
		check_db(cases[i].name, event_db_commit(db, &why));
		check_int(cases[i].name, n, cases[i].n);
		event_db_check_waiting(cases[i].name, db, "file", ALL, G_MAXSIZE, cases[i].waiting);
	}
	event_db_check_counts("the other has all", db, "file 0/8 stream 8/0");
	event_db_close(db);
}

static void
test_note(void **state)
{
	const struct event_destination failing = {.name = (char *)"webhook/a",
						  .failures = 7,
						  .next_try = 1234567,
						  .error = (char *)"503"};
	struct event_db *db = event_db_opened("note", EVENT_DB_CREATE);
	const struct event_destination *d;
	GPtrArray *all;
	guint64 n;

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	check_db("new", event_db_note(db, &failing, &why));
	event_db_put(db, "n", 1, "acme", event_db_names("webhook/a", NULL));
	check_db("there", event_db_note(db, &failing, &why));
	check_db("commit", event_db_commit(db, &why));
	check_db("read", event_db_destinations(db, &all, &why));
	assert_int_equal(all->len, 1);
	d = all->pdata[0];
	check_int("failures", d->failures, 7);
	check_int("next try", d->next_try, 1234567);
	check_string("error", d->error, "503");
	check_int("waiting", d->waiting, 1);
	g_ptr_array_unref(all);
	check_db("begin", event_db_begin(db, &why));
	check_db("retry", event_db_retry(db, NULL, false, &n, &why));
	check_db("commit", event_db_commit(db, &why));
	check_db("read", event_db_destinations(db, &all, &why));
	d = all->pdata[0];
	check_int("at once", d->next_try, 0);
	check_int("failures", d->failures, 7);
	g_ptr_array_unref(all);
	event_db_close(db);
}

/* ---- many ---- */

static int
count_steps(void *steps)
{
	++*(guint *)steps;
	return 0;
}

/*
 * What is asked again and again does not look at all that waits: counted in steps of SQLite's
 * machine.
 */
static void
test_million(void **state)
{
	struct event_db *db = event_db_opened("million", EVENT_DB_CREATE);
	GPtrArray *all, *rows;
	guint steps = 0, n;

	(void)state;
	event_db_put_many(db, "m", 1, "acme", event_db_names("file", NULL));
	event_db_sql(db, "DROP TRIGGER waiting_more; BEGIN;"
			 "WITH RECURSIVE n(i) AS (VALUES(2) UNION ALL SELECT i + 1 FROM n"
			 " WHERE i < 1000000) INSERT INTO events SELECT i, 1, i, i, 'acme',"
			 " '{\"n\":' || i || '}' FROM n;"
			 "INSERT INTO waiting SELECT 1, seq, time FROM events WHERE seq > 1;"
			 "UPDATE destinations SET waiting = 1000000; COMMIT");
	sqlite3_progress_handler(db->sqlite, 1, count_steps, &steps);
	check_db("destinations", event_db_destinations(db, &all, &why));
	check_int("waiting", ((struct event_destination *)all->pdata[0])->waiting, 1000000);
	check_true("destinations", steps < 200);
	steps = 0;
	check_db("waiting", event_db_waiting(db, "file", 500, G_MAXSIZE, &rows, &why));
	check_int("waiting", rows->len, 500);
	check_true("waiting", steps < 500 * 40);
	check_db("begin", event_db_begin(db, &why));
	steps = 0;
	check_db("delivered", event_db_delivered(db, "file", rows, &why));
	check_true("delivered", steps < 500 * 100);
	steps = 0;
	check_db("bury", event_db_bury_older(db, "file", 1, &n, &why));
	check_int("bury", n, 0);
	check_true("bury", steps < 200);
	steps = 0;
	check_db("prune", event_db_prune_events(db, 2, 1000, &n, &why));
	check_int("prune", n, 499); /* the first is of now */
	check_true("prune", steps < 1000 * 100);
	check_db("commit", event_db_commit(db, &why));
	g_ptr_array_unref(rows);
	g_ptr_array_unref(all);
	event_db_close(db);
}

/* ---- deleting ---- */

/* What is left after pruning, all in all. */
static void
check_prune(const char *name, struct event_db *db, int64_t before, guint max, guint want,
	    const char *left)
{
	struct seen seen = {.db = db, .text = g_string_new(NULL)};
	guint n;

	check_db(name, event_db_begin(db, &why));
	check_db(name, event_db_prune_events(db, before, max, &n, &why));
	check_db(name, event_db_commit(db, &why));
	check_int(name, n, want);
	check_db(name, event_db_each(db, 0, NULL, see, &seen, &why));
	check_string(name, seen.text->str, left);
	g_string_free(seen.text, TRUE);
}

static void
test_prune(void **state)
{
	struct event_db *db = event_db_opened("prune", EVENT_DB_CREATE);
	GPtrArray *rows;
	guint64 n;

	(void)state;
	event_db_put_many(db, "p", 10, "acme", event_db_names("file", "stream", NULL));
	event_db_sql(db, "UPDATE events SET time = 1000 * seq");
	check_prune("all are waited for", db, 100000, 100, 0, "1 2 3 4 5");
	rows = first(db, "file", 10);
	check_db("begin", event_db_begin(db, &why));
	check_db("delivered", event_db_delivered(db, "file", rows, &why));
	check_db("commit", event_db_commit(db, &why));
	g_ptr_array_unref(rows);
	check_prune("the other waits", db, 100000, 100, 0, "1 2 3 4 5");
	rows = first(db, "stream", 7);
	g_ptr_array_remove_index(rows, 1); /* 2 goes on waiting */
	check_db("begin", event_db_begin(db, &why));
	check_db("bury", event_db_bury(db, "stream", rows, "why", &why));
	check_db("commit", event_db_commit(db, &why));
	g_ptr_array_unref(rows);
	check_prune("dead ones stay as long", db, 100000, 100, 0, "1 2 3 4 5");
	check_prune("the end", db, 100000, 100, 0, "1 2 3 4 5");
	event_db_sql(db, "UPDATE dead SET died = 1000 * seq");
	check_prune("none is so old", db, 1000, 100, 0, "1 2 3 4 5");
	check_prune("three are looked at", db, 100000, 3, 2, "2 4 5 6 7");
	event_db_check_counts("dead ones go with them", db, "file 0/0 stream 4/4");
	check_prune("the next three", db, 100000, 3, 3, "2 7 8 9 10");
	check_prune("the next three", db, 100000, 3, 1, "2 8 9 10");
	check_prune("the last one", db, 100000, 3, 0, "2 8 9 10");
	check_db("begin", event_db_begin(db, &why));
	check_db("drop", event_db_drop(db, NULL, false, &n, &why));
	check_db("commit", event_db_commit(db, &why));
	check_prune("the end", db, 100000, 3, 0, "2 8 9 10");
	check_prune("and anew", db, 9000, 3, 2, "9 10");
	check_prune("the rest", db, 100000, 3, 2, "");
	event_db_put_many(db, "q", 1, "acme", event_db_names(NULL, NULL));
	check_int("seq is not used again", db != NULL ? sqlite3_last_insert_rowid(db->sqlite) : 0,
		  11);
	event_db_close(db);
}

static int64_t
pages(struct event_db *db)
{
	int64_t n;

	check_db("pages", event_db_number(db, &n, 0, &why, "PRAGMA page_count", ""));
	return n;
}

/* Room that was needed once goes back to the file system, step by step. */
static void
test_shrink(void **state)
{
	struct event_db *db = event_db_opened("shrink", EVENT_DB_CREATE);
	int64_t large;
	guint n;

	(void)state;
	event_db_sql(
		db, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n"
		    " WHERE i < 22000) INSERT INTO events SELECT i, 1, i, i, 'acme', zeroblob(4000)"
		    " FROM n");
	large = pages(db);
	assert_true(large > 20000);
	for (int i = 0; i < 60; i++) {
		check_db("begin", event_db_begin(db, &why));
		check_db("prune", event_db_prune_events(db, 2, 1000, &n, &why));
		check_db("commit", event_db_commit(db, &why));
	}
	assert_true(pages(db) < 17500);
	event_db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),        cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_each),       cmocka_unit_test(test_before),
		cmocka_unit_test(test_delivered),  cmocka_unit_test(test_bury),
		cmocka_unit_test(test_bury_older), cmocka_unit_test(test_note),
		cmocka_unit_test(test_million),    cmocka_unit_test(test_prune),
		cmocka_unit_test(test_shrink),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
