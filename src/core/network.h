/*
 * network - IP addresses and networks in CIDR form, IPv4 and IPv6.
 */
#ifndef POOLMILTER_CORE_NETWORK_H
#define POOLMILTER_CORE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

/** An address as 16 octets: IPv4 stands as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so one compare does. */
struct address {
	bool known; /* false: no address (local submission, unknown client) */
	unsigned char octets[16];
};

struct network {
	unsigned char octets[16];
	unsigned bits; /* of the 128 */
};

/** Reads "192.0.2.1", "2001:db8::1" (also "IPv6:..."); false if it is neither. */
bool address_parse(struct address *a, const char *text);

/** Reads "192.0.2.0/24", "2001:db8::/32" or a bare address. On false, *why says what is wrong. */
bool network_parse(struct network *n, const char *text, const char **why);

/** True if the address is known and lies in one of the count networks. */
bool network_match(const struct network *list, size_t count, const struct address *a);

#endif
