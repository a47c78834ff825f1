/*
 * settings - the configuration as the daemon uses it; see settings.h.
 *
 * settings_finish() is the place for all rules about keys together; what one key alone may hold is
 * the table's (core/setting_rows.c).  What it finds about a pool is reported at the line where the
 * pool begins.  It copes with pools that are incomplete, since their errors are known by then.
 */
#include "core/settings.h"

#include "core/domain.h"
#include "core/setting_table.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <string.h>

struct settings *
settings_new(void)
{
	struct settings *s = g_new0(struct settings, 1);

	s->references = 1;
	s->files = g_ptr_array_new_with_free_func(g_free);
	s->origins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	s->return_path.secrets = g_array_new(FALSE, TRUE, sizeof(struct secret));
	s->pool_by_name = g_hash_table_new(g_str_hash, g_str_equal);
	s->pool_by_domain = g_hash_table_new(g_str_hash, g_str_equal);
	s->spf_domains = g_hash_table_new(g_str_hash, g_str_equal);
	setting_defaults(&setting_table, s);
	return s;
}

struct settings *
settings_ref(struct settings *s)
{
	g_atomic_int_inc(&s->references);
	return s;
}

static void
settings_free(struct settings *s)
{
	GArray *secrets = s->return_path.secrets;

	g_hash_table_destroy(s->pool_by_name);
	g_hash_table_destroy(s->pool_by_domain);
	g_hash_table_destroy(s->spf_domains);
	if (s->keys_free != NULL)
		s->keys_free(s->keys);
	OPENSSL_cleanse(secrets->data, secrets->len * sizeof(struct secret));
	g_array_free(secrets, TRUE);
	setting_release(&setting_table, s);
	g_hash_table_destroy(s->origins);
	g_ptr_array_free(s->files, TRUE);
	g_free(s);
}

void
settings_unref(struct settings *s)
{
	if (s != NULL && g_atomic_int_dec_and_test(&s->references))
		settings_free(s);
}

struct origin
settings_origin(const struct settings *s, const char *path)
{
	const struct origin *at = g_hash_table_lookup(s->origins, path);
	struct origin whole = {s->files->len > 0 ? s->files->pdata[0] : NULL, 0};

	return at != NULL ? *at : whole;
}

struct origin
settings_pool_origin(const struct pool *p, const char *key)
{
	const struct setting *m = setting_find(&setting_table_pool, key);
	struct origin at = p->origin;

	if (m != NULL)
		at.line += p->lines[m - setting_table_pool.settings];
	return at;
}

bool
settings_need_secret(const struct settings *s)
{
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		if (p->return_path == RETURN_PATH_SIGNED || p->return_path == RETURN_PATH_VERP)
			return true;
	}
	return false;
}

/* What is being checked, and where to say so. */
struct finish {
	struct settings *s;
	struct errors *errors;
	bool whole;              /* no errors before: then nothing may be missing */
	GHashTable *pool_by_tag; /* struct pool * by its tag and spf_domain */
	const struct pool *pool; /* at hand */
	struct origin item;      /* the part of it at hand; line 0: none, the key tells */
};

typedef void report_function(struct errors *e, struct origin at, const char *key,
			     const char *format, ...) G_GNUC_PRINTF(4, 5);

static void G_GNUC_PRINTF(4, 0) report(const struct finish *f, report_function *to, const char *key,
				       const char *format, va_list ap)
{
	char *text = g_strdup_vprintf(format, ap);
	char *path = g_strdup_printf("pools[%u].%s", f->pool->index, key);

	to(f->errors, f->item.line > 0 ? f->item : settings_pool_origin(f->pool, key), path, "%s",
	   text);
	g_free(path);
	g_free(text);
}

/* An error about a key of the pool at hand. */
static void G_GNUC_PRINTF(3, 4)
	pool_error(const struct finish *f, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report(f, errors_add, key, format, ap);
	va_end(ap);
}

static void G_GNUC_PRINTF(3, 4)
	pool_warning(const struct finish *f, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report(f, errors_warn, key, format, ap);
	va_end(ap);
}

/* "FILE:LINE", for a second place (g_free it). */
static char *
place(const struct pool *p)
{
	return g_strdup_printf("%s:%u", p->origin.file != NULL ? p->origin.file : "configuration",
			       p->origin.line);
}

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
	where = place(other);
	pool_error(f, key, "\"%s\": pool \"%s\" (%s) has it already: expected each only once",
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
		where = place(other);
		pool_error(f, "name",
			   "\"%s\" gives the same Return-Path tag as \"%s\" (%s) at spf_domain %s: "
			   "expected "
			   "another name for one of the two",
			   p->name, other->name, where, p->spf_domain);
		g_free(where);
	}
}

