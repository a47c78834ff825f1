/*
 * loop - the main thread of poolevents; see loop.h.
 *
 * Batches begin BATCH_US apart at least, unless there are more lines than one takes: the disk is
 * synced five times a second and not for each line, and the first line after a pause does not wait.
 *
 * After a failure nothing is read for 1 to 30 seconds; the log has a line when the failure begins,
 * is another one, or ends.
 */
#include "events/loop.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define BATCH_US (G_USEC_PER_SEC / 5)
#define WAIT_MS 1000
#define PAUSE_US_MAX (30 * G_USEC_PER_SEC)

static struct period {
	void (*function)(void);
	gint64 length, next; /* microseconds; of g_get_monotonic_time() */
} periods[LOOP_PERIODS_MAX];

/* Where a loop stands. */
struct state {
	int signals; /* readable when there is one */
	bool over, failed;
	gint64 next;  /* when the next batch may begin */
	gint64 pause; /* after the last failure; 0: all is well */
	char *why;    /* the failure that the log has told of */
};

static void
signal_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

void
loop_block_signals(void)
{
	sigset_t set;

	signal_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* receivers of events, and who reads our answers, may go away */
}

void
loop_every(guint seconds, void (*function)(void))
{
	struct period *p = periods;

	while (p < periods + LOOP_PERIODS_MAX && p->function != NULL)
		p++;
	g_return_if_fail(p < periods + LOOP_PERIODS_MAX);
	p->function = function;
	p->length = seconds * (gint64)G_USEC_PER_SEC;
}

static void
run_periods(void)
{
	gint64 now = g_get_monotonic_time();

	for (guint i = 0; i < LOOP_PERIODS_MAX; i++) {
		struct period *p = &periods[i];

		if (p->function == NULL || now < p->next)
			continue;
		p->function();
		p->next = now + p->length;
	}
}

/* ---- signals ---- */

static void
take_signals(const struct loop *l, struct state *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP) {
			l->reload();
		} else {
			log_line(LOG_NOTICE, "stopping: %s",
				 info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
			s->over = true;
		}
	}
}

/* Waits for a signal, no longer than until a time. */
static void
sleep_until(const struct state *s, gint64 end)
{
	struct pollfd fd = {.fd = s->signals, .events = POLLIN};
	gint64 left = end - g_get_monotonic_time();

	if (left > 0)
		(void)poll(&fd, 1, (int)MIN((left + 999) / 1000, WAIT_MS));
}

/* ---- rounds ---- */

/* Takes why. */
static void
failed(const struct loop *l, struct state *s, char *why)
{
	if (g_strcmp0(why, s->why) != 0)
		log_line(LOG_ERR, "events are not collected: %s", why);
	g_free(s->why);
	s->why = why;
	s->pause = CLAMP(s->pause * 2, (gint64)G_USEC_PER_SEC, (gint64)PAUSE_US_MAX);
	s->next = g_get_monotonic_time() + s->pause;
	s->failed = s->over = s->over || l->once;
}

static void
went_well(struct state *s)
{
	if (s->why != NULL)
		log_line(LOG_NOTICE, "events are collected again");
	g_clear_pointer(&s->why, g_free);
	s->pause = 0;
}

/* A batch, where its time has come; what is left to do. */
static enum collected
collect(const struct loop *l, struct state *s)
{
	gint64 begun = g_get_monotonic_time();
	enum collected got;
	char *why = NULL;

	if (s->pause > 0 && !collector_open(l->collector, false, &why)) {
		failed(l, s, why);
		return COLLECTED_FAILED;
	}
	got = collector_batch(l->collector, &why);
	if (got == COLLECTED_ALL && !collector_idle(l->collector, &why))
		got = COLLECTED_FAILED;
	if (got == COLLECTED_FAILED) {
		failed(l, s, why);
		return got;
	}
	went_well(s);
	s->next = got == COLLECTED_MORE ? begun : begun + BATCH_US;
	return got;
}

static void
take_turn(const struct loop *l, struct state *s)
{
	enum collected got = collect(l, s);

	s->over = s->over || got == COLLECTED_END || (l->once && got == COLLECTED_ALL);
	if (s->over)
		return;
	sleep_until(s, s->next);
	if (got == COLLECTED_ALL || got == COLLECTED_SOON)
		l->source->wait(l->source->context, s->signals, WAIT_MS);
}

bool
loop_run(const struct loop *l)
{
	struct state s = {0};
	sigset_t set;

	signal_set(&set);
	s.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signals < 0) {
		log_line(LOG_ERR, "signals cannot be read: %s", g_strerror(errno));
		return false;
	}
	while (!s.over) {
		run_periods();
		if (g_get_monotonic_time() < s.next)
			sleep_until(&s, s.next);
		else
			take_turn(l, &s);
		take_signals(l, &s);
	}
	close(s.signals);
	g_free(s.why);
	return !s.failed;
}
