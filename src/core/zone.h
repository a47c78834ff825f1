/*
 * zone - the DNS records that pools want, in order to be printed and to be compared with the DNS.
 *
 * Pure: the private keys are io's, so their public halves come by a callback.  All names are
 * normalised (core/domain.h): A-labels, lower case, without the last dot.
 */
#ifndef POOLMILTER_CORE_ZONE_H
#define POOLMILTER_CORE_ZONE_H

#include "core/settings.h"

#define ZONE_MX_PREFERENCE 10   /* of every MX record here */
#define ZONE_SPF_LOOKUPS_MAX 10 /* RFC 7208 4.6.4 */
#define ZONE_STRING_MAX 255     /* octets of a character-string, RFC 1035 3.3 */

enum record_type {
	RECORD_A,
	RECORD_AAAA,
	RECORD_PTR,
	RECORD_MX,
	RECORD_TXT,
	RECORD_CNAME,
};

/** What a record is for.  The order is that of a pool's records. */
enum record_purpose {
	FOR_HELO,       /* A, AAAA: the name that sending hosts say */
	FOR_PTR,        /* of a source address */
	FOR_HELO_SPF,   /* TXT of that name: bounces have no other domain, RFC 7208 2.4 */
	FOR_MX,         /* MX of sender_domain, where answers go */
	FOR_SPF,        /* TXT of sender_domain */
	FOR_BOUNCE_SPF, /* TXT of spf_domain (where it is sender_domain too: this, not FOR_SPF) */
	FOR_BOUNCE,     /* MX or CNAME of spf_domain */
	FOR_DKIM,       /* TXT of a signature's key */
	FOR_DKIM_NEXT,  /* TXT of dkim_next */
	FOR_DMARC,      /* TXT of _dmarc.sender_domain */
	FOR_DMARC_REPORTS, /* TXT by which another domain agrees to get the reports, RFC 7489 7.1 */
	FOR_BIMI,          /* TXT of default._bimi.sender_domain */
	FOR_TRACKING,      /* CNAME of tracking_domain */
	FOR_LEGACY_SPF,    /* TXT of sender_domain: Sender ID, RFC 4406 */
	FOR_LEGACY_DKIM,   /* TXT of _domainkey.sender_domain: DomainKeys, RFC 4870 */
};

/** How much a record matters. */
enum record_need {
	RECORD_NEEDED,   /* mail suffers without it */
	RECORD_ADVISED,  /* mail is better off with it */
	RECORD_IF_NONE,  /* only where the name has none of the type: never to replace one */
	RECORD_OBSOLETE, /* nobody asks for it any more: ZONE_LEGACY only */
};

struct record {
	char *name;
	enum record_type type;
	char *value;   /* address, host, or text of a TXT record in one piece; NULL: see problem */
	char *problem; /* why there is no value: a key cannot be read; else NULL */
	enum record_purpose purpose;
	enum record_need need;
	const char *note;        /* what to know about it, static; NULL: nothing */
	const char *key_file;    /* of DKIM records, the settings'; else NULL */
	const struct pool *pool; /* the first of the chosen ones that wants it */
	GPtrArray *pools;        /* of const struct pool *: all that want it, once */
};

/**
 * The text of the TXT record of a private key ("v=DKIM1; k=rsa; p=...", g_free it); NULL with *why
 * (g_free it) if the file holds none.  Asked once for each record.
 */
typedef char *zone_key_fn(void *context, const char *key_file, char **why);

enum zone_flag {
	ZONE_LEGACY = 1, /* obsolete records too, that some guides ask for */
};

struct zone {
	/* of struct record *: pool by pool, one that several want stands with the first.  No two
	   have the same name, type and value. */
	GPtrArray *records;
	GPtrArray *warnings; /* of char *: what no record can mend, what the settings lack */
};

/**
 * The records of pools (of struct pool *; NULL: all), and those of other pools of the settings at
 * the same names: a name has one SPF record, with the addresses of all pools that share it.  The
 * settings must be finished and outlive the zone.  zone_free() it.
 */
struct zone *zone_new(const struct settings *s, const GPtrArray *pools, unsigned flags,
		      zone_key_fn *key, void *context);
void zone_free(struct zone *z);

/** sender_subdomain.sender_domain, the HELO name; NULL without sender_subdomain.  g_free it. */
char *zone_helo_name(const struct pool *p);

/** The name of an address' PTR record: "4.2.0.192.in-addr.arpa".  g_free it. */
char *zone_ptr_name(const char *address);

/**
 * A record's data as in a zone file (RFC 1035 5.1; g_free it): hosts with their dot, preference and
 * host, texts as quoted strings of at most ZONE_STRING_MAX octets.  The record must have a value.
 */
char *zone_rdata(const struct record *r);

/** "TXT", "helo-spf", "needed": static. */
const char *zone_type_word(enum record_type type);
const char *zone_purpose_word(enum record_purpose purpose);
const char *zone_need_word(enum record_need need);

#endif
