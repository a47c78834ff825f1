/*
 * test_domain - the one form of domain names.
 */
#include "fixture.h"

#include "core/domain.h"

#include <string.h>

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define L61 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"

static const struct {
	const char *name, *text, *want; /* want NULL: no domain name */
} cases[] = {
	{"plain", "example.com", "example.com"},
	{"upper case", "EXAMPLE.Com", "example.com"},
	{"trailing dot", "example.com.", "example.com"},
	{"one label", "localhost", "localhost"},
	{"digits and hyphens", "a-1.x--y.com", "a-1.x--y.com"},
	{"underscore", "_dmarc.example.com", "_dmarc.example.com"},
	{"U-label", "m\xc3\xbcnchen.example", "xn--mnchen-3ya.example"},
	{"U-label in upper case", "M\xc3\x9cNCHEN.Example", "xn--mnchen-3ya.example"},
	{"U-label decomposed", "mu\xcc\x88nchen.example", "xn--mnchen-3ya.example"},
	{"A-label", "XN--Mnchen-3ya.example", "xn--mnchen-3ya.example"},
	{"sharp s stays itself", "stra\xc3\x9f" "e.example", "xn--strae-oqa.example"},
	{"ideographic full stop", "\xe4\xbe\x8b\xe3\x80\x82jp", "xn--fsq.jp"},
	{"U-label with a trailing dot", "m\xc3\xbcnchen.example.", "xn--mnchen-3ya.example"},
	{"label of 63", L63 ".com", L63 ".com"},
	{"253 octets", L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61},
	{"253 octets and a dot", L63 "." L63 "." L63 "." L61 ".", L63 "." L63 "." L63 "." L61},
	{"empty", "", NULL},
	{"a dot", ".", NULL},
	{"two trailing dots", "example.com..", NULL},
	{"leading dot", ".example.com", NULL},
	{"empty label", "example..com", NULL},
	{"label of 64", L63 "x.com", NULL},
	{"254 octets", L63 "." L63 "." L63 "." L61 "x", NULL},
	{"leading hyphen", "-a.com", NULL},
	{"trailing hyphen", "a-.com", NULL},
	{"trailing hyphen at the end", "a.com-", NULL},
	{"blank", "exam ple.com", NULL},
	{"leading blank", " example.com", NULL},
	{"line end", "example.com\n", NULL},
	{"domain literal", "[192.0.2.1]", NULL},
	{"percent", "a%b.com", NULL},
	{"slash", "a/b.com", NULL},
	{"at", "a@b.com", NULL},
	{"invalid UTF-8", "m\xfcnchen.example", NULL},
	{"cut UTF-8", "m\xc3", NULL},
	{"fullwidth full stop makes an empty label", "a\xef\xbc\x8e.b", NULL},
};

static void
test_normalise(void **state)
{
	char out[DOMAIN_SIZE];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		bool ok;

		memset(out, 'x', sizeof out);
		ok = domain_normalise(cases[i].text, strlen(cases[i].text), out);
		check_int(cases[i].name, ok, cases[i].want != NULL);
		check_string(cases[i].name, out, cases[i].want != NULL ? cases[i].want : "");
	}
}

/* The normal form of a normal form is itself: what is compared twice stays equal. */
static void
test_normal_form_is_stable(void **state)
{
	char once[DOMAIN_SIZE], twice[DOMAIN_SIZE];

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		if (cases[i].want == NULL)
			continue;
		check_true(cases[i].name, domain_normalise(cases[i].text, strlen(cases[i].text), once));
		check_true(cases[i].name, domain_normalise(once, strlen(once), twice));
		check_string(cases[i].name, twice, once);
	}
}

static void
test_length_counts(void **state)
{
	char out[DOMAIN_SIZE];

	(void)state;
	assert_true(domain_normalise("example.com>, x", 11, out));
	assert_string_equal(out, "example.com");
	assert_false(domain_normalise("a\0b.com", 7, out));
	assert_string_equal(out, "");
}

static void
test_parent(void **state)
{
	const char *domain = "a.b.c";

	(void)state;
	domain = domain_parent(domain);
	assert_string_equal(domain, "b.c");
	domain = domain_parent(domain);
	assert_string_equal(domain, "c");
	assert_null(domain_parent(domain));
	assert_null(domain_parent(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_normal_form_is_stable),
		cmocka_unit_test(test_length_counts),
		cmocka_unit_test(test_parent),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
