/*
 * test_lock_table - locks as words, which of two holds, their rates, and the table with many
 * threads.
 */
#include "fixture.h"

#include "core/lock_table.h"

#include <pthread.h>
#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define NOW (1700000000 * SECOND)

static struct lock
paused(const char *pool, const char *isp, const char *rule, int64_t seconds)
{
	return (struct lock){.pool = (char *)pool,
			     .isp = (char *)isp,
			     .rule = (char *)rule,
			     .since = NOW,
			     .until = NOW + seconds * SECOND,
			     .paused = true};
}

static struct lock
slowed(const char *rule, int64_t seconds)
{
	struct lock l = paused("acme", "big", rule, seconds);

	l.paused = false;
	l.rate = (struct limit){2, 60};
	l.step = 10 * SECOND;
	return l;
}

/* ---- as words ---- */

static void
test_written_and_read(void **state)
{
	char *long_why = g_strnfill(500, 'x');
	struct lock locks[] = {paused("acme", "big", "throttled", 60), slowed("-", 60),
			       slowed("r.1_x-", 60)};
	const char *const whys[] = {NULL, "421 4.7.28 \"busy\"\r\n% \xff\x01", long_why};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(locks); i++) {
		GString *line = g_string_new(NULL), *again = g_string_new(NULL);
		struct lock l;

		locks[i].why = (char *)whys[i];
		lock_write(&locks[i], line);
		check_true(line->str, lock_read(line->str, line->len, &l));
		check_string(line->str, l.pool, locks[i].pool);
		check_int(line->str, l.paused, locks[i].paused);
		check_int(line->str, l.rate.most, locks[i].rate.most);
		check_int(line->str, l.step, locks[i].step);
		check_true(line->str, whys[i] != NULL ? strncmp(l.why, whys[i], LOCK_WHY_MAX) == 0
						      : l.why == NULL);
		check_true(line->str,
			   whys[i] == NULL || strlen(l.why) == MIN(strlen(whys[i]), LOCK_WHY_MAX));
		lock_write(&l, again);
		check_string("again", again->str, line->str);
		lock_clear(&l);
		g_string_free(line, TRUE);
		g_string_free(again, TRUE);
	}
	g_free(long_why);
}

