/*
 * test_tally_table - the statistics' numbers: adding, bounds, batches that are taken and put back,
 * many threads.
 */
#include "fixture.h"

#include "core/tally_table.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Of "key|field=value", all that there are. */
static void
check_table(const char *name, struct tally_table *t, const char *want)
{
	char *got = fixture_tallies(t, " ");

	check_string(name, got, want);
	g_free(got);
}

static void
check_batch(const char *name, const struct tally_batch *b, const char *want)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
	char *got;

	for (guint i = 0; i < b->n; i++)
		for (guint k = 0; k < b->rows[i]->n; k++)
			fixture_tally(b->rows[i]->key, b->rows[i]->tallies[k].field,
				b->rows[i]->tallies[k].by, all);
	got = fixture_joined(all, " ");
	check_string(name, got, want);
	g_free(got);
}

/* ---- adding */

static void
test_add(void **state)
{
	static const struct tally many[] = {
		{"messages", 1}, {"octets", 5000}, {"messages", 2}, {"", -1}};
	static const struct tally other_order[] = {
		{"", 5}, {"new", 1}, {"octets", 1}, {"messages", 1}};
	struct tally_table *t = tally_table_new(10);

	(void)state;
	check_table("empty", t, "");
	assert_true(tally_table_add(t, "a/1", "messages", 3));
	assert_true(tally_table_add_many(t, "a/1", many, G_N_ELEMENTS(many)));
	assert_true(tally_table_add_many(t, "", many, 2));
	assert_true(tally_table_add_many(t, "a/1", other_order, G_N_ELEMENTS(other_order)));
	check_table("added", t,
		    "a/1|=4 a/1|messages=7 a/1|new=1 a/1|octets=5001 |messages=1 |octets=5000");
	assert_int_equal(tally_table_size(t), 2);
	tally_table_clear(t);
	check_table("cleared", t, "");
	assert_int_equal(tally_table_size(t), 0);
	tally_table_free(t);
	tally_table_free(NULL);
}

static void
test_bounds(void **state)
{
	struct tally_table *t = tally_table_new(2);
	struct tally fields[200];
	char names[200][8];

	(void)state;
	tally_table_add(t, "a/1", "n", INT64_MAX);
	tally_table_add(t, "a/1", "n", 1);
	tally_table_add(t, "a/1", "m", INT64_MIN);
	tally_table_add(t, "a/1", "m", -1);
	tally_table_add(t, "b/1", "n", -5);
	assert_false(tally_table_add(t, "c/1", "n", 1));
	assert_false(tally_table_add_many(t, "c/1", (struct tally[]){{"n", 1}, {"m", 1}}, 2));
	check_table("two keys", t, "a/1|m=-9223372036854775808 a/1|n=9223372036854775807 b/1|n=-5");
	assert_int_equal(tally_table_size(t), 2);
	assert_int_equal(tally_table_lost(t), 3);
	for (int i = 0; i < 200; i++) {
		g_snprintf(names[i], sizeof names[i], "f%d", i);
		fields[i] = (struct tally){names[i], 1};
	}
	assert_false(tally_table_add_many(t, "b/1", fields, 200));
	assert_int_equal(tally_table_lost(t), 3 + 200 - (TALLY_FIELDS_MAX - 2));
	tally_table_drop_before(t, "2");
	assert_true(tally_table_add(t, "c/1", "n", 1));
	check_table("room again", t, "c/1|n=1");
	tally_table_set_max(t, 1);
	assert_true(tally_table_add(t, "c/1", "n", 1));
	assert_false(tally_table_add(t, "d/1", "n", 1));
	tally_table_free(t);
}

static void
test_old_are_dropped(void **state)
{
	static const char *const keys[] = {"pool/acme/2026103123", "pool/acme/2026110100",
					   "isp/zzz/2026103123",   "aaa/2026110101",
					   "2026103122",	   "no hour"};
	struct tally_table *t = tally_table_new(10);

	(void)state;
	for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
		tally_table_add(t, keys[i], "n", i + 1);
	tally_table_drop_before(t, "2026110100");
	check_table("October is gone", t, "aaa/2026110101|n=4 no hour|n=6 pool/acme/2026110100|n=2");
	assert_int_equal(tally_table_size(t), 3);
	tally_table_free(t);
}

/* What must be written down again. */
static void
test_changes(void **state)
{
	struct tally_table *t = tally_table_new(10);
	uint64_t changes[8];
	guint n = 0;

	(void)state;
	changes[n++] = tally_table_changes(t);
	tally_table_add(t, "a/1", "n", 1);
	changes[n++] = tally_table_changes(t);
	tally_table_add(t, "b/2", "n", 1);
	changes[n++] = tally_table_changes(t);
	tally_table_drop_before(t, "2");
	changes[n++] = tally_table_changes(t);
	tally_batch_put_back(tally_table_take(t, 1), t);
	changes[n++] = tally_table_changes(t);
	tally_batch_free(tally_table_take(t, 1));
	changes[n++] = tally_table_changes(t);
	for (guint i = 1; i < n; i++)
		check_true("grows", changes[i] > changes[i - 1]);
	tally_table_drop_before(t, "2");
	tally_table_clear(t);
	assert_null(tally_table_take(t, 1));
	check_table("nothing left", t, "");
	assert_int_equal(tally_table_changes(t), changes[n - 1]);
	tally_table_free(t);
}

