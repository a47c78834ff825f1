/*
 * stats_report - the statistics as a table, as JSON and as CSV; see stats_report.h.
 *
 * Numbers come in any order, each with the key that it is counted under, and add up in lines.  A
 * key that we would not write is passed over: so names are safe in every output as they are.
 */
#include "ctl/stats_report.h"

#include "ctl/report.h"

#include <string.h>

#define HOURS_MAX (3650 * 24)

static const struct {
	const char *word, *head;
} bys[STATS_BYS] = {
	[STATS_BY_POOL] = {"pool", "POOL"},
	[STATS_BY_ISP] = {"isp", "ISP"},
	[STATS_BY_DAY] = {"day", "DAY"},
	[STATS_BY_HOUR] = {"hour", "HOUR"},
};

/* ---- the query */

bool
stats_query_since(struct stats_query *q, const char *text, time_t now)
{
	size_t digits = strspn(text, "0123456789");
	guint64 n = 0;
	int year, month, day, end = 0;

	if (digits > 0 && digits < 6 && text[digits] != '\0' && text[digits + 1] == '\0') {
		n = g_ascii_strtoull(text, NULL, 10) * (text[digits] == 'd' ? 24 : 1);
		if (strchr("hd", text[digits]) == NULL || n == 0 || n > HOURS_MAX)
			return false;
		stats_hour(now - (time_t)n * 3600, q->since);
		return true;
	}
	if (strlen(text) != strlen("2026-11-01") || strspn(text, "0123456789-") != strlen(text) ||
	    sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) != 3 || text[end] != '\0' ||
	    !g_date_valid_dmy((GDateDay)day, (GDateMonth)month, (GDateYear)year))
		return false;
	g_snprintf(q->since, sizeof q->since, "%04d%02d%02d00", year, month, day);
	return true;
}

static bool
take_by(struct stats_query *q, const char *word)
{
	guint by = 0;

	while (by < STATS_BYS && strcmp(word, bys[by].word) != 0)
		by++;
	if (by == STATS_BYS)
		return false;
	for (guint i = 0; i < q->n_by; i++)
		if (q->by[i] == by)
			return false;
	q->by[q->n_by++] = by;
	return true;
}

bool
stats_query_by(struct stats_query *q, const char *text)
{
	char **words = g_strsplit(text, ",", 0);
	bool ok = words[0] != NULL;

	q->n_by = 0;
	for (guint i = 0; ok && words[i] != NULL; i++)
		ok = take_by(q, words[i]);
	g_strfreev(words);
	return ok;
}

bool
stats_query_name(const char *text)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!g_ascii_isalnum(*text) && strchr("._-", *text) == NULL)
			return false;
	return true;
}

/* ---- collecting */

static void
line_free(void *p)
{
	struct stats_line *l = p;

	for (guint i = 0; i < STATS_BYS; i++)
		g_free(l->labels[i]);
	g_free(l);
}

struct stats_report *
stats_report_new(const struct stats_query *q)
{
	struct stats_report *r = g_new0(struct stats_report, 1);

	r->query = *q;
	r->lines = g_ptr_array_new_with_free_func(line_free);
	r->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return r;
}

void
stats_report_free(struct stats_report *r)
{
	if (r == NULL)
		return;
	g_hash_table_destroy(r->index);
	g_ptr_array_unref(r->lines);
	g_free(r);
}

/* A key of ours, taken apart. */
struct key {
	const char *pool, *isp, *hour; /* isp NULL: of a pool as a whole */
};

static bool
key_read(struct key *k, char **part)
{
	guint n = g_strv_length(part);

	if (n == 3 && strcmp(part[0], "p") == 0)
		*k = (struct key){part[1], NULL, part[2]};
	else if (n == 4 && strcmp(part[0], "pi") == 0)
		*k = (struct key){part[1], part[2], part[3]};
	else
		return false;
	return stats_query_name(k->pool) && (k->isp == NULL || stats_query_name(k->isp)) &&
	       strlen(k->hour) == STATS_HOUR_SIZE - 1 &&
	       strspn(k->hour, "0123456789") == strlen(k->hour);
}

char *
stats_report_time(const char *hour)
{
	return g_strdup_printf("%.4s-%.2s-%.2sT%.2s:00Z", hour, hour + 4, hour + 6, hour + 8);
}

