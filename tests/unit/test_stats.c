/*
 * test_stats - what a message counts as, under which keys; many threads; summary lines.
 */
#include "fixture.h"

#include "core/plan.h"
#include "core/stats.h"

#include <pthread.h>
#include <string.h>

#define NOON ((time_t)1795262400) /* 2026-11-21 12:00:00 UTC */

#define SETTINGS                                                                                  \
	"isps = ({ name = \"big\"; domains = [ \"big.example\" ]; },"                              \
	"        { name = \"net\"; domains = [ \"net.example\" ]; });"                             \
	"pools = (" POOL("acme", "acme.example", "") "," POOL("beta", "beta.example", "") ");"

static struct settings *settings;
static struct message *message;
static struct tally_table *hours;
static struct stats *stats;

static int
setup(void **state)
{
	(void)state;
	settings = fixture_settings(SETTINGS);
	message = fixture_message("From: a@acme.example\n\n12345", "a@acme.example", NULL);
	message->size = 1000;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	message_free(message);
	settings_unref(settings);
	return 0;
}

static int
begin(void **state)
{
	(void)state;
	hours = tally_table_new(TALLY_KEYS_MAX);
	stats = stats_new(hours);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	stats_free(stats);
	tally_table_free(hours);
	return 0;
}

static const struct pool *
pool(const char *name)
{
	for (guint i = 0; i < settings->pools->len; i++)
		if (strcmp(((struct pool *)settings->pools->pdata[i])->name, name) == 0)
			return settings->pools->pdata[i];
	return NULL;
}

static struct isp *
isp(const char *name)
{
	for (guint i = 0; i < settings->isps->len; i++)
		if (strcmp(((struct isp *)settings->isps->pdata[i])->name, name) == 0)
			return settings->isps->pdata[i];
	fail_msg("no record %s", name);
	return NULL;
}

/* "big big net": a recipient of each. */
static GPtrArray *
isps(const char *names)
{
	GPtrArray *list = g_ptr_array_new();
	char **name = g_strsplit(names, " ", 0);

	for (guint i = 0; name[i] != NULL && *name[i] != '\0'; i++)
		g_ptr_array_add(list, isp(name[i]));
	g_strfreev(name);
	return list;
}

/* What a message came to. NULL and 0 where it did not come to that. */
struct outcome {
	enum verdict verdict;
	const char *reason, *detail;
	const char *pool, *isps; /* of the recipients that it is for */
	const char *gone;	 /* ISPs of those that a copy has taken */
	enum limit_state limit;
	const char *over; /* the limit's name */
	bool local;
	const char *encoded, *dkim;
};

static struct plan *
plan_of(const struct outcome *o)
{
	struct plan *p = plan_new(message);

	p->verdict = o->verdict;
	p->reason = o->reason;
	p->detail = g_strdup(o->detail);
	p->pool = o->pool != NULL ? pool(o->pool) : NULL;
	p->limit = o->limit;
	p->limit_local = o->local;
	p->over.name = g_strdup(o->over);
	p->encoded = o->encoded != NULL ? g_string_new(o->encoded) : NULL;
	p->dkim = o->dkim != NULL ? g_string_new(o->dkim) : NULL;
	if (o->isps == NULL)
		return p;
	p->rcpt_isps = isps(o->isps);
	p->own_rcpts = g_ptr_array_new();
	for (guint i = 0; i < p->rcpt_isps->len; i++)
		g_ptr_array_add(p->own_rcpts, (char *)"u@x.example");
	p->rcpts = p->own_rcpts;
	p->all_isps = isps(o->isps);
	if (o->gone != NULL) {
		GPtrArray *gone = isps(o->gone);

		g_ptr_array_extend(p->all_isps, gone, NULL, NULL);
		g_ptr_array_unref(gone);
	}
	return p;
}

#define H "/2026112112|"

