/*
 * metric_text - pieces of Prometheus' text format; see metric_text.h.
 */
#include "core/metric_text.h"

void
metric_add(struct buf *out, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	buf_puts(out, text);
	g_free(text);
}

void
metric_head(struct buf *out, const char *name, const char *type, const char *help)
{
	metric_add(out, "# HELP poolmilter_%s %s\n# TYPE poolmilter_%s %s\n", name, help, name,
		   type);
}

void
metric_single(struct buf *out, const char *name, const char *type, const char *help, int64_t value)
{
	metric_head(out, name, type, help);
	metric_add(out, "poolmilter_%s %" G_GINT64_FORMAT "\n", name, (gint64)value);
}

/* The format knows three escapes. */
void
metric_label(struct buf *out, const char *name, const char *value)
{
	metric_add(out, "%s=\"", name);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n')
			buf_puts(out, "\\n");
		else if (*p == '\\' || *p == '"')
			buf_puts(out, *p == '"' ? "\\\"" : "\\\\");
		else
			buf_add(out, p, 1);
	}
	buf_puts(out, "\"");
}

void
metric_key_labels(struct buf *out, const char *key, const char *second)
{
	char **part = g_strsplit(key, "/", 3);

	metric_label(out, "pool", part[1]);
	if (second != NULL) {
		buf_puts(out, ",");
		metric_label(out, second, part[2]);
	}
	g_strfreev(part);
}
