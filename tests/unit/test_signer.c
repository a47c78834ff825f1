/*
 * test_signer - the signer that stands on libopendkim: forms, algorithms, the parsed key's road, threads.
 *
 * Signatures are verified here by libcrypto alone, over a canonical form computed in this file (RFC 6376
 * 3.4.2); the golden messages are verified by python3-dkim and Mail::DKIM as well.
 */
#include "fixture.h"

#include "io/signer.h"
#include "io/body_handle.h"
#include "io/key_handle.h"
#include "io/keygen.h"

#include <opendkim/dkim.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define NOW 1700000000

struct bench {
	struct keystore *ks;
	struct signer *signer;
	struct signature signature;
	GPtrArray *fields;
	GArray *storage; /* of struct field */
	const char *body;
	struct body_hash *hash; /* shared, or NULL */
};

/*
 * The linker puts this in front of body_handle_begin(): what becomes of the hash that the signer gives
 * to libopendkim?
 */
static enum { HANDLE_KEPT, HANDLE_LOST, HANDLE_WRONG } handle_fate; /* for one thread */

const char *__real_body_handle_begin(const unsigned char *sha256);
const char *__wrap_body_handle_begin(const unsigned char *sha256);

const char *
__wrap_body_handle_begin(const unsigned char *sha256)
{
	static const unsigned char wrong[BODY_HASH_SIZE] = {1};

	if (handle_fate == HANDLE_LOST)
		return "the hook is not reached\r\n";
	return __real_body_handle_begin(handle_fate == HANDLE_WRONG ? wrong : sha256);
}

/* So it does here: what of bodies has libopendkim got? */
static _Thread_local unsigned bodies_fed;
static _Thread_local size_t octets_fed;

DKIM_STAT __real_dkim_body(DKIM *dkim, u_char *data, size_t len);
DKIM_STAT __wrap_dkim_body(DKIM *dkim, u_char *data, size_t len);

DKIM_STAT
__wrap_dkim_body(DKIM *dkim, u_char *data, size_t len)
{
	bodies_fed++;
	octets_fed += len;
	return __real_dkim_body(dkim, data, len);
}

static void
bench_init(struct bench *b, const char *key_file, const char *body)
{
	static char domain[] = "example.com", selector[] = "s1";
	const struct origin at = {"f", 1};
	char *why = NULL;

	b->ks = keystore_new(geteuid());
	b->signature = (struct signature){.domain = domain, .selector = selector};
	b->signature.key = keystore_add(b->ks, fixture_path(key_file), at, "k");
	b->signer = signer_new(NOW, &why);
	assert_non_null(b->signer);
	b->fields = g_ptr_array_new();
	b->storage = g_array_sized_new(FALSE, FALSE, sizeof(struct field), 100);
	b->body = body;
	b->hash = NULL;
}

static void
bench_free(struct bench *b)
{
	signer_free(b->signer);
	keystore_free(b->ks);
	g_ptr_array_free(b->fields, TRUE);
	g_array_free(b->storage, TRUE);
}

static void
add_field(struct bench *b, const char *name, const char *value)
{
	const struct field f = {name, value, strlen(name), strlen(value)};

	assert_true(b->storage->len < 100); /* pointers into it must stay */
	g_array_append_val(b->storage, f);
	g_ptr_array_add(b->fields, &g_array_index(b->storage, struct field, b->storage->len - 1));
}

static char *
sign(struct bench *b, const char *const *oversigned, int64_t expire, const char **algorithm)
{
	const struct sign_request r = {.signature = &b->signature, .fields = b->fields, .oversigned = oversigned,
				       .body = b->body, .body_len = strlen(b->body), .hash = b->hash, .now = NOW, .expire = expire};
	struct buf out = BUF_INIT;
	char *why = NULL, *value;

	buf_puts(&out, "kept"); /* it appends */
	if (!b->signer->sign(b->signer->context, &r, &out, algorithm, &why))
		fail_msg("not signed: %s", why);
	assert_true(g_str_has_prefix(out.data, "kept "));
	value = g_strdup(out.data + 4);
	buf_free(&out);
	return value;
}