/* True if domain is parent or below it. */
static bool
at_or_below(const char *domain, const char *parent)
{
	size_t len = strlen(domain), tail = strlen(parent);

	return len >= tail && strcmp(domain + len - tail, parent) == 0 &&
	       (len == tail || domain[len - tail - 1] == '.');
}

static void
check_domains(const struct finish *f, const struct pool *p)
{
	if (p->sender_domain == NULL)
		return;
	if (p->sender_subdomain != NULL &&
	    strlen(p->sender_subdomain) + 1 + strlen(p->sender_domain) > DOMAIN_MAX)
		pool_error(f, "sender_subdomain", "%s.%s: expected at most %d octets",
			   p->sender_subdomain, p->sender_domain, DOMAIN_MAX);
	if (p->spf_domain != NULL && !at_or_below(p->spf_domain, p->sender_domain))
		pool_warning(
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
		pool_error(f, "name",
			   "incomplete: expected name, sender_domain, dkim_selector, dkim_key");
	if (p->spf_domain == NULL && p->return_path != RETURN_PATH_KEEP)
		pool_error(f, "spf_domain", "missing: required unless return_path is \"keep\"");
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
		pool_error(f, i == 0 ? "dkim_selector" : "signatures",
			   "%s%s%s: expected at most %d octets", sig->selector, between,
			   sig->domain, DOMAIN_MAX);
	for (guint j = 0; j < i; j++) {
		const struct signature *other = p->signatures->pdata[j];

		if (other->domain != NULL && other->selector != NULL && same_signature(sig, other))
			pool_error(f, "signatures",
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

/* Without these, or with another value, mail is no longer what its author sent. */
static const char *const forbidden[] = {"From", "DKIM-Signature", NULL};

/* Changes of these are allowed but seldom wise. */
static const char *const unwise[] = {
	"Content-Type", "Content-Transfer-Encoding",
	"MIME-Version", "Received",
	"Date",         "Message-ID",
	NULL,
};

/* RFC 5322 3.6: at most one of each. */
static const char *const single[] = {
	"Date",
	"Sender",
	"Reply-To",
	"To",
	"Cc",
	"Bcc",
	"Message-ID",
	"In-Reply-To",
	"References",
	"Subject",
	"MIME-Version",
	"Content-Type",
	"Content-Transfer-Encoding",
	"List-Unsubscribe",
	"List-Unsubscribe-Post",
	NULL,
};

/* Fields that are added or changed on the way: a signature over them is sure to break. */
static const char *const unsignable[] = {
	"DKIM-Signature",         "Received",      "Return-Path",
	"Authentication-Results", "X-Spam-Status", NULL,
};

/* True if the name is what a pattern with or without '*' says. */
static bool
pattern_matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return g_ascii_strncasecmp(pattern, name, len - 1) == 0;
	return g_ascii_strcasecmp(pattern, name) == 0;
}

/* The first of the names that the pattern matches, or NULL. */
static const char *
matched(const char *pattern, const char *const *names)
{
	for (; *names != NULL; names++)
		if (pattern_matches(pattern, *names))
			return *names;
	return NULL;
}

static void
check_header_rule(const struct finish *f, const char *key, const char *pattern, bool adds)
{
	const char *name = matched(pattern, forbidden);

	if (name != NULL) {
		pool_error(f, key,
			   "\"%s\": expected a header other than %s, which must stay as it is",
			   pattern, name);
		return;
	}
	name = matched(pattern, unwise);
	if (name != NULL)
		pool_warning(f, key, "\"%s\": changing %s may make mail unreadable or untraceable",
			     pattern, name);
	else if (adds && (name = matched(pattern, single)) != NULL)
		pool_warning(f, key, "\"%s\": a message may have only one %s: use set_headers",
			     pattern, name);
}

static void
check_header_values(struct finish *f, const GPtrArray *list, const char *key, bool adds)
{
	for (guint i = 0; i < list->len; i++) {
		const struct header_value *h = list->pdata[i];

		if (h->name == NULL)
			continue;
		f->item = h->origin;
		check_header_rule(f, key, h->name, adds);
		if (g_ascii_strcasecmp(h->name, f->s->control_header) == 0)
			pool_error(
				f, key,
				"\"%s\": is the control header, which is always removed: expected "
				"another",
				h->name);
		for (guint j = 0; !adds && j < i; j++) {
			const struct header_value *other = list->pdata[j];

			if (other->name != NULL && g_ascii_strcasecmp(h->name, other->name) == 0)
				pool_error(f, key, "\"%s\": is set twice: expected each only once",
					   h->name);
		}
	}
	f->item.line = 0;
}

static void
check_headers(struct finish *f, const struct pool *p)
{
	const GPtrArray *deletes = p->headers.delete_headers;

	for (guint i = 0; i < deletes->len; i++)
		check_header_rule(f, "delete_headers", deletes->pdata[i], false);
	check_header_values(f, p->headers.set_headers, "set_headers", false);
	check_header_values(f, p->headers.add_headers, "add_headers", true);
	for (guint i = 0; i < p->signed_headers->len; i++)
		if (matched(p->signed_headers->pdata[i], unsignable) != NULL)
			pool_error(f, "signed_headers",
				   "\"%s\": expected a header that does not change on "
				   "the way",
				   (char *)p->signed_headers->pdata[i]);
}

static void
finish_pool(struct finish *f, struct pool *p)
{
	f->pool = p;
	if (p->name != NULL && (strcmp(p->name, "pass") == 0 || strcmp(p->name, "reject") == 0))
		pool_error(f, "name", "\"%s\": expected another name: no_pool could not mean it",
			   p->name);
	register_unique(f, f->s->pool_by_name, "name", p->name, p);
	register_unique(f, f->s->pool_by_domain, "sender_domain", p->sender_domain, p);
	register_spf_domain(f, p);
	register_tag(f, p);
	if (f->whole)
		check_complete(f, p);
	check_domains(f, p);
	check_signatures(f, p);
	check_headers(f, p);
}

static void
check_no_pool(struct finish *f)
{
	struct settings *s = f->s;

	if (strcmp(s->no_pool, "pass") == 0 || strcmp(s->no_pool, "reject") == 0)
		return;
	s->no_pool_pool = g_hash_table_lookup(s->pool_by_name, s->no_pool);
	if (s->no_pool_pool == NULL)
		errors_add(f->errors, settings_origin(s, "no_pool"), "no_pool",
			   "\"%s\": expected \"pass\", \"reject\" or the name of a pool",
			   s->no_pool);
}

static void
check_unsignable(struct finish *f, const char *key, const GPtrArray *names)
{
	for (guint i = 0; i < names->len; i++)
		if (matched(names->pdata[i], unsignable) != NULL)
			errors_add(f->errors, settings_origin(f->s, key), key,
				   "\"%s\": expected a header that does not change on the way",
				   (char *)names->pdata[i]);
}

/* The control header is always removed, so it cannot be one that mail needs. */
static void
check_control_header(struct finish *f)
{
	const char *name = f->s->control_header;

	if (matched(name, forbidden) != NULL || matched(name, unwise) != NULL ||
	    matched(name, single) != NULL)
		errors_add(f->errors, settings_origin(f->s, "control_header"), "control_header",
			   "\"%s\": expected a header that mail can do without, since it is always "
			   "removed",
			   name);
}

static void
check_globals(struct finish *f)
{
	struct settings *s = f->s;

	check_no_pool(f);
	check_control_header(f);
	check_unsignable(f, "signed_headers", s->signed_headers);
	check_unsignable(f, "oversigned_headers", s->oversigned_headers);
	if (s->socket_mode & 0002)
		errors_warn(f->errors, settings_origin(s, "socket_mode"), "socket_mode",
			    "\"%04o\": anyone on this host may hand in mail as a trusted client",
			    s->socket_mode);
	if (s->pools->len == 0 && s->include_dir != NULL)
		errors_warn(f->errors, settings_origin(s, "include_dir"), "pools",
			    "there is none, here or in include_dir: all mail goes untouched");
	else if (s->pools->len == 0 && (f->whole || !g_hash_table_contains(s->origins, "pools")))
		errors_add(f->errors, settings_origin(s, "pools"), "pools",
			   "missing: expected at least one pool");
}

void
settings_finish(struct settings *s, struct errors *errors)
{
	struct finish f = {.s = s, .errors = errors, .whole = !errors_any(errors)};

	f.pool_by_tag = g_hash_table_new(tag_hash, tag_equal);
	for (guint i = 0; i < s->pools->len; i++)
		finish_pool(&f, s->pools->pdata[i]);
	check_globals(&f);
	g_hash_table_destroy(f.pool_by_tag);
}
