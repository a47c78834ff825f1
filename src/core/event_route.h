/*
 * event_route - which destinations an event goes to, and what they are called.
 *
 * "file", "stream", and "webhook/NAME" of each webhook whose pool and types the event is of.
 */
#ifndef POOLMILTER_CORE_EVENT_ROUTE_H
#define POOLMILTER_CORE_EVENT_ROUTE_H

#include "core/event.h"
#include "core/settings.h"

#define EVENT_ROUTE_FILE "file"
#define EVENT_ROUTE_STREAM "stream"

/** Names of an event's destinations, of char *; g_ptr_array_unref() it. */
GPtrArray *event_route(const struct settings *s, const struct event *e);

/** The name of a webhook's destination; g_free it. */
char *event_route_webhook(const struct webhook *w);

/** Names of all destinations of the settings, in the same way. */
GPtrArray *event_route_all(const struct settings *s);

#endif
