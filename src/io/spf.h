/*
 * spf - what receivers make of an address by a domain's SPF record (libspf2).
 */
#ifndef POOLMILTER_IO_SPF_H
#define POOLMILTER_IO_SPF_H

#include "core/dns_tools.h"

/**
 * Evaluates as struct dns_tools says.  All look-ups go through dns, with its limits; RFC 7208's own
 * limits (10 look-ups) are libspf2's.  Thread-safe.  libspf2 lets loopback addresses pass always.
 */
enum spf_result spf_evaluate(const struct dns *dns, const char *domain, const char *address,
			     const char *helo, char **why);

#endif
