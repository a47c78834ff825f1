/*
 * event_member - a text out of an event's JSON; see event_member.h.
 */
#include "io/event_member.h"

#include <glib.h>
#include <jansson.h>

char *
event_member(const char *json, const char *name)
{
	json_t *object = json_loads(json, 0, NULL);
	const char *value = json_string_value(json_object_get(object, name));
	char *copy = g_strdup(value != NULL ? value : "");

	json_decref(object);
	return copy;
}
