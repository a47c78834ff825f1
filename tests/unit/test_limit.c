/*
 * test_limit - the rule of a limit, and its window against a list of all that was accepted.
 *
 * Time is simulated.  Two promises are checked at every step, whatever the offers: never more than the
 * limit in any window, and whenever something is refused, the window that ends there is full but for a
 * 50th and the part of the refused amount that would have fitted.
 */
#include "fixture.h"

#include "core/limit.h"

#include <math.h>
#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)

static const struct {
	const char *name, *text;
	uint32_t most, seconds; /* 0: refused */
	const char *normal;
} rules[] = {
	{"second", "20/second", 20, 1, "20/second"},
	{"minute", "1/minute", 1, 60, "1/minute"},
	{"hour", "5000/hour", 5000, 3600, "5000/hour"},
	{"day", "50000/day", 50000, 86400, "50000/day"},
	{"30 seconds", "7/30s", 7, 30, "7/30s"},
	{"15 minutes", "7/15m", 7, 900, "7/15m"},
	{"2 hours", "7/2h", 7, 7200, "7/2h"},
	{"1 day", "7/1d", 7, 86400, "7/day"},
	{"60 seconds are a minute", "7/60s", 7, 60, "7/minute"},
	{"60 minutes are an hour", "7/60m", 7, 3600, "7/hour"},
	{"90 seconds", "7/90s", 7, 90, "7/90s"},
	{"90 minutes", "7/5400s", 7, 5400, "7/90m"},
	{"1 second", "7/1s", 7, 1, "7/second"},
	{"largest", "1000000000/31d", 1000000000, 31 * 86400, "1000000000/31d"},
	{"largest in seconds", "1/2678400s", 1, 2678400, "1/31d"},
	{"over the most", "1000000001/day", 0, 0, NULL},
	{"far over the most", "99999999999999999999999/day", 0, 0, NULL},
	{"2^32 + 1", "4294967297/day", 0, 0, NULL},
	{"over the longest", "1/32d", 0, 0, NULL},
	{"over the longest in hours", "1/745h", 0, 0, NULL},
	{"over the longest in seconds", "1/2678401s", 0, 0, NULL},
	{"hours whose seconds overflow", "1/1193047h", 0, 0, NULL},
	{"zero", "0/second", 0, 0, NULL},
	{"zero window", "1/0s", 0, 0, NULL},
	{"negative", "-1/second", 0, 0, NULL},
	{"plus", "+1/second", 0, 0, NULL},
	{"leading zero", "01/second", 0, 0, NULL},
	{"leading zero of the window", "1/01s", 0, 0, NULL},
	{"leading blank", " 1/second", 0, 0, NULL},
	{"trailing blank", "1/second ", 0, 0, NULL},
	{"blanks inside", "1 / second", 0, 0, NULL},
	{"plural", "1/seconds", 0, 0, NULL},
	{"upper case", "1/Second", 0, 0, NULL},
	{"upper case unit", "1/30S", 0, 0, NULL},
	{"unit alone", "1/s", 0, 0, NULL},
	{"number with a word", "1/2second", 0, 0, NULL},
	{"no unit", "1/30", 0, 0, NULL},
	{"unknown unit", "1/30w", 0, 0, NULL},
	{"two units", "1/30sm", 0, 0, NULL},
	{"no window", "1/", 0, 0, NULL},
	{"no slash", "1", 0, 0, NULL},
	{"two slashes", "1//second", 0, 0, NULL},
	{"no number", "/second", 0, 0, NULL},
	{"fraction", "1.5/second", 0, 0, NULL},
	{"hexadecimal", "0x10/second", 0, 0, NULL},
	{"empty", "", 0, 0, NULL},
};

