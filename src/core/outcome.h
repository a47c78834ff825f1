/*
 * outcome - what was done with a message, in words: the log lines of the daemon and poolctl.
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

#define OUTCOME_EVENT_LINE 1500	      /* octets of a line for poolevents(8), at most */
#define OUTCOME_EVENT_RECIPIENTS 2000 /* in all lines of a message, at most */

/**
 * The lines that tell poolevents(8) for whom a message was treated and what its headers say: "QUEUEID:
 * event:" and words (core/word.h) "header:NAME:VALUE", for the first header of each of these names
 * (of char *), and "rcpt:ADDRESS".  Values are as they came in, unfolded, without blanks around them,
 * and end after 300 octets; addresses longer than RFC 5321 allows are left out.  None if the message
 * goes on untreated, or not at all.  Of char *; g_ptr_array_unref() it.
 */
GPtrArray *outcome_event_lines(const struct message *m, const struct plan *p, const GPtrArray *headers);

/**
 * Appends " key=<address>", or " key=-" for NULL, so that it stays one word that can be parsed: what is
 * not printable ASCII, blanks and angle brackets inside become %XX, as does the percent sign itself.  An
 * address longer than RFC 5321 allows is cut ("...").
 */
void outcome_address(GString *line, const char *key, const char *address);

#endif
