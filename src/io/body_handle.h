/*
 * body_handle - hands libopendkim the hash of a body that is hashed already.
 *
 * libopendkim brings a body into its canonical form octet by octet, which takes five times as long
 * as the hash, and does it again for each signature.  It hashes with SHA256_Update() and
 * SHA256_Final(); this module defines these symbols in our program, in front of libcrypto's.  The
 * signer gives libopendkim a short text as the body, which is the same in every canonical form;
 * where that is hashed, our functions put in the hash of the real body (core/body_hash.h).
 * Everything else is passed on.
 */
#ifndef POOLMILTER_IO_BODY_HANDLE_H
#define POOLMILTER_IO_BODY_HANDLE_H

/**
 * From now on, in this thread, the text that is returned (a line with CRLF, that no mail can have)
 * stands for a body with this SHA-256 hash.  Until body_handle_end(); the hash must stay till then.
 */
const char *body_handle_begin(const unsigned char *sha256);
void body_handle_end(void);

#endif
