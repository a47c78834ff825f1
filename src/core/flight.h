/*
 * flight - what is known of one message in the MTA's queue, from its first line in the log until its
 * last one, and for late bounces for some days after it.
 */
#ifndef POOLMILTER_CORE_FLIGHT_H
#define POOLMILTER_CORE_FLIGHT_H

#include "core/event.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct flight {
	char *queue_id;
	int64_t born, ended; /* microseconds since 1970; ended 0: it is in the queue */
	char *message_id;    /* NULL: not known yet */
	char *pool;	     /* NULL: no line of ours so far; "-": not treated */
	char *isp;
	char *sender;
	GPtrArray *headers;    /* of struct event_header *; NULL: none */
	GPtrArray *recipients; /* of char *: to whom there were lines of delivery, at most FLIGHT_RECIPIENTS_MAX */
	bool more_recipients;  /* there were more */
	char *parent;	       /* queue ID of the message that was injected again as this one; NULL: none */
	bool local;	       /* it came from this host: it may be another one, injected again */
	unsigned events;       /* so far */
	GPtrArray *pending;    /* of struct event *: from before it was known whose it is; NULL: none */
};

#define FLIGHT_RECIPIENTS_MAX 1000
#define FLIGHT_TEXT_MAX (1024 * 1024) /* octets of flight_write() */

struct flight *flight_new(const char *queue_id, int64_t born);
void flight_free(struct flight *f); /* NULL is allowed */

/** Appends it as text; pending events included. */
void flight_write(const struct flight *f, GString *out);

/** Reads that again; NULL if it is damaged. */
struct flight *flight_read(const char *text, size_t len);

/** True if it is known that the message went to this address (its domain in any case). */
bool flight_has_recipient(const struct flight *f, const char *rcpt);

#endif
