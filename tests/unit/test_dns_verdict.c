/*
 * test_dns_verdict - what is wrong with the records of a zone, by tables in place of the DNS.
 *
 * tests/component/test_dns_check.py does the same with a real DNS server and more cases; here is
 * what a server does not do at will, and what the daemon asks for.
 */
#include "fixture.h"

#include "core/dns_verdict.h"
#include "io/key_dns.h"
#include "io/keygen.h"

#include <string.h>

/* ---- a DNS of lines "NAME TYPE VALUE"; TYPE "!": the server fails, "?": no answer ---- */

struct table {
	struct dns dns;
	char **lines;
	GHashTable *answers; /* "NAME TYPE" -> struct dns_answer */
};

static void
fake_start(void *context, const char *name, enum record_type type)
{
	(void)context;
	(void)name;
	(void)type;
}

static struct dns_answer *
answer_of_lines(char **lines, const char *name, const char *type)
{
	struct dns_answer *a = dns_answer_new(DNS_NO_NAME);

	for (char **line = lines; *line != NULL; line++) {
		char **words = g_strsplit(*line, " ", 3);

		if (g_strv_length(words) == 3 && strcmp(words[0], name) == 0) {
			if (a->state == DNS_NO_NAME)
				a->state = DNS_NO_DATA;
			if (strcmp(words[1], "!") == 0)
				a->state = DNS_FAILED;
			if (strcmp(words[1], "?") == 0)
				a->state = DNS_TIMEOUT;
			if (strcmp(words[1], type) == 0) {
				a->state = DNS_FOUND;
				dns_answer_add(a, words[2], strlen(words[2]), 0);
			}
		}
		g_strfreev(words);
	}
	return a;
}

static const struct dns_answer *
fake_answer(void *context, const char *name, enum record_type type)
{
	struct table *t = context;
	char *key = g_strconcat(name, " ", zone_type_word(type), NULL);
	struct dns_answer *a = g_hash_table_lookup(t->answers, key);

	if (a != NULL) {
		g_free(key);
		return a;
	}
	a = answer_of_lines(t->lines, name, zone_type_word(type));
	g_hash_table_insert(t->answers, key, a);
	return a;
}

static void
table_init(struct table *t, const char *text)
{
	t->dns = (struct dns){.start = fake_start, .answer = fake_answer, .context = t};
	t->lines = g_strsplit(text, "\n", -1);
	t->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, dns_answer_free);
}

static void
table_clear(struct table *t)
{
	g_strfreev(t->lines);
	g_hash_table_destroy(t->answers);
}

/* ---- the other tools ---- */

static enum spf_result
fake_spf(const struct dns *dns, const char *domain, const char *address, const char *helo,
	 char **why)
{
	const struct dns_answer *a = dns_answer(dns, domain, RECORD_TXT);
	const struct dns_record *r = a->records->pdata[0];

	(void)helo;
	if (strstr(r->text, address) != NULL)
		return SPF_PASSES;
	*why = g_strdup(strstr(r->text, "tempfail") != NULL ? "temporary" : "no");
	return strstr(r->text, "tempfail") != NULL ? SPF_UNKNOWN : SPF_FAILS;
}

static void
fake_org_domain(const char *domain, char out[DOMAIN_SIZE])
{
	const char *org = domain, *parent;

	while ((parent = domain_parent(org)) != NULL && domain_parent(parent) != NULL)
		org = parent;
	g_strlcpy(out, org, DOMAIN_SIZE);
}

#define KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static char *
fake_key(void *context, const char *key_file, char **why)
{
	(void)key_file;
	if (context == NULL)
		return g_strdup(KEY);
	*why = g_strdup(context);
	return NULL;
}

/* ---- verdicts ---- */

#define KEYS \
	"sender_subdomain = \"mail\"; source_ips = [ \"192.0.2.4\" ]; spf_include = [ " \
	"\"i.example\" ];" \
	" dmarc: { policy = \"quarantine\"; rua = \"mailto:d@example.com\"; };" \
	" bimi_logo = \"https://example.com/l.svg\"; bounce_target = \"mx.example\";"

#define SPF_AT "b.example.com TXT "
#define SPF_HEAD "v=spf1 ip4:192.0.2.4 include:i.example "
#define INCLUDED "i.example TXT v=spf1 ip4:203.0.113.0/24 -all\n"

