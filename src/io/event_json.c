/*
 * event_json - an event as a JSON object; see event_json.h.
 *
 * jansson takes UTF-8 only, and texts here are whatever a server or a sender made up: they are made
 * valid before.
 */
#include "io/event_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1000 /* octets */

/* A text cut at so many octets, in valid UTF-8. */
static json_t *
text_value(const char *text, size_t most)
{
	size_t len = strnlen(text, most);
	char *valid;
	json_t *value;

	/* Not in the middle of a character, which would look like a damaged one. */
	if (text[len] != '\0')
		while (len > 0 && len > most - 4 && ((unsigned char)text[len] & 0xC0) == 0x80)
			len--;
	valid = g_utf8_make_valid(text, (gssize)len);
	value = json_string(valid);
	g_free(valid);
	return value;
}

static void
put(json_t *object, const char *name, const char *text)
{
	if (text != NULL)
		json_object_set_new(object, name, text_value(text, TEXT_MAX));
}

/* RFC 3339, UTC, with microseconds. */
static void
put_time(json_t *object, int64_t time)
{
	GDateTime *seconds = g_date_time_new_from_unix_utc(time / G_USEC_PER_SEC);
	char *date = seconds != NULL ? g_date_time_format(seconds, "%Y-%m-%dT%H:%M:%S") : NULL;

	if (date != NULL)
		json_object_set_new(object, "time",
				    json_sprintf("%s.%06dZ", date, (int)(time % G_USEC_PER_SEC)));
	g_free(date);
	if (seconds != NULL)
		g_date_time_unref(seconds);
}

static void
put_headers(json_t *object, const GPtrArray *headers)
{
	json_t *members;

	if (headers == NULL)
		return;
	members = json_object();
	for (guint i = 0; i < headers->len; i++) {
		const struct event_header *h = headers->pdata[i];

		put(members, h->name, h->value);
	}
	json_object_set_new(object, "headers", members);
}

static void
put_failure(json_t *object, const struct event *e)
{
	if (e->category == CATEGORY_NONE)
		return;
	put(object, "category", category_name(e->category));
	put(object, "class", category_class(e->category));
}

char *
event_json(const struct event *e)
{
	json_t *object = json_object();
	char *dump, *text;

	put(object, "id", e->id);
	put_time(object, e->time);
	put(object, "type", event_type_name(e->type));
	put(object, "source", event_source_name(e->source));
	put(object, "node", e->node);
	put(object, "queue_id", e->queue_id);
	put(object, "message_id", e->message_id);
	put(object, "pool", e->pool);
	put(object, "isp", e->isp);
	put(object, "sender", e->sender);
	put(object, "recipient", e->recipient);
	put(object, "original_recipient", e->original_recipient);
	if (e->unsure)
		json_object_set_new(object, "unsure", json_true());
	put(object, "relay", e->relay);
	if (e->delay_ms >= 0)
		json_object_set_new(object, "delay", json_real((double)e->delay_ms / 1000));
	if (e->code != 0)
		json_object_set_new(object, "code", json_integer(e->code));
	put(object, "dsn", e->dsn);
	if (e->reply != NULL)
		json_object_set_new(object, "reply", text_value(e->reply, EVENT_REPLY_MAX));
	put_failure(object, e);
	put_headers(object, e->headers);
	dump = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	json_decref(object);
	text = g_strdup(dump);
	free(dump);
	return text;
}
