/*
 * event_json - an event as a JSON object (RFC 8259), in one line; poolevents(8) tells its members.
 */
#ifndef POOLMILTER_IO_EVENT_JSON_H
#define POOLMILTER_IO_EVENT_JSON_H

#include "core/event.h"

/**
 * The event as JSON, without a line end; g_free it.  Octets that are not UTF-8 become U+FFFD, control
 * characters \u00XX; replies are cut at EVENT_REPLY_MAX octets, other texts at 1000.  What is not known is
 * left out.
 */
char *event_json(const struct event *e);

#define EVENT_REPLY_MAX 4096

#endif
