/*
 * carrier - a way to bring events somewhere: by HTTP, into a file, into a Redis Stream.
 *
 * Its functions are called by one thread, a courier's, but for wake() and free().
 */
#ifndef POOLMILTER_EVENTS_CARRIER_H
#define POOLMILTER_EVENTS_CARRIER_H

#include "core/settings.h"
#include "events/lane.h"

/** A destination, with what lane_set() wants. */
typedef void carrier_add(void *courier, const char *name, guint batch, int64_t patience,
			 const void *target);

struct carrier {
	guint room; /* batches on their way at a time, at most */

	/** Takes settings, which stay until others are taken, and adds each destination that they
	 * have for it. */
	void (*take)(void *context, const struct settings *s, carrier_add *add, void *courier);

	/** Sends l->rows to l->target. True: *d says how it ended; false: wait() will tell. */
	bool (*send)(void *context, struct lane *l, struct delivery *d);

	/** Waits so many microseconds, until it is woken or batches came back: lane_return(). NULL:
	 * all end in send(). */
	void (*wait)(void *context, gint64 patience);
	void (*wake)(void *context); /* from any thread; NULL with wait */

	/** True once after a failure whose cause is known to be gone. NULL: nothing tells. */
	bool (*recovered)(void *context);

	void (*free)(void *context);
};

/** NULL with *why (g_free it); *carrier is static. Contexts of their functions. */
void *carrier_webhook_new(const struct carrier **carrier, char **why);
void *carrier_file_new(const struct carrier **carrier);
void *carrier_stream_new(const struct carrier **carrier);

#endif
