/*
 * test_isp - whose mailbox a recipient has: domains, suffixes, MX hosts; and which records are alike.
 */
#include "fixture.h"

#include "core/author.h"
#include "core/isp.h"

#include <string.h>

/* A resolver that knows a table, and notes what it is asked. */
struct zone {
	const char *domain;
	enum mx_answer answer;
	const char *hosts[4];
};

static const struct zone zones[] = {
	{"all.test", MX_FOUND, {"mx1.big.test", "mx2.big.test"}},
	{"one.test", MX_FOUND, {"mx1.big.test"}},
	{"exact.test", MX_FOUND, {"mx.small.test"}},
	{"deep.test", MX_FOUND, {"a.b.c.big.test"}},
	{"itself.test", MX_FOUND, {"big.test"}},
	{"differs.test", MX_FOUND, {"mx1.big.test", "mx.other.test"}},
	{"differs-first.test", MX_FOUND, {"mx.other.test", "mx1.big.test"}},
	{"two.test", MX_FOUND, {"mx1.big.test", "mx.small.test"}},
	{"none.test", MX_NONE, {NULL}},
	{"failed.test", MX_FAILED, {NULL}},
	{"half.test", MX_FAILED, {"mx1.big.test"}},
	{"custom.test", MX_FOUND, {"mx.mine.big.test"}},
	{"both.test", MX_FOUND, {"mx.mine.big.test", "mx1.big.test"}},
	{"gone.test", MX_FOUND, {"mx.replaced.test"}},
	{"xn--mnchen-3ya.test", MX_FOUND, {"mx1.big.test"}},
	{"gmail.test", MX_FOUND, {"mx1.big.test"}},
};

struct fake_resolver {
	struct resolver resolver;
	GString *asked; /* "mx DOMAIN;" and "start DOMAIN;" */
};

static void
fake_start(void *context, const char *domain)
{
	g_string_append_printf(((struct fake_resolver *)context)->asked, "start %s;", domain);
}

static enum mx_answer
fake_mx(void *context, const char *domain, gint64 deadline, mx_host_fn *each, void *each_context)
{
	g_string_append_printf(((struct fake_resolver *)context)->asked, "mx %s;", domain);
	if (deadline <= g_get_monotonic_time())
		return MX_FAILED;
	for (size_t i = 0; i < G_N_ELEMENTS(zones); i++) {
		if (strcmp(zones[i].domain, domain) != 0)
			continue;
		for (size_t k = 0; zones[i].hosts[k] != NULL; k++)
			if (!each(zones[i].hosts[k], each_context))
				break;
		return zones[i].answer;
	}
	return MX_NONE;
}

static void
fake_resolver_init(struct fake_resolver *f)
{
	f->resolver = (struct resolver){fake_start, fake_mx, f};
	f->asked = g_string_new(NULL);
}

static gint64
later(void)
{
	return g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
}

#define RECORDS                                                                                    \
	"shipped_isps = ("                                                                         \
	"{ name = \"big\"; domains = [ \"gmail.test\", \"taken.test\" ]; "                         \
	"  mx = [ \"*.big.test\", \"mx.taken.test\" ]; },"                                         \
	"{ name = \"small\"; domains = [ \"*.small.test\", \"*.deep.small.test\", "                \
	"  \"m\xc3\xbcnchen.example\" ]; mx = [ \"mx.small.test\" ]; },"                           \
	"{ name = \"deeper\"; domains = [ \"*.x.small.test\" ]; },"                                \
	"{ name = \"replaced\"; domains = [ \"replaced.test\" ]; mx = [ \"*.replaced.test\" ]; },"   \
	"{ name = \"covered\"; domains = [ \"a.cover.test\", \"*.b.cover.test\", \"c.test\" ]; } );" \
	"isps = ("                                                                                 \
	"{ name = \"mine\"; domains = [ \"taken.test\", \"*.cover.test\" ]; "                      \
	"  mx = [ \"*.mine.big.test\", \"mx.taken.test\" ]; },"                                    \
	"{ name = \"Replaced\"; domains = [ \"new.test\" ]; },"                                    \
	"{ name = \"weak\"; domains = [ \"*.gmail.test\", \"q.x.small.test\" ]; } );"              \
	"pools = (" POOL("acme", "example.com", "") ");"

