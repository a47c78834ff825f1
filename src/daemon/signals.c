/*
 * signals - SIGHUP reloads, SIGTERM and SIGINT stop; see signals.h.
 */
#include "daemon/signals.h"
#include "base/log.h"
#include "daemon/listener.h"
#include "daemon/session.h"

#include <pthread.h>
#include <time.h>

#define DRAIN_SECONDS 5
#define MINUTE ((gint64)60 * G_USEC_PER_SEC)

static void (*on_reload)(void);
static void (*on_stop)(void);
static void (*on_minute)(void);

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
signals_handlers(void (*reload)(void), void (*stop)(void), void (*each_minute)(void))
{
	on_reload = reload;
	on_stop = stop;
	on_minute = each_minute;
}

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
	session_stop_all();
	while (session_in_progress() > 0 && g_get_monotonic_time() < end)
		nanosleep(&moment, NULL);
}

void
signals_wait(const sigset_t *set)
{
	gint64 next = g_get_monotonic_time() + MINUTE;

	for (;;) {
		gint64 now = g_get_monotonic_time(), left = MAX(0, next - now);
		const struct timespec pause = {(time_t)(left / G_USEC_PER_SEC),
					       (long)(left % G_USEC_PER_SEC) * 1000};
		int signal_number = sigtimedwait(set, NULL, &pause);

		if (g_get_monotonic_time() >= next) {
			on_minute();
			next = g_get_monotonic_time() + MINUTE;
		}
		if (signal_number == SIGHUP) {
			on_reload();
		} else if (signal_number == SIGTERM || signal_number == SIGINT) {
			drain(signal_number);
			on_stop();
		}
	}
}
