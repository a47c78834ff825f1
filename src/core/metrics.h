/*
 * metrics - the statistics of this process in Prometheus' text format, version 0.0.4.
 */
#ifndef POOLMILTER_CORE_METRICS_H
#define POOLMILTER_CORE_METRICS_H

#include "base/buf.h"
#include "core/stats.h"

/** What the statistics do not know. */
struct metrics_now {
	time_t started;	     /* of the process, seconds since 1970 */
	guint pools;	     /* in the settings */
	int in_progress;     /* messages between DATA and their end */
	bool redis;	     /* limits and statistics are shared: redis_up counts */
	bool redis_up;
	guint limit_keys;    /* limiter_memory_size() of this node */
	guint stats_keys;    /* tally_table_size() of what is counted here */
};

#define METRICS_ROWS_MAX 10000 /* of pools, of pools x ISPs, and of limits: more are left out */

/** Appends all metrics; ask buf_failed(out). */
void metrics_text(struct stats *s, const struct metrics_now *now, struct buf *out);

#endif