/* ---- batches */

static void
test_take(void **state)
{
	struct tally_table *t = tally_table_new(10);
	struct tally_batch *b;

	(void)state;
	assert_null(tally_table_take(t, 5));
	tally_table_add(t, "a", "n", 1);
	tally_table_add(t, "a", "m", 2);
	tally_table_add(t, "b", "n", 3);
	assert_null(tally_table_take(t, 0));
	b = tally_table_take(t, 5);
	assert_int_equal(b->n, 2);
	check_batch("all", b, "a|m=2 a|n=1 b|n=3");
	check_table("empty", t, "");
	assert_int_equal(tally_table_size(t), 0);
	tally_table_add(t, "a", "n", 10); /* a fresh one */
	tally_table_add(t, "c", "n", 5);
	check_batch("as it was", b, "a|m=2 a|n=1 b|n=3");
	assert_true(tally_batch_put_back(b, t));
	check_table("together", t, "a|m=2 a|n=11 b|n=3 c|n=5");
	assert_int_equal(tally_table_size(t), 3);
	b = tally_table_take(t, 5);
	tally_table_set_max(t, 1);
	tally_table_add(t, "d", "n", 1);
	assert_false(tally_batch_put_back(b, t)); /* no room any more */
	assert_int_equal(tally_table_lost(t), 4);
	check_table("full", t, "d|n=1");
	tally_table_free(t);
	tally_batch_free(NULL);
}

/* Many keys, batch by batch; a key that comes back each time keeps no other waiting. */
static void
test_take_in_turn(void **state)
{
	enum { KEYS = 10000, BATCH = 300 };
	struct tally_table *t = tally_table_new(TALLY_KEYS_MAX);
	GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	char key[16];
	guint batches = 0;

	(void)state;
	for (int i = 0; i < KEYS; i++) {
		g_snprintf(key, sizeof key, "k%d", i);
		tally_table_add(t, key, "n", i);
	}
	assert_int_equal(tally_table_size(t), KEYS);
	while (g_hash_table_size(seen) < KEYS && batches < KEYS) {
		struct tally_batch *b = tally_table_take(t, BATCH);

		batches++;
		check_int("a full batch", b->n, BATCH);
		for (guint i = 0; i < b->n; i++)
			g_hash_table_add(seen, g_strdup(b->rows[i]->key));
		assert_true(tally_batch_put_back(b, t));
	}
	check_true("all came by", g_hash_table_size(seen) == KEYS);
	check_true("in a few rounds", batches < 10 * KEYS / BATCH);
	assert_int_equal(tally_table_size(t), KEYS);
	g_hash_table_destroy(seen);
	tally_table_free(t);
}

/* ---- threads */

#define THREADS 6
#define ROUNDS 30000

struct crowd {
	struct tally_table *table;
	_Atomic int adding;
	_Atomic guint number;
};

static const struct tally each_round[] = {{"messages", 1}, {"octets", 100}, {"back", -1}};

/* Each thread has its own keys, and all have one together. */
static void *
add_rounds(void *context)
{
	struct crowd *c = context;
	guint number = c->number++;
	char key[16];

	for (guint i = 0; i < ROUNDS; i++) {
		g_snprintf(key, sizeof key, "own/%u/%u", number, i % 50);
		tally_table_add_many(c->table, key, each_round, 3);
		tally_table_add_many(c->table, "all", each_round, 3);
		tally_table_add(c->table, "all", "messages", 1);
	}
	c->adding--;
	return NULL;
}

/* Takes; puts back each second one, counts the others together. */
static void *
take_some(void *context)
{
	struct crowd *c = context;
	struct tally_table *sum = tally_table_new(TALLY_KEYS_MAX);
	struct tally_batch *b;
	bool last, back = false;

	do {
		last = c->adding == 0;
		while ((b = tally_table_take(c->table, 20)) != NULL) {
			back = !back && !last;
			assert_true(tally_batch_put_back(b, back ? c->table : sum));
		}
	} while (!last);
	return sum;
}

static void
sum_up(const char *key, const char *field, int64_t value, void *context)
{
	tally_table_add(context, key, field, value);
}

static void
test_threads(void **state)
{
	struct crowd c = {tally_table_new(TALLY_KEYS_MAX), THREADS, 0};
	struct tally_table *sums[2], *all = tally_table_new(TALLY_KEYS_MAX);
	pthread_t adders[THREADS], takers[2];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&adders[i], NULL, add_rounds, &c), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&takers[i], NULL, take_some, &c), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(adders[i], NULL);
	for (int i = 0; i < 2; i++) {
		pthread_join(takers[i], (void **)&sums[i]);
		tally_table_each(sums[i], sum_up, all);
		tally_table_free(sums[i]);
	}
	tally_table_each(c.table, sum_up, all); /* what one put back when the other was through */
	assert_int_equal(tally_table_lost(c.table), 0);
	assert_int_equal(tally_table_size(all), 1 + THREADS * 50);
	tally_table_drop_before(all, "a"); /* "own/3/17" */
	check_table("all", all, "all|back=-180000 all|messages=360000 all|octets=18000000");
	tally_table_free(all);
	tally_table_free(c.table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_old_are_dropped),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_take_in_turn),
		cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
