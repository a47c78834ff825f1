/*
 * host_record - what is wrong with the records that name hosts: A, AAAA, PTR, MX, CNAME.
 */
#ifndef POOLMILTER_CORE_HOST_RECORD_H
#define POOLMILTER_CORE_HOST_RECORD_H

#include "core/dns.h"
#include "core/finding.h"

/** Each judges what the DNS has in place of the wanted record. */
typedef void host_record_judge_fn(const struct record *wanted, const struct dns *dns,
				  GPtrArray *findings);

host_record_judge_fn host_record_judge_address;  /* of the HELO name */
host_record_judge_fn host_record_judge_ptr;      /* of a source address; RFC 1912 2.1 */
host_record_judge_fn host_record_judge_mx;       /* of a sender domain */
host_record_judge_fn host_record_judge_bounce;   /* MX or CNAME of the Return-Path's domain */
host_record_judge_fn host_record_judge_tracking; /* CNAME */

#endif
