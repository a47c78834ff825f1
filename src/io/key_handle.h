/*
 * key_handle - hands libopendkim private keys that are parsed already.
 *
 * libopendkim takes a key as text only and parses it for every message, which costs 2.6 times the
 * signature (PERF.md).  It parses with PEM_read_bio_PrivateKey(); this module defines that symbol in
 * our program, in front of libcrypto's, where it recognises short handles ("-----poolmilter ...") that
 * stand for parsed keys, and passes everything else on.
 */
#ifndef POOLMILTER_IO_KEY_HANDLE_H
#define POOLMILTER_IO_KEY_HANDLE_H

/** Length of a handle with its NUL. */
#define KEY_HANDLE_SIZE 80

/** Writes the handle of an EVP_PKEY *, which must outlive its use. */
void key_handle_make(void *pkey, char handle[KEY_HANDLE_SIZE]);

/** How many handles have been resolved since the program started; to see whether the hook is reached. */
unsigned long key_handle_resolved(void);

/**
 * After a signature with an Ed25519 key that nobody else holds: frees the key, and learns whether
 * libopendkim forgot to give its reference back, as 2.11 does for Ed25519.  If so, handles of Ed25519 keys
 * lend the caller's reference from now on, or the count of references would run over some day.
 */
void key_handle_note_use(void *pkey);

#endif
