/*
 * setting_manual - the table of settings as text, for poolmilter.conf(5) and for tests; see
 * setting_text() in setting_table.h.
 */
#include "core/setting_table.h"

#include <string.h>

/* How a value is written in the file. */
static const char *
type_name(const struct setting *m)
{
	switch (m->type) {
	case SETTING_BOOL:
		return "boolean";
	case SETTING_INT:
		return "number";
	case SETTING_DURATION:
	case SETTING_CHOICE:
	case SETTING_MODE:
	case SETTING_TEXT:
	case SETTING_TEMPLATE:
		return "string";
	case SETTING_TEXTS:
		return m->flags & SETTING_ONE_OR_MORE ? "string or array of strings"
						      : "array of strings";
	case SETTING_NETWORKS:
		return "array of strings";
	case SETTING_GROUP:
		return "group";
	case SETTING_LIST:
		return "list of groups";
	}
	return "";
}

static const char *
default_text(const struct setting *m)
{
	if (m->flags & SETTING_REQUIRED)
		return "required";
	if (m->preset != NULL)
		return m->preset;
	return m->required_if != NULL ? "required if" : "none";
}

static void
append_line(GString *out, const char *path, const struct setting *m)
{
	char *expected = setting_expected(m);

	g_string_append_printf(out, "%s\t%s\t%s\t%s\t%s\n", path, type_name(m), default_text(m),
			       expected, m->help);
	g_free(expected);
}

/* Text of a roff line: what roff would take as an escape, a dash or a request is written out. */
static void
append_roff(GString *out, const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\')
			g_string_append(out, "\\e");
		else if (*p == '-')
			g_string_append(out, "\\-");
		else if (*p == '\'')
			g_string_append(out, "\\(aq");
		else if ((*p == '.') && p == text)
			g_string_append(out, "\\&.");
		else
			g_string_append_c(out, *p);
	}
}

static void
append_roff_words(GString *out, const char *before, const char *text, const char *after)
{
	g_string_append(out, before);
	append_roff(out, text);
	g_string_append(out, after);
}

static void
append_man(GString *out, const char *path, const struct setting *m)
{
	char *expected = setting_expected(m);
	bool aggregate = m->type == SETTING_GROUP || m->type == SETTING_LIST;

	append_roff_words(out, ".TP\n.B ", path, "\n");
	append_roff_words(out, "", m->help, "\n.br\n");
	append_roff_words(out, "", type_name(m), "");
	if (!aggregate)
		append_roff_words(out, ": ", expected, "");
	if (m->flags & SETTING_REQUIRED)
		g_string_append(out, "; required");
	else if (m->preset != NULL)
		append_roff_words(out, "; default: ", m->preset, "");
	append_roff_words(out, "; since ", m->since, "\n");
	g_free(expected);
}

static void
walk(GString *out, const struct setting_table *t, const char *prefix, bool man)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct setting *m = &t->settings[i];
		char *path = g_strconcat(prefix, m->name, NULL);
		char *inner = g_strconcat(path, m->type == SETTING_LIST ? "[]." : ".", NULL);

		(man ? append_man : append_line)(out, path, m);
		if (m->members != NULL && !(m->flags & SETTING_AS_ANOTHER))
			walk(out, m->members, inner, man);
		g_free(inner);
		g_free(path);
	}
}

GString *
setting_table_text(bool man)
{
	GString *out = g_string_new(NULL);

	walk(out, &setting_table, "", man);
	return out;
}
