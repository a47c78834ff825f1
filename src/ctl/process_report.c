/*
 * process_report - what poolctl process tells about a message; see process_report.h.
 */
#include "ctl/process_report.h"
#include "core/outcome.h"

#include <jansson.h>

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
		for (guint i = 0; i < m->rcpts->len; i++)
			fprintf(out, "RCPT TO:<%s>\n", (char *)g_ptr_array_index(m->rcpts, i));
	}
	if (p->detail != NULL)
		fprintf(out, "error: %s\n", p->detail);
	fprintf(out, "%s\n", line->str);
	g_string_free(line, TRUE);
}

/* A JSON string of any octets; null for NULL. */
static json_t *
text(const char *s)
{
	char *valid;
	json_t *j;

	if (s == NULL)
		return json_null();
	valid = g_utf8_make_valid(s, -1);
	j = json_string(valid);
	g_free(valid);
	return j;
}

static json_t *
texts(const GPtrArray *list)
{
	json_t *j = json_array();

	for (guint i = 0; list != NULL && i < list->len; i++)
		json_array_append_new(j, text(g_ptr_array_index(list, i)));
	return j;
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
		json_object_set_new(one, "name", text(name));
		if (e->kind == EDIT_CHANGE || e->kind == EDIT_DELETE)
			json_object_set_new(one, "index", json_integer(e->index));
		if (e->kind != EDIT_DELETE)
			json_object_set_new(one, "value", text(e->field.value));
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
reply(const struct plan *p)
{
	return refused(p) ? json_pack("{ssssso}", "code", p->reply_code, "status", p->reply_status, "text",
				      text(p->reply))
			  : json_null();
}

void
process_report_json(const struct message *m, const struct plan *p, FILE *out)
{
	json_t *j = json_object();

	json_object_set_new(j, "result", json_string(verdict_word(p->verdict)));
	json_object_set_new(j, "reason", text(p->reason));
	json_object_set_new(j, "detail", text(p->detail));
	json_object_set_new(j, "reply", reply(p));
	json_object_set_new(j, "queue_id", text(m->queue_id));
	json_object_set_new(j, "pool", text(p->pool != NULL ? p->pool->name : NULL));
	json_object_set_new(j, "from_domain", text(*p->from_domain != '\0' ? p->from_domain : NULL));
	json_object_set_new(j, "original_sender", text(m->sender));
	json_object_set_new(j, "sender", refused(p) ? json_null() : text(final_sender(m, p)));
	json_object_set_new(j, "recipients", texts(m->rcpts));
	json_object_set_new(j, "size", json_integer((json_int_t)m->size));
	json_object_set_new(j, "headers_added", json_integer(p->headers_added));
	json_object_set_new(j, "headers_deleted", json_integer(p->headers_deleted));
	json_object_set_new(j, "signatures", signatures(p));
	json_object_set_new(j, "edits", edits(p->image));
	if (p->explanations != NULL)
		json_object_set_new(j, "explanations", texts(p->explanations));
	json_dumpf(j, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	fputc('\n', out);
	json_decref(j);
}