/* The value of a tag without white space; NULL if it is not there. */
static char *
tag(const char *value, const char *name)
{
	char *pattern = g_strdup_printf("(?:^|;)\\s*%s\\s*=([^;]*)", name), *result = NULL;
	GRegex *regex = g_regex_new(pattern, 0, 0, NULL);
	GMatchInfo *match;

	if (g_regex_match(regex, value, 0, &match)) {
		char *text = g_match_info_fetch(match, 1), **parts = g_strsplit_set(text, " \t\n", -1);

		result = g_strjoinv(NULL, parts);
		g_strfreev(parts);
		g_free(text);
	}
	g_match_info_free(match);
	g_regex_unref(regex);
	g_free(pattern);
	return result;
}

static void
check_tag(const char *name, const char *value, const char *which, const char *want)
{
	char *got = tag(value, which);

	if (g_strcmp0(got, want) != 0)
		fail_msg("case \"%s\": %s= is \"%s\", not \"%s\"", name, which, got != NULL ? got : "(none)",
			 want != NULL ? want : "(none)");
	g_free(got);
}

/* RFC 6376 3.4.2 of the DKIM-Signature field itself, with an empty b= and no line end. */
static char *
relaxed_signature(const char *value)
{
	GRegex *b = g_regex_new("(;\\s*b=)[^;]*", 0, 0, NULL), *blanks = g_regex_new("[ \t\n]+", 0, 0, NULL);
	char *empty = g_regex_replace(b, value, -1, 0, "\\1", 0, NULL);
	char *relaxed = g_strstrip(g_regex_replace_literal(blanks, empty, -1, 0, " ", 0, NULL));
	char *field = g_strconcat("dkim-signature:", relaxed, NULL);

	g_free(relaxed);
	g_free(empty);
	g_regex_unref(blanks);
	g_regex_unref(b);
	return field;
}

