/*
 * process_report - what poolctl process tells about a message: for people, and as JSON.
 */
#ifndef POOLMILTER_CTL_PROCESS_REPORT_H
#define POOLMILTER_CTL_PROCESS_REPORT_H

#include "core/message.h"
#include "core/plan.h"

#include <stdio.h>

/** Explanations if there are any, the new envelope or the reply, and the daemon's log line. */
void process_report_text(const struct message *m, const struct plan *p, FILE *out);

/** The same as one JSON object. Octets that are not UTF-8 become U+FFFD. */
void process_report_json(const struct message *m, const struct plan *p, FILE *out);

#endif
