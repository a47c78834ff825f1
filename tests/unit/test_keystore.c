/*
 * test_keystore - which key files are refused, and why (FAULTS D5).
 */
#include "fixture.h"

#include "io/keygen.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct origin at = {"p.conf", 7};

/* PEM text of a key, by what writes it. */
enum form { PRIVATE, PUBLIC, ENCRYPTED, TRADITIONAL };

static char *
pem_of(EVP_PKEY *key, enum form form)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;
	int ok;

	switch (form) {
	case PUBLIC:
		ok = PEM_write_bio_PUBKEY(bio, key);
		break;
	case ENCRYPTED:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(), (char *)"secret", 6, NULL, NULL);
		break;
	case TRADITIONAL:
		ok = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	default:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	}
	assert_int_equal(ok, 1);
	len = BIO_get_mem_data(bio, &data);
	text = g_strndup(data, (gsize)len);
	BIO_free(bio);
	return text;
}

static char *
made_pem(const char *type, unsigned bits, enum form form)
{
	EVP_PKEY *key = strcmp(type, "RSA") == 0  ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
			: strcmp(type, "EC") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
						  : EVP_PKEY_Q_keygen(NULL, NULL, type);
	char *text;

	assert_non_null(key);
	text = pem_of(key, form);
	EVP_PKEY_free(key);
	return text;
}

static char *
crlf(char *text)
{
	char **lines = g_strsplit(text, "\n", -1), *joined = g_strjoinv("\r\n", lines);

	g_strfreev(lines);
	g_free(text);
	return joined;
}

/* Loads one file; *error and *warning are the first of each or NULL. */
static void *
load(const char *path, unsigned owner, enum key_type *type, char **error, char **warning)
{
	struct keystore *ks = keystore_new(owner);
	struct errors *errors = errors_new();
	struct key *k = keystore_add(ks, path, at, "pools[0].dkim_key");
	char *why = NULL;
	void *pkey;

	keystore_load(ks, false, errors);
	*error = errors->errors->len > 0 ? g_strdup(errors->errors->pdata[0]) : NULL;
	*warning = errors->warnings->len > 0 ? g_strdup(errors->warnings->pdata[0]) : NULL;
	pkey = key_get(k, type, &why);
	assert_int_equal(pkey == NULL, errors_any(errors)); /* no refused key can be had anyway */
	assert_int_equal(pkey == NULL, why != NULL);
	g_free(why);
	errors_free(errors);
	keystore_free(ks);
	return pkey;
}

static void
check_refused(const char *name, const char *path, unsigned owner, const char *reason, const char *secret)
{
	char *error, *warning, *prefix = g_strdup_printf("p.conf:7: pools[0].dkim_key: %s: ", path);
	enum key_type type;

	check_true(name, load(path, owner, &type, &error, &warning) == NULL);
	check_true(name, error != NULL);
	if (!g_str_has_prefix(error, prefix) || strstr(error, reason) == NULL)
		fail_msg("case \"%s\": \"%s\" does not tell \"%s\"", name, error, reason);
	check_true(name, secret == NULL || strstr(error, secret) == NULL);
	g_free(prefix);
	g_free(warning);
	g_free(error);
}