static const struct {
	const char *name;
	struct outcome outcome;
	const char *want;
} verdicts[] = {
	{"accepted",
	 {.pool = "acme", .isps = "big", .limit = LIMIT_OK, .dkim = "d/s/a"},
	 "p/acme" H "messages=1\np/acme" H "octets=1000\np/acme" H "recipients=1\np/acme" H
	 "signatures=1\npi/acme/big" H "messages=1\npi/acme/big" H "octets=1000\npi/acme/big" H
	 "recipients=1\npi/acme/big" H "signatures=1"},
	{"two ISPs, three recipients, two signatures, encoded",
	 {.pool = "acme", .isps = "big net big", .encoded = "html:base64", .dkim = "d/s/a,e/s/a"},
	 "p/acme" H "encoded=1\np/acme" H "messages=1\np/acme" H "octets=1000\np/acme" H
	 "recipients=3\np/acme" H "signatures=2\npi/acme/big" H "encoded=1\npi/acme/big" H
	 "messages=1\npi/acme/big" H "octets=1000\npi/acme/big" H "recipients=2\npi/acme/big" H
	 "signatures=2\npi/acme/net" H "encoded=1\npi/acme/net" H "messages=1\npi/acme/net" H
	 "octets=1000\npi/acme/net" H "recipients=1\npi/acme/net" H "signatures=2"},
	{"nothing encoded, no signature",
	 {.pool = "acme", .isps = "big", .encoded = "", .dkim = ""},
	 "p/acme" H "messages=1\np/acme" H "octets=1000\np/acme" H "recipients=1\npi/acme/big" H
	 "messages=1\npi/acme/big" H "octets=1000\npi/acme/big" H "recipients=1"},
	{"a copy has taken some: it counts them itself",
	 {.pool = "acme", .isps = "big", .gone = "net net"},
	 "p/acme" H "messages=1\np/acme" H "octets=1000\np/acme" H "recipients=1\npi/acme/big" H
	 "messages=1\npi/acme/big" H "octets=1000\npi/acme/big" H "recipients=1"},
	{"warned",
	 {.pool = "acme", .isps = "big", .limit = LIMIT_OVER, .over = "pi/acme/big/20/second"},
	 "over/acme/pi/acme/big/20/second" H "warned=1\np/acme" H "messages=1\np/acme" H
	 "octets=1000\np/acme" H "recipients=1\np/acme" H "warned=1\npi/acme/big" H
	 "messages=1\npi/acme/big" H "octets=1000\npi/acme/big" H "recipients=1\npi/acme/big" H
	 "warned=1"},
	{"this node's share",
	 {.pool = "acme", .isps = "big", .limit = LIMIT_OK, .local = true},
	 "p/acme" H "local_limit=1\np/acme" H "messages=1\np/acme" H "octets=1000\np/acme" H
	 "recipients=1\npi/acme/big" H "local_limit=1\npi/acme/big" H "messages=1\npi/acme/big" H
	 "octets=1000\npi/acme/big" H "recipients=1"},
	{"limits not known, accepted",
	 {.pool = "acme", .isps = "big", .limit = LIMIT_UNKNOWN},
	 "p/acme" H "messages=1\np/acme" H "octets=1000\np/acme" H "recipients=1\np/acme" H
	 "unknown_limit=1\npi/acme/big" H "messages=1\npi/acme/big" H "octets=1000\npi/acme/big" H
	 "recipients=1\npi/acme/big" H "unknown_limit=1"},
	{"limits not known, deferred",
	 {.verdict = VERDICT_DEFERRED, .reason = "limits-unknown", .pool = "acme", .isps = "big",
	  .limit = LIMIT_UNKNOWN},
	 "p/acme" H "deferred=1\np/acme" H "unknown_limit=1\npi/acme/big" H "deferred=1\npi/acme/big" H
	 "unknown_limit=1"},
	{"deferred by a limit: its outcome only, under all of its ISPs",
	 {.verdict = VERDICT_DEFERRED, .reason = "limit", .pool = "acme", .isps = "big", .gone = "net",
	  .limit = LIMIT_OVER, .over = "p/acme/5000/hour"},
	 "over/acme/p/acme/5000/hour" H "deferred=1\np/acme" H "deferred_limit=1\npi/acme/big" H
	 "deferred_limit=1\npi/acme/net" H "deferred_limit=1"},
	{"deferred by this node's share",
	 {.verdict = VERDICT_DEFERRED, .reason = "limit", .pool = "acme", .isps = "big",
	  .limit = LIMIT_OVER, .over = "p/acme/5000/hour", .local = true},
	 "over/acme/p/acme/5000/hour" H "deferred=1\np/acme" H "deferred_limit=1\np/acme" H
	 "local_limit=1\npi/acme/big" H "deferred_limit=1\npi/acme/big" H "local_limit=1"},
	{"held by a limit",
	 {.verdict = VERDICT_HELD, .reason = "limit", .pool = "acme", .isps = "big", .dkim = "d/s/a",
	  .limit = LIMIT_OVER, .over = "i/big/4/hour"},
	 "over/acme/i/big/4/hour" H "held=1\np/acme" H "held=1\npi/acme/big" H "held=1"},
	{"held since limits are not known",
	 {.verdict = VERDICT_HELD, .reason = "limits-unknown", .pool = "acme", .isps = "big",
	  .limit = LIMIT_UNKNOWN},
	 "p/acme" H "held=1\np/acme" H "unknown_limit=1\npi/acme/big" H "held=1\npi/acme/big" H
	 "unknown_limit=1"},
	{"rejected by a limit",
	 {.verdict = VERDICT_REJECTED, .reason = "limit", .pool = "beta", .isps = "net",
	  .limit = LIMIT_OVER, .over = "p/beta/2/hour"},
	 "over/beta/p/beta/2/hour" H "rejected=1\np/beta" H "rejected=1\npi/beta/net" H "rejected=1"},
	{"warned, then an edit failed: no limit's doing",
	 {.verdict = VERDICT_DEFERRED, .reason = "mta", .pool = "acme", .isps = "big",
	  .limit = LIMIT_OVER, .over = "p/acme/5000/hour"},
	 "p/acme" H "deferred=1\np/acme" H "errors=1\npi/acme/big" H "deferred=1\npi/acme/big" H
	 "errors=1"},
	{"no signature could be made",
	 {.verdict = VERDICT_DEFERRED, .reason = "signature", .detail = "d=x s=y: no", .pool = "acme",
	  .isps = "big"},
	 "p/acme" H "deferred=1\np/acme" H "errors=1\npi/acme/big" H "deferred=1\npi/acme/big" H
	 "errors=1"},
	{"out of memory before the pool was looked for",
	 {.verdict = VERDICT_DEFERRED, .reason = "memory"},
	 "p/-" H "deferred=1\np/-" H "errors=1\npi/-/-" H "deferred=1\npi/-/-" H "errors=1"},
	{"stopping is no error",
	 {.verdict = VERDICT_DEFERRED, .reason = "stopping"},
	 "p/-" H "deferred=1\npi/-/-" H "deferred=1"},
	{"too large", {.verdict = VERDICT_REJECTED, .reason = "size"},
	 "p/-" H "rejected=1\npi/-/-" H "rejected=1"},
	{"a pool that the client may not use",
	 {.verdict = VERDICT_PASSED, .reason = "not-in-pool", .pool = "beta"},
	 "p/beta" H "passed=1\npi/beta/-" H "passed=1"},
	{"untrusted", {.verdict = VERDICT_PASSED, .reason = "untrusted"},
	 "p/-" H "passed=1\npi/-/-" H "passed=1"},
};