static void
test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
		struct limit l = {77, 88};
		bool ok = limit_parse(rules[i].text, &l);
		char *text;

		check_int(rules[i].name, ok, rules[i].most != 0);
		check_int(rules[i].name, l.most, ok ? rules[i].most : 77);
		check_int(rules[i].name, l.seconds, ok ? rules[i].seconds : 88);
		if (!ok)
			continue;
		text = limit_text(l);
		check_string(rules[i].name, text, rules[i].normal);
		check_true(rules[i].name, limit_parse(text, &l));
		check_int(rules[i].name, l.most, rules[i].most);
		check_int(rules[i].name, l.seconds, rules[i].seconds);
		g_free(text);
	}
}

/* Steps of one window: at a time, this amount has to wait so long; it is charged if it need not. */
#define CHARGED 0
#define NEVER (-1)

struct step {
	int64_t at_ms;
	uint64_t amount;
	int64_t wait_ms;
	uint64_t used; /* afterwards */
};

static const struct {
	const char *name, *limit;
	struct step steps[12]; /* the last has amount 0 */
} courses[] = {
	{"one a second", "1/second",
	 {{0, 1, CHARGED, 1}, {0, 1, 1000, 1}, {999, 1, 1, 1}, {1000, 1, CHARGED, 1},
	  {1001, 1, 999, 1}, {5000, 1, CHARGED, 1}}},
	{"each counts for itself", "3/second",
	 {{0, 1, CHARGED, 1}, {400, 1, CHARGED, 2}, {900, 1, CHARGED, 3}, {950, 1, 50, 3},
	  {950, 2, 450, 3}, {950, 3, 950, 3}, {1000, 1, CHARGED, 3}, {1399, 1, 1, 3},
	  {1400, 1, CHARGED, 3}, {1899, 1, 1, 3}, {3000, 3, CHARGED, 3}}},
	{"more than the limit never fits", "10/minute",
	 {{0, 11, NEVER, 0}, {0, 10, CHARGED, 10}, {0, 11, NEVER, 10}, {60000, 11, NEVER, 0},
	  {60000, 10, CHARGED, 10}}},
	{"a large amount waits for several", "10/10s",
	 {{0, 4, CHARGED, 4}, {2000, 4, CHARGED, 8}, {3000, 3, 7000, 8}, {3000, 7, 9000, 8},
	  {3000, 2, CHARGED, 10}, {10000, 4, CHARGED, 10}, {12000, 5, 1000, 6}, {12000, 4, CHARGED, 10}}},
	{"buckets of two: the last in it decides", "100/second",
	 {{0, 1, CHARGED, 1}, {100, 1, CHARGED, 2}, {200, 97, CHARGED, 99}, {300, 2, 800, 99},
	  {1000, 2, 100, 99}, {1099, 2, 1, 99}, {1100, 2, CHARGED, 99}}},
	{"not used for long", "2/second",
	 {{0, 2, CHARGED, 2}, {90000000, 2, CHARGED, 2}, {90000000, 1, 1000, 2}}},
	{"clock goes back: counts from then on anew", "2/second",
	 {{5000, 1, CHARGED, 1}, {5500, 1, CHARGED, 2}, {1000, 1, 1000, 2}, {1999, 1, 1, 2},
	  {2000, 1, CHARGED, 1}, {2500, 1, CHARGED, 2}}},
	{"clock goes back a little", "2/second",
	 {{5000, 1, CHARGED, 1}, {5500, 1, CHARGED, 2}, {5200, 1, 800, 2}, {5999, 1, 1, 2},
	  {6000, 1, CHARGED, 2}, {6199, 1, 1, 2}, {6200, 1, CHARGED, 2}}},
	{"clock goes back again and again: one window after the last time", "1/second",
	 {{9000, 1, CHARGED, 1}, {8000, 1, 1000, 1}, {7000, 1, 1000, 1}, {6000, 1, 1000, 1},
	  {7000, 1, CHARGED, 1}}},
	{"clock before its beginning", "1/second",
	 {{-5000, 1, CHARGED, 1}, {-4500, 1, 500, 1}, {-4000, 1, CHARGED, 1}, {0, 1, CHARGED, 1}}},
};

