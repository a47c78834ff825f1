/*
 * test_network - addresses and networks, IPv4 and IPv6.
 */
#include "fixture.h"

#include "core/network.h"

#include <string.h>

static void
test_addresses(void **state)
{
	static const struct {
		const char *name, *text;
		bool ok;
	} cases[] = {
		{"IPv4", "192.0.2.1", true},
		{"IPv6", "2001:db8::1", true},
		{"IPv6 as in EHLO", "IPv6:2001:db8::1", true},
		{"the tag in lower case", "ipv6:::1", true},
		{"mapped", "::ffff:192.0.2.1", true},
		{"empty", "", false},
		{"three octets", "192.0.2", false},
		{"octet over 255", "192.0.2.256", false},
		{"leading zeros", "192.0.02.1", false},
		{"blank behind", "192.0.2.1 ", false},
		{"name", "localhost", false},
		{"network", "192.0.2.0/24", false},
		{"brackets", "[::1]", false},
		{"scope", "fe80::1%eth0", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct address a;

		memset(&a, 0xff, sizeof a);
		check_int(cases[i].name, address_parse(&a, cases[i].text), cases[i].ok);
		check_int(cases[i].name, a.known, cases[i].ok);
	}
}

static void
test_same_address_in_both_forms(void **state)
{
	struct address a, b;

	(void)state;
	assert_true(address_parse(&a, "192.0.2.1"));
	assert_true(address_parse(&b, "::ffff:192.0.2.1"));
	assert_memory_equal(a.octets, b.octets, 16);
}

static void
test_networks(void **state)
{
	static const struct {
		const char *name, *text;
		int bits; /* of 128; -1: refused */
	} cases[] = {
		{"IPv4", "192.0.2.0/24", 120},
		{"all of IPv4", "0.0.0.0/0", 96},
		{"one host", "192.0.2.1/32", 128},
		{"bare address", "192.0.2.1", 128},
		{"IPv6", "2001:db8::/32", 32},
		{"everything", "::/0", 0},
		{"bare IPv6", "::1", 128},
		{"prefix inside an octet", "10.128.0.0/9", 105},
		{"host bits", "192.0.2.1/24", -1},
		{"host bits of IPv6", "2001:db8::1/64", -1},
		{"33 bits", "192.0.2.0/33", -1},
		{"129 bits", "::/129", -1},
		{"negative", "192.0.2.0/-1", -1},
		{"plus", "192.0.2.0/+24", -1},
		{"blank", "192.0.2.0/ 24", -1},
		{"no bits", "192.0.2.0/", -1},
		{"netmask", "192.0.2.0/255.255.255.0", -1},
		{"two slashes", "192.0.2.0/24/24", -1},
		{"empty", "", -1},
		{"slash", "/8", -1},
		{"very long", "1111111111111111111111111111111111111111111111111111111111111111111/8", -1},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const char *why = NULL;
		struct network n;
		bool ok = network_parse(&n, cases[i].text, &why);

		check_int(cases[i].name, ok, cases[i].bits >= 0);
		if (ok)
			check_int(cases[i].name, n.bits, cases[i].bits);
		else
			check_true(cases[i].name, why != NULL && *why != '\0');
	}
}

static void
test_match(void **state)
{
	static const struct {
		const char *name, *network, *address;
		bool match;
	} cases[] = {
		{"inside", "192.0.2.0/24", "192.0.2.255", true},
		{"first", "192.0.2.0/24", "192.0.2.0", true},
		{"before", "192.0.2.0/24", "192.0.1.255", false},
		{"behind", "192.0.2.0/24", "192.0.3.0", false},
		{"mapped is IPv4", "192.0.2.0/24", "::ffff:192.0.2.7", true},
		{"inside an odd prefix", "10.128.0.0/9", "10.255.1.1", true},
		{"outside an odd prefix", "10.128.0.0/9", "10.127.255.255", false},
		{"31 bits", "192.0.2.2/31", "192.0.2.3", true},
		{"31 bits, behind", "192.0.2.2/31", "192.0.2.4", false},
		{"host", "192.0.2.1", "192.0.2.1", true},
		{"other host", "192.0.2.1", "192.0.2.2", false},
		{"IPv6", "2001:db8::/32", "2001:db8:ffff::1", true},
		{"other IPv6", "2001:db8::/32", "2001:db9::1", false},
		{"all IPv4 is not IPv6", "0.0.0.0/0", "2001:db8::1", false},
		{"all IPv4", "0.0.0.0/0", "203.0.113.9", true},
		{"IPv6 everything has IPv4", "::/0", "203.0.113.9", true},
		{"loopback", "::1", "::1", true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const char *why;
		struct network n;
		struct address a;

		check_true(cases[i].name, network_parse(&n, cases[i].network, &why));
		check_true(cases[i].name, address_parse(&a, cases[i].address));
		check_int(cases[i].name, network_match(&n, 1, &a), cases[i].match);
		check_true(cases[i].name, !network_match(&n, 0, &a));
		a.known = false;
		check_true(cases[i].name, !network_match(&n, 1, &a));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_same_address_in_both_forms),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_match),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
