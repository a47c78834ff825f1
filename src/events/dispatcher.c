/*
 * dispatcher - brings events from the database to all destinations; see dispatcher.h.
 *
 * A courier for each kind: webhooks go side by side in one thread, while a file that is slow to
 * sync or a Redis server that hangs holds up nobody else.
 */
#include "events/dispatcher.h"

#include "events/courier.h"

enum kind { KIND_WEBHOOKS, KIND_FILE, KIND_STREAM, KINDS };

struct dispatcher {
	struct courier *couriers[KINDS];
};

static void *
context_of(enum kind kind, const struct carrier **carrier, char **why)
{
	switch (kind) {
	case KIND_FILE:
		return carrier_file_new(carrier);
	case KIND_STREAM:
		return carrier_stream_new(carrier);
	default:
		return carrier_webhook_new(carrier, why);
	}
}

struct dispatcher *
dispatcher_new(struct settings *s, char **why)
{
	struct dispatcher *d = g_new0(struct dispatcher, 1);

	for (int kind = 0; kind < KINDS; kind++) {
		const struct carrier *carrier;
		void *context = context_of(kind, &carrier, why);

		if (context != NULL)
			d->couriers[kind] =
				courier_new(carrier, context, s, kind == KIND_WEBHOOKS, why);
		if (d->couriers[kind] == NULL) {
			dispatcher_free(d);
			return NULL;
		}
	}
	return d;
}

void
dispatcher_free(struct dispatcher *d)
{
	if (d == NULL)
		return;
	for (int kind = 0; kind < KINDS; kind++)
		if (d->couriers[kind] != NULL)
			courier_stop(d->couriers[kind]);
	for (int kind = 0; kind < KINDS; kind++)
		if (d->couriers[kind] != NULL)
			courier_free(d->couriers[kind]);
	g_free(d);
}

void
dispatcher_change(struct dispatcher *d, struct settings *s)
{
	for (int kind = 0; kind < KINDS; kind++)
		courier_change(d->couriers[kind], s);
}

void
dispatcher_wake(struct dispatcher *d)
{
	for (int kind = 0; kind < KINDS; kind++)
		courier_wake(d->couriers[kind]);
}
