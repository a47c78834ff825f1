/*
 * statistics - where this node's statistics go; see statistics.h.
 *
 * Messages count into a table in memory, which costs them nothing more.  With Redis the signal thread
 * takes out of it every few seconds what has come together and sends it in batches, each at most once:
 * a batch whose answer did not come is sent again as the same batch, before any other.  What Redis
 * refuses goes back into the table, which bounds itself.  Without Redis the table is what there is.
 * Hours older than stats_days are dropped from it.
 *
 * All but messages' counting happens in the signal thread; statistics_end() may be called by another
 * one that ends the process, so a lock keeps them apart.
 */
#include "daemon/statistics.h"
#include "base/log.h"
#include "core/metrics.h"
#include "daemon/session.h"
#include "daemon/shared_limiter.h"
#include "daemon/signals.h"
#include "daemon/snapshot.h"
#include "io/state_file.h"

#include <pthread.h>

#define FLUSH_SECONDS 5
#define FLUSH_TIME (G_USEC_PER_SEC / 2) /* then the signal thread looks at its signals again */
#define METRICS_SECONDS 15
#define DROP_SECONDS 3600
#define DAY 86400

static struct limiter_memory *limiter;
static struct tally_table *hours;
static struct stats *stats;
static time_t started;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static char *node;					 /* a name of this life of the process */
static uint64_t serial;					 /* of the last batch */
static struct tally_batch *pending;			 /* was sent, and its answer did not come */

struct stats *
statistics_begin(struct limiter_memory *l)
{
	limiter = l;
	started = time(NULL);
	hours = tally_table_new(TALLY_KEYS_MAX);
	stats = stats_new(hours);
	node = g_uuid_string_random();
	return stats;
}

struct tally_table *
statistics_hours(void)
{
	return hours;
}

/* ---- the log ---- */

static void
write_line(const char *text, void *context)
{
	(void)context;
	log_line(LOG_INFO, "%s", text);
}

static void
summary(void)
{
	stats_summary(stats, write_line, NULL);
}

/* ---- Redis ---- */

/* Sends a batch; true if it is counted. The lock is held. */
static bool
send_batch(struct limiter_redis *l, struct tally_batch *b, bool again)
{
	char *why = NULL;
	enum store_result result = limiter_redis_add(l, node, again ? serial : ++serial, b, &why);

	g_free(why); /* the driver logs its state itself */
	if (result == STORE_REPLIED)
		tally_batch_free(b);
	else if (result == STORE_UNCERTAIN || again)
		pending = b;
	else if (!tally_batch_put_back(b, hours))
		log_line(LOG_WARNING, "warning: statistics: no room for some, they are not counted");
	return result == STORE_REPLIED;
}

/* The lock is held. */
static void
send_all(struct limiter_redis *l, gint64 until)
{
	struct tally_batch *b = g_steal_pointer(&pending);
	bool ok = b == NULL || send_batch(l, b, true);

	while (ok && g_get_monotonic_time() < until) {
		guint n;

		b = tally_table_take(hours, LIMITER_REDIS_BATCH_KEYS);
		if (b == NULL)
			break;
		n = b->n;
		ok = send_batch(l, b, false) && n == LIMITER_REDIS_BATCH_KEYS;
	}
}

static void
flush(void)
{
	struct settings *s = snapshot_get();
	struct limiter_redis *l = shared_limiter_redis();

	pthread_mutex_lock(&lock);
	if (s->redis.used && l != NULL && limiter_redis_up(l))
		send_all(l, g_get_monotonic_time() + FLUSH_TIME);
	pthread_mutex_unlock(&lock);
	settings_unref(s);
}

void
statistics_end(void)
{
	struct settings *s = snapshot_get();

	if (s->stats_interval > 0)
		summary();
	settings_unref(s);
	flush();
	pthread_mutex_lock(&lock);
	if (pending != NULL)
		log_line(LOG_WARNING, "warning: statistics: Redis has not said whether the last were counted");
	g_clear_pointer(&pending, tally_batch_free);
	pthread_mutex_unlock(&lock);
}

/* ---- memory ---- */

static void
drop_old(void)
{
	struct settings *s = snapshot_get();
	char hour[STATS_HOUR_SIZE];

	stats_hour(time(NULL) - (time_t)s->stats_days * DAY, hour);
	tally_table_drop_before(hours, hour);
	settings_unref(s);
}

/* ---- the metrics file ---- */

static void
metrics(struct buf *out, const struct settings *s)
{
	struct limiter_redis *l = shared_limiter_redis();
	struct metrics_now now = {.started = started,
				  .pools = s->pools->len,
				  .in_progress = session_in_progress(),
				  .redis = s->redis.used,
				  .redis_up = l != NULL && limiter_redis_up(l),
				  .limit_keys = limiter_memory_size(limiter),
				  .stats_keys = tally_table_size(hours)};

	metrics_text(stats, &now, out);
}

static void
write_metrics(void)
{
	static struct log_limit often;
	struct settings *s = snapshot_get();
	struct buf text = BUF_INIT;
	char *why = NULL;

	if (s->metrics_file != NULL) {
		metrics(&text, s);
		if (buf_failed(&text))
			why = g_strdup("out of memory");
		else
			(void)state_file_write(s->metrics_file, 0644, text.data, text.len, &why);
	}
	if (why != NULL)
		log_limited(&often, LOG_WARNING, "warning: metrics_file: %s", why);
	g_free(why);
	buf_free(&text);
	settings_unref(s);
}

void
statistics_change(const struct settings *s)
{
	signals_every(s->redis.used ? FLUSH_SECONDS : 0, flush);
	signals_every(DROP_SECONDS, drop_old);
	signals_every(s->metrics_file != NULL ? METRICS_SECONDS : 0, write_metrics);
	signals_every((guint)s->stats_interval, summary);
}