static void
test_read_of_strangers(void **state)
{
	static const struct {
		const char *line;
		bool good;
	} cases[] = {
		{"lock acme big r 1 2 paused ", true},
		{"lock acme big r 1 2 paused why%20not", true},
		{"lock acme big - 2 2 slowed 1 1 0 ", true},
		{"", false},
		{"lock", false},
		{"lock acme big r 1 2 paused", false},
		{"lock acme big r 1 2 paused a b", false},
		{"lock acme big r 1 2 halted x", false},
		{"lock acme big r 2 1 paused x", false},
		{"lock acme big r -1 1 paused x", false},
		{"lock acme big r 1 9000000000000001 paused x", false},
		{"lock acme big r 1 99999999999999999999 paused x", false},
		{"lock acme big r 1 2 slowed 0 1 0 x", false},
		{"lock acme big r 1 2 slowed 1 0 0 x", false},
		{"lock acme big r 1 2 slowed 1 1 -1 x", false},
		{"lock acme big r 1 2 slowed 1 1 x", false},
		{"lock - big r 1 2 paused x", false},
		{"lock acme - r 1 2 paused x", false},
		{"lock acme big .r 1 2 paused x", false},
		{"lock ac%20me big r 1 2 paused x", false},
		{"lock acme b%2Fig r 1 2 paused x", false},
		{"lock  big r 1 2 paused x", false},
		{"lock acme big r%0A 1 2 paused x", false},
		{"lock acme big r 1 2 paused %00", false},
		{"lock acme big r 1 2 paused x\n", false},
		{"LOCK acme big r 1 2 paused x", false},
		{"lock aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa big r 1 "
		 "2 paused x",
		 false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct lock l;

		check_int(cases[i].line, lock_read(cases[i].line, strlen(cases[i].line), &l),
			  cases[i].good);
		check_true(cases[i].line, cases[i].good || (l.pool == NULL && l.why == NULL));
		lock_clear(&l);
	}
}

/* ---- what holds, rates ---- */

static void
test_holds(void **state)
{
	const struct {
		const char *name;
		struct lock there, l;
		bool holds;
	} cases[] = {
		{"ended", paused("a", "b", "r", 0), paused("a", "b", "r", 60), false},
		{"the same rule", paused("a", "b", "r", 10), paused("a", "b", "r", 60), true},
		{"later", paused("a", "b", "r", 10), paused("a", "b", "s", 60), false},
		{"earlier", paused("a", "b", "r", 60), paused("a", "b", "s", 10), true},
		{"as late", paused("a", "b", "r", 60), paused("a", "b", "s", 60), true},
		{"slow before a pause", slowed("r", 60), paused("a", "b", "s", 10), false},
		{"slow after a pause", paused("a", "b", "r", 10), slowed("s", 60), true},
		{"slow, later", slowed("r", 10), slowed("s", 60), false},
		{"by hand", paused("a", "b", "r", 60), slowed("-", 10), false},
		{"by hand before", slowed("-", 10), paused("a", "b", "r", 60), true},
		{"by hand, both", paused("a", "b", "-", 60), slowed("-", 10), false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_int(cases[i].name, lock_holds(&cases[i].there, &cases[i].l, NOW),
			  cases[i].holds);
}

static void
test_rate(void **state)
{
	static const struct {
		int64_t after;
		uint32_t most;
	} cases[] = {{-5 * SECOND, 2},     {0, 2},
		     {10 * SECOND - 1, 2}, {10 * SECOND, 4},
		     {35 * SECOND, 16},    {1000000 * SECOND, LIMIT_MOST_MAX},
		     {NOW, LIMIT_MOST_MAX}};
	struct lock l = slowed("r", 3600);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		check_int("most", lock_rate(&l, NOW + cases[i].after).most, cases[i].most);
		check_int("seconds", lock_rate(&l, NOW + cases[i].after).seconds, 60);
	}
	l.step = 0;
	check_int("without steps", lock_rate(&l, NOW * 2).most, 2);
}

/* ---- the table ---- */

static char *
names(GArray *locks)
{
	GString *all = g_string_new(NULL);

	for (guint i = 0; i < locks->len; i++) {
		const struct lock *l = &g_array_index(locks, struct lock, i);

		g_string_append_printf(all, "%s/%s ", l->pool, l->isp);
	}
	g_array_unref(locks);
	return g_string_free(all, FALSE);
}

static void
check_list(const char *name, struct lock_table *t, int64_t now, const char *want)
{
	char *got = names(lock_table_list(t, now));

	check_string(name, got, want);
	g_free(got);
}

static void
test_table(void **state)
{
	struct lock a = paused("acme", "big", "r", 10), b = paused("acme", "all", "-", 20),
		    c = paused("ac", "mebig", "r", 30);
	struct lock_table *t = lock_table_new();
	struct lock_state s = {0};
	uint64_t changes = lock_table_changes(t);
	char *ended;

	(void)state;
	check_true("none", lock_table_empty(t) && !lock_table_find(t, "acme", "big", NOW, &s));
	check_true("set", lock_table_set(t, &a) && lock_table_set(t, &b) && lock_table_set(t, &c));
	check_true("changed", lock_table_changes(t) != changes);
	check_list("sorted", t, NOW, "ac/mebig acme/all acme/big ");
	check_true("another pool", !lock_table_find(t, "beta", "big", NOW, &s));
	check_true("another ISP", !lock_table_find(t, "acme", "bi", NOW, &s));
	check_true("in force",
		   lock_table_find(t, "acme", "big", NOW, &s) && s.paused && s.until == a.until);
	check_string("rule", s.rule, "r");
	g_free(s.rule);
	check_true("not any more", !lock_table_find(t, "acme", "big", NOW + 10 * SECOND, &s));
	check_list("nor told", t, NOW + 10 * SECOND, "ac/mebig acme/all ");
	check_true("holds", !lock_table_offer(t, &a, NOW));
	check_true("has ended", lock_table_offer(t, &a, NOW + 10 * SECOND));
	ended = names(lock_table_ended(t, NOW + 10 * SECOND - 1));
	check_string("none has ended", ended, "");
	g_free(ended);
	ended = names(lock_table_ended(t, NOW + 20 * SECOND));
	check_string("two have", ended, "acme/all acme/big ");
	g_free(ended);
	ended = names(lock_table_ended(t, NOW + 20 * SECOND));
	check_string("told once", ended, "");
	g_free(ended);
	changes = lock_table_changes(t);
	check_true("no such", !lock_table_release(t, "acme", "big"));
	check_true("nothing has changed", lock_table_changes(t) == changes);
	check_true("release", lock_table_release(t, "ac", "mebig") && lock_table_empty(t));
	lock_table_free(t);
}

static void
test_slowed(void **state)
{
	struct lock_table *t = lock_table_new();
	struct lock l = slowed("r", 100);
	struct lock_state s;

	(void)state;
	lock_table_set(t, &l);
	check_true("in force",
		   lock_table_find(t, "acme", "big", NOW + 25 * SECOND, &s) && !s.paused);
	check_int("rate", s.rate.most, 8);
	g_free(s.rule);
	lock_table_free(t);
}

static void
test_replace(void **state)
{
	struct lock_table *t = lock_table_new();
	GArray *locks = g_array_new(FALSE, FALSE, sizeof(struct lock));
	struct lock a = paused("acme", "big", "r", 10), b = paused("beta", "big", "r", 10),
		    again = paused("beta", "big", "s", 10);

	(void)state;
	lock_table_set(t, &a);
	g_array_append_val(locks, b);
	g_array_append_val(locks, again);
	lock_table_replace(t, locks);
	check_list("replaced", t, NOW, "beta/big ");
	g_array_set_size(locks, 0);
	lock_table_replace(t, locks);
	check_true("by none", lock_table_empty(t));
	g_array_unref(locks);
	lock_table_free(t);
}

static void
test_full(void **state)
{
	struct lock_table *t = lock_table_new();
	char name[32] = "";
	struct lock l = paused("acme", name, "r", 10);

	(void)state;
	for (int i = 0; i < LOCKS_MAX; i++) {
		g_snprintf(name, sizeof name, "i%d", i);
		if (!lock_table_set(t, &l))
			fail_msg("no room for lock %d", i);
	}
	check_true("one that is there", lock_table_set(t, &l));
	g_snprintf(name, sizeof name, "more");
	check_true("one more", !lock_table_set(t, &l));
	lock_table_free(t);
}

/* ---- threads ---- */

#define ROUNDS 2000

static void *
ask(void *table)
{
	struct lock_state s;

	for (int i = 0; i < ROUNDS; i++)
		if (lock_table_find(table, "acme", "big", NOW, &s)) {
			if (strlen(s.rule) != 1)
				abort();
			g_free(s.rule);
		}
	return NULL;
}

static void *
change(void *table)
{
	GArray *none = lock_array_new();
	struct lock l = paused("acme", "big", "r", 10);

	for (int i = 0; i < ROUNDS; i++) {
		lock_table_set(table, &l);
		g_array_unref(lock_table_list(table, NOW));
		if (i % 3 == 0)
			lock_table_release(table, "acme", "big");
		else if (i % 3 == 1)
			lock_table_replace(table, none);
		else
			g_array_unref(lock_table_ended(table, NOW + 10 * SECOND));
	}
	g_array_unref(none);
	return NULL;
}

static void
test_threads(void **state)
{
	struct lock_table *t = lock_table_new();
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i == 0 ? change : ask, t), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		pthread_join(threads[i], NULL);
	check_true("empty in the end", lock_table_empty(t));
	lock_table_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read),
		cmocka_unit_test(test_read_of_strangers),
		cmocka_unit_test(test_holds),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_slowed),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