static void
test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++) {
		struct plan *p = plan_of(&verdicts[i].outcome);
		char *text;

		stats_message(stats, message, p, 100, NOON + 59 * 60 + 59);
		text = fixture_tallies(hours, "\n");
		check_string(verdicts[i].name, text, verdicts[i].want);
		g_free(text);
		plan_free(p);
		tally_table_clear(hours);
	}
}

/* A message that ended at DATA has no more of a plan than this. */
static void
test_bare_plan(void **state)
{
	const struct plan p = {.verdict = VERDICT_PASSED, .reason = "untrusted"};
	struct stats_durations d;
	char *text;

	(void)state;
	stats_message(stats, message, &p, -1, NOON);
	text = fixture_tallies(hours, "\n");
	assert_string_equal(text, "p/-" H "passed=1\npi/-/-" H "passed=1");
	stats_durations(stats, &d);
	for (size_t i = 0; i <= STATS_BOUNDS; i++)
		assert_int_equal(d.count[i], 0);
	g_free(text);
}

static void
test_recipient(void **state)
{
	const struct limit_over over = {.name = (char *)"i/big/100/second"};
	char *text;

	(void)state;
	stats_recipient(stats, pool("acme"), isp("big"), &over, NOON);
	stats_recipient(stats, pool("acme"), isp("big"), &over, NOON + 3600);
	text = fixture_tallies(hours, "\n");
	assert_string_equal(text, "over/acme/i/big/100/second" H "deferred_recipients=1\n"
				  "over/acme/i/big/100/second/2026112113|deferred_recipients=1\n"
				  "p/acme" H "deferred_recipients=1\n"
				  "p/acme/2026112113|deferred_recipients=1\n"
				  "pi/acme/big" H "deferred_recipients=1\n"
				  "pi/acme/big/2026112113|deferred_recipients=1");
	g_free(text);
}

