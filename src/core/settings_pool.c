/*
 * settings_pool - what the keys of pools must hold together; see settings_finish.h.
 */
#include "core/domain.h"
#include "core/setting_table.h"
#include "core/settings_finish.h"

#include <openssl/evp.h>
#include <string.h>

/* Registers the pool under a name that is its own; says so if another pool has it. */
static void
register_unique(const struct finish *f, GHashTable *by, const char *key, char *value,
		struct pool *p)
{
	const struct pool *other = value != NULL ? g_hash_table_lookup(by, value) : NULL;
	char *where;

	if (value == NULL)
		return;
	if (other == NULL) {
		g_hash_table_insert(by, value, p);
		return;
	}
	where = finish_place(other->origin);
	finish_error(f, key, "\"%s\": pool \"%s\" (%s) has it already: expected each only once",
		   value, other->name != NULL ? other->name : "?", where);
	g_free(where);
}

/* Several pools may share an spf_domain: all their modes count there. */
static void
register_spf_domain(const struct finish *f, const struct pool *p)
{
	GHashTable *by = f->s->spf_domains;
	guint modes;

	if (p->spf_domain == NULL)
		return;
	modes = GPOINTER_TO_UINT(g_hash_table_lookup(by, p->spf_domain)) | 1u << p->return_path;
	g_hash_table_insert(by, p->spf_domain, GUINT_TO_POINTER(modes));
}

static uint32_t
tag_of(const char *name)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(name, strlen(name), digest, NULL, EVP_sha256(), NULL) != 1)
		g_error("libcrypto has no SHA-256");
	return (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
	       digest[3];
}

static guint
tag_hash(gconstpointer pool)
{
	return ((const struct pool *)pool)->tag;
}

static gboolean
tag_equal(gconstpointer a, gconstpointer b)
{
	const struct pool *p = a, *q = b;

	return p->tag == q->tag && strcmp(p->spf_domain, q->spf_domain) == 0;
}

/*
 * A token is looked up at the domain that the bounce came to, so tags need to differ only there:
 * with 32 bits, two of 100,000 pools are more likely than not to have the same.
 */
static void
register_tag(const struct finish *f, struct pool *p)
{
	const struct pool *other;
	char *where;

	if (p->name == NULL)
		return;
	p->tag = tag_of(p->name);
	if (p->spf_domain == NULL)
		return;
	other = g_hash_table_lookup(f->pool_by_tag, p);
	if (other == NULL) {
		g_hash_table_add(f->pool_by_tag, p);
	} else if (strcmp(other->name, p->name) != 0) { /* the same name is an error already */
		where = finish_place(other->origin);
		finish_error(f, "name",
			   "\"%s\" gives the same Return-Path tag as \"%s\" (%s) at spf_domain %s: "
			   "expected "
			   "another name for one of the two",
			   p->name, other->name, where, p->spf_domain);
		g_free(where);
	}
}

static void
check_domains(const struct finish *f, const struct pool *p)
{
	if (p->sender_domain == NULL)
		return;
	if (p->sender_subdomain != NULL &&
	    strlen(p->sender_subdomain) + 1 + strlen(p->sender_domain) > DOMAIN_MAX)
		finish_error(f, "sender_subdomain", "%s.%s: expected at most %d octets",
			   p->sender_subdomain, p->sender_domain, DOMAIN_MAX);
	if (p->spf_domain != NULL && !domain_at_or_below(p->spf_domain, p->sender_domain))
		finish_warning(
			f, "spf_domain",
			"\"%s\" is not below sender_domain \"%s\": SPF may not align with From:",
			p->spf_domain, p->sender_domain);
}

/* The loader tells what is missing, with the line. This is for settings that were made another way.
 */
static void
check_complete(const struct finish *f, const struct pool *p)
{
	if (p->name == NULL || p->sender_domain == NULL || p->dkim_selector == NULL ||
	    p->dkim_key == NULL)
		finish_error(f, "name",
			   "incomplete: expected name, sender_domain, dkim_selector, dkim_key");
	if (p->spf_domain == NULL && p->return_path != RETURN_PATH_KEEP)
		finish_error(f, "spf_domain", "missing: required unless return_path is \"keep\"");
}

/* The pool's own signature goes in front of the others. */
static void
add_own_signature(struct pool *p)
{
	struct signature *own;
	gpointer *all;

	if (p->sender_domain == NULL || p->dkim_selector == NULL || p->dkim_key == NULL)
		return;
	own = setting_add_item(setting_find(&setting_table_pool, "signatures"), p);
	own->domain = g_strdup(p->sender_domain);
	own->selector = g_strdup(p->dkim_selector);
	own->key_file = g_strdup(p->dkim_key);
	own->origin = settings_pool_origin(p, "dkim_key");
	all = p->signatures->pdata;
	memmove(all + 1, all, (p->signatures->len - 1) * sizeof *all);
	all[0] = own;
}

static bool
same_signature(const struct signature *a, const struct signature *b)
{
	return g_ascii_strcasecmp(a->selector, b->selector) == 0 &&
	       strcmp(a->domain, b->domain) == 0;
}

static void
check_signature(struct finish *f, const struct pool *p, guint i)
{
	const struct signature *sig = p->signatures->pdata[i];
	static const char between[] = "._domainkey.";

	if (sig->domain == NULL || sig->selector == NULL)
		return;
	f->item = sig->origin;
	if (strlen(sig->selector) + sizeof between - 1 + strlen(sig->domain) > DOMAIN_MAX)
		finish_error(f, i == 0 ? "dkim_selector" : "signatures",
			   "%s%s%s: expected at most %d octets", sig->selector, between,
			   sig->domain, DOMAIN_MAX);
	for (guint j = 0; j < i; j++) {
		const struct signature *other = p->signatures->pdata[j];

		if (other->domain != NULL && other->selector != NULL && same_signature(sig, other))
			finish_error(f, "signatures",
				   "%s%s%s is signed twice: expected each only once", sig->selector,
				   between, sig->domain);
	}
	f->item.line = 0;
}

static void
check_signatures(struct finish *f, struct pool *p)
{
	for (guint i = 0; i < p->signatures->len; i++) {
		struct signature *sig = p->signatures->pdata[i];

		if (sig->domain == NULL && p->sender_domain != NULL)
			sig->domain = g_strdup(p->sender_domain);
	}
	add_own_signature(p);
	for (guint i = 0; i < p->signatures->len; i++)
		check_signature(f, p, i);
}

static void
finish_pool(struct finish *f, struct pool *p)
{
	f->pool = p;
	if (p->name != NULL && (strcmp(p->name, "pass") == 0 || strcmp(p->name, "reject") == 0))
		finish_error(f, "name", "\"%s\": expected another name: no_pool could not mean it",
			   p->name);
	register_unique(f, f->s->pool_by_name, "name", p->name, p);
	register_unique(f, f->s->pool_by_domain, "sender_domain", p->sender_domain, p);
	register_spf_domain(f, p);
	register_tag(f, p);
	if (f->whole)
		check_complete(f, p);
	check_domains(f, p);
	check_signatures(f, p);
	finish_rotation(f, p);
	finish_header_rules(f, &p->headers);
	finish_signed_headers(f, "signed_headers", p->signed_headers);
}

void
finish_pools(struct finish *f)
{
	f->pool_by_tag = g_hash_table_new(tag_hash, tag_equal);
	for (guint i = 0; i < f->s->pools->len; i++)
		finish_pool(f, f->s->pools->pdata[i]);
	f->pool = NULL;
	g_hash_table_destroy(f->pool_by_tag);
}
