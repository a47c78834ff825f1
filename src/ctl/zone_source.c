/*
 * zone_source - pools that arguments name, and the records of their keys; see zone_source.h.
 */
#include "ctl/zone_source.h"

#include "io/keygen.h"
#include "io/keystore.h"

#include <stdio.h>

GPtrArray *
zone_source_pools(const struct settings *s, const char *command, char *const *names, int count)
{
	GPtrArray *pools = g_ptr_array_new();

	for (guint i = 0; count == 0 && i < s->pools->len; i++)
		g_ptr_array_add(pools, s->pools->pdata[i]);
	for (int i = 0; i < count; i++) {
		struct pool *p = g_hash_table_lookup(s->pool_by_name, names[i]);

		if (p == NULL) {
			fprintf(stderr, "poolctl %s: no pool \"%s\"\n", command, names[i]);
			g_ptr_array_unref(pools);
			return NULL;
		}
		if (!g_ptr_array_find(pools, p, NULL))
			g_ptr_array_add(pools, p);
	}
	return pools;
}

char *
zone_source_key(void *context, const char *key_file, char **why)
{
	const struct settings *s = context;
	struct key *key = keystore_add(s->keys, key_file, (struct origin){NULL, 0}, "key");
	enum key_type type;
	void *pkey = key_get(key, &type, why);
	char *text = pkey != NULL ? keygen_record(pkey, type) : NULL;

	if (pkey != NULL && text == NULL)
		*why = g_strdup_printf("%s: OpenSSL cannot write its public key", key_file);
	return text;
}
