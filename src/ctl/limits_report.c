/*
 * limits_report - the sending limits and whom they defer; see limits_report.h.
 *
 * A row is a limit of a key.  It comes from the counters, from the tallies of mail that was over it
 * (a limit of a second is hardly ever seen in use), or, if all are asked for, from the
 * configuration.
 */
#include "ctl/limits_report.h"
#include "core/isp.h"
#include "core/limits.h"
#include "core/setting_table.h"
#include "core/stats.h"
#include "ctl/report.h"

#include <string.h>
#include <time.h>

enum hour { THIS_HOUR, LAST_HOUR, HOURS };

/* What became of a pool's mail that was over a limit. */
struct over {
	char *pool;
	int64_t n[HOURS][STATS_FIELDS];
};

struct row {
	char *name; /* as the log has it */
	char *key;
	char **parts; /* of the key */
	struct limit limit;
	uint32_t most;
	uint64_t used;
	int64_t wait_us;
	GPtrArray *over; /* of struct over * */
};

struct limits_report {
	const struct settings *settings;
	const struct limits_filter *filter;
	char *where;
	char hours[HOURS][STATS_HOUR_SIZE];
	GPtrArray *rows;     /* of struct row * */
	GHashTable *by_name; /* name to struct row * */
};

/* ---- keys ---- */

/* How long the name of a pool or record is that text begins with. */
static size_t
name_length(const char *text)
{
	size_t len = 0;

	while (g_ascii_isalnum(text[len]) || strchr("._-", text[len]) != NULL) {
		if (text[len] == '\0')
			break;
		len++;
	}
	return len;
}

size_t
limits_report_key_length(const char *name)
{
	const char *p = name + strcspn(name, "/");
	int parts = g_str_has_prefix(name, "pi/") ? 2 : 1;

	if (parts == 1 && !g_str_has_prefix(name, "p/") && !g_str_has_prefix(name, "i/"))
		return 0;
	for (; parts > 0; parts--) {
		size_t len = *p == '/' ? name_length(p + 1) : 0;

		if (len == 0)
			return 0;
		p += 1 + len;
	}
	return *p == '\0' || *p == '/' ? (size_t)(p - name) : 0;
}

static const char *
pool_of(const struct row *row)
{
	return *row->key == 'p' ? row->parts[1] : NULL;
}

static const char *
isp_of(const struct row *row)
{
	return g_str_has_prefix(row->key, "p/") ? NULL : row->parts[*row->key == 'p' ? 2 : 1];
}

static bool
wanted(const struct limits_report *r, const struct row *row)
{
	const struct limits_filter *f = r->filter;

	return (f->pool == NULL || g_strcmp0(f->pool, pool_of(row)) == 0) &&
	       (f->isp == NULL || g_strcmp0(f->isp, isp_of(row)) == 0);
}

/* ---- rows ---- */

static void
over_free(void *p)
{
	struct over *o = p;

	g_free(o->pool);
	g_free(o);
}

static void
row_free(void *p)
{
	struct row *row = p;

	g_free(row->name);
	g_free(row->key);
	g_strfreev(row->parts);
	g_ptr_array_unref(row->over);
	g_free(row);
}

static struct row *
row_new(const char *key, struct limit limit)
{
	struct row *row = g_new0(struct row, 1);
	char *text = limit_text(limit);

	row->name = g_strdup_printf("%s/%s", key, text);
	row->key = g_strdup(key);
	row->parts = g_strsplit(key, "/", -1);
	row->limit = limit;
	row->over = g_ptr_array_new_with_free_func(over_free);
	g_free(text);
	return row;
}

/* The row of a key and limit, a new one if there is none; NULL if it is not asked for. */
static struct row *
row_of(struct limits_report *r, const char *key, struct limit limit)
{
	struct row *row = row_new(key, limit), *there = g_hash_table_lookup(r->by_name, row->name);

	if (there != NULL || !wanted(r, row)) {
		row_free(row);
		return there;
	}
	row->most = MAX(1, limit.most / r->filter->share);
	g_ptr_array_add(r->rows, row);
	g_hash_table_insert(r->by_name, row->name, row);
	return row;
}

static void
add_use(const struct limiter_use *use, void *context)
{
	size_t len = limits_report_key_length(use->key);
	struct row *row;

	if (len == 0 || use->key[len] != '\0')
		return; /* somebody else's */
	row = row_of(context, use->key, use->limit);
	if (row == NULL)
		return;
	row->most = use->most;
	row->used = use->used;
	row->wait_us = use->wait_us;
}

