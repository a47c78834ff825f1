/*
 * limit_state - the counters of limits and statistics over a restart; see limit_state.h.
 *
 * The signal thread writes, each minute and at the stop, so mail never waits for the disk; only where
 * libmilter gives up another thread does.
 */
#include "daemon/limit_state.h"
#include "base/log.h"
#include "io/state_file.h"

#include <pthread.h>

static struct limiter_memory *limiter;
static struct tally_table *tallies;
static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t written; /* changes() of what the file has */

/* Both only grow: a sum that is the same means that neither has changed. */
static uint64_t
changes(void)
{
	return limiter_memory_changes(limiter) + tally_table_changes(tallies);
}

static void
read_state(void)
{
	struct buf text = BUF_INIT;
	const char *reason = NULL;
	char *why = NULL;

	if (!state_file_read(path, LIMITER_STATE_MAX, &text, &why))
		log_line(LOG_WARNING, "warning: limits: %s: the counters begin empty", why);
	else if (text.len > 0 &&
		 !limiter_memory_read(limiter, tallies, g_get_real_time(), text.data, text.len, &reason))
		log_line(LOG_WARNING, "warning: limits: %s: %s: the counters begin empty", path, reason);
	g_free(why);
	buf_free(&text);
}

/* The lock is held. */
static void
write_state(void)
{
	uint64_t now = changes();
	struct buf text = BUF_INIT;
	char *why = NULL;

	if (now == written)
		return;
	limiter_memory_write(limiter, tallies, g_get_real_time(), &text);
	if (buf_failed(&text))
		log_line(LOG_WARNING, "warning: limits: %s: not written, out of memory", path);
	else if (!state_file_write(path, 0600, text.data, text.len, &why))
		log_line(LOG_WARNING, "warning: limits: %s", why);
	else
		written = now;
	g_free(why);
	buf_free(&text);
}

void
limit_state_begin(struct limiter_memory *l, struct tally_table *t, const char *directory)
{
	limiter = l;
	tallies = t;
	path = g_strconcat(directory, "/" LIMITER_STATE_NAME, NULL);
	read_state();
	written = changes();
}

void
limit_state_write(void)
{
	if (limiter == NULL)
		return;
	pthread_mutex_lock(&lock);
	write_state();
	pthread_mutex_unlock(&lock);
}
