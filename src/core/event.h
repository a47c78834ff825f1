/*
 * event - what became of a message for one of its recipients, as receivers of events are told it.
 */
#ifndef POOLMILTER_CORE_EVENT_H
#define POOLMILTER_CORE_EVENT_H

#include "core/category.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum event_type {
	EVENT_ACCEPTED,  /* by us, from the sender: the message is in the queue */
	EVENT_DELIVERED, /* the next server has taken it */
	EVENT_DEFERRED,  /* not this time */
	EVENT_BOUNCED,   /* never */
	EVENT_EXPIRED,   /* deferred for too long: it goes back */
	EVENT_HELD,      /* in the MTA's quarantine */
	EVENT_COMPLAINT, /* the recipient calls it spam, RFC 5965 */
	EVENT_TYPES
};

/** How it was learnt. */
enum event_source {
	EVENT_FROM_LOG,
	EVENT_FROM_REPORT, /* a report in a form of its own: RFC 3464, RFC 5965 */
	EVENT_FROM_TEXT,   /* a bounce that is text for people */
	EVENT_SOURCES
};

/** A header field of the message, as it came in. */
struct event_header {
	char *name; /* as event_headers has it */
	char *value;
};

#define EVENT_ID_SIZE 33

/** Strings are UTF-8 or any octets: who writes them out makes them safe.  NULL: not known. */
struct event {
	char id[EVENT_ID_SIZE]; /* 32 hexadecimal digits, the same when the event is told again */
	int64_t time;		/* microseconds since 1970 */
	enum event_type type;
	enum event_source source;
	char *node; /* host that the MTA runs on */
	char *queue_id;
	char *message_id; /* with <> */
	char *pool, *isp; /* names */
	char *sender;	  /* of the envelope, before the Return-Path was moved; without <> */
	char *recipient, *original_recipient; /* the same; original: where an alias changed it */
	bool unsure;	  /* only the report says that this was a recipient */
	char *relay;	  /* "gmail-smtp-in.l.google.com[142.250.1.26]:25"; of a report: its Reporting-MTA */
	int64_t delay_ms; /* since the message came in; negative: not known */
	int code;	  /* of the reply, RFC 5321 4.2; 0: not known */
	char *dsn;	  /* "5.1.1", RFC 3463 */
	char *reply;	  /* what the next server said */
	enum category category;
	GPtrArray *headers; /* of struct event_header *; NULL: none */
};

/** An event of nothing known. Free with event_free(). */
struct event *event_new(enum event_type type, enum event_source source);
void event_free(struct event *e); /* NULL is allowed */

/** A list for headers, of struct event_header *; and one more in it. */
GPtrArray *event_headers_new(void);
void event_headers_add(GPtrArray *headers, const char *name, const char *value);

void event_add_header(struct event *e, const char *name, const char *value);

/** "accepted", ... */
const char *event_type_name(enum event_type t);
enum event_type event_type_find(const char *name); /* EVENT_TYPES: none of them */

/** "log", "report", "text" */
const char *event_source_name(enum event_source s);

/**
 * Gives the event its ID: made of node, queue ID, type, time, recipient, code, dsn, reply, and of
 * nth, which tells events apart that are alike in all these.
 */
void event_identify(struct event *e, unsigned nth);

#endif
