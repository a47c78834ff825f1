/*
 * process - becoming a daemon: background, pid file, user.
 */
#ifndef POOLMILTER_IO_PROCESS_H
#define POOLMILTER_IO_PROCESS_H

#include "core/settings.h"

#include <stdbool.h>

/**
 * Forks into the background (double fork, new session, / as directory, standard streams to /dev/null).
 * The caller's process waits until process_ready() and exits with its status.  False with *why.
 */
bool process_detach(char **why);

/** Tells the waiting parent, if any, how the start went: status 0, or an exit status and what is wrong. */
void process_ready(int status, const char *message);

/** Creates and locks a pid file; false with *why if another instance holds it. NULL path: nothing. */
bool process_pid_file(const char *path, char **why);

/** Removes the pid file if it is ours. */
void process_pid_file_remove(void);

/** Creates the state directory if it does not exist, for the user; false with *why. */
bool process_state_dir(const struct settings *s, char **why);

/** As root: changes to settings->user, which must be set, with its groups, for good; false with *why. */
bool process_drop(const struct settings *s, char **why);

/** The pid file of poolevents, in the state directory. */
#define PROCESS_EVENTS_PID_NAME "poolevents.pid"

#endif
