/*
 * zone_report - the records that pools want, as a zone file, as a table and as JSON.
 */
#ifndef POOLMILTER_CTL_ZONE_REPORT_H
#define POOLMILTER_CTL_ZONE_REPORT_H

#include "core/zone.h"

#include <stdio.h>

/**
 * A fragment of a zone file (RFC 1035 5.1) with full names and TTLs, so that it may be included
 * anywhere; what is not to replace anything stands there as a comment.
 */
void zone_report_bind(const struct zone *z, FILE *out);

/** A line for each record, its text as web forms take it: in one piece, without quotes. */
void zone_report_table(const struct zone *z, FILE *out);

/** One object with "records" and "warnings". */
void zone_report_json(const struct zone *z, FILE *out);

#endif
