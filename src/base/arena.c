/*
 * arena - memory for one short piece of work; see arena.h.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define CHUNK_SIZE 32000 /* octets: below malloc's threshold for mmap, enough for a small message */

struct arena_chunk {
	struct arena_chunk *older;
	alignas(max_align_t) char octets[];
};

static struct arena_chunk *
chunk_new(struct arena *a, size_t size)
{
	struct arena_chunk *c = malloc(sizeof *c + size);

	if (c == NULL)
		return NULL;
	c->older = a->chunks;
	a->chunks = c;
	return c;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	size_t align = alignof(max_align_t);
	struct arena_chunk *c;
	void *p;

	if (size > (size_t)-1 / 2)
		return NULL;
	size = (size + align - 1) / align * align;
	if (size > CHUNK_SIZE / 4) {
		/* Large pieces have a chunk of their own; the newest goes on being filled. */
		c = chunk_new(a, size);
		return c != NULL ? c->octets : NULL;
	}
	if (size > a->left) {
		c = chunk_new(a, CHUNK_SIZE);
		if (c == NULL)
			return NULL;
		a->next = c->octets;
		a->left = CHUNK_SIZE;
	}
	p = a->next;
	a->next += size;
	a->left -= size;
	return p;
}

void
arena_free(struct arena *a)
{
	while (a->chunks != NULL) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->older;
		free(c);
	}
	a->next = NULL;
	a->left = 0;
}
