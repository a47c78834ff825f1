/*
 * control - the socket control.sock in the state directory, where poolctl asks this daemon.
 *
 * Served by the signal thread (signals.c), which waits for it together with the signals.  What is
 * asked and answered there stands in io/control_client.h.  Mode 0600: root and the daemon's user.
 */
#ifndef POOLMILTER_DAEMON_CONTROL_H
#define POOLMILTER_DAEMON_CONTROL_H

#include "core/limiter_memory.h"
#include "core/lock_table.h"
#include "core/tally_table.h"

#include <poll.h>

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_WATCH (1 + CONTROL_CLIENTS_MAX)

/** What is asked about; must live until the end of the process. */
struct control_tools {
	struct limiter_memory *limiter;
	struct tally_table *tallies;
	struct lock_table *locks;
	/* How a lock is set and released: true if it is; false with *why (g_free it) if it cannot be, or
	   with NULL there if one there holds, or if there is none. */
	bool (*lock)(const struct lock *l, char **why);
	bool (*release)(const char *pool, const char *isp, char **why);
};

/**
 * Opens the socket, as the user that the daemon runs as.  False with *why (g_free it) if another
 * daemon answers there: two with one state directory would spoil each other's counters.  If it
 * cannot be opened for another reason, the log says so, and mail goes on without it.
 */
bool control_open(const char *state_dir, const struct control_tools *tools, char **why);

/**
 * What poll() has to look at, CONTROL_WATCH entries, unused ones with the descriptor -1; *due (of
 * g_get_monotonic_time()) becomes less if control_serve() must be called before it.
 */
void control_watch(struct pollfd *fds, gint64 *due);

/** Does what can be done without waiting; fds as control_watch() and poll() left them. */
void control_serve(const struct pollfd *fds);

/** Stops serving and removes the socket if it is ours. Thread-safe; later calls do nothing. */
void control_close(void);

#endif
