/*
 * dns_verdict - a wanted record beside what the DNS has in its place, and what is wrong with that.
 *
 * Pure: the DNS, SPF and public suffixes come with struct dns_tools.
 */
#ifndef POOLMILTER_CORE_DNS_VERDICT_H
#define POOLMILTER_CORE_DNS_VERDICT_H

#include "core/dns_tools.h"
#include "core/finding.h"

struct dns_verdict {
	const struct record *record;
	const struct dns_answer *found; /* of the record's name and type; the DNS's */
	GPtrArray
		*shown; /* of const char *: what of it is of the record's kind, else all; found's */
	GPtrArray *findings; /* of struct finding *; empty: all is well */
};

/** Begins the look-ups that judging the record will need, without waiting. */
void dns_verdict_start(const struct record *r, const struct dns *dns);

/** Judges what the DNS has.  May wait for it.  The record and the DNS must outlive it;
 * dns_verdict_free() it. */
struct dns_verdict *dns_verdict_new(const struct record *r, const struct dns_tools *tools);
void dns_verdict_free(void *verdict);

#endif
