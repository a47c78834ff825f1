/*
 * keys_report - the keys of pools: how each stands, in the settings, in time and in the DNS.
 */
#ifndef POOLMILTER_CTL_KEYS_REPORT_H
#define POOLMILTER_CTL_KEYS_REPORT_H

#include "core/rotation_entry.h"

#include <stdio.h>

struct keys_report;

/**
 * The keys of pools (of struct pool *), in their order, and those of the entries that were theirs.  dns: look
 * for their records, too.  All of it must outlive the report.  Free with keys_report_free().
 */
struct keys_report *keys_report_new(const struct settings *s, const GPtrArray *pools,
				    const GPtrArray *entries, bool dns, int64_t now);
void keys_report_free(struct keys_report *r);

/** A table, and below it what is to be done. */
void keys_report_text(const struct keys_report *r, FILE *out);

/** An array of objects. */
void keys_report_json(const struct keys_report *r, FILE *out);

/** EX_OK; 1 if the record of a key that signs is missing or wrong; EX_TEMPFAIL if the DNS cannot tell. */
int keys_report_status(const struct keys_report *r);

/** "2026-12-08": the day of a time, UTC; g_free it. */
char *keys_report_day(int64_t seconds);

#endif