static void
test_find(void **state)
{
	static const struct {
		const char *name, *domain, *isp;
		enum isp_how how;
		bool failed;
		const char *asked;
	} cases[] = {
		{"exact", "gmail.test", "big", ISP_BY_DOMAIN, false, ""},
		{"upper case", "GMail.TEST", "big", ISP_BY_DOMAIN, false, ""},
		{"trailing dot", "gmail.test.", "big", ISP_BY_DOMAIN, false, ""},
		{"U-label", "M\xc3\xbcnchen.example", "small", ISP_BY_DOMAIN, false, ""},
		{"A-label", "xn--mnchen-3ya.example", "small", ISP_BY_DOMAIN, false, ""},
		{"suffix", "a.small.test", "small", ISP_BY_SUFFIX, false, ""},
		{"suffix, two labels", "a.b.small.test", "small", ISP_BY_SUFFIX, false, ""},
		{"suffix is not the name itself", "small.test", "default", ISP_DEFAULT, false, "mx small.test;"},
		{"suffix is no end of a label", "notsmall.test", "default", ISP_DEFAULT, false, "mx notsmall.test;"},
		{"nearest suffix", "a.x.small.test", "deeper", ISP_BY_SUFFIX, false, ""},
		{"above the nearest suffix", "x.small.test", "small", ISP_BY_SUFFIX, false, ""},
		{"exact before suffix, custom before shipped", "q.x.small.test", "weak", ISP_BY_DOMAIN, false, ""},
		{"custom suffix beside a shipped domain", "a.gmail.test", "weak", ISP_BY_SUFFIX, false, ""},
		{"domain taken away", "taken.test", "mine", ISP_BY_DOMAIN, false, ""},
		{"domain taken by a custom suffix", "a.cover.test", "mine", ISP_BY_SUFFIX, false, ""},
		{"suffix taken by a custom suffix", "z.b.cover.test", "mine", ISP_BY_SUFFIX, false, ""},
		{"the rest of that record", "c.test", "covered", ISP_BY_DOMAIN, false, ""},
		{"domain of a replaced record", "replaced.test", "default", ISP_DEFAULT, false, "mx replaced.test;"},
		{"domain of the record that replaced it", "new.test", "Replaced", ISP_BY_DOMAIN, false, ""},
		{"a domain's record before its MX hosts", "GMAIL.test", "big", ISP_BY_DOMAIN, false, ""},
		{"all MX hosts match", "all.test", "big", ISP_BY_MX, false, "mx all.test;"},
		{"the only MX host matches", "one.test", "big", ISP_BY_MX, false, "mx one.test;"},
		{"exact MX host", "exact.test", "small", ISP_BY_MX, false, "mx exact.test;"},
		{"MX host labels below", "deep.test", "big", ISP_BY_MX, false, "mx deep.test;"},
		{"MX host is the suffix itself", "itself.test", "default", ISP_DEFAULT, false, "mx itself.test;"},
		{"asked for in the normal form", "M\xc3\x9cnchen.TEST.", "big", ISP_BY_MX, false, "mx xn--mnchen-3ya.test;"},
		{"one MX host differs", "differs.test", "default", ISP_DEFAULT, false, "mx differs.test;"},
		{"the first MX host differs", "differs-first.test", "default", ISP_DEFAULT, false, "mx differs-first.test;"},
		{"MX hosts of two records", "two.test", "default", ISP_DEFAULT, false, "mx two.test;"},
		{"no MX hosts", "none.test", "default", ISP_DEFAULT, false, "mx none.test;"},
		{"DNS failed", "failed.test", "default", ISP_DEFAULT, true, "mx failed.test;"},
		{"DNS failed half way", "half.test", "default", ISP_DEFAULT, true, "mx half.test;"},
		{"custom MX rule before a shipped one", "custom.test", "mine", ISP_BY_MX, false, "mx custom.test;"},
		{"MX hosts of a custom and a shipped record", "both.test", "default", ISP_DEFAULT, false, "mx both.test;"},
		{"MX rule of a replaced record", "gone.test", "default", ISP_DEFAULT, false, "mx gone.test;"},
		{"no domain", NULL, "default", ISP_DEFAULT, false, ""},
		{"empty domain", "", "default", ISP_DEFAULT, false, ""},
		{"address literal", "[192.0.2.1]", "default", ISP_DEFAULT, false, ""},
		{"not a domain", "a..test", "default", ISP_DEFAULT, false, ""},
		{"not UTF-8", "\xff.test", "default", ISP_DEFAULT, false, ""},
	};
	struct settings *s = fixture_settings(RECORDS);
	struct fake_resolver fake;

	(void)state;
	fake_resolver_init(&fake);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct isp_match match;

		g_string_truncate(fake.asked, 0);
		match = isp_find(s, &fake.resolver, cases[i].domain, later());
		check_string(cases[i].name, match.isp->name, cases[i].isp);
		check_int(cases[i].name, match.how, cases[i].how);
		check_int(cases[i].name, match.failed, cases[i].failed);
		check_string(cases[i].name, fake.asked->str, cases[i].asked);
	}
	g_string_free(fake.asked, TRUE);
	settings_unref(s);
}