static struct over *
over_of(struct row *row, const char *pool)
{
	struct over *o;

	for (guint i = 0; i < row->over->len; i++) {
		o = row->over->pdata[i];
		if (strcmp(o->pool, pool) == 0)
			return o;
	}
	o = g_new0(struct over, 1);
	o->pool = g_strdup(pool);
	g_ptr_array_add(row->over, o);
	return o;
}

/* name: "pi/acme/gmail/20/second". */
static void
add_over(struct limits_report *r, const char *pool, const char *name, int hour,
	 enum stats_field field, int64_t value)
{
	size_t len = limits_report_key_length(name);
	struct limit limit;
	struct row *row;
	char *key;

	if (len == 0 || name[len] != '/' || !limit_parse(name + len + 1, &limit))
		return;
	key = g_strndup(name, len);
	row = row_of(r, key, limit);
	if (row != NULL)
		over_of(row, pool)->n[hour][field] += value;
	g_free(key);
}

/* Which of the hours it is; HOURS: none. */
static int
find_hour(const struct limits_report *r, const char *hour)
{
	int h = 0;

	while (h < HOURS && strcmp(r->hours[h], hour) != 0)
		h++;
	return h;
}

/* key: "over/POOL/NAME/HOUR". */
static void
add_tally(const char *key, const char *field_name, int64_t value, void *context)
{
	struct limits_report *r = context;
	enum stats_field field = stats_field_find(field_name);
	const char *pool = key + strlen("over/"), *hour = strrchr(key, '/');
	size_t len = name_length(pool);
	char *pool_name, *name;
	int h = hour != NULL ? find_hour(r, hour + 1) : HOURS;

	if (field == STATS_FIELDS || h == HOURS || len == 0 || pool[len] != '/' ||
	    pool + len >= hour)
		return;
	pool_name = g_strndup(pool, len);
	name = g_strndup(pool + len + 1, (gsize)(hour - pool) - len - 1);
	add_over(r, pool_name, name, h, field, value);
	g_free(pool_name);
	g_free(name);
}

/* ---- the configuration's ---- */

static void
add_records(GPtrArray *isps, const GPtrArray *records)
{
	for (guint i = 0; i < records->len; i++)
		if (!((const struct isp *)records->pdata[i])->replaced)
			g_ptr_array_add(isps, records->pdata[i]);
}

static void
add_pool(struct limits_report *r, const struct pool *p, const GPtrArray *isps)
{
	GArray *charges = limits_of(p, isps);

	for (guint i = 0; charges != NULL && i < charges->len; i++) {
		const struct charge *c = &g_array_index(charges, struct charge, i);

		row_of(r, c->key, c->limit);
	}
	if (charges != NULL)
		g_array_unref(charges);
}

static void
add_configured(struct limits_report *r)
{
	const struct settings *s = r->settings;
	GPtrArray *isps = g_ptr_array_new();

	add_records(isps, s->isps);
	add_records(isps, s->shipped_isps);
	if (!g_ptr_array_find(isps, s->default_isp, NULL))
		g_ptr_array_add(isps, s->default_isp);
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		if (r->filter->pool == NULL || strcmp(r->filter->pool, p->name) == 0)
			add_pool(r, p, isps);
	}
	g_ptr_array_free(isps, TRUE);
}

/* ---- the report ---- */

