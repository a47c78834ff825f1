/*
 * metrics - the statistics of this process for Prometheus; see metrics.h.
 *
 * Samples of a metric stand together under its HELP and TYPE, as the format wants it, so rows are
 * gone through once for each field.  How many there are of each kind is bounded: the file is
 * written every few seconds, and a Prometheus that takes a million series from each node is no
 * help.
 */
#include "core/metrics.h"
#include "core/metric_text.h"

#include <string.h>

/* ---- of the process */

static void
process(struct stats *s, const struct metrics_now *now, guint left_out, struct buf *out)
{
	metric_head(out, "build_info", "gauge", "Version of poolmilter.");
	metric_add(out, "poolmilter_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	metric_single(out, "start_time_seconds", "gauge", "When the process began, since 1970.",
	       now->started);
	metric_single(out, "pools", "gauge", "Pools in the configuration.", now->pools);
	metric_single(out, "messages_in_progress", "gauge", "Messages between DATA and their end.",
	       now->in_progress);
	if (now->redis)
		metric_single(out, "redis_up", "gauge", "1: Redis answers, 0: it counts as down.",
		       now->redis_up);
	metric_single(out, "limit_keys", "gauge", "Limits' counters in the memory of this node.",
	       now->limit_keys);
	metric_single(out, "stats_keys", "gauge", "Keys of the statistics in the memory of this node.",
	       now->stats_keys);
	metric_single(out, "stats_lost_total", "counter", "Numbers that the statistics had no room for.",
	       (int64_t)stats_lost(s));
	metric_single(out, "metrics_left_out", "gauge",
	       "Pools, ISPs and limits that are not in this file.", left_out);
}

static void
durations(struct stats *s, struct buf *out)
{
	struct stats_durations d;
	uint64_t up_to = 0;

	stats_durations(s, &d);
	metric_head(out, "message_duration_seconds", "histogram",
	     "From the end of a message to the verdict, edits sent.");
	for (guint i = 0; i < STATS_BOUNDS; i++) {
		up_to += d.count[i];
		metric_add(out,
		    "poolmilter_message_duration_seconds_bucket{le=\"%g\"} %" G_GUINT64_FORMAT "\n",
		    (double)stats_bounds_us[i] / G_USEC_PER_SEC, (guint64)up_to);
	}
	up_to += d.count[STATS_BOUNDS];
	metric_add(out, "poolmilter_message_duration_seconds_bucket{le=\"+Inf\"} %" G_GUINT64_FORMAT "\n",
	    (guint64)up_to);
	metric_add(out, "poolmilter_message_duration_seconds_sum %" G_GUINT64_FORMAT ".%06u\n",
	    (guint64)(d.sum_us / G_USEC_PER_SEC), (unsigned)(d.sum_us % G_USEC_PER_SEC));
	metric_add(out, "poolmilter_message_duration_seconds_count %" G_GUINT64_FORMAT "\n",
	    (guint64)up_to);
}

/* ---- of rows */

/* Rows of one kind, in their order. */
struct kind {
	const struct stats_row *rows;
	guint n;
};

static bool
is_kind(const GArray *all, guint i, const char *prefix)
{
	return g_str_has_prefix(g_array_index(all, struct stats_row, i).key, prefix);
}

/* Finds them among all, which are sorted; returns how many are over the maximum. */
static guint
kind_of(const GArray *all, const char *prefix, struct kind *k)
{
	guint first = 0, end;

	while (first < all->len && !is_kind(all, first, prefix))
		first++;
	for (end = first; end < all->len && is_kind(all, end, prefix); end++)
		;
	k->rows = &g_array_index(all, struct stats_row, first);
	k->n = MIN(end - first, METRICS_ROWS_MAX);
	return end - first - k->n;
}

static void
field(const struct kind *k, const char *of, const char *second, enum stats_field f, struct buf *out)
{
	char *name = g_strdup_printf("%s_%s_total", of, stats_names[f].name);

	metric_head(out, name, "counter", stats_names[f].help);
	for (guint i = 0; i < k->n; i++) {
		metric_add(out, "poolmilter_%s{", name);
		metric_key_labels(out, k->rows[i].key, second);
		metric_add(out, "} %" G_GINT64_FORMAT "\n", (gint64)k->rows[i].n[f]);
	}
	g_free(name);
}

static void
limits(const struct kind *k, struct buf *out)
{
	metric_head(out, "limit_reached_total", "counter", "What became of mail over a limit.");
	for (guint i = 0; i < k->n; i++)
		for (guint f = 0; f < STATS_MESSAGE_FIELDS; f++) {
			if (k->rows[i].n[f] == 0)
				continue;
			buf_puts(out, "poolmilter_limit_reached_total{");
			metric_key_labels(out, k->rows[i].key, "limit");
			metric_add(out, ",outcome=\"%s\"} %" G_GINT64_FORMAT "\n", stats_names[f].name,
			    (gint64)k->rows[i].n[f]);
		}
}

void
metrics_text(struct stats *s, const struct metrics_now *now, struct buf *out)
{
	GArray *rows = stats_rows(s);
	struct kind pools, isps, over;
	guint left_out = kind_of(rows, "p/", &pools);

	left_out += kind_of(rows, "pi/", &isps);
	left_out += kind_of(rows, "over/", &over);
	process(s, now, left_out, out);
	durations(s, out);
	for (guint f = 0; f < STATS_MESSAGE_FIELDS; f++)
		field(&pools, "pool", NULL, f, out);
	for (guint f = 0; f < STATS_MESSAGE_FIELDS; f++)
		if (stats_names[f].of_isp)
			field(&isps, "isp", "isp", f, out);
	limits(&over, out);
	g_array_unref(rows);
}
