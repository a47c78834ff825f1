/*
 * rotation_entry - what is written down of the rotation of keys, as text: keys.state.
 *
 *	poolmilter-keys 1
 *	MARK POOL DOMAIN SELECTOR FINGERPRINT AT SEEN BEFORE
 *	...
 *	sha256 OF-ALL-LINES-ABOVE
 *
 * MARK is seen, switched, back or retired; SELECTOR and FINGERPRINT are those of the dkim_next that it is
 * about, so that another key under the same name is not taken for it; AT is seconds since 1970, SEEN 1
 * where its record was seen in the DNS, else 0; BEFORE is the selector that signed until then.  Words and
 * blanks as core/word.h has them.  A pool has one line at most, besides those that are retired.
 */
#ifndef POOLMILTER_CORE_ROTATION_ENTRY_H
#define POOLMILTER_CORE_ROTATION_ENTRY_H

#include "base/buf.h"
#include "core/rotation.h"

#define ROTATION_FINGERPRINT_LEN 64 /* hexadecimal digits in lower case */

struct rotation_entry {
	enum rotation_mark mark;
	char *pool;
	char *domain;
	char *selector;
	char *fingerprint; /* SHA-256 of the public key (SubjectPublicKeyInfo, DER) */
	char *before;      /* the selector that it followed */
	int64_t at;
	bool seen;
};

/** Frees what is in it. */
void rotation_entry_clear(struct rotation_entry *e);
void rotation_entry_free(void *entry);

/** An array of struct rotation_entry *, which it owns. */
GPtrArray *rotation_entries_new(void);

/** Appends all of them as text. */
void rotation_entries_write(const GPtrArray *entries, struct buf *out);

/** Adds what the text says; false with *why (static) if it is damaged: entries then hold a part of it. */
bool rotation_entries_read(GPtrArray *entries, const char *text, size_t len, const char **why);

/** True if it is about this signature; the fingerprint is the caller's to compare. */
bool rotation_entry_names(const struct rotation_entry *e, const struct signature *sig);

#endif
