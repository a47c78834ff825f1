/*
 * body_handle - hands libopendkim hashes of bodies; see body_handle.h for why.
 *
 * How the hook is reached: as that of key_handle.c, by the order in which symbols are looked for,
 * or by the linker for a static libopendkim.a.  libcrypto itself may call its functions through
 * ours, and so may any library of the program: these calls go on to the next definition in that
 * order, libcrypto's.
 *
 * Why no signature gets a wrong hash: it is put in only for a context that got the text and nothing
 * else, in the thread that has begun the handle, before it ends it; and the text holds 128 random
 * bits of this process.  Above all, io/signer.c compares the bh= of each signature with the hash of
 * its body: if they differ, libopendkim gets the body itself.  At start the signer proves that the
 * hook is reached and that our hashes are libopendkim's.
 */
#include "io/body_handle.h"

#include <dlfcn.h>
#include <glib.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "poolmilter-body-"
#define NONCE 16 /* octets */

static char text[sizeof MAGIC + 2 * NONCE + 2];

/* What stands for what in this thread. */
static _Thread_local struct {
	const unsigned char *sha256;
	const SHA256_CTX *context; /* the one that got the text; NULL: none yet */
} handle;

/* ---- libcrypto's functions */

static struct {
	int (*update)(SHA256_CTX *c, const void *data, size_t len);
	int (*final)(unsigned char *md, SHA256_CTX *c);
} libcrypto;

static void
libcrypto_init(void)
{
	libcrypto.update =
		(int (*)(SHA256_CTX *, const void *, size_t))dlsym(RTLD_NEXT, "SHA256_Update");
	libcrypto.final = (int (*)(unsigned char *, SHA256_CTX *))dlsym(RTLD_NEXT, "SHA256_Final");
	if (libcrypto.update == NULL || libcrypto.final == NULL)
		g_error("libcrypto has no SHA256_Update() or SHA256_Final()");
}

static void
libcrypto_find(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, libcrypto_init);
}

/* In front of libcrypto's functions of these names: see the top of the file. */
int
SHA256_Update(SHA256_CTX *c, const void *data, size_t len)
{
	libcrypto_find();
	if (handle.sha256 != NULL && handle.context == NULL && c->Nl == 0 && c->Nh == 0 &&
	    len == sizeof text - 1 && memcmp(data, text, len) == 0)
		handle.context = c;
	else if (handle.context == c)
		handle.context = NULL; /* more than the text */
	return libcrypto.update(c, data, len);
}

int
SHA256_Final(unsigned char *md, SHA256_CTX *c)
{
	int ok;

	libcrypto_find();
	ok = libcrypto.final(md, c);
	if (handle.context == c) {
		memcpy(md, handle.sha256, SHA256_DIGEST_LENGTH);
		handle.context = NULL;
		handle.sha256 = NULL;
	}
	return ok;
}

/* ---- the handle */

static void
text_init(void)
{
	unsigned char nonce[NONCE];
	char *at = text + sizeof MAGIC - 1;

	if (RAND_bytes(nonce, sizeof nonce) != 1)
		g_error("no random numbers");
	memcpy(text, MAGIC, sizeof MAGIC - 1);
	for (size_t i = 0; i < sizeof nonce; i++, at += 2)
		snprintf(at, 3, "%02x", nonce[i]);
	memcpy(at, "\r\n", 3);
}

const char *
body_handle_begin(const unsigned char *sha256)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, text_init);
	handle.sha256 = sha256;
	handle.context = NULL;
	return text;
}

void
body_handle_end(void)
{
	handle.sha256 = NULL;
	handle.context = NULL;
}
