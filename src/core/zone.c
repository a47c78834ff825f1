/*
 * zone - the DNS records that pools want; see zone.h.
 *
 * First all pools tell what they have at each name (core/zone_names.h), then the chosen ones ask
 * for their records, each of which is there once.  Nothing is invented: what the settings do not
 * tell is a warning, since a wrong record does more harm than a missing one ("v=spf1 -all" stops
 * all mail).
 */
#include "core/zone.h"

#include "core/domain.h"
#include "core/zone_names.h"

#include <stdarg.h>
#include <string.h>

#define SPF_OCTETS_MAX 450 /* with its name it fits an answer of 512, RFC 7208 3.4 */

struct build {
	struct zone *z;
	struct zone_names *names;
	GHashTable *by_content; /* name, type and value, or key file -> struct record * */
	GHashTable *warned;     /* what has been warned of */
	GHashTable *signers;    /* key file -> const struct signature *, the first that uses it */
	unsigned flags;
	zone_key_fn *key;
	void *context;
	const struct pool *pool; /* at hand */
};

static void
record_free(void *p)
{
	struct record *r = p;

	g_free(r->name);
	g_free(r->value);
	g_free(r->problem);
	g_ptr_array_unref(r->pools);
	g_free(r);
}

/* g_free it. */
static char *
content(const char *name, enum record_type type, const char *value)
{
	return g_strdup_printf("%s %d %s", name, (int)type, value);
}

static void
want(struct record *r, const struct pool *p)
{
	GPtrArray *pools = r->pools;

	if (pools->len == 0 || pools->pdata[pools->len - 1] != p)
		g_ptr_array_add(pools, (void *)p);
}

/* The record of this content, made if it is not there; *made tells. */
static struct record *
take(struct build *b, const char *name, enum record_type type, const char *value, bool *made)
{
	char *key = content(name, type, value);
	struct record *r = g_hash_table_lookup(b->by_content, key);

	*made = r == NULL;
	if (r != NULL) {
		g_free(key);
		return r;
	}
	r = g_new0(struct record, 1);
	r->name = g_strdup(name);
	r->type = type;
	r->value = g_strdup(value);
	r->pool = b->pool;
	r->pools = g_ptr_array_new();
	g_ptr_array_add(b->z->records, r);
	g_hash_table_insert(b->by_content, key, r);
	return r;
}

/* Wants a record; the more important purpose of two stays. */
static struct record *
add(struct build *b, enum record_purpose purpose, enum record_need need, const char *name,
    enum record_type type, const char *value)
{
	bool made;
	struct record *r = take(b, name, type, value, &made);

	if (made || need < r->need) {
		r->purpose = purpose;
		r->need = need;
	}
	want(r, b->pool);
	return r;
}

static void G_GNUC_PRINTF(2, 3) warn(struct build *b, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	if (g_hash_table_add(b->warned, text))
		g_ptr_array_add(b->z->warnings, g_strdup(text));
}

/* ---- hosts ---- */

char *
zone_helo_name(const struct pool *p)
{
	if (p->sender_subdomain == NULL)
		return NULL;
	return g_strconcat(p->sender_subdomain, ".", p->sender_domain, NULL);
}

char *
zone_ptr_name(const char *address)
{
	bool v4 = strchr(address, ':') == NULL;
	GString *name = g_string_new(NULL);
	struct address a;

	address_parse(&a, address);
	for (int i = 15; i >= (v4 ? 12 : 0); i--)
		if (v4)
			g_string_append_printf(name, "%u.", a.octets[i]);
		else
			g_string_append_printf(name, "%x.%x.", a.octets[i] & 15u, a.octets[i] >> 4);
	g_string_append(name, v4 ? "in-addr.arpa" : "ip6.arpa");
	return g_string_free(name, FALSE);
}

/* An address has one name, however many pools send from it. */
static void
add_ptr(struct build *b, const char *address)
{
	const GPtrArray *pools = g_hash_table_lookup(b->names->addresses, address);
	const struct pool *first = pools->pdata[0];
	char *name = zone_ptr_name(address), *helo = zone_helo_name(first),
	     *own = zone_helo_name(b->pool);
	struct record *r = add(b, FOR_PTR, RECORD_NEEDED, name, RECORD_PTR, helo);

	r->note = "in the zone of the network's owner, who may have to set it for you";
	if (strcmp(helo, own) != 0)
		warn(b,
		     "pool \"%s\": %s is an address of pool \"%s\" too, whose name %s its PTR "
		     "record holds: "
		     "%s is confirmed by its A record alone",
		     b->pool->name, address, first->name, helo, own);
	g_free(name);
	g_free(helo);
	g_free(own);
}