/* Does libcrypto alone find the signature good? header: the covered fields in canonical form. */
static bool
good(const char *value, const char *header, EVP_PKEY *key, bool rsa)
{
	char *field = relaxed_signature(value), *data = g_strconcat(header, field, NULL), *b64 = tag(value, "b");
	unsigned char digest[32];
	unsigned digest_len;
	gsize len;
	guchar *octets = g_base64_decode(b64, &len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok;

	/* RFC 8463 3: Ed25519 signs the SHA-256 digest. */
	EVP_Digest(data, strlen(data), digest, &digest_len, EVP_sha256(), NULL);
	EVP_DigestVerifyInit(ctx, NULL, rsa ? EVP_sha256() : NULL, NULL, key);
	ok = rsa ? EVP_DigestVerify(ctx, octets, len, (unsigned char *)data, strlen(data))
		 : EVP_DigestVerify(ctx, octets, len, digest, sizeof digest);
	EVP_MD_CTX_free(ctx);
	g_free(octets);
	g_free(b64);
	g_free(data);
	g_free(field);
	return ok == 1;
}

static char *
body_hash(const char *canonical)
{
	unsigned char digest[32];
	unsigned len;

	EVP_Digest(canonical, strlen(canonical), digest, &len, EVP_sha256(), NULL);
	return g_base64_encode(digest, len);
}

static const char *const over_from[] = {"From", NULL};

static const struct {
	const char *name, *fields; /* "Name:value" with '|' between */
	const char *body, *canonical_header, *canonical_body, *h;
} cases[] = {
	{"plain", "From: a@example.com|Subject: Hi", "Hello\r\n", "from:a@example.com\r\nsubject:Hi\r\n", "Hello\r\n", "From:Subject:From"},
	{"folds, tabs and case", "FROM:\n\ta@example.com  |sUbject: a \t b\n c ", "x\r\n", "from:a@example.com\r\nsubject:a b c\r\n", "x\r\n", "FROM:sUbject:From"},
	{"fold right after the name", "From:\n a@example.com", "x\r\n", "from:a@example.com\r\n", "x\r\n", "From:From"},
	{"blank continuation lines", "From: a@example.com\n \n\t\n x", "x\r\n", "from:a@example.com x\r\n", "x\r\n", "From:From"},
	{"no blank behind the colon", "From:a@example.com|Subject:", "x\r\n", "from:a@example.com\r\nsubject:\r\n", "x\r\n", "From:Subject:From"},
	{"two of one name", "From: a|To: 1|To: 2", "x\r\n", "from:a\r\nto:2\r\nto:1\r\n", "x\r\n", "From:To:To:From"},
	{"8-bit header", "From: \xc3\xb6 <a@b>|Subject: \xff", "x\r\n", "from:\xc3\xb6 <a@b>\r\nsubject:\xff\r\n", "x\r\n", "From:Subject:From"},
	{"empty body", "From: a", "", "from:a\r\n", "", "From:From"},
	{"body of empty lines", "From: a", "\r\n\r\n\r\n", "from:a\r\n", "", "From:From"},
	{"trailing empty lines", "From: a", "x\r\n\r\n\r\n", "from:a\r\n", "x\r\n", "From:From"},
	{"blanks in the body", "From: a", " a \t b \t\r\n\t\r\nc\r\n", "from:a\r\n", " a b\r\n\r\nc\r\n", "From:From"},
	{"leading dots", "From: a", ".\r\n..x\r\n", "from:a\r\n", ".\r\n..x\r\n", "From:From"},
	{"8-bit body", "From: a", "\xe9\xff\x80\r\n", "from:a\r\n", "\xe9\xff\x80\r\n", "From:From"},
};

static void
check_algorithm(const char *key_file, const char *algorithm_wanted, bool rsa)
{
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char **fields = g_strsplit(cases[i].fields, "|", -1), *value, *hash = body_hash(cases[i].canonical_body);
		const char *algorithm = NULL;
		enum key_type type;
		struct bench b;
		char *why = NULL;

		bench_init(&b, key_file, cases[i].body);
		for (char **f = fields; *f != NULL; f++) {
			char *colon = strchr(*f, ':');

			*colon = '\0';
			add_field(&b, *f, colon + 1);
		}
		value = sign(&b, over_from, 0, &algorithm);
		check_string(cases[i].name, algorithm, algorithm_wanted);
		check_true(cases[i].name, value[0] == ' ' && strchr(value, '\r') == NULL);
		check_tag(cases[i].name, value, "v", "1");
		check_tag(cases[i].name, value, "a", algorithm_wanted);
		check_tag(cases[i].name, value, "c", "relaxed/relaxed");
		check_tag(cases[i].name, value, "d", "example.com");
		check_tag(cases[i].name, value, "s", "s1");
		check_tag(cases[i].name, value, "t", "1700000000");
		check_tag(cases[i].name, value, "x", NULL);
		check_tag(cases[i].name, value, "l", NULL);
		check_tag(cases[i].name, value, "h", cases[i].h);
		check_tag(cases[i].name, value, "bh", hash);
		check_true(cases[i].name, good(value, cases[i].canonical_header, key_get(b.signature.key, &type, &why), rsa));
		check_true(cases[i].name, !good(value, "from:other\r\n", key_get(b.signature.key, &type, &why), rsa));
		g_free(value);
		g_free(hash);
		g_strfreev(fields);
		bench_free(&b);
	}
}

static void
test_rsa(void **state)
{
	(void)state;
	check_algorithm("rsa.pem", "rsa-sha256", true);
}

static void
test_ed25519(void **state)
{
	(void)state;
	check_algorithm("ed.pem", "ed25519-sha256", false);
}

/*
 * Sendmail gives a milter the body of a local submission as it was typed, without a line end at the end
 * if there was none; its mailers add one.  RFC 6376 3.4.3 and 3.4.4 hash the body with it.
 */
