/*
 * locks_report - the locks of pools to ISPs, for people and programs.
 */
#ifndef POOLMILTER_CTL_LOCKS_REPORT_H
#define POOLMILTER_CTL_LOCKS_REPORT_H

#include <glib.h>
#include <stdint.h>
#include <stdio.h>

/** A line on where they are from, then a table.  locks: of struct lock; now: as in these. */
void locks_report_table(const GArray *locks, const char *where, int64_t now, FILE *out);

/** {"where", "problem", "locks": [...]}, see poolctl(1).  problem: why not of Redis, or NULL. */
void locks_report_json(const GArray *locks, const char *where, const char *problem, int64_t now,
		       FILE *out);

#endif
