/*
 * test_settings - the table of settings, and what settings_finish() makes of settings.
 *
 * What a file may hold is tested from outside, in tests/config.
 */
#include "core/event.h"
#include "core/setting_table.h"
#include "core/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <syslog.h>

static void
set(const struct setting_table *t, void *base, const char *name, const char *text)
{
	const struct setting *m = setting_find(t, name);
	char *why = NULL;

	assert_non_null(m);
	if (!setting_set_text(m, base, text, &why))
		fail_msg("%s: %s", name, why);
}

/* Adds a complete pool: name, name.example, b.name.example. */
static struct pool *
add_pool(struct settings *s, const char *name)
{
	struct pool *p = setting_add_item(setting_find(&setting_table, "pools"), s);
	char *domain = g_strconcat(name, ".example", NULL), *spf = g_strconcat("b.", domain, NULL);

	p->index = s->pools->len - 1;
	p->origin = (struct origin){"test.conf", 10 * s->pools->len};
	set(&setting_table_pool, p, "name", name);
	set(&setting_table_pool, p, "sender_domain", domain);
	set(&setting_table_pool, p, "spf_domain", spf);
	set(&setting_table_pool, p, "dkim_selector", "s1");
	set(&setting_table_pool, p, "dkim_key", "/keys/s1.pem");
	g_free(domain);
	g_free(spf);
	return p;
}

static struct signature *
add_signature(struct pool *p, const char *selector)
{
	struct signature *sig =
		setting_add_item(setting_find(&setting_table_pool, "signatures"), p);

	sig->selector = g_strdup(selector);
	sig->key_file = g_strdup("/keys/other.pem");
	sig->origin = p->origin;
	return sig;
}

/* True if exactly one message was given and it holds the text. */
static bool
only(const GPtrArray *messages, const char *text)
{
	for (guint i = 0; i < messages->len; i++)
		if (messages->len > 1 || strstr(messages->pdata[i], text) == NULL)
			print_message("# %s\n", (char *)messages->pdata[i]);
	return messages->len == 1 && strstr(messages->pdata[0], text) != NULL;
}

static void
assert_texts(const GPtrArray *array, const char *const *expected)
{
	guint n = 0;

	for (; expected[n] != NULL; n++) {
		assert_true(n < array->len);
		assert_string_equal(array->pdata[n], expected[n]);
	}
	assert_int_equal(array->len, n);
}

static void
defaults_are_those_of_the_manual(void **state)
{
	static const char *const oversigned[] = {"Reply-To", "List-Unsubscribe",
						 "List-Unsubscribe-Post", NULL};
	struct settings *s = settings_new();
	struct address local;

	(void)state;
	assert_int_equal(s->listen->len, 0);
	assert_int_equal(s->socket_mode, 0660);
	assert_null(s->socket_group);
	assert_null(s->user);
	assert_string_equal(s->no_pool, "pass");
	assert_string_equal(s->control_header, "X-Pool");
	assert_int_equal(s->max_message_size, 104857600);
	assert_int_equal(s->signature_expire_days, 0);
	assert_int_equal(s->signed_headers->len, 0);
	assert_texts(s->oversigned_headers, oversigned);
	assert_int_equal(s->syslog.facility, LOG_MAIL);
	assert_string_equal(s->syslog.ident, "poolmilter");
	assert_int_equal(s->syslog.level, LOG_INFO);
	assert_int_equal(s->return_path.secret_files->len, 0);
	assert_string_equal(s->return_path.local_part, "b");
	assert_int_equal(s->return_path.expire_days, 14);
	assert_true(s->return_path.check_bounces);
	assert_int_equal(s->mixed_isps, MIXED_NEUTRAL);
	assert_null(s->reinject);
	assert_true(s->safe_encoding);
	assert_false(s->reencode_signed);
	assert_null(s->resolver);
	assert_int_equal(s->dns.timeout_ms, 2000);
	assert_int_equal(s->dns.cache_entries, 100000);
	assert_int_equal(s->isps->len + s->shipped_isps->len, 0);
	assert_false(s->events.used);
	assert_string_equal(s->events.log, "/var/log/mail.log");
	assert_int_equal(s->events.history, 7 * 86400);
	assert_int_equal(s->events.max_age, 3 * 86400);
	assert_int_equal(s->events.keep, 86400);
	assert_null(s->events.file);
	assert_null(s->events.stream);
	assert_int_equal(s->events.stream_max, 1000000);
	assert_false(s->events.unverified);
	assert_int_equal(s->event_headers->len + s->webhooks->len, 0);
	assert_int_equal(s->bounces->len + s->shipped_bounces->len, 0);
	assert_int_equal(s->trusted_networks->len, 2);
	assert_true(address_parse(&local, "127.1.2.3"));
	assert_true(network_match((struct network *)(void *)s->trusted_networks->data, 2, &local));
	assert_true(address_parse(&local, "::1"));
	assert_true(network_match((struct network *)(void *)s->trusted_networks->data, 2, &local));
	settings_unref(s);
}

