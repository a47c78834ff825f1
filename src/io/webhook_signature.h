/*
 * webhook_signature - proves to a receiver of events who sent them, and when.
 */
#ifndef POOLMILTER_IO_WEBHOOK_SIGNATURE_H
#define POOLMILTER_IO_WEBHOOK_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_SIGNATURE_SIZE 65

/**
 * The HMAC-SHA256 (RFC 2104) with the secret of the timestamp in decimal digits, a dot, and the
 * body as it is sent, in 64 lower-case hexadecimal digits and a NUL.  The timestamp, seconds
 * since 1970, is signed too, so that an old request cannot be sent again as a new one.  False if
 * libcrypto fails.
 */
bool webhook_signature(const char *secret, int64_t timestamp, const void *body, size_t len,
		       char out[WEBHOOK_SIGNATURE_SIZE]);

#endif
