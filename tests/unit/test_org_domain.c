/*
 * test_org_domain - organizational domains by the list of public suffixes.
 */
#include "fixture.h"

#include "io/org_domain.h"

static void
test_org_domain(void **state)
{
	static const struct {
		const char *domain, *want;
	} cases[] = {
		{"example.com", "example.com"},
		{"ac-bounces.example.com", "example.com"},
		{"a.b.c.example.co.uk", "example.co.uk"},
		{"example.co.uk", "example.co.uk"},
		{"co.uk", "co.uk"},
		{"com", "com"},
		{"one.github.io", "one.github.io"},
		{"a.one.github.io", "one.github.io"},
		{"mail.nobody-has-this-suffix", "mail.nobody-has-this-suffix"},
		{"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"},
	};
	char out[DOMAIN_SIZE];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		org_domain_of(cases[i].domain, out);
		check_string(cases[i].domain, out, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_org_domain)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
