/*
 * mime - the parts of a message: where their headers and contents lie in the octets.
 *
 * Two readers must agree before anybody may change a part.  mime_read() is a strict one: it knows
 * no mercy for what two programs could read differently, and says so in one word.  mime_confirm()
 * has GMime read the same octets and compares.
 */
#ifndef POOLMILTER_CORE_MIME_H
#define POOLMILTER_CORE_MIME_H

#include "core/codec.h"
#include "core/message.h"

#include <glib.h>
#include <stdbool.h>

#define MIME_DEPTH_MAX 50     /* multiparts in one another */
#define MIME_PARTS_MAX 2000   /* parts, multiparts included */
#define MIME_PIECES_MAX 10000 /* fields in the headers of parts, and parameters in these */
#define MIME_OUTSIDE_MAX \
	2097152 /* octets of these headers, and of what no part of a multipart holds */
#define MIME_LOOKS_MAX 20000000 /* lines with "--", each for every multipart around it */

enum part_kind {
	PART_MULTIPART,
	PART_HTML,       /* text/html */
	PART_TEXT,       /* text/plain, or no Content-Type */
	PART_OTHER_TEXT, /* any other text */
	PART_MESSAGE,    /* message/anything: not looked into */
	PART_OTHER,
};

/** What Content-Transfer-Encoding says. */
enum part_label {
	LABEL_NONE, /* no such field: 7bit, RFC 2045 6.1 */
	LABEL_7BIT,
	LABEL_8BIT,
	LABEL_BINARY,
	LABEL_QUOTED_PRINTABLE,
	LABEL_BASE64,
	LABEL_UNKNOWN, /* what RFC 2045 does not know, or several fields */
};

/** Octets of a message; not terminated. */
struct octets {
	const char *data; /* NULL: there are none */
	size_t len;
};

/**
 * A part.  Offsets count in the body, where they stand; the header of part 0 is the message's, it
 * has none of its own and its label stands in field number label_field of the message.
 */
struct part {
	enum part_kind kind;
	enum part_label label;
	const char *broken; /* why its header cannot be relied on, a static word; NULL: it can */
	const char *sealed; /* "signed" or "encrypted": in such a multipart; NULL: in none */
	bool attachment;    /* it, or what is around it, has a Content-Disposition but "inline" */
	struct octets type; /* "text/plain", as it was written */
	struct octets boundary;     /* of a multipart */
	unsigned depth;             /* multiparts around it */
	guint parent;               /* which of the parts; its own number for part 0 */
	guint children;             /* of a multipart */
	size_t header;              /* where its first field begins */
	size_t label_at, label_end; /* of Content-Transfer-Encoding's value, from the colon on */
	size_t content, end;        /* an empty line ends right before the content */
};

struct mime {
	const struct message *message;
	GArray *parts;         /* of struct part, in the order in which they stand */
	GPtrArray *boundaries; /* of const struct octets *, of all multiparts, sorted */
	int label_field;   /* number of the message's Content-Transfer-Encoding field; -1: none */
	const char *doubt; /* why nothing may be touched, a static word; NULL: no doubt */
};

/**
 * Reads the structure of a message; of the body's survey it wants has_bare_cr.  Never NULL.  If there
 * is doubt, the parts are not to be used.  Linear in the size, a few words of memory a part, at most the
 * limits above.  The message must outlive it.  Free with mime_free().
 */
struct mime *mime_read(const struct message *m, const struct survey *body);
void mime_free(struct mime *mime);

/** One of its parts. */
const struct part *mime_part(const struct mime *mime, guint n);

/**
 * True if GMime finds the same parts, types, encodings and ranges.  Only for a multipart without
 * doubt.
 */
bool mime_confirm(const struct mime *mime);

/** True if a line of the octets begins as a boundary line of any multipart does. */
bool mime_has_boundary(const struct mime *mime, const char *data, size_t len);

#endif
