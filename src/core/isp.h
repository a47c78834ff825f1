/*
 * isp - the ISP records: whose mailbox a recipient has, and how that provider wants its mail.
 */
#ifndef POOLMILTER_CORE_ISP_H
#define POOLMILTER_CORE_ISP_H

#include "core/resolver.h"
#include "core/settings.h"

/** How a record was found. */
enum isp_how {
	ISP_BY_DOMAIN, /* one of its domains */
	ISP_BY_SUFFIX, /* one of its "*.suffix" domains */
	ISP_BY_MX,     /* all MX hosts are its */
	ISP_DEFAULT,   /* none of these: the record "default" */
};

struct isp_match {
	const struct isp *isp; /* never NULL */
	enum isp_how how;
	bool failed; /* the MX hosts could not be learnt: another time it may be another record */
};

/**
 * The record of a recipient's domain, in any form; NULL or what is no domain: the default.  Custom
 * records come before shipped ones.  Waits for MX hosts until deadline (g_get_monotonic_time()) at the
 * longest; resolver NULL: no MX rules.  A few hash look-ups, however many records and domains.
 */
struct isp_match isp_find(const struct settings *s, const struct resolver *resolver, const char *domain,
			  gint64 deadline);

/** Begins the look-up of MX hosts that isp_find() will need for this domain, if it will. */
void isp_prefetch(const struct settings *s, const struct resolver *resolver, const char *domain);

/** The record of an MX host in its normal form; NULL: none. */
const struct isp *isp_of_mx_host(const struct settings *s, const char *host);

/** The record in force of a name, in any case; NULL: none.  Walks all records. */
const struct isp *isp_named(const struct settings *s, const char *name);

/**
 * The custom record that takes a domain, or an MX rule, away from a shipped record; NULL: none.  rule:
 * as it stands in the record, "*." before it included.
 */
const struct isp *isp_domain_taken(const struct settings *s, const char *rule);
const struct isp *isp_mx_taken(const struct settings *s, const char *rule);

/** Gives html and text the rule of global where they have none; the loader does so with all records. */
void isp_settle_encoding(struct isp *isp);

/** The word for explanations: "domain", "suffix", "mx", "default". */
const char *isp_how_word(enum isp_how how);

#endif
