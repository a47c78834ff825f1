/*
 * daemon_pid - tells the daemon that its pid_file names to reload.
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

/** Sends SIGHUP to the daemon; *why (g_free it) says why not. */
enum daemon_told daemon_pid_reload(const struct settings *s, char **why);

#endif
