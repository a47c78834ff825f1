/*
 * event_member - a text out of an event's JSON, as io/event_json.h writes it.
 */
#ifndef POOLMILTER_IO_EVENT_MEMBER_H
#define POOLMILTER_IO_EVENT_MEMBER_H

/** The value of a member that is a string (g_free it); "" if there is none. */
char *event_member(const char *json, const char *name);

#endif
