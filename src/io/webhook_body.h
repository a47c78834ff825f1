/*
 * webhook_body - what a webhook's receiver is sent: a JSON object (RFC 8259) with the events in it.
 *
 *	{"version":1,"node":"HOST","events":[...]}
 */
#ifndef POOLMILTER_IO_WEBHOOK_BODY_H
#define POOLMILTER_IO_WEBHOOK_BODY_H

#include "base/buf.h"

#include <glib.h>

#define WEBHOOK_GZIP_MIN 1024 /* octets from which on a body is compressed */

/**
 * Appends the body to out, which is empty: with events (of struct event_row *) as their JSON stands
 * there, compressed if asked for and worth it; *compressed tells.  False if memory runs out.
 */
bool webhook_body(const char *node, const GPtrArray *events, bool gzip, struct buf *out,
		  bool *compressed);

#endif
