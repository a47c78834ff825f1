/*
 * block - a few large pieces of memory, kept for the next message; see block.h.
 *
 * All threads share them, since a worker of libmilter serves any connection.  Kept are at most
 * BLOCKS_MAX octets, whatever came before.  They are malloc()'s, not zeroed, and nobody else's; for
 * AddressSanitizer they are as good as freed meanwhile.
 */
#include "base/block.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#ifdef __has_include
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(data, size) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)0)
#endif

#define KEPT_MAX 16 /* pieces */

struct block {
	void *data;
	size_t size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static struct block kept[KEPT_MAX];
static size_t count, octets;

static struct block
remove_at(size_t n)
{
	struct block b = kept[n];

	kept[n] = kept[--count];
	octets -= b.size;
	return b;
}

void *
block_take(size_t *size)
{
	struct block b = {NULL, 0};
	size_t best = KEPT_MAX;

	pthread_mutex_lock(&lock);
	for (size_t n = 0; n < count; n++)
		if (kept[n].size >= *size && (best == KEPT_MAX || kept[n].size < kept[best].size))
			best = n;
	if (best < KEPT_MAX)
		b = remove_at(best);
	pthread_mutex_unlock(&lock);
	if (b.data != NULL) {
		*size = b.size;
		ASAN_UNPOISON_MEMORY_REGION(b.data, b.size);
	}
	return b.data;
}

void
block_free(void *data, size_t size)
{
	bool keep = false;

	if (size >= BLOCK_MIN) {
		pthread_mutex_lock(&lock);
		keep = count < KEPT_MAX && size <= BLOCKS_MAX - octets;
		if (keep) {
			ASAN_POISON_MEMORY_REGION(data, size);
			kept[count++] = (struct block){data, size};
			octets += size;
		}
		pthread_mutex_unlock(&lock);
	}
	if (!keep)
		free(data);
}
