/*
 * outcome - what was done with a message, in words: the log line of the daemon and poolctl.
 */
#ifndef POOLMILTER_CORE_OUTCOME_H
#define POOLMILTER_CORE_OUTCOME_H

#include "core/message.h"
#include "core/plan.h"

/**
 * The line of a message, as poolmilter(8) documents it: queue ID, then key=value in a fixed order, '-'
 * for what was not used.  took: microseconds; negative: not measured.  g_string_free() it.
 */
GString *outcome_line(const struct message *m, const struct plan *p, gint64 took);

#endif
