/*
 * test_rotation - which key signs when, what is written down of it, and what becomes of that.
 */
#include "fixture.h"

#include "core/pipeline.h"
#include "core/rotation_entry.h"
#include "io/key_state.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define NOW INT64_C(1800000000) /* 2027-01-15T08:00:00Z */
#define BEFORE "2027-01-15T07:59:59Z"
#define JUST_NOW "2027-01-15T08:00:00Z"
#define AFTER "2027-01-15T08:00:01Z"

/*
 * Settings with a pool "acme" that has a dkim_next with this selector, key and time (NULL: none), and a
 * signature besides.
 */
static struct settings *
settings(bool required, const char *selector, const char *key, const char *use_after)
{
	char *when = use_after != NULL ? g_strdup_printf("use_after = \"%s\";", use_after) : g_strdup("");
	char *text = g_strdup_printf(
		"require_dns = %s; pools = (" POOL("acme", "example.com",
						   "signatures = ( { selector = \"x\"; key = \"@D/key.pem\"; } );"
						   " dkim_next: { selector = \"%s\"; key = \"@D/%s\"; %s };") ");",
		required ? "true" : "false", selector, key, when);
	struct settings *s = fixture_settings(text);

	g_free(text);
	g_free(when);
	return s;
}

static struct rotation *
rotation_of(const struct settings *s)
{
	return ((struct pool *)s->pools->pdata[0])->rotation;
}

/* ---- the choice */

static const struct choice {
	const char *name;
	const char *use_after; /* NULL: left out */
	bool required;
	enum rotation_mark mark;
	bool seen;
	bool signs; /* at NOW */
	enum rotation_state state;
} choices[] = {
	{"nothing", NULL, false, ROTATION_UNMARKED, false, false, ROTATION_WAITS_SWITCH},
	{"nothing, required", NULL, true, ROTATION_UNMARKED, false, false, ROTATION_WAITS_SWITCH},
	{"a second ago", BEFORE, false, ROTATION_UNMARKED, false, true, ROTATION_SIGNS},
	{"just now", JUST_NOW, false, ROTATION_UNMARKED, false, true, ROTATION_SIGNS},
	{"in a second", AFTER, false, ROTATION_UNMARKED, false, false, ROTATION_WAITS_TIME},
	{"a second ago, required", BEFORE, true, ROTATION_UNMARKED, false, false, ROTATION_WAITS_DNS},
	{"in a second, required", AFTER, true, ROTATION_UNMARKED, false, false, ROTATION_WAITS_TIME},
	{"seen", BEFORE, true, ROTATION_SEEN, true, true, ROTATION_SIGNS},
	{"seen, not required", BEFORE, false, ROTATION_SEEN, true, true, ROTATION_SIGNS},
	{"seen, then put off", AFTER, true, ROTATION_SEEN, true, false, ROTATION_WAITS_TIME},
	{"seen, then left out", NULL, true, ROTATION_SEEN, true, false, ROTATION_WAITS_SWITCH},
	{"switched", NULL, true, ROTATION_SWITCHED, true, true, ROTATION_SIGNS},
	{"switched before its time", AFTER, true, ROTATION_SWITCHED, true, true, ROTATION_SIGNS},
	{"forced", NULL, false, ROTATION_SWITCHED, false, true, ROTATION_SIGNS},
	{"forced, required", NULL, true, ROTATION_SWITCHED, false, false, ROTATION_WAITS_DNS},
	{"forced, required, timed", AFTER, true, ROTATION_SWITCHED, false, false, ROTATION_WAITS_DNS},
	{"back", NULL, false, ROTATION_BACK, false, false, ROTATION_TAKEN_BACK},
	{"back after its time", BEFORE, false, ROTATION_BACK, false, false, ROTATION_TAKEN_BACK},
	{"back, seen", BEFORE, true, ROTATION_BACK, true, false, ROTATION_TAKEN_BACK},
};

