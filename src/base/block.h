/*
 * block - a few large pieces of memory, kept for the next message.
 *
 * Memory from the system costs as much as signing does: each page of a message of 1 MiB is a fault
 * and has to be zeroed, 0.45 ms in all, and a message that is re-encoded has two bodies.
 */
#ifndef POOLMILTER_BASE_BLOCK_H
#define POOLMILTER_BASE_BLOCK_H

#include <stddef.h>

#define BLOCK_MIN 131072   /* octets: malloc() maps what is not below (daemon/main.c) */
#define BLOCKS_MAX 6291456 /* octets kept in all */

/** A piece that was kept, of at least *size octets, which becomes its size; NULL: there is none. */
void *block_take(size_t *size);

/** Frees a piece of malloc()'s, or keeps it. NULL is allowed. */
void block_free(void *data, size_t size);

#endif
