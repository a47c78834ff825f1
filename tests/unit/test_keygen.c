/*
 * test_keygen - new keys, their PEM form, the text of their DNS records.
 */
#include "fixture.h"

#include "io/keygen.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static EVP_PKEY *
public_of_record(const char *record, const char *prefix, enum key_type type)
{
	const unsigned char *p;
	unsigned char *octets;
	gsize len;
	EVP_PKEY *key;

	assert_true(g_str_has_prefix(record, prefix));
	octets = g_base64_decode(record + strlen(prefix), &len);
	p = octets;
	/* RFC 6376 3.6.1: SubjectPublicKeyInfo; RFC 8463 4.2: the 32 octets alone. */
	if (type == KEY_RSA)
		key = d2i_PUBKEY(NULL, &p, (long)len);
	else
		key = len == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, octets, len) : NULL;
	g_free(octets);
	return key;
}

static void
test_record_belongs_to_key(void **state)
{
	static const struct {
		const char *name;
		enum key_type type;
		unsigned bits;
		const char *prefix;
	} cases[] = {
		{"RSA 1024", KEY_RSA, 1024, "v=DKIM1; k=rsa; p="},
		{"RSA 2048", KEY_RSA, 2048, "v=DKIM1; k=rsa; p="},
		{"RSA 4096", KEY_RSA, 4096, "v=DKIM1; k=rsa; p="},
		{"Ed25519", KEY_ED25519, 0, "v=DKIM1; k=ed25519; p="},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *why = NULL, *record, *pem;
		EVP_PKEY *key = keygen_new(cases[i].type, cases[i].bits, &why), *public, *private;
		BIO *bio;

		check_true(cases[i].name, key != NULL);
		if (cases[i].type == KEY_RSA)
			check_int(cases[i].name, EVP_PKEY_get_bits(key), cases[i].bits);
		record = keygen_record(key, cases[i].type);
		public = public_of_record(record, cases[i].prefix, cases[i].type);
		check_true(cases[i].name, public != NULL && EVP_PKEY_eq(key, public) == 1);
		check_true(cases[i].name, strpbrk(record, "\r\n\"") == NULL);
		pem = keygen_pem(key);
		check_true(cases[i].name, g_str_has_prefix(pem, "-----BEGIN PRIVATE KEY-----\n"));
		bio = BIO_new_mem_buf(pem, -1);
		private = PEM_read_bio_PrivateKey_ex(bio, NULL, NULL, NULL, NULL, NULL);
		check_true(cases[i].name, private != NULL && EVP_PKEY_eq(key, private) == 1);
		BIO_free(bio);
		EVP_PKEY_free(private);
		EVP_PKEY_free(public);
		g_free(pem);
		g_free(record);
		keygen_free(key);
	}
}

static void
test_keys_differ(void **state)
{
	char *why = NULL;
	EVP_PKEY *a = keygen_new(KEY_ED25519, 0, &why), *b = keygen_new(KEY_ED25519, 0, &why);

	(void)state;
	assert_int_equal(EVP_PKEY_eq(a, b), 0);
	keygen_free(a);
	keygen_free(b);
	keygen_free(NULL);
}

static void
test_bad_size(void **state)
{
	char *why = NULL;

	(void)state;
	assert_null(keygen_new(KEY_RSA, 8, &why));
	assert_non_null(why);
	g_free(why);
}

static void
test_write(void **state)
{
	const char *path = fixture_path("new.pem");
	char *why = NULL, *text = NULL;
	mode_t mask = umask(0);
	struct stat st;

	(void)state;
	assert_true(keygen_write(path, "first\n", &why));
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_false(keygen_write(path, "second\n", &why)); /* a key is never overwritten */
	assert_non_null(strstr(why, path));
	g_free(why);
	assert_true(g_file_get_contents(path, &text, NULL, NULL));
	assert_string_equal(text, "first\n");
	g_free(text);
	why = NULL;
	assert_int_equal(symlink(fixture_path("elsewhere"), fixture_path("link.pem")), 0);
	assert_false(keygen_write(fixture_path("link.pem"), "third\n", &why));
	assert_int_equal(access(fixture_path("elsewhere"), F_OK), -1);
	g_free(why);
	why = NULL;
	assert_false(keygen_write(fixture_path("no/such/directory"), "x", &why));
	g_free(why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_belongs_to_key),
		cmocka_unit_test(test_keys_differ),
		cmocka_unit_test(test_bad_size),
		cmocka_unit_test(test_write),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
