/*
 * reached - which ISPs' total_limits were found reached lately, as far as this node knows.
 *
 * So that recipients are refused early only where it is worth asking the limiter once more.
 */
#ifndef POOLMILTER_CORE_REACHED_H
#define POOLMILTER_CORE_REACHED_H

#include <glib.h>
#include <stdbool.h>

struct reached;

struct reached *reached_new(void);
void reached_free(struct reached *r);

/** A charge of this key was over the limit, until then (monotonic microseconds). Thread-safe. */
void reached_note(struct reached *r, const char *key, gint64 until);

/** True if a charge of this key was, and its time has not come yet. Thread-safe. */
bool reached_lately(struct reached *r, const char *key, gint64 now);

#endif
