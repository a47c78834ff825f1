/*
 * limit_state - the limits' counters over a restart; see limit_state.h.
 *
 * The signal thread writes, each minute and at the stop, so mail never waits for the disk; only where
 * libmilter gives up another thread does.
 */
#include "daemon/limit_state.h"
#include "base/log.h"
#include "io/state_file.h"

#include <pthread.h>

#define STATE_MAX ((size_t)1024 * 1024 * 1024) /* octets; a million keys are some 100 MB */

static struct limiter_memory *limiter;
static char *path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t written; /* limiter_memory_changes() of what the file has */

static void
read_state(void)
{
	struct buf text = BUF_INIT;
	const char *reason = NULL;
	char *why = NULL;

	if (!state_file_read(path, STATE_MAX, &text, &why))
		log_line(LOG_WARNING, "warning: limits: %s: the counters begin empty", why);
	else if (text.len > 0 &&
		 !limiter_memory_read(limiter, g_get_real_time(), text.data, text.len, &reason))
		log_line(LOG_WARNING, "warning: limits: %s: %s: the counters begin empty", path, reason);
	g_free(why);
	buf_free(&text);
}

/* The lock is held. */
static void
write_state(void)
{
	uint64_t changes = limiter_memory_changes(limiter);
	struct buf text = BUF_INIT;
	char *why = NULL;

	if (changes == written)
		return;
	limiter_memory_write(limiter, g_get_real_time(), &text);
	if (buf_failed(&text))
		log_line(LOG_WARNING, "warning: limits: %s: not written, out of memory", path);
	else if (!state_file_write(path, text.data, text.len, &why))
		log_line(LOG_WARNING, "warning: limits: %s", why);
	else
		written = changes;
	g_free(why);
	buf_free(&text);
}

void
limit_state_begin(struct limiter_memory *l, const char *directory)
{
	limiter = l;
	path = g_strconcat(directory, "/limits.state", NULL);
	read_state();
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
