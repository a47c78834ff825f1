/*
 * locks_report - the locks of pools to ISPs; see locks_report.h.
 *
 * Why a lock was set is what a stranger's server has said: control characters do not reach the
 * terminal.
 */
#include "ctl/locks_report.h"
#include "core/lock_table.h"
#include "ctl/report.h"

#include <string.h>

enum column { POOL, ISP, RULE, NOW, SINCE, UNTIL, LEFT, WHY, COLUMNS };

static int64_t
left(const struct lock *l, int64_t now)
{
	return MAX(0, (l->until - now + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
}

/* "14m 3s" */
static char *
left_words(int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (i + 1 < G_N_ELEMENTS(units) && seconds < units[i].seconds)
		i++;
	if (i + 1 == G_N_ELEMENTS(units))
		return g_strdup_printf("%ds", (int)seconds);
	return g_strdup_printf("%d%c %d%c", (int)(seconds / units[i].seconds), units[i].letter,
			       (int)(seconds % units[i].seconds / units[i + 1].seconds),
			       units[i + 1].letter);
}

/* "paused", or the present rate. */
static char *
now_words(const struct lock *l, int64_t now)
{
	return l->paused ? g_strdup("paused") : limit_text(lock_rate(l, now));
}

static char *
why_words(const struct lock *l)
{
	char *text = g_utf8_make_valid(l->why != NULL ? l->why : "-", -1);

	for (char *p = text; *p != '\0'; p = g_utf8_next_char(p))
		if (!g_unichar_isprint(g_utf8_get_char(p)))
			memset(p, '?', (size_t)(g_utf8_next_char(p) - p));
	return text;
}

static void
fill(const struct lock *l, int64_t now, char *cells[COLUMNS])
{
	cells[POOL] = g_strdup(l->pool);
	cells[ISP] = g_strdup(l->isp);
	cells[RULE] = g_strdup(l->rule);
	cells[NOW] = now_words(l, now);
	cells[SINCE] = lock_time(l->since);
	cells[UNTIL] = lock_time(l->until);
	cells[LEFT] = left_words(left(l, now));
	cells[WHY] = why_words(l);
}

static void
print_cells(FILE *out, const char *const cells[COLUMNS], const int widths[COLUMNS])
{
	for (int c = 0; c < WHY; c++)
		fprintf(out, "%-*s  ", widths[c], cells[c]);
	fprintf(out, "%s\n", cells[WHY]);
}

void
locks_report_table(const GArray *locks, const char *where, int64_t now, FILE *out)
{
	const char *const heads[COLUMNS] = {"POOL",  "ISP",   "RULE", "NOW",
					    "SINCE", "UNTIL", "LEFT", "WHY"};
	char **cells = g_new0(char *, (gsize)COLUMNS * locks->len + 1);
	int widths[COLUMNS];

	fprintf(out, "%s: locks: %u\n", where, locks->len);
	for (int c = 0; c < COLUMNS; c++)
		widths[c] = (int)strlen(heads[c]);
	for (guint i = 0; i < locks->len; i++) {
		fill(&g_array_index(locks, struct lock, i), now, cells + i * COLUMNS);
		for (int c = 0; c < COLUMNS; c++)
			widths[c] = MAX(widths[c], (int)strlen(cells[i * COLUMNS + (guint)c]));
	}
	if (locks->len > 0)
		print_cells(out, heads, widths);
	for (guint i = 0; i < locks->len; i++)
		print_cells(out, (const char *const *)cells + i * COLUMNS, widths);
	g_strfreev(cells);
}

static json_t *
lock_json(const struct lock *l, int64_t now)
{
	char *rate = l->paused ? NULL : now_words(l, now);
	char *since = lock_time(l->since), *until = lock_time(l->until);
	json_t *j = json_object();

	json_object_set_new(j, "pool", report_text(l->pool));
	json_object_set_new(j, "isp", report_text(l->isp));
	json_object_set_new(j, "rule", report_text(l->rule));
	json_object_set_new(j, "paused", json_boolean(l->paused));
	json_object_set_new(j, "rate", report_text(rate));
	json_object_set_new(j, "since", json_string(since));
	json_object_set_new(j, "until", json_string(until));
	json_object_set_new(j, "left", json_integer(left(l, now)));
	json_object_set_new(j, "why", report_text(l->why));
	g_free(rate);
	g_free(since);
	g_free(until);
	return j;
}

void
locks_report_json(const GArray *locks, const char *where, const char *problem, int64_t now,
		  FILE *out)
{
	json_t *list = json_array();

	for (guint i = 0; i < locks->len; i++)
		json_array_append_new(list, lock_json(&g_array_index(locks, struct lock, i), now));
	report_write(json_pack("{sososo}", "where", report_text(where), "problem",
			       report_text(problem), "locks", list),
		     out);
}
