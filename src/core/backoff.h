/*
 * backoff - how long to wait before somebody who failed is asked again.
 */
#ifndef POOLMILTER_CORE_BACKOFF_H
#define POOLMILTER_CORE_BACKOFF_H

#include <glib.h>
#include <stdint.h>

#define BACKOFF_FIRST G_USEC_PER_SEC
#define BACKOFF_LAST (300 * G_USEC_PER_SEC)
#define BACKOFF_ASKED_MAX ((int64_t)3600 * G_USEC_PER_SEC)

/**
 * Microseconds until the next try after so many failures in a row (0 counts as 1): BACKOFF_FIRST,
 * doubled with each failure up to BACKOFF_LAST, and up to 20 % less or more, as chance (any number)
 * decides, so that many who failed together do not come back together.  What the other side asked
 * for (microseconds, 0: nothing) is waited for at least, but no more than BACKOFF_ASKED_MAX.
 */
int64_t backoff_wait(guint failures, int64_t asked, uint32_t chance);

#endif