static void
test_courses(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(courses); i++) {
		struct limit_window w = {0};
		struct limit limit;

		check_true(courses[i].name, limit_parse(courses[i].limit, &limit));
		for (const struct step *s = courses[i].steps; s->amount != 0; s++) {
			int64_t now = s->at_ms * 1000, wait;
			char *name = g_strdup_printf("%s, step %d", courses[i].name,
						     (int)(s - courses[i].steps));

			wait = limit_window_wait(&w, limit, s->amount, now);
			check_int(name, wait < 0 ? wait : wait / 1000, s->wait_ms);
			if (wait == 0)
				limit_window_charge(&w, limit, s->amount, now);
			check_int(name, limit_window_used(&w, limit, now), s->used);
			g_free(name);
		}
		limit_window_clear(&w);
	}
}

/* ---- the list of all that was accepted: what the window has to agree with */

struct accepted {
	int64_t at;
	uint64_t amount;
};

struct model {
	struct limit limit;
	struct limit_window w;
	GArray *accepted; /* of struct accepted */
	guint first;	  /* of them that lies in the window that was asked for last */
	uint64_t sum;	  /* from that on */
	guint refused;
};

static void
model_init(struct model *m, const char *limit)
{
	memset(m, 0, sizeof *m);
	check_true(limit, limit_parse(limit, &m->limit));
	m->accepted = g_array_new(FALSE, FALSE, sizeof(struct accepted));
}

static void
model_clear(struct model *m)
{
	limit_window_clear(&m->w);
	g_array_free(m->accepted, TRUE);
}

/* What was accepted from after (at - a window) to at, in real time, which does not go back. */
static uint64_t
accepted_until(struct model *m, int64_t at)
{
	for (; m->first < m->accepted->len; m->first++) {
		const struct accepted *a = &g_array_index(m->accepted, struct accepted, m->first);

		if (a->at > at - m->limit.seconds * SECOND)
			break;
		m->sum -= a->amount;
	}
	return m->sum;
}

static uint64_t
accepted_between(const struct model *m, int64_t from, int64_t to)
{
	uint64_t sum = 0;

	for (guint i = 0; i < m->accepted->len; i++) {
		const struct accepted *a = &g_array_index(m->accepted, struct accepted, i);

		sum += a->at >= from && a->at < to ? a->amount : 0;
	}
	return sum;
}

/* The wait is the shortest: a microsecond earlier the amount would not fit. */
static void
check_wait(const char *name, const struct model *m, uint64_t amount, int64_t now, int64_t wait)
{
	struct limit_window copy = m->w;

	copy.buckets = g_memdup2(m->w.buckets, copy.room * sizeof *copy.buckets);
	check_true(name, wait <= m->limit.seconds * SECOND);
	check_int(name, limit_window_wait(&copy, m->limit, amount, now + wait - 1), 1);
	check_int(name, limit_window_wait(&copy, m->limit, amount, now + wait), 0);
	g_free(copy.buckets);
}

/* Offers an amount: at real time at, when the clock says now. */
static bool
offer(const char *name, struct model *m, uint64_t amount, int64_t at, int64_t now)
{
	struct accepted a = {at, amount};
	int64_t wait = limit_window_wait(&m->w, m->limit, amount, now);

	if (wait != 0) {
		m->refused++;
		if (wait > 0 && m->refused % 64 == 0)
			check_wait(name, m, amount, now, wait);
		return false;
	}
	limit_window_charge(&m->w, m->limit, amount, now);
	g_array_append_val(m->accepted, a);
	m->sum += amount;
	check_true(name, accepted_until(m, at) <= m->limit.most);
	check_true(name, m->w.n <= LIMIT_BUCKETS_MAX);
	return true;
}

/* The same when the clock is right: what is refused is refused because the window is full. */
static void
offer_right(const char *name, struct model *m, uint64_t amount, int64_t at)
{
	uint64_t part = MAX(1, m->limit.most / LIMIT_PARTS);

	if (offer(name, m, amount, at, at) || amount > m->limit.most)
		return;
	check_true(name, accepted_until(m, at) + (amount - 1) + (part - 1) >= m->limit.most);
}

