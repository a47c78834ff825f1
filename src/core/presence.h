/*
 * presence - is there an answer to judge at all?
 */
#ifndef POOLMILTER_CORE_PRESENCE_H
#define POOLMILTER_CORE_PRESENCE_H

#include "core/dns.h"
#include "core/finding.h"

/**
 * True if the answer has records.  If not, a finding tells why: the DNS could not tell, the name is
 * a CNAME of one that has none, or there is none; how bad that is depends on how much it is needed.
 */
bool presence_judge(const struct dns_answer *found, enum record_need need, GPtrArray *findings);

/** A record of a name that has a CNAME as well: a finding, if they really stand side by side (RFC
 * 1034 3.6.2). */
void presence_judge_alias(const struct dns *dns, const char *name, GPtrArray *findings);

#endif
