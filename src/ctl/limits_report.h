/*
 * limits_report - the sending limits, how much of each is used, and whom they defer.
 */
#ifndef POOLMILTER_CTL_LIMITS_REPORT_H
#define POOLMILTER_CTL_LIMITS_REPORT_H

#include "core/settings.h"
#include "ctl/counters.h"

#include <stdio.h>

struct limits_report;

/** What is asked for. */
struct limits_filter {
	const char *pool; /* limits of this pool only; NULL: all */
	const char *isp;  /* limits to this ISP only; NULL: all */
	bool all;         /* those of the configuration that are not in use as well */
	guint share;      /* 1; of so many nodes where this one counts for itself */
};

/**
 * Reads the limits in use, and those that mail was over in this or the last hour (UTC).  s and
 * filter must live as long.  NULL with *why (g_free it). Free with limits_report_free().
 */
struct limits_report *limits_report_new(const struct settings *s,
					const struct limits_filter *filter, struct counters *c,
					char **why);
void limits_report_free(struct limits_report *r);

/** A line on where it comes from, then a table, the full ones first. */
void limits_report_table(const struct limits_report *r, FILE *out);

/** {"where", "problem", "limits": [...]}, see poolctl(1). problem: why it is not from Redis. */
void limits_report_json(const struct limits_report *r, const char *problem, FILE *out);

/** A line of names, then one for each limit (RFC 4180, with LF). */
void limits_report_csv(const struct limits_report *r, FILE *out);

/** How long the key is that a limit's name, as the log has it, begins with; 0: none. */
size_t limits_report_key_length(const char *name);

/** The key in use that looks most like this one (g_free it); NULL: none does. */
char *limits_report_suggest(const struct limits_report *r, const char *key);

#endif
