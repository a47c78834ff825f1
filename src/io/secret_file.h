/*
 * secret_file - files that hold a secret: of Return-Path tokens, or a password.
 */
#ifndef POOLMILTER_IO_SECRET_FILE_H
#define POOLMILTER_IO_SECRET_FILE_H

#include "core/settings.h"

#include <stdbool.h>

/**
 * Reads the secret in path: 16 to 64 octets, line ends behind them do not count.  The file must
 * belong to root or owner, and be neither writable by its group nor open to others, as for keys. On
 * false *why (g_free it) says what is wrong, never what stands in the file.
 */
bool secret_file_read(const char *path, unsigned owner, struct secret *secret, char **why);

/**
 * The password in path's first line, of 1 to 512 octets without NUL; to be cleansed and freed with
 * g_free().  Owner and mode as above.  NULL with *why (g_free it), never what stands in the file.
 */
char *secret_file_password(const char *path, unsigned owner, char **why);

/**
 * Makes path, with a new random secret, mode 0600 and that owner (if we are root), unless it
 * exists. It appears whole or not at all, and of several processes one wins: read it afterwards.
 */
bool secret_file_make(const char *path, unsigned owner, char **why);

/** A random secret that is kept nowhere, to try a configuration with. */
void secret_file_throwaway(struct secret *secret);

#endif
