/*
 * metrics - the statistics of this process for Prometheus; see metrics.h.
 *
 * Samples of a metric stand together under its HELP and TYPE, as the format wants it, so rows are
 * gone through once for each field.  How many there are of each kind is bounded: the file is
 * written every few seconds, and a Prometheus that takes a million series from each node is no
 * help.
 */
#include "core/metrics.h"

#include <string.h>

G_GNUC_PRINTF(2, 3)
static void
add(struct buf *out, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	buf_puts(out, text);
	g_free(text);
}

static void
head(struct buf *out, const char *name, const char *type, const char *help)
{
	add(out, "# HELP poolmilter_%s %s\n# TYPE poolmilter_%s %s\n", name, help, name, type);
}

static void
single(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
	head(out, name, type, help);
	add(out, "poolmilter_%s %" G_GINT64_FORMAT "\n", name, (gint64)value);
}

/* The format knows three escapes. */
static void
label(struct buf *out, const char *name, const char *value)
{
	add(out, "%s=\"", name);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n')
			buf_puts(out, "\\n");
		else if (*p == '\\' || *p == '"')
			buf_puts(out, *p == '"' ? "\\\"" : "\\\\");
		else
			buf_add(out, p, 1);
	}
	buf_puts(out, "\"");
}

/* ---- of the process */

static void
process(struct stats *s, const struct metrics_now *now, guint left_out, struct buf *out)
{
	head(out, "build_info", "gauge", "Version of poolmilter.");
	add(out, "poolmilter_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	single(out, "start_time_seconds", "gauge", "When the process began, since 1970.",
	       now->started);
	single(out, "pools", "gauge", "Pools in the configuration.", now->pools);
	single(out, "messages_in_progress", "gauge", "Messages between DATA and their end.",
	       now->in_progress);
	if (now->redis)
		single(out, "redis_up", "gauge", "1: Redis answers, 0: it counts as down.",
		       now->redis_up);
	single(out, "limit_keys", "gauge", "Limits' counters in the memory of this node.",
	       now->limit_keys);
	single(out, "stats_keys", "gauge", "Keys of the statistics in the memory of this node.",
	       now->stats_keys);
	single(out, "stats_lost_total", "counter", "Numbers that the statistics had no room for.",
	       (int64_t)stats_lost(s));
	single(out, "metrics_left_out", "gauge",
	       "Pools, ISPs and limits that are not in this file.", left_out);
}

static void
durations(struct stats *s, struct buf *out)
{
	struct stats_durations d;
	uint64_t up_to = 0;

	stats_durations(s, &d);
	head(out, "message_duration_seconds", "histogram",
	     "From the end of a message to the verdict, edits sent.");
	for (guint i = 0; i < STATS_BOUNDS; i++) {
		up_to += d.count[i];
		add(out,
		    "poolmilter_message_duration_seconds_bucket{le=\"%g\"} %" G_GUINT64_FORMAT "\n",
		    (double)stats_bounds_us[i] / G_USEC_PER_SEC, (guint64)up_to);
	}
	up_to += d.count[STATS_BOUNDS];
	add(out, "poolmilter_message_duration_seconds_bucket{le=\"+Inf\"} %" G_GUINT64_FORMAT "\n",
	    (guint64)up_to);
	add(out, "poolmilter_message_duration_seconds_sum %" G_GUINT64_FORMAT ".%06u\n",
	    (guint64)(d.sum_us / G_USEC_PER_SEC), (unsigned)(d.sum_us % G_USEC_PER_SEC));
	add(out, "poolmilter_message_duration_seconds_count %" G_GUINT64_FORMAT "\n",
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

/* pool="acme" and, where second names it, what follows the pool in the key. */
static void
labels(struct buf *out, const struct stats_row *row, const char *second)
{
	char **part = g_strsplit(row->key, "/", 3);

	label(out, "pool", part[1]);
	if (second != NULL) {
		buf_puts(out, ",");
		label(out, second, part[2]);
	}
	g_strfreev(part);
}

static void
field(const struct kind *k, const char *of, const char *second, enum stats_field f, struct buf *out)
{
	char *name = g_strdup_printf("%s_%s_total", of, stats_names[f].name);

	head(out, name, "counter", stats_names[f].help);
	for (guint i = 0; i < k->n; i++) {
		add(out, "poolmilter_%s{", name);
		labels(out, &k->rows[i], second);
		add(out, "} %" G_GINT64_FORMAT "\n", (gint64)k->rows[i].n[f]);
	}
	g_free(name);
}

static void
limits(const struct kind *k, struct buf *out)
{
	head(out, "limit_reached_total", "counter", "What became of mail over a limit.");
	for (guint i = 0; i < k->n; i++)
		for (guint f = 0; f < STATS_FIELDS; f++) {
			if (k->rows[i].n[f] == 0)
				continue;
			buf_puts(out, "poolmilter_limit_reached_total{");
			labels(out, &k->rows[i], "limit");
			add(out, ",outcome=\"%s\"} %" G_GINT64_FORMAT "\n", stats_names[f].name,
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
	for (guint f = 0; f < STATS_FIELDS; f++)
		field(&pools, "pool", NULL, f, out);
	for (guint f = 0; f < STATS_FIELDS; f++)
		if (stats_names[f].of_isp)
			field(&isps, "isp", "isp", f, out);
	limits(&over, out);
	g_array_unref(rows);
}