static void
test_without_dns(void **state)
{
	struct settings *s = fixture_settings(RECORDS);
	struct isp_match match = isp_find(s, NULL, "all.test", later());

	(void)state;
	assert_string_equal(match.isp->name, "default");
	assert_false(match.failed);
	assert_string_equal(isp_find(s, NULL, "gmail.test", 0).isp->name, "big");
	isp_prefetch(s, NULL, "all.test");
	settings_unref(s);
}

static void
test_past_deadline(void **state)
{
	struct settings *s = fixture_settings(RECORDS);
	struct fake_resolver fake;
	struct isp_match match;

	(void)state;
	fake_resolver_init(&fake);
	match = isp_find(s, &fake.resolver, "all.test", g_get_monotonic_time() - 1);
	assert_string_equal(match.isp->name, "default");
	assert_int_equal(match.how, ISP_DEFAULT);
	assert_true(match.failed);
	g_string_free(fake.asked, TRUE);
	settings_unref(s);
}

/* Records without MX rules: the DNS is not asked at all. */
static void
test_no_mx_rules(void **state)
{
	struct settings *s =
		fixture_settings("isps = ( { name = \"a\"; domains = [ \"a.test\" ]; } );"
				 "shipped_isps = ( { name = \"A\"; mx = [ \"*.big.test\" ]; } );"
				 "pools = (" POOL("acme", "example.com", "") ");");
	struct fake_resolver fake;
	struct isp_match match;

	(void)state;
	fake_resolver_init(&fake);
	match = isp_find(s, &fake.resolver, "all.test", later());
	isp_prefetch(s, &fake.resolver, "all.test");
	assert_string_equal(match.isp->name, "default");
	assert_string_equal(fake.asked->str, "");
	g_string_free(fake.asked, TRUE);
	settings_unref(s);
}

static void
test_prefetch(void **state)
{
	static const struct {
		const char *domain, *asked;
	} cases[] = {
		{"gmail.test", ""}, {"a.small.test", ""},  {"All.Test.", "start all.test;"},
		{"a..b", ""},	    {NULL, ""},		   {"[192.0.2.1]", ""},
	};
	struct settings *s = fixture_settings(RECORDS);
	struct fake_resolver fake;

	(void)state;
	fake_resolver_init(&fake);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_string_truncate(fake.asked, 0);
		isp_prefetch(s, &fake.resolver, cases[i].domain);
		check_string(cases[i].domain != NULL ? cases[i].domain : "none", fake.asked->str,
			     cases[i].asked);
	}
	g_string_free(fake.asked, TRUE);
	settings_unref(s);
}

