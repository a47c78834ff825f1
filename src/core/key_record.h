/*
 * key_record - what is wrong with the DNS record of a DKIM key (RFC 6376 3.6.1, RFC 8463).
 */
#ifndef POOLMILTER_CORE_KEY_RECORD_H
#define POOLMILTER_CORE_KEY_RECORD_H

#include "core/dns.h"
#include "core/finding.h"

#include <stdbool.h>

/**
 * Judges the answer for the TXT records of SELECTOR._domainkey.DOMAIN.  own: the text of the record
 * that the private key wants ("v=DKIM1; k=rsa; p=...").  subdomains: mail of subdomains is signed,
 * too.  An answer that is missing or not known is a finding as well.
 */
void key_record_judge(const struct dns_answer *found, const char *own, bool subdomains,
		      GPtrArray *findings);

/** The same of one record; verifiers must be able to use it, and it must be our key. */
void key_record_judge_text(const char *text, size_t len, const char *own, bool subdomains,
			   GPtrArray *findings);

#endif
