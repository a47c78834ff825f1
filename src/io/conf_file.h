/*
 * conf_file - reads a configuration file (libconfig) into settings.
 */
#ifndef POOLMILTER_IO_CONF_FILE_H
#define POOLMILTER_IO_CONF_FILE_H

#include "base/errors.h"
#include "core/settings.h"

#define CONF_FILE_KEYS 1    /* parse all keys, however many (poolctl check --keys) */
#define CONF_FILE_SECRET 2  /* make the Return-Path secret in state_dir if none exists (the daemon) */
#define CONF_FILE_THROWAWAY 8 /* where that secret is not there yet: one of this process, with a warning */
#define CONF_FILE_NO_SECRET 4 /* do without Return-Path secrets (poolctl check) */

/**
 * Reads path, the files it includes and those of include_dir, and returns new settings (one reference
 * for the caller), or NULL.  Everything that is wrong goes to errors, not only the first; warnings may
 * be there also on success.
 */
struct settings *conf_file_load(const char *path, int flags, struct errors *errors);

#endif
