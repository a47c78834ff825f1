/*
 * settings - the configuration as the daemon uses it; see settings.h.
 *
 * settings_finish() is the place for all rules about keys together; what one key alone may hold is
 * the table's (core/setting_rows*.c).  What it finds about a pool is reported at the line where the
 * pool begins.  It copes with pools that are incomplete, since their errors are known by then.
 */
#include "core/settings.h"

#include "core/setting_table.h"
#include "core/settings_finish.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>

static void
isp_index_init(struct isp_index *i)
{
	i->domains = g_hash_table_new(g_str_hash, g_str_equal);
	i->suffixes = g_hash_table_new(g_str_hash, g_str_equal);
	i->mx_hosts = g_hash_table_new(g_str_hash, g_str_equal);
	i->mx_suffixes = g_hash_table_new(g_str_hash, g_str_equal);
}

static void
isp_index_clear(struct isp_index *i)
{
	g_hash_table_destroy(i->domains);
	g_hash_table_destroy(i->suffixes);
	g_hash_table_destroy(i->mx_hosts);
	g_hash_table_destroy(i->mx_suffixes);
}

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
	for (guint i = 0; i < G_N_ELEMENTS(s->isp_index); i++)
		isp_index_init(&s->isp_index[i]);
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
	for (guint i = 0; i < G_N_ELEMENTS(s->isp_index); i++)
		isp_index_clear(&s->isp_index[i]);
	if (s->keys_free != NULL)
		s->keys_free(s->keys);
	if (s->redis.password != NULL)
		OPENSSL_cleanse(s->redis.password, strlen(s->redis.password));
	g_free(s->redis.password);
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
	struct origin whole = {s->files->len > 0 ? s->files->pdata[0] : NULL, 0};
	char *name = g_strdup(path), *dot;
	const struct origin *at = g_hash_table_lookup(s->origins, name);

	while (at == NULL && (dot = strrchr(name, '.')) != NULL) {
		*dot = '\0';
		at = g_hash_table_lookup(s->origins, name);
	}
	g_free(name);
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
	if (s->mixed_isps == MIXED_SPLIT)
		return true;
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		if (p->return_path == RETURN_PATH_SIGNED || p->return_path == RETURN_PATH_VERP)
			return true;
	}
	return false;
}

typedef void report_function(struct errors *e, struct origin at, const char *key,
			     const char *format, ...) G_GNUC_PRINTF(4, 5);

/* The path of a key: of the pool or ISP record at hand, or of all (g_free it). */
static char *
key_path(const struct finish *f, const char *key)
{
	if (f->pool != NULL)
		return g_strdup_printf("pools[%u].%s", f->pool->index, key);
	if (f->isp != NULL)
		return g_strdup_printf("%s[%u].%s", f->isp->shipped ? "shipped_isps" : "isps",
				       f->isp->index, key);
	return g_strdup(key);
}

static struct origin
key_origin(const struct finish *f, const char *key)
{
	if (f->item.line > 0)
		return f->item;
	if (f->pool != NULL)
		return settings_pool_origin(f->pool, key);
	return f->isp != NULL ? f->isp->origin : settings_origin(f->s, key);
}

static void G_GNUC_PRINTF(4, 0) report(const struct finish *f, report_function *to, const char *key,
				       const char *format, va_list ap)
{
	char *text = g_strdup_vprintf(format, ap), *path = key_path(f, key);

	to(f->errors, key_origin(f, key), path, "%s", text);
	g_free(path);
	g_free(text);
}

void
finish_error(const struct finish *f, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report(f, errors_add, key, format, ap);
	va_end(ap);
}

void
finish_warning(const struct finish *f, const char *key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	report(f, errors_warn, key, format, ap);
	va_end(ap);
}

char *
finish_place(struct origin at)
{
	return g_strdup_printf("%s:%u", at.file != NULL ? at.file : "configuration", at.line);
}

