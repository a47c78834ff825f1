/*
 * test_zone - the DNS records that pools want, and how zone files write them.
 */
#include "fixture.h"

#include "core/zone.h"

#include <string.h>

/* "v=DKIM1; p=FILE", or none for a file that is called bad.pem. */
static char *
fake_key(void *context, const char *key_file, char **why)
{
	char *name = g_path_get_basename(key_file), *text = NULL;

	++*(unsigned *)context;
	if (strcmp(name, "bad.pem") == 0)
		*why = g_strdup("is bad");
	else
		text = g_strconcat("v=DKIM1; p=", name, NULL);
	g_free(name);
	return text;
}

static void
append_record(GString *list, const struct record *r)
{
	char *data = r->value != NULL ? zone_rdata(r) : g_strdup(r->problem);

	g_string_append_printf(list, "%s %s %s %s %s [", zone_need_word(r->need),
			       zone_purpose_word(r->purpose), r->name, zone_type_word(r->type), data);
	for (guint i = 0; i < r->pools->len; i++)
		g_string_append_printf(list, "%s%s", i > 0 ? " " : "",
				       ((const struct pool *)r->pools->pdata[i])->name);
	g_string_append(list, "]\n");
	g_free(data);
}

/* The records of some purposes, a line each, then the warnings. */
static char *
listing(const struct zone *z, unsigned purposes)
{
	GString *list = g_string_new(NULL);

	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		if (purposes & (1u << r->purpose))
			append_record(list, r);
	}
	for (guint i = 0; i < z->warnings->len; i++)
		g_string_append_printf(list, "! %s\n", (char *)z->warnings->pdata[i]);
	return g_string_free(list, FALSE);
}

#define P(purpose) (1u << (purpose))
#define HOSTS (P(FOR_HELO) | P(FOR_PTR))
#define SPF (P(FOR_HELO_SPF) | P(FOR_SPF) | P(FOR_BOUNCE_SPF))
#define MAIL (P(FOR_MX) | P(FOR_BOUNCE))
#define KEYS (P(FOR_DKIM) | P(FOR_DKIM_NEXT))
#define POLICY (P(FOR_DMARC) | P(FOR_DMARC_REPORTS) | P(FOR_BIMI))
#define LEGACY (P(FOR_LEGACY_SPF) | P(FOR_LEGACY_DKIM))

#define HELO "sender_subdomain = \"mail\"; bounce_target = \"m.esp.example\"; "
#define KEPT(keys)                                                                               \
	"{ name = \"k\"; sender_domain = \"k.example\"; return_path = \"keep\"; dkim_selector = " \
	"\"s1\"; dkim_key = \"@D/key.pem\"; " keys " }"
#define NO_SPF "! pool \"a\": neither source_ips nor spf_include: there is no SPF record to tell\n"
#define NO_HELO "! pool \"a\": sender_subdomain is not set: there are no A and PTR records to tell\n"

