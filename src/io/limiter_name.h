/*
 * limiter_name - names in Redis for keys of any octets.
 */
#ifndef POOLMILTER_IO_LIMITER_NAME_H
#define POOLMILTER_IO_LIMITER_NAME_H

#include <glib.h>

#define LIMITER_NAME_MAX 200 /* octets of a safe name */

/**
 * Appends a safe name: letters, digits and "._/-" as they are, other octets as "%HH".  One that
 * would be longer than LIMITER_NAME_MAX is cut, and "~" and the SHA-256 of the whole follow.
 * Different keys have different names.
 */
void limiter_name_add(GString *out, const char *key);

/** The key of a name, or what is left of it (g_free it). */
char *limiter_name_key(const char *name);

#endif
