/*
 * spf_record - what is wrong with an SPF record (RFC 7208).
 */
#ifndef POOLMILTER_CORE_SPF_RECORD_H
#define POOLMILTER_CORE_SPF_RECORD_H

#include "core/dns_tools.h"
#include "core/finding.h"

#define SPF_VOID_LOOKUPS_MAX 2 /* RFC 7208 4.6.4 */
#define SPF_OCTETS_MAX 450     /* RFC 7208 3.4 */

/** Judges the TXT records at the name of a wanted SPF record. */
void spf_record_judge(const struct record *wanted, const struct dns_tools *tools,
		      GPtrArray *findings);

/** True if a TXT record is one of SPF (RFC 7208 4.5). */
bool spf_record_is(const struct dns_record *r);

#endif
