/*
 * backoff - how long to wait before somebody who failed is asked again; see backoff.h.
 */
#include "core/backoff.h"

#define JITTER_PERCENT 20

int64_t
backoff_wait(guint failures, int64_t asked, uint32_t chance)
{
	int64_t wait = BACKOFF_FIRST, jitter;

	for (guint i = 1; i < failures && wait < BACKOFF_LAST; i++)
		wait *= 2;
	wait = MIN(wait, BACKOFF_LAST);
	jitter = wait / 100 * JITTER_PERCENT;
	wait += (int64_t)chance % (2 * jitter + 1) - jitter;
	return MAX(wait, MIN(asked, BACKOFF_ASKED_MAX));
}
