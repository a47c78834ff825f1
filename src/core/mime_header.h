/*
 * mime_header - what the Content-* fields of one header say, read strictly.
 *
 * Of no use but to mime.c.
 */
#ifndef POOLMILTER_CORE_MIME_HEADER_H
#define POOLMILTER_CORE_MIME_HEADER_H

#include "core/mime.h"

/** The fields that matter, as they stand: the last of each name, and how many there are. */
struct mime_header {
	struct octets type, encoding, disposition;
	unsigned types, encodings, dispositions;
	bool multipart; /* some Content-Type speaks of one */
	size_t pieces;  /* fields, and ";" in their values */
};

/** Takes a field note of. Values have no line end; folds may be LF or CRLF. */
void mime_header_take(struct mime_header *h, struct octets name, struct octets value);

/**
 * Sets what the header says of a part: kind, type, label, boundary, attachment, sealed, broken.
 * parent is the multipart around it, NULL for a whole message.  Returns NULL, or a static word if
 * no two readers need agree on what is a part of what.
 */
const char *mime_header_settle(const struct mime_header *h, const struct part *parent,
			       struct part *part);

#endif