static void
test_hour(void **state)
{
	static const struct {
		const char *name;
		time_t time;
		const char *want;
	} cases[] = {
		{"noon", NOON, "2026112112"},
		{"the last second", NOON + 3599, "2026112112"},
		{"the next", NOON + 3600, "2026112113"},
		{"the year's end", 1798761599, "2026123123"},
		{"leap day", 1835395200, "2028022900"},
		{"1970", 0, "1970010100"},
		{"before the end of four digits", 253402300799, "9999123123"},
		{"after it", 253402300800, "0000000000"},
	};
	char hour[STATS_HOUR_SIZE];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		stats_hour(cases[i].time, hour);
		check_string(cases[i].name, hour, cases[i].want);
	}
}

static void
test_durations(void **state)
{
	static const gint64 took[] = {0, 250, 251, 10000000, 10000001, 400000000};
	const struct plan p = {.verdict = VERDICT_PASSED};
	struct stats_durations d;
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(took); i++)
		stats_message(stats, message, &p, took[i], NOON);
	stats_durations(stats, &d);
	for (size_t i = 0; i <= STATS_BOUNDS; i++)
		all += d.count[i];
	assert_int_equal(all, 6);
	assert_int_equal(d.count[0], 2); /* a bound belongs to what it bounds */
	assert_int_equal(d.count[1], 1);
	assert_int_equal(d.count[STATS_BOUNDS - 1], 1);
	assert_int_equal(d.count[STATS_BOUNDS], 2);
	assert_int_equal(d.sum_us, 420000502);
	for (size_t i = 1; i < STATS_BOUNDS; i++)
		assert_true(stats_bounds_us[i] > stats_bounds_us[i - 1]);
}

static void
test_names(void **state)
{
	(void)state;
	for (guint f = 0; f < STATS_FIELDS; f++) {
		check_true("has all", stats_names[f].head != NULL && stats_names[f].help != NULL);
		check_int(stats_names[f].name, stats_field_find(stats_names[f].name), f);
	}
	assert_int_equal(stats_field_find("nothing"), STATS_FIELDS);
	assert_int_equal(stats_field_find(""), STATS_FIELDS);
}

/* ---- totals and summaries */

static void
count_accepted(const char *pool_name, const char *isp_names, guint times)
{
	const struct outcome o = {.pool = pool_name, .isps = isp_names};
	struct plan *p = plan_of(&o);

	for (guint i = 0; i < times; i++)
		stats_message(stats, message, p, 100, NOON + i * 3600);
	plan_free(p);
}

static void
test_rows(void **state)
{
	static const struct {
		const char *key;
		int messages, recipients;
	} want[] = {{"p/acme", 3, 6}, {"p/beta", 1, 1}, {"pi/acme/big", 3, 3}, {"pi/acme/net", 3, 3},
		    {"pi/beta/net", 1, 1}};
	GArray *rows;

	(void)state;
	count_accepted("acme", "net big", 3);
	count_accepted("beta", "net", 1);
	rows = stats_rows(stats);
	assert_int_equal(rows->len, G_N_ELEMENTS(want));
	for (guint i = 0; i < rows->len; i++) {
		const struct stats_row *r = &g_array_index(rows, struct stats_row, i);

		assert_string_equal(r->key, want[i].key);
		check_int(r->key, r->n[STATS_MESSAGES], want[i].messages);
		check_int(r->key, r->n[STATS_RECIPIENTS], want[i].recipients);
		check_int(r->key, r->n[STATS_OCTETS], 1000 * want[i].messages);
	}
	g_array_unref(rows);
}

/* No room: told, and the others go on. */
static void
test_bounds(void **state)
{
	const struct plan p = {.verdict = VERDICT_PASSED};
	struct limit_over over = {0};
	GArray *rows;

	(void)state;
	tally_table_set_max(hours, 2);
	for (int i = 0; i < STATS_ROWS_MAX; i++) {
		over.name = g_strdup_printf("i/big/%d/second", i + 1);
		stats_recipient(stats, pool("acme"), isp("big"), &over, NOON);
		g_free(over.name);
	}
	rows = stats_rows(stats);
	assert_int_equal(rows->len, STATS_ROWS_MAX);
	assert_int_equal(tally_table_size(hours), 2);
	assert_int_equal(stats_lost(stats), STATS_ROWS_MAX + 2); /* of the table, and of the totals */
	stats_message(stats, message, &p, -1, NOON);
	assert_int_equal(stats_lost(stats), STATS_ROWS_MAX + 2 + 2 + 2);
	g_array_unref(rows);
}

