/*
 * message - what came in: envelope, client, header fields as received, body.  Nobody changes it.
 *
 * Collected by the session (or by poolctl process), then sealed; stages read it.  Header values are
 * kept as the milter protocol gives them: with their leading space, folds as LF, no line end.  The
 * body has CRLF line ends, as on the wire.
 */
#ifndef POOLMILTER_CORE_MESSAGE_H
#define POOLMILTER_CORE_MESSAGE_H

#include "base/buf.h"
#include "core/network.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/** One header field; the octets belong to the message (or to the plan that made it). */
struct field {
	const char *name;
	const char *value;
	size_t name_len;
	size_t value_len;
};

struct message {
	char *queue_id;	 /* NULL until known */
	char *sender;	 /* MAIL FROM address without <>; "" is the null reverse-path */
	GPtrArray *rcpts; /* of char *, without <>, as accepted by the MTA */
	char *login;	 /* {auth_authen}; NULL: not authenticated */
	struct address client;
	bool local;	 /* local submission: pickup, sendmail -bs */
	bool dsn;	 /* it came with DSN options (RFC 3461) that only the MTA knows */

	struct buf header; /* octets of all fields; fields point into it once sealed */
	GArray *fields;	   /* of struct field */
	struct buf body;
	uint64_t size; /* octets of header and body as they came, also of what was not kept */
	uint64_t size_max;
	bool too_large; /* size went over size_max: header and body are incomplete */
	bool damaged;	/* memory ran out: header or body are incomplete */
	bool sealed;
};

/** A new message; sender is copied. size_max: octets to keep at most. Free with message_free(). */
struct message *message_new(const char *sender, uint64_t size_max);
void message_free(struct message *m);

/** Adds a recipient (without <>). */
void message_add_rcpt(struct message *m, const char *rcpt);

/** Adds a header field at the end; blanks behind the name are dropped, value with its leading space, folds as LF or CRLF. */
void message_add_field(struct message *m, const char *name, size_t name_len, const char *value,
		       size_t value_len);

/** Adds octets of the body. */
void message_add_body(struct message *m, const void *data, size_t len);

/** Ends the collection: fields are usable from now on. */
void message_seal(struct message *m);

/** True if the field has this name, whatever its case. */
bool field_is(const struct field *f, const char *name);

/** The same for a pattern: a '*' at its end stands for any rest. */
bool field_matches(const struct field *f, const char *pattern);

/** The nth (from 0) field of a name; NULL if there are fewer. */
const struct field *message_field(const struct message *m, const char *name, unsigned nth);

/** A path without its angle brackets ("<a@b>" -> "a@b"), as it is if it has none; g_free it. */
char *address_of_path(const char *path);

/** The domain of an address: what follows the last '@'; NULL if there is none. */
const char *address_domain(const char *address);

#endif
