/*
 * milter_threads - what happens to a session when libmilter finds no thread for it.
 */
#ifndef POOLMILTER_DAEMON_MILTER_THREADS_H
#define POOLMILTER_DAEMON_MILTER_THREADS_H

#include <stdbool.h>

/** Readies the rescue, while there still are threads; false without one (errno). */
bool milter_threads_init(void);

#endif
