/*
 * arena - memory for one short piece of work, given back all at once.
 */
#ifndef POOLMILTER_BASE_ARENA_H
#define POOLMILTER_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* the newest first */
	char *next;		    /* free octets of the newest */
	size_t left;
};

#define ARENA_INIT {NULL, NULL, 0}

/** Memory of size octets, aligned for any type; NULL when there is none. */
void *arena_alloc(struct arena *a, size_t size);

/** Gives everything back; the arena is empty and usable. */
void arena_free(struct arena *a);

#endif
