/*
 * settings_dns - what the keys about the DNS and the MTA must hold together; see settings_finish.h.
 *
 * What would be a zone that no server loads, or that breaks mail, is an error; what receivers will
 * not honour is a warning.
 */
#include "core/domain.h"
#include "core/settings_finish.h"
#include "core/zone.h"
#include "core/zone_names.h"

#include <string.h>

struct dns_finish {
	struct finish *f;
	struct zone_names *names; /* of all pools; NULL: settings are not whole */
	GHashTable *targets; /* tracking_domain or spf_domain -> const struct pool *, the first */
	GHashTable *keys;    /* "selector domain" -> const struct signature *, the first */
};

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---- addresses and SPF ---- */

/* NULL: mail can leave from there. */
static const char *
address_problem(const char *text)
{
	static const struct {
		const char *network, *problem;
	} never[] = {
		{"0.0.0.0/8", "is no host's address"},    {"::/128", "is no host's address"},
		{"224.0.0.0/3", "is no host's address"},  {"ff00::/8", "is no host's address"},
		{"::ffff:0:0/96", "expected it as IPv4"},
	};
	struct address a;
	struct network n;
	const char *why;

	address_parse(&a, text);
	for (size_t i = 0; i < G_N_ELEMENTS(never); i++)
		if (network_parse(&n, never[i].network, &why) && network_match(&n, 1, &a) &&
		    (i < G_N_ELEMENTS(never) - 1 || strchr(text, ':') != NULL))
			return never[i].problem;
	return NULL;
}

static void
check_spf(struct finish *f)
{
	const struct pool *p = f->pool;

	for (guint i = 0; i < p->source_ips->len; i++) {
		const char *problem = address_problem(p->source_ips->pdata[i]);

		if (problem != NULL)
			finish_error(f, "source_ips", "\"%s\" %s", (char *)p->source_ips->pdata[i],
				     problem);
	}
	for (guint i = 0; i < p->spf_include->len; i++) {
		const char *domain = p->spf_include->pdata[i];

		if (same(domain, p->sender_domain) || same(domain, p->spf_domain))
			finish_error(
				f, "spf_include",
				"\"%s\" would include its own SPF record: expected other domains",
				domain);
	}
	if (p->spf_include->len > ZONE_SPF_LOOKUPS_MAX)
		finish_error(f, "spf_include",
			     "expected at most %d: receivers look up no more (RFC 7208 4.6.4)",
			     ZONE_SPF_LOOKUPS_MAX);
}

/* ---- DMARC and BIMI ---- */

static void
check_name(struct finish *f, const char *key, const char *before, const char *domain)
{
	if (strlen(before) + strlen(domain) > DOMAIN_MAX)
		finish_error(f, key, "%s%s: expected at most %d octets", before, domain,
			     DOMAIN_MAX);
}

static void
check_reports(struct finish *f)
{
	const struct pool *p = f->pool;
	const char *at = strrchr(p->dmarc.rua, '@');
	char domain[DOMAIN_SIZE], *name;

	if (!domain_normalise(at + 1, strlen(at + 1), domain))
		return;
	name = g_strndup(p->dmarc.rua, (gsize)(at - p->dmarc.rua));
	if (!g_str_is_ascii(name))
		finish_error(f, "dmarc.rua", "\"%s\": expected ASCII characters before the @",
			     p->dmarc.rua);
	g_free(name);
	name = g_strconcat(p->sender_domain, "._report._dmarc.", NULL);
	if (!domain_at_or_below(domain, p->sender_domain))
		check_name(f, "dmarc", name, domain);
	g_free(name);
}

