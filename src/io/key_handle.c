/*
 * key_handle - hands libopendkim private keys that are parsed already; see key_handle.h for why.
 *
 * How the hook is reached: libopendkim.so's reference to PEM_read_bio_PrivateKey is bound at run time
 * to the first definition in the search order, which begins with the program itself; the linker exports
 * our definition because the shared library refers to it.  A static libopendkim.a is bound to it when
 * the program is linked.  io/signer.c proves at start that it works and else falls back to PEM text.
 *
 * A handle holds 128 random bits of this process, so that no file and no message can make one up.
 */
#include "io/key_handle.h"

#include <glib.h>
#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "-----poolmilter "

static unsigned long resolved;
static int lend_ed25519; /* libopendkim never frees it: no reference for it. Atomic */

static char prefix_text[sizeof MAGIC + 33];

static void
prefix_init(void)
{
	unsigned char nonce[16];
	size_t at = sizeof MAGIC - 1;

	if (RAND_bytes(nonce, sizeof nonce) != 1)
		g_error("no random numbers");
	memcpy(prefix_text, MAGIC, at);
	for (size_t i = 0; i < sizeof nonce; i++, at += 2)
		snprintf(prefix_text + at, 3, "%02x", nonce[i]);
	prefix_text[at++] = ' ';
	prefix_text[at] = '\0';
}

static const char *
prefix(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, prefix_init);
	return prefix_text;
}

void
key_handle_make(void *pkey, char handle[KEY_HANDLE_SIZE])
{
	snprintf(handle, KEY_HANDLE_SIZE, "%s%" PRIxPTR, prefix(), (uintptr_t)pkey);
}

unsigned long
key_handle_resolved(void)
{
	return __atomic_load_n(&resolved, __ATOMIC_RELAXED);
}

static void
note_freed(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (p != NULL)
		*(bool *)p = true;
}

void
key_handle_note_use(void *pkey)
{
	int index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_EVP_PKEY, 0, NULL, NULL, NULL, note_freed);
	bool freed = false;

	if (index < 0 || EVP_PKEY_set_ex_data(pkey, index, &freed) != 1) {
		EVP_PKEY_free(pkey);
		return;
	}
	EVP_PKEY_free(pkey);
	if (freed)
		return;
	__atomic_store_n(&lend_ed25519, 1, __ATOMIC_RELAXED);
	EVP_PKEY_free(pkey); /* the forgotten one */
}

/* The key of a handle with a new reference, or NULL if the text is none. */
static EVP_PKEY *
handle_resolve(const char *text, size_t len)
{
	const char *p = prefix();
	size_t prefix_len = strlen(p);
	uint64_t pointer = 0;
	char hex[20];
	EVP_PKEY *pkey;

	if (len <= prefix_len || len - prefix_len >= sizeof hex || memcmp(text, p, prefix_len) != 0)
		return NULL;
	memcpy(hex, text + prefix_len, len - prefix_len);
	hex[len - prefix_len] = '\0';
	if (!g_ascii_string_to_unsigned(hex, 16, 1, UINTPTR_MAX, &pointer, NULL))
		return NULL;
	pkey = (EVP_PKEY *)(uintptr_t)pointer;
	if (!__atomic_load_n(&lend_ed25519, __ATOMIC_RELAXED) || !EVP_PKEY_is_a(pkey, "ED25519"))
		EVP_PKEY_up_ref(pkey);
	__atomic_fetch_add(&resolved, 1, __ATOMIC_RELAXED);
	return pkey;
}

/* In front of libcrypto's function of this name: see the top of the file. */
EVP_PKEY *
PEM_read_bio_PrivateKey(BIO *bio, EVP_PKEY **x, pem_password_cb *callback, void *context)
{
	if (BIO_method_type(bio) == BIO_TYPE_MEM) {
		char *text = NULL;
		long len = BIO_get_mem_data(bio, &text);
		EVP_PKEY *pkey = len > 0 ? handle_resolve(text, (size_t)len) : NULL;

		if (pkey != NULL)
			return pkey;
	}
	return PEM_read_bio_PrivateKey_ex(bio, x, callback, context, NULL, NULL);
}
