/*
 * locks - the locks that this node obeys; see locks.h.
 *
 * Messages look into the table, which costs them next to nothing.  What stands there is kept by the
 * signal thread.  With Redis it is a copy of the hash there, read each second where that has
 * changed; while Redis is down the last known locks stay until they end.  A lock that comes through
 * the control socket meanwhile is obeyed here and remembered as owed to Redis.  Without Redis the
 * table is what there is.
 *
 * A state file keeps it over a restart: written when a lock is set or released by the control
 * socket; of Redis' locks once a minute, since it serves only a daemon that starts while Redis is
 * down.
 */
#include "daemon/locks.h"
#include "base/log.h"
#include "core/state_text.h"
#include "daemon/shared_limiter.h"
#include "daemon/signals.h"
#include "io/limiter_redis_locks.h"
#include "io/state_file.h"

#include <pthread.h>
#include <string.h>

#define VERSION_LINE "poolmilter-locks 1\n"
#define STATE_MAX ((size_t)128 * 1024 * 1024)
#define LINES_MAX 200 /* in the log, at a time */
#define WRITE_TICKS 60

static struct lock_table *table;
static bool redis_used; /* by the settings in force */
static char *version;   /* of what was read from Redis; NULL: nothing was */
static GArray *owed;    /* of struct lock: to Redis */
static unsigned ticks;  /* since the file was written */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static char *path;
static uint64_t written; /* lock_table_changes() of what the file has */

/* ---- the state file ---- */

static const char *
read_lines(struct state_text *text)
{
	struct word_line line;
	struct lock l;

	while (state_text_line(text, &line)) {
		if (!lock_read(line.p, (size_t)(line.end - line.p), &l))
			return "a lock is not as it should be";
		if (l.until > g_get_real_time())
			(void)lock_table_set(table, &l);
		lock_clear(&l);
	}
	return NULL;
}

static void
read_state(void)
{
	struct buf text = BUF_INIT;
	const char *reason = NULL;
	struct state_text lines;
	char *why = NULL;

	if (!state_file_read(path, STATE_MAX, &text, &why))
		log_line(LOG_WARNING, "warning: locks: %s: there are none now", why);
	else if (text.len > 0 &&
		 ((reason = state_text_begin(&lines, text.data, text.len, VERSION_LINE)) != NULL ||
		  (reason = read_lines(&lines)) != NULL))
		log_line(LOG_WARNING, "warning: locks: %s: %s", path, reason);
	g_free(why);
	buf_free(&text);
}

/* The lock is held. */
static void
write_state(void)
{
	uint64_t now = lock_table_changes(table);
	GArray *locks = lock_table_list(table, g_get_real_time());
	GString *line = g_string_new(NULL);
	struct buf text = BUF_INIT;
	char *why = NULL;

	buf_puts(&text, VERSION_LINE);
	for (guint i = 0; i < locks->len; i++) {
		g_string_truncate(line, 0);
		lock_write(&g_array_index(locks, struct lock, i), line);
		g_string_append_c(line, '\n');
		buf_add(&text, line->str, line->len);
	}
	state_text_end(&text, 0);
	if (buf_failed(&text))
		why = g_strdup_printf("%s: not written, out of memory", path);
	else if (state_file_write(path, 0600, text.data, text.len, &why))
		written = now;
	if (why != NULL)
		log_line(LOG_WARNING, "warning: locks: %s", why);
	g_free(why);
	g_string_free(line, TRUE);
	g_array_unref(locks);
	buf_free(&text);
}

static void
write_changed(void)
{
	pthread_mutex_lock(&lock);
	if (table != NULL && lock_table_changes(table) != written)
		write_state();
	pthread_mutex_unlock(&lock);
}

/* ---- the log ---- */

static void
tell(const struct lock *l, const char *what, guint *lines)
{
	char *text;

	if ((*lines)++ >= LINES_MAX)
		return;
	text = lock_text(l);
	log_line(LOG_NOTICE, "lock: %s: %s", what, text);
	g_free(text);
}

static void
tell_rest(guint lines)
{
	if (lines > LINES_MAX)
		log_line(LOG_NOTICE, "lock: %u more were set or freed", lines - LINES_MAX);
}

/* Below, at or above 0: a stands before b, for the same, or after it. */
static int
order(const struct lock *a, const struct lock *b)
{
	int by_pool = strcmp(a->pool, b->pool);

	return by_pool != 0 ? by_pool : strcmp(a->isp, b->isp);
}

static bool
same(const struct lock *a, const struct lock *b)
{
	return a->since == b->since && a->until == b->until && a->paused == b->paused &&
	       strcmp(a->rule, b->rule) == 0;
}

