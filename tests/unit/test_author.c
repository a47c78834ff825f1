/*
 * test_author - whose mail it is: From: and Sender: (FAULTS C9).
 */
#include "fixture.h"

#include "core/author.h"

#include <string.h>

#define COM "example.com"

static const struct {
	const char *name, *header;
	enum author_result result;
	const char *domain;
} cases[] = {
	{"bare address", "From: a@example.com\n", AUTHOR_FOUND, COM},
	{"angle address", "From: A <a@example.com>\n", AUTHOR_FOUND, COM},
	{"case and trailing dot", "FROM: <a@EXAMPLE.Com.>\n", AUTHOR_FOUND, COM},
	{"blank before the colon", "From : a@example.com\n", AUTHOR_FOUND, COM},
	{"no blank behind the colon", "From:a@example.com\n", AUTHOR_FOUND, COM},
	{"folded", "From:\n =?utf-8?q?A?=\n\t<a@example.com>\n", AUTHOR_FOUND, COM},
	{"blank continuation line", "From: A\n \n <a@example.com>\n", AUTHOR_FOUND, COM},
	{"quoted comma", "From: \"Doe, John\" <a@example.com>\n", AUTHOR_FOUND, COM},
	{"quoted address is a name", "From: \"x@evil.example\" <a@example.com>\n", AUTHOR_FOUND, COM},
	{"quoted address and comma", "From: \"x@evil.example,\" <a@example.com>\n", AUTHOR_FOUND, COM},
	{"quoted angle address", "From: \"<x@evil.example>\" <a@example.com>\n", AUTHOR_FOUND, COM},
	{"quoted pair", "From: \"a\\\"b, c\" <a@example.com>\n", AUTHOR_FOUND, COM},
	{"comment", "From: a@example.com (x@evil.example, (nested))\n", AUTHOR_FOUND, COM},
	{"comment in front", "From: (x@evil.example) a@example.com\n", AUTHOR_FOUND, COM},
	{"quoted local part", "From: \"a b@c\"@example.com\n", AUTHOR_FOUND, COM},
	{"U-label", "From: <a@m\xc3\xbcnchen.example>\n", AUTHOR_FOUND, "xn--mnchen-3ya.example"},
	{"A-label", "From: <a@XN--MNCHEN-3YA.example>\n", AUTHOR_FOUND, "xn--mnchen-3ya.example"},
	{"UTF-8 name and local part", "From: J\xc3\xb6rg <j\xc3\xb6rg@example.com>\n", AUTHOR_FOUND, COM},
	{"Latin-1 name", "From: J\xf6rg <a@example.com>\n", AUTHOR_FOUND, COM},
	{"subdomain", "From: a@mail.example.com\n", AUTHOR_FOUND, "mail.example.com"},
	{"group of one", "From: Team: a@example.com;\n", AUTHOR_FOUND, COM},
	{"Sender does not count for one mailbox", "From: a@example.com\nSender: b@other.example\n", AUTHOR_FOUND, COM},
	{"Resent-From is no From", "Resent-From: b@other.example\nFrom: a@example.com\n", AUTHOR_FOUND, COM},
	{"two mailboxes with Sender", "From: a@one.example, b@two.example\nSender: c@example.com\n", AUTHOR_FOUND, COM},
	{"two mailboxes, Sender first", "Sender: c@example.com\nFrom: a@one.example, b@two.example\n", AUTHOR_FOUND, COM},
	{"two mailboxes of one domain", "From: a@example.com, b@example.com\n", AUTHOR_NO_SENDER, ""},
	{"two mailboxes without Sender", "From: a@example.com, b@two.example\n", AUTHOR_NO_SENDER, ""},
	{"two mailboxes, two Senders", "From: a@b.example, b@b.example\nSender: c@example.com\nSender: d@example.com\n", AUTHOR_NO_SENDER, ""},
	{"two mailboxes, Sender with two", "From: a@b.example, b@b.example\nSender: c@example.com, d@example.com\n", AUTHOR_NO_SENDER, ""},
	{"two mailboxes, Sender is a name", "From: a@b.example, b@b.example\nSender: nobody\n", AUTHOR_NO_SENDER, ""},
	{"two mailboxes, empty Sender", "From: a@b.example, b@b.example\nSender:\n", AUTHOR_NO_SENDER, ""},
	{"group of two with Sender", "From: Team: a@b.example, b@b.example;\nSender: c@example.com\n", AUTHOR_FOUND, COM},
	{"no header at all", "", AUTHOR_NO_FROM, ""},
	{"no From", "To: b@example.com\nSender: a@example.com\n", AUTHOR_NO_FROM, ""},
	{"two From", "From: a@example.com\nFrom: a@example.com\n", AUTHOR_TWO_FROM, ""},
	{"two From in other case", "From: a@example.com\nSubject: x\nfrom: a@example.com\n", AUTHOR_TWO_FROM, ""},
	{"two From, one with a blank", "From: a@example.com\nFrom : b@evil.example\n", AUTHOR_TWO_FROM, ""},
	{"two From and a Sender", "From: a@example.com\nFrom: b@example.com\nSender: a@example.com\n", AUTHOR_TWO_FROM, ""},
	{"empty", "From:\n", AUTHOR_UNREADABLE, ""},
	{"blanks only", "From: \n \n", AUTHOR_UNREADABLE, ""},
	{"name only", "From: John Doe\n", AUTHOR_UNREADABLE, ""},
	{"local part only", "From: <root>\n", AUTHOR_UNREADABLE, ""},
	{"no domain", "From: a@\n", AUTHOR_UNREADABLE, ""},
	{"empty angle address", "From: A <>\n", AUTHOR_UNREADABLE, ""},
	{"empty group", "From: undisclosed:;\n", AUTHOR_UNREADABLE, ""},
	{"domain literal", "From: a@[192.0.2.1]\n", AUTHOR_UNREADABLE, ""},
	{"domain with an empty label", "From: a@example..com\n", AUTHOR_UNREADABLE, ""},
	{"domain with a hyphen in front", "From: a@-example.com\n", AUTHOR_UNREADABLE, ""},
	{"Latin-1 domain", "From: a@m\xfcnchen.example\n", AUTHOR_UNREADABLE, ""},
	{"one good and one bad mailbox", "From: a@example.com, nobody\n", AUTHOR_UNREADABLE, ""},
	{"two addresses without a comma", "From: a@example.com b@evil.example\n", AUTHOR_UNREADABLE, ""},
	/* Not RFC 5322, but common, and every reader takes the address in angle brackets. */
	{"address as unquoted name", "From: x@evil.example <a@example.com>\n", AUTHOR_FOUND, COM},
	{"unclosed quote", "From: \"A <a@example.com>\n", AUTHOR_UNREADABLE, ""},
	{"unclosed angle", "From: A <a@example.com\n", AUTHOR_UNREADABLE, ""},
	/* Two addresses, whichever a reader takes: not signed without a Sender. */
	{"two angle addresses", "From: <a@example.com> <b@evil.example>\n", AUTHOR_NO_SENDER, ""},
	{"text behind the angle address", "From: <a@example.com> x@evil.example\n", AUTHOR_NO_SENDER, ""},
	{"two at signs", "From: a@evil.example@example.com\n", AUTHOR_UNREADABLE, ""},
};