static void
test_body_without_final_line_end(void **state)
{
	static const struct {
		const char *name, *body, *canonical;
	} bodies[] = {
		{"one line", "x", "x\r\n"},
		{"two lines", "x\r\ny", "x\r\ny\r\n"},
		{"trailing blank", "x ", "x\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
		char *value, *hash = body_hash(bodies[i].canonical);
		const char *algorithm;
		struct bench b;

		bench_init(&b, "ed.pem", bodies[i].body);
		add_field(&b, "From", " a");
		value = sign(&b, over_from, 0, &algorithm);
		check_tag(bodies[i].name, value, "bh", hash);
		g_free(value);
		g_free(hash);
		bench_free(&b);
	}
}

static void
test_expiry_and_oversigning(void **state)
{
	static const char *const over[] = {"From", "Subject", NULL};
	const char *algorithm;
	struct bench b;
	char *value;

	(void)state;
	bench_init(&b, "rsa.pem", "x\r\n");
	add_field(&b, "From", " a");
	add_field(&b, "Subject", " s");
	value = sign(&b, over, 604800, &algorithm);
	check_tag("both", value, "x", "1700604800");
	check_tag("both", value, "h", "From:Subject:From:Subject");
	g_free(value);
	value = sign(&b, over_from, 0, &algorithm); /* another library handle: nothing is left of the first */
	check_tag("neither", value, "x", NULL);
	check_tag("neither", value, "h", "From:Subject:From");
	g_free(value);
	bench_free(&b);
}

/* RFC 5322 2.1.1 holds for our field too, and no line is blank. */
static void
test_lines(void **state)
{
	const char *algorithm;
	struct bench b;
	char *value, **lines;

	(void)state;
	bench_init(&b, "rsa.pem", "x\r\n");
	add_field(&b, "From", " a");
	for (int i = 0; i < 60; i++)
		add_field(&b, "List-Unsubscribe-Post", " x");
	value = sign(&b, over_from, 0, &algorithm);
	lines = g_strsplit(value, "\n", -1);
	assert_true(g_strv_length(lines) > 5);
	for (char **line = lines; *line != NULL; line++) {
		assert_true(strlen(*line) <= 78);
		assert_true((*line)[0] == ' ' || (*line)[0] == '\t');
		assert_true(strspn(*line, " \t") < strlen(*line));
	}
	g_strfreev(lines);
	g_free(value);
	bench_free(&b);
}

/* The key reaches libopendkim parsed: one resolved handle for each signature. */
static void
test_handle_reaches_the_hook(void **state)
{
	const char *algorithm;
	struct bench b;

	(void)state;
	bench_init(&b, "rsa.pem", "x\r\n");
	assert_true(signer_keys_cached(b.signer));
	add_field(&b, "From", " a");
	for (unsigned i = 0; i < 10; i++) {
		unsigned long before = key_handle_resolved();

		g_free(sign(&b, over_from, 0, &algorithm));
		assert_int_equal(key_handle_resolved(), before + 1);
	}
	bench_free(&b);
}

static const char *const bodies[] = {
	"",
	"x",
	" \t\r\n\r\n",
	"a  b \r\n\t\r\n\xe9\tc\r\n\r\n",
	"a\rb  \r\n\r\n",
};

/* libopendkim never sees a body: the same few octets each time. */
static void
test_body_is_not_fed(void **state)
{
	char *body = g_strnfill(100000, 'x');
	const char *algorithm;
	struct bench b;
	size_t octets;

	(void)state;
	bench_init(&b, "rsa.pem", "");
	assert_true(signer_body_fast(b.signer));
	add_field(&b, "From", " a");
	octets_fed = 0;
	g_free(sign(&b, over_from, 0, &algorithm));
	octets = octets_fed;
	assert_in_range(octets, 1, 100);
	bodies_fed = 0;
	for (size_t i = 0; i <= G_N_ELEMENTS(bodies); i++) {
		b.body = i < G_N_ELEMENTS(bodies) ? bodies[i] : body;
		octets_fed = 0;
		g_free(sign(&b, over_from, 0, &algorithm));
		assert_int_equal(octets_fed, octets);
	}
	assert_int_equal(bodies_fed, G_N_ELEMENTS(bodies) + 1);
	g_free(body);
	bench_free(&b);
}

/*
 * Whatever becomes of the hash, libopendkim's own result comes out: when it does not arrive at start, when it
 * is lost later, when another one arrives.  An Ed25519 signature is the same each time.
 */
static void
test_hash_that_does_not_arrive(void **state)
{
	static const struct {
		const char *name;
		int at_start, later;
		bool quick;
	} fates[] = {
		{"it arrives", HANDLE_KEPT, HANDLE_KEPT, true},
		{"lost from the start", HANDLE_LOST, HANDLE_LOST, false},
		{"lost at start only", HANDLE_LOST, HANDLE_KEPT, false},
		{"wrong from the start", HANDLE_WRONG, HANDLE_WRONG, false},
		{"lost later", HANDLE_KEPT, HANDLE_LOST, true},
		{"wrong later", HANDLE_KEPT, HANDLE_WRONG, true},
	};
	char *first[G_N_ELEMENTS(bodies)] = {NULL};

	(void)state;
	for (size_t n = 0; n < G_N_ELEMENTS(fates); n++) {
		const char *algorithm;
		struct bench b;

		handle_fate = fates[n].at_start;
		bench_init(&b, "ed.pem", "");
		handle_fate = fates[n].later;
		add_field(&b, "From", " a");
		check_int(fates[n].name, signer_body_fast(b.signer), fates[n].quick);
		check_true(fates[n].name, signer_keys_cached(b.signer));
		for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
			char *value;

			b.body = bodies[i];
			value = sign(&b, over_from, 0, &algorithm);
			if (first[i] == NULL)
				first[i] = g_strdup(value);
			check_string(fates[n].name, value, first[i]);
			g_free(value);
		}
		bench_free(&b);
	}
	handle_fate = HANDLE_KEPT;
	for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++)
		g_free(first[i]);
}

