/*
 * gzip - makes a text smaller for its way; RFC 1952.
 */
#ifndef POOLMILTER_IO_GZIP_H
#define POOLMILTER_IO_GZIP_H

#include "base/buf.h"

/** Appends the compressed text to out; false if memory runs out: then out is of no use. */
bool gzip_compress(const void *data, size_t len, struct buf *out);

#endif
