/*
 * event_route - which destinations an event goes to; see event_route.h.
 */
#include "core/event_route.h"

#include <string.h>

char *
event_route_webhook(const struct webhook *w)
{
	return g_strconcat("webhook/", w->name, NULL);
}

static bool
wants(const struct webhook *w, const struct event *e)
{
	const char *type = event_type_name(e->type);

	if (w->events->len == 0)
		return true;
	for (guint i = 0; i < w->events->len; i++)
		if (strcmp(w->events->pdata[i], type) == 0)
			return true;
	return false;
}

/* Those of a list that want the event; of NULL: all. */
static void
add_webhooks(GPtrArray *names, const GPtrArray *webhooks, const struct event *e)
{
	for (guint i = 0; i < webhooks->len; i++)
		if (e == NULL || wants(webhooks->pdata[i], e))
			g_ptr_array_add(names, event_route_webhook(webhooks->pdata[i]));
}

static GPtrArray *
begin(const struct settings *s)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

	if (s->events.file != NULL)
		g_ptr_array_add(names, g_strdup(EVENT_ROUTE_FILE));
	if (s->events.stream != NULL)
		g_ptr_array_add(names, g_strdup(EVENT_ROUTE_STREAM));
	return names;
}

GPtrArray *
event_route(const struct settings *s, const struct event *e)
{
	GPtrArray *names = begin(s);
	const struct pool *p = e->pool != NULL ? g_hash_table_lookup(s->pool_by_name, e->pool) : NULL;

	add_webhooks(names, s->webhooks, e);
	if (p != NULL)
		add_webhooks(names, p->webhooks, e);
	return names;
}

GPtrArray *
event_route_all(const struct settings *s)
{
	GPtrArray *names = begin(s);

	add_webhooks(names, s->webhooks, NULL);
	for (guint i = 0; i < s->pools->len; i++)
		add_webhooks(names, ((const struct pool *)s->pools->pdata[i])->webhooks, NULL);
	return names;
}
