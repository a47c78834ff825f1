/*
 * store_config - the settings of the store; see store_config.h.
 */
#include "io/store_config.h"

#include <string.h>

#define MS ((gint64)1000)

static char *
bad_address(const char *text, const char *problem)
{
	char *printable = store_printable(text, strlen(text));
	char *why = g_strdup_printf("\"%s\": %s", printable, problem);

	g_free(printable);
	return why;
}

/* The first thing that is wrong; NULL: nothing. */
static char *
problem(const struct store_settings *s)
{
	bool sentinels = s->sentinels != NULL && s->sentinels[0] != NULL;
	const char *text;

	if (sentinels && (s->sentinel_master == NULL || *s->sentinel_master == '\0'))
		return g_strdup("sentinels without sentinel_master");
	if (!sentinels && s->address == NULL)
		return g_strdup("neither address nor sentinels");
	if (!sentinels && !store_address_valid(s->address, &text))
		return bad_address(s->address, text);
	for (gsize i = 0; sentinels && s->sentinels[i] != NULL; i++)
		if (!store_address_valid(s->sentinels[i], &text))
			return bad_address(s->sentinels[i], text);
	if (s->username != NULL && s->password == NULL)
		return g_strdup("username without a password");
	if ((s->tls_files.cert_file != NULL) != (s->tls_files.key_file != NULL))
		return g_strdup("tls.cert_file and tls.key_file belong together");
	if (s->connections == 0 || s->connect_timeout_ms == 0 || s->command_timeout_ms == 0)
		return g_strdup("connections and timeouts must not be 0");
	return NULL;
}

char *
store_settings_check(const struct store_settings *settings)
{
	struct store_tls_context *tls;
	char *why = problem(settings);

	if (why == NULL && settings->tls) {
		tls = store_tls_context_new(&settings->tls_files, &why);
		store_tls_context_free(tls);
	}
	return why;
}

static void
copy_probe(struct store_request *to, const struct store_request *from)
{
	int argc = from->command.argc;
	const char **argv = g_new(const char *, argc);

	*to = *from; /* the script is static */
	for (int i = 0; i < argc; i++)
		argv[i] = g_memdup2(from->command.argv[i], from->command.lengths[i] + 1);
	to->command.argv = argv;
	to->command.lengths =
		g_memdup2(from->command.lengths, (gsize)argc * sizeof *from->command.lengths);
}

struct store_config *
store_config_new(const struct store_settings *s, const struct store_request *probe, char **why)
{
	static const char *const none[] = {NULL};
	struct store_config *c;

	*why = problem(s);
	if (*why != NULL)
		return NULL;
	c = g_new0(struct store_config, 1);
	c->references = 1;
	c->sentinels = g_strdupv((char **)(s->sentinels != NULL ? s->sentinels : none));
	c->address = c->sentinels[0] != NULL ? NULL : g_strdup(s->address);
	c->sentinel_master = g_strdup(s->sentinel_master);
	c->username = g_strdup(s->username);
	c->password = g_strdup(s->password);
	c->ca_file = g_strdup(s->tls_files.ca_file);
	c->cert_file = g_strdup(s->tls_files.cert_file);
	c->key_file = g_strdup(s->tls_files.key_file);
	c->database = s->database;
	c->connections = s->connections;
	c->connect_timeout = s->connect_timeout_ms * MS;
	c->command_timeout = s->command_timeout_ms * MS;
	copy_probe(&c->probe, probe);
	if (s->tls) {
		c->tls = store_tls_context_new(&s->tls_files, why);
		if (c->tls == NULL) {
			store_config_unref(c);
			return NULL;
		}
	}
	return c;
}

struct store_config *
store_config_ref(struct store_config *c)
{
	__atomic_add_fetch(&c->references, 1, __ATOMIC_RELAXED);
	return c;
}

static void
free_secret(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	g_free(secret);
}

void
store_config_unref(struct store_config *c)
{
	if (c == NULL || __atomic_sub_fetch(&c->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	g_free(c->address);
	g_strfreev(c->sentinels);
	g_free(c->sentinel_master);
	g_free(c->username);
	free_secret(c->password);
	g_free(c->ca_file);
	g_free(c->cert_file);
	g_free(c->key_file);
	store_tls_context_free(c->tls);
	for (int i = 0; i < c->probe.command.argc; i++)
		g_free((char *)c->probe.command.argv[i]);
	g_free(c->probe.command.argv);
	g_free((size_t *)c->probe.command.lengths);
	g_free(c);
}

bool
store_config_same_server(const struct store_config *a, const struct store_config *b)
{
	/* With TLS the files may have new contents under their old names. */
	return a->tls == NULL && b->tls == NULL && a->database == b->database &&
	       g_strcmp0(a->address, b->address) == 0 &&
	       g_strv_equal((const char *const *)a->sentinels, (const char *const *)b->sentinels) &&
	       g_strcmp0(a->sentinel_master, b->sentinel_master) == 0 &&
	       g_strcmp0(a->username, b->username) == 0 && g_strcmp0(a->password, b->password) == 0;
}