static void
no_array_is_null(void **state)
{
	struct settings *s = settings_new();
	struct pool *p = add_pool(s, "a");

	(void)state;
	assert_int_equal(p->signatures->len + p->users->len + p->networks->len, 0);
	assert_int_equal(p->headers.delete_headers->len + p->headers.set_headers->len, 0);
	assert_int_equal(p->headers.add_headers->len + p->signed_headers->len, 0);
	assert_int_equal(p->webhooks->len, 0);
	assert_int_equal(p->return_path, RETURN_PATH_SIGNED);
	assert_false(p->match_subdomains);
	settings_unref(s);
}

static void
shared_empty_arrays_stay_empty(void **state)
{
	struct settings *s = settings_new();
	struct pool *p = add_pool(s, "a"), *q = add_pool(s, "b");

	(void)state;
	assert_ptr_equal(p->users, q->users);
	set(&setting_table_pool, p, "users", "login");
	set(&setting_table_pool, p, "networks", "192.0.2.0/24");
	assert_int_equal(p->users->len, 1);
	assert_int_equal(p->networks->len, 1);
	assert_int_equal(q->users->len, 0);
	assert_int_equal(q->networks->len, 0);
	assert_int_equal(s->signed_headers->len, 0);
	settings_unref(s);
}

static void
references_are_counted(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	assert_ptr_equal(settings_ref(s), s);
	settings_unref(s);
	assert_string_equal(s->no_pool, "pass"); /* the sanitizers would tell */
	settings_unref(s);
	settings_unref(NULL);
}

static unsigned keys_freed;

static void
free_keys(void *keys)
{
	assert_string_equal(keys, "keys");
	keys_freed++;
}

static void
last_reference_frees_the_keys_once(void **state)
{
	static char keys[] = "keys";
	struct settings *s = settings_new();

	(void)state;
	keys_freed = 0;
	s->keys = keys;
	s->keys_free = free_keys;
	settings_ref(s);
	settings_unref(s);
	assert_int_equal(keys_freed, 0);
	settings_unref(s);
	assert_int_equal(keys_freed, 1);
}

static void
finish_builds_the_look_ups(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *a = add_pool(s, "a"), *b = add_pool(s, "b");

	(void)state;
	set(&setting_table_pool, b, "spf_domain", "B.a.example");
	set(&setting_table_pool, b, "return_path", "plain");
	set(&setting_table, s, "no_pool", "b");
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_true(only(e->warnings, "pools[1].spf_domain: \"b.a.example\" is not below"));
	assert_ptr_equal(g_hash_table_lookup(s->pool_by_name, "a"), a);
	assert_ptr_equal(g_hash_table_lookup(s->pool_by_domain, "b.example"), b);
	assert_int_equal(GPOINTER_TO_UINT(g_hash_table_lookup(s->spf_domains, "b.a.example")),
			 1u << RETURN_PATH_SIGNED | 1u << RETURN_PATH_PLAIN);
	assert_ptr_equal(s->no_pool_pool, b);
	settings_unref(s);
	errors_free(e);
}

static void
own_signature_is_the_first(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *p = add_pool(s, "a");
	struct signature *own, *more = add_signature(p, "s2"), *last = add_signature(p, "s3");

	(void)state;
	last->domain = g_strdup("esp.example");
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_int_equal(p->signatures->len, 3);
	own = p->signatures->pdata[0];
	assert_string_equal(own->domain, "a.example");
	assert_string_equal(own->selector, "s1");
	assert_string_equal(own->key_file, "/keys/s1.pem");
	assert_ptr_equal(p->signatures->pdata[1], more);
	assert_string_equal(more->domain, "a.example");
	assert_ptr_equal(p->signatures->pdata[2], last);
	assert_string_equal(last->domain, "esp.example");
	settings_unref(s);
	errors_free(e);
}