static const char *const limits[] = {"1/second", "2/second",   "20/second", "99/second", "100/second",
				     "149/30s",	 "100/minute", "1000/15m",  "7777/2h",	 "50000/day"};

/* Offers of 1 to 10 at random times: in bursts, at a steady pace, and with pauses up to the window. */
static void
test_random_offers(void **state)
{
	GRand *rand = g_rand_new_with_seed(20261120);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++)
		for (int32_t amount_max = 1; amount_max <= 10; amount_max += 3) {
			struct model m;
			int64_t at = 0, pace;

			model_init(&m, limits[i]);
			pace = m.limit.seconds * SECOND / m.limit.most;
			for (uint32_t k = 0; k < 5000 + 4 * m.limit.most; k++) {
				int what = g_rand_int_range(rand, 0, 1000);

				if (g_rand_int_range(rand, 0, 100 + (int)m.limit.most) == 0)
					at += (int64_t)(g_rand_double(rand) * m.limit.seconds * SECOND);
				else if (what < 300)
					at += (int64_t)(g_rand_double(rand) * (double)(2 * pace));
				else if (what < 600)
					at += g_rand_int_range(rand, 0, 3);
				offer_right(limits[i], &m,
					    (uint64_t)g_rand_int_range(rand, 1, amount_max + 1), at);
			}
			check_true(limits[i], m.accepted->len > 0 && m.refused > 0);
			model_clear(&m);
		}
	g_rand_free(rand);
}

/* Ten times the limit in bursts that lie across the edges of windows, before and after them. */
static void
test_bursts_across_edges(void **state)
{
	static const int64_t offsets_ms[] = {-500, -20, -1, 0, 1, 20, 500};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
		struct model m;

		model_init(&m, limits[i]);
		if (m.limit.most > 1000) {
			model_clear(&m);
			continue;
		}
		for (int64_t edge = 1; edge <= 12; edge++)
			for (size_t o = 0; o < G_N_ELEMENTS(offsets_ms); o++)
				for (uint32_t k = 0; k < 10 * m.limit.most; k++)
					offer_right(limits[i], &m, 1,
						    (edge * m.limit.seconds * 1000 + offsets_ms[o]) * 1000 +
							    k / 100);
		check_true(limits[i], accepted_between(&m, 0, INT64_MAX) >= 10 * m.limit.most);
		model_clear(&m);
	}
}

/*
 * Constant overload from t0 on: each of 25 windows [t0 + k W, t0 + (k + 1) W) has at least 95 % of the
 * limit, whether the offers are a little or twenty times more than that.  (For less than 20 in a window
 * 95 % is all of them; then an offer may fall just behind an edge, hence one less.)
 */
static void
test_constant_overload(void **state)
{
	static const double overloads[] = {1.06, 1.2, 1.5, 2, 3, 7, 20};
	static const uint32_t mosts[] = {1, 2, 10, 20, 33, 50, 99, 100, 149, 151, 1000, 3333};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(mosts); i++)
		for (size_t o = 0; o < G_N_ELEMENTS(overloads); o++) {
			char *limit = g_strdup_printf("%u/second", mosts[i]);
			double gap = SECOND / (mosts[i] * overloads[o]);
			uint64_t want = mosts[i] - MAX(1, mosts[i] / 20);
			struct model m;

			model_init(&m, limit);
			for (uint32_t k = 0; k * gap < 26 * SECOND; k++)
				offer_right(limit, &m, 1, (int64_t)(k * gap));
			for (int64_t k = 0; k < 25; k++)
				check_true(limit, accepted_between(&m, k * SECOND, (k + 1) * SECOND) >=
							  want);
			check_true(limit, m.refused > 0);
			/* And in the long run 95 % of what 25 windows may have, to the last one. */
			check_true(limit, accepted_between(&m, 0, 25 * SECOND) * 20 + 19 >=
						  (uint64_t)25 * 19 * mosts[i] ||
						  mosts[i] < 20);
			model_clear(&m);
			g_free(limit);
		}
}

