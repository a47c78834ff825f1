/*
 * test_limiter_memory - the limiter's driver in memory: all or none, state, many threads.
 *
 * Time is simulated, except where threads race: there it runs faster than it should, and each thread
 * notes the time that the limiter saw.
 */
#include "fixture.h"

#include "core/limiter_memory.h"
#include "core/limiter_state.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define WALL (INT64_C(1795000000) * SECOND) /* in November 2026 */

static int64_t
clock_of(void *context)
{
	return *(int64_t *)context;
}

static struct limit
rule(const char *text)
{
	struct limit limit = {0};

	check_true(text, limit_parse(text, &limit));
	return limit;
}

/* Asks for charges; the answer, with *which and *wait where they are wanted. */
static enum limiter_answer
ask(struct limiter_memory *l, const struct charge *charges, guint n, enum limiter_mode mode, guint *which,
    int64_t *wait)
{
	const struct limiter *facade = limiter_memory_facade(l);
	struct limiter_request request = {.charges = charges, .n_charges = n, .mode = mode};
	struct limiter_result result = {99, 99, NULL};
	enum limiter_answer answer = facade->ask(facade->context, &request, &result);

	assert_int_equal(result.why != NULL, answer == LIMITER_FAILED);
	g_free(result.why);
	if (which != NULL)
		*which = result.which;
	if (wait != NULL)
		*wait = result.wait_us;
	return answer;
}

static enum limiter_answer
ask_one(struct limiter_memory *l, const char *key, const char *limit, uint32_t amount)
{
	struct charge charge = {key, rule(limit), amount};

	return ask(l, &charge, 1, LIMITER_CHARGE, NULL, NULL);
}

struct find_use {
	const char *key;
	struct limit limit;
	struct limiter_use found; /* key NULL: not found */
	guint n;		  /* how many there are at all */
};

static void
find_use(const struct limiter_use *use, void *context)
{
	struct find_use *f = context;

	f->n++;
	if (strcmp(use->key, f->key) != 0 || use->limit.most != f->limit.most ||
	    use->limit.seconds != f->limit.seconds)
		return;
	assert_null(f->found.key); /* none twice */
	f->found = *use;
	f->found.key = f->key;
}

static struct limiter_use
use_of(struct limiter_memory *l, const char *key, const char *limit)
{
	struct find_use f = {.key = key, .limit = rule(limit)};

	limiter_memory_each(l, find_use, &f);
	return f.found;
}

static uint64_t
used(struct limiter_memory *l, const char *key, const char *limit)
{
	return use_of(l, key, limit).used;
}

static guint
uses(struct limiter_memory *l)
{
	struct find_use f = {.key = ""};

	limiter_memory_each(l, find_use, &f);
	return f.n;
}

/* ---- all or none, and what the answer says */

static const struct {
	const char *name;
	struct {
		const char *key, *limit;
		uint32_t before, amount; /* charged a second ago; asked for */
	} charges[4];			 /* key NULL: no more */
	enum limiter_answer answer;
	guint which;
	int64_t wait_s;
} requests[] = {
	{"nothing", {{NULL, NULL, 0, 0}}, LIMITER_ALLOWED, 0, 0},
	{"one that fits", {{"a", "3/minute", 2, 1}}, LIMITER_ALLOWED, 0, 0},
	{"one that does not", {{"a", "3/minute", 3, 1}}, LIMITER_OVER, 0, 59},
	{"one that never does", {{"a", "3/minute", 0, 4}}, LIMITER_OVER, 0, -1},
	{"first over", {{"a", "3/minute", 3, 1}, {"b", "3/hour", 0, 1}}, LIMITER_OVER, 0, 59},
	{"last over", {{"a", "3/minute", 0, 1}, {"b", "3/hour", 3, 1}}, LIMITER_OVER, 1, 3599},
	{"longest wait in the middle",
	 {{"a", "3/minute", 3, 1}, {"b", "3/hour", 3, 1}, {"c", "3/30s", 3, 1}}, LIMITER_OVER, 1, 3599},
	{"equal waits: the first",
	 {{"z", "9/minute", 0, 1}, {"a", "3/minute", 3, 1}, {"b", "3/minute", 3, 1}}, LIMITER_OVER, 1, 59},
	{"never is longest, first",
	 {{"a", "3/minute", 0, 4}, {"b", "3/day", 3, 1}}, LIMITER_OVER, 0, -1},
	{"never is longest, last",
	 {{"b", "3/day", 3, 1}, {"a", "3/minute", 0, 4}}, LIMITER_OVER, 1, -1},
	{"same key and limit add up",
	 {{"a", "5/minute", 0, 3}, {"a", "5/minute", 0, 2}}, LIMITER_ALLOWED, 0, 0},
	{"same key and limit add up to too much",
	 {{"x", "5/day", 0, 1}, {"a", "5/minute", 1, 3}, {"a", "5/minute", 0, 2}}, LIMITER_OVER, 1, 59},
	{"same key and limit add up to never",
	 {{"a", "5/minute", 0, 3}, {"x", "5/day", 0, 1}, {"a", "5/minute", 0, 3}}, LIMITER_OVER, 0, -1},
	{"sum over 32 bits",
	 {{"a", "5/minute", 0, UINT32_MAX}, {"a", "5/minute", 0, 2}}, LIMITER_OVER, 0, -1},
	{"same key, other limit: apart",
	 {{"a", "5/minute", 3, 2}, {"a", "5/hour", 3, 2}, {"a", "6/minute", 4, 2}}, LIMITER_ALLOWED, 0, 0},
	{"the same limit in other words", {{"a", "5/minute", 3, 1}, {"a", "5/60s", 0, 1}},
	 LIMITER_ALLOWED, 0, 0},
	{"amount 0 always fits", {{"a", "5/minute", 5, 0}, {"b", "5/minute", 0, 0}}, LIMITER_ALLOWED, 0, 0},
	{"empty key", {{"", "5/minute", 4, 1}}, LIMITER_ALLOWED, 0, 0},
};

