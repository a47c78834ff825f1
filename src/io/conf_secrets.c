/*
 * conf_secrets - private keys, secrets and passwords that settings name; see conf_secrets.h.
 */
#include "io/conf_secrets.h"

#include "core/rotation.h"
#include "io/conf_file.h"
#include "io/key_state.h"
#include "io/keystore.h"
#include "io/limiter_redis_settings.h"
#include "io/secret_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SECRET_NAME "return-path.secret" /* in state_dir */
#define WEBHOOK_SECRET_MIN 16		 /* octets */

struct secrets {
	struct settings *s;
	struct errors *errors;
	int flags;
	unsigned owner;
};

static void
add_next_key(struct keystore *ks, const struct pool *p)
{
	struct signature *sig = p->rotation->next;
	char *name = g_strdup_printf("pools[%u].dkim_next.key", p->index);

	sig->key = keystore_add(ks, sig->key_file, sig->origin, name);
	g_free(name);
}

static void
add_keys(struct keystore *ks, const struct pool *p)
{
	for (guint i = 0; i < p->signatures->len; i++) {
		struct signature *sig = p->signatures->pdata[i];
		char *name;

		if (sig->key_file == NULL)
			continue;
		/* The pool's own signature stands first and is not in the file's list. */
		name = i == 0 && p->dkim_key != NULL && strcmp(sig->key_file, p->dkim_key) == 0
			       ? g_strdup_printf("pools[%u].dkim_key", p->index)
			       : g_strdup_printf("pools[%u].signatures", p->index);
		sig->key = keystore_add(ks, sig->key_file, sig->origin, name);
		g_free(name);
	}
	if (p->rotation != NULL)
		add_next_key(ks, p);
}

static void
load_keys(struct secrets *l)
{
	struct keystore *ks = keystore_new(l->owner);

	l->s->keys = ks;
	l->s->keys_free = keystore_free;
	for (guint i = 0; i < l->s->pools->len; i++)
		add_keys(ks, l->s->pools->pdata[i]);
	keystore_load(ks, l->flags & CONF_FILE_KEYS, l->errors);
}

/* Which pools sign with dkim_next; if that cannot be known, those do whose use_after says so. */
static void
load_key_state(struct secrets *l)
{
	bool any = false;
	char *why = NULL;
	GPtrArray *entries;

	for (guint i = 0; !any && i < l->s->pools->len; i++)
		any = ((const struct pool *)l->s->pools->pdata[i])->rotation != NULL;
	if (!any || errors_any(l->errors))
		return;
	entries = key_state_read(l->s->state_dir, &why);
	key_state_apply(l->s, entries);
	if (why != NULL)
		errors_warn(l->errors, settings_origin(l->s, "state_dir"), "state_dir",
			    "%s: no key counts as switched", why);
	g_ptr_array_unref(entries);
	g_free(why);
}

static void
load_secret(struct secrets *l, const char *path)
{
	struct secret secret = {0};
	char *why;

	if (secret_file_read(path, l->owner, &secret, &why)) {
		g_array_append_val(l->s->return_path.secrets, secret);
		explicit_bzero(&secret, sizeof secret);
		return;
	}
	errors_add(l->errors, settings_origin(l->s, "return_path.secret_files"),
		   "return_path.secret_files", "%s", why);
	g_free(why);
}

/* The secret in state_dir, made if the caller may. */
static void
load_state_secret(struct secrets *l)
{
	char *path = g_build_filename(l->s->state_dir, SECRET_NAME, NULL), *why;
	bool there = access(path, F_OK) == 0 || errno != ENOENT;

	if (there) {
		load_secret(l, path);
	} else if (l->flags & CONF_FILE_THROWAWAY) {
		struct secret secret;

		secret_file_throwaway(&secret);
		g_array_append_val(l->s->return_path.secrets, secret);
		errors_warn(l->errors, settings_origin(l->s, "return_path.secret_files"),
			    "return_path.secret_files",
			    "%s is not there yet: Return-Paths are signed with a throwaway secret", path);
	} else if (!(l->flags & CONF_FILE_SECRET)) {
		errors_add(l->errors, settings_origin(l->s, "return_path.secret_files"),
			   "return_path.secret_files",
			   "missing, and %s is not there yet: start poolmilter once, or give the "
			   "files",
			   path);
	} else if (secret_file_make(path, l->owner, &why)) {
		load_secret(l, path);
	} else {
		errors_add(l->errors, settings_origin(l->s, "state_dir"), "state_dir", "%s", why);
		g_free(why);
	}
	g_free(path);
}