static const struct {
	const char *name;
	enum record_purpose purpose; /* of the record that is judged */
	const char *zone;
	const char *want; /* words of the findings */
} cases[] = {
	{"good SPF", FOR_BOUNCE_SPF, INCLUDED SPF_AT SPF_HEAD "-all", ""},
	{"no SPF", FOR_BOUNCE_SPF, "", "missing"},
	{"SPF not known", FOR_BOUNCE_SPF, "b.example.com ! -", "dns-unknown"},
	{"SPF too late", FOR_BOUNCE_SPF, "b.example.com ? -", "dns-unknown"},
	{"an include is not known", FOR_BOUNCE_SPF, "i.example ! -\n" SPF_AT SPF_HEAD "-all", ""},
	{"evaluation is not known", FOR_BOUNCE_SPF,
	 INCLUDED SPF_AT "v=spf1 include:i.example a:tempfail.example -all", "dns-unknown"},
	{"macros cost a look-up each, and are not asked", FOR_BOUNCE_SPF,
	 INCLUDED SPF_AT SPF_HEAD
	 "exists:%{i}.a.example exists:%{i}.b.example exists:%{i}.c.example -all",
	 ""},
	{"redirect beside all does not count", FOR_BOUNCE_SPF,
	 INCLUDED SPF_AT SPF_HEAD "redirect=gone.example -all", ""},
	{"all of an included record is not ours", FOR_BOUNCE_SPF,
	 "i.example TXT v=spf1 +all\n" SPF_AT SPF_HEAD "-all", ""},
	{"all behind a redirect is ours", FOR_BOUNCE_SPF,
	 INCLUDED SPF_AT SPF_HEAD "redirect=r.example\nr.example TXT v=spf1 ?all",
	 "spf-all-neutral"},
	{"ptr in an included record", FOR_BOUNCE_SPF,
	 "i.example TXT v=spf1 ptr -all\n" SPF_AT SPF_HEAD "-all", "spf-ptr"},
	{"records that include each other", FOR_BOUNCE_SPF,
	 "i.example TXT v=spf1 include:j.example -all\nj.example TXT v=spf1 include:i.example "
	 "-all\n" SPF_AT SPF_HEAD "-all",
	 "spf-lookups"},
	{"an include with two records", FOR_BOUNCE_SPF, INCLUDED INCLUDED SPF_AT SPF_HEAD "-all",
	 "spf-broken"},
	{"prefix lengths and qualifiers", FOR_BOUNCE_SPF,
	 INCLUDED "h.example A 192.0.2.9\nh.example MX h.example\n" SPF_AT SPF_HEAD
		  "?a:h.example/24 ~mx:h.example//64 -a:h.example/24//64 -all",
	 ""},
	{"good key", FOR_DKIM, "s1._domainkey.example.com TXT " KEY, ""},
	{"key not known", FOR_DKIM, "s1._domainkey.example.com ! -", "dns-unknown"},
	{"good DMARC", FOR_DMARC,
	 "_dmarc.example.com TXT v=DMARC1; p=quarantine; rua=mailto:d@example.com", ""},
	{"DMARC beside other TXT", FOR_DMARC,
	 "_dmarc.example.com TXT hello\n_dmarc.example.com TXT v=DMARC1; p=reject; "
	 "rua=mailto:d@example.com",
	 ""},
	{"DMARC not known", FOR_DMARC, "_dmarc.example.com ! -", "dns-unknown"},
	{"consent to reports not known", FOR_DMARC,
	 "_dmarc.example.com TXT v=DMARC1; p=reject; "
	 "rua=mailto:d@o.example\nexample.com._report._dmarc.o.example ! -",
	 ""},
	{"one report address of two is wrong", FOR_DMARC,
	 "_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:d@example.com,mailto:nobody",
	 "dmarc-rua-broken"},
	{"BIMI with quarantine", FOR_BIMI,
	 "default._bimi.example.com TXT v=BIMI1; l=https://example.com/l.svg\n"
	 "_dmarc.example.com TXT v=DMARC1; p=quarantine",
	 ""},
	{"BIMI with sp=none", FOR_BIMI,
	 "default._bimi.example.com TXT v=BIMI1; l=https://example.com/l.svg\n"
	 "_dmarc.example.com TXT v=DMARC1; p=reject; sp=none",
	 "bimi-dmarc"},
	{"BIMI, DMARC not known", FOR_BIMI,
	 "default._bimi.example.com TXT v=BIMI1; l=https://example.com/l.svg\n_dmarc.example.com ! "
	 "-",
	 "dns-unknown"},
	{"MX host not known", FOR_MX, "example.com MX h.example\nh.example ! -", "dns-unknown"},
	{"MX host by IPv6 alone", FOR_MX, "example.com MX h.example\nh.example AAAA 2001:db8::1",
	 ""},
	{"one MX host of two is gone", FOR_MX,
	 "example.com MX h.example\nexample.com MX g.example\nh.example A 192.0.2.9", "mx-nowhere"},
	{"bounce host not known", FOR_BOUNCE, "b.example.com MX mx.example\nmx.example ? -",
	 "dns-unknown"},
	{"PTR host not known", FOR_PTR, "4.2.0.192.in-addr.arpa PTR h.example\nh.example ! -",
	 "dns-unknown"},
	{"CNAME in one answer, records in another", FOR_DMARC,
	 "_dmarc.example.com CNAME x.example\n"
	 "_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:d@example.com",
	 "cname-conflict"},
};

static char *
words_of(const GPtrArray *findings)
{
	GString *words = g_string_new(NULL);

	for (guint i = 0; i < findings->len; i++) {
		const struct finding *f = findings->pdata[i];

		g_string_append_printf(words, "%s%s", i > 0 ? " " : "", finding_word(f->code));
	}
	return g_string_free(words, FALSE);
}

