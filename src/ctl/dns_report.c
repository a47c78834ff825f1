/*
 * dns_report - what poolctl dns check has found; see dns_report.h.
 */
#include "ctl/dns_report.h"

#include "ctl/report.h"

#include <string.h>

#define COLUMNS 100
#define INDENT 9
#define CELL 44 /* of wanted and found, side by side */
#define GAP 2
#define CELL_LINES 3 /* of a good record; longer ones are cut */

/* "good", or the severity of the worst finding. */
static const char *
state_word(const struct dns_verdict *v)
{
	int worst = findings_worst(v->findings);

	return worst < 0 ? "good" : finding_severity_word((enum finding_severity)worst);
}

static bool
is_quiet(const struct dns_verdict *v)
{
	return findings_worst(v->findings) <= FINDING_NOTE;
}

struct dns_counts
dns_report_count(const GPtrArray *verdicts)
{
	struct dns_counts c = {.good = 0};

	for (guint i = 0; i < verdicts->len; i++) {
		const struct dns_verdict *v = verdicts->pdata[i];
		int worst = findings_worst(v->findings);

		if (worst < 0)
			c.good++;
		else
			c.worst[worst]++;
	}
	return c;
}

/* ---- text ---- */

/* What comes from the DNS goes to a terminal. */
static char *
printable(const char *text)
{
	char *copy = g_strdup(text);

	for (char *p = copy; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return copy;
}

/* What was found, each record a line. */
static char *
found_text(const struct dns_verdict *v)
{
	GString *all = g_string_new(NULL);

	for (guint i = 0; i < v->shown->len; i++) {
		char *text = printable(v->shown->pdata[i]);

		g_string_append_printf(all, "%s%s", i > 0 ? "\n" : "", text);
		g_free(text);
	}
	if (v->shown->len == 0)
		g_string_append_printf(all, "- (%s)", dns_state_word(v->found->state));
	if (v->found->alias != NULL)
		g_string_append_printf(all, "\n(by a CNAME to %s)", v->found->alias);
	return g_string_free(all, FALSE);
}

/* The text in lines of at most width octets, broken at blanks where there are some (of char *). */
static GPtrArray *
wrap(const char *text, size_t width)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

	while (*text != '\0') {
		size_t n = strcspn(text, "\n"), cut = MIN(n, width);

		if (n > width)
			for (size_t at = cut; at > cut / 2; at--)
				if (text[at] == ' ') {
					cut = at;
					break;
				}
		g_ptr_array_add(lines, g_strndup(text, cut));
		text += cut;
		if (*text == '\n' || *text == ' ')
			text++;
	}
	return lines;
}

static const char *
line_of(const GPtrArray *lines, guint i, guint max)
{
	if (i >= lines->len)
		return "";
	return i + 1 == max && lines->len > max ? "..." : lines->pdata[i];
}

/* Two texts side by side; max: lines of it at most. */
static void
print_cells(const char *left, const char *right, guint max, FILE *out)
{
	GPtrArray *a = wrap(left, CELL), *b = wrap(right, CELL);
	guint n = MIN(MAX(a->len, b->len), max);

	for (guint i = 0; i < n; i++) {
		const char *cell = line_of(b, i, max);

		fprintf(out, "%*s%-*s%s\n", INDENT, "", *cell != '\0' ? CELL + GAP : 0,
			line_of(a, i, max), cell);
	}
	g_ptr_array_unref(a);
	g_ptr_array_unref(b);
}

/* A text in lines behind a first word. */
static void
print_paragraph(const char *word, const char *text, FILE *out)
{
	GPtrArray *lines = wrap(text, COLUMNS - INDENT);

	for (guint i = 0; i < lines->len; i++)
		fprintf(out, "%-*s%s\n", INDENT, i == 0 ? word : "", (char *)lines->pdata[i]);
	g_ptr_array_unref(lines);
}

static void
print_finding(const struct finding *f, FILE *out)
{
	char *clean = printable(f->text);
	char *text = g_strdup_printf("%s: %s", finding_word(f->code), clean);

	print_paragraph("", text, out);
	if (f->mend != NULL) {
		char *mend = printable(f->mend);

		print_paragraph("   mend:", mend, out);
		g_free(mend);
	}
	g_free(text);
	g_free(clean);
}

