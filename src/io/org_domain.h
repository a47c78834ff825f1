/*
 * org_domain - the organizational domain of a domain: one label more than a public suffix (libpsl).
 */
#ifndef POOLMILTER_IO_ORG_DOMAIN_H
#define POOLMILTER_IO_ORG_DOMAIN_H

#include "core/domain.h"

/**
 * Writes the organizational domain (RFC 7489 3.2) of a domain in normal form, by the list of public
 * suffixes that libpsl has built in.  A public suffix is its own.  Thread-safe.
 */
void org_domain_of(const char *domain, char out[DOMAIN_SIZE]);

#endif
