/*
 * tallies - where the statistics of events go; see tallies.h.
 *
 * A batch that Redis did not answer for is sent again as it was, by this process or the next one:
 * event_db_batch.h keeps it.
 */
#include "events/tallies.h"
#include "base/log.h"
#include "core/event_stats.h"
#include "core/metrics_events.h"
#include "io/event_db_batch.h"
#include "io/limiter_redis.h"
#include "io/limiter_redis_settings.h"
#include "io/state_file.h"

#include <string.h>
#include <time.h>

#define SHIP_TIME (G_USEC_PER_SEC / 2) /* then the log is looked at again */
#define DAY 86400

static struct event_db *db;
static struct settings *settings;
static struct limiter_redis *redis; /* NULL: the settings have none */
static int64_t (*behind)(void);
static time_t started;

void
tallies_begin(struct event_db *the_db, int64_t (*how_far_behind)(void))
{
	db = the_db;
	behind = how_far_behind;
	started = time(NULL);
}

static void
take_redis(const struct settings *s)
{
	struct limiter_redis_settings r;
	char *why = NULL;

	if (!s->redis.used) {
		g_clear_pointer(&redis, limiter_redis_free);
		return;
	}
	limiter_redis_settings_from(s, &r);
	if (redis == NULL)
		redis = limiter_redis_new(&r, &why);
	else
		(void)limiter_redis_change(redis, &r, &why);
	limiter_redis_settings_clear(&r);
	if (why != NULL)
		log_line(LOG_WARNING, "warning: statistics: %s", why);
	g_free(why);
}

void
tallies_change(struct settings *s)
{
	take_redis(s);
	if (settings != NULL)
		settings_unref(settings);
	settings = settings_ref(s);
}

/* Says once a minute what is wrong with the database, which collecting will say as well. */
static void
complain(char *why)
{
	static struct log_limit often;

	if (why != NULL)
		log_limited(&often, LOG_WARNING, "warning: statistics: %s", why);
	g_free(why);
}

/* ---- Redis ---- */

/* Sends a batch, if there is one; true if there may be another. */
static bool
ship_batch(char **why)
{
	struct event_db_batch b;
	char *reason = NULL;
	bool sent = false;

	if (!event_db_batch_take(db, LIMITER_REDIS_BATCH_KEYS, &b, why))
		return false;
	if (b.batch != NULL)
		sent = limiter_redis_add(redis, b.node, b.serial, b.batch, &reason) == STORE_REPLIED &&
		       event_db_batch_done(db, why);
	g_free(reason); /* the driver logs its state itself */
	event_db_batch_clear(&b);
	return sent;
}

void
tallies_ship(void)
{
	gint64 end = g_get_monotonic_time() + SHIP_TIME;
	char *why = NULL;

	if (redis == NULL || !limiter_redis_up(redis))
		return;
	while (g_get_monotonic_time() < end && ship_batch(&why))
		;
	complain(why);
}

void
tallies_end(void)
{
	tallies_ship();
	g_clear_pointer(&redis, limiter_redis_free);
	g_clear_pointer(&settings, settings_unref);
}

/* ---- the metrics file ---- */

static bool
add_destinations(struct metrics_events *m, char **why)
{
	int64_t now = g_get_real_time();
	GPtrArray *all = NULL;

	if (!event_db_destinations(db, &all, why))
		return false;
	for (guint i = 0; i < all->len; i++) {
		const struct event_destination *d = all->pdata[i];
		struct metrics_destination of = {
			d->name, d->waiting, d->dead,
			d->oldest > 0 ? MAX((now - d->oldest) / G_USEC_PER_SEC, 0) : 0, d->failures};

		metrics_events_destination(m, &of);
	}
	g_ptr_array_unref(all);
	return true;
}

/* "poolmilter.prom" -> "poolmilter-events.prom" */
static char *
path_beside(const char *metrics_file)
{
	const char *slash = strrchr(metrics_file, '/'), *dot = strrchr(metrics_file, '.');

	if (dot == NULL || dot < slash)
		return g_strconcat(metrics_file, "-events", NULL);
	return g_strdup_printf("%.*s-events%s", (int)(dot - metrics_file), metrics_file, dot);
}

static bool
write_metrics(char **why)
{
	struct metrics_events *m = metrics_events_new();
	struct buf text = BUF_INIT;
	char *path = path_beside(settings->metrics_file);
	bool ok = event_db_each_tally(db, EVENT_STATS_TOTAL, metrics_events_total, m, why) &&
		  add_destinations(m, why);

	if (ok) {
		metrics_events_text(m, started, behind(), &text);
		if (buf_failed(&text))
			*why = g_strdup("metrics_file: out of memory");
		else
			ok = state_file_write(path, 0644, text.data, text.len, why);
	}
	g_free(path);
	buf_free(&text);
	metrics_events_free(m);
	return ok;
}

void
tallies_metrics(void)
{
	char *why = NULL;

	if (settings->metrics_file != NULL)
		(void)write_metrics(&why);
	complain(why);
}

/* ---- old ones ---- */

void
tallies_drop(void)
{
	char hour[STATS_HOUR_SIZE], *why = NULL;

	stats_hour(time(NULL) - (time_t)settings->stats_days * DAY, hour);
	(void)event_db_drop_tallies(db, hour, &why);
	complain(why);
}
