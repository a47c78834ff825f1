/*
 * carrier_webhook - brings events to receivers by HTTP; see carrier.h, io/webhook.h.
 */
#include "core/event_route.h"
#include "events/carrier.h"
#include "io/webhook.h"

#define REQUESTS_MAX 32 /* at a time */

static void
add_all(const GPtrArray *webhooks, carrier_add *add, void *courier)
{
	for (guint i = 0; i < webhooks->len; i++) {
		const struct webhook *w = webhooks->pdata[i];
		char *name = event_route_webhook(w);

		add(courier, name, (guint)w->batch, w->batch_ms * 1000, w);
		g_free(name);
	}
}

static void
take(void *context, const struct settings *s, carrier_add *add, void *courier)
{
	(void)context;
	add_all(s->webhooks, add, courier);
	for (guint i = 0; i < s->pools->len; i++)
		add_all(((const struct pool *)s->pools->pdata[i])->webhooks, add, courier);
}

static bool
send_batch(void *context, struct lane *l, struct delivery *d)
{
	return !webhook_sender_begin(context, l->target, l->rows, l, d);
}

static void
came_back(void *lane, const struct delivery *d)
{
	lane_return(lane, d);
}

static void
wait_for_answers(void *context, gint64 patience)
{
	webhook_sender_wait(context, (unsigned)((patience + 999) / 1000), came_back);
}

static void
wake(void *context)
{
	webhook_sender_wake(context);
}

static void
end(void *context)
{
	webhook_sender_free(context);
}

void *
carrier_webhook_new(const struct carrier **carrier, char **why)
{
	static const struct carrier by_http = {.room = REQUESTS_MAX,
					       .take = take,
					       .send = send_batch,
					       .wait = wait_for_answers,
					       .wake = wake,
					       .free = end};

	*carrier = &by_http;
	return webhook_sender_new(why);
}