static void
check_dmarc(struct finish *f)
{
	const struct pool *p = f->pool;

	f->item = settings_pool_origin(p, "dmarc");
	if (p->dmarc.policy == DMARC_UNSET && p->dmarc.subdomain_policy != DMARC_UNSET)
		finish_error(f, "dmarc.subdomain_policy", "expected policy with it");
	if (p->dmarc.policy == DMARC_UNSET && p->dmarc.rua != NULL)
		finish_error(f, "dmarc.rua",
			     "expected policy with it: without, there is no DMARC record");
	if (p->dmarc.policy != DMARC_UNSET && p->dmarc.rua == NULL)
		finish_warning(f, "dmarc.rua", "missing: nobody will tell of mail that fails");
	if (p->sender_domain != NULL && p->dmarc.policy != DMARC_UNSET)
		check_name(f, "dmarc", "_dmarc.", p->sender_domain);
	if (p->sender_domain != NULL && p->dmarc.rua != NULL)
		check_reports(f);
	f->item.line = 0;
}

static void
check_bimi(struct finish *f)
{
	const struct pool *p = f->pool;

	if (p->bimi_logo == NULL)
		return;
	if (!g_str_is_ascii(p->bimi_logo))
		finish_error(f, "bimi_logo",
			     "\"%s\": expected ASCII: A-labels, and %%XX in the path",
			     p->bimi_logo);
	if (p->dmarc.policy != DMARC_QUARANTINE && p->dmarc.policy != DMARC_REJECT)
		finish_warning(
			f, "bimi_logo",
			"no receiver shows it: expected dmarc.policy \"quarantine\" or \"reject\"");
	else if (p->dmarc.subdomain_policy == DMARC_NONE)
		finish_warning(f, "bimi_logo",
			       "no receiver shows it: expected dmarc.subdomain_policy other than "
			       "\"none\"");
	if (p->sender_domain != NULL)
		check_name(f, "bimi_logo", "default._bimi.", p->sender_domain);
}

/* ---- tracking and bounces ---- */

/* The first pool with the same name must mean the same by it. */
static void
check_target(const struct dns_finish *d, const char *key, const char *name, const char *target,
	     const char *(*target_of)(const struct pool *p))
{
	const struct pool *first = g_hash_table_lookup(d->targets, name);
	char *where;

	if (first == NULL) {
		g_hash_table_insert(d->targets, (void *)name, (void *)d->f->pool);
	} else if (target_of(first) != NULL && !same(target_of(first), target)) {
		where = finish_place(first->origin);
		finish_error(d->f, key,
			     "\"%s\": pool \"%s\" (%s) has \"%s\" for %s: expected the same",
			     target, first->name, where, target_of(first), name);
		g_free(where);
	}
}

static const char *
tracking_target(const struct pool *p)
{
	return p->tracking_target;
}

static const char *
bounce_target(const struct pool *p)
{
	return p->bounce_target;
}

/* A CNAME stands alone at its name: RFC 1034 3.6.2. */
static void
check_tracking(const struct dns_finish *d)
{
	struct finish *f = d->f;
	const struct pool *p = f->pool;
	const struct zone_name *n;

	if (p->tracking_domain == NULL && p->tracking_target == NULL)
		return;
	if (p->tracking_domain == NULL || p->tracking_target == NULL) {
		const char *there =
			p->tracking_domain != NULL ? "tracking_domain" : "tracking_target";

		finish_error(f, there, "expected tracking_domain and tracking_target together");
		return;
	}
	n = d->names != NULL ? zone_names_find(d->names, p->tracking_domain) : NULL;
	if (n != NULL)
		finish_error(f, "tracking_domain",
			     "\"%s\" is %s of pool \"%s\" and has other records, but a CNAME "
			     "stands alone: "
			     "expected another name",
			     p->tracking_domain,
			     n->sender   ? "sender_domain"
			     : n->bounce ? "spf_domain"
					 : "the sending hosts' name",
			     ((const struct pool *)n->pools->pdata[0])->name);
	if (same(p->tracking_domain, p->tracking_target))
		finish_error(f, "tracking_target",
			     "\"%s\": expected another name than tracking_domain",
			     p->tracking_target);
	check_target(d, "tracking_target", p->tracking_domain, p->tracking_target, tracking_target);
}

