/*
 * events_report - events and their queue as tables, or as JSON; see events_report.h.
 *
 * Replies, addresses and errors are what strangers wrote: for people, what is not printable
 * becomes "?", so that nothing in them reaches the terminal as a command.  JSON has it escaped.
 * Times are local for people, UTC in JSON.
 */
#include "ctl/events_report.h"

#include "core/event_route.h"
#include "ctl/report.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- text on a terminal ---- */

int
events_report_width(FILE *out)
{
	struct winsize size;

	return isatty(fileno(out)) == 1 && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col
										      : 0;
}

static int
columns_of(gunichar c)
{
	if (g_unichar_iszerowidth(c))
		return 0;
	return g_unichar_iswide(c) ? 2 : 1;
}

/* Appends text, at most so many columns of it (0: all), and tells how many it took. */
static int
put_text(GString *line, const char *text, int most)
{
	int n = 0;

	while (*text != '\0') {
		gunichar c = g_utf8_get_char_validated(text, -1);
		bool good = c != (gunichar)-1 && c != (gunichar)-2;
		const char *next = good ? g_utf8_next_char(text) : text + 1;
		bool printable =
			good && g_unichar_isprint(c) && (c == ' ' || !g_unichar_isspace(c));
		int wide = printable ? columns_of(c) : 1;

		if (most > 0 && n + wide > most)
			break;
		if (printable)
			g_string_append_len(line, text, next - text);
		else
			g_string_append_c(line, '?');
		n += wide;
		text = next;
	}
	return n;
}

/* A line of cells, all to the left; the last one's width does not count. NULL: "-". */
static void
put_cells(FILE *out, int width, const char *const *cells, const int *widths, guint n)
{
	GString *line = g_string_new(NULL);
	int at = 0, end = 0;

	for (guint i = 0; i < n && (width == 0 || at < width); i++) {
		at += put_text(line, cells[i] != NULL ? cells[i] : "-", width > 0 ? width - at : 0);
		end += widths[i] + 2;
		for (bool first = true; i + 1 < n && (first || at < end) && at != width;
		     first = false) {
			g_string_append_c(line, ' ');
			at++;
		}
	}
	fprintf(out, "%s\n", line->str);
	g_string_free(line, TRUE);
}

/* ---- times ---- */

/* Local for people, UTC for JSON; NULL if it is none. g_free it. */
static char *
time_words(GDateTime *time, bool utc)
{
	GDateTime *there = time == NULL ? NULL
			   : utc        ? g_date_time_to_utc(time)
					: g_date_time_to_local(time);
	char *words = there != NULL ? g_date_time_format(there, utc ? "%Y-%m-%dT%H:%M:%SZ"
								    : "%Y-%m-%d %H:%M:%S")
				    : NULL;

	if (there != NULL)
		g_date_time_unref(there);
	if (time != NULL)
		g_date_time_unref(time);
	return words;
}

/* Of microseconds since 1970; 0: none. */
static char *
time_of(int64_t time, bool utc)
{
	return time_words(time != 0 ? g_date_time_new_from_unix_utc(time / G_USEC_PER_SEC) : NULL,
			  utc);
}

/* Of an event's own. */
static char *
time_of_event(const json_t *event)
{
	const char *text = json_string_value(json_object_get(event, "time"));

	return time_words(text != NULL ? g_date_time_new_from_iso8601(text, NULL) : NULL, false);
}

/* ---- events ---- */

static const char *
member(const json_t *event, const char *name)
{
	return json_string_value(json_object_get(event, name));
}

static bool
of_type(const struct events_view *v, const json_t *event)
{
	const char *name = member(event, "type");
	enum event_type type = name != NULL ? event_type_find(name) : EVENT_TYPES;

	return v->types == 0 || (type != EVENT_TYPES && (v->types & 1u << type) != 0);
}

static void
put_line(struct events_view *v, const char *const *heads, const char *const *cells,
	 const int *widths, guint n)
{
	if (v->shown++ == 0)
		put_cells(v->out, v->width, heads, widths, n);
	put_cells(v->out, v->width, cells, widths, n);
}

static void
put_event(struct events_view *v, const json_t *event)
{
	static const char *const heads[] = {"TIME",      "TYPE", "POOL",     "ISP",
					    "RECIPIENT", "DSN",  "CATEGORY", "REPLY"};
	static const int widths[] = {19, 9, 12, 12, 28, 6, 14, 0};
	char *time = time_of_event(event);
	const char *const cells[] = {time,
				     member(event, "type"),
				     member(event, "pool"),
				     member(event, "isp"),
				     member(event, "recipient"),
				     member(event, "dsn"),
				     member(event, "category"),
				     member(event, "reply")};

	put_line(v, heads, cells, widths, G_N_ELEMENTS(cells));
	g_free(time);
}

void
events_report_event(struct events_view *v, const struct event_row *row)
{
	json_t *event = json_loads(row->json, 0, NULL);

	if (!of_type(v, event)) {
		json_decref(event);
		return;
	}
	if (v->json) {
		fprintf(v->out, "%s\n", row->json);
		v->shown++;
	} else {
		put_event(v, event);
	}
	json_decref(event);
}

/* ---- dead letters ---- */

static void
put_letter(struct events_view *v, const json_t *event, const char *destination, const char *reason)
{
	static const char *const heads[] = {"TIME",      "TYPE",        "POOL",
					    "RECIPIENT", "DESTINATION", "REASON"};
	static const int widths[] = {19, 9, 12, 28, 20, 0};
	char *time = time_of_event(event);
	const char *const cells[] = {time,
				     member(event, "type"),
				     member(event, "pool"),
				     member(event, "recipient"),
				     destination,
				     reason};

	put_line(v, heads, cells, widths, G_N_ELEMENTS(cells));
	g_free(time);
}