/* The selector that the pipeline signs with at NOW. */
static void
check_signed(const char *name, struct settings *s, const char *selector)
{
	struct message *m = fixture_message("From: a@example.com\n\nx\n", "a@example.com", "b@example.org");
	struct plan *plan = plan_new(m);
	char *want = g_strdup_printf("s=%s ", selector);
	struct fake_signer fake;
	struct job job;

	fake_signer_init(&fake);
	job = (struct job){.settings = s, .message = m, .signer = &fake.signer, .now = (time_t)NOW};
	plan->pool = s->pools->pdata[0];
	plan->isp = s->default_isp;
	check_true(name, stage_headers(&job, plan) && stage_sign(&job, plan));
	check_int(name, fake.requests->len, 2); /* the last of the list first */
	check_true(name, strstr(fake.requests->pdata[0], "s=x ") != NULL);
	check_true(name, strstr(fake.requests->pdata[1], want) != NULL);
	fake_signer_clear(&fake);
	plan_free(plan);
	message_free(m);
	g_free(want);
}

static void
test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(choices); i++) {
		const struct choice *c = &choices[i];
		struct settings *s = settings(c->required, "s2", "next.pem", c->use_after);
		struct pool *p = s->pools->pdata[0];

		rotation_set(p->rotation, c->mark, c->seen, NOW - 50);
		check_int(c->name, rotation_state(p->rotation, NOW), c->state);
		check_true(c->name, (rotation_signature(p, 0, (time_t)NOW) == p->rotation->next) == c->signs);
		check_true(c->name, rotation_signature(p, 1, (time_t)NOW) == p->signatures->pdata[1]);
		check_signed(c->name, s, c->signs ? "s2" : "s1");
		settings_unref(s);
	}
}

static void
test_since(void **state)
{
	struct settings *s = settings(false, "s2", "next.pem", JUST_NOW);
	struct rotation *r = rotation_of(s);

	(void)state;
	check_int("by the clock", rotation_since(r), NOW);
	rotation_set(r, ROTATION_SEEN, true, NOW + 60);
	check_int("seen later", rotation_since(r), NOW + 60);
	rotation_set(r, ROTATION_SWITCHED, true, NOW - 60);
	check_int("switched before", rotation_since(r), NOW - 60);
	rotation_set(r, ROTATION_BACK, false, NOW);
	check_int("back", rotation_since(r), ROTATION_NEVER);
	check_int("a week", rotation_removal(NOW) - NOW, 7 * 86400);
	settings_unref(s);
}

/* ---- what is written down */