static const struct {
	const char *name, *pools;
	unsigned purposes;
	const char *want;
} cases[] = {
	{"hosts", POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.4\", \"2001:db8::1f\" ];"), HOSTS,
	 "needed helo mail.a.example A 192.0.2.4 [a]\n"
	 "needed helo mail.a.example AAAA 2001:db8::1f [a]\n"
	 "needed ptr 4.2.0.192.in-addr.arpa PTR mail.a.example. [a]\n"
	 "needed ptr f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "
	 "mail.a.example. [a]\n"},
	{"one PTR for an address of two pools",
	 POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.4\" ];") ","
	 POOL("b", "b.example", HELO "source_ips = [ \"192.0.2.4\" ];"), HOSTS,
	 "needed helo mail.a.example A 192.0.2.4 [a]\n"
	 "needed ptr 4.2.0.192.in-addr.arpa PTR mail.a.example. [a b]\n"
	 "needed helo mail.b.example A 192.0.2.4 [b]\n"
	 "! pool \"b\": 192.0.2.4 is an address of pool \"a\" too, whose name mail.a.example its PTR "
	 "record holds: mail.b.example is confirmed by its A record alone\n"
	 "! @D/key.pem signs for a.example and for b.example: expected a key for each domain (poolctl "
	 "genkey)\n"},
	{"one HELO name of two pools",
	 POOL("a", "a.example", "sender_subdomain = \"mail.b\"; source_ips = [ \"192.0.2.4\" ]; "
	      "bounce_target = \"m.example\";") ","
	 "{ name = \"b\"; sender_domain = \"b.a.example\"; spf_domain = \"b.b.a.example\"; dkim_selector = "
	 "\"s1\"; dkim_key = \"@D/b.pem\"; sender_subdomain = \"mail\"; source_ips = [ \"192.0.2.5\" ]; "
	 "bounce_target = \"m.example\"; }", HOSTS | P(FOR_HELO_SPF),
	 "needed helo mail.b.a.example A 192.0.2.4 [a b]\n"
	 "needed helo mail.b.a.example A 192.0.2.5 [a b]\n"
	 "needed ptr 4.2.0.192.in-addr.arpa PTR mail.b.a.example. [a]\n"
	 "advised helo-spf mail.b.a.example TXT \"v=spf1 ip4:192.0.2.4/31 -all\" [a b]\n"
	 "needed ptr 5.2.0.192.in-addr.arpa PTR mail.b.a.example. [b]\n"},
	{"addresses without a name",
	 POOL("a", "a.example", "bounce_target = \"m.example\"; source_ips = [ \"192.0.2.4\" ];"), HOSTS,
	 NO_HELO},
	{"private addresses", POOL("a", "a.example", HELO "source_ips = [ \"10.1.2.3\", \"fd00::1\" ];"), 0,
	 "! pool \"a\": 10.1.2.3 is a private address: no receiver sees it\n"
	 "! pool \"a\": fd00::1 is a private address: no receiver sees it\n"},

	{"SPF", POOL("a", "a.example", HELO "source_ips = [ \"2001:db8::1\", \"192.0.2.5\", \"192.0.2.9\" ]; "
		     "spf_include = [ \"z.example\", \"y.example\" ];"), SPF,
	 "advised helo-spf mail.a.example TXT \"v=spf1 ip4:192.0.2.5 ip4:192.0.2.9 ip6:2001:db8::1 -all\" [a]\n"
	 "advised spf a.example TXT \"v=spf1 ip4:192.0.2.5 ip4:192.0.2.9 ip6:2001:db8::1 "
	 "include:z.example include:y.example -all\" [a]\n"
	 "needed bounce-spf b.a.example TXT \"v=spf1 ip4:192.0.2.5 ip4:192.0.2.9 ip6:2001:db8::1 "
	 "include:z.example include:y.example -all\" [a]\n"},
	{"SPF of whole networks",
	 POOL("a", "a.example", "sender_subdomain = \"m\"; bounce_target = \"m.example\"; source_ips = [ "
	      "\"192.0.2.7\", \"192.0.2.4\", \"192.0.2.6\", \"192.0.2.5\", \"192.0.2.8\", \"192.0.2.9\", "
	      "\"192.0.2.3\", \"2001:db8::2\", \"2001:db8::3\", \"203.0.113.255\" ];"),
	 P(FOR_BOUNCE_SPF),
	 "needed bounce-spf b.a.example TXT \"v=spf1 ip4:192.0.2.3 ip4:192.0.2.4/30 ip4:192.0.2.8/31 "
	 "ip4:203.0.113.255 ip6:2001:db8::2/127 -all\" [a]\n"},
	{"one SPF record of two pools",
	 POOL("a", "a.example", "sender_subdomain = \"m\"; source_ips = [ \"192.0.2.1\" ]; bounce_target = "
	      "\"m.example\"; spf_include = [ \"i.example\" ];") ","
	 "{ name = \"b\"; sender_domain = \"c.a.example\"; spf_domain = \"b.a.example\"; dkim_selector = \"s1\"; "
	 "dkim_key = \"@D/b.pem\"; source_ips = [ \"192.0.2.1\", \"198.51.100.1\" ]; sender_subdomain = \"m\"; "
	 "spf_include = [ \"i.example\", \"j.example\" ]; }", P(FOR_BOUNCE_SPF) | P(FOR_BOUNCE),
	 "needed bounce-spf b.a.example TXT \"v=spf1 ip4:192.0.2.1 ip4:198.51.100.1 include:i.example "
	 "include:j.example -all\" [a b]\n"
	 "needed bounce b.a.example MX 10 m.example. [a b]\n"
	 "! pool \"b\": 192.0.2.1 is an address of pool \"a\" too, whose name m.a.example its PTR record "
	 "holds: m.c.a.example is confirmed by its A record alone\n"},
	{"nothing known: no SPF that forbids all", POOL("a", "a.example", "sender_subdomain = \"m\";"), SPF | MAIL,
	 NO_SPF "! pool \"a\": bounce_target is not set: where bounces to b.a.example go cannot be told\n"},
	{"includes only", POOL("a", "a.example", HELO "spf_include = [ \"i.example\" ];"), SPF,
	 "advised spf a.example TXT \"v=spf1 include:i.example -all\" [a]\n"
	 "needed bounce-spf b.a.example TXT \"v=spf1 include:i.example -all\" [a]\n"
	 "! pool \"a\": source_ips is empty: SPF allows only what it includes, and there are no A and PTR "
	 "records to tell\n"},
	{"a relay and its SPF",
	 POOL("a", "a.example", HELO "spf_include = [ \"i.example\" ]; relay: { host = \"r.example\"; };"),
	 P(FOR_SPF), "advised spf a.example TXT \"v=spf1 include:i.example -all\" [a]\n"},
	{"a relay without its SPF",
	 POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.1\" ]; relay: { host = \"r.example\"; };"), 0,
	 "! pool \"a\": spf_include is empty: SPF cannot allow what the relay r.example sends from\n"},
	{"kept Return-Path", KEPT("spf_include = [ \"i.example\" ]; relay: { host = \"r.example\"; };"), SPF | MAIL,
	 "needed spf k.example TXT \"v=spf1 include:i.example -all\" [k]\n"},

	{"answers and bounces", POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.1\" ];"), MAIL,
	 "if-none mx a.example MX 10 mail.a.example. [a]\n"
	 "needed bounce b.a.example MX 10 m.esp.example. [a]\n"},
	{"bounces to the sending host",
	 POOL("a", "a.example", "sender_subdomain = \"m\"; source_ips = [ \"192.0.2.1\" ];"), MAIL,
	 "if-none mx a.example MX 10 m.a.example. [a]\n"
	 "if-none bounce b.a.example MX 10 m.a.example. [a]\n"},
	{"the target's SPF", POOL("a", "a.example", HELO), SPF | MAIL,
	 "needed bounce b.a.example CNAME m.esp.example. [a]\n"},
	{"bounces to the sender domain",
	 "{ name = \"a\"; sender_domain = \"a.example\"; spf_domain = \"a.example\"; dkim_selector = \"s1\"; "
	 "dkim_key = \"@D/key.pem\"; sender_subdomain = \"m\"; source_ips = [ \"192.0.2.1\" ]; bounce_target = "
	 "\"x.example\"; }", SPF | MAIL,
	 "advised helo-spf m.a.example TXT \"v=spf1 ip4:192.0.2.1 -all\" [a]\n"
	 "needed bounce-spf a.example TXT \"v=spf1 ip4:192.0.2.1 -all\" [a]\n"
	 "if-none bounce a.example MX 10 x.example. [a]\n"},
	{"no CNAME at a sender domain",
	 "{ name = \"a\"; sender_domain = \"a.example\"; spf_domain = \"a.example\"; dkim_selector = \"s1\"; "
	 "dkim_key = \"@D/key.pem\"; bounce_target = \"x.example\"; }", MAIL,
	 "if-none bounce a.example MX 10 x.example. [a]\n" NO_SPF},

	{"keys", POOL("a", "a.example", HELO "signatures = ( { selector = \"Ed\"; key = \"@D/ed.pem\"; }, "
		      "{ domain = \"esp.example\"; selector = \"e\"; key = \"@D/esp.pem\"; } ); "
		      "dkim_next: { selector = \"n\"; key = \"@D/n.pem\"; };") ","
	 "{ name = \"b\"; sender_domain = \"b.example\"; spf_domain = \"b.b.example\"; dkim_selector = \"s1\"; "
	 "dkim_key = \"@D/b.pem\"; bounce_target = \"m.example\"; signatures = ( { domain = \"esp.example\"; "
	 "selector = \"E\"; key = \"@D/esp.pem\"; } ); dkim_next: { selector = \"n\"; key = \"@D/n2.pem\"; "
	 "use_after = \"2030-01-01\"; }; }", KEYS,
	 "needed dkim s1._domainkey.a.example TXT \"v=DKIM1; p=key.pem\" [a]\n"
	 "needed dkim ed._domainkey.a.example TXT \"v=DKIM1; p=ed.pem\" [a]\n"
	 "needed dkim e._domainkey.esp.example TXT \"v=DKIM1; p=esp.pem\" [a b]\n"
	 "advised dkim-next n._domainkey.a.example TXT \"v=DKIM1; p=n.pem\" [a]\n"
	 "needed dkim s1._domainkey.b.example TXT \"v=DKIM1; p=b.pem\" [b]\n"
	 "needed dkim-next n._domainkey.b.example TXT \"v=DKIM1; p=n2.pem\" [b]\n"},
	{"a key that cannot be read",
	 POOL("a", "a.example", HELO "signatures = ( { selector = \"x\"; key = \"@D/bad.pem\"; } );"), KEYS,
	 "needed dkim s1._domainkey.a.example TXT \"v=DKIM1; p=key.pem\" [a]\n"
	 "needed dkim x._domainkey.a.example TXT is bad [a]\n"},

	{"DMARC and BIMI", POOL("a", "a.example", HELO "dmarc: { policy = \"quarantine\"; rua = "
				"\"mailto:d@reports.a.example\"; }; bimi_logo = \"https://a.example/l.svg\";"), POLICY,
	 "needed dmarc _dmarc.a.example TXT \"v=DMARC1; p=quarantine; rua=mailto:d@reports.a.example\" [a]\n"
	 "advised bimi default._bimi.a.example TXT \"v=BIMI1; l=https://a.example/l.svg\" [a]\n"},
	{"DMARC of subdomains, without reports",
	 POOL("a", "a.example", HELO "dmarc: { policy = \"none\"; subdomain_policy = \"reject\"; };"), POLICY,
	 "needed dmarc _dmarc.a.example TXT \"v=DMARC1; p=none; sp=reject\" [a]\n"},
	{"reports to another domain, U-labels",
	 "{ name = \"u\"; sender_domain = \"m\xc3\xbcnchen.example\"; spf_domain = \"b.m\xc3\xbcnchen.example\"; "
	 "dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; bounce_target = \"B\xc3\xbc" "cher.example\"; dmarc: { "
	 "policy = \"reject\"; rua = \"mailto:D.x@B\xc3\xbc" "cher.example\"; }; tracking_domain = "
	 "\"t.m\xc3\xbcnchen.example\"; tracking_target = \"t.b\xc3\xbc" "cher.example\"; }",
	 POLICY | P(FOR_TRACKING) | P(FOR_BOUNCE),
	 "needed bounce b.xn--mnchen-3ya.example CNAME xn--bcher-kva.example. [u]\n"
	 "needed dmarc _dmarc.xn--mnchen-3ya.example TXT \"v=DMARC1; p=reject; "
	 "rua=mailto:D.x@xn--bcher-kva.example\" [u]\n"
	 "advised dmarc-reports xn--mnchen-3ya.example._report._dmarc.xn--bcher-kva.example TXT \"v=DMARC1\" "
	 "[u]\n"
	 "needed tracking t.xn--mnchen-3ya.example CNAME t.xn--bcher-kva.example. [u]\n"},
	{"one tracking name of two pools",
	 POOL("a", "a.example", HELO "tracking_domain = \"t.example\"; tracking_target = \"u.example\";") ","
	 "{ name = \"b\"; sender_domain = \"b.example\"; spf_domain = \"b.b.example\"; dkim_selector = \"s1\"; "
	 "dkim_key = \"@D/b.pem\"; bounce_target = \"m.example\"; tracking_domain = \"t.example\"; "
	 "tracking_target = \"u.example\"; }", P(FOR_TRACKING),
	 "needed tracking t.example CNAME u.example. [a b]\n"},
	{"obsolete ones", POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.1\" ];"), LEGACY,
	 "obsolete legacy-spf a.example TXT \"spf2.0/pra ip4:192.0.2.1 -all\" [a]\n"
	 "obsolete legacy-dkim _domainkey.a.example TXT \"o=-\" [a]\n"},
};