static void
check_request(size_t i, enum limiter_mode mode)
{
	int64_t now = 1000 * SECOND, wait;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	const char *name = requests[i].name;
	bool charged = requests[i].answer == LIMITER_ALLOWED && mode == LIMITER_CHARGE;
	struct charge charges[4];
	guint n = 0, which;

	for (; n < 4 && requests[i].charges[n].key != NULL; n++) {
		charges[n] = (struct charge){requests[i].charges[n].key, rule(requests[i].charges[n].limit),
					     requests[i].charges[n].before};
		check_int(name, ask(l, &charges[n], 1, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
		charges[n].amount = requests[i].charges[n].amount;
	}
	now += SECOND;
	check_int(name, ask(l, charges, n, mode, &which, &wait), requests[i].answer);
	check_int(name, which, requests[i].which);
	check_int(name, wait < 0 ? wait : wait / SECOND, requests[i].wait_s);
	for (guint k = 0; k < n; k++) {
		uint64_t want = 0;

		for (guint j = 0; j < n; j++)
			if (strcmp(charges[j].key, charges[k].key) == 0 &&
			    memcmp(&charges[j].limit, &charges[k].limit, sizeof charges[j].limit) == 0)
				want += requests[i].charges[j].before + (charged ? charges[j].amount : 0);
		check_int(name, used(l, charges[k].key, requests[i].charges[k].limit), want);
	}
	limiter_memory_free(l);
}

static void
test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(requests); i++) {
		check_request(i, LIMITER_CHARGE);
		check_request(i, LIMITER_LOOK);
	}
}