void
events_report_letter(struct events_view *v, const struct event_row *row, const char *destination,
		     const char *reason)
{
	json_t *event = json_loads(row->json, 0, NULL), *letter;

	if (v->json) {
		letter = json_pack("{sososo}", "destination", report_text(destination), "reason",
				   report_text(reason), "event",
				   event != NULL ? json_incref(event) : json_null());
		json_dumpf(letter, v->out, JSON_COMPACT | JSON_REAL_PRECISION(12));
		fputc('\n', v->out);
		json_decref(letter);
		v->shown++;
	} else {
		put_letter(v, event, destination, reason);
	}
	json_decref(event);
}

/* ---- the queue ---- */

/* One that the settings have: otherwise nobody brings it what waits for it. */
static bool
configured(GPtrArray *names, const char *name)
{
	return g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL);
}

static bool
worth_telling(const struct event_destination *d, GPtrArray *names)
{
	return d->waiting > 0 || d->dead > 0 || configured(names, d->name);
}

/*
 * What is told: known ones, and those of the settings that had no event yet. names: of the
 * settings.
 */
static GPtrArray *
told(const GPtrArray *destinations, GPtrArray *names, struct event_destination *unknown)
{
	GPtrArray *all = g_ptr_array_new();

	for (guint i = 0; i < destinations->len; i++)
		if (worth_telling(destinations->pdata[i], names))
			g_ptr_array_add(all, destinations->pdata[i]);
	for (guint i = 0; i < names->len; i++) {
		bool known = false;

		for (guint k = 0; k < destinations->len && !known; k++)
			known = strcmp(((struct event_destination *)destinations->pdata[k])->name,
				       names->pdata[i]) == 0;
		unknown[i].name = names->pdata[i];
		if (!known)
			g_ptr_array_add(all, &unknown[i]);
	}
	return all;
}

static void
put_json(const GPtrArray *all, GPtrArray *names, FILE *out)
{
	json_t *list = json_array();

	for (guint i = 0; i < all->len; i++) {
		const struct event_destination *d = all->pdata[i];
		char *oldest = time_of(d->oldest, true), *next = time_of(d->next_try, true);

		json_array_append_new(
			list,
			json_pack("{sosbsIsIsosisoso}", "destination", report_text(d->name),
				  "configured", configured(names, d->name), "waiting",
				  (json_int_t)d->waiting, "dead", (json_int_t)d->dead, "oldest",
				  report_text(oldest), "failures", (int)d->failures, "next_try",
				  report_text(next), "error", report_text(d->error)));
		g_free(next);
		g_free(oldest);
	}
	report_write(list, out);
}

enum column { DESTINATION, WAITING, OLDEST, DEAD, FAILURES, NEXT, PROBLEM, COLUMNS };

static void
fill(const struct event_destination *d, GPtrArray *names, char *cells[COLUMNS])
{
	bool later = d->next_try > g_get_real_time();

	cells[DESTINATION] = g_strdup(d->name);
	cells[WAITING] = g_strdup_printf("%" G_GUINT64_FORMAT, d->waiting);
	cells[OLDEST] = d->oldest != 0 ? time_of(d->oldest, false) : g_strdup("-");
	cells[DEAD] = g_strdup_printf("%" G_GUINT64_FORMAT, d->dead);
	cells[FAILURES] = g_strdup_printf("%u", d->failures);
	cells[NEXT] = later ? time_of(d->next_try, false) : g_strdup(d->waiting > 0 ? "now" : "-");
	cells[PROBLEM] = g_strdup(d->error != NULL ? d->error : "-");
	if (!configured(names, d->name)) {
		g_free(cells[NEXT]);
		g_free(cells[PROBLEM]);
		cells[NEXT] = g_strdup("never");
		cells[PROBLEM] = g_strdup("not in the configuration");
	}
}

static void
put_table(const GPtrArray *all, GPtrArray *names, FILE *out)
{
	static const char *const heads[COLUMNS] = {"DESTINATION", "WAITING",  "OLDEST",    "DEAD",
						   "FAILURES",    "NEXT TRY", "LAST ERROR"};
	char **cells = g_new0(char *, (gsize)COLUMNS * all->len + 1);
	int widths[COLUMNS];

	for (int c = 0; c < COLUMNS; c++)
		widths[c] = (int)strlen(heads[c]);
	for (guint i = 0; i < all->len; i++) {
		fill(all->pdata[i], names, cells + i * COLUMNS);
		for (int c = 0; c < COLUMNS; c++)
			widths[c] = MAX(widths[c], (int)strlen(cells[i * COLUMNS + (guint)c]));
	}
	put_cells(out, events_report_width(out), heads, widths, COLUMNS);
	for (guint i = 0; i < all->len; i++)
		put_cells(out, events_report_width(out), (const char *const *)cells + i * COLUMNS,
			  widths, COLUMNS);
	g_strfreev(cells);
}

void
events_report_queue(const GPtrArray *destinations, const struct settings *s, bool json, FILE *out)
{
	GPtrArray *names = event_route_all(s), *all;
	struct event_destination *unknown = g_new0(struct event_destination, names->len + 1);

	all = told(destinations, names, unknown);
	if (json)
		put_json(all, names, out);
	else if (all->len == 0)
		fputs("no destinations\n", out);
	else
		put_table(all, names, out);
	g_ptr_array_unref(all);
	g_ptr_array_unref(names);
	g_free(unknown);
}