/* "@D" as fixture_settings() replaces it. */
static char *
expanded(const char *text)
{
	char **parts = g_strsplit(text, "@D", -1), *all = g_strjoinv(fixture_directory(), parts);

	g_strfreev(parts);
	return all;
}

static struct settings *
settings_of(const char *pools)
{
	char *text = g_strdup_printf("pools = ( %s );", pools);
	struct settings *s = fixture_settings(text);

	g_free(text);
	return s;
}

static int
make_keys(void **state)
{
	static const char *const names[] = {"b.pem", "bad.pem", "ed.pem", "esp.pem", "n.pem", "n2.pem"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		fixture_key(names[i], KEY_ED25519, 0);
	return 0;
}

static void
test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct settings *s = settings_of(cases[i].pools);
		unsigned asked = 0;
		struct zone *z = zone_new(s, NULL, cases[i].purposes & LEGACY ? ZONE_LEGACY : 0, fake_key,
					  &asked);
		char *got = listing(z, cases[i].purposes), *want = expanded(cases[i].want);

		check_string(cases[i].name, got, want);
		g_free(got);
		g_free(want);
		zone_free(z);
		settings_unref(s);
	}
}

static void
test_obsolete_ones_must_be_asked_for(void **state)
{
	struct settings *s = settings_of(POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.1\" ];"));
	unsigned asked = 0;
	struct zone *z = zone_new(s, NULL, 0, fake_key, &asked);
	char *got = listing(z, LEGACY);

	(void)state;
	check_string("no ZONE_LEGACY", got, "");
	g_free(got);
	zone_free(z);
	settings_unref(s);
}

