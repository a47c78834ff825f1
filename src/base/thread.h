/*
 * thread - starts the threads that are ours.
 */
#ifndef POOLMILTER_BASE_THREAD_H
#define POOLMILTER_BASE_THREAD_H

#include <pthread.h>

/**
 * Starts a thread that no signal goes to, nor to those that it starts; to be joined.  0, or an errno.
 * It has attributes, which tells it from libmilter's workers (daemon/milter_threads.c).
 */
int thread_start(pthread_t *thread, void *(*function)(void *), void *argument);

#endif