static void
add_hosts(struct build *b, const char *helo)
{
	const struct zone_name *n = zone_names_find(b->names, helo);

	for (guint i = 0; i < n->addresses->len; i++) {
		const char *address = n->addresses->pdata[i];

		add(b, FOR_HELO, RECORD_NEEDED, helo,
		    strchr(address, ':') != NULL ? RECORD_AAAA : RECORD_A, address);
	}
	for (guint i = 0; i < b->pool->source_ips->len; i++)
		add_ptr(b, b->pool->source_ips->pdata[i]);
}

/* ---- SPF ---- */

static const char *
spf_note(const struct zone_name *n)
{
	if (n->sender)
		return "one SPF record only: where the domain has one, add these terms to that";
	return NULL;
}

static void
check_spf(struct build *b, const char *name, const char *text, unsigned lookups)
{
	if (lookups > ZONE_SPF_LOOKUPS_MAX)
		warn(b,
		     "%s: its SPF record has %u look-ups: receivers stop after %d (RFC 7208 4.6.4)",
		     name, lookups, ZONE_SPF_LOOKUPS_MAX);
	if (strlen(text) > SPF_OCTETS_MAX)
		warn(b,
		     "%s: its SPF record has %zu octets: above %d an answer may not fit a UDP "
		     "packet (RFC 7208 "
		     "3.4)",
		     name, strlen(text), SPF_OCTETS_MAX);
}

/* What the name's record is for: the most important of its uses. */
static enum record_purpose
spf_purpose(const struct zone_name *n, enum record_need *need)
{
	*need = n->bounce || n->kept ? RECORD_NEEDED : RECORD_ADVISED;
	if (n->bounce)
		return FOR_BOUNCE_SPF;
	return n->sender ? FOR_SPF : FOR_HELO_SPF;
}

static void
add_spf(struct build *b, const char *name)
{
	const struct zone_name *n = zone_names_find(b->names, name);
	unsigned lookups;
	struct record *r;
	char *text;
	bool made;

	if (!zone_name_authorises(n))
		return;
	text = zone_name_spf(n, "v=spf1", &lookups);
	check_spf(b, name, text, lookups);
	r = take(b, name, RECORD_TXT, text, &made);
	g_free(text);
	if (!made)
		return;
	r->purpose = spf_purpose(n, &r->need);
	r->note = spf_note(n);
	for (guint i = 0; i < n->pools->len; i++)
		want(r, n->pools->pdata[i]);
}

static void
add_legacy(struct build *b)
{
	const char *domain = b->pool->sender_domain;
	const struct zone_name *n = zone_names_find(b->names, domain);
	char *name = g_strconcat("_domainkey.", domain, NULL), *text;
	unsigned lookups;

	if (zone_name_authorises(n)) {
		text = zone_name_spf(n, "spf2.0/pra", &lookups);
		add(b, FOR_LEGACY_SPF, RECORD_OBSOLETE, domain, RECORD_TXT, text)->note =
			"Sender ID (RFC 4406): historic, nobody asks for it";
		g_free(text);
	}
	add(b, FOR_LEGACY_DKIM, RECORD_OBSOLETE, name, RECORD_TXT, "o=-")->note =
		"DomainKeys (RFC 4870): historic, DKIM has no such record";
	g_free(name);
}

/* ---- where answers and bounces go ---- */

static void
add_mx(struct build *b, const char *helo)
{
	const char *domain = b->pool->sender_domain;

	if (b->pool->source_ips->len > 0 && !zone_names_find(b->names, domain)->bounce)
		add(b, FOR_MX, RECORD_IF_NONE, domain, RECORD_MX, helo)->note =
			"only if the domain has no MX record: mail to it would come here";
}

/*
 * A CNAME stands alone at its name (RFC 1034 3.6.2).  It does where SPF is the target's matter;
 * else the name has an MX beside its own SPF record.
 */
static bool
bounce_alias(const struct zone_name *n)
{
	return !zone_name_authorises(n) && !n->sender && !n->helo;
}

static void
add_bounce(struct build *b, const char *helo)
{
	const struct pool *p = b->pool;
	const struct zone_name *n = zone_names_find(b->names, p->spf_domain);
	struct record *r;

	if (n->bounce_target != NULL && bounce_alias(n)) {
		r = add(b, FOR_BOUNCE, RECORD_NEEDED, n->name, RECORD_CNAME, n->bounce_target);
		r->note = "the SPF record and the MX records are those of the target";
	} else if (n->bounce_target != NULL) {
		r = add(b, FOR_BOUNCE, n->sender ? RECORD_IF_NONE : RECORD_NEEDED, n->name,
			RECORD_MX, n->bounce_target);
		if (n->sender)
			r->note = "all mail to this domain goes there, not bounces alone";
	} else if (helo != NULL && p->source_ips->len > 0) {
		r = add(b, FOR_BOUNCE, RECORD_IF_NONE, n->name, RECORD_MX, helo);
		r->note =
			"bounce_target is not set: where the sending host takes the bounces itself";
	} else if (p->return_path != RETURN_PATH_KEEP) {
		warn(b,
		     "pool \"%s\": bounce_target is not set: where bounces to %s go cannot be told",
		     p->name, n->name);
	}
}

