/*
 * buf - growable bytes for message-sized data; see buf.h for the contract.
 */
#include "base/buf.h"
#include "base/block.h"

#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 512

/* Other memory with the content, of at least *size octets, which becomes its size; NULL: none. */
static char *
grow(const struct buf *b, size_t *size)
{
	char *data = *size >= BLOCK_MIN ? block_take(size) : NULL;

	if (data == NULL)
		return realloc(b->data, *size);
	if (b->data != NULL)
		memcpy(data, b->data, b->len + 1);
	block_free(b->data, b->size);
	return data;
}

void
buf_reserve(struct buf *b, size_t len)
{
	size_t want, size;
	char *data;

	if (b->failed)
		return;
	if (len >= (size_t)-1 / 4 - b->len) {
		b->failed = true;
		return;
	}
	want = b->len + len + 1;
	if (want <= b->size)
		return;
	/* The first room is what is asked for: who knows the size gets no more. */
	size = b->size ? b->size : want > BUF_FIRST ? want : BUF_FIRST;
	while (size < want)
		size += size / 2; /* 1.5: a body that doubles would hold 3 x its size while it grows */
	data = grow(b, &size);
	if (data == NULL) {
		b->failed = true;
		return;
	}
	b->data = data;
	b->size = size;
}

void
buf_add(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	buf_reserve(b, len);
	if (b->failed)
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

void
buf_clear(struct buf *b, size_t keep)
{
	if (b->size > keep) {
		buf_free(b);
		return;
	}
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void
buf_free(struct buf *b)
{
	block_free(b->data, b->size);
	b->data = NULL;
	b->len = b->size = 0;
	b->failed = false;
}