static char *
label(const struct key *k, enum stats_by by)
{
	switch (by) {
	case STATS_BY_POOL:
		return g_strdup(k->pool);
	case STATS_BY_ISP:
		return g_strdup(k->isp);
	case STATS_BY_DAY:
		return g_strdup_printf("%.4s-%.2s-%.2s", k->hour, k->hour + 4, k->hour + 6);
	case STATS_BY_HOUR:
		return stats_report_time(k->hour);
	case STATS_BYS:
		break;
	}
	return NULL;
}

static struct stats_line *
line_of(struct stats_report *r, const struct key *k)
{
	struct stats_line *l = g_new0(struct stats_line, 1), *known;
	char *all;

	for (guint i = 0; i < r->query.n_by; i++)
		l->labels[i] = label(k, r->query.by[i]);
	all = g_strjoinv("/", l->labels);
	known = g_hash_table_lookup(r->index, all);
	if (known != NULL) {
		g_free(all);
		line_free(l);
		return known;
	}
	g_hash_table_insert(r->index, all, l);
	g_ptr_array_add(r->lines, l);
	return l;
}

static bool
has_by(const struct stats_query *q, enum stats_by by)
{
	for (guint i = 0; i < q->n_by; i++)
		if (q->by[i] == by)
			return true;
	return false;
}

static bool
asked_for(const struct stats_query *q, const struct key *k)
{
	return strcmp(k->hour, q->since) >= 0 &&
	       (q->pool == NULL || strcmp(k->pool, q->pool) == 0) &&
	       (q->isp == NULL || k->isp == NULL || strcmp(k->isp, q->isp) == 0);
}

/* Sums of what another program has written must not overflow. */
static void
add(int64_t *sum, int64_t value)
{
	*sum = (int64_t)((uint64_t)*sum + (uint64_t)value);
}

void
stats_report_add(struct stats_report *r, const char *key, const char *field, int64_t value)
{
	const struct stats_query *q = &r->query;
	enum stats_field f = stats_field_find(field);
	char **part = g_strsplit(key, "/", 5);
	struct key k;

	if (f != STATS_FIELDS && key_read(&k, part) && asked_for(q, &k)) {
		if ((k.isp != NULL) == (q->isp != NULL || has_by(q, STATS_BY_ISP)))
			add(&line_of(r, &k)->n[f], value);
		if ((k.isp != NULL) == (q->isp != NULL))
			add(&r->total[f], value);
	}
	g_strfreev(part);
}

static int
by_labels(const void *a, const void *b)
{
	const struct stats_line *x = *(struct stats_line *const *)a,
				*y = *(struct stats_line *const *)b;
	int order = 0;

	for (guint i = 0; order == 0 && i < STATS_BYS && x->labels[i] != NULL; i++)
		order = strcmp(x->labels[i], y->labels[i]);
	return order;
}

void
stats_report_sort(struct stats_report *r)
{
	g_ptr_array_sort(r->lines, by_labels);
}

/* ---- a table */

/* Octets as a person reads them: "999", "1.5K"; exact numbers stand in JSON and CSV. */
static char *
size_text(int64_t octets)
{
	static const char units[] = "KMGTPE";
	double size = (double)octets;
	int unit = -1;

	while (size >= 1023.95 && units[unit + 1] != '\0') {
		size /= 1024;
		unit++;
	}
	return unit < 0 ? g_strdup_printf("%d", (int)octets)
			: g_strdup_printf("%.1f%c", size, units[unit]);
}

static char *
number_text(enum stats_field f, int64_t n)
{
	return f == STATS_OCTETS ? size_text(n) : g_strdup_printf("%" G_GINT64_FORMAT, (gint64)n);
}

/* A column that is 0 everywhere only takes room. */
static bool
column_shown(const struct stats_report *r, enum stats_field f)
{
	bool shown = stats_names[f].always || r->total[f] != 0;

	for (guint i = 0; !shown && i < r->lines->len; i++)
		shown = ((struct stats_line *)r->lines->pdata[i])->n[f] != 0;
	return shown;
}

/* What stands in front of a line's numbers: its label, the head, or once the word total. */
static const char *
first_cell(const struct stats_report *r, char *const *labels, const int64_t *n, guint i)
{
	if (labels != NULL)
		return labels[i];
	if (n == NULL)
		return bys[r->query.by[i]].head;
	return i == 0 ? "total" : "";
}