/* ---- DKIM ---- */

/* Who has the key can sign for all its domains, and one domain's bad name becomes that of all. */
static void
check_shared_key(struct build *b, const struct signature *sig)
{
	const struct signature *first = g_hash_table_lookup(b->signers, sig->key_file);

	if (strcmp(sig->domain, first->domain) != 0)
		warn(b,
		     "%s signs for %s and for %s: expected a key for each domain (poolctl genkey)",
		     sig->key_file, first->domain, sig->domain);
}

static void
add_key(struct build *b, enum record_purpose purpose, enum record_need need, const char *selector,
	const char *domain, const char *key_file)
{
	char *as_written = g_strconcat(selector, "._domainkey.", domain, NULL);
	char *name = g_ascii_strdown(as_written, -1), *why = NULL, *text = NULL;
	char *file_content = content(name, RECORD_TXT, key_file);
	struct record *r = g_hash_table_lookup(b->by_content, file_content);

	if (r == NULL) {
		text = b->key(b->context, key_file, &why);
		r = add(b, purpose, need, name, RECORD_TXT, text != NULL ? text : key_file);
		g_hash_table_insert(b->by_content, g_steal_pointer(&file_content), r);
	}
	want(r, b->pool);
	if (r->key_file == NULL)
		r->key_file = key_file;
	if (why != NULL) {
		g_clear_pointer(&r->value, g_free);
		r->problem = why;
	}
	g_free(text);
	g_free(file_content);
	g_free(name);
	g_free(as_written);
}

static void
add_keys(struct build *b)
{
	const struct pool *p = b->pool;

	for (guint i = 0; i < p->signatures->len; i++) {
		const struct signature *sig = p->signatures->pdata[i];

		check_shared_key(b, sig);
		add_key(b, FOR_DKIM, RECORD_NEEDED, sig->selector, sig->domain, sig->key_file);
	}
	if (p->dkim_next.selector != NULL)
		add_key(b, FOR_DKIM_NEXT,
			p->dkim_next.use_after != NULL ? RECORD_NEEDED : RECORD_ADVISED,
			p->dkim_next.selector, p->sender_domain, p->dkim_next.key);
}

/* ---- DMARC and BIMI ---- */

/*
 * Reports to another organisation's domain need its consent.  Which names belong to one
 * organisation only the public suffix list knows; domains of which neither is above the other are
 * taken for two.
 */
static void
add_reports(struct build *b, const char *domain)
{
	const char *sender = b->pool->sender_domain;
	char *name;

	if (domain_at_or_below(domain, sender) || domain_at_or_below(sender, domain))
		return;
	name = g_strconcat(sender, "._report._dmarc.", domain, NULL);
	add(b, FOR_DMARC_REPORTS, RECORD_ADVISED, name, RECORD_TXT, "v=DMARC1")->note =
		"in the zone of the domain that gets the reports; not needed if it is your own "
		"organisation's";
	g_free(name);
}

static char *
dmarc_text(const struct pool *p, const char *rua)
{
	static const char *const words[] = {NULL, "none", "quarantine", "reject"};
	GString *text = g_string_new("v=DMARC1");

	g_string_append_printf(text, "; p=%s", words[p->dmarc.policy]);
	if (p->dmarc.subdomain_policy != DMARC_UNSET)
		g_string_append_printf(text, "; sp=%s", words[p->dmarc.subdomain_policy]);
	if (rua != NULL)
		g_string_append_printf(text, "; rua=%s", rua);
	return g_string_free(text, FALSE);
}

static void
add_dmarc(struct build *b)
{
	const struct pool *p = b->pool;
	const char *at = p->dmarc.rua != NULL ? strrchr(p->dmarc.rua, '@') : NULL;
	char *name = g_strconcat("_dmarc.", p->sender_domain, NULL), *rua = NULL, *text;
	char domain[DOMAIN_SIZE] = "";

	if (at != NULL && domain_normalise(at + 1, strlen(at + 1), domain))
		rua = g_strdup_printf("%.*s@%s", (int)(at - p->dmarc.rua), p->dmarc.rua, domain);
	if (p->dmarc.policy != DMARC_UNSET) {
		text = dmarc_text(p, rua);
		add(b, FOR_DMARC, RECORD_NEEDED, name, RECORD_TXT, text);
		if (rua != NULL)
			add_reports(b, domain);
		g_free(text);
	}
	g_free(rua);
	g_free(name);
}

