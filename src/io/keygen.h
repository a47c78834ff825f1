/*
 * keygen - makes DKIM keys and the text of their DNS records.
 */
#ifndef POOLMILTER_IO_KEYGEN_H
#define POOLMILTER_IO_KEYGEN_H

#include "io/keystore.h"

/** A new private key (EVP_PKEY *), NULL with *why. bits: of an RSA key. Free with keygen_free(). */
void *keygen_new(enum key_type type, unsigned bits, char **why);
void keygen_free(void *pkey);

/** The private key as PEM (PKCS #8), g_free it; NULL on failure. */
char *keygen_pem(void *pkey);

/**
 * The content of the TXT record of a key (RFC 6376 3.6.1, RFC 8463): "v=DKIM1; k=rsa; p=...", in one
 * piece.  g_free it; NULL on failure.
 */
char *keygen_record(void *pkey, enum key_type type);

/** "rsa-2048", "ed25519"; g_free it. */
char *keygen_kind(void *pkey, enum key_type type);

/** Writes the text to a new file with mode 0600; false with *why if the file exists or cannot be written. */
bool keygen_write(const char *path, const char *text, char **why);

#endif
