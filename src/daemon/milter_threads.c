/*
 * milter_threads - what happens to a session when libmilter finds no thread for it.
 *
 * libmilter only logs that pthread_create() failed for a session's worker: the session is marked as
 * running, nobody runs it, and its descriptor is lost for good.  Some hundred of those and the daemon
 * would be alive but deaf.  Where libmilter is linked statically its pthread_create() is wrapped: a
 * worker that cannot start is handed to a thread kept for this purpose, which calls the worker's function
 * itself.  That function begins with pthread_detach(pthread_self()), and if that fails, marks the session
 * as ready to run and returns: the next worker that is free takes it (libmilter/worker.c, mi_worker()).  So
 * pthread_detach() is wrapped, too, and fails for that one thread.
 */
#include "daemon/milter_threads.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>

struct start {
	void *(*function)(void *);
	void *argument;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static GQueue waiting = G_QUEUE_INIT; /* of struct start * */
static pthread_t rescuer;	      /* set before libmilter starts */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *),
			  void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *),
			  void *argument);
int __real_pthread_detach(pthread_t thread);
int __wrap_pthread_detach(pthread_t thread);

static void *
rescue(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	for (;;) {
		struct start *s = g_queue_pop_head(&waiting);

		if (s == NULL) {
			pthread_cond_wait(&changed, &lock);
			continue;
		}
		pthread_mutex_unlock(&lock);
		s->function(s->argument);
		g_free(s);
		pthread_mutex_lock(&lock);
	}
	return NULL;
}

bool
milter_threads_init(void)
{
	errno = __real_pthread_create(&rescuer, NULL, rescue, NULL);
	if (errno == 0)
		errno = __real_pthread_detach(rescuer);
	return errno == 0;
}

int
__wrap_pthread_detach(pthread_t thread)
{
	return pthread_equal(thread, rescuer) ? EINVAL : __real_pthread_detach(thread);
}

/* Only libmilter's workers have an argument, the session, and no attributes (base/thread.h). */
int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*function)(void *),
		      void *argument)
{
	static struct log_limit limit;
	int error = __real_pthread_create(thread, attr, function, argument);
	struct start *s;

	if (error == 0 || argument == NULL || attr != NULL)
		return error;
	log_limited(&limit, LOG_ERR, "cannot start a thread: %s; connections wait for one that is free",
		    g_strerror(error));
	s = g_new(struct start, 1);
	s->function = function;
	s->argument = argument;
	pthread_mutex_lock(&lock);
	g_queue_push_tail(&waiting, s);
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	return 0;
}