/* A request of more keys than fit on the stack, each twice. */
static void
test_many_charges(void **state)
{
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	struct charge charges[600];
	guint which;

	(void)state;
	for (guint i = 0; i < 600; i++)
		charges[i] = (struct charge){g_strdup_printf("key %u", i % 300), {10, 60}, 4};
	assert_int_equal(ask(l, charges, 600, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
	charges[0].amount = 0; /* key 0 has room for 0 + 2, all others for 2 of 8 */
	assert_int_equal(ask(l, charges, 600, LIMITER_CHARGE, &which, NULL), LIMITER_OVER);
	assert_int_equal(which, 1);
	assert_int_equal(uses(l), 300);
	for (guint i = 0; i < 600; i++) {
		assert_int_equal(used(l, charges[i].key, "10/minute"), 8);
		g_free((char *)charges[i].key);
	}
	limiter_memory_free(l);
}

/* ---- several limits at once, against the list of what was accepted */

struct accepted {
	int64_t at;
	uint32_t amount;
};

static uint64_t
accepted_between(const GArray *accepted, int64_t from, int64_t to)
{
	uint64_t sum = 0;

	for (guint i = accepted->len; i > 0; i--) {
		const struct accepted *a = &g_array_index(accepted, struct accepted, i - 1);

		if (a->at < from)
			break;
		sum += a->at < to ? a->amount : 0;
	}
	return sum;
}

/* No window with more: each one has no more than the one that ends with its last acceptance. */
static void
check_every_window(const char *name, const GArray *accepted, struct limit limit)
{
	uint64_t sum = 0;

	for (guint i = 0, first = 0; i < accepted->len; i++) {
		const struct accepted *a = &g_array_index(accepted, struct accepted, i);

		for (sum += a->amount; g_array_index(accepted, struct accepted, first).at <=
				       a->at - limit.seconds * SECOND;
		     first++)
			sum -= g_array_index(accepted, struct accepted, first).amount;
		check_true(name, sum <= limit.most);
	}
}

/*
 * Offers of 1 to amount_max, on average gap microseconds apart, against both limits, for seconds.  What
 * is refused is refused because the window of the limit that is named is full, to a 50th and the amount.
 */
static GArray *
offers(const char *const *limits, guint n, int amount_max, int64_t gap, int64_t seconds)
{
	int64_t now = 77 * SECOND, start = now;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	GArray *accepted = g_array_new(FALSE, FALSE, sizeof(struct accepted));
	GRand *rand = g_rand_new_with_seed(42);
	struct charge charges[4];
	guint which, over = 0;

	for (guint i = 0; i < n; i++)
		charges[i] = (struct charge){"pool acme", rule(limits[i]), 0};
	for (; now < start + seconds * SECOND; now += (int64_t)(g_rand_double(rand) * 2 * (double)gap)) {
		struct accepted a = {now - start, (uint32_t)g_rand_int_range(rand, 1, amount_max + 1)};

		for (guint i = 0; i < n; i++)
			charges[i].amount = a.amount;
		if (ask(l, charges, n, LIMITER_CHARGE, &which, NULL) == LIMITER_ALLOWED) {
			g_array_append_val(accepted, a);
			continue;
		}
		over++;
		a.at -= charges[which].limit.seconds * SECOND;
		check_true(limits[which],
			   accepted_between(accepted, a.at + 1, INT64_MAX) + a.amount - 1 +
					   MAX(1, charges[which].limit.most / LIMIT_PARTS) - 1 >=
				   charges[which].limit.most);
	}
	assert_true(over > 0);
	for (guint i = 0; i < n; i++)
		check_every_window(limits[i], accepted, charges[i].limit);
	g_rand_free(rand);
	limiter_memory_free(l);
	return accepted;
}

static void
test_several_limits(void **state)
{
	static const char *const both[] = {"20/second", "100/minute"};
	static const char *const three[] = {"3/second", "40/15s", "155/minute"};

	(void)state;
	for (int amount_max = 1; amount_max <= 10; amount_max += 3)
		for (int64_t gap = 1000; gap <= 300000; gap *= gap < 100000 ? 10 : 3) {
			GArray *accepted = offers(both, 2, amount_max, gap, 300);

			/* Constant overload: each minute from the first has 95, and the first seconds 20. */
			for (int64_t k = 0; amount_max == 1 && gap <= 100000 && k < 4; k++)
				assert_true(accepted_between(accepted, k * 60 * SECOND,
							     (k + 1) * 60 * SECOND) >= 95);
			for (int64_t k = 0; amount_max == 1 && gap <= 10000 && k < 4; k++)
				assert_true(accepted_between(accepted, k * SECOND, (k + 1) * SECOND) >= 19);
			g_array_free(accepted, TRUE);
			if (amount_max > 3)
				continue;
			g_array_free(offers(three, 3, amount_max, gap, 300), TRUE);
		}
}

static void
test_share(void **state)
{
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(4, clock_of, &now);

	(void)state;
	assert_int_equal(ask_one(l, "a", "20/minute", 6), LIMITER_OVER);
	assert_int_equal(ask_one(l, "a", "20/minute", 5), LIMITER_ALLOWED);
	assert_int_equal(ask_one(l, "a", "20/minute", 1), LIMITER_OVER);
	assert_int_equal(use_of(l, "a", "20/minute").most, 5);
	assert_int_equal(use_of(l, "a", "20/minute").wait_us, 60 * SECOND);
	assert_int_equal(ask_one(l, "b", "2/minute", 1), LIMITER_ALLOWED); /* at least 1 */
	assert_int_equal(ask_one(l, "b", "2/minute", 1), LIMITER_OVER);
	limiter_memory_set_share(l, 1); /* what was charged counts on */
	assert_int_equal(ask_one(l, "a", "20/minute", 16), LIMITER_OVER);
	assert_int_equal(ask_one(l, "a", "20/minute", 15), LIMITER_ALLOWED);
	limiter_memory_set_share(l, 2);
	assert_int_equal(ask_one(l, "a", "20/minute", 1), LIMITER_OVER);
	assert_int_equal(use_of(l, "a", "20/minute").used, 20);
	limiter_memory_set_share(l, 0); /* nobody divides by zero */
	assert_int_equal(ask_one(l, "c", "2/minute", 2), LIMITER_ALLOWED);
	limiter_memory_free(l);
}

/* A clock an hour back, a day ahead: mail goes on after at most a window. */
static void
test_clock_jumps(void **state)
{
	int64_t now = 100000 * SECOND;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);

	(void)state;
	assert_int_equal(ask_one(l, "a", "2/minute", 2), LIMITER_ALLOWED);
	now -= 3600 * SECOND;
	assert_int_equal(ask_one(l, "a", "2/minute", 1), LIMITER_OVER);
	now += 60 * SECOND - 1;
	assert_int_equal(ask_one(l, "a", "2/minute", 1), LIMITER_OVER);
	now += 1;
	assert_int_equal(ask_one(l, "a", "2/minute", 2), LIMITER_ALLOWED);
	now += 86400 * SECOND;
	assert_int_equal(ask_one(l, "a", "2/minute", 2), LIMITER_ALLOWED);
	assert_int_equal(ask_one(l, "a", "2/minute", 1), LIMITER_OVER);
	limiter_memory_free(l);
}

/* What must be written down again: charges, not looks and refusals. */
static void
test_changes(void **state)
{
	const struct charge charge = {"a", {1, 60}, 1};
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	const struct limiter *f = limiter_memory_facade(l);
	struct limiter_request request = {.charges = &charge, .n_charges = 1, .mode = LIMITER_LOOK};
	struct limiter_result result;

	(void)state;
	assert_int_equal(f->ask(f->context, &request, &result), LIMITER_ALLOWED);
	assert_int_equal(limiter_memory_changes(l), 0);
	request.mode = LIMITER_CHARGE;
	assert_int_equal(f->ask(f->context, &request, &result), LIMITER_ALLOWED);
	assert_int_equal(limiter_memory_changes(l), 1);
	assert_int_equal(f->ask(f->context, &request, &result), LIMITER_OVER);
	assert_int_equal(limiter_memory_changes(l), 1);
	assert_false(limiter_memory_reset(l, "b"));
	assert_int_equal(limiter_memory_changes(l), 1);
	assert_true(limiter_memory_reset(l, "a"));
	assert_int_equal(limiter_memory_changes(l), 2);
	limiter_memory_free(l);
}

/* The system's clock: not the one that can be set. */
static void
test_system_clock(void **state)
{
	struct limiter_memory *l = limiter_memory_new(1, NULL, NULL);
	struct charge charge = {"a", {1, 60}, 1};
	int64_t wait;

	(void)state;
	assert_int_equal(ask(l, &charge, 1, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
	g_usleep(2000);
	assert_int_equal(ask(l, &charge, 1, LIMITER_CHARGE, NULL, &wait), LIMITER_OVER);
	assert_true(wait > 0 && wait <= 60 * SECOND - 2000);
	limiter_memory_free(l);
}

/* ---- memory is bounded, and given back */

static void
test_dead_entries_go(void **state)
{
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	char key[32];

	(void)state;
	/* A new key each millisecond, each for a second, beside 2,000 that count on. */
	for (int i = 0; i < 2000; i++) {
		g_snprintf(key, sizeof key, "day %d", i);
		assert_int_equal(ask_one(l, key, "1/day", 1), LIMITER_ALLOWED);
	}
	for (int i = 0; i < 50000; i++, now += 1000) {
		g_snprintf(key, sizeof key, "second %d", i);
		assert_int_equal(ask_one(l, key, "1/second", 1), LIMITER_ALLOWED);
		assert_true(limiter_memory_size(l) <= 2 * (2000 + 1000) + 2 * LIMIT_TABLE_SHARDS);
	}
	assert_int_equal(uses(l), 2000 + 999);
	/* Requests for one shard's keys alone sweep that; the others are swept when they are asked. */
	now += 86400 * SECOND;
	for (int i = 0; i < 50000; i++) {
		g_snprintf(key, sizeof key, "key %d", i % 100);
		assert_int_equal(ask_one(l, key, "1000/second", 1), LIMITER_ALLOWED);
	}
	assert_true(limiter_memory_size(l) <= 100 + 2 * LIMIT_TABLE_SHARDS);
	limiter_memory_free(l);
}

static void
test_no_room(void **state)
{
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	struct charge charges[] = {{"0", {9, 60}, 1}, {"x", {9, 60}, 1}, {"y", {9, 60}, 1}};
	char key[8];

	(void)state;
	limiter_memory_set_max(l, 10);
	for (int i = 0; i < 9; i++) {
		g_snprintf(key, sizeof key, "%d", i);
		assert_int_equal(ask_one(l, key, "9/minute", 1), LIMITER_ALLOWED);
	}
	assert_int_equal(ask(l, charges, 3, LIMITER_CHARGE, NULL, NULL), LIMITER_FAILED); /* two are new */
	assert_int_equal(used(l, "0", "9/minute"), 1);
	assert_int_equal(ask(l, charges, 3, LIMITER_LOOK, NULL, NULL), LIMITER_ALLOWED); /* takes no room */
	assert_int_equal(ask(l, charges, 2, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
	assert_int_equal(ask(l, charges, 2, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED); /* none is new */
	assert_int_equal(ask_one(l, "y", "9/minute", 1), LIMITER_FAILED);
	assert_int_equal(ask_one(l, "0", "8/minute", 1), LIMITER_FAILED);
	assert_int_equal(uses(l), 10);
	now += 60 * SECOND; /* all are dead, and no sweep has come by */
	for (int i = 0; i < 100; i++) {
		g_snprintf(key, sizeof key, "n%d", i);
		ask_one(l, key, "9/second", 1);
		now += SECOND;
	}
	assert_true(limiter_memory_size(l) <= 10);
	limiter_memory_set_max(l, 1000);
	assert_int_equal(ask(l, charges, 3, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
	limiter_memory_free(l);
}

/* Full of dead entries of the very keys that are asked for: they are freed and made again. */
static void
test_room_from_own_entries(void **state)
{
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);
	struct charge charges[] = {{"a", {9, 1}, 1}, {"a", {9, 2}, 1}, {"a", {9, 3}, 1}};

	(void)state;
	limiter_memory_set_max(l, 2);
	assert_int_equal(ask(l, charges, 2, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
	now += 5 * SECOND;
	assert_int_equal(ask(l, charges, 3, LIMITER_CHARGE, NULL, NULL), LIMITER_FAILED);
	assert_int_equal(ask(l, charges + 1, 2, LIMITER_CHARGE, NULL, NULL), LIMITER_ALLOWED);
	assert_int_equal(used(l, "a", "9/2s"), 1);
	assert_int_equal(used(l, "a", "9/3s"), 1);
	assert_int_equal(limiter_memory_size(l), 2);
	limiter_memory_free(l);
}

static void
test_reset(void **state)
{
	int64_t now = 0;
	struct limiter_memory *l = limiter_memory_new(1, clock_of, &now);

	(void)state;
	assert_false(limiter_memory_reset(l, "a"));
	ask_one(l, "a", "2/minute", 2);
	ask_one(l, "a", "9/day", 2);
	ask_one(l, "b", "2/minute", 2);
	assert_true(limiter_memory_reset(l, "a"));
	assert_false(limiter_memory_reset(l, "a"));
	assert_int_equal(uses(l), 1);
	assert_int_equal(ask_one(l, "a", "2/minute", 2), LIMITER_ALLOWED);
	assert_int_equal(ask_one(l, "b", "2/minute", 1), LIMITER_OVER);
	now += 60 * SECOND;
	assert_false(limiter_memory_reset(l, "b")); /* there, but counts nothing */
	limiter_memory_free(l);
}

/* ---- the state */

/* What the file has. */
struct counters {
	struct limiter_memory *l;
	struct tally_table *t;
};

static struct counters
counters_new(int64_t *clock)
{
	return (struct counters){limiter_memory_new(1, clock_of, clock), tally_table_new(TALLY_KEYS_MAX)};
}

static void
counters_free(struct counters c)
{
	limiter_memory_free(c.l);
	tally_table_free(c.t);
}

static void
check_tallies(const char *name, struct tally_table *t, const char *want)
{
	char *got = fixture_tallies(t, " ");

	check_string(name, got, want);
	g_free(got);
}

static struct counters
reader(const char *name, int64_t *clock, int64_t wall, const char *text, size_t len, bool want)
{
	struct counters c = counters_new(clock);
	const char *why = NULL;
	bool ok = limiter_memory_read(c.l, c.t, wall, text, len, &why);

	if (ok != want)
		fail_msg("case \"%s\": read %d: %s", name, ok, why != NULL ? why : "(NULL)");
	check_int(name, why != NULL, !want);
	if (!ok) { /* still empty */
		check_int(name, limiter_memory_size(c.l), 0);
		check_tallies(name, c.t, "");
	}
	return c;
}

/* Some charges at several times, odd keys, some tallies. */
static struct counters
filled(int64_t *clock)
{
	struct counters c = counters_new(clock);

	for (int i = 0; i < 30; i++, *clock += SECOND / 2) {
		assert_int_equal(ask_one(c.l, "pool acme", "3/second", 1), LIMITER_ALLOWED);
		assert_int_equal(ask_one(c.l, "pool acme", "1000/day", 7), LIMITER_ALLOWED);
		assert_int_equal(ask_one(c.l, "caf\xc3\xa9 100%/x\r\n\x7f\x01", "99/minute", 2),
				 LIMITER_ALLOWED);
	}
	assert_int_equal(ask_one(c.l, "", "10/hour", 4), LIMITER_ALLOWED);
	tally_table_add(c.t, "pool/ac me/2026112013", "messages", 123456789);
	tally_table_add(c.t, "pool/ac me/2026112013", "100 %", -1);
	tally_table_add(c.t, "", "", 5);
	tally_table_add(c.t, "", "most", INT64_MAX);
	tally_table_add(c.t, "", "least", INT64_MIN);
	return c;
}

static char *
all_uses(struct limiter_memory *l);

static void
test_state_round_trip(void **state)
{
	int64_t clock = 5000 * SECOND, later = 12;
	struct counters c = filled(&clock), again;
	struct buf first = BUF_INIT, second = BUF_INIT;
	char *want, *got;

	(void)state;
	buf_puts(&first, "before");
	limiter_memory_write(c.l, c.t, WALL, &first);
	assert_false(buf_failed(&first));
	again = reader("again", &later, WALL, first.data + 6, first.len - 6, true);
	want = all_uses(c.l);
	got = all_uses(again.l);
	check_string("uses", got, want);
	g_free(got);
	got = fixture_tallies(c.t, " ");
	check_tallies("tallies", again.t, got);
	g_free(want);
	g_free(got);
	assert_int_equal(used(again.l, "pool acme", "3/second"), 1);
	assert_int_equal(used(again.l, "pool acme", "1000/day"), 210);
	assert_int_equal(used(again.l, "caf\xc3\xa9 100%/x\r\n\x7f\x01", "99/minute"), 60);
	assert_int_equal(used(again.l, "", "10/hour"), 4);
	limiter_memory_write(again.l, again.t, WALL, &second); /* written again, not one octet differs */
	assert_int_equal(first.len - 6, second.len);
	assert_memory_equal(first.data + 6, second.data, second.len);
	assert_false(limiter_memory_read(again.l, again.t, WALL, second.data, second.len,
					 &(const char *){NULL}));
	assert_int_equal(used(again.l, "", "10/hour"), 4); /* in use: refused, and nothing is lost */
	counters_free(again);
	again = counters_new(&later);
	tally_table_add(again.t, "a", "n", 1);
	assert_false(limiter_memory_read(again.l, again.t, WALL, second.data, second.len,
					 &(const char *){NULL}));
	check_tallies("statistics in use", again.t, "a|n=1");
	buf_free(&first);
	buf_free(&second);
	counters_free(c);
	counters_free(again);
}

static void
collect_use(const struct limiter_use *use, void *context)
{
	g_ptr_array_add(context, g_strdup_printf("%s|%u/%u|%" PRIu64 "|%" PRId64, use->key,
						 use->limit.most, use->limit.seconds, use->used,
						 use->wait_us));
}

static char *
all_uses(struct limiter_memory *l)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(g_free);

	limiter_memory_each(l, collect_use, all);
	return fixture_joined(all, "\n");
}

/* Read again after some time, with the machine's clock begun anew. */
static void
test_state_ages(void **state)
{
	static const struct {
		const char *name;
		int64_t after_s; /* by the time of day */
		uint64_t minute, day;
	} ages[] = {
		{"at once", 0, 60, 210},
		{"nearly a minute", 55, 18, 210}, /* nine were charged in the last 5 s */
		{"two minutes", 120, 0, 210},
		{"two days", 2 * 86400, 0, 0},
		{"the time of day an hour back: they count from now on", -3600, 60, 210},
	};
	int64_t clock = 5000 * SECOND;
	struct counters c = filled(&clock);
	struct buf out = BUF_INIT;

	(void)state;
	limiter_memory_write(c.l, c.t, WALL, &out);
	for (size_t i = 0; i < G_N_ELEMENTS(ages); i++) {
		int64_t later = 3 * SECOND;
		struct counters again = reader(ages[i].name, &later, WALL + ages[i].after_s * SECOND,
					       out.data, out.len, true);

		check_int(ages[i].name, used(again.l, "caf\xc3\xa9 100%/x\r\n\x7f\x01", "99/minute"),
			  ages[i].minute);
		check_int(ages[i].name, used(again.l, "pool acme", "1000/day"), ages[i].day);
		later += 60 * SECOND; /* never longer than a window */
		check_int(ages[i].name, used(again.l, "caf\xc3\xa9 100%/x\r\n\x7f\x01", "99/minute"), 0);
		counters_free(again);
	}
	buf_free(&out);
	counters_free(c);
}

static void
test_state_damaged(void **state)
{
	int64_t clock = 5000 * SECOND;
	struct counters c = filled(&clock);
	struct buf out = BUF_INIT;
	char *text;

	(void)state;
	limiter_memory_write(c.l, c.t, WALL, &out);
	for (size_t len = 0; len < out.len; len++) {
		text = g_memdup2(out.data, len); /* no octet to spare: a read beyond is seen by ASan */
		counters_free(reader("cut", &clock, WALL, len > 0 ? text : "", len, false));
		g_free(text);
	}
	text = g_strdup(out.data);
	for (size_t i = 0; i < out.len; i++) {
		text[i] ^= (char)(1 << i % 8);
		counters_free(reader("a bit turned", &clock, WALL, text, out.len, false));
		text[i] = out.data[i];
	}
	counters_free(reader("whole", &clock, WALL, text, out.len, true));
	g_free(text);
	buf_puts(&out, "\n");
	counters_free(reader("something after it", &clock, WALL, out.data, out.len, false));
	buf_free(&out);
	counters_free(c);
}

/* Lines with a right checksum; the clock stands at 1000 s, the time of day too. */
static const struct {
	const char *name, *lines;
	bool ok;
} crafted[] = {
	{"nothing", "", true},
	{"a charge", "charge 5 60 a 1000000000 5\n", true},
	{"two keys", "charge 5 60 a 1000000000 5\ncharge 5 60 b 1000000000 5\n", true},
	{"a key with two limits", "charge 5 60 a 1000000000 5\ncharge 6 60 a 1000000000 5\n", true},
	{"a key twice", "charge 5 60 a 1000000000 1\ncharge 5 60 a 1000000000 1\n", false},
	{"a charge of the future", "charge 5 60 a 2000000000 5\n", true},
	{"a charge of long ago", "charge 5 60 a 1 5\n", true},
	{"before 1970", "charge 5 60 a -1 5\n", true},
	{"empty key", "charge 5 60  1000000000 5\n", true},
	{"escaped key", "charge 5 60 %20%0a 1000000000 5\n", true},
	{"more than the limit", "charge 5 60 a 1000000000 6\n", false},
	{"more than the limit in two", "charge 5 60 a 1000000000 3 1000000001 3\n", false},
	{"the same time twice", "charge 5 60 a 1000000000 3 1000000000 2\n", true},
	{"not in order", "charge 5 60 a 1000000001 1 1000000000 1\n", false},
	{"no bucket", "charge 5 60 a\n", false},
	{"half a bucket", "charge 5 60 a 1000000000\n", false},
	{"half a second bucket", "charge 5 60 a 1000000000 1 1000000000\n", false},
	{"count 0", "charge 5 60 a 1000000000 0\n", false},
	{"negative count", "charge 5 60 a 1000000000 -1\n", false},
	{"limit 0", "charge 0 60 a 1000000000 1\n", false},
	{"window 0", "charge 5 0 a 1000000000 1\n", false},
	{"limit too large", "charge 1000000001 60 a 1000000000 1\n", false},
	{"window too long", "charge 5 2678401 a 1000000000 1\n", false},
	{"time too large", "charge 5 60 a 9223372036854775807 1\n", false},
	{"time too small", "charge 5 60 a -9223372036854775808 1\n", false},
	{"time out of range", "charge 5 60 a 99999999999999999999 1\n", false},
	{"number too long", "charge 5 60 a 000000000000000000000000000001 1\n", false},
	{"not a number", "charge 5 60 a 1000000000x 1\n", false},
	{"minus alone", "charge 5 60 a - 1\n", false},
	{"plus", "charge 5 60 a +1 1\n", false},
	{"two blanks", "charge 5 60 a  1000000000 1\n", false},
	{"trailing blank", "charge 5 60 a 1000000000 1 \n", false},
	{"CR", "charge 5 60 a 1000000000 1\r\n", false},
	{"octet of 8 bits in a key", "charge 5 60 \xc3 1000000000 1\n", false},
	{"NUL in a key", "charge 5 60 %00 1000000000 1\n", false},
	{"cut escape", "charge 5 60 %2 1000000000 1\n", false},
	{"wrong escape", "charge 5 60 %2g 1000000000 1\n", false},
	{"a tally", "tally a b 1\n", true},
	{"empty tally", "tally   1\n", true},
	{"negative tally", "tally a b -9223372036854775808\n", true},
	{"tally out of range", "tally a b 9223372036854775808\n", false},
	{"tally without value", "tally a b\n", false},
	{"tally with two", "tally a b 1 2\n", false},
	{"good lines and a bad one", "charge 5 60 a 1000000000 1\ntally a b 1\ncharge\n", false},
	{"word alone", "charge\n", false},
	{"unknown word", "window 5 60 a 1000000000 1\n", false},
	{"empty line", "\n", false},
	{"blank line", " \n", false},
	{"another version line", "poolmilter-limits 1\n", false},
};

static char *
with_checksum(const char *lines)
{
	GString *text = g_string_new("poolmilter-limits 1\n");
	unsigned char sum[32];

	g_string_append(text, lines);
	assert_int_equal(EVP_Digest(text->str, text->len, sum, NULL, EVP_sha256(), NULL), 1);
	g_string_append(text, "sha256 ");
	for (size_t i = 0; i < sizeof sum; i++)
		g_string_append_printf(text, "%02x", sum[i]);
	g_string_append_c(text, '\n');
	return g_string_free(text, FALSE);
}

/* The first charge still counts when the second, of the future, is taken as made now. */
static void
check_future_charge(void)
{
	int64_t clock = 1000 * SECOND;
	char *text = with_checksum("charge 5 60 a 990000000 3 2000000000 2\n");
	struct counters c = reader("future", &clock, clock, text, strlen(text), true);

	check_int("future", used(c.l, "a", "5/minute"), 5);
	clock += 50 * SECOND;
	check_int("future", used(c.l, "a", "5/minute"), 2);
	clock += 10 * SECOND;
	check_int("future", used(c.l, "a", "5/minute"), 0);
	counters_free(c);
	g_free(text);
}

static void
test_state_crafted(void **state)
{
	GString *many = g_string_new("charge 1000 60 a");
	int64_t clock = 1000 * SECOND;
	char *text;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(crafted); i++) {
		text = with_checksum(crafted[i].lines);
		counters_free(reader(crafted[i].name, &clock, clock, text, strlen(text), crafted[i].ok));
		g_free(text);
	}
	for (int i = 0; i <= LIMIT_BUCKETS_MAX; i++)
		g_string_append_printf(many, " %d 1", 1000000000 + i);
	g_string_append_c(many, '\n');
	check_future_charge();
	text = with_checksum(many->str);
	counters_free(reader("too many buckets", &clock, clock, text, strlen(text), false));
	text[strlen("poolmilter-limits ")] = '2';
	counters_free(reader("version 2", &clock, clock, text, strlen(text), false));
	g_free(text);
	g_string_free(many, TRUE);
}

/* ---- threads */

#define THREADS 16
#define FASTER 20 /* a second of the limiter's is 50 ms */

static _Thread_local int64_t seen; /* the time that the limiter saw last in this thread */

static int64_t
fast_clock(void *context)
{
	(void)context;
	seen = g_get_monotonic_time() * FASTER;
	return seen;
}

struct hammer {
	struct limiter_memory *l;
	struct tally_table *t;
	pthread_t thread;
	guint number;
	int64_t until;
	GArray *accepted[2]; /* of struct accepted: under "tight", under "loose" */
	uint64_t total;	     /* under "day" */
};

/* Charges to two or three keys, in this or that order, now and then with reports and a reset beside. */
static void *
hammer(void *context)
{
	struct hammer *h = context;
	GRand *rand = g_rand_new_with_seed(h->number);

	while (g_get_monotonic_time() < h->until) {
		uint32_t amount = (uint32_t)g_rand_int_range(rand, 1, 4);
		char *own = g_strdup_printf("own %d", g_rand_int_range(rand, 0, 500));
		guint which = (guint)g_rand_int_range(rand, 0, 2);
		struct charge charges[] = {
			{which == 0 ? "tight" : "loose", which == 0 ? rule("100/second") : rule("3000/3s"), amount},
			{own, rule("1000/second"), 1},
			{"day", rule("1000000000/day"), amount},
		};
		enum limiter_answer answer;

		if (g_rand_boolean(rand)) {
			struct charge first = charges[0];

			charges[0] = charges[2];
			charges[2] = first;
		}
		answer = ask(h->l, charges, 3, false, NULL, NULL);
		if (answer == LIMITER_ALLOWED) {
			struct accepted a = {seen, amount};

			g_array_append_val(h->accepted[which], a);
			h->total += amount;
		}
		if (g_rand_int_range(rand, 0, 500) == 0) {
			struct buf out = BUF_INIT;

			tally_table_add(h->t, own, "messages", 1);
			limiter_memory_write(h->l, h->t, WALL, &out);
			assert_false(buf_failed(&out));
			buf_free(&out);
			uses(h->l);
			limiter_memory_reset(h->l, own);
		}
		g_free(own);
	}
	g_rand_free(rand);
	return NULL;
}

static gint
by_time(gconstpointer a, gconstpointer b)
{
	int64_t x = ((const struct accepted *)a)->at, y = ((const struct accepted *)b)->at;

	return x < y ? -1 : x > y;
}

static GArray *
merged(struct hammer *hammers, int which)
{
	GArray *all = g_array_new(FALSE, FALSE, sizeof(struct accepted));

	for (int i = 0; i < THREADS; i++)
		g_array_append_vals(all, hammers[i].accepted[which]->data, hammers[i].accepted[which]->len);
	g_array_sort(all, by_time);
	return all;
}

static void
test_threads(void **state)
{
	static const char *const limits[] = {"100/second", "3000/3s"};
	struct limiter_memory *l = limiter_memory_new(1, fast_clock, NULL);
	struct tally_table *t = tally_table_new(TALLY_KEYS_MAX);
	struct hammer hammers[THREADS] = {0};
	int64_t start = g_get_monotonic_time();
	uint64_t total = 0;

	(void)state;
	for (guint i = 0; i < THREADS; i++) {
		hammers[i] = (struct hammer){.l = l, .t = t, .number = i, .until = start + SECOND};
		for (int k = 0; k < 2; k++)
			hammers[i].accepted[k] = g_array_new(FALSE, FALSE, sizeof(struct accepted));
		assert_int_equal(pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(hammers[i].thread, NULL);
		total += hammers[i].total;
	}
	for (int k = 0; k < 2; k++) {
		GArray *all = merged(hammers, k);

		check_every_window(limits[k], all, rule(limits[k]));
		/* 20 seconds passed: it was used several times over, even on a slow machine. */
		check_true(limits[k], accepted_between(all, 0, INT64_MAX) >=
					      (uint64_t)rule(limits[k]).most * 2);
		g_array_free(all, TRUE);
		for (int i = 0; i < THREADS; i++)
			g_array_free(hammers[i].accepted[k], TRUE);
	}
	assert_int_equal(used(l, "day", "1000000000/day"), total); /* all or none */
	limiter_memory_free(l);
	tally_table_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_many_charges),
		cmocka_unit_test(test_several_limits),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_clock_jumps),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_system_clock),
		cmocka_unit_test(test_dead_entries_go),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_room_from_own_entries),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_state_round_trip),
		cmocka_unit_test(test_state_ages),
		cmocka_unit_test(test_state_damaged),
		cmocka_unit_test(test_state_crafted),
		cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
