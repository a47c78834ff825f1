/*
 * test_trust - who may send for us, and who may use a pool (DESIGN, "Trust").
 */
#include "fixture.h"

#include "core/trust.h"

static struct address
address(const char *text)
{
	struct address a = {.known = false};

	if (text != NULL)
		assert_true(address_parse(&a, text));
	return a;
}

static void
test_client(void **state)
{
	static const struct {
		const char *name, *client, *login;
		bool local, trusted;
	} cases[] = {
		{"authenticated, from anywhere", "203.0.113.9", "acme", false, true},
		{"in a trusted network", "192.0.2.77", NULL, false, true},
		{"in a trusted network, IPv6", "2001:db8::9", NULL, false, true},
		{"IPv4 mapped", "::ffff:192.0.2.77", NULL, false, true},
		{"local submission", NULL, NULL, true, true},
		{"a stranger", "203.0.113.9", NULL, false, false},
		{"no address, not local", NULL, NULL, false, false},
		{"loopback is not in this list", "127.0.0.1", NULL, false, false},
	};
	struct settings *s = fixture_settings("trusted_networks = [ \"192.0.2.0/24\", \"2001:db8::/32\" ];"
					      "pools = (" POOL("a", "example.com", "") ");");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct address a = address(cases[i].client);

		check_int(cases[i].name, trust_client(s, &a, cases[i].login, cases[i].local),
			  cases[i].trusted);
	}
	settings_unref(s);
}

static void
test_default_networks(void **state)
{
	static const struct {
		const char *name, *client;
		bool trusted;
	} cases[] = {
		{"loopback", "127.0.0.1", true},
		{"loopback IPv6", "::1", true},
		{"anything else", "192.0.2.1", false},
		{"anything else IPv6", "2001:db8::1", false},
	};
	struct settings *s = fixture_settings("pools = (" POOL("a", "example.com", "") ");");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct address a = address(cases[i].client);

		check_int(cases[i].name, trust_client(s, &a, NULL, false), cases[i].trusted);
	}
	settings_unref(s);
}

static void
test_pool(void **state)
{
	static const struct {
		const char *name, *pool, *client, *login;
		bool allowed;
	} cases[] = {
		{"open to all trusted", "open", "203.0.113.9", "x", true},
		{"open without login", "open", NULL, NULL, true},
		{"user", "users", "203.0.113.9", "acme", true},
		{"user by pattern", "users", "203.0.113.9", "acme-news", true},
		{"case counts in logins", "users", "203.0.113.9", "ACME", false},
		{"longer than the name", "users", "203.0.113.9", "acmex", false},
		{"other user", "users", "203.0.113.9", "evil", false},
		{"no login", "users", "192.0.2.1", NULL, false},
		{"local submission", "users", NULL, NULL, false},
		{"network", "nets", "192.0.2.1", "evil", true},
		{"network without login", "nets", "192.0.2.1", NULL, true},
		{"other network", "nets", "203.0.113.9", "acme", false},
		{"both: by user", "both", "203.0.113.9", "acme", true},
		{"both: by network", "both", "192.0.2.1", "evil", true},
		{"both: neither", "both", "203.0.113.9", "evil", false},
	};
	struct settings *s = fixture_settings(
		"pools = (" POOL("open", "o.example", "") "," POOL("users", "u.example",
		"users = [ \"acme\", \"acme-*\" ];") "," POOL("nets", "n.example",
		"networks = [ \"192.0.2.0/24\" ];") "," POOL("both", "b.example",
		"users = [ \"acme\" ]; networks = [ \"192.0.2.0/24\" ];") ");");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct address a = address(cases[i].client);
		const struct pool *p = g_hash_table_lookup(s->pool_by_name, cases[i].pool);

		check_int(cases[i].name, trust_pool(p, &a, cases[i].login), cases[i].allowed);
	}
	settings_unref(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_default_networks),
		cmocka_unit_test(test_pool),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
