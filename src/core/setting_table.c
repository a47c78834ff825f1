/*
 * setting_table - what can be done with any row of the table; see setting_table.h.
 *
 * Defaults go through the same functions as the values of a file, so a wrong default cannot hide.
 * Most pools leave most arrays empty: these share two arrays that stay empty for ever, and an array
 * of a member's own begins with its first element.
 */
#include "core/setting_table.h"

#include "core/limit.h"
#include "core/network.h"
#include "core/template.h"

#include <string.h>

#define QUOTE_MAX 60 /* octets of a wrong value that a message shows */

static void *
member(const struct setting *m, const void *base)
{
	return (char *)(uintptr_t)base + m->offset;
}

static GPtrArray *
empty_pointers(void)
{
	static gsize made;

	if (g_once_init_enter(&made))
		g_once_init_leave(&made, (gsize)g_ptr_array_new());
	return g_ptr_array_ref((GPtrArray *)made);
}

static GArray *
empty_networks(void)
{
	static gsize made;

	if (g_once_init_enter(&made))
		g_once_init_leave(&made, (gsize)g_array_new(FALSE, FALSE, sizeof(struct network)));
	return g_array_ref((GArray *)made);
}

const struct setting *
setting_find(const struct setting_table *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->settings[i].name, name) == 0)
			return &t->settings[i];
	return NULL;
}

