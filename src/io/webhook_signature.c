/*
 * webhook_signature - proves to a receiver of events who sent them; see webhook_signature.h.
 */
#include "io/webhook_signature.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* Signs the pieces one after the other; the number of octets in mac, 0 if it failed. */
static size_t
sign(EVP_PKEY *key, const char *head, const void *body, size_t len, unsigned char *mac, size_t size)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool ok = context != NULL && key != NULL &&
		  EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		  EVP_DigestSignUpdate(context, head, strlen(head)) == 1 &&
		  EVP_DigestSignUpdate(context, body, len) == 1 &&
		  EVP_DigestSignFinal(context, mac, &size) == 1;

	EVP_MD_CTX_free(context);
	return ok ? size : 0;
}

bool
webhook_signature(const char *secret, int64_t timestamp, const void *body, size_t len,
		  char out[WEBHOOK_SIGNATURE_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL,
						     (const unsigned char *)secret, strlen(secret));
	unsigned char mac[EVP_MAX_MD_SIZE];
	char head[32];
	size_t n;

	snprintf(head, sizeof head, "%lld.", (long long)timestamp);
	n = sign(key, head, body, len, mac, sizeof mac);
	EVP_PKEY_free(key);
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[mac[i] >> 4];
		out[2 * i + 1] = digits[mac[i] & 15];
	}
	out[2 * n] = '\0';
	return 2 * n + 1 == WEBHOOK_SIGNATURE_SIZE;
}