/* A row's cells; labels NULL: the total; n NULL, too: the heads. */
static void
add_row(GPtrArray *cells, const struct stats_report *r, char *const *labels, const int64_t *n)
{
	for (guint i = 0; i < r->query.n_by; i++)
		g_ptr_array_add(cells, g_strdup(first_cell(r, labels, n, i)));
	for (guint f = 0; f < STATS_FIELDS; f++)
		if (column_shown(r, f))
			g_ptr_array_add(cells, n == NULL ? g_strdup(stats_names[f].head)
							 : number_text(f, n[f]));
}

/* Labels to the left, numbers to the right. */
static void
write_cells(const GPtrArray *cells, guint columns, guint labels, FILE *out)
{
	int *widths = g_new0(int, columns);

	for (guint i = 0; i < cells->len; i++)
		widths[i % columns] = MAX(widths[i % columns], (int)strlen(cells->pdata[i]));
	for (guint i = 0; i < cells->len; i++) {
		guint column = i % columns;

		fprintf(out, "%s%*s%s", column > 0 ? "  " : "",
			column < labels ? -widths[column] : widths[column], (char *)cells->pdata[i],
			column + 1 == columns ? "\n" : "");
	}
	g_free(widths);
}

static void
write_nothing(const struct stats_report *r, const char *since, const char *from, FILE *out)
{
	fputs("no mail", out);
	if (r->query.pool != NULL)
		fprintf(out, " of pool %s", r->query.pool);
	if (r->query.isp != NULL)
		fprintf(out, " to %s", r->query.isp);
	fprintf(out, " since %s (%s)\n", since, from);
}

void
stats_report_text(const struct stats_report *r, const char *from, FILE *out)
{
	char *since = stats_report_time(r->query.since);
	GPtrArray *cells = g_ptr_array_new_with_free_func(g_free);
	guint columns;

	if (r->lines->len == 0) {
		write_nothing(r, since, from, out);
	} else {
		fprintf(out, "since %s, from %s\n", since, from);
		if (r->query.isp == NULL && has_by(&r->query, STATS_BY_ISP))
			fputs("a message to several ISPs is in the line of each, and once in the "
			      "total\n",
			      out);
		fputc('\n', out);
		add_row(cells, r, NULL, NULL);
		columns = cells->len;
		for (guint i = 0; i < r->lines->len; i++) {
			struct stats_line *l = r->lines->pdata[i];

			add_row(cells, r, l->labels, l->n);
		}
		add_row(cells, r, NULL, r->total);
		write_cells(cells, columns, r->query.n_by, out);
	}
	g_ptr_array_unref(cells);
	g_free(since);
}

/* ---- for programs */

static void
add_numbers(json_t *object, const int64_t *n)
{
	for (guint f = 0; f < STATS_FIELDS; f++)
		json_object_set_new(object, stats_names[f].name, json_integer(n[f]));
}

json_t *
stats_report_json(const struct stats_report *r, const char *from)
{
	char *since = stats_report_time(r->query.since);
	json_t *by = json_array(), *rows = json_array(), *total = json_object(), *j;

	for (guint i = 0; i < r->query.n_by; i++)
		json_array_append_new(by, json_string(bys[r->query.by[i]].word));
	for (guint i = 0; i < r->lines->len; i++) {
		const struct stats_line *l = r->lines->pdata[i];
		json_t *row = json_object();

		for (guint k = 0; k < r->query.n_by; k++)
			json_object_set_new(row, bys[r->query.by[k]].word,
					    json_string(l->labels[k]));
		add_numbers(row, l->n);
		json_array_append_new(rows, row);
	}
	add_numbers(total, r->total);
	j = json_pack("{sssosososososo}", "since", since, "from", report_text(from), "pool",
		      report_text(r->query.pool), "isp", report_text(r->query.isp), "by", by,
		      "rows", rows, "total", total);
	g_free(since);
	return j;
}

void
stats_report_csv(const struct stats_report *r, FILE *out)
{
	for (guint i = 0; i < r->query.n_by; i++)
		fprintf(out, "%s,", bys[r->query.by[i]].word);
	for (guint f = 0; f < STATS_FIELDS; f++)
		fprintf(out, "%s%s", stats_names[f].name, f + 1 < STATS_FIELDS ? "," : "\r\n");
	for (guint i = 0; i < r->lines->len; i++) {
		const struct stats_line *l = r->lines->pdata[i];

		for (guint k = 0; k < r->query.n_by; k++)
			fprintf(out, "%s,", l->labels[k]);
		for (guint f = 0; f < STATS_FIELDS; f++)
			fprintf(out, "%" G_GINT64_FORMAT "%s", (gint64)l->n[f],
				f + 1 < STATS_FIELDS ? "," : "\r\n");
	}
}