/* Levenshtein's distance of two names, both under 64 octets. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[65];
	size_t len = strlen(b);

	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 0; a[i] != '\0'; i++) {
		unsigned diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			unsigned replaced =
				diagonal + (g_ascii_tolower(a[i]) != g_ascii_tolower(b[j]));

			diagonal = row[j + 1];
			row[j + 1] = MIN(replaced, MIN(diagonal, row[j]) + 1);
		}
	}
	return row[len];
}

const char *
setting_suggest(const struct setting_table *t, const char *name)
{
	unsigned best = (unsigned)MIN(3, strlen(name) / 3 + 1);
	const char *found = NULL;

	if (strlen(name) > 63)
		return NULL;
	for (size_t i = 0; i < t->count; i++) {
		unsigned d = distance(name, t->settings[i].name);

		if (d < best) {
			best = d;
			found = t->settings[i].name;
		}
	}
	return found;
}

char *
setting_quote(const char *text)
{
	GString *s = g_string_new("\"");

	for (size_t i = 0; text[i] != '\0'; i++) {
		if (i == QUOTE_MAX) {
			g_string_append(s, "...");
			break;
		}
		if (g_ascii_isprint(text[i]))
			g_string_append_c(s, text[i]);
		else
			g_string_append_printf(s, "\\x%02x", (unsigned char)text[i]);
	}
	g_string_append_c(s, '"');
	return g_string_free(s, FALSE);
}

static char *
choice_names(const struct setting *m)
{
	GString *s = g_string_new(m->choices[1].name != NULL ? "one of" : "only");

	for (size_t i = 0; m->choices[i].name != NULL; i++)
		g_string_append_printf(s, "%s \"%s\"", i > 0 ? "," : "", m->choices[i].name);
	return g_string_free(s, FALSE);
}

/* In the largest unit that does without a fraction. */
static char *
duration_text(int64_t seconds)
{
	static const struct unit {
		char letter;
		int64_t seconds;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	const struct unit *u = units;

	while (seconds % u->seconds != 0)
		u++;
	return g_strdup_printf("%" G_GINT64_FORMAT "%c", seconds / u->seconds, u->letter);
}

static char *
duration_expected(const struct setting *m)
{
	char *min = duration_text(m->min), *max = duration_text(m->max);
	char *text = g_strdup_printf("a time from %s to %s such as \"90s\", \"15m\", \"2h\" or \"3d\"",
				     min, max);

	g_free(min);
	g_free(max);
	return text;
}

char *
setting_expected(const struct setting *m)
{
	switch (m->type) {
	case SETTING_BOOL:
		return g_strdup("true or false");
	case SETTING_INT:
		return g_strdup_printf("a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
				       m->min, m->max);
	case SETTING_DURATION:
		return duration_expected(m);
	case SETTING_CHOICE:
		return choice_names(m);
	case SETTING_MODE:
		return g_strdup("3 or 4 octal digits in quotes such as \"0660\"");
	case SETTING_TEXT:
		return g_strdup(m->kind->expected);
	case SETTING_TEMPLATE:
		return g_strdup("a text that may hold variables such as ${pool}");
	case SETTING_TEXTS:
		return g_strdup(m->kind->expected);
	case SETTING_NETWORKS:
		return g_strdup("an IP address or network such as 192.0.2.0/24 or 2001:db8::/32");
	case SETTING_GROUP:
		return g_strdup("a group { ... }");
	case SETTING_LIST:
		return g_strdup("a list of groups ( { ... }, { ... } )");
	}
	return g_strdup("nothing");
}

static bool
refuse(const struct setting *m, const char *text, char **why)
{
	char *quoted = m->flags & SETTING_SECRET && text[0] != '\0' ? g_strdup("not shown here")
								    : setting_quote(text);
	char *expected = setting_expected(m);

	*why = g_strdup_printf("%s: expected %s", quoted, expected);
	g_free(quoted);
	g_free(expected);
	return false;
}

static bool
refuse_because(const char *text, const char *reason, char **why)
{
	char *quoted = setting_quote(text);

	*why = g_strdup_printf("%s: %s", quoted, reason);
	g_free(quoted);
	return false;
}

bool
setting_set_bool(const struct setting *m, void *base, bool value, char **why)
{
	if (m->type != SETTING_BOOL)
		return refuse(m, value ? "true" : "false", why);
	*(bool *)member(m, base) = value;
	return true;
}

bool
setting_set_int(const struct setting *m, void *base, int64_t value, char **why)
{
	char *expected;

	if (m->type == SETTING_INT && value >= m->min && value <= m->max) {
		*(int64_t *)member(m, base) = value;
		return true;
	}
	expected = setting_expected(m);
	*why = g_strdup_printf("%" G_GINT64_FORMAT ": expected %s", value, expected);
	g_free(expected);
	return false;
}

/* A duration is written as the window of a limit. */
static bool
set_duration(const struct setting *m, void *base, const char *text, char **why)
{
	char *one = g_strconcat("1/", text, NULL);
	bool ok;
	struct limit limit;

	ok = g_ascii_isdigit(text[0]) && limit_parse(one, &limit) && limit.seconds >= m->min &&
	     limit.seconds <= m->max;
	g_free(one);
	if (!ok)
		return refuse(m, text, why);
	*(int64_t *)member(m, base) = limit.seconds;
	return true;
}

static bool
set_choice(const struct setting *m, void *base, const char *text, char **why)
{
	for (const struct setting_choice *c = m->choices; c->name != NULL; c++)
		if (strcmp(c->name, text) == 0) {
			*(int *)member(m, base) = c->value;
			return true;
		}
	return refuse(m, text, why);
}

static bool
set_mode(const struct setting *m, void *base, const char *text, char **why)
{
	size_t len = strlen(text);
	guint64 mode;

	if (len < 3 || len > 4 || !g_ascii_string_to_unsigned(text, 8, 0, 0777, &mode, NULL))
		return refuse(m, text, why);
	*(unsigned *)member(m, base) = (unsigned)mode;
	return true;
}

static bool
set_one_text(const struct setting *m, void *base, const char *text, char **why)
{
	char **target = member(m, base), *normal = m->kind->parse(text);

	if (normal == NULL)
		return refuse(m, text, why);
	g_free(*target);
	*target = normal;
	return true;
}

static bool
set_template(const struct setting *m, void *base, const char *text, char **why)
{
	struct template **target = member(m, base), *t;
	const char *reason;

	if (text[0] == '\0')
		return refuse(m, text, why);
	t = template_parse(text, &reason);
	if (t == NULL)
		return refuse_because(text, reason, why);
	template_free(*target);
	*target = t;
	return true;
}

static void
own_pointers(GPtrArray **array, GDestroyNotify free_element)
{
	if ((*array)->len > 0)
		return;
	g_ptr_array_unref(*array);
	*array = g_ptr_array_new_with_free_func(free_element);
}

static bool
add_text(const struct setting *m, void *base, const char *text, char **why)
{
	GPtrArray **array = member(m, base);
	char *normal = m->kind->parse(text);

	if (normal == NULL)
		return refuse(m, text, why);
	for (guint i = 0; !(m->flags & SETTING_MANY) && i < (*array)->len; i++) {
		const char *other = (*array)->pdata[i];

		if (m->kind->caseless ? g_ascii_strcasecmp(other, normal) == 0
				      : strcmp(other, normal) == 0) {
			g_free(normal);
			return refuse_because(text, "stands here twice: expected each only once",
					      why);
		}
	}
	own_pointers(array, g_free);
	g_ptr_array_add(*array, normal);
	return true;
}

static bool
add_network(const struct setting *m, void *base, const char *text, char **why)
{
	GArray **array = member(m, base);
	const char *reason;
	struct network n;

	memset(&n, 0, sizeof n);
	if (!network_parse(&n, text, &reason))
		return refuse_because(text, reason, why);
	for (guint i = 0; i < (*array)->len; i++)
		if (memcmp(&g_array_index(*array, struct network, i), &n, sizeof n) == 0)
			return refuse_because(text, "stands here twice: expected each only once",
					      why);
	if ((*array)->len == 0) {
		g_array_unref(*array);
		*array = g_array_new(FALSE, FALSE, sizeof n);
	}
	g_array_append_val(*array, n);
	return true;
}

bool
setting_set_text(const struct setting *m, void *base, const char *text, char **why)
{
	switch (m->type) {
	case SETTING_DURATION:
		return set_duration(m, base, text, why);
	case SETTING_CHOICE:
		return set_choice(m, base, text, why);
	case SETTING_MODE:
		return set_mode(m, base, text, why);
	case SETTING_TEXT:
		return set_one_text(m, base, text, why);
	case SETTING_TEMPLATE:
		return set_template(m, base, text, why);
	case SETTING_TEXTS:
		return add_text(m, base, text, why);
	case SETTING_NETWORKS:
		return add_network(m, base, text, why);
	default:
		return refuse(m, text, why);
	}
}

/* Frees what a member holds and leaves NULL. */
static void
release_member(const struct setting *m, void *base)
{
	void **target = member(m, base);

	switch (m->type) {
	case SETTING_TEXT:
		g_clear_pointer((char **)target, g_free);
		break;
	case SETTING_TEMPLATE:
		g_clear_pointer((struct template **)target, template_free);
		break;
	case SETTING_TEXTS:
	case SETTING_LIST:
		g_clear_pointer((GPtrArray **)target, g_ptr_array_unref);
		break;
	case SETTING_NETWORKS:
		g_clear_pointer((GArray **)target, g_array_unref);
		break;
	case SETTING_GROUP:
		setting_release(m->members, base);
		break;
	default:
		break;
	}
}

void
setting_clear(const struct setting *m, void *base)
{
	release_member(m, base);
	if (m->type == SETTING_TEXTS || m->type == SETTING_LIST)
		*(GPtrArray **)member(m, base) = empty_pointers();
	else if (m->type == SETTING_NETWORKS)
		*(GArray **)member(m, base) = empty_networks();
}

void
setting_release(const struct setting_table *t, void *base)
{
	for (size_t i = 0; i < t->count; i++)
		release_member(&t->settings[i], base);
}

void *
setting_add_item(const struct setting *m, void *base)
{
	GPtrArray **array = member(m, base);
	void *item = g_malloc0(m->members->size);

	setting_defaults(m->members, item);
	own_pointers(array, m->members->free_item);
	g_ptr_array_add(*array, item);
	return item;
}

/* A default is a literal of libconfig: strings in quotes, also within [ ]; true, false; digits. */
static void
set_default(const struct setting *m, void *base)
{
	bool ok = true;
	char *why = NULL;

	if (m->type == SETTING_BOOL) {
		ok = setting_set_bool(m, base, strcmp(m->preset, "true") == 0, &why);
	} else if (m->type == SETTING_INT) {
		ok = setting_set_int(m, base, g_ascii_strtoll(m->preset, NULL, 10), &why);
	} else if (strchr(m->preset, '"') != NULL) {
		char **parts = g_strsplit(m->preset, "\"", -1);

		/* What stands between quotes is every second part. */
		for (size_t i = 1; ok && parts[i] != NULL; i += 2)
			ok = setting_set_text(m, base, parts[i], &why);
		g_strfreev(parts);
	}
	if (!ok)
		g_error("default of %s: %s", m->name, why); /* a fault of the table: aborts */
}

void
setting_defaults(const struct setting_table *t, void *base)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct setting *m = &t->settings[i];

		if (m->type == SETTING_GROUP)
			setting_defaults(m->members, base);
		else
			setting_clear(m, base);
		if (m->preset != NULL)
			set_default(m, base);
	}
}
