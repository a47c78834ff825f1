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

/**
 * Appends " key=<address>", or " key=-" for NULL, so that it stays one word that can be parsed: what is
 * not printable ASCII, blanks and angle brackets inside become %XX, as does the percent sign itself.  An
 * address longer than RFC 5321 allows is cut ("...").
 */
void outcome_address(GString *line, const char *key, const char *address);

#endif
