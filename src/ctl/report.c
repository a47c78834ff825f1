/*
 * report - pieces of JSON that several commands write; see report.h.
 */
#include "ctl/report.h"

json_t *
report_text(const char *text)
{
	char *valid;
	json_t *j;

	if (text == NULL)
		return json_null();
	valid = g_utf8_make_valid(text, -1);
	j = json_string(valid);
	g_free(valid);
	return j;
}

json_t *
report_texts(const GPtrArray *texts)
{
	json_t *j = json_array();

	for (guint i = 0; texts != NULL && i < texts->len; i++)
		json_array_append_new(j, report_text(g_ptr_array_index(texts, i)));
	return j;
}

char *
report_join(const GPtrArray *texts)
{
	GString *all = g_string_new(NULL);

	for (guint i = 0; i < texts->len; i++)
		g_string_append_printf(all, "%s%s", i > 0 ? ", " : "", (char *)texts->pdata[i]);
	return g_string_free(all, FALSE);
}

void
report_write(json_t *j, FILE *out)
{
	json_dumpf(j, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	fputc('\n', out);
	json_decref(j);
}
