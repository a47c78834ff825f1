/*
 * stats_report - the statistics as a table, as JSON and as CSV.
 */
#ifndef POOLMILTER_CTL_STATS_REPORT_H
#define POOLMILTER_CTL_STATS_REPORT_H

#include "core/stats.h"

#include <jansson.h>
#include <stdio.h>

/** What a line of the report is for. */
enum stats_by {
	STATS_BY_POOL,
	STATS_BY_ISP,
	STATS_BY_DAY,
	STATS_BY_HOUR,
	STATS_BYS /* how many there are */
};

struct stats_query {
	const char *pool;	     /* only this; NULL: all */
	const char *isp;	     /* only this; NULL: all */
	char since[STATS_HOUR_SIZE]; /* the first hour */
	enum stats_by by[STATS_BYS];
	guint n_by;
};

/** Reads "24h", "7d" or "2026-11-01" (UTC); the first hour is the one in which that time is. */
bool stats_query_since(struct stats_query *q, const char *text, time_t now);

/** Reads "pool,hour"; false if a word is none of pool, isp, day, hour, or is there twice. */
bool stats_query_by(struct stats_query *q, const char *text);

/** True if it can be the name of a pool or an ISP record, or "-". */
bool stats_query_name(const char *text);

struct stats_line {
	char *labels[STATS_BYS]; /* n_by of them; times as in ISO 8601 */
	int64_t n[STATS_FIELDS];
};

struct stats_report {
	struct stats_query query;
	GPtrArray *lines; /* of struct stats_line *, sorted by their labels after stats_report_sort() */
	int64_t total[STATS_FIELDS]; /* a message to several ISPs counts once, but with query.isp */
	GHashTable *index;	     /* labels to struct stats_line */
};

/** A report without numbers; the query's strings must live as long. Free with stats_report_free(). */
struct stats_report *stats_report_new(const struct stats_query *q);
void stats_report_free(struct stats_report *r);

/** Adds a number of the statistics (core/stats.h), if it is asked for. */
void stats_report_add(struct stats_report *r, const char *key, const char *field, int64_t value);

/** Brings the lines in order; before anything is written. */
void stats_report_sort(struct stats_report *r);

/** Writes a table for people; from: where the numbers come from. */
void stats_report_text(const struct stats_report *r, const char *from, FILE *out);

/** {"since", "from", "pool", "isp", "by": [...], "rows": [...], "total": {...}}. The caller's. */
json_t *stats_report_json(const struct stats_report *r, const char *from);

/** Writes CSV (RFC 4180) with a header line, without totals. */
void stats_report_csv(const struct stats_report *r, FILE *out);

/** "2026112013" as "2026-11-20T13:00Z"; g_free it. */
char *stats_report_time(const char *hour);

#endif
