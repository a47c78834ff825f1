/*
 * errors - what is wrong with a configuration; see errors.h.
 */
#include "base/errors.h"

struct errors *
errors_new(void)
{
	struct errors *e = g_new0(struct errors, 1);

	e->errors = g_ptr_array_new_with_free_func(g_free);
	e->warnings = g_ptr_array_new_with_free_func(g_free);
	return e;
}

void
errors_free(struct errors *e)
{
	if (e == NULL)
		return;
	g_ptr_array_free(e->errors, TRUE);
	g_ptr_array_free(e->warnings, TRUE);
	g_free(e);
}

static char *G_GNUC_PRINTF(3, 0)
entry(struct origin at, const char *key, const char *format, va_list ap)
{
	GString *s = g_string_new(at.file != NULL ? at.file : "configuration");

	if (at.line > 0)
		g_string_append_printf(s, ":%u", at.line);
	g_string_append(s, ": ");
	if (key != NULL)
		g_string_append_printf(s, "%s: ", key);
	g_string_append_vprintf(s, format, ap);
	return g_string_free(s, FALSE);
}

void
errors_add(struct errors *e, struct origin at, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_ptr_array_add(e->errors, entry(at, key, format, ap));
	va_end(ap);
}

void
errors_warn(struct errors *e, struct origin at, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_ptr_array_add(e->warnings, entry(at, key, format, ap));
	va_end(ap);
}

bool
errors_any(const struct errors *e)
{
	return e->errors->len > 0;
}
