/*
 * settings_isp - what ISP records must hold together, and their look-ups; see settings_finish.h.
 *
 * Custom and shipped records have look-ups of their own: the custom ones are asked first, so a custom
 * record takes a domain away from a shipped one by being there.  Within one kind each domain and each
 * MX rule belongs to one record.  A record that can never match is an error, in our own file too.
 */
#include "core/isp.h"
#include "core/setting_table.h"
#include "core/settings_finish.h"

#include <string.h>

#define DEFAULT_NAME "default"

static bool
is_default(const struct isp *isp)
{
	return isp->name != NULL && g_ascii_strcasecmp(isp->name, DEFAULT_NAME) == 0;
}

/* A name as a key of look-ups (g_free it). */
static char *
folded(const char *name)
{
	return g_ascii_strdown(name, -1);
}

static void
register_names(struct finish *f, const GPtrArray *records, GHashTable *by)
{
	for (guint i = 0; i < records->len; i++) {
		struct isp *isp = records->pdata[i];
		char *name = isp->name != NULL ? folded(isp->name) : NULL;
		const struct isp *other = name != NULL ? g_hash_table_lookup(by, name) : NULL;

		f->isp = isp;
		if (other != NULL) {
			char *where = finish_place(other->origin);

			finish_error(f, "name", "\"%s\": the record at %s has it already: expected each "
						"only once", isp->name, where);
			g_free(where);
		}
		if (name != NULL && other == NULL)
			g_hash_table_insert(by, name, isp);
		else
			g_free(name);
	}
}

/* Puts a domain or MX rule into its table; says so if another record of the kind has it. */
static void
register_rule(const struct finish *f, GHashTable *exact, GHashTable *suffixes, const char *key, char *rule)
{
	bool suffix = g_str_has_prefix(rule, "*.");
	GHashTable *by = suffix ? suffixes : exact;
	char *name = suffix ? rule + 2 : rule, *where;
	const struct isp *other = g_hash_table_lookup(by, name);

	if (other == NULL) {
		g_hash_table_insert(by, name, (struct isp *)f->isp);
	} else if (other == f->isp) {
		finish_error(f, key, "\"%s\" stands here twice: expected each only once", rule);
	} else {
		where = finish_place(other->origin);
		finish_error(f, key, "\"%s\": record \"%s\" (%s) has it already: expected each only once",
			     rule, other->name != NULL ? other->name : "?", where);
		g_free(where);
	}
}

static void
register_rules(const struct finish *f, struct isp_index *index)
{
	const struct isp *isp = f->isp;

	for (guint i = 0; i < isp->domains->len; i++)
		register_rule(f, index->domains, index->suffixes, "domains", isp->domains->pdata[i]);
	for (guint i = 0; i < isp->mx->len; i++)
		register_rule(f, index->mx_hosts, index->mx_suffixes, "mx", isp->mx->pdata[i]);
}

/* How many rules of a shipped record custom records have too. */
static unsigned
count_taken(const struct settings *s, const struct isp *isp)
{
	unsigned n = 0;

	for (guint i = 0; i < isp->domains->len; i++)
		n += isp_domain_taken(s, isp->domains->pdata[i]) != NULL;
	for (guint i = 0; i < isp->mx->len; i++)
		n += isp_mx_taken(s, isp->mx->pdata[i]) != NULL;
	return n;
}

static void
check_match(struct finish *f)
{
	const struct isp *isp = f->isp;
	bool any = isp->domains->len + isp->mx->len > 0;

	if (is_default(isp) && any)
		finish_error(f, "domains", "expected none: \"" DEFAULT_NAME "\" treats what no other record "
					   "has");
	else if (!is_default(isp) && !any && f->whole)
		finish_error(f, "domains", "the record can never match: expected domains or mx");
}

static void
finish_record(struct finish *f, struct isp *isp, struct isp_index *index)
{
	f->isp = isp;
	check_match(f);
	finish_header_rules(f, &isp->headers);
	register_rules(f, index);
	f->s->isp_mx = f->s->isp_mx || isp->mx->len > 0;
	if (is_default(isp))
		f->s->default_isp = isp;
}

