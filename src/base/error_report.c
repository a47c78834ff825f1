/*
 * error_report - tells what is wrong with a configuration; see error_report.h.
 */
#include "base/error_report.h"
#include "base/log.h"

#include <stdio.h>

void
error_report_terminal(const struct errors *e)
{
	for (guint i = 0; i < e->errors->len; i++)
		fprintf(stderr, "%s\n", (const char *)g_ptr_array_index(e->errors, i));
	for (guint i = 0; i < e->warnings->len; i++)
		fprintf(stderr, "warning: %s\n", (const char *)g_ptr_array_index(e->warnings, i));
}

void
error_report_log(const struct errors *e)
{
	for (guint i = 0; i < e->errors->len; i++)
		log_line(LOG_ERR, "error: %s", (const char *)g_ptr_array_index(e->errors, i));
	for (guint i = 0; i < e->warnings->len; i++)
		log_line(LOG_WARNING, "warning: %s", (const char *)g_ptr_array_index(e->warnings, i));
}

char *
error_report_text(const struct errors *e)
{
	GString *all = g_string_new("the configuration cannot be used:");

	for (guint i = 0; i < e->errors->len; i++)
		g_string_append_printf(all, "\n%s", (const char *)g_ptr_array_index(e->errors, i));
	return g_string_free(all, FALSE);
}
