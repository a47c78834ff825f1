/*
 * zone_report - the records that pools want, for people and for programs; see zone_report.h.
 */
#include "ctl/zone_report.h"

#include "ctl/report.h"

#include <string.h>

#define TTL 3600      /* seconds: a mistake is gone within the hour */
#define POOLS_NAMED 3 /* of a record that many share, the others are counted */

/* ---- a zone file ---- */

/* For what comes from files: a comment ends with its line. */
static void
print_comment(FILE *out, const char *before, const char *text)
{
	fprintf(out, "; %s", before);
	for (; *text != '\0'; text++)
		fputc(g_ascii_iscntrl(*text) ? '?' : *text, out);
	fputc('\n', out);
}

static void
print_sharers(const struct record *r, FILE *out)
{
	guint named = MIN(r->pools->len, POOLS_NAMED);

	if (r->pools->len == 1)
		return;
	fputs("; of pools", out);
	for (guint i = 0; i < named; i++) {
		const struct pool *p = r->pools->pdata[i];

		fprintf(out, "%s \"%s\"", i > 0 ? "," : "", p->name);
	}
	if (r->pools->len > named)
		fprintf(out, " and %u more", r->pools->len - named);
	fputc('\n', out);
}

static void
print_bind(const struct record *r, FILE *out)
{
	char *data = r->value != NULL ? zone_rdata(r) : NULL;

	print_sharers(r, out);
	if (r->note != NULL)
		print_comment(out, "", r->note);
	if (r->problem != NULL)
		print_comment(out, "no key: ", r->problem);
	fprintf(out, "%s%s.\t%d\tIN\t%s\t%s\n",
		r->need == RECORD_IF_NONE || data == NULL ? ";" : "", r->name, TTL,
		zone_type_word(r->type), data != NULL ? data : "");
	g_free(data);
}

void
zone_report_bind(const struct zone *z, FILE *out)
{
	const struct pool *at = NULL;

	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		if (r->pool != at)
			fprintf(out, "%s; ---- pool \"%s\", %s\n", at != NULL ? "\n" : "",
				r->pool->name, r->pool->sender_domain);
		at = r->pool;
		print_bind(r, out);
	}
}

/* ---- a table ---- */

static int
widest_name(const struct zone *z)
{
	size_t widest = strlen("NAME");

	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		widest = MAX(widest, strlen(r->name));
	}
	return (int)widest;
}

void
zone_report_table(const struct zone *z, FILE *out)
{
	int width = widest_name(z);

	fprintf(out, "%-*s  %-5s  %-13s  %-8s  %s\n", width, "NAME", "TYPE", "FOR", "NEED",
		"VALUE");
	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		fprintf(out, "%-*s  %-5s  %-13s  %-8s  ", width, r->name, zone_type_word(r->type),
			zone_purpose_word(r->purpose), zone_need_word(r->need));
		if (r->type == RECORD_MX)
			fprintf(out, "%d ", ZONE_MX_PREFERENCE);
		fprintf(out, "%s\n", r->value != NULL ? r->value : "-");
	}
}

/* ---- JSON ---- */

static json_t *
pools_json(const struct record *r)
{
	json_t *list = json_array();

	for (guint i = 0; i < r->pools->len; i++) {
		const struct pool *p = r->pools->pdata[i];

		json_array_append_new(list, report_text(p->name));
	}
	return list;
}

static json_t *
record_json(const struct record *r)
{
	json_t *j = json_object();
	char *data = r->value != NULL ? zone_rdata(r) : NULL;

	json_object_set_new(j, "name", report_text(r->name));
	json_object_set_new(j, "type", json_string(zone_type_word(r->type)));
	json_object_set_new(j, "ttl", json_integer(TTL));
	json_object_set_new(j, "value", report_text(r->value));
	json_object_set_new(j, "preference",
			    r->type == RECORD_MX ? json_integer(ZONE_MX_PREFERENCE) : json_null());
	json_object_set_new(j, "data", report_text(data));
	json_object_set_new(j, "for", json_string(zone_purpose_word(r->purpose)));
	json_object_set_new(j, "need", json_string(zone_need_word(r->need)));
	json_object_set_new(j, "note", report_text(r->note));
	json_object_set_new(j, "key_file", report_text(r->key_file));
	json_object_set_new(j, "problem", report_text(r->problem));
	json_object_set_new(j, "pools", pools_json(r));
	g_free(data);
	return j;
}

void
zone_report_json(const struct zone *z, FILE *out)
{
	json_t *j = json_object(), *records = json_array();

	for (guint i = 0; i < z->records->len; i++)
		json_array_append_new(records, record_json(z->records->pdata[i]));
	json_object_set_new(j, "records", records);
	json_object_set_new(j, "warnings", report_texts(z->warnings));
	report_write(j, out);
}