static void
take_line(const char *text, void *context)
{
	g_string_append_printf(context, "%s\n", text);
}

static void
check_summary(const char *name, const char *want)
{
	GString *lines = g_string_new(NULL);

	stats_summary(stats, take_line, lines);
	check_string(name, lines->str, want);
	g_string_free(lines, TRUE);
}

#define SUM(pool, m, r, o, limited, passed)                                                         \
	"stats: pool=" pool " messages=" m " recipients=" r " octets=" o " signatures=0 encoded=0 "  \
	"deferred_limit=" limited " deferred_recipients=0 held=0 warned=0 deferred=0 rejected=0 "    \
	"passed=" passed " errors=0 local_limit=0 unknown_limit=0 seconds=0\n"

static void
test_summary(void **state)
{
	const struct outcome limited = {.verdict = VERDICT_DEFERRED, .reason = "limit", .pool = "acme",
					.isps = "big", .limit = LIMIT_OVER, .over = "p/acme/1/hour"};
	const struct plan passed = {.verdict = VERDICT_PASSED};
	struct plan *p = plan_of(&limited);

	(void)state;
	check_summary("nothing yet", "");
	count_accepted("beta", "net", 1);
	count_accepted("acme", "big net", 2);
	stats_message(stats, message, &passed, -1, NOON);
	check_summary("all since the beginning", SUM("-", "0", "0", "0", "0", "1")
		      SUM("acme", "2", "4", "2000", "0", "0") SUM("beta", "1", "1", "1000", "0", "0"));
	check_summary("nothing since", "");
	stats_message(stats, message, p, 100, NOON);
	check_summary("what is new", SUM("acme", "0", "0", "0", "1", "0"));
	plan_free(p);
}

/* ---- threads */

#define THREADS 8
#define EACH 5000

static void *
count_many(void *nothing)
{
	const struct outcome outcomes[] = {
		{.pool = "acme", .isps = "big net"},
		{.verdict = VERDICT_DEFERRED, .reason = "limit", .pool = "acme", .isps = "net",
		 .limit = LIMIT_OVER, .over = "p/acme/1/hour"},
	};
	struct plan *plans[] = {plan_of(&outcomes[0]), plan_of(&outcomes[1])};

	(void)nothing;
	for (guint i = 0; i < EACH; i++)
		stats_message(stats, message, plans[i % 2], 100, NOON + i % 3 * 3600);
	plan_free(plans[0]);
	plan_free(plans[1]);
	return NULL;
}

static void
sum_up(const char *key, const char *field, int64_t value, void *context)
{
	int64_t *sums = context;

	if (g_str_has_prefix(key, "p/"))
		sums[stats_field_find(field)] += value;
	else if (g_str_has_prefix(key, "over/"))
		sums[STATS_FIELDS] += value;
}

static void
test_threads(void **state)
{
	int64_t sums[STATS_FIELDS + 1] = {0};
	GString *lines = g_string_new(NULL);
	pthread_t threads[THREADS];
	GArray *rows;

	(void)state;
	for (guint i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
	for (guint i = 0; i < 20; i++) {
		stats_summary(stats, take_line, lines);
		g_array_unref(stats_rows(stats));
	}
	for (guint i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	tally_table_each(hours, sum_up, sums);
	assert_int_equal(sums[STATS_MESSAGES], THREADS * EACH / 2);
	assert_int_equal(sums[STATS_RECIPIENTS], THREADS * EACH);
	assert_int_equal(sums[STATS_DEFERRED_LIMIT], THREADS * EACH / 2);
	assert_int_equal(sums[STATS_FIELDS], THREADS * EACH / 2);
	rows = stats_rows(stats);
	assert_int_equal(rows->len, 4);
	for (guint f = 0; f < STATS_MESSAGE_FIELDS; f++)
		check_int(stats_names[f].name, g_array_index(rows, struct stats_row, 1).n[f], sums[f]);
	g_array_unref(rows);
	g_string_free(lines, TRUE);
}

#define test(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_verdicts), test(test_bare_plan), test(test_recipient), test(test_hour),
		test(test_durations), test(test_names), test(test_rows), test(test_bounds),
		test(test_summary), test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
