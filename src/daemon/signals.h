/*
 * signals - SIGHUP reloads, SIGTERM and SIGINT stop.
 */
#ifndef POOLMILTER_DAEMON_SIGNALS_H
#define POOLMILTER_DAEMON_SIGNALS_H

#include <signal.h>

/** Blocks the signals of the daemon in this thread and all that it starts. Call it first. */
void signals_block(void);

/** What SIGHUP does. */
void signals_on_reload(void (*reload)(void));

/**
 * Waits for signals of the set and acts on them, in libmilter's signal thread (milter_hooks.c).  Returns
 * SIGTERM when the daemon is to stop and messages in progress have ended, or 5 seconds have passed.
 */
int signals_wait(const sigset_t *set);

#endif
