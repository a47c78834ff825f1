/*
 * state_file - a file that outlives the process: written whole or not at all.
 */
#ifndef POOLMILTER_IO_STATE_FILE_H
#define POOLMILTER_IO_STATE_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <sys/types.h>

/**
 * Appends the content of path, at most max octets, to out (the caller's to free, also on false).  A
 * file that does not exist is an empty one.  False with *why (g_free it), which names the path.
 */
bool state_file_read(const char *path, size_t max, struct buf *out, char **why);

/**
 * Puts a new file of that mode in the place of path: written beside it as PATH.new, synced,
 * renamed.  What is there stays, whatever goes wrong, also a power failure.  False with *why (g_free
 * it).  Not for two writers at a time.
 */
bool state_file_write(const char *path, mode_t mode, const void *data, size_t len, char **why);

/** Makes path's name outlive a power failure, as fsync() does its content; false: errno. */
bool state_file_sync_directory(const char *path);

#endif
