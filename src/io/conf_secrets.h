/*
 * conf_secrets - private keys, secrets and passwords that settings name; part of conf_file.
 */
#ifndef POOLMILTER_IO_CONF_SECRETS_H
#define POOLMILTER_IO_CONF_SECRETS_H

#include "base/errors.h"
#include "core/settings.h"

/**
 * Loads them into finished settings, all of one owner: a user's ID.  flags: of conf_file.h.  What cannot
 * be used goes to errors; nothing of what stands in the files.
 */
void conf_secrets_load(struct settings *s, int flags, unsigned owner, struct errors *errors);

#endif
