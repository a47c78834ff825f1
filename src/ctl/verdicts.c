/*
 * verdicts - records judged in parallel; see verdicts.h.
 *
 * All look-ups that are known beforehand are begun at once (the DNS client bounds them); then
 * THREADS threads judge record after record, since what is asked further depends on answers.
 */
#include "ctl/verdicts.h"

#include "base/thread.h"
#include "ctl/progress.h"

#include <pthread.h>
#include <time.h>

#define THREADS 32
#define DRAW_MS 100

struct work {
	const struct zone *zone;
	const struct dns_tools *tools;
	GPtrArray *verdicts; /* places for all */
	pthread_mutex_t lock;
	pthread_cond_t finished; /* done has become what there is */
	guint next, done;
};

static void *
judge(void *context)
{
	struct work *w = context;
	const GPtrArray *records = w->zone->records;

	pthread_mutex_lock(&w->lock);
	while (w->next < records->len) {
		guint i = w->next++;

		pthread_mutex_unlock(&w->lock);
		w->verdicts->pdata[i] = dns_verdict_new(records->pdata[i], w->tools);
		pthread_mutex_lock(&w->lock);
		if (++w->done == records->len)
			pthread_cond_signal(&w->finished);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
wait_for_all(struct work *w)
{
	struct progress p;

	progress_begin(&p, "records");
	pthread_mutex_lock(&w->lock);
	while (w->done < w->zone->records->len) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += DRAW_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&w->finished, &w->lock, &until);
		progress_draw(&p, w->done, w->zone->records->len);
	}
	pthread_mutex_unlock(&w->lock);
	progress_end(&p);
}

GPtrArray *
verdicts_new(const struct zone *z, const struct dns_tools *tools, char **why)
{
	struct work w = {.zone = z, .tools = tools};
	pthread_t threads[THREADS];
	guint n = 0;
	int error = 0;

	for (guint i = 0; i < z->records->len; i++)
		dns_verdict_start(z->records->pdata[i], tools->dns);
	w.verdicts = g_ptr_array_new_with_free_func(dns_verdict_free);
	g_ptr_array_set_size(w.verdicts, (gint)z->records->len);
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.finished, NULL);
	while (n < MIN(THREADS, z->records->len) &&
	       (error = thread_start(&threads[n], judge, &w)) == 0)
		n++;
	if (n > 0 || z->records->len == 0)
		wait_for_all(&w);
	else
		*why = g_strdup_printf("pthread_create: %s", g_strerror(error));
	for (guint i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	pthread_cond_destroy(&w.finished);
	pthread_mutex_destroy(&w.lock);
	if (n > 0 || z->records->len == 0)
		return w.verdicts;
	g_ptr_array_set_free_func(w.verdicts, NULL);
	g_ptr_array_unref(w.verdicts);
	return NULL;
}
