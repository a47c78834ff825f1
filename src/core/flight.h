/*
 * flight - what is known of one message in the MTA's queue, from its first line in the log until its
 * last one, and for late bounces for some days after it.
 */
#ifndef POOLMILTER_CORE_FLIGHT_H
#define POOLMILTER_CORE_FLIGHT_H

#include "core/event.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/** A recipient who is waited for, and what came of the last try, as events tell it. */
struct flight_recipient {
	char *address;
	char *original; /* NULL: the same */
	int code;
	char *relay, *dsn, *reply; /* NULL: not known, or there was no room */
};

/** A delivery to this host that may be a hop to a content filter: then it is none. */
struct flight_hop {
	struct event *e;
	char *next_id; /* under which the next queue has it; NULL: not said */
	int64_t until; /* when it is a delivery after all */
};

struct flight {
	char *queue_id;
	int64_t born, ended; /* microseconds since 1970; ended 0: it is in the queue */
	int64_t complete;    /* the MTA had all of it, so poolmilter must have seen it; 0: not yet */
	int64_t removed;     /* it has left the queue, and ends with what still waits; 0: no */
	char *message_id;    /* NULL: not known yet */
	char *pool;	     /* NULL: no line of ours so far */
	char *isp;
	char *sender;
	GPtrArray *headers;    /* of struct event_header *; NULL: none */
	GPtrArray *recipients; /* of char *, sorted: to whom there were lines of delivery, at most
				  FLIGHT_RECIPIENTS_MAX */
	bool more_recipients;  /* there were more */
	char *parent;	       /* queue ID of the message that was injected again, or requeued, as this
				  one: the first of them, or without a pool the last; NULL: none */
	int64_t parent_born;   /* of the last; 0: not known by its name */
	bool client;	       /* the line of its client was seen */
	bool local;	       /* it came from this host: it may be another one, injected again */
	bool unrelated;	       /* its Message-ID tells nothing: it passed poolmilter, or several have it */
	int64_t next_look;     /* when to look for it again; 0: not yet */
	bool accepted;	       /* that it was accepted has been told, or is not to be told */
	bool held;
	bool relayed;	       /* it was injected again: what it says of this host is no delivery */
	unsigned events;       /* so far */
	GPtrArray *told;       /* of char *: recipients that poolmilter told; NULL: none, or ended */
	GPtrArray *deferred;   /* of struct flight_recipient *, sorted: not delivered yet, at most
				  FLIGHT_DEFERRED_MAX; NULL: none */
	bool more_deferred;    /* there were more */
	size_t tries;	       /* octets of their relays, dsns and replies, at most FLIGHT_TRIES_MAX */
	GPtrArray *pending;    /* of struct event *: from before it was known whose it is; NULL: none */
	GPtrArray *hops;       /* of struct flight_hop *; NULL: none */
};

#define FLIGHT_RECIPIENTS_MAX 1000
#define FLIGHT_TOLD_MAX 10000
#define FLIGHT_DEFERRED_MAX 10000
#define FLIGHT_REPLY_MAX 500		/* octets of a last try's reply that are kept */
#define FLIGHT_TRIES_MAX (256 * 1024) /* for those who come when it is full, only the code is kept */
#define FLIGHT_WAITING_MAX 20000 /* pending and hops, within seconds: what is more is dropped */

struct flight *flight_new(const char *queue_id, int64_t born);
void flight_free(struct flight *f); /* NULL is allowed */

/** Appends it as text; pending events included. */
void flight_write(const struct flight *f, GString *out);

/** Reads that again; NULL if it is damaged. */
struct flight *flight_read(const char *text, size_t len);

/** True if it is known that the message went to this address (its domain in any case). */
bool flight_has_recipient(const struct flight *f, const char *rcpt);

/** Adds a header as it came in. */
void flight_add_header(struct flight *f, const char *name, const char *value);

/** Notes for whom there was a line of delivery. */
void flight_add_recipient(struct flight *f, const char *address);

/** Notes a recipient that poolmilter told. */
void flight_add_told(struct flight *f, const char *address);

/** Notes that the recipient of an event is waited for, and what came of this try. */
void flight_defer(struct flight *f, const struct event *e);
/** Notes that a recipient is waited for no more; that none is. */
void flight_settle(struct flight *f, const char *address);
void flight_settle_all(struct flight *f);

/** Takes an event over until it is known whose it is; one too many is freed. */
void flight_wait(struct flight *f, struct event *e);
/** Takes over an event that may be a hop; so. */
void flight_wait_hop(struct flight *f, struct event *e, const char *next_id, int64_t until);

/**
 * Makes f a continuation of another one that is a pool's: its pool, headers and sender are f's, and
 * that it was accepted is not told again.
 */
void flight_inherit(struct flight *f, const struct flight *from);

/** Makes f a continuation of one that is a pool's, with all of it that is open: requeued. */
void flight_continue(struct flight *f, struct flight *from);

/** Queue ID that events of it tell: the one that the sender was told. */
const char *flight_series(const struct flight *f);

#endif