/* Only what the chosen pool wants, but with what the others have at the same names. */
static void
test_chosen_pools(void **state)
{
	struct settings *s = settings_of(
		POOL("a", "a.example", HELO "source_ips = [ \"192.0.2.4\" ];") ","
		"{ name = \"b\"; sender_domain = \"b.example\"; spf_domain = \"b.a.example\"; dkim_selector = \"s1\"; "
		"dkim_key = \"@D/b.pem\"; sender_subdomain = \"m\"; source_ips = [ \"192.0.2.9\" ]; }");
	GPtrArray *chosen = g_ptr_array_new();
	unsigned asked = 0;
	struct zone *z;
	char *got;

	(void)state;
	g_ptr_array_add(chosen, g_hash_table_lookup(s->pool_by_name, "b"));
	z = zone_new(s, chosen, 0, fake_key, &asked);
	got = listing(z, ~0u);
	check_string("chosen", got,
		     "needed helo m.b.example A 192.0.2.9 [b]\n"
		     "needed ptr 9.2.0.192.in-addr.arpa PTR m.b.example. [b]\n"
		     "advised helo-spf m.b.example TXT \"v=spf1 ip4:192.0.2.9 -all\" [b]\n"
		     "if-none mx b.example MX 10 m.b.example. [b]\n"
		     "advised spf b.example TXT \"v=spf1 ip4:192.0.2.9 -all\" [b]\n"
		     "needed bounce-spf b.a.example TXT \"v=spf1 ip4:192.0.2.4 ip4:192.0.2.9 -all\" [a b]\n"
		     "needed bounce b.a.example MX 10 m.esp.example. [b]\n"
		     "needed dkim s1._domainkey.b.example TXT \"v=DKIM1; p=b.pem\" [b]\n");
	check_int("only its key is read", asked, 1);
	for (guint i = 0; i < z->records->len; i++)
		check_true("stands with the chosen pool",
			   ((struct record *)z->records->pdata[i])->pool == chosen->pdata[0]);
	g_free(got);
	zone_free(z);
	g_ptr_array_unref(chosen);
	settings_unref(s);
}