static void
tag_is_the_begin_of_sha_256(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *p = add_pool(s, "abc");

	(void)state;
	settings_finish(s, e);
	assert_int_equal(p->tag, 0xba7816bfu); /* FIPS 180, SHA-256 of "abc" */
	settings_unref(s);
	errors_free(e);
}

/* Two names whose SHA-256 begin with the same four octets; found by a search through n0, n1, ... */
#define TWIN_A "n18622"
#define TWIN_B "n41826"

static void
same_tag_at_one_spf_domain_is_refused(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *a = add_pool(s, TWIN_A), *b = add_pool(s, TWIN_B);

	(void)state;
	set(&setting_table_pool, b, "spf_domain", a->spf_domain);
	settings_finish(s, e);
	assert_int_equal(a->tag, b->tag);
	assert_true(only(e->errors,
			 "pools[1].name: \"" TWIN_B "\" gives the same Return-Path tag as \"" TWIN_A
			 "\" (test.conf:10)"));
	settings_unref(s);
	errors_free(e);
}

static void
same_tag_at_two_spf_domains_is_allowed(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	const struct pool *a = add_pool(s, TWIN_A), *b = add_pool(s, TWIN_B);

	(void)state;
	settings_finish(s, e);
	assert_int_equal(a->tag, b->tag);
	assert_false(errors_any(e));
	settings_unref(s);
	errors_free(e);
}

static void
errors_stand_at_the_key(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *p;

	(void)state;
	add_pool(s, "a");
	p = add_pool(s, "b");
	set(&setting_table_pool, p, "sender_domain", "A.example");
	set(&setting_table_pool, p, "spf_domain", "b.a.example");
	p->lines[setting_find(&setting_table_pool, "sender_domain") - setting_table_pool.settings] =
		3;
	settings_finish(s, e);
	assert_true(only(e->errors,
			 "test.conf:23: pools[1].sender_domain: \"a.example\": pool \"a\" "
			 "(test.conf:10) has it already"));
	settings_unref(s);
	errors_free(e);
}

static void
incomplete_pool_is_refused(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *p = add_pool(s, "a");

	(void)state;
	g_clear_pointer(&p->spf_domain, g_free);
	settings_finish(s, e);
	assert_true(only(e->errors, "spf_domain: missing"));
	settings_unref(s);
	errors_free(e);
}

static void
empty_settings_are_refused(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();

	(void)state;
	settings_finish(s, e);
	assert_true(only(e->errors, "at least one pool"));
	settings_unref(s);
	errors_free(e);
}

