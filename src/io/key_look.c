/*
 * key_look - looks for the DNS records of many keys at once; see key_look.h.
 */
#include "io/key_look.h"

#include "io/dns_client.h"

#define TIMEOUT_MS ((gint64)5000) /* at least: no mail waits, and a new record is in no cache */
#define TOTAL_MS 60000

static void
start(const struct dns *dns, const struct signature *sig)
{
	char *name = g_strdup_printf("%s._domainkey.%s", sig->selector, sig->domain);

	dns_start(dns, name, RECORD_TXT);
	g_free(name);
}

static void
judge(const struct dns *dns, struct key_look *l)
{
	enum key_type type;
	void *pkey = key_get(l->signature->key, &type, &l->why);

	if (pkey != NULL)
		l->state = key_dns_check(dns, l->signature->domain, l->signature->selector, pkey,
					 type, &l->why);
}

void
key_look_all(const struct settings *s, const GPtrArray *looks)
{
	char *why = NULL;
	struct dns_client *client =
		dns_client_new(s->resolver, MAX(s->dns.timeout_ms, TIMEOUT_MS), TOTAL_MS, &why);

	for (guint i = 0; i < looks->len; i++)
		((struct key_look *)looks->pdata[i])->state = KEY_DNS_UNKNOWN;
	for (guint i = 0; client != NULL && i < looks->len; i++)
		start(dns_client_facade(client), ((struct key_look *)looks->pdata[i])->signature);
	for (guint i = 0; i < looks->len; i++) {
		struct key_look *l = looks->pdata[i];

		if (client != NULL)
			judge(dns_client_facade(client), l);
		else
			l->why = g_strdup(why);
	}
	dns_client_free(client);
	g_free(why);
}
