/*
 * dkim - makes DKIM signatures with libopendkim: the signer of the daemon and of poolctl process.
 */
#ifndef POOLMILTER_IO_DKIM_H
#define POOLMILTER_IO_DKIM_H

#include "core/sign.h"

#include <time.h>

/**
 * A signer for all threads, or NULL with *why (g_free it).  fixed_time: t= of all signatures, 0 for the
 * time of signing.  Tries at once whether parsed keys reach libopendkim (dkim_key.h).
 * Free with dkim_signer_free().
 */
struct signer *dkim_signer_new(time_t fixed_time, char **why);
void dkim_signer_free(struct signer *s);

/** True if keys are parsed once; false if libopendkim parses them for each message (slower, right). */
bool dkim_signer_keys_cached(const struct signer *s);

#endif