static void
test_accepted(void **state)
{
	static const struct {
		const char *name, *type;
		unsigned bits;
		enum form form;
		bool crlf;
		mode_t mode;
		enum key_type want;
		const char *warning; /* NULL: none */
	} cases[] = {
		{"RSA 2048", "RSA", 2048, PRIVATE, false, 0600, KEY_RSA, NULL},
		{"RSA 2048 of OpenSSL's old form", "RSA", 2048, TRADITIONAL, false, 0600, KEY_RSA, NULL},
		{"RSA 1024: a warning", "RSA", 1024, PRIVATE, false, 0600, KEY_RSA, "1024-bit RSA key"},
		{"Ed25519", "ED25519", 0, PRIVATE, false, 0600, KEY_ED25519, NULL},
		{"readable by the group", "ED25519", 0, PRIVATE, false, 0640, KEY_ED25519, NULL},
		{"read only", "ED25519", 0, PRIVATE, false, 0400, KEY_ED25519, NULL},
		{"CRLF line ends", "ED25519", 0, PRIVATE, true, 0600, KEY_ED25519, NULL},
		{"CRLF line ends, RSA", "RSA", 2048, PRIVATE, true, 0600, KEY_RSA, NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *pem = made_pem(cases[i].type, cases[i].bits, cases[i].form), *error, *warning;
		enum key_type type = KEY_ED25519;

		if (cases[i].crlf)
			pem = crlf(pem);
		fixture_write("k.pem", pem, strlen(pem), cases[i].mode);
		(void)load(fixture_path("k.pem"), geteuid(), &type, &error, &warning);
		check_string(cases[i].name, error, NULL);
		check_int(cases[i].name, type, cases[i].want);
		if (cases[i].warning == NULL)
			check_string(cases[i].name, warning, NULL);
		else
			check_true(cases[i].name, warning != NULL && strstr(warning, cases[i].warning) != NULL);
		g_free(warning);
		g_free(error);
		g_free(pem);
	}
}

static void
test_refused_content(void **state)
{
	static const struct {
		const char *name, *type;
		unsigned bits;
		enum form form;
		const char *reason;
	} keys[] = {
		{"512 bits", "RSA", 512, PRIVATE, "fewer than 1024 bits"},
		{"1023 bits", "RSA", 1023, PRIVATE, "fewer than 1024 bits"},
		{"public RSA", "RSA", 2048, PUBLIC, "public key"},
		{"public Ed25519", "ED25519", 0, PUBLIC, "public key"},
		{"encrypted", "RSA", 2048, ENCRYPTED, "passphrase"},
		{"elliptic curve", "EC", 0, PRIVATE, "neither an RSA nor an Ed25519"},
		{"X25519", "X25519", 0, PRIVATE, "neither an RSA nor an Ed25519"},
	};
	static const struct {
		const char *name, *text, *reason;
	} texts[] = {
		{"empty", "", "empty"},
		{"garbage", "hunter2 is my secret\n", "not a PEM file"},
		{"a broken PEM file", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", "no private key can be read"},
		{"a certificate's frame", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no private key can be read"},
		{"cut in the middle", "-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBgkqhkiG9w0BAQEFAASC\n", "no private key can be read"},
		{"our own handle", "-----poolmilter 00000000000000000000000000000000 deadbeef", "not a PEM file"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
		char *pem = made_pem(keys[i].type, keys[i].bits, keys[i].form);

		fixture_write("k.pem", pem, strlen(pem), 0600);
		check_refused(keys[i].name, fixture_path("k.pem"), geteuid(), keys[i].reason, "MII");
		g_free(pem);
	}
	for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
		fixture_write("k.pem", texts[i].text, strlen(texts[i].text), 0600);
		check_refused(texts[i].name, fixture_path("k.pem"), geteuid(), texts[i].reason, "hunter2");
	}
}

static void
test_refused_files(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
		const char *reason;
	} modes[] = {
		{"readable by others", 0604, "open to others"},
		{"writable by others", 0602, "open to others"},
		{"executable by others", 0601, "open to others"},
		{"writable by the group", 0620, "writable by its group"},
		{"all of it", 0777, "open to others"},
	};
	char *pem = made_pem("ED25519", 0, PRIVATE), *large = g_strnfill(65537, 'x');

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
		fixture_write("k.pem", pem, strlen(pem), modes[i].mode);
		check_refused(modes[i].name, fixture_path("k.pem"), geteuid(), modes[i].reason, NULL);
	}
	check_refused("missing", fixture_path("missing.pem"), geteuid(), g_strerror(ENOENT), NULL);
	check_refused("a directory", fixture_directory(), geteuid(), "not a regular file", NULL);
	check_refused("a device", "/dev/null", geteuid(), "not a regular file", NULL);
	fixture_write("k.pem", large, strlen(large), 0600);
	check_refused("too large", fixture_path("k.pem"), geteuid(), "too large", NULL);
	assert_int_equal(mkfifo(fixture_path("fifo"), 0600), 0); /* must not wait for a writer */
	check_refused("a pipe", fixture_path("fifo"), geteuid(), "not a regular file", NULL);
	g_free(large);
	g_free(pem);
}

static void
test_owner(void **state)
{
	char *pem = made_pem("ED25519", 0, PRIVATE), *error, *warning;
	enum key_type type;

	(void)state;
	fixture_write("k.pem", pem, strlen(pem), 0600);
	g_free(pem);
	if (geteuid() != 0) { /* only root can give files away: then our own uid must be told */
		check_refused("another's", fixture_path("k.pem"), geteuid() + 1, "must belong to root", NULL);
		return;
	}
	assert_int_equal(chown(fixture_path("k.pem"), 4242, (gid_t)-1), 0);
	check_refused("another's", fixture_path("k.pem"), 4343, "must belong to root", NULL);
	(void)load(fixture_path("k.pem"), 4242, &type, &error, &warning);
	assert_null(error);
	assert_int_equal(chown(fixture_path("k.pem"), 0, (gid_t)-1), 0);
	(void)load(fixture_path("k.pem"), 4242, &type, &error, &warning);
	assert_null(error);
}

static void
test_same_file_is_one_key(void **state)
{
	struct keystore *ks = keystore_new(geteuid());
	struct errors *errors = errors_new();
	struct key *a, *b, *c;

	(void)state;
	a = keystore_add(ks, fixture_path("missing.pem"), at, "first");
	b = keystore_add(ks, fixture_path("missing.pem"), at, "second");
	c = keystore_add(ks, fixture_path("missing2.pem"), at, "third");
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_string_equal(key_path(a), fixture_path("missing.pem"));
	keystore_load(ks, false, errors);
	assert_int_equal(errors->errors->len, 2); /* each file once, at the place that named it first */
	assert_non_null(strstr(errors->errors->pdata[0], "first: "));
	assert_non_null(strstr(errors->errors->pdata[1], "third: "));
	errors_free(errors);
	keystore_free(ks);
	keystore_free(NULL);
}

/* Many files: checked when loading, parsed at first use, and then the refusal comes with its reason. */
static void
test_lazy(void **state)
{
	struct keystore *ks = keystore_new(geteuid());
	struct errors *errors = errors_new();
	struct key *first = NULL;
	char name[32], *why = NULL;
	enum key_type type;

	(void)state;
	for (unsigned i = 0; i <= KEYSTORE_EAGER; i++) {
		struct key *k;

		g_snprintf(name, sizeof name, "lazy%u.pem", i);
		fixture_write(name, "garbage\n", 8, 0600);
		k = keystore_add(ks, fixture_path(name), at, "k");
		first = first != NULL ? first : k;
	}
	keystore_load(ks, false, errors);
	assert_int_equal(errors->errors->len, 0);
	assert_null(key_get(first, &type, &why));
	assert_non_null(strstr(why, "not a PEM file"));
	g_free(why);
	fixture_key("lazy0.pem", KEY_ED25519, 0); /* mended: no restart needed */
	assert_non_null(key_get(first, &type, &why));
	assert_int_equal(type, KEY_ED25519);
	keystore_load(ks, true, errors); /* poolctl check --keys */
	assert_int_equal(errors->errors->len, KEYSTORE_EAGER);
	errors_free(errors);
	keystore_free(ks);
}

static void *
get_key(void *key)
{
	enum key_type type;
	char *why = NULL;
	void *pkey = key_get(key, &type, &why);

	g_free(why);
	return pkey;
}

static void
test_threads_get_the_same_key(void **state)
{
	struct keystore *ks = keystore_new(geteuid());
	pthread_t threads[8];
	struct key *k;
	void *first = NULL;

	(void)state;
	fixture_key("k.pem", KEY_RSA, 2048);
	k = keystore_add(ks, fixture_path("k.pem"), at, "k");
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_key, k), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
		void *pkey = NULL;

		assert_int_equal(pthread_join(threads[i], &pkey), 0);
		assert_non_null(pkey);
		first = first != NULL ? first : pkey;
		assert_ptr_equal(pkey, first);
	}
	keystore_free(ks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused_content),
		cmocka_unit_test(test_refused_files),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_same_file_is_one_key),
		cmocka_unit_test(test_lazy),
		cmocka_unit_test(test_threads_get_the_same_key),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
