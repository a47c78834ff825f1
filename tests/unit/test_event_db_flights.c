/*
 * test_event_db_flights - the joiner's store, flights for late bounces, and tallies.
 */
#include "event_db_fixture.h"

#include <string.h>

#define AT(n) (1700000000000000 + (int64_t)(n))

static struct flight *
flight(const char *queue_id, int64_t born, int64_t ended, const char *message_id, const char *pool)
{
	struct flight *f = flight_new(queue_id, born);

	f->ended = ended;
	f->message_id = g_strdup(message_id);
	f->pool = g_strdup(pool);
	flight_add_recipient(f, "a@b.example");
	return f;
}

/* Saves one, in the transaction that is open. */
static void
save(struct event_db *db, const char *queue_id, int64_t born, int64_t ended, const char *message_id,
     const char *pool)
{
	const struct joiner_store *store = event_db_store(db);
	struct flight *f = flight(queue_id, born, ended, message_id, pool);

	if (!store->save(store->context, f))
		fail_msg("%s: %s", queue_id, event_db_store_error(db));
	flight_free(f);
}

/* "QUEUEID born ended message-id pool"; "none". */
static void
check_flight(const char *name, struct flight *f, const char *want)
{
	char *text =
		f == NULL ? g_strdup("none")
			  : g_strdup_printf("%s %d %d %s %s", f->queue_id, (int)(f->born - AT(0)),
					    f->ended == 0 ? 0 : (int)(f->ended - AT(0)),
					    f->message_id, f->pool);

	check_string(name, text, want);
	g_free(text);
	flight_free(f);
}

static void
check_load(const char *name, struct event_db *db, const char *queue_id, const char *want)
{
	const struct joiner_store *store = event_db_store(db);
	struct flight *f;

	check_true(name, store->load(store->context, queue_id, &f));
	check_flight(name, f, want);
}

static void
check_born_before(const char *name, struct event_db *db, const char *queue_id, int64_t before,
		  const char *want)
{
	struct flight *f;

	check_db(name, event_db_flight(db, queue_id, before, &f, &why));
	check_flight(name, f, want);
}

static void
check_message_id(const char *name, struct event_db *db, const char *message_id, const char *want)
{
	struct flight *f;

	check_db(name, event_db_flight_by_message_id(db, message_id, &f, &why));
	check_flight(name, f, want);
}

static void
check_find(const char *name, struct event_db *db, const char *message_id, int64_t since, guint max,
	   const char *want)
{
	const struct joiner_store *store = event_db_store(db);
	GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
	char *text;

	check_true(name, store->find(store->context, message_id, since, max, ids));
	g_ptr_array_add(ids, NULL);
	text = g_strjoinv(" ", (char **)ids->pdata);
	check_string(name, text, want);
	g_free(text);
	g_ptr_array_unref(ids);
}

static void
test_store(void **state)
{
	struct event_db *db = event_db_opened("store", EVENT_DB_CREATE);
	const struct joiner_store *store = event_db_store(db);

	(void)state;
	check_load("none", db, "4A", "none");
	check_db("begin", event_db_begin(db, &why));
	save(db, "4A", AT(1), 0, NULL, NULL);
	save(db, "4B", AT(2), 0, "<x@b>", "acme");
	check_load("new", db, "4A", "4A 1 0 (null) (null)");
	save(db, "4A", AT(1), 0, "<a@b>", NULL);
	check_load("another Message-ID", db, "4A", "4A 1 0 <a@b> (null)");
	save(db, "4A", AT(1), AT(9), "<a@b>", "acme");
	check_load("the same", db, "4A", "4A 1 9 <a@b> acme");
	save(db, "4A", AT(20), 0, "<a@b>", "acme"); /* the queue ID is used again */
	check_load("the latest", db, "4A", "4A 20 0 <a@b> acme");
	check_born_before("the one before", db, "4A", AT(20), "4A 1 9 <a@b> acme");
	check_born_before("both are later", db, "4A", AT(1), "none");
	check_db("commit", event_db_commit(db, &why));
	event_db_close(db);
	db = event_db_opened("store", EVENT_DB_CREATE);
	store = event_db_store(db);
	check_load("after a start", db, "4B", "4B 2 0 <x@b> acme");
	assert_false(store->forget(store->context, "4A", AT(20)));
	assert_non_null(strstr(event_db_store_error(db), "outside of a transaction"));
	check_db("begin", event_db_begin(db, &why));
	assert_true(store->forget(store->context, "4A", AT(20)));
	assert_true(store->forget(store->context, "4A", AT(77)));
	check_db("commit", event_db_commit(db, &why));
	check_load("forgotten", db, "4A", "4A 1 9 <a@b> acme");
	event_db_close(db);
}

