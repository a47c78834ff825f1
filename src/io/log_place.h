/*
 * log_place - a position in a log file, which finds its file again whatever that is called by then.
 *
 * A file is known by its first octets, which nothing but a truncation changes, and by its inode
 * while nothing stands in it.
 */
#ifndef POOLMILTER_IO_LOG_PLACE_H
#define POOLMILTER_IO_LOG_PLACE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define LOG_PLACE_HEAD 512 /* first octets of the file that are compared, if there are so many */
#define LOG_PLACE_HASH_SIZE 65

struct log_place {
	char *path;      /* of the log, whatever the file's name is */
	uint64_t inode;  /* 0: there was no file */
	int64_t offset;  /* of the next line */
	int64_t changed; /* the file's last change that was seen: nanoseconds since 1970 */
	unsigned head;   /* octets that hash is of: those before offset, at most LOG_PLACE_HEAD */
	char hash[LOG_PLACE_HASH_SIZE];
};

/** Frees its path. */
void log_place_clear(struct log_place *p);

/** Notes the file's first octets before offset; head: as many, or LOG_PLACE_HEAD. */
void log_place_set_head(struct log_place *p, const void *head);

/** As a line of words; g_free it. */
char *log_place_text(const struct log_place *p);

/** Reads that; false if it is of no such form. log_place_clear() it. */
bool log_place_read(const char *text, struct log_place *p);

/** True if an open file is the one that the place is in. */
bool log_place_in(const struct log_place *p, int fd, const struct stat *st);

#endif
