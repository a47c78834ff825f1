/*
 * webhook - brings events to receivers by HTTP, many at a time: POST with a body of webhook_body.h.
 *
 * Headers of a request, besides those of the configuration:
 *
 *	Content-Type: application/json, Content-Encoding: gzip if it is so
 *	X-Poolmilter-Webhook		the webhook's name
 *	X-Poolmilter-Delivery		an ID of this attempt
 *	X-Poolmilter-Timestamp		seconds since 1970
 *	X-Poolmilter-Signature		"v1=" and webhook_signature.h's; with a secret
 *
 * The receiver has the events when it has answered 2xx, whole or more than WEBHOOK_ANSWER_MAX
 * octets of it.  All else is a failure: redirects are not followed, proxies of the environment
 * not asked.
 *
 * A struct webhook_sender is for one thread, but for webhook_sender_wake().
 */
#ifndef POOLMILTER_IO_WEBHOOK_H
#define POOLMILTER_IO_WEBHOOK_H

#include "core/settings.h"
#include "io/delivery.h"

#define WEBHOOK_ANSWER_MAX 4096 /* octets of a body; more are not waited for */

struct webhook_sender;

/**
 * NULL with *why (g_free it) if libcurl cannot be used. Not while other threads use it for the
 * first time.
 */
struct webhook_sender *webhook_sender_new(char **why);

/** Breaks off what is under way: for that done() is not called. NULL is allowed. */
void webhook_sender_free(struct webhook_sender *s);

/**
 * Begins a request with events (of struct event_row *), which are copied, as w is.  True: it is
 * under way, and webhook_sender_wait() will tell context how it ended.  False: it has failed
 * already, as *d says.
 */
bool webhook_sender_begin(struct webhook_sender *s, const struct webhook *w,
			  const GPtrArray *events, void *context, struct delivery *d);

/** How a request ended; d->why is the callee's to free. */
typedef void webhook_done(void *context, const struct delivery *d);

/**
 * Waits until something happens, it is woken, or so many milliseconds are over; calls done() for
 * requests that have ended.
 */
void webhook_sender_wait(struct webhook_sender *s, unsigned ms, webhook_done *done);

/** Ends a wait, or the next one. From any thread. */
void webhook_sender_wake(struct webhook_sender *s);

#endif
