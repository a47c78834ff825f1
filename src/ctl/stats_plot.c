/*
 * stats_plot - the statistics as a picture; see stats_plot.h.
 *
 * Two panels over one time axis: messages accepted, stacked by pool or ISP, and below what was not
 * accepted, stacked by outcome.  gnuplot reads its script from a file, with the numbers in it, and
 * writes the picture to our pipe; it knows no name of a file.  Hours without mail are drawn as 0.
 */
#include "ctl/stats_plot.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define HOUR 3600
#define DAY 86400
#define DAYS_BY_HOUR 14 /* more are drawn by day */
#define SERIES_MAX 8    /* of names; those with less mail are drawn as one */
#define TITLE_MAX 22    /* octets that have room beside the panel */

/* Told apart also by who sees few colours: Okabe and Ito. */
static const char *const colours[SERIES_MAX] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7",
						"#56b4e9", "#d55e00", "#f0e442", "#000000"};

static const struct {
	enum stats_field field;
	const char *title, *colour;
} outcomes[] = {
	{STATS_DEFERRED_LIMIT, "deferred, limit", "#e69f00"},
	{STATS_DEFERRED, "deferred, other", "#d55e00"},
	{STATS_HELD, "held", "#56b4e9"},
	{STATS_REJECTED, "rejected", "#000000"},
};
#define OUTCOMES G_N_ELEMENTS(outcomes)

/* Numbers by time and series, times from the first to now. */
struct grid {
	time_t start;
	int step;
	guint times, series;
	GPtrArray *names; /* of const char *: of the series */
	int64_t *mail;    /* times x series */
	int64_t *others;  /* times x OUTCOMES */
};

static time_t
time_of(const char *hour)
{
	int year, month, day, hours;
	GDateTime *t = NULL;
	time_t seconds = 0;

	if (sscanf(hour, "%4d%2d%2d%2d", &year, &month, &day, &hours) == 4)
		t = g_date_time_new_utc(year, month, day, hours, 0, 0);
	if (t != NULL) {
		seconds = g_date_time_to_unix(t);
		g_date_time_unref(t);
	}
	return seconds;
}

struct stats_query
stats_plot_query(const struct stats_query *q, time_t now)
{
	struct stats_query p = *q;
	bool by_isp = false;

	for (guint i = 0; i < q->n_by; i++)
		by_isp = by_isp || q->by[i] == STATS_BY_ISP;
	p.by[0] = by_isp ? STATS_BY_ISP : STATS_BY_POOL;
	p.by[1] = now - time_of(q->since) > DAYS_BY_HOUR * DAY ? STATS_BY_DAY : STATS_BY_HOUR;
	p.n_by = 2;
	return p;
}

/* ---- the numbers */

/* Where the line's time stands, from its label: "2026-11-20T13:00Z" or "2026-11-20". */
static guint
place_of(const struct grid *g, const struct stats_line *l)
{
	const char *t = l->labels[1];
	char hour[STATS_HOUR_SIZE];

	g_snprintf(hour, sizeof hour, "%.4s%.2s%.2s%.2s", t, t + 5, t + 8,
		   g->step == HOUR ? t + 11 : "00");
	return (guint)((time_of(hour) - g->start) / g->step);
}

struct sum {
	const char *name;
	int64_t messages;
};

