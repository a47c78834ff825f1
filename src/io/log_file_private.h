/*
 * log_file_private - what the parts of log_file share.
 */
#ifndef POOLMILTER_IO_LOG_FILE_PRIVATE_H
#define POOLMILTER_IO_LOG_FILE_PRIVATE_H

#include "io/log_place.h"
#include "io/log_rotated.h"
#include "io/log_source.h"

struct log_file {
	char *path;
	int fd; /* -1: none is open */
	dev_t device;
	struct log_place place; /* of the next line in it; its head is made by position() */
	int64_t next_octet;     /* to be read from it */
	char *data;             /* [start, end): read, and not handed out */
	size_t start, end;
	int64_t skipped;           /* octets of the line at start that were read and dropped */
	char head[LOG_PLACE_HEAD]; /* first octets of it, up to next_octet */
	GPtrArray *next;           /* of struct log_rotated *: to be read after it */
	gint64 renewed; /* when the log was first seen to be another file, with lines; 0: not yet */
	int notify;     /* inotify's descriptor; -1: there is none */
	int watched;    /* its watch of the open file; -1: none */
};

/** Forgets what was read and not handed out. */
void log_file_forget(struct log_file *f);

void log_file_close(struct log_file *f);

/** A descriptor, or -1 with errno; EINVAL: no regular file. */
int log_file_open_regular(const char *path, struct stat *st);

/** Reads on in an open file, which becomes f's, from an offset. */
void log_file_take(struct log_file *f, int fd, const struct stat *st, int64_t offset);

/** Why the log cannot be read; g_free it. */
char *log_file_cannot(const struct log_file *f, int error);

/** Puts those of list, from an index on, that changed since behind the open file. */
void log_file_read_after(struct log_file *f, GPtrArray *list, guint from, int64_t since);

/**
 * Opens the next file behind the one that is open: of f->next, or else the log itself.
 * LOG_READ_ENTRY, LOG_READ_NONE: it is not there yet, or LOG_READ_FAILED with *why.
 */
enum log_read log_file_open_next(struct log_file *f, char **why);

/** Opens what is to be read where f->place is all that is left of the last line; answers the same.
 */
enum log_read log_file_resume(struct log_file *f, char **why);

#endif