static void
add_bimi(struct build *b)
{
	char *name = g_strconcat("default._bimi.", b->pool->sender_domain, NULL), *text;

	if (b->pool->bimi_logo != NULL) {
		text = g_strconcat("v=BIMI1; l=", b->pool->bimi_logo, NULL);
		add(b, FOR_BIMI, RECORD_ADVISED, name, RECORD_TXT, text);
		g_free(text);
	}
	g_free(name);
}

/* ---- a pool ---- */

/* Receivers see what stands behind the translation of addresses, and that is what records must
 * tell. */
static void
check_private(struct build *b)
{
	static const char *const private_networks[] = {
		"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
		"169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "::/128",
		"::1/128",        "fc00::/7",      "fe80::/10",
	};
	const GPtrArray *ips = b->pool->source_ips;
	struct network n;
	struct address a;
	const char *why;

	for (guint i = 0; i < ips->len; i++)
		for (size_t k = 0; k < G_N_ELEMENTS(private_networks); k++)
			if (network_parse(&n, private_networks[k], &why) &&
			    address_parse(&a, ips->pdata[i]) && network_match(&n, 1, &a))
				warn(b, "pool \"%s\": %s is a private address: no receiver sees it",
				     b->pool->name, (char *)ips->pdata[i]);
}

/* What the settings do not tell, and receivers will miss. */
static void
check_sources(struct build *b)
{
	const struct pool *p = b->pool;
	const struct zone_name *n =
		p->spf_domain != NULL ? zone_names_find(b->names, p->spf_domain) : NULL;

	if (n != NULL && n->bounce_target != NULL && bounce_alias(n))
		return; /* SPF is the target's matter */
	if (p->relay.host != NULL && p->spf_include->len == 0)
		warn(b,
		     "pool \"%s\": spf_include is empty: SPF cannot allow what the relay %s sends "
		     "from",
		     p->name, p->relay.host);
	else if (p->relay.host == NULL && p->source_ips->len == 0 && p->spf_include->len == 0)
		warn(b,
		     "pool \"%s\": neither source_ips nor spf_include: there is no SPF record to "
		     "tell",
		     p->name);
	else if (p->relay.host == NULL && p->source_ips->len == 0)
		warn(b,
		     "pool \"%s\": source_ips is empty: SPF allows only what it includes, and "
		     "there are no A "
		     "and PTR records to tell",
		     p->name);
	if (p->source_ips->len > 0 && p->sender_subdomain == NULL)
		warn(b,
		     "pool \"%s\": sender_subdomain is not set: there are no A and PTR records to "
		     "tell",
		     p->name);
}

static void
add_pool(struct build *b, const struct pool *p)
{
	char *helo = zone_helo_name(p);

	b->pool = p;
	check_sources(b);
	check_private(b);
	if (helo != NULL) {
		add_hosts(b, helo);
		add_spf(b, helo);
		add_mx(b, helo);
	}
	add_spf(b, p->sender_domain);
	if (p->spf_domain != NULL) {
		add_spf(b, p->spf_domain);
		add_bounce(b, helo);
	}
	add_keys(b);
	add_dmarc(b);
	add_bimi(b);
	if (p->tracking_domain != NULL)
		add(b, FOR_TRACKING, RECORD_NEEDED, p->tracking_domain, RECORD_CNAME,
		    p->tracking_target);
	if (b->flags & ZONE_LEGACY)
		add_legacy(b);
	g_free(helo);
}

/* ---- the zone ---- */

static GHashTable *
first_signers(const struct settings *s)
{
	GHashTable *signers = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		for (guint k = 0; k < p->signatures->len; k++) {
			struct signature *sig = p->signatures->pdata[k];

			if (!g_hash_table_contains(signers, sig->key_file))
				g_hash_table_insert(signers, sig->key_file, sig);
		}
	}
	return signers;
}

struct zone *
zone_new(const struct settings *s, const GPtrArray *pools, unsigned flags, zone_key_fn *key,
	 void *context)
{
	struct build b = {.flags = flags, .key = key, .context = context};

	if (pools == NULL)
		pools = s->pools;
	b.z = g_new0(struct zone, 1);
	b.z->records = g_ptr_array_new_with_free_func(record_free);
	b.z->warnings = g_ptr_array_new_with_free_func(g_free);
	b.names = zone_names_new(s);
	b.by_content = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	b.warned = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	b.signers = first_signers(s);
	for (guint i = 0; i < pools->len; i++)
		add_pool(&b, pools->pdata[i]);
	g_hash_table_destroy(b.signers);
	g_hash_table_destroy(b.warned);
	g_hash_table_destroy(b.by_content);
	zone_names_free(b.names);
	return b.z;
}

void
zone_free(struct zone *z)
{
	if (z == NULL)
		return;
	g_ptr_array_unref(z->records);
	g_ptr_array_unref(z->warnings);
	g_free(z);
}