/* What has come and gone; both are sorted. */
static void
tell_changes(const GArray *before, const GArray *after)
{
	guint i = 0, k = 0, lines = 0;

	while (i < before->len || k < after->len) {
		const struct lock *a =
			i < before->len ? &g_array_index(before, struct lock, i) : NULL;
		const struct lock *b =
			k < after->len ? &g_array_index(after, struct lock, k) : NULL;
		int by = a == NULL ? 1 : b == NULL ? -1 : order(a, b);

		if (by < 0)
			tell(a, "released", &lines);
		else if (by > 0 || !same(a, b))
			tell(b, "set", &lines);
		i += by <= 0;
		k += by >= 0;
	}
	tell_rest(lines);
}

static void
tell_ended(int64_t now)
{
	GArray *ended = lock_table_ended(table, now);
	guint lines = 0;

	for (guint i = 0; i < ended->len; i++)
		tell(&g_array_index(ended, struct lock, i), "ended", &lines);
	tell_rest(lines);
	g_array_unref(ended);
}

/* ---- Redis ---- */

/* Puts what Redis has in place of what was known; what is still owed is obeyed all the same. */
static void
take(GArray *locks, int64_t now)
{
	GArray *before = lock_table_list(table, now), *after;

	lock_table_replace(table, locks);
	for (guint i = 0; i < owed->len; i++)
		(void)lock_table_offer(table, &g_array_index(owed, struct lock, i), now);
	after = lock_table_list(table, now);
	tell_changes(before, after);
	g_array_unref(before);
	g_array_unref(after);
}

/* Tells Redis what it is owed; what it does not take now is owed until it has ended. */
static void
settle(struct limiter_redis *l, int64_t now)
{
	char *why = NULL;
	bool ok = true, set;

	while (ok && owed->len > 0) {
		const struct lock *first = &g_array_index(owed, struct lock, 0);

		ok = first->until <= now || limiter_redis_lock_set(l, first, now, &set, &why);
		if (ok)
			g_array_remove_index(owed, 0);
	}
	g_free(why); /* the driver logs its state itself */
}

static void
look(int64_t now)
{
	struct limiter_redis *l = shared_limiter_redis();
	GArray *locks = NULL;
	char *why = NULL;

	if (!redis_used || l == NULL || !limiter_redis_up(l))
		return;
	settle(l, now);
	if (limiter_redis_lock_look(l, now, &version, &locks, &why) && locks != NULL) {
		take(locks, now);
		g_array_unref(locks);
	}
	g_free(why);
}

static void tick(void);

/* Without Redis and locks there is nothing to look at. */
static void
settle_period(void)
{
	signals_every(redis_used || !lock_table_empty(table) ? 1 : 0, tick);
}

/* Each second. */
static void
tick(void)
{
	int64_t now = g_get_real_time();

	tell_ended(now);
	look(now);
	if (++ticks >= WRITE_TICKS) {
		ticks = 0;
		write_changed();
	}
	settle_period();
}

/* ---- what others call ---- */

void
locks_begin(struct lock_table *t, const char *directory)
{
	owed = lock_array_new();
	table = t;
	path = g_strconcat(directory, "/locks.state", NULL);
	read_state();
	written = lock_table_changes(table);
}

void
locks_change(const struct settings *s)
{
	redis_used = s->redis.used;
	g_clear_pointer(&version, g_free);
	look(g_get_real_time());
	settle_period();
}

static void
owe(const struct lock *l)
{
	struct lock copy = lock_copy(l);

	if (owed->len < LOCKS_MAX)
		g_array_append_val(owed, copy);
	else
		lock_clear(&copy);
}

bool
locks_set(const struct lock *l, char **why)
{
	int64_t now = g_get_real_time();
	guint lines = 0;

	if (l->until <= now) {
		*why = g_strdup("it has ended");
		return false;
	}
	if (!lock_table_offer(table, l, now)) {
		if (strcmp(l->rule, LOCK_BY_HAND) == 0)
			*why = g_strdup("there are too many locks");
		return false;
	}
	tell(l, "set", &lines);
	if (redis_used)
		owe(l);
	write_changed();
	settle_period();
	return true;
}

bool
locks_release(const char *pool, const char *isp, char **why)
{
	GArray *before;
	GArray *after;
	bool was;

	if (redis_used) {
		*why = g_strdup("the locks are in Redis, release it there");
		return false;
	}
	before = lock_table_list(table, g_get_real_time());
	was = lock_table_release(table, pool, isp);
	after = lock_table_list(table, g_get_real_time());
	tell_changes(before, after);
	g_array_unref(before);
	g_array_unref(after);
	write_changed();
	return was;
}

void
locks_end(void)
{
	write_changed();
}
