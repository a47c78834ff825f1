/*
 * postfix_bounce - how bounces get from Postfix to poolctl bounce; see postfix_bounce.h.
 *
 * The domains are relay domains: Postfix takes mail for them, and transport_maps, which win over
 * the pools' ways, send it to the service.  pipe(8) gives it one recipient at a time, since each
 * has a Return-Path of its own.
 */
#include "ctl/postfix_bounce.h"

#include <string.h>

#define PROCESSES 10   /* each reads the configuration, and they take turns at the database */
#define CHECKED_MAX 50 /* domains that --check asks for */
#define USER "poolmilter"

static const char again[] =
	"run \"poolctl postfix --output DIR\", DIR/apply.sh and \"postfix reload\"";

bool
postfix_bounce_used(const struct settings *s)
{
	return s->events.used;
}

/* pipe(8) runs nothing as root. */
static const char *
user_of(const struct settings *s)
{
	return s->user != NULL && strcmp(s->user, "root") != 0 ? s->user : USER;
}

char *
postfix_bounce_service(const struct settings *s, const char *config)
{
	return g_strdup_printf(
		POSTFIX_BOUNCE
		" unix - n n - %d pipe flags=R user=%s null_sender= argv=" POOLMILTER_BINDIR
		"/poolctl bounce --config %s --sender ${sender} --recipient ${recipient}",
		PROCESSES, user_of(s), config);
}

GPtrArray *
postfix_bounce_domains(const struct settings *s, bool left)
{
	GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *domains = g_ptr_array_new();

	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		if (p->return_path != RETURN_PATH_KEEP && g_hash_table_add(seen, p->spf_domain) &&
		    g_hash_table_contains(s->pool_by_domain, p->spf_domain) == left)
			g_ptr_array_add(domains, p->spf_domain);
	}
	g_hash_table_destroy(seen);
	return domains;
}

GString *
postfix_bounce_table(const struct postfix_plan *p, const struct postfix_texts *t)
{
	GPtrArray *domains = postfix_bounce_domains(p->settings, false);
	GPtrArray *left = postfix_bounce_domains(p->settings, true);
	GString *out = g_string_new(NULL);

	postfix_files_heading(out, t, "# Domains whose mail goes to poolctl bounce.\n");
	for (guint i = 0; i < domains->len; i++)
		g_string_append_printf(out, "%s\t" POSTFIX_BOUNCE ":\n", (char *)domains->pdata[i]);
	for (guint i = 0; i < left->len; i++)
		g_string_append_printf(out, "# Not %s: it is a sender_domain and has other mail.\n",
				       (char *)left->pdata[i]);
	g_ptr_array_unref(domains);
	g_ptr_array_unref(left);
	return out;
}

/* ---- check ---- */

/* What a list's tables have of the keys: the first table that has one counts. */
static GHashTable *
query(const struct postfix_findings *f, const char *setting, const GPtrArray *keys)
{
	GHashTable *all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *value = postfix_config_get(f->config, NULL, setting);
	GPtrArray *list = postfix_config_list(value != NULL ? value : "");

	for (guint i = 0; i < list->len; i++) {
		const char *item = list->pdata[i];
		GHashTable *here = strchr(item, ':') != NULL
					   ? postfix_config_query(f->config, item, keys)
					   : NULL;
		GHashTableIter at;
		gpointer key, found;

		if (here == NULL) {
			g_hash_table_insert(all, g_strdup(item),
					    g_strdup("")); /* a name in the list */
			continue;
		}
		g_hash_table_iter_init(&at, here);
		while (g_hash_table_iter_next(&at, &key, &found))
			if (!g_hash_table_contains(all, key))
				g_hash_table_insert(all, g_strdup(key), g_strdup(found));
		g_hash_table_destroy(here);
	}
	g_ptr_array_free(list, TRUE);
	return all;
}

static void
check_service(struct postfix_findings *f)
{
	static const char limit[] = POSTFIX_BOUNCE "_destination_recipient_limit";
	const struct postfix_service *s = postfix_config_service(f->config, POSTFIX_BOUNCE, "unix");

	if (s == NULL || g_strcmp0(s->command, "pipe") != 0)
		postfix_finding_add(
			f, NULL, POSTFIX_BOUNCE, again,
			"there is no such service in master.cf: bounces become no events");
	else if (g_strcmp0(postfix_config_get(f->config, NULL, limit), "1") != 0)
		postfix_finding_add(
			f, NULL, limit, again,
			"a bounce for several Return-Paths is read for one of them only");
}

static void
check_domain(struct postfix_findings *f, const char *domain, GHashTable *transports,
	     GHashTable *relayed)
{
	const char *transport = g_hash_table_lookup(transports, domain);

	if (g_strcmp0(transport, POSTFIX_BOUNCE ":") != 0)
		postfix_finding_add(
			f, NULL, "transport_maps", again,
			"mail for %s does not go to poolctl bounce: bounces become no events",
			domain);
	else if (!g_hash_table_contains(relayed, domain))
		postfix_finding_add(f, NULL, "relay_domains", again,
				    "%s is not there: bounces from other hosts are refused",
				    domain);
}

/* A table of valid recipients would have to know all Return-Paths. */
static void
check_recipients(struct postfix_findings *f, const GPtrArray *domains)
{
	static const char setting[] = "relay_recipient_maps";
	const char *value = postfix_config_get(f->config, NULL, setting);
	GPtrArray *keys;
	GHashTable *found;

	if (value == NULL || *value == '\0')
		return;
	keys = g_ptr_array_new_with_free_func(g_free);
	for (guint i = 0; i < domains->len; i++)
		g_ptr_array_add(keys, g_strconcat("@", (char *)domains->pdata[i], NULL));
	found = query(f, setting, keys);
	for (guint i = 0; i < keys->len; i++)
		if (!g_hash_table_contains(found, keys->pdata[i]))
			postfix_finding_add(f, NULL, setting,
					    "add a table with \"@DOMAIN x\" for it",
					    "%s is not there: bounces from other hosts are refused",
					    (char *)keys->pdata[i]);
	g_hash_table_destroy(found);
	g_ptr_array_unref(keys);
}

void
postfix_rules_bounces(struct postfix_findings *f)
{
	GPtrArray *domains = postfix_bounce_domains(f->plan->settings, false);
	GHashTable *transports, *relayed;

	if (domains->len > CHECKED_MAX)
		g_ptr_array_set_size(domains, CHECKED_MAX);
	check_service(f);
	transports = query(f, "transport_maps", domains);
	relayed = query(f, "relay_domains", domains);
	for (guint i = 0; i < domains->len; i++)
		check_domain(f, domains->pdata[i], transports, relayed);
	check_recipients(f, domains);
	g_hash_table_destroy(transports);
	g_hash_table_destroy(relayed);
	g_ptr_array_unref(domains);
}