/* The full ones, then the fuller one, then by name. */
static int
compare(const void *a, const void *b)
{
	const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
	uint64_t used_x = x->used * y->most, used_y = y->used * x->most;

	if ((x->wait_us > 0) != (y->wait_us > 0))
		return x->wait_us > 0 ? -1 : 1;
	if (used_x != used_y)
		return used_x > used_y ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct limits_report *
limits_report_new(const struct settings *s, const struct limits_filter *filter, struct counters *c,
		  char **why)
{
	struct limits_report *r = g_new0(struct limits_report, 1);
	time_t now = time(NULL);

	r->settings = s;
	r->filter = filter;
	r->where = g_strdup(counters_where(c));
	stats_hour(now, r->hours[THIS_HOUR]);
	stats_hour(now - 3600, r->hours[LAST_HOUR]);
	r->rows = g_ptr_array_new_with_free_func(row_free);
	r->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	if (!counters_each_limit(c, add_use, r, why) ||
	    !counters_each_tally(c, "over/", add_tally, r, why)) {
		limits_report_free(r);
		return NULL;
	}
	if (filter->all)
		add_configured(r);
	g_ptr_array_sort(r->rows, compare);
	return r;
}

void
limits_report_free(struct limits_report *r)
{
	g_hash_table_destroy(r->by_name);
	g_ptr_array_free(r->rows, TRUE);
	g_free(r->where);
	g_free(r);
}

char *
limits_report_suggest(const struct limits_report *r, const char *key)
{
	struct setting *keys = g_new0(struct setting, r->rows->len);
	const struct setting_table table = {.settings = keys, .count = r->rows->len};
	char *near;

	for (guint i = 0; i < r->rows->len; i++)
		keys[i].name = ((const struct row *)r->rows->pdata[i])->key;
	near = g_strdup(setting_suggest(&table, key));
	g_free(keys);
	return near;
}

/* ---- words ---- */

static char *
words_of(const struct row *row)
{
	return limits_words(&(struct charge){.key = row->key, .limit = row->limit});
}

static char *
wait_words(int64_t us)
{
	int64_t seconds = (us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC;

	if (us == 0)
		return g_strdup("now");
	if (seconds < 120)
		return g_strdup_printf("in %d s", (int)seconds);
	if (seconds < 7200)
		return g_strdup_printf("in %d min", (int)((seconds + 59) / 60));
	return g_strdup_printf("in %d h", (int)((seconds + 3599) / 3600));
}

static int
percent(const struct row *row)
{
	return (int)(row->used * 100 / row->most);
}

static int64_t
both_hours(const struct over *o, enum stats_field field)
{
	return o->n[THIS_HOUR][field] + o->n[LAST_HOUR][field];
}

/* Messages, and recipients that were refused before there was one. */
static int64_t
deferred(const struct over *o)
{
	return both_hours(o, STATS_DEFERRED) + both_hours(o, STATS_DEFERRED_RECIPIENTS);
}

/* "acme 120, shop 3 (2 held)"; "-" for none; g_free it. */
static char *
over_words(const struct row *row)
{
	static const enum stats_field others[] = {STATS_HELD, STATS_WARNED, STATS_REJECTED};
	GString *words = g_string_new(NULL);

	for (guint i = 0; i < row->over->len; i++) {
		const struct over *o = row->over->pdata[i];

		g_string_append_printf(words, "%s%s %" G_GINT64_FORMAT, i > 0 ? ", " : "", o->pool,
				       (gint64)deferred(o));
		for (guint k = 0; k < G_N_ELEMENTS(others); k++)
			if (both_hours(o, others[k]) != 0)
				g_string_append_printf(words, " (%" G_GINT64_FORMAT " %s)",
						       (gint64)both_hours(o, others[k]),
						       stats_names[others[k]].name);
	}
	if (words->len == 0)
		g_string_append_c(words, '-');
	return g_string_free(words, FALSE);
}

/* ---- the table ---- */

enum column { LIMIT, USED, PERCENT, ROOM, DEFERRED, KEY, COLUMNS };

static void
fill(const struct row *row, char *cells[COLUMNS])
{
	cells[LIMIT] = words_of(row);
	cells[USED] = g_strdup_printf("%" G_GUINT64_FORMAT "/%u", (guint64)row->used, row->most);
	cells[PERCENT] = g_strdup_printf("%d", percent(row));
	cells[ROOM] = wait_words(row->wait_us);
	cells[DEFERRED] = over_words(row);
	cells[KEY] = g_strdup(row->key);
}

static void
print_cells(FILE *out, const char *const cells[COLUMNS], const int widths[COLUMNS])
{
	fprintf(out, "%-*s  %*s  %*s  %-*s  %-*s  %s\n", widths[LIMIT], cells[LIMIT], widths[USED],
		cells[USED], widths[PERCENT], cells[PERCENT], widths[ROOM], cells[ROOM],
		widths[DEFERRED], cells[DEFERRED], cells[KEY]);
}

static void
print_head(const struct limits_report *r, FILE *out)
{
	guint full = 0, used = 0;

	for (guint i = 0; i < r->rows->len; i++) {
		const struct row *row = r->rows->pdata[i];

		full += row->wait_us > 0;
		used += row->used > 0;
	}
	fprintf(out, "%s: limits in use: %u, full: %u\n", r->where, used, full);
}

void
limits_report_table(const struct limits_report *r, FILE *out)
{
	const char *const heads[COLUMNS] = {"LIMIT", "USED", "%", "ROOM", "DEFERRED", "KEY"};
	char **cells = g_new0(char *, (gsize)COLUMNS * r->rows->len + 1);
	int widths[COLUMNS];

	print_head(r, out);
	for (int c = 0; c < COLUMNS; c++)
		widths[c] = (int)strlen(heads[c]);
	for (guint i = 0; i < r->rows->len; i++) {
		fill(r->rows->pdata[i], cells + i * COLUMNS);
		for (int c = 0; c < COLUMNS; c++)
			widths[c] = MAX(widths[c], (int)strlen(cells[i * COLUMNS + (guint)c]));
	}
	if (r->rows->len > 0)
		print_cells(out, heads, widths);
	for (guint i = 0; i < r->rows->len; i++)
		print_cells(out, (const char *const *)cells + i * COLUMNS, widths);
	g_strfreev(cells);
}

/* ---- JSON ---- */

static const enum stats_field fields[] = {STATS_DEFERRED, STATS_DEFERRED_RECIPIENTS, STATS_HELD,
					  STATS_WARNED, STATS_REJECTED};

static json_t *
hour_json(const struct over *o, int hour)
{
	json_t *j = json_object();

	for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
		json_object_set_new(j, stats_names[fields[i]].name,
				    json_integer(o->n[hour][fields[i]]));
	return j;
}

static json_t *
row_json(const struct row *row)
{
	char *text = limit_text(row->limit), *words = words_of(row);
	json_t *over = json_array(), *j = json_object();

	for (guint i = 0; i < row->over->len; i++) {
		const struct over *o = row->over->pdata[i];

		json_array_append_new(over, json_pack("{sososo}", "pool", report_text(o->pool),
						      "this_hour", hour_json(o, THIS_HOUR),
						      "last_hour", hour_json(o, LAST_HOUR)));
	}
	json_object_set_new(j, "words", report_text(words));
	json_object_set_new(j, "key", report_text(row->key));
	json_object_set_new(j, "limit", json_string(text));
	json_object_set_new(j, "pool", report_text(pool_of(row)));
	json_object_set_new(j, "isp", report_text(isp_of(row)));
	json_object_set_new(j, "used", json_integer((json_int_t)row->used));
	json_object_set_new(j, "most", json_integer(row->most));
	json_object_set_new(j, "wait_ms", json_integer((row->wait_us + 999) / 1000));
	json_object_set_new(j, "over", over);
	g_free(words);
	g_free(text);
	return j;
}

void
limits_report_json(const struct limits_report *r, const char *problem, FILE *out)
{
	json_t *limits = json_array();

	for (guint i = 0; i < r->rows->len; i++)
		json_array_append_new(limits, row_json(r->rows->pdata[i]));
	report_write(json_pack("{sososo}", "where", report_text(r->where), "problem",
			       report_text(problem), "limits", limits),
		     out);
}

/* ---- CSV ---- */

void
limits_report_csv(const struct limits_report *r, FILE *out)
{
	fputs("key,limit,pool,isp,used,most,wait_ms", out);
	for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
		fprintf(out, ",%s", stats_names[fields[i]].name);
	fputc('\n', out);
	for (guint i = 0; i < r->rows->len; i++) {
		const struct row *row = r->rows->pdata[i];
		const char *pool = pool_of(row), *isp = isp_of(row);
		char *text = limit_text(row->limit);

		fprintf(out, "%s,%s,%s,%s,%" G_GUINT64_FORMAT ",%u,%" G_GINT64_FORMAT, row->key,
			text, pool != NULL ? pool : "", isp != NULL ? isp : "", (guint64)row->used,
			row->most, (gint64)(row->wait_us + 999) / 1000);
		for (guint k = 0; k < G_N_ELEMENTS(fields); k++) {
			int64_t sum = 0;

			for (guint n = 0; n < row->over->len; n++)
				sum += both_hours(row->over->pdata[n], fields[k]);
			fprintf(out, ",%" G_GINT64_FORMAT, (gint64)sum);
		}
		fputc('\n', out);
		g_free(text);
	}
}
