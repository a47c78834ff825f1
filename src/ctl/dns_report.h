/*
 * dns_report - what poolctl dns check has found, for people and for programs.
 */
#ifndef POOLMILTER_CTL_DNS_REPORT_H
#define POOLMILTER_CTL_DNS_REPORT_H

#include "core/dns_verdict.h"

#include <stdio.h>

/** How many records are how bad; by enum finding_severity. */
struct dns_counts {
	guint good;
	guint worst[FINDING_UNKNOWN + 1];
};

/** Counts verdicts (of struct dns_verdict *). */
struct dns_counts dns_report_count(const GPtrArray *verdicts);

/** Wanted and found side by side, 100 columns wide.  quiet: only what is to be mended. */
void dns_report_text(const GPtrArray *verdicts, bool quiet, FILE *out);

/** One object with "records", "warnings" (the zone's) and "summary".  quiet: the same. */
void dns_report_json(const GPtrArray *verdicts, const struct zone *z, bool quiet, FILE *out);

#endif
