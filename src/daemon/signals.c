/*
 * signals - SIGHUP reloads, SIGTERM and SIGINT stop; see signals.h.
 *
 * One thread waits for signals, for the next of its periods, and for the control socket, all in one
 * poll().  What it does may take long (a reload, a state file): the rest waits for it, mail does
 * not.  poll(), read() and close() of this thread are milter_io.c's where libmilter is static: they
 * hand on what is no connection of libmilter's.
 */
#include "daemon/signals.h"
#include "base/log.h"
#include "daemon/control.h"
#include "daemon/listener.h"
#include "daemon/session.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_SECONDS 5
#define LONGEST_MS 60000

static void (*on_reload)(void);
static void (*on_stop)(void);

/* All of this belongs to the signal thread once that runs. */
static struct period {
	void (*function)(void); /* NULL: the place is free */
	gint64 length;		/* microseconds; 0: not any more */
	gint64 next;		/* of g_get_monotonic_time() */
} periods[SIGNALS_PERIODS_MAX];

void
signals_block(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* libmilter ignores it only from smfi_main() on */
}

void
signals_handlers(void (*reload)(void), void (*stop)(void))
{
	on_reload = reload;
	on_stop = stop;
}

/* ---- periods ---- */

void
signals_every(guint seconds, void (*function)(void))
{
	gint64 length = seconds * (gint64)G_USEC_PER_SEC;
	struct period *p = periods;

	while (p < periods + SIGNALS_PERIODS_MAX && p->function != NULL && p->function != function)
		p++;
	g_return_if_fail(p < periods + SIGNALS_PERIODS_MAX);
	if (p->function == function && p->length == length)
		return;
	p->function = function;
	p->length = length;
	p->next = length > 0 ? g_get_monotonic_time() + length : G_MAXINT64;
}

static gint64
next_period(void)
{
	gint64 next = G_MAXINT64;

	for (guint i = 0; i < SIGNALS_PERIODS_MAX; i++)
		if (periods[i].function != NULL)
			next = MIN(next, periods[i].next);
	return next;
}

static void
run(struct period *p)
{
	gint64 now;

	p->function(); /* which may change its period */
	now = g_get_monotonic_time();
	if (p->next <= now)
		p->next += ((now - p->next) / p->length + 1) * p->length;
}

static void
run_periods(void)
{
	gint64 now = g_get_monotonic_time();

	for (guint i = 0; i < SIGNALS_PERIODS_MAX; i++)
		if (periods[i].function != NULL && periods[i].next <= now)
			run(&periods[i]);
}

/* ---- signals ---- */

/*
 * The process ends here, in libmilter's signal thread, and never returns to libmilter: its own stop takes
 * up to five seconds, leaves sessions half done and destroys a mutex that another of its threads locks.
 *
 * New connections are refused, new messages deferred; those in progress get time to end.
 */
static void
drain(int signal_number)
{
	const struct timespec moment = {0, 20000000};
	gint64 end = g_get_monotonic_time() + DRAIN_SECONDS * G_USEC_PER_SEC;

	log_line(LOG_NOTICE, "stopping: %s, %d messages in progress",
		 signal_number == SIGINT ? "SIGINT" : "SIGTERM", session_in_progress());
	listener_close();
	control_close();
	session_stop_all();
	while (session_in_progress() > 0 && g_get_monotonic_time() < end)
		nanosleep(&moment, NULL);
}

static void
act(int signal_number)
{
	if (signal_number == SIGHUP) {
		on_reload();
	} else if (signal_number == SIGTERM || signal_number == SIGINT) {
		drain(signal_number);
		on_stop();
	}
}

static void
take_signals(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof info) == sizeof info)
		act((int)info.ssi_signo);
}

/* The descriptor to read signals from; -1: none can be had, try again.  Signals wait meanwhile. */
static int
open_signals(const sigset_t *set)
{
	static struct log_limit often;
	int fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		log_limited(&often, LOG_ERR, "signals cannot be read: %s", g_strerror(errno));
	return fd;
}

/* Milliseconds for poll(), rounded up; not too long, so that no clock can do harm. */
static int
until(gint64 due)
{
	gint64 left = due - g_get_monotonic_time();

	return (int)CLAMP((left + 999) / 1000, 0, LONGEST_MS);
}

void
signals_wait(const sigset_t *set)
{
	struct pollfd fds[1 + CONTROL_WATCH] = {{.fd = -1, .events = POLLIN}};
	gint64 due;

	for (;;) {
		due = next_period();
		if (fds[0].fd < 0 && (fds[0].fd = open_signals(set)) < 0)
			due = MIN(due, g_get_monotonic_time() + G_USEC_PER_SEC);
		control_watch(fds + 1, &due);
		(void)poll(fds, G_N_ELEMENTS(fds), until(due));
		take_signals(fds[0].fd);
		control_serve(fds + 1);
		run_periods();
	}
}
