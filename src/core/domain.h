/*
 * domain - one form for every domain name that is compared: A-labels, lower case, no trailing dot.
 */
#ifndef POOLMILTER_CORE_DOMAIN_H
#define POOLMILTER_CORE_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#define DOMAIN_MAX 253		    /* octets, RFC 1035 2.3.4 without the root's dot */
#define DOMAIN_SIZE (DOMAIN_MAX + 1) /* with the NUL */

/**
 * Writes the normal form of the len octets at text to out: U-labels become A-labels (RFC 5891, with
 * UTS 46 mapping), upper case becomes lower case, one trailing dot goes.  Returns false, with out
 * empty, for what is no domain name: empty labels, labels over 63 octets, characters other than
 * letters, digits, hyphen and underscore, invalid UTF-8.
 */
bool domain_normalise(const char *text, size_t len, char out[DOMAIN_SIZE]);

/** The parent of a normalised domain ("a.b.c" -> "b.c"), inside the same string; NULL at the top. */
const char *domain_parent(const char *domain);

/** True if a normalised domain is parent or lies below it. */
bool domain_at_or_below(const char *domain, const char *parent);

#endif