static void
test_default_record(void **state)
{
	static const struct {
		const char *name, *records;
		bool shipped, in_file;
	} cases[] = {
		{"none in the file", "", false, false},
		{"custom", "isps = ( { name = \"Default\"; } );", false, true},
		{"shipped", "shipped_isps = ( { name = \"default\"; } );", true, true},
		{"custom replaces shipped",
		 "isps = ( { name = \"DEFAULT\"; } ); shipped_isps = ( { name = \"default\"; } );", false,
		 true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *text = g_strconcat(cases[i].records,
					 "pools = (" POOL("acme", "example.com", "") ");", NULL);
		struct settings *s = fixture_settings(text);

		check_true(cases[i].name, s->default_isp != NULL);
		check_int(cases[i].name, s->default_isp->shipped, cases[i].shipped);
		check_int(cases[i].name, s->default_isp->origin.file != NULL, cases[i].in_file);
		check_true(cases[i].name, isp_named(s, "default") == s->default_isp);
		settings_unref(s);
		g_free(text);
	}
}

static void
test_names_and_losses(void **state)
{
	struct settings *s = fixture_settings(RECORDS);
	const struct isp *covered = isp_named(s, "covered"), *mine = isp_named(s, "MINE");

	(void)state;
	assert_null(isp_named(s, "nobody"));
	assert_string_equal(isp_named(s, "replaced")->name, "Replaced");
	assert_false(isp_named(s, "replaced")->shipped);
	assert_int_equal(covered->domains_taken, 2);
	assert_int_equal(isp_named(s, "big")->domains_taken, 2);
	assert_int_equal(isp_named(s, "small")->domains_taken, 0);
	assert_ptr_equal(isp_domain_taken(s, "a.cover.test"), mine);
	assert_ptr_equal(isp_domain_taken(s, "*.b.cover.test"), mine);
	assert_ptr_equal(isp_domain_taken(s, "*.cover.test"), mine);
	assert_null(isp_domain_taken(s, "cover.test"));
	assert_null(isp_domain_taken(s, "*.test"));
	assert_ptr_equal(isp_mx_taken(s, "mx.taken.test"), mine);
	assert_null(isp_mx_taken(s, "*.big.test"));
	assert_ptr_equal(isp_of_mx_host(s, "mx.taken.test"), mine);
	assert_string_equal(isp_of_mx_host(s, "mx9.big.test")->name, "big");
	assert_null(isp_of_mx_host(s, "big.test"));
	settings_unref(s);
}

/* Two records, "a" and "b", with these keys: do they treat messages alike? */
static void
test_treatment(void **state)
{
	static const struct {
		const char *name, *a, *b;
		bool alike;
	} cases[] = {
		{"nothing", "", "", true},
		{"numbers for the MTA do not count", "connections = 1;", "messages_per_connection = 2;", true},
		{"keep is nothing", "encoding: { global = \"keep\"; };", "", true},
		{"encodings", "encoding: { html = \"base64\"; };", "encoding: { html = \"base64\"; };", true},
		{"another encoding", "encoding: { html = \"base64\"; };", "encoding: { html = \"8bit\"; };", false},
		{"another kind of text", "encoding: { html = \"base64\"; };", "encoding: { text = \"base64\"; };", false},
		{"left out is as global", "encoding: { global = \"base64\"; };",
		 "encoding: { global = \"base64\"; html = \"base64\"; text = \"base64\"; };", true},
		{"global is for other text too", "encoding: { global = \"base64\"; };",
		 "encoding: { html = \"base64\"; text = \"base64\"; };", false},
		{"deletes", "delete_headers = [ \"X-A\" ];", "delete_headers = [ \"X-A\" ];", true},
		{"other deletes", "delete_headers = [ \"X-A\" ];", "delete_headers = [ \"X-B\" ];", false},
		{"one deletes", "delete_headers = [ \"X-A\" ];", "", false},
		{"adds", "add_headers = ( { name = \"X-A\"; value = \"v\"; } );",
		 "add_headers = ( { name = \"X-A\"; value = \"v\"; } );", true},
		{"another value", "add_headers = ( { name = \"X-A\"; value = \"v\"; } );",
		 "add_headers = ( { name = \"X-A\"; value = \"w\"; } );", false},
		{"set is not add", "add_headers = ( { name = \"X-A\"; value = \"v\"; } );",
		 "set_headers = ( { name = \"X-A\"; value = \"v\"; } );", false},
		{"order counts",
		 "add_headers = ( { name = \"X-A\"; value = \"v\"; }, { name = \"X-B\"; value = \"v\"; } );",
		 "add_headers = ( { name = \"X-B\"; value = \"v\"; }, { name = \"X-A\"; value = \"v\"; } );", false},
		{"${pool} is the same for both", "add_headers = ( { name = \"X-A\"; value = \"${pool}\"; } );",
		 "add_headers = ( { name = \"X-A\"; value = \"${pool}\"; } );", true},
		{"${isp} differs", "add_headers = ( { name = \"X-A\"; value = \"${isp}\"; } );",
		 "add_headers = ( { name = \"X-A\"; value = \"${isp}\"; } );", false},
		{"${isp} in a set differs", "set_headers = ( { name = \"X-A\"; value = \"x ${isp}\"; } );",
		 "set_headers = ( { name = \"X-A\"; value = \"x ${isp}\"; } );", false},
		{"$${isp} is text", "add_headers = ( { name = \"X-A\"; value = \"$${isp}\"; } );",
		 "add_headers = ( { name = \"X-A\"; value = \"$${isp}\"; } );", true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *text = g_strdup_printf(
			"isps = ( { name = \"a\"; domains = [ \"a.test\" ]; %s } );"
			"shipped_isps = ( { name = \"b\"; domains = [ \"b.test\" ]; %s } );"
			"pools = (" POOL("acme", "example.com", "") ");",
			cases[i].a, cases[i].b);
		struct settings *s = fixture_settings(text);
		bool nothing = *cases[i].a == '\0';

		check_int(cases[i].name, isp_named(s, "a")->treatment == isp_named(s, "b")->treatment,
			  cases[i].alike);
		if (nothing)
			check_int(cases[i].name, isp_named(s, "a")->treatment, s->default_isp->treatment);
		settings_unref(s);
		g_free(text);
	}
}

static void
test_words(void **state)
{
	(void)state;
	assert_string_equal(isp_how_word(ISP_BY_DOMAIN), "domain");
	assert_string_equal(isp_how_word(ISP_BY_SUFFIX), "suffix");
	assert_string_equal(isp_how_word(ISP_BY_MX), "mx");
	assert_string_equal(isp_how_word(ISP_DEFAULT), "default");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_without_dns),
		cmocka_unit_test(test_past_deadline),
		cmocka_unit_test(test_no_mx_rules),
		cmocka_unit_test(test_prefetch),
		cmocka_unit_test(test_default_record),
		cmocka_unit_test(test_names_and_losses),
		cmocka_unit_test(test_treatment),
		cmocka_unit_test(test_words),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