static const struct record *
record_for(const struct zone *z, enum record_purpose purpose)
{
	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		if (r->purpose == purpose)
			return r;
	}
	fail_msg("no record for %s", zone_purpose_word(purpose));
	return NULL;
}

static void
test_findings(void **state)
{
	struct settings *s = fixture_settings("pools = ( " POOL("acme", "example.com", KEYS) " );");
	struct zone *z = zone_new(s, NULL, 0, fake_key, NULL);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct table t;
		const struct dns_tools tools = {
			.dns = &t.dns, .spf = fake_spf, .org_domain = fake_org_domain};
		struct dns_verdict *v;
		char *words;

		table_init(&t, cases[i].zone);
		v = dns_verdict_new(record_for(z, cases[i].purpose), &tools);
		words = words_of(v->findings);
		check_string(cases[i].name, words, cases[i].want);
		g_free(words);
		dns_verdict_free(v);
		table_clear(&t);
	}
	zone_free(z);
	settings_unref(s);
}

static void
test_unreadable_key(void **state)
{
	char why[] = "gone";
	struct settings *s = fixture_settings("pools = ( " POOL("acme", "example.com", KEYS) " );");
	struct zone *z = zone_new(s, NULL, 0, fake_key, why);
	struct table t;
	const struct dns_tools tools = {
		.dns = &t.dns, .spf = fake_spf, .org_domain = fake_org_domain};
	const struct finding *f;
	struct dns_verdict *v;

	(void)state;
	table_init(&t, "s1._domainkey.example.com TXT " KEY);
	v = dns_verdict_new(record_for(z, FOR_DKIM), &tools);
	assert_int_equal(v->findings->len, 1);
	f = v->findings->pdata[0];
	assert_int_equal(f->code, KEY_UNREADABLE);
	assert_string_equal(f->text, "gone");
	dns_verdict_free(v);
	table_clear(&t);
	zone_free(z);
	settings_unref(s);
}

/* Whatever the code, there are words for it, and they are its own. */
static void
test_words(void **state)
{
	GHashTable *seen = g_hash_table_new(g_str_hash, g_str_equal);

	(void)state;
	for (int code = 0; code < FINDING_CODES; code++) {
		assert_non_null(finding_word((enum finding_code)code));
		assert_true(g_hash_table_add(seen, (void *)finding_word((enum finding_code)code)));
	}
	g_hash_table_destroy(seen);
}

static void
test_worst(void **state)
{
	static const enum finding_code order[] = {RECORD_LONG, KEY_WEAK, DNS_UNKNOWN, KEY_MISMATCH};
	static const enum finding_severity want[] = {FINDING_NOTE, FINDING_WARNING, FINDING_UNKNOWN,
						     FINDING_ERROR};
	GPtrArray *findings = findings_new();

	(void)state;
	assert_int_equal(findings_worst(findings), -1);
	for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
		findings_add(findings, order[i], "x");
		assert_int_equal(findings_worst(findings), want[i]);
	}
	findings_add(findings, RECORD_LONG, "x");
	assert_int_equal(findings_worst(findings), FINDING_ERROR);
	g_ptr_array_unref(findings);
}

/* ---- the key's record alone ---- */

static void
test_key_dns(void **state)
{
	static const struct {
		const char *name, *zone;
		enum key_dns_state want;
		bool why;
	} keys[] = {
		{"published", "s._domainkey.example.com TXT @", KEY_DNS_PUBLISHED, false},
		{"with a warning", "s._domainkey.example.com TXT @; t=y", KEY_DNS_PUBLISHED, true},
		{"missing", "example.com TXT @", KEY_DNS_MISSING, true},
		{"another key", "s._domainkey.example.com TXT " KEY, KEY_DNS_WRONG, true},
		{"revoked", "s._domainkey.example.com TXT v=DKIM1; k=ed25519; p=", KEY_DNS_WRONG,
		 true},
		{"two", "s._domainkey.example.com TXT @\ns._domainkey.example.com TXT @",
		 KEY_DNS_WRONG, true},
		{"not known", "s._domainkey.example.com ! -", KEY_DNS_UNKNOWN, true},
		{"too late", "s._domainkey.example.com ? -", KEY_DNS_UNKNOWN, true},
	};
	char *why = NULL;
	void *pkey = keygen_new(KEY_ED25519, 0, &why);
	char *own = keygen_record(pkey, KEY_ED25519);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		char **pieces = g_strsplit(keys[i].zone, "@", -1), *zone = g_strjoinv(own, pieces);
		struct table t;

		table_init(&t, zone);
		check_int(keys[i].name,
			  key_dns_check(&t.dns, "example.com", "s", pkey, KEY_ED25519, &why),
			  keys[i].want);
		check_int(keys[i].name, why != NULL, keys[i].why);
		g_clear_pointer(&why, g_free);
		table_clear(&t);
		g_free(zone);
		g_strfreev(pieces);
	}
	g_free(own);
	keygen_free(pkey);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_findings), cmocka_unit_test(test_unreadable_key),
		cmocka_unit_test(test_words),    cmocka_unit_test(test_worst),
		cmocka_unit_test(test_key_dns),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