/* A key that all pools sign with is read once. */
static void
test_shared_key_is_read_once(void **state)
{
	GString *pools = g_string_new(NULL);
	unsigned asked = 0;
	struct settings *s;
	struct zone *z;

	(void)state;
	for (int i = 0; i < 50; i++)
		g_string_append_printf(
			pools,
			"%s{ name = \"p%d\"; sender_domain = \"p%d.example\"; spf_domain = \"b.esp.example\"; "
			"dkim_selector = \"s\"; dkim_key = \"@D/key.pem\"; signatures = ( { domain = "
			"\"esp.example\"; selector = \"e\"; key = \"@D/esp.pem\"; } ); source_ips = [ "
			"\"198.51.100.%d\" ]; spf_include = [ \"i%d.example\" ]; }",
			i > 0 ? "," : "", i, i, 2 * i, i);
	s = settings_of(pools->str);
	z = zone_new(s, NULL, 0, fake_key, &asked);
	check_int("keys asked for", asked, 51);
	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		if (strcmp(r->name, "b.esp.example") == 0 || strcmp(r->name, "e._domainkey.esp.example") == 0)
			check_int(r->name, r->pools->len, 50);
	}
	check_true("look-ups",
		   g_ptr_array_find_with_equal_func(
			   z->warnings,
			   "b.esp.example: its SPF record has 50 look-ups: receivers stop after 10 (RFC 7208 "
			   "4.6.4)",
			   g_str_equal, NULL));
	check_true("length",
		   g_ptr_array_find_with_equal_func(
			   z->warnings,
			   "b.esp.example: its SPF record has 1896 octets: above 450 an answer may not fit a "
			   "UDP packet (RFC 7208 3.4)",
			   g_str_equal, NULL));
	zone_free(z);
	settings_unref(s);
	g_string_free(pools, TRUE);
}

