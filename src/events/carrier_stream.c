/*
 * carrier_stream - brings events into a Redis Stream; see carrier.h, io/event_stream.h.
 *
 * The store looks for a server that is gone much more often than a lane tries: as soon as it has
 * found it, the lane need not wait.
 */
#include "base/log.h"
#include "core/event_route.h"
#include "events/carrier.h"
#include "io/event_stream.h"

#define BATCH 500

struct carrier_stream {
	struct event_stream *stream; /* NULL: none is wanted, or it cannot be */
	bool down;                   /* when it was used last */
};

/* The stream as settings want it; what they cannot have was refused when they were loaded. */
static void
change(struct carrier_stream *c, const struct settings *s)
{
	char *why = NULL;
	bool ok;

	if (c->stream != NULL)
		ok = event_stream_change(c->stream, s, &why);
	else
		ok = (c->stream = event_stream_new(s, &why)) != NULL;
	if (!ok)
		log_line(LOG_ERR, "error: events: stream: %s", why);
	g_free(why);
}

static void
take(void *context, const struct settings *s, carrier_add *add, void *courier)
{
	struct carrier_stream *c = context;

	if (s->events.stream != NULL)
		change(c, s);
	else
		g_clear_pointer(&c->stream, event_stream_free);
	if (c->stream != NULL)
		add(courier, EVENT_ROUTE_STREAM, BATCH, 0, NULL);
}

static bool
send_batch(void *context, struct lane *l, struct delivery *d)
{
	struct carrier_stream *c = context;

	*d = event_stream_add(c->stream, l->rows);
	c->down = d->result != DELIVERY_DONE && !event_stream_up(c->stream);
	return true;
}

static bool
recovered(void *context)
{
	struct carrier_stream *c = context;
	bool up = c->down && event_stream_up(c->stream);

	c->down = c->down && !up;
	return up;
}

static void
end(void *context)
{
	struct carrier_stream *c = context;

	event_stream_free(c->stream);
	g_free(c);
}

void *
carrier_stream_new(const struct carrier **carrier)
{
	static const struct carrier into_stream = {
		.room = 1, .take = take, .send = send_batch, .recovered = recovered, .free = end};

	*carrier = &into_stream;
	return g_new0(struct carrier_stream, 1);
}
