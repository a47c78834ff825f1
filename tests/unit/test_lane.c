/*
 * test_lane - one destination of events: batches, refusals, failures, in a database.
 */
#include "fixture.h"

#include "core/backoff.h"
#include "events/lane.h"

#include <glib/gstdio.h>
#include <string.h>

#define NAME "webhook/test"
#define S G_USEC_PER_SEC

static struct event_db *
new_db(void)
{
	static int number;
	char *name = g_strdup_printf("state-%d", number++), *why = NULL;
	const char *path = fixture_path(name);
	struct event_db *db;

	g_mkdir(path, 0700);
	db = event_db_open(path, EVENT_DB_CREATE, &why);
	if (db == NULL)
		fail_msg("%s", why);
	g_free(name);
	return db;
}

/* Must succeed. */
static void
ok(bool result, char *const *why)
{
	if (!result)
		fail_msg("%s", *why != NULL ? *why : "?");
}

/* Events whose JSON is their number from first on. */
static void
add(struct event_db *db, int first, int n)
{
	GPtrArray *names = g_ptr_array_new();
	char *why = NULL;

	g_ptr_array_add(names, (char *)NAME);
	ok(event_db_begin(db, &why), &why);
	for (int i = first; i < first + n; i++) {
		struct event *e = event_new(EVENT_DELIVERED, EVENT_FROM_LOG);
		char *json = g_strdup_printf("%d", i);

		event_identify(e, (unsigned)i);
		ok(event_db_add(db, e, json, names, NULL, &why), &why);
		g_free(json);
		event_free(e);
	}
	ok(event_db_commit(db, &why), &why);
	g_ptr_array_unref(names);
}

/* What the database says of the destination; must be there. */
static struct event_destination
destination(struct event_db *db)
{
	struct event_destination found;
	GPtrArray *all;
	char *why = NULL;

	ok(event_db_destinations(db, &all, &why), &why);
	assert_int_equal(all->len, 1);
	found = *(struct event_destination *)all->pdata[0];
	found.name = found.error = NULL;
	g_ptr_array_unref(all);
	return found;
}

static void
look(struct lane *l, struct event_db *db)
{
	GPtrArray *all;
	char *why = NULL;

	ok(event_db_destinations(db, &all, &why), &why);
	assert_int_equal(all->len, 1);
	lane_look(l, all->pdata[0]);
	g_ptr_array_unref(all);
}

static struct lane *
new_lane(struct event_db *db, guint batch)
{
	struct lane *l = lane_new(NAME);

	lane_set(l, batch, 0, NULL);
	look(l, db);
	return l;
}

/* Takes a batch, which must be there, "1 2 3"; returns it with that result and settles. */
static void
pass(struct lane *l, struct event_db *db, const char *want, enum delivery_result result)
{
	struct delivery d = {result, 0, result != DELIVERY_DONE ? g_strdup("no") : NULL};
	GString *numbers = g_string_new(NULL);
	char *why = NULL;

	lane_hurry(l);
	ok(lane_take(l, db, &why), &why);
	check_int(want, l->state, LANE_SENDING);
	for (guint i = 0; i < l->rows->len; i++)
		g_string_append_printf(numbers, "%s%s", i > 0 ? " " : "",
				       ((struct event_row *)l->rows->pdata[i])->json);
	check_string(want, numbers->str, want);
	check_true(want, lane_due(l) == G_MAXINT64);
	lane_return(l, &d);
	ok(event_db_begin(db, &why) && lane_settle(l, db, &why) && event_db_commit(db, &why), &why);
	lane_settled(l);
	g_string_free(numbers, TRUE);
}

static void
test_order(void **state)
{
	struct event_db *db = new_db();
	struct lane *l;
	char *why = NULL;

	(void)state;
	add(db, 1, 5);
	l = new_lane(db, 2);
	pass(l, db, "1 2", DELIVERY_DONE);
	pass(l, db, "3 4", DELIVERY_FAILED);
	pass(l, db, "3 4", DELIVERY_DONE);
	add(db, 6, 1);
	pass(l, db, "5 6", DELIVERY_DONE);
	assert_true(lane_take(l, db, &why));
	assert_int_equal(l->state, LANE_IDLE);
	assert_true(lane_due(l) == G_MAXINT64);
	lane_free(l);
	event_db_close(db);
}

