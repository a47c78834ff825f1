/*
 * carrier_file - brings events into a file; see carrier.h, io/event_file.h.
 */
#include "core/event_route.h"
#include "events/carrier.h"
#include "io/event_file.h"

#define BATCH 5000

struct carrier_file {
	struct event_file *file; /* NULL: none is wanted */
};

static void
take(void *context, const struct settings *s, carrier_add *add, void *courier)
{
	struct carrier_file *c = context;

	g_clear_pointer(&c->file, event_file_free);
	if (s->events.file == NULL)
		return;
	c->file = event_file_new(s->events.file);
	add(courier, EVENT_ROUTE_FILE, BATCH, 0, NULL);
}

static bool
send_batch(void *context, struct lane *l, struct delivery *d)
{
	struct carrier_file *c = context;

	*d = event_file_append(c->file, l->rows);
	return true;
}

static void
end(void *context)
{
	struct carrier_file *c = context;

	event_file_free(c->file);
	g_free(c);
}

void *
carrier_file_new(const struct carrier **carrier)
{
	static const struct carrier into_file = {
		.room = 1, .take = take, .send = send_batch, .free = end};

	*carrier = &into_file;
	return g_new0(struct carrier_file, 1);
}
