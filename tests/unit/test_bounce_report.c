/*
 * test_bounce_report - what is read from bounces: the pieces; whole reports are tests/bounces.
 */
#include "fixture.h"

#include "core/bounce_part.h"

#include <string.h>

static void
test_replies(void **state)
{
	static const struct {
		const char *name, *text;
		int code;
		const char *dsn, *line; /* line NULL: there is no reply */
	} cases[] = {
		{"plain", "550 5.1.1 User unknown", 550, "5.1.1", "550 5.1.1 User unknown"},
		{"without a status", "554 no", 554, "", "554 no"},
		{"status alone", "User unknown (#5.1.1)", 0, "5.1.1", "5.1.1"},
		{"behind a colon", "host a[192.0.2.1] said: 451 later", 451, "", "451 later"},
		{"behind a word", "the server returned 550 5.2.2 full", 550, "5.2.2",
		 "550 5.2.2 full"},
		{"in parentheses", "<a@b.c> (reason: 550 5.1.1 no)", 550, "5.1.1", "550 5.1.1 no"},
		{"in quotes", "returned '550 5.4.1 no (a)'", 550, "5.4.1", "550 5.4.1 no (a)"},
		{"brackets of its own stay", "550 no (really)", 550, "", "550 no (really)"},
		{"Exchange", "#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found #SMTP#", 550,
		 "5.1.1", "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found"},
		{"IronPort", "5.3.0 - Other 554-'no' (delivery attempts: 0)", 554, "",
		 "554-'no' (delivery attempts: 0)"},
		{"several lines", "550-5.1.1 a\n550 5.1.1 b\n551 c", 550, "5.1.1",
		 "550-5.1.1 a 550 5.1.1 b"},
		{"another reply follows", "<<< 550 5.1.1 a\n<<< 503 b", 550, "5.1.1",
		 "550 5.1.1 a"},
		{"a paragraph ends it", "550 a\nb\n \nc", 550, "", "550 a b"},
		{"a remark ends it", "550 a\nGiving up on 192.0.2.1.", 550, "", "550 a"},
		{"the better one", "error 500, then 550 5.1.1 x", 550, "5.1.1", "550 5.1.1 x"},
		{"class of the status", "550 4.1.1 x", 550, "", "550 4.1.1 x"},
		{"size", "it has 550 KB and 450 lines", 0, "", NULL},
		{"date", "in 2550 and 5501", 0, "", NULL},
		{"address", "mail.550.example 192.0.2.450 5.4.3.2", 0, "", NULL},
		{"part of a name", "a-550 b_451 x@550", 0, "", NULL},
		{"at the end", "error 550", 550, "", "550"},
		{"cut status", "550 5.1", 550, "", "550 5.1"},
		{"long status", "550 5.1.1234 x", 550, "", "550 5.1.1234 x"},
		{"empty", "", 0, "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		size_t len = strlen(cases[i].text);
		struct bounce_reply r = bounce_reply_find(cases[i].text, len);
		char *line = r.at != NULL ? bounce_reply_line(&r, cases[i].text + len) : NULL;

		check_int(cases[i].name, r.code, cases[i].code);
		check_string(cases[i].name, r.dsn, cases[i].dsn);
		if (cases[i].line == NULL || r.code != 0)
			check_string(cases[i].name, line, cases[i].line);
		g_free(line);
	}
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *name, *value, *want;
	} cases[] = {
		{"plain", "ann@example.org", "ann@example.org"},
		{"type", "rfc822;ann@example.org", "ann@example.org"},
		{"type and blank", " RFC822; ann@example.org ", "ann@example.org"},
		{"brackets", "rfc822; <ann@example.org>", "ann@example.org"},
		{"name", "Ann <ann@example.org>", "ann@example.org"},
		{"UTF-8", "utf-8; k\xc3\xb6ln@example.org", "k\xc3\xb6ln@example.org"},
		{"escaped UTF-8", "utf-8; k\\x{F6}ln@example.org", "k\xc3\xb6ln@example.org"},
		{"escaped NUL stays text", "utf-8; a\\x{0}@example.org", "a\\x{0}@example.org"},
		{"surrogate stays text", "utf-8; a\\x{D800}@example.org", "a\\x{D800}@example.org"},
		{"not ended", "utf-8; a\\x{41@example.org", "a\\x{41@example.org"},
		{"X.400", "X400; c=US;a= ;p=x", NULL},
		{"no domain", "rfc822; ann@", NULL},
		{"no local part", "rfc822; @example.org", NULL},
		{"nothing", "rfc822;", NULL},
		{"blank within", "ann @example.org", NULL},
		{"line end", "ann@example.org\nx", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *got = bounce_address(cases[i].value);

		check_string(cases[i].name, got, cases[i].want);
		g_free(got);
	}
}

static void
test_addresses_in_text(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"some", "<a@b.example>, c@d.example. 'e@f.example'",
		 "a@b.example c@d.example e@f.example"},
		{"mailto", "Ann<mailto:a@b.example>", "a@b.example"},
		{"Exchange", "dda:SMTP=a@b.example; on", "a@b.example"},
		{"bullet", "* a@b.example", "a@b.example"},
		{"plus", "a+b=c@d.example", "a+b=c@d.example"},
		{"no dot in the domain", "a@localhost b@c.example", "b@c.example"},
		{"only signs", "@ @@ a@ @b.example @.", ""},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const char *at = cases[i].text, *end = at + strlen(at);
		GString *all = g_string_new(NULL);
		char *one;

		while ((one = bounce_address_next(&at, end)) != NULL) {
			g_string_append_printf(all, "%s%s", all->len > 0 ? " " : "", one);
			g_free(one);
		}
		check_string(cases[i].name, all->str, cases[i].want);
		g_string_free(all, TRUE);
	}
}

