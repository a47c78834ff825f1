/*
 * buf - growable bytes for message-sized data.
 *
 * Small allocations (GLib's) cannot fail: the process dies.  What grows with a message may fail, and
 * costs that one message a 4xx: a buf remembers the failure ("sticky"), ignores what is appended
 * afterwards, and the owner asks buf_failed() once before it uses the content.
 */
#ifndef POOLMILTER_BASE_BUF_H
#define POOLMILTER_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL while empty; always followed by a NUL when not */
	size_t len; /* octets in use, without the NUL */
	size_t size;
	bool failed;
};

#define BUF_INIT {NULL, 0, 0, false}

/** Appends len octets. Sets the sticky failure when memory runs out. */
void buf_add(struct buf *b, const void *data, size_t len);

/** Appends a NUL-terminated string. */
void buf_puts(struct buf *b, const char *s);

/** Makes room for len more octets beforehand, so that appends do not copy. */
void buf_reserve(struct buf *b, size_t len);

/** True if an append failed since the buf was made or cleared: the content is incomplete. */
bool buf_failed(const struct buf *b);

/** Empties the buf but keeps its memory if that is at most keep octets. */
void buf_clear(struct buf *b, size_t keep);

/** Frees the memory; the buf is empty and usable. */
void buf_free(struct buf *b);

#endif
