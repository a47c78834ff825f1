/*
 * body_hash - canonical forms of a body, hashed; see body_hash.h.
 *
 * What a canonical form leaves out at the end is left out first, then the rest is hashed.  In the
 * simple form that is all of it, as it is.  In the relaxed form most text is as it should be
 * already: it is looked at in blocks without a branch, which compilers turn into vector code, and
 * hashed where it lies. Only blocks with a blank that has to change are copied, octet by octet.
 *
 * Memory: libcrypto's, for the time of the call.
 */
#include "core/body_hash.h"

#include <openssl/evp.h>

#define BLOCK 64 /* octets; a multiple of a vector's size */
#define COPY_MAX 4096

struct hasher {
	EVP_MD_CTX *md;
	const char *run; /* octets that are to be hashed as they lie */
	size_t run_len;
	char copy[COPY_MAX]; /* others, that come before them */
	size_t copy_len;
	bool blank; /* blanks were read, and what they become is not known yet */
	bool ok;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
ends_line(const char *p, size_t len)
{
	return len >= 2 && p[len - 2] == '\r' && p[len - 1] == '\n';
}

/* True if blanks in p[0] to p[BLOCK - 1] have to change, or may have to; p[BLOCK] is looked at. */
static bool
block_is_changed(const char *p)
{
	unsigned char changed = 0;

	for (int i = 0; i < BLOCK; i++)
		changed |= (p[i] == '\t') |
			   ((p[i] == ' ') &
			    ((p[i + 1] == ' ') | (p[i + 1] == '\t') | (p[i + 1] == '\r')));
	return changed != 0;
}

/* ---- hashing */

static void
hash(struct hasher *h, const void *data, size_t len)
{
	if (len > 0)
		h->ok = EVP_DigestUpdate(h->md, data, len) == 1 && h->ok;
}

static void
flush(struct hasher *h)
{
	hash(h, h->copy, h->copy_len);
	hash(h, h->run, h->run_len);
	h->copy_len = h->run_len = 0;
}

/* Octets that follow what was put before, as they lie. */
static void
put_run(struct hasher *h, const char *p, size_t len)
{
	if (h->run_len == 0)
		h->run = p;
	h->run_len += len;
}

/* ---- the forms */

/* RFC 6376 3.4.4 (a), octet by octet, of a block or less; end: of the body. */
static void
relax(struct hasher *h, const char *p, size_t len, const char *end)
{
	bool blank = h->blank;
	char *o;

	if (h->run_len > 0 || h->copy_len + len + 1 > COPY_MAX)
		flush(h);
	o = h->copy + h->copy_len;
	for (const char *stop = p + len; p < stop; p++) {
		if (is_blank(*p)) {
			blank = true;
			continue;
		}
		if (blank && !(*p == '\r' && p + 1 < end && p[1] == '\n'))
			*o++ = ' ';
		blank = false;
		*o++ = *p;
	}
	h->copy_len = (size_t)(o - h->copy);
	h->blank = blank;
}

/* Its last octet is no blank. */
static void
hash_relaxed(struct hasher *h, const char *p, size_t len)
{
	const char *end = p + len;

	while (end - p > BLOCK) {
		if (!h->blank && !block_is_changed(p))
			put_run(h, p, BLOCK);
		else
			relax(h, p, BLOCK, end);
		p += BLOCK;
	}
	relax(h, p, (size_t)(end - p), end);
	flush(h);
}

/* Octets before what the relaxed form leaves out at the end, line end included; 0: all is empty. */
static size_t
relaxed_length(const char *p, size_t len)
{
	while (len > 0 && (is_blank(p[len - 1]) || ends_line(p, len)))
		len -= is_blank(p[len - 1]) ? 1 : 2;
	return len;
}

static size_t
simple_length(const char *p, size_t len)
{
	while (ends_line(p, len))
		len -= 2;
	return len;
}

static void
hash_body(struct hasher *h, const char *p, size_t len, bool simple)
{
	len = simple ? simple_length(p, len) : relaxed_length(p, len);
	if (simple)
		hash(h, p, len);
	else if (len > 0)
		hash_relaxed(h, p, len);
	if (simple || len > 0) /* 3.4.3: an empty body is an empty line; 3.4.4: it is empty */
		hash(h, "\r\n", 2);
}

bool
body_hash_make(struct body_hash *bh, const char *body, size_t len)
{
	struct hasher h = {.md = EVP_MD_CTX_new()};
	unsigned n = 0;

	h.ok = h.md != NULL && EVP_DigestInit_ex(h.md, EVP_sha256(), NULL) == 1;
	if (h.ok)
		hash_body(&h, body, len, bh->simple);
	bh->known = h.ok && EVP_DigestFinal_ex(h.md, bh->sha256, &n) == 1 && n == BODY_HASH_SIZE;
	EVP_MD_CTX_free(h.md);
	return bh->known;
}
