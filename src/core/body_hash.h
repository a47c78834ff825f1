/*
 * body_hash - the hash of a message's body that a DKIM signature has in bh=.
 */
#ifndef POOLMILTER_CORE_BODY_HASH_H
#define POOLMILTER_CORE_BODY_HASH_H

#include <stdbool.h>
#include <stddef.h>

#define BODY_HASH_SIZE 32 /* octets of SHA-256 */

/** One for all signatures of a message: known when the first of them has made it. */
struct body_hash {
	bool known;
	bool simple; /* of the simple canonical form; false: of the relaxed one */
	unsigned char sha256[BODY_HASH_SIZE];
};

/**
 * Hashes a body in the form that h->simple says: RFC 6376 3.4.3 and 3.4.4.  Lines end with CRLF;
 * any other CR and LF is an octet like others.  A last line without its CRLF is hashed with it.
 * False, and not known, if libcrypto fails.
 */
bool body_hash_make(struct body_hash *h, const char *body, size_t len);

#endif