static void
load_secrets(struct secrets *l)
{
	const GPtrArray *files = l->s->return_path.secret_files;

	if (l->flags & CONF_FILE_NO_SECRET)
		return;
	for (guint i = 0; i < files->len; i++)
		load_secret(l, files->pdata[i]);
	/* Nothing is made for a configuration that is not used anyway. */
	if (files->len == 0 && settings_need_secret(l->s) && !errors_any(l->errors))
		load_state_secret(l);
}

static void
redis_error(struct secrets *l, const char *key, char *why)
{
	errors_add(l->errors, settings_origin(l->s, key), key, "%s", why);
	g_free(why);
}

/* The password, and what only the driver can check: files of TLS. */
static void
load_redis(struct secrets *l)
{
	struct settings *s = l->s;
	struct limiter_redis_settings redis;
	char *why = NULL;

	if (!s->redis.used || errors_any(l->errors))
		return;
	if (s->redis.password_file != NULL) {
		s->redis.password = secret_file_password(s->redis.password_file, l->owner, &why);
		if (s->redis.password == NULL)
			redis_error(l, "redis.password_file", why);
	}
	limiter_redis_settings_from(s, &redis);
	why = limiter_redis_check(&redis);
	limiter_redis_settings_clear(&redis);
	if (why != NULL)
		redis_error(l, s->redis.tls ? "redis.tls" : "redis", why);
}

/* Takes why, and says so of a key of a webhook. */
static void
webhook_error(const struct secrets *l, const struct webhook *w, const char *list, guint i,
	      const char *key, char *why)
{
	char *path = g_strdup_printf("%s[%u].%s", list, i, key);

	errors_add(l->errors, w->origin, path, "%s", why);
	g_free(path);
	g_free(why);
}

/* The secret: as a password, but not one that can be found by trying. */
static void
load_webhook(const struct secrets *l, struct webhook *w, const char *list, guint i)
{
	char *why = NULL;

	if (w->ca_file != NULL && access(w->ca_file, R_OK) != 0)
		webhook_error(l, w, list, i, "ca_file",
			      g_strdup_printf("%s: %s", w->ca_file, g_strerror(errno)));
	if (w->secret_file == NULL)
		return;
	w->secret = secret_file_password(w->secret_file, l->owner, &why);
	if (w->secret != NULL && strlen(w->secret) < WEBHOOK_SECRET_MIN)
		why = g_strdup_printf("%s: too short: expected at least %d octets", w->secret_file,
				      WEBHOOK_SECRET_MIN);
	if (why != NULL)
		webhook_error(l, w, list, i, "secret_file", why);
}

static void
load_webhooks(const struct secrets *l)
{
	const struct settings *s = l->s;

	for (guint i = 0; i < s->webhooks->len; i++)
		load_webhook(l, s->webhooks->pdata[i], "webhooks", i);
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];
		char *list;

		if (p->webhooks->len == 0)
			continue;
		list = g_strdup_printf("pools[%u].webhooks", p->index);
		for (guint k = 0; k < p->webhooks->len; k++)
			load_webhook(l, p->webhooks->pdata[k], list, k);
		g_free(list);
	}
}

void
conf_secrets_load(struct settings *s, int flags, unsigned owner, struct errors *errors)
{
	struct secrets l = {.s = s, .errors = errors, .flags = flags, .owner = owner};

	load_keys(&l);
	load_key_state(&l);
	load_secrets(&l);
	load_redis(&l);
	load_webhooks(&l);
}
