/*
 * log_rotated - the files that a log has been, by the names that rotation gives them.
 */
#ifndef POOLMILTER_IO_LOG_ROTATED_H
#define POOLMILTER_IO_LOG_ROTATED_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/** A file that was the log once. */
struct log_rotated {
	char *path;
	ino_t inode;
	int64_t size;
	int64_t changed; /* its last line: nanoseconds since 1970 */
};

void log_rotated_free(void *r);

/** Nanoseconds since 1970 when a file was last written to. */
int64_t log_rotated_time(const struct stat *st);

/**
 * True if name, in the directory of a log called base, is one of its rotated files: base.1,
 * base-20261120, base.2026-11-20.1, base.old; where base is "mail.log" also mail-20261120.log.
 * Compressed ones are not: they cannot be read on.
 */
bool log_rotated_is(const char *base, const char *name);

/** The rotated files of a log, oldest first: of struct log_rotated *; g_ptr_array_unref() it. */
GPtrArray *log_rotated_list(const char *path);

#endif
