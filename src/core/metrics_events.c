/*
 * metrics_events - what became of the mail, for Prometheus; see metrics_events.h.
 *
 * Samples of a metric stand together, so what is to be written is collected first.
 */
#include "core/metrics_events.h"
#include "core/event_stats.h"
#include "core/metric_text.h"
#include "core/metrics.h" /* METRICS_ROWS_MAX */

#include <string.h>

#define EVENT_FIELDS (STATS_FIELDS - STATS_MESSAGE_FIELDS)

struct row {
	char *key; /* without EVENT_STATS_TOTAL */
	int64_t n[EVENT_FIELDS];
};

struct metrics_events {
	GTree *rows; /* key -> struct row, sorted */
	guint left_out;
	GArray *destinations; /* of struct metrics_destination, names copied */
};

static gint
by_key(gconstpointer a, gconstpointer b, gpointer unused)
{
	(void)unused;
	return strcmp(a, b);
}

static void
row_free(void *p)
{
	struct row *r = p;

	g_free(r->key);
	g_free(r);
}

static void
destination_clear(void *p)
{
	g_free((char *)((struct metrics_destination *)p)->name);
}

struct metrics_events *
metrics_events_new(void)
{
	struct metrics_events *m = g_new0(struct metrics_events, 1);

	m->rows = g_tree_new_full(by_key, NULL, NULL, row_free);
	m->destinations = g_array_new(FALSE, FALSE, sizeof(struct metrics_destination));
	g_array_set_clear_func(m->destinations, destination_clear);
	return m;
}

void
metrics_events_free(struct metrics_events *m)
{
	g_tree_destroy(m->rows);
	g_array_unref(m->destinations);
	g_free(m);
}

void
metrics_events_total(const char *key, const char *field, int64_t value, void *context)
{
	struct metrics_events *m = context;
	enum stats_field f = stats_field_find(field);
	struct row *r;

	if (!g_str_has_prefix(key, EVENT_STATS_TOTAL) || f < STATS_MESSAGE_FIELDS || f == STATS_FIELDS)
		return;
	key += strlen(EVENT_STATS_TOTAL);
	r = g_tree_lookup(m->rows, key);
	if (r == NULL && g_tree_nnodes(m->rows) >= 2 * METRICS_ROWS_MAX) {
		m->left_out++;
		return;
	}
	if (r == NULL) {
		r = g_new0(struct row, 1);
		r->key = g_strdup(key);
		g_tree_insert(m->rows, r->key, r);
	}
	r->n[f - STATS_MESSAGE_FIELDS] += value;
}

void
metrics_events_destination(struct metrics_events *m, const struct metrics_destination *d)
{
	struct metrics_destination copy = *d;

	copy.name = g_strdup(d->name);
	g_array_append_val(m->destinations, copy);
}

/* ---- writing */

struct sampling {
	struct buf *out;
	const char *prefix; /* of keys */
	const char *of;	    /* "pool" or "isp" */
	guint f;	    /* in a row */
};

static gboolean
sample(gpointer key, gpointer value, gpointer context)
{
	const struct row *r = value;
	const struct sampling *field = context;

	if (!g_str_has_prefix(key, field->prefix))
		return FALSE;
	metric_add(field->out, "poolmilter_%s_%s_total{", field->of,
		   stats_names[STATS_MESSAGE_FIELDS + field->f].name);
	metric_key_labels(field->out, key, strcmp(field->of, "isp") == 0 ? "isp" : NULL);
	metric_add(field->out, "} %" G_GINT64_FORMAT "\n", (gint64)r->n[field->f]);
	return FALSE;
}

static void
fields(const struct metrics_events *m, const char *prefix, const char *of, struct buf *out)
{
	for (guint f = 0; f < EVENT_FIELDS; f++) {
		const struct stats_name *n = &stats_names[STATS_MESSAGE_FIELDS + f];
		struct sampling field = {out, prefix, of, f};
		char *name = g_strdup_printf("%s_%s_total", of, n->name);

		metric_head(out, name, "counter", n->help);
		g_tree_foreach(m->rows, sample, &field);
		g_free(name);
	}
}

static int64_t
waiting(const struct metrics_destination *d)
{
	return (int64_t)d->waiting;
}

static int64_t
dead(const struct metrics_destination *d)
{
	return (int64_t)d->dead;
}

static int64_t
oldest(const struct metrics_destination *d)
{
	return d->oldest;
}

static int64_t
failures(const struct metrics_destination *d)
{
	return d->failures;
}

static void
destinations(const struct metrics_events *m, struct buf *out)
{
	static const struct {
		const char *name, *help;
		int64_t (*value)(const struct metrics_destination *d);
	} gauges[] = {
		{"events_waiting", "Events that wait for a destination.", waiting},
		{"events_dead", "Events that a destination did not take in time.", dead},
		{"events_oldest_seconds", "How long the first event waits.", oldest},
		{"events_failures", "Failures of a destination in a row.", failures},
	};

	for (guint g = 0; g < G_N_ELEMENTS(gauges); g++) {
		metric_head(out, gauges[g].name, "gauge", gauges[g].help);
		for (guint i = 0; i < m->destinations->len; i++) {
			const struct metrics_destination *d =
				&g_array_index(m->destinations, struct metrics_destination, i);

			metric_add(out, "poolmilter_%s{", gauges[g].name);
			metric_label(out, "destination", d->name);
			metric_add(out, "} %" G_GINT64_FORMAT "\n", (gint64)gauges[g].value(d));
		}
	}
}

void
metrics_events_text(const struct metrics_events *m, time_t started, int64_t behind, struct buf *out)
{
	metric_head(out, "events_build_info", "gauge", "Version of poolevents.");
	metric_add(out, "poolmilter_events_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	metric_single(out, "events_start_time_seconds", "gauge",
		      "When poolevents began, since 1970.", started);
	metric_single(out, "events_behind_seconds", "gauge",
		      "Age of the log's line that was read last, 0 if all is read.", behind);
	metric_single(out, "events_metrics_left_out", "gauge",
		      "Numbers of pools and ISPs that are not in this file.", m->left_out);
	fields(m, "p/", "pool", out);
	fields(m, "pi/", "isp", out);
	destinations(m, out);
}