static void
risky_settings_are_warned_of(void **state)
{
	static const struct {
		const char *table, *key, *text, *warning;
	} cases[] = {
		{"pool", "delete_headers", "Content-Ty*", "changing Content-Type"},
		{"pool", "delete_headers", "Message-ID", "changing Message-ID"},
		{"pool", "spf_domain", "notb.example.com", "is not below sender_domain"},
		{"top", "socket_mode", "0666", "anyone on this host"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct settings *s = settings_new();
		struct errors *e = errors_new();
		struct pool *p = add_pool(s, "b");
		bool top = strcmp(cases[i].table, "top") == 0;

		set(top ? &setting_table : &setting_table_pool, top ? (void *)s : p, cases[i].key,
		    cases[i].text);
		settings_finish(s, e);
		assert_false(errors_any(e));
		assert_true(only(e->warnings, cases[i].warning));
		settings_unref(s);
		errors_free(e);
	}
}

static void
secret_is_needed_by_signed_and_verp(void **state)
{
	static const struct {
		const char *mode;
		bool needed;
	} cases[] = {{"signed", true}, {"verp", true}, {"plain", false}, {"keep", false}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct settings *s = settings_new();

		set(&setting_table_pool, add_pool(s, "a"), "return_path", cases[i].mode);
		assert_int_equal(settings_need_secret(s), cases[i].needed);
		settings_unref(s);
	}
}

static void
secret_is_needed_by_split(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	set(&setting_table_pool, add_pool(s, "a"), "return_path", "keep");
	set(&setting_table, s, "mixed_isps", "defer");
	assert_false(settings_need_secret(s));
	set(&setting_table, s, "mixed_isps", "split");
	assert_true(settings_need_secret(s));
	settings_unref(s);
}

/* Adds a record with one domain. */
static struct isp *
add_isp(struct settings *s, const char *list, const char *name, const char *domain)
{
	struct isp *isp = setting_add_item(setting_find(&setting_table, list), s);

	isp->origin = (struct origin){"test.conf", 100 + s->isps->len + s->shipped_isps->len};
	set(&setting_table_isp, isp, "name", name);
	set(&setting_table_isp, isp, "domains", domain);
	return isp;
}

static void
records_are_settled(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct isp *mine, *theirs, *gone;

	(void)state;
	add_pool(s, "a");
	mine = add_isp(s, "isps", "mine", "B\xc3\xbc"
					  "cher.example.");
	theirs = add_isp(s, "shipped_isps", "theirs", "xn--bcher-kva.example");
	gone = add_isp(s, "shipped_isps", "MINE", "gone.example");
	mine->encoding.global = ENCODING_BASE64;
	mine->encoding.html = ENCODING_8BIT;
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_int_equal(mine->encoding.html, ENCODING_8BIT);
	assert_int_equal(mine->encoding.text, ENCODING_BASE64);
	assert_int_equal(theirs->encoding.html, ENCODING_KEEP);
	assert_false(mine->shipped);
	assert_true(theirs->shipped);
	assert_int_equal(theirs->domains_taken, 1);
	assert_true(gone->replaced);
	assert_ptr_equal(g_hash_table_lookup(s->isp_index[0].domains, "xn--bcher-kva.example"), mine);
	assert_ptr_equal(g_hash_table_lookup(s->isp_index[1].domains, "xn--bcher-kva.example"), theirs);
	assert_null(g_hash_table_lookup(s->isp_index[1].domains, "gone.example"));
	assert_false(s->isp_mx);
	assert_string_equal(s->default_isp->name, "default");
	assert_true(s->default_isp->treatment == theirs->treatment);
	assert_true(s->default_isp->treatment != mine->treatment);
	settings_unref(s);
	errors_free(e);
}

/* The rules of pools and records, those of a pool for a record in any case, and none for the rest. */
static void
limits_become_rules(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *a = add_pool(s, "a"), *b = add_pool(s, "b");
	struct isp *isp = add_isp(s, "isps", "Big", "big.example");
	struct isp_limits *own = setting_add_item(setting_find(&setting_table_pool, "isp_limits"), a);
	const struct limit *rule;

	(void)state;
	set(&setting_table_pool, a, "limits", "90/90s");
	set(&setting_table_pool, a, "limits", "60/60m");
	set(&setting_table_isp, isp, "total_limits", "7/day");
	own->name = g_strdup("bIG");
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_int_equal(a->limits.rules->len, 2);
	rule = &g_array_index(a->limits.rules, struct limit, 0);
	assert_int_equal(rule[0].most, 90);
	assert_int_equal(rule[0].seconds, 90);
	assert_int_equal(rule[1].most, 60);
	assert_int_equal(rule[1].seconds, 3600);
	assert_string_equal(a->limits.texts->pdata[1], "60/hour");
	assert_int_equal(isp->total_limits.rules->len, 1);
	assert_int_equal(isp->limits.rules->len, 0);
	assert_int_equal(b->limits.rules->len, 0);
	assert_int_equal(b->on_limit, ON_LIMIT_DEFER);
	assert_int_equal(b->count, COUNT_RECIPIENTS);
	assert_ptr_equal(own->isp, isp);
	assert_int_equal(own->limits.rules->len, 0);
	assert_int_equal(isp->treatment, s->default_isp->treatment); /* limits are no treatment */
	settings_unref(s);
	errors_free(e);
}

static void
texts_take_their_normal_form(void **state)
{
	static const struct {
		const struct setting_kind *kind;
		const char *text, *normal;
	} cases[] = {
		{&setting_kind_domain,
		 "B\xc3\xbc"
		 "cher.Example.",
		 "xn--bcher-kva.example"},
		{&setting_kind_domain, "a.1b", "a.1b"},
		{&setting_kind_domain, "a.11", NULL},
		{&setting_kind_domain, "a", NULL},
		{&setting_kind_domain_pattern, "*.Example.com.", "*.example.com"},
		{&setting_kind_domain_pattern, "Example.com", "example.com"},
		{&setting_kind_domain_pattern, "*.com", NULL},
		{&setting_kind_domain_pattern, "*example.com", NULL},
		{&setting_kind_domain_pattern, "*.*.example.com", NULL},
		{&setting_kind_domain_pattern, "mx.*.example.com", NULL},
		{&setting_kind_domain_pattern, ".example.com", NULL},
		{&setting_kind_domain_pattern, "*", NULL},
		{&setting_kind_domain_pattern, "*.", NULL},
		{&setting_kind_domain_pattern, "a@example.com", NULL},
		{&setting_kind_isp_name, "T-Online.de_1", "T-Online.de_1"},
		{&setting_kind_isp_name, "-", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1:10026", "smtp://127.0.0.1:10026"},
		{&setting_kind_smtp_url, "smtp://[::1]:25", "smtp://[::1]:25"},
		{&setting_kind_smtp_url, "smtp://mail.example.com:587", "smtp://mail.example.com:587"},
		{&setting_kind_smtp_url, "smtp://localhost:25", "smtp://localhost:25"},
		{&setting_kind_smtp_url, "smtp://::1:25", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1:", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1:0", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1:65536", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1:+25", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0.1:25/", NULL},
		{&setting_kind_smtp_url, "smtp://u:p@127.0.0.1:25", NULL},
		{&setting_kind_smtp_url, "smtp://127.0.0:25", NULL},
		{&setting_kind_smtp_url, "smtps://127.0.0.1:25", NULL},
		{&setting_kind_smtp_url, "127.0.0.1:25", NULL},
		{&setting_kind_smtp_url, "smtp://:25", NULL},
		{&setting_kind_smtp_url, "smtp://a b:25", NULL},
		{&setting_kind_dns_server, "127.0.0.1", "127.0.0.1"},
		{&setting_kind_dns_server, "127.0.0.1@5353", "127.0.0.1@5353"},
		{&setting_kind_dns_server, "2001:db8::1@53", "2001:db8::1@53"},
		{&setting_kind_dns_server, "::1", "::1"},
		{&setting_kind_dns_server, "[::1]@53", NULL},
		{&setting_kind_dns_server, "127.0.0.1:53", NULL},
		{&setting_kind_dns_server, "127.0.0.1@", NULL},
		{&setting_kind_dns_server, "127.0.0.1@0", NULL},
		{&setting_kind_dns_server, "127.0.0.1@dns", NULL},
		{&setting_kind_dns_server, "@53", NULL},
		{&setting_kind_dns_server, "localhost", NULL},
		{&setting_kind_dns_server, "", NULL},
		{&setting_kind_labels, "Mail", "mail"},
		{&setting_kind_selector, "Key.2024-1", "Key.2024-1"},
		{&setting_kind_selector, "key.", NULL},
		{&setting_kind_selector, "-key", NULL},
		{&setting_kind_header_name, "X-A", "X-A"},
		{&setting_kind_header_name, "X A", NULL},
		{&setting_kind_header_name, "X-\xc3\xbc", NULL},
		{&setting_kind_header_name, "X-*", NULL},
		{&setting_kind_header_pattern, "X-*", "X-*"},
		{&setting_kind_header_pattern, "**", NULL},
		{&setting_kind_path, "/", NULL},
		{&setting_kind_path, "/a\tb", NULL},
		{&setting_kind_local_part, "b.x=1", "b.x=1"},
		{&setting_kind_local_part, ".b", NULL},
		{&setting_kind_login, "a*@example.com", "a*@example.com"},
		{&setting_kind_login, "a\xff", NULL},
		{&setting_kind_listen, "local:/s", "unix:/s"},
		{&setting_kind_listen, "inet6:1@[2001:db8::1]", "inet6:1@2001:db8::1"},
		{&setting_kind_listen, "inet:1@[192.0.2.1]", NULL},
		{&setting_kind_listen, "inet:01x@localhost", NULL},
		{&setting_kind_listen, "tcp:1@localhost", NULL},
		{&setting_kind_pool_name, "A.b_c-1", "A.b_c-1"},
		{&setting_kind_pool_name, "", NULL},
		{&setting_kind_log_source, "journal", "journal"},
		{&setting_kind_log_source, "/var/log/maillog", "/var/log/maillog"},
		{&setting_kind_log_source, "syslog", NULL},
		{&setting_kind_http_url, "http://[::1]:8080/a?b=c;d", "http://[::1]:8080/a?b=c;d"},
		{&setting_kind_http_url, "HTTPS://Example.com", "HTTPS://Example.com"},
		{&setting_kind_http_url, "https://u@example.com/", NULL},
		{&setting_kind_http_url, "https://@example.com/", NULL},
		{&setting_kind_http_url, "https://example.com/#", NULL},
		{&setting_kind_http_url, "https://example.com/\xc3\xa4", NULL},
		{&setting_kind_http_url, "https://example.com/{a}", NULL},
		{&setting_kind_http_url, "https://example.com:65536/", NULL},
		{&setting_kind_http_url, "https:example.com", NULL},
		{&setting_kind_http_url, "file:///etc/passwd", NULL},
		{&setting_kind_http_name, "X-A", "X-A"},
		{&setting_kind_http_name, "X(A)", NULL},
		{&setting_kind_http_value, "Bearer a=", "Bearer a="},
		{&setting_kind_http_value, "a\tb", NULL},
		{&setting_kind_http_value, "a\x7f", NULL},
		{&setting_kind_reply_code, "4", "4"},
		{&setting_kind_reply_code, "5.7.", "5.7."},
		{&setting_kind_reply_code, "5.107.126", "5.107.126"},
		{&setting_kind_reply_code, "5.7.x", NULL},
		{&setting_kind_reply_code, "7", NULL},
		{&setting_kind_pattern, "\\d+ (?:a|b)\xc3\xa4", "\\d+ (?:a|b)\xc3\xa4"},
		{&setting_kind_pattern, "a\nb", NULL},
		{&setting_kind_account, "-x", NULL},
		{&setting_kind_ident, "a[b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *normal = cases[i].kind->parse(cases[i].text);

		if (g_strcmp0(normal, cases[i].normal) != 0)
			fail_msg("\"%s\" became \"%s\"", cases[i].text,
				 normal != NULL ? normal : "refused");
		g_free(normal);
	}
}

static void
durations_are_seconds(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* 0: refused */
	} cases[] = {
		{"1s", 1},	     {"90s", 90},     {"15m", 900}, {"2h", 7200}, {"3d", 259200}, {"31d", 2678400},
		{"2678400s", 2678400}, {"2678401s", 0}, {"32d", 0},   {"0s", 0},    {"", 0},	  {"s", 0},
		{"7", 0},	     {"07d", 0},      {"+1d", 0},   {" 1d", 0},   {"1d ", 0},	  {"1D", 0},
		{"1dd", 0},	     {"1h30m", 0},    {"day", 0},   {"1/1d", 0},  {"18446744073709551617s", 0},
	};
	const struct setting_table *events = setting_find(&setting_table, "events")->members;
	struct settings *s = settings_new();

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *why = NULL;

		s->events.keep = -1;
		if (setting_set_text(setting_find(events, "keep"), s, cases[i].text, &why) !=
		    (cases[i].seconds > 0))
			fail_msg("\"%s\": %s", cases[i].text, why != NULL ? why : "taken");
		assert_int_equal(s->events.keep, why != NULL ? -1 : cases[i].seconds);
		if (why != NULL)
			assert_non_null(strstr(why, ": expected a time from 1s to 31d such as"));
		g_free(why);
	}
	settings_unref(s);
}

/* The table has the words of categories and events once more, to show them. */
static void
words_are_those_of_events(void **state)
{
	const struct setting_table *bounce = setting_find(&setting_table, "bounces")->members;
	const struct setting_choice *c = setting_find(bounce, "category")->choices;

	(void)state;
	for (int category = CATEGORY_NONE + 1; category < CATEGORIES; category++, c++) {
		assert_string_equal(c->name, category_name((enum category)category));
		assert_int_equal(c->value, category);
	}
	assert_null(c->name);
	for (int type = 0; type < EVENT_TYPES; type++) {
		const char *name = event_type_name((enum event_type)type);
		char *quoted = g_strdup_printf("\"%s\"", name), *normal = setting_kind_event.parse(name);

		assert_string_equal(normal, name);
		assert_non_null(strstr(setting_kind_event.expected, quoted));
		g_free(normal);
		g_free(quoted);
	}
}

/* Adds a rule that pauses, or slows if there is a rate. */
static struct lock_rule *
add_lock(struct isp *isp, const char *name, const char *rate)
{
	const struct setting *m = setting_find(&setting_table_isp, "locks");
	struct lock_rule *rule = setting_add_item(m, isp);

	set(m->members, rule, "name", name);
	set(m->members, rule, "category", "rate");
	set(m->members, rule, "threshold", "10/300s");
	set(m->members, rule, rate != NULL ? "rate" : "pause", rate != NULL ? rate : "15m");
	return rule;
}

static void
lock_rules_are_read(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct isp *mine, *gone;
	struct lock_rule *pause, *slow;

	(void)state;
	add_pool(s, "a");
	mine = add_isp(s, "isps", "mine", "mine.example");
	gone = add_isp(s, "shipped_isps", "Mine", "gone.example");
	pause = add_lock(mine, "p", NULL);
	slow = add_lock(mine, "s", "120/60s");
	add_lock(gone, "p", NULL);
	g_hash_table_insert(s->origins, g_strdup("events"), g_new0(struct origin, 1));
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_int_equal(e->warnings->len, 0);
	assert_true(s->events.used);
	assert_string_equal(pause->threshold, "10/5m");
	assert_int_equal(pause->threshold_rule.most, 10);
	assert_int_equal(pause->threshold_rule.seconds, 300);
	assert_int_equal(pause->category, CATEGORY_RATE);
	assert_int_equal(pause->pause, 900);
	assert_null(pause->rate);
	assert_int_equal(pause->rate_rule.most, 0);
	assert_string_equal(slow->rate, "120/minute");
	assert_int_equal(slow->rate_rule.most, 120);
	assert_int_equal(slow->rate_rule.seconds, 60);
	assert_int_equal(slow->pause, 0);
	assert_int_equal(slow->step, 600);
	assert_int_equal(slow->steps, 5);
	assert_true(gone->replaced); /* whole: its rules are not in force */
	assert_int_equal(s->default_isp->locks->len, 0);
	assert_int_equal(mine->treatment, s->default_isp->treatment); /* locks are no treatment */
	settings_unref(s);
	errors_free(e);
}

static void
webhooks_know_their_pool(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	struct pool *p = add_pool(s, "a");
	const struct setting *m = setting_find(&setting_table, "webhooks");
	struct webhook *all = setting_add_item(m, s);
	struct webhook *own = setting_add_item(setting_find(&setting_table_pool, "webhooks"), p);

	(void)state;
	set(m->members, all, "name", "all");
	set(m->members, all, "url", "https://example.com/");
	set(m->members, own, "name", "own");
	set(m->members, own, "url", "https://example.com/");
	own->secret = g_strdup("sixteen octets or more");
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_int_equal(e->warnings->len, 2); /* there is no group events */
	assert_false(s->events.used);
	assert_null(all->pool);
	assert_ptr_equal(own->pool, p);
	assert_int_equal(own->batch, 500);
	assert_int_equal(own->batch_ms, 1000);
	assert_int_equal(own->timeout_ms, 10000);
	assert_true(own->gzip);
	assert_int_equal(own->events->len + own->headers->len, 0);
	settings_unref(s);
	errors_free(e);
}

static void
bounce_patterns_find_their_record(void **state)
{
	struct settings *s = settings_new();
	struct errors *e = errors_new();
	const struct setting *m = setting_find(&setting_table, "bounces");
	struct bounce_pattern *own = setting_add_item(m, s);
	struct bounce_pattern *shipped = setting_add_item(setting_find(&setting_table, "shipped_bounces"), s);

	(void)state;
	add_pool(s, "a");
	add_isp(s, "isps", "Mine", "mine.example");
	set(m->members, own, "isp", "mINE");
	set(m->members, own, "code", "5.7.");
	set(m->members, own, "category", "policy");
	set(m->members, shipped, "isp", "gone");
	set(m->members, shipped, "pattern", "spam");
	set(m->members, shipped, "category", "reputation");
	settings_finish(s, e);
	assert_false(errors_any(e));
	assert_string_equal(own->isp, "Mine");
	assert_int_equal(own->category, CATEGORY_POLICY);
	assert_string_equal(shipped->isp, "gone");
	settings_unref(s);
	errors_free(e);
}

static void
near_names_are_suggested(void **state)
{
	static const struct {
		const char *name, *suggestion;
	} cases[] = {
		{"no_pol", "no_pool"},
		{"No_Pool", "no_pool"},
		{"max_mesage_size", "max_message_size"},
		{"webhoks", "webhooks"},
		{"nothing_like_it", NULL},
		{"x", NULL},
		{"", NULL},
		{"return_paths", "return_path"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const char *found = setting_suggest(&setting_table, cases[i].name);

		if (g_strcmp0(found, cases[i].suggestion) != 0)
			fail_msg("\"%s\": \"%s\"", cases[i].name,
				 found != NULL ? found : "nothing");
	}
}

static void
wrong_values_are_shown_printable_and_cut(void **state)
{
	char *quoted = setting_quote("a\r\n\x1b\xff\"");
	GString *longer = g_string_new(NULL);

	(void)state;
	assert_string_equal(quoted, "\"a\\x0d\\x0a\\x1b\\xff\"\"");
	g_free(quoted);
	for (int i = 0; i < 1000; i++)
		g_string_append_c(longer, 'x');
	quoted = setting_quote(longer->str);
	assert_int_equal(strlen(quoted), 60 + strlen("\"...\""));
	g_free(quoted);
	g_string_free(longer, TRUE);
}

static void
refused_value_leaves_the_member(void **state)
{
	struct settings *s = settings_new();
	char *why = NULL;

	(void)state;
	assert_false(setting_set_text(setting_find(&setting_table, "no_pool"), s, "a b", &why));
	assert_non_null(strstr(why, "\"a b\": expected a name of 1 to 64"));
	g_free(why);
	assert_string_equal(s->no_pool, "pass");
	assert_false(setting_set_int(setting_find(&setting_table, "max_message_size"), s,
				     INT64_C(1) << 40, &why));
	assert_non_null(strstr(why, "1099511627776: expected a number from 1024"));
	g_free(why);
	assert_int_equal(s->max_message_size, 104857600);
	settings_unref(s);
}

/* Every row has what the man page and messages need. */
static void
check_rows(const struct setting_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct setting *m = &t->settings[i];
		char *expected = setting_expected(m);

		assert_non_null(m->help);
		assert_int_equal(m->help[strlen(m->help) - 1], '.');
		assert_non_null(m->since);
		assert_true(strlen(expected) > 0);
		assert_ptr_equal(setting_find(t, m->name), m);
		assert_int_equal((m->type == SETTING_GROUP || m->type == SETTING_LIST),
				 m->members != NULL);
		assert_int_equal(m->type == SETTING_TEXT || m->type == SETTING_TEXTS,
				 m->kind != NULL);
		assert_int_equal(m->type == SETTING_CHOICE, m->choices != NULL);
		if (m->type == SETTING_BOOL || m->type == SETTING_INT)
			assert_non_null(m->preset);
		/* A choice without a default is 0 when left out: no word may mean that. */
		for (const struct setting_choice *c = m->choices; m->preset == NULL && c != NULL && c->name != NULL; c++)
			assert_int_not_equal(c->value, 0);
		g_free(expected);
		if (m->members != NULL)
			check_rows(m->members);
	}
}

static void
rows_are_complete(void **state)
{
	(void)state;
	check_rows(&setting_table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_manual),
		cmocka_unit_test(no_array_is_null),
		cmocka_unit_test(shared_empty_arrays_stay_empty),
		cmocka_unit_test(references_are_counted),
		cmocka_unit_test(last_reference_frees_the_keys_once),
		cmocka_unit_test(finish_builds_the_look_ups),
		cmocka_unit_test(own_signature_is_the_first),
		cmocka_unit_test(tag_is_the_begin_of_sha_256),
		cmocka_unit_test(same_tag_at_one_spf_domain_is_refused),
		cmocka_unit_test(same_tag_at_two_spf_domains_is_allowed),
		cmocka_unit_test(errors_stand_at_the_key),
		cmocka_unit_test(incomplete_pool_is_refused),
		cmocka_unit_test(empty_settings_are_refused),
		cmocka_unit_test(risky_settings_are_warned_of),
		cmocka_unit_test(secret_is_needed_by_signed_and_verp),
		cmocka_unit_test(secret_is_needed_by_split),
		cmocka_unit_test(records_are_settled),
		cmocka_unit_test(limits_become_rules),
		cmocka_unit_test(texts_take_their_normal_form),
		cmocka_unit_test(durations_are_seconds),
		cmocka_unit_test(words_are_those_of_events),
		cmocka_unit_test(lock_rules_are_read),
		cmocka_unit_test(webhooks_know_their_pool),
		cmocka_unit_test(bounce_patterns_find_their_record),
		cmocka_unit_test(near_names_are_suggested),
		cmocka_unit_test(wrong_values_are_shown_printable_and_cut),
		cmocka_unit_test(refused_value_leaves_the_member),
		cmocka_unit_test(rows_are_complete),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