static void
check_bounces(const struct dns_finish *d)
{
	struct finish *f = d->f;
	const struct pool *p = f->pool;

	if (p->bounce_target == NULL)
		return;
	if (p->spf_domain == NULL) {
		if (f->whole)
			finish_error(f, "bounce_target", "expected spf_domain with it");
		return;
	}
	if (same(p->bounce_target, p->spf_domain))
		finish_error(f, "bounce_target", "\"%s\": expected another name than spf_domain",
			     p->bounce_target);
	if (same(p->bounce_target, p->tracking_domain))
		finish_error(f, "bounce_target",
			     "\"%s\" is a CNAME, tracking_domain: expected a host",
			     p->bounce_target);
	check_target(d, "bounce_target", p->spf_domain, p->bounce_target, bounce_target);
}

/* ---- keys and the relay ---- */

static void
check_next_key(struct finish *f)
{
	const struct pool *p = f->pool;

	if (same(p->dkim_next.key, p->dkim_key))
		finish_warning(f, "dkim_next", "%s is dkim_key itself: expected a new key",
			       p->dkim_key);
}

/* One name in the DNS is one key. */
static void
check_keys(const struct dns_finish *d)
{
	const struct pool *p = d->f->pool;

	for (guint i = 0; i < p->signatures->len; i++) {
		struct signature *sig = p->signatures->pdata[i], *first;
		char *as_written = g_strdup_printf("%s %s", sig->selector, sig->domain);
		char *name = g_ascii_strdown(as_written, -1), *where;

		g_free(as_written);
		first = g_hash_table_lookup(d->keys, name);
		if (first == NULL) {
			g_hash_table_insert(d->keys, name, sig);
			continue;
		}
		g_free(name);
		if (same(first->key_file, sig->key_file))
			continue;
		where = finish_place(first->origin);
		d->f->item = sig->origin;
		finish_warning(
			d->f, i == 0 ? "dkim_key" : "signatures",
			"%s._domainkey.%s has the key %s at %s: receivers find only one of the two",
			sig->selector, sig->domain, first->key_file, where);
		d->f->item.line = 0;
		g_free(where);
	}
}

static void
check_relay(struct finish *f)
{
	const struct pool *p = f->pool;

	f->item = settings_pool_origin(p, "relay");
	if (p->relay.username != NULL && p->relay.password_file == NULL)
		finish_error(f, "relay.username", "expected password_file with it");
	if (p->relay.username == NULL && p->relay.password_file != NULL)
		finish_error(f, "relay.password_file", "expected username with it");
	if (p->relay.username != NULL && !p->relay.starttls)
		finish_warning(f, "relay.starttls",
			       "false: the password goes over the network in clear");
	f->item.line = 0;
}

static bool
names_needed(const struct settings *s)
{
	for (guint i = 0; i < s->pools->len; i++)
		if (((const struct pool *)s->pools->pdata[i])->tracking_domain != NULL)
			return true;
	return false;
}

void
finish_dns(struct finish *f)
{
	struct dns_finish d = {.f = f};
	bool whole = f->whole && !errors_any(f->errors);

	if (whole && names_needed(f->s))
		d.names = zone_names_new(f->s);
	d.targets = g_hash_table_new(g_str_hash, g_str_equal);
	d.keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < f->s->pools->len; i++) {
		f->pool = f->s->pools->pdata[i];
		check_spf(f);
		check_dmarc(f);
		check_bimi(f);
		check_tracking(&d);
		check_bounces(&d);
		check_next_key(f);
		if (whole)
			check_keys(&d);
		check_relay(f);
	}
	f->pool = NULL;
	g_hash_table_destroy(d.targets);
	g_hash_table_destroy(d.keys);
	if (d.names != NULL)
		zone_names_free(d.names);
}
