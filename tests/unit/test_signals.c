/*
 * test_signals - functions called from time to time: no drift, no piling up, changes of period.
 *
 * In seconds, since that is what they are given in; so most of this program is waiting.
 */
#include "fixture.h"

#include "daemon/signals.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define CALLS_MAX 16
#define SLOW 2300000 /* microseconds */

struct calls {
	gint64 at[CALLS_MAX]; /* after the start */
	_Atomic int n;
};

static gint64 started;
static struct calls each_second, slow, never, changing;
static _Atomic bool stopped;

static void
note(struct calls *c)
{
	int n = c->n;

	if (n < CALLS_MAX) {
		c->at[n] = g_get_monotonic_time() - started;
		c->n = n + 1;
	}
}

static void
on_second(void)
{
	note(&each_second);
}

/* Once only: the third second is on its way when it begins. */
static void
on_slow(void)
{
	note(&slow);
	usleep(SLOW);
	signals_every(0, on_slow);
}

static void
on_never(void)
{
	note(&never);
}

static void
on_changing(void)
{
	note(&changing);
	signals_every(2, on_changing);
	signals_every(2, on_changing); /* the same again: nothing begins anew */
}

static void
on_stop(void)
{
	stopped = true;
	for (;;)
		pause();
}

static void *
wait_for_signals(void *unused)
{
	sigset_t set;

	(void)unused;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	signals_wait(&set);
}

/* The calls at these seconds, each at most so much later. */
static void
check_calls(const char *name, const struct calls *c, const double *seconds, int n)
{
	const double patience = g_getenv("POOLMILTER_SLOW") != NULL ? 0.9 : 0.4;

	check_int(name, c->n, n);
	for (int i = 0; i < n; i++) {
		double at = (double)c->at[i] / G_USEC_PER_SEC;

		if (at < seconds[i] - 0.01 || at > seconds[i] + patience)
			fail_msg("case \"%s\": call %d after %.3f s, not %.3f", name, i, at,
				 seconds[i]);
	}
}

static void
test_periods(void **state)
{
	/* A second from the start on; the slow one, before it in the list, takes from 3 to 5.3. */
	static const double seconds[] = {1, 2, 5.3, 6, 7}, slows[] = {3},
			    changes[] = {1, 3 + 2.3, 7};
	pthread_t thread;

	(void)state;
	signals_block();
	signals_handlers(NULL, on_stop);
	started = g_get_monotonic_time();
	signals_every(3, on_slow);
	signals_every(1, on_second);
	signals_every(5, on_never);
	signals_every(0, on_never);
	signals_every(1, on_changing);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_signals, NULL), 0);
	usleep(7500000);
	kill(getpid(), SIGTERM);
	for (int i = 0; i < 200 && !stopped; i++)
		usleep(10000);
	check_true("the signal", stopped);
	check_calls("each second", &each_second, seconds, G_N_ELEMENTS(seconds));
	check_calls("slow, once", &slow, slows, G_N_ELEMENTS(slows));
	check_calls("never", &never, NULL, 0);
	check_calls("changes to two", &changing, changes, G_N_ELEMENTS(changes));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_periods),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
