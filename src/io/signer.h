/*
 * signer - makes DKIM signatures with libopendkim: the signer of the daemon and of poolctl process.
 */
#ifndef POOLMILTER_IO_SIGNER_H
#define POOLMILTER_IO_SIGNER_H

#include "core/sign.h"

#include <time.h>

/**
 * A signer for all threads, or NULL with *why (g_free it).  fixed_time: t= of all signatures, 0 for the
 * time of signing.  Tries at once whether parsed keys and hashes of bodies reach libopendkim
 * (key_handle.h, body_handle.h).
 * Free with signer_free().
 */
struct signer *signer_new(time_t fixed_time, char **why);
void signer_free(struct signer *s);

/** True if keys are parsed once; false if libopendkim parses them for each message (slower, right). */
bool signer_keys_cached(const struct signer *s);

/** True if libopendkim gets the hash of a body; false if it brings each body into its form (the same). */
bool signer_body_fast(const struct signer *s);

#endif