static void
test_original_begins(void **state)
{
	static const struct {
		const char *name, *line;
		bool want;
	} cases[] = {
		{"qmail", "--- below this line is a copy of the message.", true},
		{"exim", "------ this is a copy of the message, including all the headers. ------",
		 true},
		{"sendmail", "   ----- original message follows -----", true},
		{"sendmail's first line", "the original message was received at tue, 1 jan 2030",
		 false},
		{"outlook", "original message headers:", true},
		{"imail", "original message follows.", true},
		{"a field", "received: from a by b", true},
		{"a sentence", "your message could not be delivered to:", false},
		{"a sentence that tells of another", "message text follows in an attachment", true},
		{"a rule", "----------", false},
		{"empty", "", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_int(cases[i].name, bounce_begins_original(cases[i].line), cases[i].want);
}

static void
test_html(void **state)
{
	static const struct {
		const char *name, *html, *want;
	} cases[] = {
		{"tags", "<p>a</p><b>c</b>", "\na\nc"},
		{"references", "&lt;a@b.c&gt; &amp; &#246; &nbsp;x &unknown; &",
		 "<a@b.c> & \xc3\xb6  x &unknown; &"},
		{"style goes", "<style>p { x }</style>a<script>1<2</script>b", "ab"},
		{"style without an end", "a<style>b", "a"},
		{"tag without an end", "a<b", "a"},
		{"address unescaped", "<a@b.example> x", "<a@b.example> x"},
		{"less than", "1 < 2", "1 < 2"},
		{"control character referred to", "&#10;&#0;", "&#10;&#0;"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *got = bounce_html_text(cases[i].html);

		check_string(cases[i].name, got, cases[i].want);
		g_free(got);
	}
}

/* What no message brings to the end, or to more than the stated numbers. */
static void
test_bounds(void **state)
{
	GString *s =
		g_string_new("Content-Type: multipart/report; boundary=b\n\n--b\n"
			     "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n");
	struct bounce_report *r;

	(void)state;
	for (int i = 0; i < 3 * BOUNCE_NOTICES_MAX; i++)
		g_string_append_printf(s, "Final-Recipient: a;%d@b.c\nAction: failed\n\n", i);
	r = bounce_report_read(s->str, s->len, "");
	check_int("notices", r->notices->len, BOUNCE_NOTICES_MAX);
	check_int("kind", r->kind, BOUNCE_REPORT);
	bounce_report_free(r);
	for (size_t len = 0; len < 400; len++) {
		r = bounce_report_read(s->str, len, NULL);
		check_true("cut anywhere", r->notices->len <= 20);
		bounce_report_free(r);
	}
	g_string_free(s, TRUE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_addresses_in_text),
		cmocka_unit_test(test_original_begins),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_bounds),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
