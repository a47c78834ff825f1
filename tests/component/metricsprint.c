/*
 * metricsprint - counts some mail and prints its metrics, for test_metrics.py.
 *
 *	metricsprint		two pools, two ISPs, each field at least once; without Redis
 *	metricsprint --redis	the same, with Redis that is down
 *	metricsprint --label	a pool whose name has all that a label must escape
 *	metricsprint --many	more pools than metrics are written of
 *	metricsprint --events	what poolevents writes, of two pools and three destinations
 */
#include "core/event_stats.h"
#include "core/metrics.h"
#include "core/metrics_events.h"

#include <stdio.h>
#include <string.h>

#define NOW ((time_t)1795262400)

static struct isp gmail = {.name = (char *)"gmail"}, yahoo = {.name = (char *)"yahoo"};
static struct stats *stats;

static void
send(const char *pool_name, struct plan plan, gint64 took)
{
	struct message *m = message_new("a@example.com", 1024);
	struct pool pool = {.name = (char *)pool_name};

	message_add_rcpt(m, "b@gmail.com");
	message_add_rcpt(m, "c@yahoo.com");
	m->size = 4096;
	plan.pool = &pool;
	plan.rcpts = m->rcpts;
	plan.rcpt_isps = plan.all_isps = g_ptr_array_new();
	g_ptr_array_add(plan.rcpt_isps, &gmail);
	g_ptr_array_add(plan.rcpt_isps, &yahoo);
	stats_message(stats, m, &plan, took, NOW);
	g_ptr_array_unref(plan.rcpt_isps);
	message_free(m);
}

static void
send_some(const char *pool)
{
	static struct limit_over over = {.name = (char *)"pi/acme/gmail/20/second"};
	struct pool early = {.name = (char *)pool};
	GString dkim = {(char *)"d/s/a,e/s/a", 11, 12}, encoded = {(char *)"html:base64", 11, 12};

	send(pool, (struct plan){.limit = LIMIT_OK, .dkim = &dkim, .encoded = &encoded}, 400);
	send(pool, (struct plan){.limit = LIMIT_OVER, .over = over}, 700);
	send(pool, (struct plan){.limit = LIMIT_OK, .limit_local = true}, 20000);
	send(pool, (struct plan){.limit = LIMIT_UNKNOWN}, 50000000);
	send(pool, (struct plan){.verdict = VERDICT_PASSED, .reason = "not-in-pool"}, -1);
	send(pool,
	     (struct plan){.verdict = VERDICT_DEFERRED,
			   .reason = "limit",
			   .limit = LIMIT_OVER,
			   .over = over},
	     300);
	send(pool, (struct plan){.verdict = VERDICT_DEFERRED, .reason = "memory"}, 300);
	send(pool,
	     (struct plan){
		     .verdict = VERDICT_HELD, .reason = "limit", .limit = LIMIT_OVER, .over = over},
	     300);
	send(pool, (struct plan){.verdict = VERDICT_REJECTED, .reason = "size"}, 300);
	stats_recipient(stats, &early, &gmail, &over, NOW);
}

static bool
take(void *context, const char *key, const struct tally *tallies, guint n, char **why)
{
	(void)why;
	for (guint i = 0; i < n; i++)
		metrics_events_total(key, tallies[i].field, tallies[i].by, context);
	return true;
}

/* Each type with each category of a pool, and one of another pool. */
static void
events_text(struct buf *out)
{
	const struct metrics_destination destinations[] = {{"file", 0, 0, 0, 0},
							    {"stream", 12, 0, 3, 1},
							    {"webhook/acme", 200000, 7, 3600, 25}};
	struct metrics_events *m = metrics_events_new();
	struct event e = {.time = NOW * G_USEC_PER_SEC, .pool = (char *)"acme", .isp = (char *)"gmail"};

	for (e.type = 0; e.type < EVENT_TYPES; e.type++)
		for (e.category = CATEGORY_NONE + 1; e.category < CATEGORIES; e.category++)
			(void)event_stats(&e, take, m, NULL);
	e = (struct event){.time = e.time, .type = EVENT_DELIVERED, .pool = (char *)"beta"};
	(void)event_stats(&e, take, m, NULL);
	metrics_events_total("p/acme/2026112112", "delivered", 1000, m); /* of an hour: no total */
	metrics_events_total("t/p/acme", "messages", 1000, m);		 /* no event */
	for (guint i = 0; i < G_N_ELEMENTS(destinations); i++)
		metrics_events_destination(m, &destinations[i]);
	metrics_events_text(m, NOW - 60, 4, out);
	metrics_events_free(m);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const struct metrics_now now = {.started = NOW - 60,
					.pools = 2,
					.in_progress = 3,
					.redis = strcmp(what, "--redis") == 0,
					.limit_keys = 7,
					.stats_keys = 11};
	struct tally_table *hours = tally_table_new(TALLY_KEYS_MAX);
	struct buf text = BUF_INIT;

	stats = stats_new(hours);
	if (strcmp(what, "--label") == 0)
		send("we\\ird \"pool\"\nof {one}, \xc3\xbc", (struct plan){.limit = LIMIT_OK}, 400);
	for (int i = 0; strcmp(what, "--many") == 0 && i < METRICS_ROWS_MAX + 5; i++) {
		char name[32];

		snprintf(name, sizeof name, "pool-%06d", i);
		send(name, (struct plan){.verdict = VERDICT_PASSED}, -1);
	}
	if (*what == '\0' || strcmp(what, "--redis") == 0) {
		send_some("acme");
		send("beta", (struct plan){.limit = LIMIT_OK}, 100);
	}
	if (strcmp(what, "--events") == 0)
		events_text(&text);
	else
		metrics_text(stats, &now, &text);
	if (buf_failed(&text) || fwrite(text.data, 1, text.len, stdout) != text.len ||
	    fflush(stdout) != 0)
		return 1;
	buf_free(&text);
	stats_free(stats);
	tally_table_free(hours);
	return 0;
}