static void
print_verdict(const struct dns_verdict *v, FILE *out)
{
	const struct record *r = v->record;
	char *found = found_text(v);

	fprintf(out, "%-*s%-5s %s\n", INDENT, state_word(v), zone_type_word(r->type), r->name);
	print_cells(r->value != NULL ? r->value : r->problem, found,
		    v->findings->len == 0 ? CELL_LINES : G_MAXUINT, out);
	for (guint i = 0; i < v->findings->len; i++)
		print_finding(v->findings->pdata[i], out);
	g_free(found);
}

/* "3 of 14 records ..." in one line. */
static void
print_summary(const GPtrArray *verdicts, FILE *out)
{
	struct dns_counts c = dns_report_count(verdicts);

	fprintf(out,
		"%u records: %u good, %u with notes, %u with warnings, %u with errors, %u not "
		"known\n",
		verdicts->len, c.good, c.worst[FINDING_NOTE], c.worst[FINDING_WARNING],
		c.worst[FINDING_ERROR], c.worst[FINDING_UNKNOWN]);
}

void
dns_report_text(const GPtrArray *verdicts, bool quiet, FILE *out)
{
	const struct pool *pool = NULL;

	for (guint i = 0; i < verdicts->len; i++) {
		const struct dns_verdict *v = verdicts->pdata[i];

		if (quiet && is_quiet(v))
			continue;
		if (v->record->pool != pool) {
			fprintf(out, "%spool %s (%s)\n", pool != NULL ? "\n" : "",
				v->record->pool->name, v->record->pool->sender_domain);
			fprintf(out, "%*s%-*s%s\n", INDENT, "", CELL + GAP, "WANTED", "FOUND");
		}
		pool = v->record->pool;
		print_verdict(v, out);
	}
	if (!quiet)
		print_summary(verdicts, out);
}

/* ---- JSON ---- */

static json_t *
json_of_findings(const GPtrArray *findings)
{
	json_t *list = json_array();

	for (guint i = 0; i < findings->len; i++) {
		const struct finding *f = findings->pdata[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:o, s:o}", "severity",
					finding_severity_word(finding_severity(f->code)), "code",
					finding_word(f->code), "text", report_text(f->text), "mend",
					report_text(f->mend)));
	}
	return list;
}

static json_t *
json_of_verdict(const struct dns_verdict *v)
{
	const struct record *r = v->record;
	json_t *pools = json_array();

	for (guint i = 0; i < r->pools->len; i++) {
		const struct pool *p = r->pools->pdata[i];

		json_array_append_new(pools, report_text(p->name));
	}
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "name",
			 report_text(r->name), "type", zone_type_word(r->type), "for",
			 zone_purpose_word(r->purpose), "need", zone_need_word(r->need), "wanted",
			 report_text(r->value), "found", report_texts(v->shown), "state",
			 dns_state_word(v->found->state), "verdict", state_word(v), "alias",
			 report_text(v->found->alias), "findings", json_of_findings(v->findings),
			 "pools", pools);
}

void
dns_report_json(const GPtrArray *verdicts, const struct zone *z, bool quiet, FILE *out)
{
	struct dns_counts c = dns_report_count(verdicts);
	json_t *records = json_array();

	for (guint i = 0; i < verdicts->len; i++) {
		const struct dns_verdict *v = verdicts->pdata[i];

		if (!quiet || !is_quiet(v))
			json_array_append_new(records, json_of_verdict(v));
	}
	report_write(json_pack("{s:o, s:o, s:{s:i, s:i, s:i, s:i, s:i}}", "records", records,
			       "warnings", report_texts(z->warnings), "summary", "good",
			       (int)c.good, "note", (int)c.worst[FINDING_NOTE], "warning",
			       (int)c.worst[FINDING_WARNING], "error", (int)c.worst[FINDING_ERROR],
			       "unknown", (int)c.worst[FINDING_UNKNOWN]),
		     out);
}
