/*
 * signals - SIGHUP reloads, SIGTERM and SIGINT stop.
 */
#ifndef POOLMILTER_DAEMON_SIGNALS_H
#define POOLMILTER_DAEMON_SIGNALS_H

#include <signal.h>

/** Blocks the signals of the daemon in this thread and all that it starts. Call it first. */
void signals_block(void);

/**
 * What SIGHUP does, and what ends the process: stop is called when messages in progress have ended, or
 * after 5 seconds, and must not return.  each_minute is called by the same thread.
 */
void signals_handlers(void (*reload)(void), void (*stop)(void), void (*each_minute)(void));

/** Waits for signals of the set and acts on them, in libmilter's signal thread (milter_hooks.c). */
_Noreturn void signals_wait(const sigset_t *set);

#endif
