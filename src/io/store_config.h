/*
 * store_config - the settings of the store as its threads use them: immutable, counted by
 * reference.
 */
#ifndef POOLMILTER_IO_STORE_CONFIG_H
#define POOLMILTER_IO_STORE_CONFIG_H

#include "io/store.h"
#include "io/store_link.h"

struct store_config {
	gint references;
	char *address;    /* NULL with sentinels */
	char **sentinels; /* never NULL */
	char *sentinel_master;
	char *username, *password;
	char *ca_file, *cert_file, *key_file;
	struct store_tls_context *tls; /* NULL: without */
	guint database;
	guint connections;
	gint64 connect_timeout, command_timeout; /* microseconds */
	struct store_request probe;              /* what must work before the server counts as up */
};

/** A copy of settings and probe: one reference; NULL with *why (g_free it). */
struct store_config *store_config_new(const struct store_settings *settings,
				      const struct store_request *probe, char **why);
struct store_config *store_config_ref(struct store_config *c);
void store_config_unref(struct store_config *c); /* NULL is allowed */

/** True if a store with a could go on with b without asking anew where and who. */
bool store_config_same_server(const struct store_config *a, const struct store_config *b);

#endif
