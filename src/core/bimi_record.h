/*
 * bimi_record - what is wrong with a BIMI record
 * (draft-brand-indicators-for-message-identification).
 */
#ifndef POOLMILTER_CORE_BIMI_RECORD_H
#define POOLMILTER_CORE_BIMI_RECORD_H

#include "core/dns_tools.h"
#include "core/finding.h"

/** Judges the TXT records at default._bimi.DOMAIN by what the record there should be. */
void bimi_record_judge(const struct record *wanted, const struct dns_tools *tools,
		       GPtrArray *findings);

#endif