static bool
uses_isp_name(const GPtrArray *values)
{
	for (guint i = 0; i < values->len; i++) {
		const struct header_value *h = values->pdata[i];

		if (h->value != NULL && template_uses(h->value, "isp"))
			return true;
	}
	return false;
}

static void
append_values(GString *key, const char *kind, const GPtrArray *values)
{
	for (guint i = 0; i < values->len; i++) {
		const struct header_value *h = values->pdata[i];

		if (h->name != NULL && h->value != NULL)
			g_string_append_printf(key, "\n%s %s: %s", kind, h->name,
					       template_text(h->value));
	}
}

/* Everything that the record does to a message, as text; equal texts, equal treatment. */
static char *
treatment_text(const struct isp *isp)
{
	GString *key = g_string_new(NULL);
	const struct header_rules *r = &isp->headers;

	g_string_append_printf(key, "%d %d %d", isp->encoding.global, isp->encoding.html,
			       isp->encoding.text);
	for (guint i = 0; i < r->delete_headers->len; i++)
		g_string_append_printf(key, "\ndelete %s", (char *)r->delete_headers->pdata[i]);
	append_values(key, "set", r->set_headers);
	append_values(key, "add", r->add_headers);
	if (uses_isp_name(r->set_headers) || uses_isp_name(r->add_headers))
		g_string_append_printf(key, "\nisp %s", isp->name);
	return g_string_free(key, FALSE);
}

static void
settle_treatment(struct isp *isp, GHashTable *treatments)
{
	char *text;
	gpointer number;

	isp_settle_encoding(isp);
	text = treatment_text(isp);
	if (g_hash_table_lookup_extended(treatments, text, NULL, &number)) {
		isp->treatment = GPOINTER_TO_UINT(number);
		g_free(text);
		return;
	}
	isp->treatment = g_hash_table_size(treatments);
	g_hash_table_insert(treatments, text, GUINT_TO_POINTER(isp->treatment));
}

static void
settle_treatments(struct settings *s)
{
	GHashTable *treatments = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < s->isps->len; i++)
		settle_treatment(s->isps->pdata[i], treatments);
	for (guint i = 0; i < s->shipped_isps->len; i++)
		settle_treatment(s->shipped_isps->pdata[i], treatments);
	g_hash_table_destroy(treatments);
}

/* There is always a record "default": one that does nothing, unless the file has another. */
static void
need_default(struct settings *s)
{
	if (s->default_isp != NULL)
		return;
	s->default_isp = setting_add_item(setting_find(&setting_table, "isps"), s);
	s->default_isp->name = g_strdup(DEFAULT_NAME);
	s->default_isp->index = s->isps->len - 1;
}

static void
finish_shipped(struct finish *f, const GHashTable *custom_names)
{
	struct settings *s = f->s;

	for (guint i = 0; i < s->shipped_isps->len; i++) {
		struct isp *isp = s->shipped_isps->pdata[i];
		char *name = isp->name != NULL ? folded(isp->name) : g_strdup("");

		isp->replaced = g_hash_table_contains((GHashTable *)custom_names, name);
		g_free(name);
		if (isp->replaced)
			continue;
		finish_record(f, isp, &s->isp_index[1]);
		isp->domains_taken = count_taken(s, isp);
	}
}

void
finish_isps(struct finish *f)
{
	struct settings *s = f->s;
	GHashTable *custom = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GHashTable *shipped = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < s->shipped_isps->len; i++)
		((struct isp *)s->shipped_isps->pdata[i])->shipped = true;
	register_names(f, s->isps, custom);
	register_names(f, s->shipped_isps, shipped);
	for (guint i = 0; i < s->isps->len; i++)
		finish_record(f, s->isps->pdata[i], &s->isp_index[0]);
	finish_shipped(f, custom);
	f->isp = NULL;
	need_default(s);
	settle_treatments(s);
	g_hash_table_destroy(custom);
	g_hash_table_destroy(shipped);
}
