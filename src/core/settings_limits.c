/*
 * settings_limits - sending limits of pools and ISP records; see settings_finish.h.
 *
 * What a limit may be is checked when it is read (setting_kind.c).  Here the texts become rules,
 * and pools find the ISP records that they name.  Most pools and records have no limits: these
 * share an array of no rules.
 */
#include "core/settings_finish.h"

#include <string.h>

static void
settle_rules(struct limits *l, GArray *none)
{
	if (l->texts->len == 0) {
		l->rules = g_array_ref(none);
		return;
	}
	l->rules = g_array_sized_new(FALSE, FALSE, sizeof(struct limit), l->texts->len);
	for (guint i = 0; i < l->texts->len; i++) {
		struct limit limit;

		if (limit_parse(l->texts->pdata[i], &limit)) /* it was read once already */
			g_array_append_val(l->rules, limit);
	}
}

/* Names of the records in force, in lower case, as isp_named() would find them. */
static GHashTable *
records_by_name(const struct settings *s)
{
	GHashTable *by = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	const GPtrArray *const lists[] = {s->isps, s->shipped_isps};

	for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
		for (guint k = 0; k < lists[i]->len; k++) {
			struct isp *isp = lists[i]->pdata[k];
			char *name = isp->name != NULL && !isp->replaced ? g_ascii_strdown(isp->name, -1)
									 : NULL;

			if (name != NULL && !g_hash_table_contains(by, name))
				g_hash_table_insert(by, name, isp);
			else
				g_free(name);
		}
	return by;
}

static bool
named_before(const struct pool *p, guint i)
{
	const struct isp_limits *l = p->isp_limits->pdata[i];

	for (guint k = 0; k < i; k++) {
		const struct isp_limits *other = p->isp_limits->pdata[k];

		if (other->name != NULL && g_ascii_strcasecmp(other->name, l->name) == 0)
			return true;
	}
	return false;
}

static void
finish_isp_limits(struct finish *f, guint i, GHashTable *by_name)
{
	struct isp_limits *l = f->pool->isp_limits->pdata[i];
	char *key = g_strdup_printf("isp_limits[%u].isp", i), *name;

	if (l->name == NULL) {
		g_free(key);
		return; /* the loader has said so */
	}
	f->item = l->origin;
	name = g_ascii_strdown(l->name, -1);
	l->isp = g_hash_table_lookup(by_name, name);
	if (l->isp == NULL)
		finish_error(f, key, "\"%s\": there is no such ISP record: expected the name of one",
			     l->name);
	else if (named_before(f->pool, i))
		finish_error(f, key, "\"%s\" stands here twice: expected each only once", l->name);
	f->item.line = 0;
	g_free(name);
	g_free(key);
}

static void
finish_pool_limits(struct finish *f, struct pool *p, GArray *none, GHashTable **by_name)
{
	f->pool = p;
	settle_rules(&p->limits, none);
	if (p->isp_limits->len > 0 && *by_name == NULL)
		*by_name = records_by_name(f->s);
	for (guint i = 0; i < p->isp_limits->len; i++) {
		settle_rules(&((struct isp_limits *)p->isp_limits->pdata[i])->limits, none);
		finish_isp_limits(f, i, *by_name);
	}
}

static void
settle_record(struct settings *s, struct isp *isp, GArray *none)
{
	s->isp_totals = s->isp_totals || (!isp->replaced && isp->total_limits.texts->len > 0);
	settle_rules(&isp->limits, none);
	settle_rules(&isp->total_limits, none);
}

void
finish_limits(struct finish *f)
{
	struct settings *s = f->s;
	GArray *none = g_array_new(FALSE, FALSE, sizeof(struct limit));
	GHashTable *by_name = NULL;

	for (guint i = 0; i < s->isps->len; i++)
		settle_record(s, s->isps->pdata[i], none);
	for (guint i = 0; i < s->shipped_isps->len; i++)
		settle_record(s, s->shipped_isps->pdata[i], none);
	for (guint i = 0; i < s->pools->len; i++)
		finish_pool_limits(f, s->pools->pdata[i], none, &by_name);
	f->pool = NULL;
	g_clear_pointer(&by_name, g_hash_table_destroy);
	g_array_unref(none);
}
