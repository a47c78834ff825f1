/*
 * dns_tools - what judging a zone needs besides the records: the DNS, an SPF evaluator, public
 * suffixes.
 */
#ifndef POOLMILTER_CORE_DNS_TOOLS_H
#define POOLMILTER_CORE_DNS_TOOLS_H

#include "core/dns.h"
#include "core/domain.h"

/** What a receiver makes of an address by the SPF record of a domain; RFC 7208 2.6. */
enum spf_result {
	SPF_PASSES,
	SPF_FAILS,   /* fail, softfail, neutral or none: not authorised */
	SPF_INVALID, /* permerror */
	SPF_UNKNOWN, /* temperror: the DNS could not tell */
};

struct dns_tools {
	const struct dns *dns;
	/**
	 * Evaluates MAIL FROM:<postmaster@domain> from an address after EHLO helo (io/spf.h).  *why
	 * (g_free it) says more, but for SPF_PASSES.
	 */
	enum spf_result (*spf)(const struct dns *dns, const char *domain, const char *address,
			       const char *helo, char **why);
	/** The organizational domain, RFC 7489 3.2 (io/org_domain.h). */
	void (*org_domain)(const char *domain, char out[DOMAIN_SIZE]);
};

#endif