static void
test_cases(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = fixture_message(cases[i].header, "", NULL);
		char domain[DOMAIN_SIZE] = "not set";
		enum author_result r = author_domain(m, domain);

		if (r != cases[i].result || strcmp(domain, cases[i].domain) != 0) {
			print_error("case \"%s\": %s \"%s\", not %s \"%s\"\n", cases[i].name,
				    r == AUTHOR_FOUND ? "found" : author_reason(r), domain,
				    cases[i].result == AUTHOR_FOUND ? "found" : author_reason(cases[i].result),
				    cases[i].domain);
			wrong++;
		}
		message_free(m);
	}
	assert_int_equal(wrong, 0);
}

static void
test_many_addresses(void **state)
{
	GString *header = g_string_new("From: ");
	char domain[DOMAIN_SIZE];
	struct message *m;

	(void)state;
	for (int i = 0; i < 3600; i++)
		g_string_append_printf(header, "%suser%d@example%d.com", i > 0 ? ",\n " : "", i, i % 7);
	g_string_append(header, "\n");
	m = fixture_message(header->str, "", NULL);
	assert_int_equal(author_domain(m, domain), AUTHOR_NO_SENDER);
	message_free(m);
	g_string_append(header, "Sender: a@example.com\n");
	m = fixture_message(header->str, "", NULL);
	assert_int_equal(author_domain(m, domain), AUTHOR_FOUND);
	assert_string_equal(domain, "example.com");
	message_free(m);
	g_string_free(header, TRUE);
}

/* Deep nesting must cost neither the stack nor seconds. */
static void
test_nesting(void **state)
{
	static const struct {
		const char *name, *open, *close;
	} nests[] = {{"comments", "(", ")"}, {"groups", "g:", ";"}, {"quotes", "\"\" ", ""}};

	(void)state;
	for (size_t k = 0; k < G_N_ELEMENTS(nests); k++) {
		GString *header = g_string_new("From: ");
		gint64 begin = g_get_monotonic_time();
		char domain[DOMAIN_SIZE];
		struct message *m;

		for (int i = 0; i < 20000; i++)
			g_string_append(header, nests[k].open);
		g_string_append(header, "a@example.com");
		for (int i = 0; i < 20000; i++)
			g_string_append(header, nests[k].close);
		g_string_append(header, "\n");
		m = fixture_message(header->str, "", NULL);
		(void)author_domain(m, domain); /* found or not: it must come back, soon */
		check_true(nests[k].name, g_get_monotonic_time() - begin < 5 * G_USEC_PER_SEC);
		message_free(m);
		g_string_free(header, TRUE);
	}
}

static void
test_reasons(void **state)
{
	(void)state;
	assert_string_equal(author_reason(AUTHOR_NO_FROM), "no-from");
	assert_string_equal(author_reason(AUTHOR_TWO_FROM), "two-from");
	assert_string_equal(author_reason(AUTHOR_UNREADABLE), "from-unreadable");
	assert_string_equal(author_reason(AUTHOR_NO_SENDER), "no-sender");
	assert_null(author_reason(AUTHOR_FOUND));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_many_addresses),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_reasons),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