static void
test_message_ids(void **state)
{
	struct event_db *db = event_db_opened("ids", EVENT_DB_CREATE);

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	save(db, "4A", AT(1), 0, "<a@b>", "acme");
	save(db, "4B", AT(2), AT(9), "<a@b>", "other");
	save(db, "4C", AT(3), 0, "<a@b>", NULL);
	save(db, "4D", AT(4), 0, "<A@b>", "acme");
	save(db, "4E", AT(5), 0, NULL, "acme");
	save(db, "4F", AT(6), 0, "<n@b>", NULL);
	check_db("commit", event_db_commit(db, &why));
	check_find("open ones", db, "<a@b>", 0, 10, "4A 4C");
	check_find("at most one", db, "<a@b>", 0, 1, "4A");
	check_find("born since", db, "<a@b>", AT(2), 10, "4C");
	check_find("none", db, "<x@b>", 0, 10, "");
	check_message_id("the last one of a pool", db, "<a@b>", "4B 2 9 <a@b> other");
	check_message_id("letters count", db, "<A@b>", "4D 4 0 <A@b> acme");
	check_message_id("none of a pool", db, "<n@b>", "4F 6 0 <n@b> (null)");
	check_message_id("none", db, "<x@b>", "none");
	/* What has the same key is told apart by its Message-ID. */
	event_db_sql(db, "UPDATE flights SET message_key = (SELECT message_key FROM flights"
			 " WHERE queue_id = '4A')");
	check_find("keys alike", db, "<a@b>", 0, 10, "4A 4C");
	check_message_id("keys alike", db, "<a@b>", "4B 2 9 <a@b> other");
	event_db_close(db);
}

static void
test_damaged(void **state)
{
	struct event_db *db = event_db_opened("damaged", EVENT_DB_CREATE);

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	save(db, "4A", AT(1), 0, "<a@b>", "acme");
	save(db, "4B", AT(2), 0, "<a@b>", "acme");
	check_db("commit", event_db_commit(db, &why));
	event_db_sql(db, "UPDATE flights SET data = 'rubbish' WHERE queue_id = '4B'");
	check_load("damaged", db, "4B", "none");
	check_message_id("the other one", db, "<a@b>", "4A 1 0 <a@b> acme");
	event_db_close(db);
}

static void
check_prune(const char *name, struct event_db *db, int64_t ended, int64_t born, guint max,
	    guint want)
{
	guint n;

	check_db(name, event_db_begin(db, &why));
	check_db(name, event_db_prune_flights(db, ended, born, max, &n, &why));
	check_db(name, event_db_commit(db, &why));
	check_int(name, n, want);
}

static void
test_prune(void **state)
{
	struct event_db *db = event_db_opened("prune", EVENT_DB_CREATE);

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	for (int i = 1; i <= 10; i++) {
		char *queue_id = g_strdup_printf("4%d", i);

		save(db, queue_id, AT(i), i % 2 == 0 ? AT(100 + i) : 0, "<a@b>", "acme");
		g_free(queue_id);
	}
	check_db("commit", event_db_commit(db, &why));
	check_prune("none", db, AT(102), AT(1), 100, 0);
	check_prune("ended ones", db, AT(105), AT(1), 100, 2);
	check_find("open ones stay", db, "<a@b>", 0, 100, "41 43 45 47 49");
	check_load("ended", db, "44", "none");
	check_load("not so early", db, "46", "46 6 106 <a@b> acme");
	check_prune("old ones", db, AT(105), AT(6), 2, 2);
	check_find("the oldest first", db, "<a@b>", 0, 100, "45 47 49");
	check_prune("some of both", db, AT(200), AT(200), 4, 4);
	check_find("the rest", db, "<a@b>", 0, 100, "47 49");
	check_prune("the rest", db, AT(200), AT(200), 100, 2);
	event_db_close(db);
}

