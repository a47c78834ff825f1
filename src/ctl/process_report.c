/*
 * process_report - what poolctl process tells about a message; see process_report.h.
 */
#include "ctl/process_report.h"
#include "core/outcome.h"
#include "ctl/report.h"

static const char *
final_sender(const struct message *m, const struct plan *p)
{
	return p->new_sender != NULL ? p->new_sender : m->sender;
}

static bool
refused(const struct plan *p)
{
	return p->reply != NULL;
}

/* What the daemon would inject again. */
static void
print_groups(const struct plan *p, FILE *out)
{
	for (guint i = 0; p->groups != NULL && i < p->groups->len; i++) {
		const struct group *g = g_ptr_array_index(p->groups, i);

		fprintf(out, "injected again for %s:\n", g->isp->name);
		for (guint k = 0; k < g->rcpts->len; k++)
			fprintf(out, "  RCPT TO:<%s>\n", (char *)g_ptr_array_index(g->rcpts, k));
	}
}

void
process_report_text(const struct message *m, const struct plan *p, FILE *out)
{
	GString *line = outcome_line(m, p, -1);

	for (guint i = 0; p->explanations != NULL && i < p->explanations->len; i++)
		fprintf(out, "%s\n", (char *)g_ptr_array_index(p->explanations, i));
	if (refused(p)) {
		fprintf(out, "%s %s %s\n", p->reply_code, p->reply_status, p->reply);
	} else {
		fprintf(out, "MAIL FROM:<%s>\n", final_sender(m, p));
		for (guint i = 0; i < p->rcpts->len; i++)
			fprintf(out, "RCPT TO:<%s>\n", (char *)g_ptr_array_index(p->rcpts, i));
		print_groups(p, out);
	}
	if (p->detail != NULL)
		fprintf(out, "error: %s\n", p->detail);
	fprintf(out, "%s\n", line->str);
	g_string_free(line, TRUE);
}

static json_t *
edits(const struct image *image)
{
	static const char *const kinds[] = {"change", "delete", "add", "insert"};
	const GArray *list = image_edits(image);
	json_t *j = json_array();

	for (guint i = 0; i < list->len; i++) {
		const struct edit *e = &g_array_index(list, struct edit, i);
		char *name = g_strndup(e->field.name, e->field.name_len);
		json_t *one = json_object();

		json_object_set_new(one, "edit", json_string(kinds[e->kind]));
		json_object_set_new(one, "name", report_text(name));
		if (e->kind == EDIT_CHANGE || e->kind == EDIT_DELETE)
			json_object_set_new(one, "index", json_integer(e->index));
		if (e->kind != EDIT_DELETE)
			json_object_set_new(one, "value", report_text(e->field.value));
		json_array_append_new(j, one);
		g_free(name);
	}
	return j;
}

static json_t *
signatures(const struct plan *p)
{
	json_t *j = json_array();
	char **list = g_strsplit(p->dkim != NULL ? p->dkim->str : "", ",", -1);

	for (char **one = list; *one != NULL; one++) {
		char **part = g_strsplit(*one, "/", 3);

		if (g_strv_length(part) == 3)
			json_array_append_new(j, json_pack("{ssssss}", "domain", part[0], "selector",
							   part[1], "algorithm", part[2]));
		g_strfreev(part);
	}
	g_strfreev(list);
	return j;
}

static json_t *
groups(const struct plan *p)
{
	json_t *j = json_array();

	for (guint i = 0; p->groups != NULL && i < p->groups->len; i++) {
		const struct group *g = g_ptr_array_index(p->groups, i);

		json_array_append_new(
			j, json_pack("{ssso}", "isp", g->isp->name, "recipients", report_texts(g->rcpts)));
	}
	return j;
}

static json_t *
reply(const struct plan *p)
{
	return refused(p) ? json_pack("{ssssso}", "code", p->reply_code, "status", p->reply_status, "text",
				      report_text(p->reply))
			  : json_null();
}

void
process_report_json(const struct message *m, const struct plan *p, FILE *out)
{
	json_t *j = json_object();

	json_object_set_new(j, "result", json_string(verdict_word(p->verdict)));
	json_object_set_new(j, "reason", report_text(p->reason));
	json_object_set_new(j, "detail", report_text(p->detail));
	json_object_set_new(j, "reply", reply(p));
	json_object_set_new(j, "queue_id", report_text(m->queue_id));
	json_object_set_new(j, "pool", report_text(p->pool != NULL ? p->pool->name : NULL));
	json_object_set_new(j, "isp", report_text(p->isp != NULL ? p->isp->name : NULL));
	json_object_set_new(j, "mixed_isps", report_text(p->mixed));
	json_object_set_new(j, "from_domain", report_text(*p->from_domain != '\0' ? p->from_domain : NULL));
	json_object_set_new(j, "original_sender", report_text(m->sender));
	json_object_set_new(j, "sender", refused(p) ? json_null() : report_text(final_sender(m, p)));
	json_object_set_new(j, "recipients", report_texts(p->rcpts));
	json_object_set_new(j, "injected_again", groups(p));
	json_object_set_new(j, "size", json_integer((json_int_t)m->size));
	json_object_set_new(j, "encoded", report_text(p->encoded != NULL ? p->encoded->str : NULL));
	json_object_set_new(j, "not_encoded", report_text(p->not_encoded != NULL ? p->not_encoded->str : NULL));
	json_object_set_new(j, "new_body", json_boolean(p->new_body));
	json_object_set_new(j, "headers_added", json_integer(p->headers_added));
	json_object_set_new(j, "headers_deleted", json_integer(p->headers_deleted));
	json_object_set_new(j, "signatures", signatures(p));
	json_object_set_new(j, "edits", edits(p->image));
	if (p->explanations != NULL)
		json_object_set_new(j, "explanations", report_texts(p->explanations));
	report_write(j, out);
}
