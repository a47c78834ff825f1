/*
 * event - what became of a message for one of its recipients; see event.h.
 */
#include "core/event.h"

#include <string.h>

static const char *const types[EVENT_TYPES] = {"accepted", "delivered", "deferred", "bounced",
					       "expired",  "held",      "complaint"};
static const char *const sources[EVENT_SOURCES] = {"log", "report", "text"};

static void
header_free(void *p)
{
	struct event_header *h = p;

	g_free(h->name);
	g_free(h->value);
	g_free(h);
}

struct event *
event_new(enum event_type type, enum event_source source)
{
	struct event *e = g_new0(struct event, 1);

	e->type = type;
	e->source = source;
	e->delay_ms = -1;
	return e;
}

void
event_free(struct event *e)
{
	if (e == NULL)
		return;
	g_free(e->node);
	g_free(e->queue_id);
	g_free(e->message_id);
	g_free(e->pool);
	g_free(e->isp);
	g_free(e->sender);
	g_free(e->recipient);
	g_free(e->original_recipient);
	g_free(e->relay);
	g_free(e->dsn);
	g_free(e->reply);
	if (e->headers != NULL)
		g_ptr_array_unref(e->headers);
	g_free(e);
}

GPtrArray *
event_headers_new(void)
{
	return g_ptr_array_new_with_free_func(header_free);
}

void
event_headers_add(GPtrArray *headers, const char *name, const char *value)
{
	struct event_header *h = g_new(struct event_header, 1);

	h->name = g_strdup(name);
	h->value = g_strdup(value);
	g_ptr_array_add(headers, h);
}

void
event_add_header(struct event *e, const char *name, const char *value)
{
	if (e->headers == NULL)
		e->headers = event_headers_new();
	event_headers_add(e->headers, name, value);
}

const char *
event_type_name(enum event_type t)
{
	return types[t];
}

enum event_type
event_type_find(const char *name)
{
	enum event_type t = 0;

	while (t < EVENT_TYPES && strcmp(types[t], name) != 0)
		t++;
	return t;
}

const char *
event_source_name(enum event_source s)
{
	return sources[s];
}

/* A text with its length in front: no two lists of texts are the same octets. */
static void
add_text(GChecksum *sum, const char *text)
{
	char length[24];

	if (text == NULL)
		text = "";
	g_snprintf(length, sizeof length, "%" G_GSIZE_FORMAT ":", strlen(text));
	g_checksum_update(sum, (const guchar *)length, -1);
	g_checksum_update(sum, (const guchar *)text, -1);
}

void
event_identify(struct event *e, unsigned nth)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	char numbers[80];

	add_text(sum, e->node);
	add_text(sum, e->queue_id);
	add_text(sum, types[e->type]);
	add_text(sum, sources[e->source]);
	add_text(sum, e->recipient);
	add_text(sum, e->dsn);
	add_text(sum, e->reply);
	g_snprintf(numbers, sizeof numbers, "%" G_GINT64_FORMAT " %d %u", e->time, e->code, nth);
	add_text(sum, numbers);
	g_strlcpy(e->id, g_checksum_get_string(sum), sizeof e->id);
	g_checksum_free(sum);
}
