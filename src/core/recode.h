/*
 * recode - another transfer encoding for parts: the original octets, spliced.
 *
 * Of no use but to encode.c.
 */
#ifndef POOLMILTER_CORE_RECODE_H
#define POOLMILTER_CORE_RECODE_H

#include "core/mime.h"

enum recode_step {
	RECODE_NOTHING,
	RECODE_LABEL,  /* content that is not encoded gets another Content-Transfer-Encoding */
	RECODE_ENCODE, /* content that is not encoded will be */
	RECODE_DECODE, /* encoded content gets another encoding, or the same one anew */
};

/** What is to become of a part. */
struct recode_order {
	enum recode_step step;
	enum part_label to; /* LABEL_8BIT for RECODE_DECODE: or 7bit, or quoted-printable */
	bool anew;          /* of RECODE_DECODE: even if it has the encoding already */
};

/** The new body while it grows. */
struct recoder {
	const struct mime *mime;
	struct buf *out; /* sticky failure: the caller asks for it */
	size_t copied;   /* octets of the old body that are done with */
	bool changed;    /* the body will be another one */
	bool done;       /* the last part has changed */
	const char
		*why; /* why the last part stayed as it is, a static word; NULL: nothing is wrong */
};

/**
 * Does what is ordered for a part; parts come in their order.  Returns the label that the part has
 * now: that of part 0 is for the caller to write.  Appends to out only if something changes.
 */
enum part_label recode_part(struct recoder *r, guint n, const struct recode_order *order);

/** The label that recode_part() would give the part; changes nothing. */
enum part_label recode_label(const struct mime *mime, guint n, const struct recode_order *order);

/** Copies what follows the last part. */
void recode_end(struct recoder *r);

/** The value of Content-Transfer-Encoding; "7bit" for LABEL_NONE. Not for LABEL_UNKNOWN. */
const char *recode_word(enum part_label label);

#endif