/* A clock that is set back now and then, by a millisecond to a day: never too much, and it goes on. */
static void
test_clock_set_back(void **state)
{
	GRand *rand = g_rand_new_with_seed(5);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
		int64_t at = 0, back = 0, quiet = 0, window;
		struct model m;

		model_init(&m, limits[i]);
		window = m.limit.seconds * SECOND;
		for (uint32_t k = 0; k < 5000 + 6 * m.limit.most; k++) {
			at += (int64_t)(g_rand_double(rand) * (double)(window / m.limit.most));
			if (g_rand_int_range(rand, 0, 200 + 3 * (int)m.limit.most) == 0) {
				back += (int64_t)(SECOND / 1000 * pow(10, g_rand_double_range(rand, 0, 8)));
				quiet = at + window;
			}
			/* A window after the last time, a full window's wait is the most. */
			if (!offer(limits[i], &m, 1, at, at - back) && at >= quiet)
				check_true(limits[i], accepted_until(&m, at) +
								      m.limit.most / LIMIT_PARTS >=
							      m.limit.most);
		}
		check_true(limits[i], back > 0 && m.refused > 0);
		model_clear(&m);
	}
	g_rand_free(rand);
}

/* Buckets are few: of one time, and of a 50th of the limit together, one. */
static void
test_buckets(void **state)
{
	struct limit limit = {1000, 1};
	struct limit_window w = {0};

	(void)state;
	for (int k = 0; k < 500; k++)
		limit_window_charge(&w, limit, 1, 100);
	assert_int_equal(w.n, 1);
	limit_window_charge(&w, limit, 0, 101);
	assert_int_equal(w.n, 1);
	assert_int_equal(w.buckets[0].last, 100);
	for (int k = 0; k < 20; k++)
		limit_window_charge(&w, limit, 1, 101 + k);
	assert_int_equal(w.n, 2);
	limit_window_charge(&w, limit, 19, 200);
	limit_window_charge(&w, limit, 1, 201);
	limit_window_charge(&w, limit, 1, 202);
	assert_int_equal(w.n, 4);
	assert_int_equal(limit_window_used(&w, limit, 202), 500 + 20 + 20 + 1);
	limit_window_clear(&w);
}

/* Another limit on the same window, as when the share changes: neither old nor new is broken by it. */
static void
test_limit_changes(void **state)
{
	struct limit whole = {1000, 1}, quarter = {250, 1};
	struct limit_window w = {0};
	int64_t now = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct limit limit = round % 2 == 0 ? quarter : whole;

		for (int k = 0; k < 300; k++, now += 1000) {
			uint64_t used = limit_window_used(&w, limit, now);

			if (limit_window_wait(&w, limit, 1, now) != 0) {
				assert_true(used + 1 > limit.most);
				continue;
			}
			assert_true(used + 1 <= limit.most);
			limit_window_charge(&w, limit, 1, now);
			assert_int_equal(limit_window_used(&w, limit, now), used + 1);
			assert_true(w.n <= LIMIT_BUCKETS_MAX);
		}
	}
	/* Charged without asking, far over the limit: bounded too, and nothing fits until it is over. */
	for (int k = 0; k < 5000; k++, now += 100)
		limit_window_charge(&w, quarter, 7, now);
	assert_true(w.n <= LIMIT_BUCKETS_MAX);
	assert_true(limit_window_used(&w, quarter, now) >= 5000 * 7);
	assert_true(limit_window_wait(&w, quarter, 1, now) > 0);
	assert_int_equal(limit_window_wait(&w, quarter, 0, now), 0);
	assert_int_equal(limit_window_used(&w, quarter, now + SECOND), 0);
	limit_window_clear(&w);
	assert_int_equal(limit_window_used(&w, quarter, now), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_courses),
		cmocka_unit_test(test_random_offers),
		cmocka_unit_test(test_bursts_across_edges),
		cmocka_unit_test(test_constant_overload),
		cmocka_unit_test(test_clock_set_back),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_limit_changes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