/* The signatures of a message share the body's hash: made by the first, and the same for the second. */
static void
test_shared_hash(void **state)
{
	struct body_hash hash = {0};
	const char *algorithm;
	struct bench b;
	char *alone;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
		bench_init(&b, "ed.pem", bodies[i]);
		add_field(&b, "From", " a");
		alone = sign(&b, over_from, 0, &algorithm);
		hash.known = false;
		b.hash = &hash;
		for (int n = 0; n < 2; n++) {
			char *value = sign(&b, over_from, 0, &algorithm);

			assert_true(hash.known);
			check_string(bodies[i], value, alone);
			g_free(value);
		}
		g_free(alone);
		bench_free(&b);
	}
}

/* libopendkim wants CRLF at the end; what it says of LF alone counts. */
static void
test_bare_lf_at_the_end(void **state)
{
	struct sign_request r = {.oversigned = over_from, .body = "a\r\nb\n", .body_len = 5, .now = NOW};
	struct buf out = BUF_INIT;
	const char *algorithm;
	char *why = NULL;
	struct bench b;

	(void)state;
	bench_init(&b, "ed.pem", "");
	add_field(&b, "From", " a");
	r.signature = &b.signature;
	r.fields = b.fields;
	assert_false(b.signer->sign(b.signer->context, &r, &out, &algorithm, &why));
	assert_non_null(strstr(why, "CRLF"));
	assert_int_equal(out.len, 0);
	g_free(why);
	buf_free(&out);
	bench_free(&b);
}

/* The road for a libopendkim that does not reach the hook. */
static void
test_pem_of_key(void **state)
{
	char *why = NULL, *pem, handle[KEY_HANDLE_SIZE];
	void *key = keygen_new(KEY_ED25519, 0, &why);

	(void)state;
	pem = keygen_pem(key);
	assert_true(g_str_has_prefix(pem, "-----BEGIN PRIVATE KEY-----"));
	key_handle_make(key, handle);
	assert_true(g_str_has_prefix(handle, "-----"));
	assert_true(strlen(handle) < sizeof handle);
	g_free(pem);
	keygen_free(key);
}

