/*
 * thread - starts the threads that are ours; see thread.h.
 */
#include "base/thread.h"

#include <signal.h>

int
thread_start(pthread_t *thread, void *(*function)(void *), void *argument)
{
	pthread_attr_t attributes;
	sigset_t all, old;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return error;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(thread, &attributes, function, argument);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}