static void
test_patience(void **state)
{
	struct event_db *db = new_db();
	struct lane *l;
	gint64 left;
	char *why = NULL;

	(void)state;
	add(db, 1, 2);
	l = new_lane(db, 3);
	lane_set(l, 3, 100 * S, NULL);
	left = lane_due(l) - g_get_monotonic_time();
	assert_true(left > 50 * S && left <= 100 * S);
	ok(lane_take(l, db, &why), &why);
	assert_int_equal(l->state, LANE_IDLE); /* two are better sent later */
	left = lane_due(l) - g_get_monotonic_time();
	assert_true(left > 50 * S && left <= 100 * S);
	l->oldest += 1000 * S; /* from the future: the clock was set back */
	assert_true(lane_due(l) <= g_get_monotonic_time());
	add(db, 3, 1);
	look(l, db);
	assert_true(lane_due(l) <= g_get_monotonic_time());
	pass(l, db, "1 2 3", DELIVERY_DONE);
	lane_free(l);
	event_db_close(db);
}

static void
test_refused(void **state)
{
	struct event_db *db = new_db();
	struct lane *l;

	(void)state;
	add(db, 1, 40);
	l = new_lane(db, 4);
	pass(l, db, "1 2 3 4", DELIVERY_REFUSED);
	assert_true(lane_due(l) <= g_get_monotonic_time()); /* no failure */
	pass(l, db, "1 2", DELIVERY_DONE);
	pass(l, db, "3 4", DELIVERY_REFUSED);
	pass(l, db, "3", DELIVERY_REFUSED);
	assert_true(lane_due(l) >= g_get_monotonic_time() + S / 2);
	pass(l, db, "3", DELIVERY_FAILED); /* is no refusal */
	pass(l, db, "3", DELIVERY_REFUSED);
	assert_int_equal(destination(db).dead, 0);
	pass(l, db, "3", DELIVERY_REFUSED);
	assert_int_equal(destination(db).dead, 1);
	assert_true(lane_due(l) <= g_get_monotonic_time());
	assert_int_equal(l->failures, 4);
	pass(l, db, "4", DELIVERY_DONE);
	assert_int_equal(l->failures, 0);
	for (int i = 5; i < 12; i++) {
		char *one = g_strdup_printf("%d", i);

		pass(l, db, one, DELIVERY_DONE);
		g_free(one);
	}
	pass(l, db, "12 13", DELIVERY_DONE); /* eight in a row: it grows */
	assert_int_equal(destination(db).waiting, 40 - 13);
	lane_free(l);
	event_db_close(db);
}

/* A receiver that refuses whatever comes: the back-off grows all the same. */
static void
test_all_refused(void **state)
{
	struct event_db *db = new_db();
	struct lane *l;

	(void)state;
	add(db, 1, 10);
	l = new_lane(db, 1);
	for (int i = 1; i <= 3; i++) {
		char *one = g_strdup_printf("%d", i);

		for (int k = 0; k < LANE_REFUSALS_MAX; k++)
			pass(l, db, one, DELIVERY_REFUSED);
		g_free(one);
	}
	assert_int_equal(destination(db).dead, 3);
	pass(l, db, "4", DELIVERY_REFUSED);
	assert_true(lane_due(l) >= g_get_monotonic_time() + BACKOFF_LAST / 2);
	lane_free(l);
	event_db_close(db);
}

static void
test_failures_are_noted(void **state)
{
	struct event_db *db = new_db();
	struct event_destination d;
	struct lane *l;
	char *why = NULL;

	(void)state;
	add(db, 1, 1);
	l = new_lane(db, 1);
	pass(l, db, "1", DELIVERY_FAILED);
	pass(l, db, "1", DELIVERY_FAILED);
	d = destination(db);
	assert_int_equal(d.failures, 2);
	assert_true(d.next_try > g_get_real_time());
	/* A new process goes on from there, but tries at once. */
	lane_free(l);
	l = new_lane(db, 1);
	assert_int_equal(l->failures, 2);
	assert_true(lane_due(l) <= g_get_monotonic_time());
	pass(l, db, "1", DELIVERY_FAILED);
	look(l, db);
	assert_true(lane_due(l) >= g_get_monotonic_time() + 2 * S);
	/* poolctl events retry */
	{
		guint64 n;

		ok(event_db_begin(db, &why) && event_db_retry(db, NAME, false, &n, &why) &&
			   event_db_commit(db, &why),
		   &why);
	}
	look(l, db);
	assert_true(lane_due(l) <= g_get_monotonic_time());
	pass(l, db, "1", DELIVERY_DONE);
	d = destination(db);
	assert_int_equal(d.failures, 0);
	assert_int_equal(d.next_try, 0);
	assert_int_equal(d.waiting, 0);
	lane_free(l);
	event_db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_all_refused),
		cmocka_unit_test(test_failures_are_noted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
