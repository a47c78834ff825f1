/*
 * signals - SIGHUP reloads, SIGTERM and SIGINT stop; what the same thread does from time to time.
 */
#ifndef POOLMILTER_DAEMON_SIGNALS_H
#define POOLMILTER_DAEMON_SIGNALS_H

#include <glib.h>
#include <signal.h>

#define SIGNALS_PERIODS_MAX 8

/** Blocks the signals of the daemon in this thread and all that it starts. Call it first. */
void signals_block(void);

/**
 * What SIGHUP does, and what ends the process: stop is called when messages in progress have ended,
 * or after 5 seconds, and must not return.
 */
void signals_handlers(void (*reload)(void), void (*stop)(void));

/**
 * Has function called each so many seconds from now on, in the signal thread; 0: not any more.  A
 * call that comes late does not make later ones late, and those that were missed meanwhile are not
 * made up for.  For a function that is there already this changes the seconds; the same number
 * changes nothing.  Before signals_wait() or from a function that the signal thread calls.
 */
void signals_every(guint seconds, void (*function)(void));

/**
 * Waits for signals of the set and acts on them, in libmilter's signal thread (milter_hooks.c);
 * calls the functions of signals_every(), and serves the control socket.
 */
_Noreturn void signals_wait(const sigset_t *set);

#endif