static int
by_messages(const void *a, const void *b)
{
	const struct sum *x = a, *y = b;

	if (x->messages != y->messages)
		return x->messages < y->messages ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* Those with most mail, then one for all others. Lines are sorted by name. */
static GPtrArray *
series_names(const struct stats_report *r)
{
	GArray *sums = g_array_new(FALSE, FALSE, sizeof(struct sum));
	GPtrArray *names = g_ptr_array_new();

	for (guint i = 0; i < r->lines->len; i++) {
		const struct stats_line *l = r->lines->pdata[i];
		struct sum one = {l->labels[0], 0};

		if (i == 0 ||
		    strcmp(g_array_index(sums, struct sum, sums->len - 1).name, one.name) != 0)
			g_array_append_val(sums, one);
		g_array_index(sums, struct sum, sums->len - 1).messages += l->n[STATS_MESSAGES];
	}
	g_array_sort(sums, by_messages);
	while (sums->len > 0 && g_array_index(sums, struct sum, sums->len - 1).messages == 0)
		g_array_set_size(sums, sums->len - 1);
	for (guint i = 0; i < sums->len && i < SERIES_MAX; i++)
		g_ptr_array_add(names, (char *)g_array_index(sums, struct sum, i).name);
	if (sums->len == 0 || sums->len > SERIES_MAX)
		g_ptr_array_add(names, (char *)(sums->len == 0 ? "no mail" : "others"));
	g_array_unref(sums);
	return names;
}

/* A name without mail adds nothing to the last. */
static guint
series_of(const struct grid *g, const char *name)
{
	guint i = 0;

	while (i + 1 < g->series && strcmp(g->names->pdata[i], name) != 0)
		i++;
	return i;
}

static void
grid_fill(struct grid *g, const struct stats_report *r, time_t now)
{
	g->step = r->query.by[1] == STATS_BY_HOUR ? HOUR : DAY;
	g->start = time_of(r->query.since) / g->step * g->step;
	g->times = now < g->start ? 1 : (guint)((now - g->start) / g->step) + 1;
	g->names = series_names(r);
	g->series = g->names->len;
	g->mail = g_new0(int64_t, (gsize)g->times * g->series);
	g->others = g_new0(int64_t, (gsize)g->times * OUTCOMES);
	for (guint i = 0; i < r->lines->len; i++) {
		const struct stats_line *l = r->lines->pdata[i];
		guint at = place_of(g, l);

		if (at >= g->times)
			continue;
		g->mail[at * g->series + series_of(g, l->labels[0])] += l->n[STATS_MESSAGES];
		for (guint k = 0; k < OUTCOMES; k++)
			g->others[at * OUTCOMES + k] += l->n[outcomes[k].field];
	}
}

static void
grid_clear(struct grid *g)
{
	g_ptr_array_unref(g->names);
	g_free(g->mail);
	g_free(g->others);
}

/* ---- the script */

/* A block of data: seconds since 1970, then each column with those before it. */
static void
add_block(GString *out, const struct grid *g, const char *name, const int64_t *numbers,
	  guint columns)
{
	g_string_append_printf(out, "$%s << END\n", name);
	for (guint i = 0; i < g->times; i++) {
		int64_t sum = 0;

		g_string_append_printf(out, "%" G_GINT64_FORMAT,
				       (gint64)g->start + (gint64)i * g->step + g->step / 2);
		for (guint k = 0; k < columns; k++) {
			sum += numbers[i * columns + k];
			g_string_append_printf(out, " %" G_GINT64_FORMAT, (gint64)sum);
		}
		g_string_append_c(out, '\n');
	}
	g_string_append(out, "END\n");
}

/* The highest first, the lower ones in front of it. */
static void
add_boxes(GString *out, const char *block, guint k, const char *colour, const char *title)
{
	g_string_append_printf(out, " $%s using 1:%u with boxes fillcolor rgb '%s' title '%.*s%s'",
			       block, k + 2, colour, TITLE_MAX, title,
			       strlen(title) > TITLE_MAX ? "..." : "");
}

static void
add_panels(GString *out, const struct grid *g)
{
	g_string_append(out, "set ylabel 'messages'\nplot");
	for (guint k = g->series; k-- > 0;) {
		add_boxes(out, "mail", k, k < SERIES_MAX ? colours[k] : "#999999",
			  g->names->pdata[k]);
		g_string_append(out, k > 0 ? "," : "\n");
	}
	g_string_append(out, "set ylabel 'not accepted'\nplot");
	for (guint k = OUTCOMES; k-- > 0;) {
		add_boxes(out, "others", k, outcomes[k].colour, outcomes[k].title);
		g_string_append(out, k > 0 ? "," : "\n");
	}
}

/* What is drawn: "poolmilter: messages an hour of pool acme since ...". */
static void
add_title(GString *out, const struct stats_report *r, int step)
{
	char *since = stats_report_time(r->query.since);

	g_string_append_printf(out, "set multiplot layout 2,1 title 'poolmilter: messages %s",
			       step == HOUR ? "an hour" : "a day");
	if (r->query.pool != NULL)
		g_string_append_printf(out, " of pool %s", r->query.pool);
	if (r->query.isp != NULL)
		g_string_append_printf(out, " to %s", r->query.isp);
	g_string_append_printf(out, " since %s' noenhanced\n", since);
	g_free(since);
}

char *
stats_plot_script(const struct stats_report *r, time_t now)
{
	GString *out = g_string_new(NULL);
	struct grid g;

	grid_fill(&g, r, now);
	add_block(out, &g, "mail", g.mail, g.series);
	add_block(out, &g, "others", g.others, OUTCOMES);
	g_string_append(out, "set terminal svg size 1000,640 dynamic background rgb 'white' "
			     "font 'sans-serif,13'\n");
	add_title(out, r, g.step);
	g_string_append_printf(out,
			       "set xdata time\nset timefmt '%%s'\nset format x \"%s\"\n"
			       "set xrange ['%" G_GINT64_FORMAT "':'%" G_GINT64_FORMAT "']\n",
			       g.step == HOUR ? "%m-%d\\n%H:%M" : "%Y\\n%m-%d", (gint64)g.start,
			       (gint64)g.start + (gint64)g.times * g.step);
	g_string_append_printf(
		out,
		"set yrange [0:5<*]\nset format y '%%.0f'\nset grid y\nset tics out nomirror\n"
		"set border 3\nset style fill solid 1 noborder\nset boxwidth %d absolute\n"
		"set key left top at graph 1.02, graph 1 Left reverse noenhanced\n"
		"set lmargin 10\nset rmargin 30\n",
		g.step * 9 / 10);
	add_panels(out, &g);
	g_string_append(out, "unset multiplot\n");
	grid_clear(&g);
	return g_string_free(out, FALSE);
}

/* ---- the picture */

/* Writes the script into a new file; its name, or NULL with *why. */
static char *
write_script(const char *script, char **why)
{
	GError *error = NULL;
	char *name = NULL;
	int fd = g_file_open_tmp("poolctl-XXXXXX.gnuplot", &name, &error);

	if (fd >= 0)
		close(fd);
	if (fd < 0 || !g_file_set_contents(name, script, -1, &error)) {
		*why = g_strdup(error->message);
		g_error_free(error);
		if (name != NULL)
			unlink(name);
		g_clear_pointer(&name, g_free);
	}
	return name;
}

/* Runs gnuplot on a script; what it draws is in *picture. */
static int
run(char *name, char **picture, char **why)
{
	char gnuplot[] = "gnuplot", plain[] = "--default-settings";
	char *argv[] = {gnuplot, plain, name, NULL}, *problem = NULL;
	GError *error = NULL;
	int status = EX_OK, ended = 0;

	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, picture, &problem,
			  &ended, &error)) {
		status = EX_UNAVAILABLE;
		if (g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT))
			*why = g_strdup("gnuplot draws the picture and is not installed: on Debian "
					"it is in "
					"the package gnuplot-nox");
		else
			*why = g_strdup(error->message);
	} else if (!g_spawn_check_wait_status(ended, &error)) {
		status = EX_SOFTWARE;
		*why = g_strdup_printf("gnuplot: %s: %s", error->message, g_strstrip(problem));
	} else if (!g_str_has_prefix(*picture, "<?xml")) {
		status = EX_SOFTWARE;
		*why = g_strdup_printf("gnuplot has drawn nothing: %s", g_strstrip(problem));
	}
	g_clear_error(&error);
	g_free(problem);
	return status;
}

int
stats_plot_draw(const char *script, const char *path, char **why)
{
	char *name = write_script(script, why), *picture = NULL;
	GError *error = NULL;
	int status;

	if (name == NULL)
		return EX_CANTCREAT;
	status = run(name, &picture, why);
	if (status == EX_OK && !g_file_set_contents(path, picture, -1, &error)) {
		status = EX_CANTCREAT;
		*why = g_strdup(error->message);
		g_error_free(error);
	}
	unlink(name);
	g_free(name);
	g_free(picture);
	return status;
}
