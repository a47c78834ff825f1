/*
 * event_stream - events as entries of a Redis Stream.
 *
 *	XADD KEY MAXLEN ~ MAX * id ID type TYPE pool POOL event JSON
 *
 * An event that is added again, since nobody knows whether it was, has the same id.
 */
#ifndef POOLMILTER_IO_EVENT_STREAM_H
#define POOLMILTER_IO_EVENT_STREAM_H

#include "core/settings.h"
#include "io/delivery.h"

struct event_stream;

/** For settings with events.stream; NULL with *why (g_free it) if they cannot be, never because the
 * server is not there. */
struct event_stream *event_stream_new(const struct settings *s, char **why);
void event_stream_free(struct event_stream *e); /* NULL is allowed */

/** Takes changed settings; false with *why, and the old ones stay. */
bool event_stream_change(struct event_stream *e, const struct settings *s, char **why);

/** True while the server answers. */
bool event_stream_up(struct event_stream *e);

/** Adds events (of struct event_row *) in one round trip. One caller at a time. */
struct delivery event_stream_add(struct event_stream *e, const GPtrArray *events);

#endif
