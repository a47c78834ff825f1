/*
 * gzip - makes a text smaller for its way; see gzip.h.
 */
#define ZLIB_CONST /* zlib.h: what is compressed is const */
#include "io/gzip.h"

#include <limits.h>
#include <zlib.h>

#define WINDOW_BITS (15 + 16) /* the largest window; and gzip's header, not zlib's */
#define MEMORY_LEVEL 8        /* zlib's default */
#define CHUNK 16384

bool
gzip_compress(const void *data, size_t len, struct buf *out)
{
	z_stream z = {.next_in = data, .avail_in = (uInt)len};
	unsigned char chunk[CHUNK];
	int state;

	if (len > UINT_MAX || deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
					   Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	do {
		z.next_out = chunk;
		z.avail_out = sizeof chunk;
		state = deflate(&z, Z_FINISH);
		buf_add(out, chunk, sizeof chunk - z.avail_out);
	} while (state == Z_OK);
	deflateEnd(&z);
	return state == Z_STREAM_END && !buf_failed(out);
}