/* ---- tallies ---- */

static void
put_tally(const char *key, const char *field, int64_t value, void *texts)
{
	fixture_tally(key, field, value, texts);
}

static void
check_tallies(const char *name, struct event_db *db, const char *start, const char *want)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
	char *text;

	check_db(name, event_db_each_tally(db, start, put_tally, texts, &why));
	text = fixture_joined(texts, " ");
	check_string(name, text, want);
	g_free(text);
}

static void
go_on(struct event_db *db)
{
	check_db("commit", event_db_commit(db, &why));
	check_db("begin", event_db_begin(db, &why));
}

static void
test_tallies(void **state)
{
	struct event_db *db = event_db_opened("tallies", EVENT_DB_CREATE);
	const struct tally some[] = {{"a", 1}, {"b", 20}}, minus[] = {{"a", -3}, {"b", -1}};
	const struct tally most[] = {{"m", INT64_MAX - 1}}, least[] = {{"m", INT64_MIN}};
	char *outside = NULL;

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	check_db("new", event_db_tally(db, "p/acme/1", some, 2, &why));
	check_db("more", event_db_tally(db, "p/acme/1", some, 2, &why));
	check_db("more", event_db_tally(db, "p/acme/1", some, 1, &why));
	check_db("others", event_db_tally(db, "p/acme/2", some, 1, &why));
	check_db("others", event_db_tally(db, "pi/acme/1", some, 1, &why));
	check_db("nothing", event_db_tally(db, "x", NULL, 0, &why));
	go_on(db);
	check_tallies("all", db, "", "p/acme/1|a=3 p/acme/1|b=40 p/acme/2|a=1 pi/acme/1|a=1");
	check_tallies("of a start", db, "p/", "p/acme/1|a=3 p/acme/1|b=40 p/acme/2|a=1");
	check_tallies("of a key", db, "p/acme/1", "p/acme/1|a=3 p/acme/1|b=40");
	check_tallies("none", db, "q", "");
	check_db("less", event_db_tally(db, "p/acme/1", minus, 2, &why));
	go_on(db);
	check_tallies("one is gone", db, "p/acme/1", "p/acme/1|b=39");
	check_db("most", event_db_tally(db, "max", most, 1, &why));
	check_db("most", event_db_tally(db, "max", most, 1, &why));
	go_on(db);
	check_tallies("most", db, "max", "max|m=9223372036854775807");
	check_db("least", event_db_tally(db, "min", least, 1, &why));
	check_db("least", event_db_tally(db, "min", least, 1, &why));
	go_on(db);
	check_tallies("least", db, "min", "min|m=-9223372036854775808");
	check_db("rolled back", event_db_tally(db, "min", some, 1, &why));
	event_db_rollback(db);
	check_true("outside", !event_db_tally(db, "min", some, 1, &outside));
	g_free(outside);
	check_db("begin", event_db_begin(db, &why));
	go_on(db);
	check_tallies("what was rolled back", db, "min", "min|m=-9223372036854775808");
	event_db_rollback(db);
	event_db_close(db);
}

static void
count_tally(const char *key, const char *field, int64_t value, void *sum)
{
	(void)key;
	(void)field;
	*(int64_t *)sum += value;
}

static void
test_many_tallies(void **state)
{
	struct event_db *db = event_db_opened("many", EVENT_DB_CREATE);
	const struct tally some[] = {{"a", 1}, {"b", 2}, {"c", 3}};
	int64_t sum = 0;

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	for (int i = 0; i < 1000; i++) {
		char *key = g_strdup_printf("p/pool%d/1", i);

		check_db(key, event_db_tally(db, key, some, 3, &why));
		g_free(key);
	}
	check_db("commit", event_db_commit(db, &why));
	check_db("each", event_db_each_tally(db, "p/", count_tally, &sum, &why));
	assert_int_equal(sum, 6000);
	event_db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store),   cmocka_unit_test(test_message_ids),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_prune),
		cmocka_unit_test(test_tallies), cmocka_unit_test(test_many_tallies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