static void
test_rdata(void **state)
{
	char *long_text = g_strnfill(600, 'x'), *s255 = g_strnfill(255, 'x'), *s90 = g_strnfill(90, 'x');
	char *pieces = g_strdup_printf("\"%s\" \"%s\" \"%s\"", s255, s255, s90);
	char *whole = g_strdup_printf("\"%s\"", s255);
	const struct {
		const char *name;
		struct record record;
		const char *want;
	} table[] = {
		{"address", {.type = RECORD_AAAA, .value = (char *)"2001:db8::1"}, "2001:db8::1"},
		{"host", {.type = RECORD_CNAME, .value = (char *)"a.example"}, "a.example."},
		{"mail host", {.type = RECORD_MX, .value = (char *)"a.example"}, "10 a.example."},
		{"text", {.type = RECORD_TXT, .value = (char *)"v=x; y"}, "\"v=x; y\""},
		{"empty text", {.type = RECORD_TXT, .value = (char *)""}, "\"\""},
		{"quote and backslash", {.type = RECORD_TXT, .value = (char *)"a\"b\\c"}, "\"a\\\"b\\\\c\""},
		{"octets", {.type = RECORD_TXT, .value = (char *)"\x01\x7f\xc3"}, "\"\\001\\127\\195\""},
		{"255 octets", {.type = RECORD_TXT, .value = s255}, whole},
		{"600 octets", {.type = RECORD_TXT, .value = long_text}, pieces},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(table); i++) {
		char *got = zone_rdata(&table[i].record);

		check_string(table[i].name, got, table[i].want);
		g_free(got);
	}
	g_free(long_text);
	g_free(s255);
	g_free(s90);
	g_free(pieces);
	g_free(whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_obsolete_ones_must_be_asked_for),
		cmocka_unit_test(test_chosen_pools),
		cmocka_unit_test(test_shared_key_is_read_once),
		cmocka_unit_test(test_rdata),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_keys, NULL);
}