static const char finger[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static void
add(GPtrArray *entries, enum rotation_mark mark, const char *pool, const char *selector, const char *fingerprint,
    int64_t at)
{
	struct rotation_entry *e = g_new0(struct rotation_entry, 1);

	*e = (struct rotation_entry){mark, g_strdup(pool), g_strdup("example.com"), g_strdup(selector),
				     g_strdup(fingerprint), g_strdup("s1"), at, mark == ROTATION_SEEN};
	g_ptr_array_add(entries, e);
}

static void
test_text(void **state)
{
	GPtrArray *entries = rotation_entries_new(), *again = rotation_entries_new();
	struct buf text = BUF_INIT;
	const char *why = "";

	(void)state;
	add(entries, ROTATION_SEEN, "acme", "s2", finger, 0);
	add(entries, ROTATION_RETIRED, "acme", "s0", finger, NOW);
	add(entries, ROTATION_RETIRED, "acme", "s1", finger, NOW + 1);
	add(entries, ROTATION_SWITCHED, "a b%\n\377", "s2", finger, INT64_C(253402300799));
	add(entries, ROTATION_BACK, "charlie", "s2", finger, 1);
	rotation_entries_write(entries, &text);
	assert_true(g_str_has_prefix(text.data, "poolmilter-keys 1\nseen acme example.com s2 00112233"));
	assert_non_null(strstr(text.data, "ff 1800000000 0 s1\nretired acme"));
	assert_non_null(strstr(text.data, "switched a%20b%25%0A%FF example.com"));
	assert_true(rotation_entries_read(again, text.data, text.len, &why));
	assert_null(why);
	assert_int_equal(again->len, entries->len);
	for (guint i = 0; i < again->len; i++) {
		const struct rotation_entry *e = entries->pdata[i], *g = again->pdata[i];

		check_int(e->pool, g->mark, e->mark);
		check_string(e->pool, g->pool, e->pool);
		check_string(e->pool, g->domain, e->domain);
		check_string(e->pool, g->selector, e->selector);
		check_string(e->pool, g->fingerprint, e->fingerprint);
		check_string(e->pool, g->before, e->before);
		check_int(e->pool, g->at, e->at);
		check_int(e->pool, g->seen, e->seen);
	}
	g_ptr_array_unref(entries);
	g_ptr_array_unref(again);
	buf_free(&text);
}

/* No octet of the file can be another one, and none can be missing at its end, without being told. */
static void
test_damage(void **state)
{
	GPtrArray *entries = rotation_entries_new();
	struct buf text = BUF_INIT;
	const char *why;

	(void)state;
	add(entries, ROTATION_SWITCHED, "acme", "s2", finger, NOW);
	rotation_entries_write(entries, &text);
	for (size_t i = 0; i < text.len; i++) {
		g_ptr_array_set_size(entries, 0);
		assert_false(rotation_entries_read(entries, text.data, i, &why));
		text.data[i] ^= 1;
		g_ptr_array_set_size(entries, 0);
		assert_false(rotation_entries_read(entries, text.data, text.len, &why));
		assert_non_null(why);
		text.data[i] ^= 1;
	}
	g_ptr_array_set_size(entries, 0);
	assert_true(rotation_entries_read(entries, text.data, text.len, &why));
	g_ptr_array_unref(entries);
	buf_free(&text);
}

/* ---- the file, and the settings */

/* The entries of the file, as words. */
static char *
words(const struct settings *s)
{
	GString *all = g_string_new(NULL);
	char *why = NULL;
	GPtrArray *entries = key_state_read(s->state_dir, &why);

	assert_null(why);
	for (guint i = 0; i < entries->len; i++) {
		const struct rotation_entry *e = entries->pdata[i];

		g_string_append_printf(all, "%s%d:%s:%s>%s:%d", i > 0 ? " " : "", (int)e->mark, e->pool,
				       e->before, e->selector, (int)(e->at - NOW));
	}
	g_ptr_array_unref(entries);
	return g_string_free(all, FALSE);
}

static void
check_words(const char *name, const struct settings *s, const char *want)
{
	char *got = words(s);

	check_string(name, got, want);
	g_free(got);
}

/* Marks, and writes that. */
static void
mark(const struct settings *s, enum rotation_mark mark_wanted, int at)
{
	char *why = NULL;
	struct key_state *ks = key_state_open(s->state_dir, 0, &why);

	assert_non_null(ks);
	assert_null(ks->damage);
	assert_true(key_state_mark(ks, s->pools->pdata[0], mark_wanted, true, NOW + at, &why));
	assert_true(key_state_write(ks, &why));
	key_state_close(ks);
}

static void
test_mark_and_load(void **state)
{
	struct settings *s = settings(true, "s2", "next.pem", NULL), *other;

	(void)state;
	check_words("none", s, "");
	mark(s, ROTATION_SWITCHED, 0);
	check_words("switched", s, "2:acme:s1>s2:0");
	check_int("as it was loaded", rotation_state(rotation_of(s), NOW), ROTATION_WAITS_SWITCH);
	settings_unref(s);
	s = settings(true, "s2", "next.pem", NULL);
	check_int("loaded again", rotation_state(rotation_of(s), NOW), ROTATION_SIGNS);
	other = settings(true, "s2", "other.pem", NULL);
	check_int("another key", rotation_state(rotation_of(other), NOW), ROTATION_WAITS_SWITCH);
	settings_unref(other);
	other = settings(true, "s3", "next.pem", NULL);
	check_int("another selector", rotation_state(rotation_of(other), NOW), ROTATION_WAITS_SWITCH);
	mark(other, ROTATION_SEEN, 5);
	check_words("in its place", s, "1:acme:s1>s3:5");
	settings_unref(other);
	settings_unref(s);
	assert_int_equal(unlink(fixture_path("keys.state")), 0);
}

static unsigned told_count;

static void
count_told(const struct rotation_entry *e)
{
	(void)e;
	told_count++;
}

/* Settles with the settings, and writes that. */
static void
check_settled(const char *name, const struct settings *s, int loaded, int now, unsigned told, const char *want)
{
	char *why = NULL;
	struct key_state *ks = key_state_open(s->state_dir, 0, &why);

	assert_non_null(ks);
	told_count = 0;
	check_true(name, key_state_settle(ks, s, NOW + loaded, NOW + now, count_told) == (told > 0));
	check_int(name, told_count, told);
	check_true(name, key_state_write(ks, &why));
	key_state_close(ks);
	check_words(name, s, want);
}

static struct settings *
settings_without(const char *selector, const char *key)
{
	char *text = g_strdup_printf("pools = ({ name = \"acme\"; sender_domain = \"example.com\"; spf_domain = "
				     "\"b.example.com\"; dkim_selector = \"%s\"; dkim_key = \"@D/%s\"; });",
				     selector, key);
	struct settings *s = fixture_settings(text);

	g_free(text);
	return s;
}

static void
test_settle(void **state)
{
	const int week = 7 * 86400, month = 30 * 86400;
	struct settings *s = settings(false, "s2", "next.pem", NULL), *other;

	(void)state;
	mark(s, ROTATION_SWITCHED, 0);
	check_settled("still there", s, 1, 1, 0, "2:acme:s1>s2:0");
	other = settings_without("s1", "key.pem");
	check_settled("perhaps of newer settings", other, 0, 1, 0, "2:acme:s1>s2:0");
	check_settled("out of the settings", other, 1, 1, 1, "");
	settings_unref(other);
	mark(s, ROTATION_SWITCHED, 0);
	other = settings_without("s2", "next.pem");
	check_settled("moved", other, 1, 1, 1, "4:acme:s1>s2:0");
	check_settled("a while later", other, 1, week + month, 0, "4:acme:s1>s2:0");
	check_settled("long ago", other, 1, week + month + 1, 1, "");
	mark(s, ROTATION_BACK, 0);
	check_settled("taken back and moved all the same", other, 1, 1, 1, "");
	mark(s, ROTATION_SWITCHED, 0);
	settings_unref(other);
	other = settings(false, "s2", "other.pem", NULL);
	check_settled("another key", other, 1, 1, 1, "");
	settings_unref(other);
	settings_unref(s);
	assert_int_equal(unlink(fixture_path("keys.state")), 0);
}

static void
test_lock(void **state)
{
	struct settings *s = settings(false, "s2", "next.pem", NULL);
	char *why = NULL;
	struct key_state *ks = key_state_open(s->state_dir, 0, &why);
	gint64 began = g_get_monotonic_time();

	(void)state;
	assert_non_null(ks);
	assert_null(key_state_open(s->state_dir, 100, &why));
	assert_int_equal(errno, EWOULDBLOCK);
	assert_non_null(strstr(why, "another switch of keys is under way"));
	assert_true(g_get_monotonic_time() - began >= 80000);
	g_clear_pointer(&why, g_free);
	key_state_close(ks);
	ks = key_state_open(s->state_dir, 0, &why);
	assert_non_null(ks);
	key_state_close(ks);
	assert_null(key_state_open("/nowhere/at/all", 0, &why));
	assert_int_equal(errno, ENOENT);
	g_free(why);
	settings_unref(s);
}

/* As "openssl pkey -pubout -outform DER | sha256sum" has it. */
static void
test_fingerprint(void **state)
{
	static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
				  "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
				  "-----END PRIVATE KEY-----\n"; /* of RFC 8463 A.2 and RFC 8032 7.1 */
	struct settings *s;
	char *why = NULL, *fingerprint;

	(void)state;
	fixture_write("rfc.pem", pem, sizeof pem - 1, 0600);
	s = settings(false, "s2", "rfc.pem", NULL);
	fingerprint = key_state_fingerprint(rotation_of(s)->next->key, &why);
	check_string("of RFC 8463", fingerprint, "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9");
	g_free(fingerprint);
	settings_unref(s);
}

static int
make_keys(void **state)
{
	(void)state;
	fixture_key("next.pem", KEY_ED25519, 0);
	fixture_key("other.pem", KEY_ED25519, 0);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),	    cmocka_unit_test(test_since),  cmocka_unit_test(test_text),
		cmocka_unit_test(test_damage),	    cmocka_unit_test(test_settle), cmocka_unit_test(test_lock),
		cmocka_unit_test(test_mark_and_load), cmocka_unit_test(test_fingerprint),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_keys, NULL);
}