/* RFC 6376 5.4: From must be covered. */
static void
test_no_from(void **state)
{
	struct sign_request r = {.oversigned = over_from, .body = "", .now = NOW};
	struct buf out = BUF_INIT;
	const char *algorithm;
	char *why = NULL;
	struct bench b;

	(void)state;
	bench_init(&b, "rsa.pem", "");
	add_field(&b, "Subject", " s");
	r.signature = &b.signature;
	r.fields = b.fields;
	assert_false(b.signer->sign(b.signer->context, &r, &out, &algorithm, &why));
	assert_non_null(why);
	g_free(why);
	buf_free(&out);
	bench_free(&b);
}

static void
test_bad_key(void **state)
{
	struct sign_request r = {.oversigned = over_from, .body = "", .now = NOW};
	struct buf out = BUF_INIT;
	const char *algorithm;
	char *why = NULL;
	struct bench b;

	(void)state;
	fixture_write("bad.pem", "garbage\n", 8, 0600);
	bench_init(&b, "bad.pem", "");
	add_field(&b, "From", " a");
	r.signature = &b.signature;
	r.fields = b.fields;
	assert_false(b.signer->sign(b.signer->context, &r, &out, &algorithm, &why));
	assert_non_null(strstr(why, "bad.pem"));
	assert_null(strstr(why, "garbage"));
	assert_int_equal(out.len, 0);
	g_free(why);
	buf_free(&out);
	bench_free(&b);
	signer_free(NULL);
}

/* Two threads with two keys and one signer: each signature belongs to its message and its key. */
static struct bench shared;
static struct signature second_signature;

static void *
sign_many(void *which)
{
	const struct signature *signature = which;
	const char *id = signature == &second_signature ? "two" : "one", *algorithm;
	char *value_of_field = g_strdup_printf(" %s", id), *canonical = g_strdup_printf("from:%s\r\n", id);
	struct field from = {"From", value_of_field, 4, 4};
	GPtrArray *fields = g_ptr_array_new();
	unsigned long wrong = 0;
	enum key_type type;
	char *why = NULL;
	EVP_PKEY *key = key_get(signature->key, &type, &why);

	g_ptr_array_add(fields, &from);
	for (int i = 0; i < 200; i++) {
		const struct sign_request r = {.signature = signature, .fields = fields, .oversigned = over_from,
					       .body = "x\r\n", .body_len = 3, .now = NOW, .expire = i % 3};
		struct buf out = BUF_INIT;

		if (!shared.signer->sign(shared.signer->context, &r, &out, &algorithm, &why) ||
		    !good(out.data, canonical, key, type == KEY_RSA))
			wrong++;
		buf_free(&out);
	}
	g_ptr_array_free(fields, TRUE);
	g_free(canonical);
	g_free(value_of_field);
	return (void *)wrong;
}

static void
test_two_threads(void **state)
{
	const struct origin at = {"f", 1};
	pthread_t threads[2];
	void *wrong;

	(void)state;
	bench_init(&shared, "rsa.pem", "");
	second_signature = shared.signature;
	second_signature.key = keystore_add(shared.ks, fixture_path("ed.pem"), at, "k");
	assert_int_equal(pthread_create(&threads[0], NULL, sign_many, &shared.signature), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, sign_many, &second_signature), 0);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_int_equal((uintptr_t)wrong, 0);
	}
	bench_free(&shared);
}

static int
setup(void **state)
{
	(void)state;
	fixture_key("rsa.pem", KEY_RSA, 2048);
	fixture_key("ed.pem", KEY_ED25519, 0);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_body_without_final_line_end),
		cmocka_unit_test(test_expiry_and_oversigning),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_handle_reaches_the_hook),
		cmocka_unit_test(test_body_is_not_fed),
		cmocka_unit_test(test_hash_that_does_not_arrive),
		cmocka_unit_test(test_shared_hash),
		cmocka_unit_test(test_bare_lf_at_the_end),
		cmocka_unit_test(test_pem_of_key),
		cmocka_unit_test(test_no_from),
		cmocka_unit_test(test_bad_key),
		cmocka_unit_test(test_two_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, NULL);
}
