/*
 * network - IP addresses and networks in CIDR form; see network.h.
 */
#include "core/network.h"

#include <arpa/inet.h>
#include <glib.h>
#include <string.h>

static const unsigned char v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Returns the number of bits of the family (32 or 128), 0 if text is no address. */
static unsigned
octets_parse(unsigned char octets[16], const char *text)
{
	if (inet_pton(AF_INET, text, octets + 12) == 1) {
		memcpy(octets, v4_prefix, sizeof v4_prefix);
		return 32;
	}
	if (g_ascii_strncasecmp(text, "IPv6:", 5) == 0)
		text += 5;
	return inet_pton(AF_INET6, text, octets) == 1 ? 128 : 0;
}

bool
address_parse(struct address *a, const char *text)
{
	a->known = octets_parse(a->octets, text) != 0;
	return a->known;
}

static bool
host_bits_set(const struct network *n)
{
	for (unsigned i = n->bits; i < 128; i++)
		if (n->octets[i / 8] & (0x80u >> (i % 8)))
			return true;
	return false;
}

bool
network_parse(struct network *n, const char *text, const char **why)
{
	char host[64];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	guint64 bits = 0;
	unsigned family;

	*why = "not an IP address or network such as 192.0.2.0/24 or 2001:db8::/32";
	if (len >= sizeof host)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	family = octets_parse(n->octets, host);
	if (family == 0)
		return false;
	if (slash == NULL)
		bits = family;
	else if (!g_ascii_string_to_unsigned(slash + 1, 10, 0, family, &bits, NULL))
		return false;
	n->bits = (unsigned)bits + 128 - family;
	*why = "bits are set beyond the length of the prefix";
	return !host_bits_set(n);
}

static bool
prefix_equal(const struct network *n, const unsigned char *octets)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	unsigned char mask = (unsigned char)(0xff00u >> rest);

	return memcmp(n->octets, octets, whole) == 0 &&
	       (rest == 0 || ((n->octets[whole] ^ octets[whole]) & mask) == 0);
}

bool
network_match(const struct network *list, size_t count, const struct address *a)
{
	if (!a->known)
		return false;
	for (size_t i = 0; i < count; i++)
		if (prefix_equal(&list[i], a->octets))
			return true;
	return false;
}
