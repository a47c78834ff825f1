/*
 * daemon_pid - tells the daemons of this node to reload.
 */
#ifndef POOLMILTER_CTL_DAEMON_PID_H
#define POOLMILTER_CTL_DAEMON_PID_H

#include "core/settings.h"

enum daemon_told {
	DAEMON_TOLD,
	DAEMON_ABSENT,  /* it does not run */
	DAEMON_UNKNOWN, /* no pid_file tells which process it is */
	DAEMON_DENIED,  /* without the rights to */
};

/** Sends SIGHUP to poolmilter, which pid_file names; *why (g_free it) says why not. */
enum daemon_told daemon_pid_reload(const struct settings *s, char **why);

/** The same to the poolevents of the state directory. */
enum daemon_told daemon_pid_reload_events(const struct settings *s, char **why);

#endif
