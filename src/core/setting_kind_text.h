/*
 * setting_kind_text - what the files of kinds share; private to setting_kind*.c.
 */
#ifndef POOLMILTER_CORE_SETTING_KIND_TEXT_H
#define POOLMILTER_CORE_SETTING_KIND_TEXT_H

#include "core/setting_kind.h"

#include <glib.h>
#include <stddef.h>

/** True if text has 1 to max octets, each alphanumeric ASCII or one of others. */
bool kind_made_of(const char *text, size_t max, const char *others);

/** True if text has no control characters of ASCII. */
bool kind_printable(const char *text);

/** A copy of text (g_free it), or NULL. */
char *kind_accept_if(bool ok, const char *text);

#endif
