/*
 * dmarc_record - what is wrong with a DMARC record (RFC 7489).
 */
#ifndef POOLMILTER_CORE_DMARC_RECORD_H
#define POOLMILTER_CORE_DMARC_RECORD_H

#include "core/dns_tools.h"
#include "core/finding.h"
#include "core/tag_list.h"

/** Judges the TXT records at _dmarc.DOMAIN by what the record there should be. */
void dmarc_record_judge(const struct record *wanted, const struct dns_tools *tools,
			GPtrArray *findings);

/** The same at DOMAIN._report._dmarc.OTHER: does the other domain agree to get reports (RFC
 * 7489 7.1)? */
void dmarc_reports_judge(const struct record *wanted, const struct dns_tools *tools,
			 GPtrArray *findings);

/** What receivers do with mail of a domain that is not aligned. */
enum dmarc_enforcement {
	DMARC_ENFORCED, /* quarantine or reject, of all such mail, of subdomains too */
	DMARC_RELAXED,
	DMARC_NOT_KNOWN, /* the DNS could not tell */
};

/** By the domain's record, or else by that of its organizational domain (RFC 7489 6.6.3). */
enum dmarc_enforcement dmarc_record_enforced(const char *domain, const struct dns_tools *tools);

#endif
