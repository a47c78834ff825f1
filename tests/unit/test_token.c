/*
 * test_token - signed Return-Paths: what is refused and what is read (FAULTS E1, E2, E3).
 */
#include "fixture.h"

#include "core/token.h"

#include <string.h>

#define NOW 1700000000
#define DAY 86400
#define RCPT "user@example.org"
#define DOMAIN_OF_POOL "b.example.com"
#define ALPHABET "abcdefghijklmnopqrstuvwxyz234567"

static struct settings *settings;
static const struct pool *pool;

static int
setup(void **state)
{
	(void)state;
	settings = fixture_settings("pools = (" POOL("acme", "example.com", "") ","
				    POOL("other", "other.example", "") ");");
	pool = g_hash_table_lookup(settings->pool_by_name, "acme");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	settings_unref(settings);
	return 0;
}

static char *
token(const char *rcpt, const char *queue_id, time_t now)
{
	char out[LOCAL_PART_MAX + 1];

	assert_true(token_encode(settings, pool, rcpt, queue_id, now, out));
	return g_strdup(out);
}

static enum token_result
decode(const char *local, const char *domain, const char *rcpt, time_t now)
{
	struct token t;

	return token_decode(settings, local, domain, rcpt, now, &t);
}

static void
test_round_trip(void **state)
{
	static const struct {
		const char *name, *rcpt, *queue_id;
		bool hashed;
	} cases[] = {
		{"Postfix, long IDs", RCPT, "4Shp4b1KBCz9sXW", false},
		{"Postfix, several recipients", NULL, "4Shp4b1KBCz", false},
		{"short Postfix ID", RCPT, "4F2A3B", false},
		{"Sendmail", RCPT, "3AELdK2x123456", false},
		{"the longest that fits", RCPT, "01234567890123456", false},
		{"one octet more", RCPT, "012345678901234567", true},
		{"no queue ID", RCPT, NULL, false},
		{"nothing known", NULL, NULL, false},
		{"empty queue ID", RCPT, "", false},
		{"very long queue ID", RCPT, "0123456789012345678901234567890123456789012345678901234567890123456789", true},
		{"queue ID with odd octets", NULL, "A b\xff.", false},
		{"UTF-8 recipient", "j\xc3\xb6rg@m\xc3\xbcnchen.example", "4F2A3B", false},
		{"local part of 64", "0123456789012345678901234567890123456789012345678901234567890123@example.org", "4F2A3B", false},
		{"recipient of 254", "a@0123456789012345678901234567890123456789012345678901234567890.0123456789012345678901234567890123456789012345678901234567890.0123456789012345678901234567890123456789012345678901234567890.example.org", "4F2A3B", false},
		{"quoted recipient", "\"a b = + !\"@example.org", "4F2A3B", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *local = token(cases[i].rcpt, cases[i].queue_id, NOW);
		struct token t;

		check_true(cases[i].name, strlen(local) <= LOCAL_PART_MAX);
		check_true(cases[i].name, g_str_has_prefix(local, "b+"));
		check_int(cases[i].name, strspn(local + 2, ALPHABET), strlen(local) - 2);
		check_int(cases[i].name,
			  token_decode(settings, local, DOMAIN_OF_POOL, cases[i].rcpt, NOW, &t), TOKEN_OK);
		check_int(cases[i].name, t.pool_tag, pool->tag);
		check_int(cases[i].name, t.day, NOW / DAY);
		check_int(cases[i].name, t.has_rcpt, cases[i].rcpt != NULL);
		check_int(cases[i].name, t.queue_id_hashed, cases[i].hashed);
		if (cases[i].hashed)
			check_int(cases[i].name, strspn(t.queue_id, "0123456789abcdef"), 12);
		else
			check_string(cases[i].name, t.queue_id, cases[i].queue_id != NULL ? cases[i].queue_id : "");
		g_free(local);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *name, *local; /* "@" stands for a good token */
		const char *domain, *rcpt;
		enum token_result result;
	} cases[] = {
		{"good", "@", DOMAIN_OF_POOL, NULL, TOKEN_OK},
		{"good, domain in upper case", "@", "B.EXAMPLE.COM", NULL, TOKEN_OK},
		{"good, for this recipient", "@", DOMAIN_OF_POOL, RCPT, TOKEN_OK},
		{"good, recipient in other case", "@", DOMAIN_OF_POOL, "USER@Example.ORG", TOKEN_OK},
		{"other domain", "@", "b.other.example", NULL, TOKEN_FORGED},
		{"subdomain", "@", "x.b.example.com", NULL, TOKEN_FORGED},
		{"no domain", "@", "", NULL, TOKEN_FORGED},
		{"other recipient", "@", DOMAIN_OF_POOL, "other@example.org", TOKEN_FORGED},
		{"recipient's prefix", "@", DOMAIN_OF_POOL, "user@example.or", TOKEN_FORGED},
		{"empty", "", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"no token", "b", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"empty token", "b+", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"one character", "b+a", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"other local part", "bounce", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"not base32", "b+abc0189", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"all zeros", "b+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"another version", "b+eaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"right version, zeros", "b+caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", DOMAIN_OF_POOL, NULL, TOKEN_FORGED},
		{"a character more", "@a", DOMAIN_OF_POOL, NULL, TOKEN_FORGED},
		{"padding", "@=", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"8-bit", "b+\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"blank in front", " @", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
		{"twice", "@+@", DOMAIN_OF_POOL, NULL, TOKEN_MALFORMED},
	};
	char *good = token(RCPT, "4F2A3B", NOW);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char **parts = g_strsplit(cases[i].local, "@", -1), *local = g_strjoinv(good, parts);

		check_int(cases[i].name, decode(local, cases[i].domain, cases[i].rcpt, NOW), cases[i].result);
		g_strfreev(parts);
		g_free(local);
	}
	g_free(good);
}

/* E1: every bit of every character of the token. */
static void
test_every_bit_flipped(void **state)
{
	char *good = token(RCPT, "4F2A3B", NOW);
	unsigned flips = 0;

	(void)state;
	for (size_t i = 2; good[i] != '\0'; i++) {
		size_t value = (size_t)(strchr(ALPHABET, good[i]) - ALPHABET);

		for (unsigned bit = 0; bit < 5; bit++, flips++) {
			char *bad = g_strdup(good), name[64];
			enum token_result r;

			bad[i] = ALPHABET[value ^ (1u << bit)];
			r = decode(bad, DOMAIN_OF_POOL, NULL, NOW);
			g_snprintf(name, sizeof name, "character %zu, bit %u", i, bit);
			check_true(name, r == TOKEN_FORGED || r == TOKEN_MALFORMED);
			g_free(bad);
		}
	}
	assert_true(flips >= 40 * 5);
	g_free(good);
}

static void
test_cut_anywhere(void **state)
{
	char *good = token(RCPT, "4F2A3B", NOW);

	(void)state;
	for (size_t len = 0; len < strlen(good); len++) {
		char *cut = g_strndup(good, len), *tail = g_strconcat("b+", good + len + 1, NULL), name[32];
		enum token_result r = decode(cut, DOMAIN_OF_POOL, NULL, NOW);

		g_snprintf(name, sizeof name, "%zu octets", len);
		check_true(name, r == TOKEN_FORGED || r == TOKEN_MALFORMED);
		r = decode(tail, DOMAIN_OF_POOL, NULL, NOW);
		check_true(name, len < 2 || r == TOKEN_FORGED || r == TOKEN_MALFORMED);
		g_free(tail);
		g_free(cut);
	}
	g_free(good);
}

/* E2: local parts are lower- and upper-cased on their way. */
static void
test_case_does_not_matter(void **state)
{
	char *good = token(RCPT, "4F2A3B", NOW);
	char *upper = g_ascii_strup(good, -1), *mixed = g_strdup(good);

	(void)state;
	for (size_t i = 0; mixed[i] != '\0'; i += 2)
		mixed[i] = g_ascii_toupper(mixed[i]);
	assert_int_equal(decode(upper, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_OK);
	assert_int_equal(decode(mixed, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_OK);
	g_free(mixed);
	g_free(upper);
	g_free(good);
}

static void
test_time(void **state)
{
	static const struct {
		const char *name;
		gint64 made, read;
		enum token_result result;
	} cases[] = {
		{"same second", NOW, NOW, TOKEN_OK},
		{"next day", NOW, NOW + DAY, TOKEN_OK},
		{"the last day", NOW, NOW + 14 * DAY, TOKEN_OK},
		{"the day after", NOW, NOW + 15 * DAY, TOKEN_EXPIRED},
		{"a year", NOW, NOW + 365 * DAY, TOKEN_EXPIRED},
		{"a clock one day behind", NOW, NOW - DAY, TOKEN_OK},
		{"from the future", NOW, NOW - 2 * DAY, TOKEN_FUTURE},
		{"far future", NOW, NOW - 1000 * (gint64)DAY, TOKEN_FUTURE},
		{"across the wrap of 16 bits", 65535 * (gint64)DAY, 65537 * (gint64)DAY, TOKEN_OK},
		{"across the wrap, expired", 65530 * (gint64)DAY, 65550 * (gint64)DAY, TOKEN_EXPIRED},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *local = token(RCPT, "4F2A3B", cases[i].made);
		struct token t;

		check_int(cases[i].name,
			  token_decode(settings, local, DOMAIN_OF_POOL, NULL, cases[i].read, &t), cases[i].result);
		check_int(cases[i].name, t.day, cases[i].made / DAY);
		g_free(local);
	}
}

/* A token that has a recipient is good for any, but one without is not good for a certain one. */
static void
test_recipient_in_question(void **state)
{
	char *without = token(NULL, "4F2A3B", NOW), *with = token(RCPT, "4F2A3B", NOW);

	(void)state;
	assert_int_equal(decode(without, DOMAIN_OF_POOL, NULL, NOW), TOKEN_OK);
	assert_int_equal(decode(without, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_FORGED);
	assert_int_equal(decode(with, DOMAIN_OF_POOL, NULL, NOW), TOKEN_OK);
	g_free(without);
	g_free(with);
}

static struct secret
secret(const char *text)
{
	struct secret s = {.len = strlen(text)};

	memcpy(s.octets, text, s.len);
	return s;
}

/* The first signs, all verify; order does not matter to verify; a secret that is gone refuses. */
static void
test_rotation(void **state)
{
	GArray *secrets = settings->return_path.secrets;
	struct secret old = g_array_index(secrets, struct secret, 0), new = secret("another secret of more than 16");
	char *first = token(RCPT, "4F2A3B", NOW), *second;

	(void)state;
	g_array_insert_val(secrets, 0, new);
	second = token(RCPT, "4F2A3B", NOW);
	assert_string_not_equal(first, second);
	assert_int_equal(decode(first, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_OK);
	assert_int_equal(decode(second, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_OK);
	assert_int_equal(decode(second, DOMAIN_OF_POOL, "x@example.org", NOW), TOKEN_FORGED);
	g_array_remove_index(secrets, 1);
	assert_int_equal(decode(first, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_FORGED);
	assert_int_equal(decode(second, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_OK);
	g_array_remove_index(secrets, 0);
	assert_int_equal(decode(second, DOMAIN_OF_POOL, RCPT, NOW), TOKEN_FORGED);
	assert_false(token_encode(settings, pool, RCPT, "4F2A3B", NOW, (char[LOCAL_PART_MAX + 1]){0}));
	g_array_append_val(secrets, old);
	g_free(first);
	g_free(second);
}

static void
test_other_local_parts(void **state)
{
	static const char *const names[] = {"b", "bounces", "0123456789abcdef"};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		char *config = g_strdup_printf("return_path: { local_part = \"%s\"; }; pools = (%s);", names[i],
					       POOL("acme", "example.com", ""));
		struct settings *s = fixture_settings(config);
		const struct pool *p = s->pools->pdata[0];
		char out[LOCAL_PART_MAX + 1];
		struct token t;

		check_true(names[i], token_encode(s, p, RCPT, "4Shp4b1KBCz9sXW", NOW, out));
		check_true(names[i], strlen(out) <= LOCAL_PART_MAX && g_str_has_prefix(out, names[i]));
		check_int(names[i], token_decode(s, out, DOMAIN_OF_POOL, RCPT, NOW, &t), TOKEN_OK);
		settings_unref(s);
		g_free(config);
	}
}

/* Anything at all in the place of a token: an answer, and never more than the struct holds. */
static void
test_random_text(void **state)
{
	GRand *random = g_rand_new_with_seed(6376);

	(void)state;
	for (int round = 0; round < 200000; round++) {
		int len = g_rand_int_range(random, 0, 70);
		char local[80] = "b+";
		struct {
			struct token t;
			unsigned char behind[64];
		} room;

		for (int i = 0; i < len; i++)
			local[2 + i] = ALPHABET[g_rand_int_range(random, 0, 32)];
		if (round % 2 == 0 && len > 2) {
			local[2] = 'c'; /* version 1 */
			local[3] = "aeimquy4"[g_rand_int_range(random, 0, 8)];
		}
		memset(&room, 0xa5, sizeof room);
		if (token_decode(settings, local, DOMAIN_OF_POOL, NULL, NOW, &room.t) == TOKEN_OK)
			fail_msg("\"%s\" is taken for a token", local);
		for (size_t i = 0; i < sizeof room.behind; i++)
			if (room.behind[i] != 0xa5)
				fail_msg("\"%s\" writes behind struct token", local);
	}
	g_rand_free(random);
}

static void
test_words(void **state)
{
	(void)state;
	assert_string_equal(token_word(TOKEN_OK), "ok");
	assert_string_equal(token_word(TOKEN_MALFORMED), "malformed");
	assert_string_equal(token_word(TOKEN_FORGED), "forged");
	assert_string_equal(token_word(TOKEN_EXPIRED), "expired");
	assert_string_equal(token_word(TOKEN_FUTURE), "future");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_bit_flipped),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_case_does_not_matter),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_recipient_in_question),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_other_local_parts),
		cmocka_unit_test(test_random_text),
		cmocka_unit_test(test_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
