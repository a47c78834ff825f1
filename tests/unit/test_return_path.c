/*
 * test_return_path - the new sender, its readable form, and bounces that come back (FAULTS E1-E4).
 */
#include "fixture.h"

#include "core/pipeline.h"
#include "core/return_path.h"

#include <string.h>

#define NOW 1700000000
#define DAY 86400

#define POOLS                                                                                     \
	"pools = (" POOL("signed", "signed.example", "") ","                                      \
	POOL("verp", "verp.example", "return_path = \"verp\";") ","                               \
	POOL("plain", "plain.example", "return_path = \"plain\";") ","                            \
	POOL("keep", "keep.example", "return_path = \"keep\";") ","                               \
	"{ name = \"bare\"; sender_domain = \"bare.example\"; return_path = \"keep\";"            \
	" dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; }" ");"

static struct settings *settings;

static int
setup(void **state)
{
	(void)state;
	settings = fixture_settings(POOLS);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	settings_unref(settings);
	return 0;
}

static const struct pool *
pool(const char *name)
{
	return g_hash_table_lookup(settings->pool_by_name, name);
}

/* RFC 5322 3.2.3 dot-atom-text, and nothing that MTAs take for a route. */
static bool
is_dot_atom(const char *s)
{
	size_t len = strlen(s);

	for (const char *p = s; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("#$&'*+-/=?^_`{|}~.", *p) == NULL)
			return false;
	return len > 0 && s[0] != '.' && s[len - 1] != '.' && strstr(s, "..") == NULL;
}

static void
check_verp(const char *name, const char *rcpt)
{
	char out[LOCAL_PART_MAX + 1], *back;

	memset(out, 'x', sizeof out);
	if (!verp_encode("b", rcpt, out))
		return;
	check_true(name, strlen(out) <= LOCAL_PART_MAX);
	if (!is_dot_atom(out))
		fail_msg("case \"%s\": \"%s\" is no dot-atom", name, out);
	back = verp_decode("b", out);
	check_string(name, back, rcpt);
	g_free(back);
}

static void
test_verp_forms(void **state)
{
	static const struct {
		const char *name, *rcpt, *want; /* want NULL: does not fit, or no address */
	} cases[] = {
		{"plain", "user@example.org", "b+user=example.org"},
		{"dots", "a.b@example.org", "b+a.b=example.org"},
		{"plus", "a+tag@example.org", "b+a+tag=example.org"},
		{"equals", "a=b@example.org", "b+a=b=example.org"},
		{"case stays", "User@Example.ORG", "b+User=Example.ORG"},
		{"the escape itself", "a#b@example.org", "b+a#23b=example.org"},
		{"percent and bang", "a%b!c@example.org", "b+a#25b#21c=example.org"},
		{"blank and quotes", "\"a b\"@example.org", "b+#22a#20b#22=example.org"},
		{"at inside", "\"a@b\"@example.org", "b+#22a#40b#22=example.org"},
		{"UTF-8", "j\xc3\xb6rg@example.org", "b+j#C3#B6rg=example.org"},
		{"dots at odd places", ".a..b.@x.org", "b+#2Ea.#2Eb.=x.org"},
		{"equals in the domain", "a@b=c.org", "b+a=b#3Dc.org"},
		{"domain literal", "a@[192.0.2.1]", "b+a=#5B192.0.2.1#5D"},
		{"just fits", "0123456789012345678901234567890123456789012345678901@x.example", "b+0123456789012345678901234567890123456789012345678901=x.example"},
		{"one octet over", "01234567890123456789012345678901234567890123456789012@x.example", NULL},
		{"local part of 64", "0123456789012345678901234567890123456789012345678901234567890123@x.example", NULL},
		{"no domain", "postmaster", NULL},
		{"empty", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char out[LOCAL_PART_MAX + 1] = "";
		bool ok = verp_encode("b", cases[i].rcpt, out);

		check_int(cases[i].name, ok, cases[i].want != NULL);
		check_string(cases[i].name, out, cases[i].want != NULL ? cases[i].want : "");
		check_verp(cases[i].name, cases[i].rcpt);
	}
}

/* E3: what comes back is exactly the recipient, whatever it is. */
static void
test_verp_random(void **state)
{
	static const char alphabet[] = "aZ09.=+#%!@\" <>\\,;:()[]\x01\x7f\xc3\xb6-_~'*/?^`{|}$&";
	GRand *random = g_rand_new_with_seed(5321);
	unsigned fitted = 0;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		int len = g_rand_int_range(random, 1, round % 3 ? 20 : 70);
		char rcpt[80], name[128], out[LOCAL_PART_MAX + 1];

		for (int i = 0; i < len; i++)
			rcpt[i] = round % 5 ? alphabet[g_rand_int_range(random, 0, sizeof alphabet - 1)]
					    : (char)g_rand_int_range(random, 1, 256);
		rcpt[len] = '\0';
		rcpt[g_rand_int_range(random, 0, len)] = '@';
		g_snprintf(name, sizeof name, "round %d: %s", round, rcpt);
		check_verp(name, rcpt);
		fitted += verp_encode("b", rcpt, out);
	}
	assert_true(fitted > 50000); /* else nothing was tested */
	g_rand_free(random);
}

