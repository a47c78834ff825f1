/*
 * keygen - makes DKIM keys and the text of their DNS records; see keygen.h.
 */
#include "io/keygen.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#define ED25519_PUBLIC_SIZE 32

void *
keygen_new(enum key_type type, unsigned bits, char **why)
{
	EVP_PKEY *pkey = type == KEY_RSA ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
					 : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	if (pkey == NULL)
		*why = g_strdup("OpenSSL cannot make the key");
	return pkey;
}

void
keygen_free(void *pkey)
{
	EVP_PKEY_free(pkey);
}

char *
keygen_pem(void *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text = NULL;
	long len;

	if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) == 1 &&
	    (len = BIO_get_mem_data(bio, &data)) > 0)
		text = g_strndup(data, (gsize)len);
	BIO_free(bio);
	return text;
}

char *
keygen_record(void *pkey, enum key_type type)
{
	unsigned char raw[ED25519_PUBLIC_SIZE], *der = NULL;
	size_t len = sizeof raw;
	char *base64 = NULL, *record;

	if (type == KEY_ED25519) {
		if (EVP_PKEY_get_raw_public_key(pkey, raw, &len) == 1)
			base64 = g_base64_encode(raw, len);
	} else {
		int der_len = i2d_PUBKEY(pkey, &der);

		if (der_len > 0)
			base64 = g_base64_encode(der, (gsize)der_len);
		OPENSSL_free(der);
	}
	if (base64 == NULL)
		return NULL;
	record = g_strdup_printf("v=DKIM1; k=%s; p=%s", type == KEY_RSA ? "rsa" : "ed25519", base64);
	g_free(base64);
	return record;
}

char *
keygen_kind(void *pkey, enum key_type type)
{
	return type == KEY_RSA ? g_strdup_printf("rsa-%d", EVP_PKEY_get_bits(pkey)) : g_strdup("ed25519");
}

static bool
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

bool
keygen_write(const char *path, const char *text, char **why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 && write_all(fd, text, strlen(text));

	if (!ok)
		*why = g_strdup_printf("%s: %s", path, g_strerror(errno));
	if (fd >= 0 && close(fd) != 0 && ok) {
		*why = g_strdup_printf("%s: %s", path, g_strerror(errno));
		ok = false;
	}
	if (!ok && fd >= 0)
		unlink(path); /* half a key is worse than none */
	return ok;
}
