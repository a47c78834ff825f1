/*
 * key_dns - is the DNS record of a DKIM key published, so that what it signs can be verified?
 */
#ifndef POOLMILTER_IO_KEY_DNS_H
#define POOLMILTER_IO_KEY_DNS_H

#include "core/dns.h"
#include "io/keystore.h"

enum key_dns_state {
	KEY_DNS_PUBLISHED, /* there, it is this key, and verifiers can use it */
	KEY_DNS_MISSING,   /* no TXT record */
	KEY_DNS_WRONG,     /* another key, or none that verifiers can use */
	KEY_DNS_UNKNOWN,   /* the DNS could not tell: ask again later */
};

/**
 * Looks at the TXT record of selector._domainkey.domain, with the eyes of poolctl dns check.  dns:
 * from dns_client_facade(); it keeps answers, so look again with a new client.  pkey: the private
 * key (EVP_PKEY *) and its type, from key_get().  *why (g_free it) says what is wrong and how to
 * mend it, in one line; it is NULL for KEY_DNS_PUBLISHED, unless there is a warning (a key of 1024
 * bits, t=y).
 */
enum key_dns_state key_dns_check(const struct dns *dns, const char *domain, const char *selector,
				 void *pkey, enum key_type type, char **why);

/** "published", "missing", "wrong", "unknown": static. */
const char *key_dns_word(enum key_dns_state state);

#endif