static void
test_verp_decode_refuses(void **state)
{
	static const struct {
		const char *name, *local, *want;
	} cases[] = {
		{"good", "b+user=example.org", "user@example.org"},
		{"prefix in upper case", "B+user=example.org", "user@example.org"},
		{"escape in lower case", "b+a#c3#b6=example.org", "a\xc3\xb6@example.org"},
		{"other prefix", "c+user=example.org", NULL},
		{"prefix only", "b", NULL},
		{"no at", "b+user", NULL},
		{"escape without digits", "b+a#=example.org", NULL},
		{"escape with one digit", "b+a=example.org#2", NULL},
		{"escape that is no number", "b+a#zz=example.org", NULL},
		{"longer prefix", "bb+user=example.org", NULL},
		{"empty", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *got = verp_decode("b", cases[i].local);

		check_string(cases[i].name, got, cases[i].want);
		g_free(got);
	}
}

/* The stage, with one or more recipients ('|' between them). */
static void
test_stage(void **state)
{
	static const struct {
		const char *name, *pool, *sender, *rcpts;
		const char *want; /* NULL: stays; "@DOMAIN": a token there; else exactly */
		const char *token_rcpt;
	} cases[] = {
		{"signed", "signed", "a@signed.example", "u@example.org", "@b.signed.example", "u@example.org"},
		{"signed, several recipients", "signed", "a@signed.example", "u@example.org|v@example.org", "@b.signed.example", NULL},
		{"signed, sender of any domain", "signed", "a@elsewhere.example", "u@example.org", "@b.signed.example", "u@example.org"},
		{"null reverse-path", "signed", "", "u@example.org", NULL, NULL},
		{"ours already", "signed", "b+x@b.signed.example", "u@example.org", NULL, NULL},
		{"ours already in upper case", "signed", "b+x@B.SIGNED.Example", "u@example.org", NULL, NULL},
		{"another pool's is not ours", "signed", "b+x@b.verp.example", "u@example.org", "@b.signed.example", "u@example.org"},
		{"verp", "verp", "a@verp.example", "u@example.org", "b+u=example.org@b.verp.example", NULL},
		{"verp, several recipients: a token", "verp", "a@verp.example", "u@example.org|v@example.org", "@b.verp.example", NULL},
		{"verp, too long: a token", "verp", "a@verp.example", "0123456789012345678901234567890123456789012345678901234567890123@example.org", "@b.verp.example", "0123456789012345678901234567890123456789012345678901234567890123@example.org"},
		{"verp, null reverse-path", "verp", "", "u@example.org", NULL, NULL},
		{"plain", "plain", "a@plain.example", "u@example.org", "bounce@b.plain.example", NULL},
		{"plain, ours already", "plain", "bounce@b.plain.example", "u@example.org", NULL, NULL},
		{"plain, null reverse-path", "plain", "", "u@example.org", NULL, NULL},
		{"keep", "keep", "a@keep.example", "u@example.org", NULL, NULL},
		{"keep without spf_domain", "bare", "a@bare.example", "u@example.org", NULL, NULL},
		{"keep without spf_domain, null", "bare", "", "u@example.org", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = fixture_message("From: a@b\n", cases[i].sender, NULL);
		struct plan *plan = plan_new(m);
		const struct job job = {.settings = settings, .message = m, .now = NOW};
		char **rcpts = g_strsplit(cases[i].rcpts, "|", -1), *local;
		const char *domain;

		for (char **r = rcpts; *r != NULL; r++)
			message_add_rcpt(m, *r);
		m->queue_id = g_strdup("4F2A3B");
		plan->pool = pool(cases[i].pool);
		check_true(cases[i].name, stage_return_path(&job, plan));
		if (cases[i].want == NULL || cases[i].want[0] != '@') {
			check_string(cases[i].name, plan->new_sender, cases[i].want);
		} else {
			struct token t;

			check_true(cases[i].name, plan->new_sender != NULL);
			domain = strchr(plan->new_sender, '@');
			check_string(cases[i].name, domain, cases[i].want);
			local = g_strndup(plan->new_sender, (gsize)(domain - plan->new_sender));
			check_true(cases[i].name, strlen(local) <= LOCAL_PART_MAX && is_dot_atom(local));
			check_int(cases[i].name, token_decode(settings, local, domain + 1, cases[i].token_rcpt, NOW, &t), TOKEN_OK);
			check_int(cases[i].name, t.has_rcpt, cases[i].token_rcpt != NULL);
			check_string(cases[i].name, t.queue_id, "4F2A3B");
			g_free(local);
		}
		g_strfreev(rcpts);
		plan_free(plan);
		message_free(m);
	}
}

/* Nothing half done: without a secret the message waits. */
static void
test_no_secret(void **state)
{
	GArray *secrets = settings->return_path.secrets;
	const struct secret kept = g_array_index(secrets, struct secret, 0);
	struct message *m = fixture_message("From: a@b\n", "a@signed.example", "u@example.org");
	struct plan *plan = plan_new(m);
	const struct job job = {.settings = settings, .message = m, .now = NOW};

	(void)state;
	g_array_set_size(secrets, 0);
	plan->pool = pool("signed");
	assert_false(stage_return_path(&job, plan));
	assert_int_equal(plan->verdict, VERDICT_DEFERRED);
	assert_string_equal(plan->reason, "return-path");
	assert_string_equal(plan->reply_code, "451");
	assert_null(plan->new_sender);
	g_array_append_val(secrets, kept);
	plan_free(plan);
	message_free(m);
}

static char *
good_token(const char *pool_name)
{
	char out[LOCAL_PART_MAX + 1];

	assert_true(token_encode(settings, pool(pool_name), "u@example.org", "4F2A3B", NOW, out));
	return g_strdup(out);
}

static void
test_bounces(void **state)
{
	static const struct {
		const char *name, *rcpt; /* "%t" is a good token of pool signed, "%v" of verp */
		gint64 when;
		enum bounce_check want;
		const char *why;
	} cases[] = {
		{"good token", "%t@b.signed.example", NOW, BOUNCE_VALID, NULL},
		{"domain in upper case", "%t@B.Signed.EXAMPLE", NOW, BOUNCE_VALID, NULL},
		{"trailing dot", "%t@b.signed.example.", NOW, BOUNCE_VALID, NULL},
		{"expired", "%t@b.signed.example", NOW + 20 * DAY, BOUNCE_REFUSE, "expired"},
		{"from the future", "%t@b.signed.example", NOW - 20 * DAY, BOUNCE_REFUSE, "future"},
		{"token of another pool's domain", "%t@b.verp.example", NOW, BOUNCE_REFUSE, "forged"},
		{"no token", "b@b.signed.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"empty token", "b+@b.signed.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"empty local part", "@b.signed.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"anybody", "sales@b.signed.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"readable form where tokens are used", "b+u=example.org@b.signed.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"plain where tokens are used", "bounce@b.signed.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"postmaster", "Postmaster@b.signed.example", NOW, BOUNCE_VALID, NULL},
		{"abuse", "ABUSE@b.signed.example", NOW, BOUNCE_VALID, NULL},
		{"readable form", "b+u=example.org@b.verp.example", NOW, BOUNCE_VALID, NULL},
		{"token at a verp domain", "%v@b.verp.example", NOW, BOUNCE_VALID, NULL},
		{"junk at a verp domain", "b+x@b.verp.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"plain", "bounce@b.plain.example", NOW, BOUNCE_VALID, NULL},
		{"plain in upper case", "BOUNCE@b.plain.example", NOW, BOUNCE_VALID, NULL},
		{"anybody at a plain domain", "x@b.plain.example", NOW, BOUNCE_REFUSE, "malformed"},
		{"a domain of keep", "anybody@b.keep.example", NOW, BOUNCE_NOT_OURS, NULL},
		{"another domain", "b+x@example.net", NOW, BOUNCE_NOT_OURS, NULL},
		{"sender_domain itself", "b+x@signed.example", NOW, BOUNCE_NOT_OURS, NULL},
		{"below ours", "b+x@x.b.signed.example", NOW, BOUNCE_NOT_OURS, NULL},
		{"no domain", "postmaster", NOW, BOUNCE_NOT_OURS, NULL},
		{"empty", "", NOW, BOUNCE_NOT_OURS, NULL},
		{"no domain behind the at", "x@", NOW, BOUNCE_NOT_OURS, NULL},
	};
	char *t = good_token("signed"), *v = good_token("verp");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char **parts = g_strsplit(cases[i].rcpt, "%t", 2), *half = g_strjoinv(t, parts);
		char **more = g_strsplit(half, "%v", 2), *rcpt = g_strjoinv(v, more);
		const char *why = NULL;

		check_int(cases[i].name, return_path_check(settings, rcpt, cases[i].when, &why), cases[i].want);
		if (cases[i].want == BOUNCE_REFUSE)
			check_string(cases[i].name, why, cases[i].why);
		g_strfreev(more);
		g_strfreev(parts);
		g_free(half);
		g_free(rcpt);
	}
	g_free(v);
	g_free(t);
}

static void
test_bounces_off(void **state)
{
	struct settings *s = fixture_settings("return_path: { check_bounces = false; };" POOLS);
	const char *why = NULL;

	(void)state;
	assert_int_equal(return_path_check(s, "b+forged@b.signed.example", NOW, &why), BOUNCE_NOT_OURS);
	settings_unref(s);
}

/* Several pools at one bounce domain: what any of them sends with is valid there. */
static void
test_shared_domain(void **state)
{
	struct settings *s = fixture_settings(
		"pools = ({ name = \"a\"; sender_domain = \"a.example\"; spf_domain = \"b.shared.example\";"
		" dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; },"
		"{ name = \"p\"; sender_domain = \"p.example\"; spf_domain = \"b.shared.example\";"
		" return_path = \"plain\"; dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; });");
	char out[LOCAL_PART_MAX + 1], *rcpt;
	const char *why = NULL;

	(void)state;
	assert_true(token_encode(s, s->pools->pdata[0], NULL, "4F2A3B", NOW, out));
	rcpt = g_strconcat(out, "@b.shared.example", NULL);
	assert_int_equal(return_path_check(s, rcpt, NOW, &why), BOUNCE_VALID);
	assert_int_equal(return_path_check(s, "bounce@b.shared.example", NOW, &why), BOUNCE_VALID);
	assert_int_equal(return_path_check(s, "b+u=example.org@b.shared.example", NOW, &why), BOUNCE_REFUSE);
	g_free(rcpt);
	settings_unref(s);
}

static void
test_pool_of_a_tag(void **state)
{
	const struct pool *verp = pool("verp");

	(void)state;
	assert_ptr_equal(return_path_pool(settings, "b.verp.example", verp->tag), verp);
	assert_null(return_path_pool(settings, "b.verp.example", verp->tag + 1));
	assert_null(return_path_pool(settings, "b.plain.example", verp->tag));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verp_forms),
		cmocka_unit_test(test_verp_random),
		cmocka_unit_test(test_verp_decode_refuses),
		cmocka_unit_test(test_stage),
		cmocka_unit_test(test_no_secret),
		cmocka_unit_test(test_bounces),
		cmocka_unit_test(test_bounces_off),
		cmocka_unit_test(test_shared_domain),
		cmocka_unit_test(test_pool_of_a_tag),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