static void
check_no_pool(struct finish *f)
{
	struct settings *s = f->s;

	if (strcmp(s->no_pool, "pass") == 0 || strcmp(s->no_pool, "reject") == 0)
		return;
	s->no_pool_pool = g_hash_table_lookup(s->pool_by_name, s->no_pool);
	if (s->no_pool_pool == NULL)
		finish_error(f, "no_pool",
			     "\"%s\": expected \"pass\", \"reject\" or the name of a pool",
			     s->no_pool);
}

/* A copy that is injected again must be treated, so its client must be trusted: ourselves. */
static void
check_reinject(struct finish *f)
{
	const struct settings *s = f->s;
	const char *host = s->reinject != NULL ? s->reinject + strlen("smtp://") : "";
	struct address client;
	bool v4 = g_str_has_prefix(host, "127.") || g_str_has_prefix(host, "localhost:");

	if (s->mixed_isps != MIXED_SPLIT || (!v4 && !g_str_has_prefix(host, "[::1]")))
		return;
	address_parse(&client, v4 ? "127.0.0.1" : "::1");
	if (!network_match((const struct network *)(void *)s->trusted_networks->data,
			   s->trusted_networks->len, &client))
		finish_error(f, "trusted_networks",
			     "expected %s among them: mixed_isps = \"split\" injects messages again from "
			     "there",
			     v4 ? "127.0.0.1" : "::1");
}

static void
check_redis_server(struct finish *f)
{
	const struct settings *s = f->s;
	bool sentinels = s->redis.sentinels->len > 0;

	if (s->redis.address == NULL && !sentinels)
		finish_error(f, "redis.address", "missing: expected it, or sentinels");
	if (s->redis.address != NULL && sentinels)
		finish_error(f, "redis.address", "expected it or sentinels, which tell the address: not both");
	if (sentinels != (s->redis.sentinel_master != NULL))
		finish_error(f, "redis.sentinel_master", "expected together with sentinels only");
}

static void
check_redis(struct finish *f)
{
	struct settings *s = f->s;

	s->redis.used = g_hash_table_contains(s->origins, "redis");
	s->redis.tls = g_hash_table_contains(s->origins, "redis.tls");
	if (!s->redis.used || !f->whole)
		return;
	check_redis_server(f);
	if (s->redis.username != NULL && s->redis.password_file == NULL)
		finish_error(f, "redis.username", "expected a password_file with it");
	if (s->redis.tls && s->redis.address != NULL && g_str_has_prefix(s->redis.address, "unix:"))
		finish_error(f, "redis.tls", "expected a server on the network: address is a UNIX socket");
	if ((s->redis.cert_file == NULL) != (s->redis.key_file == NULL))
		finish_error(f, "redis.tls.cert_file", "expected together with key_file only");
}

static void
check_globals(struct finish *f)
{
	struct settings *s = f->s;

	check_redis(f);
	check_no_pool(f);
	check_reinject(f);
	/* The control header is always removed. */
	if (finish_header_needed(s->control_header))
		finish_error(f, "control_header",
			     "\"%s\": expected a header that mail can do without, since it is always "
			     "removed",
			     s->control_header);
	finish_signed_headers(f, "signed_headers", s->signed_headers);
	finish_signed_headers(f, "oversigned_headers", s->oversigned_headers);
	if (s->socket_mode & 0002)
		finish_warning(f, "socket_mode",
			       "\"%04o\": anyone on this host may hand in mail as a trusted client",
			       s->socket_mode);
	if (s->pools->len == 0 && s->include_dir != NULL)
		errors_warn(f->errors, settings_origin(s, "include_dir"), "pools",
			    "there is none, here or in include_dir: all mail goes untouched");
	else if (s->pools->len == 0 && (f->whole || !g_hash_table_contains(s->origins, "pools")))
		finish_error(f, "pools", "missing: expected at least one pool");
}

void
settings_finish(struct settings *s, struct errors *errors)
{
	struct finish f = {.s = s, .errors = errors, .whole = !errors_any(errors)};

	finish_pools(&f);
	finish_dns(&f);
	finish_isps(&f);
	finish_limits(&f);
	check_globals(&f);
	finish_events(&f);
}
