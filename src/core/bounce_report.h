/*
 * bounce_report - what a mail that came to a Return-Path says became of an earlier message.
 *
 * Read are reports of RFC 3464 (delivery status) and RFC 5965 (feedback), also those whose MIME
 * labels are wrong, and bounces that are text for people, as many MTAs still write them.  All of it
 * is foreign text: nothing here says whether it is true, see ctl/bounce_owner.h for that.
 */
#ifndef POOLMILTER_CORE_BOUNCE_REPORT_H
#define POOLMILTER_CORE_BOUNCE_REPORT_H

#include "core/event.h"

#include <glib.h>
#include <stddef.h>

#define BOUNCE_OCTETS_MAX (1024 * 1024) /* of a message that are looked at */
#define BOUNCE_NOTICES_MAX 1000         /* recipients in a report that are looked at */

enum bounce_kind {
	BOUNCE_MAIL,       /* no report: somebody has written */
	BOUNCE_REPLY,      /* of an automaton: on vacation, a receipt */
	BOUNCE_FEEDBACK,   /* RFC 5965, but no complaint */
	BOUNCE_UNREADABLE, /* a report, but of what cannot be told */
	BOUNCE_REPORT,     /* RFC 3464 or RFC 5965 */
	BOUNCE_TEXT,       /* a bounce that is text for people */
};

/** What became of the message for one recipient. */
struct bounce_notice {
	enum event_type type;   /* DELIVERED, DEFERRED, BOUNCED or COMPLAINT */
	char *original, *final; /* addresses as the report has them; NULL: it has none */
	int code;               /* of the reply, RFC 5321 4.2; 0: none */
	char *dsn;              /* "5.1.1"; NULL: none */
	char *reply;            /* UTF-8 or any octets, one line; NULL: none */
};

struct bounce_report {
	enum bounce_kind kind;
	GPtrArray *notices; /* of struct bounce_notice *; none but for REPORT and TEXT */
	gint64 arrived; /* seconds since 1970: by the first Received field, or Date; 0: not told */
	char *reporter; /* host name of the MTA that reports; NULL: not told */
	char *queue_id; /* that the message has there, X-Postfix-Queue-ID; NULL: not told */
	char *message_id;      /* of the message that it is about, with <>; NULL: not told */
	char *return_path;     /* of the same; NULL: not told */
	GPtrArray *recipients; /* of char *: other addresses that this message may have gone to */
	GPtrArray *headers;    /* of struct event_header *: of this message */
};

/**
 * Reads a message with its header, any octets; no more than the first BOUNCE_OCTETS_MAX.  sender:
 * of its envelope, "" the null reverse-path; NULL: not known.  Never NULL; memory and time are
 * bounded.  Free with bounce_report_free().
 */
struct bounce_report *bounce_report_read(const char *data, size_t len, const char *sender);
void bounce_report_free(struct bounce_report *r); /* NULL is allowed */

/** A word for the log: "mail", "auto-reply", "feedback", "unreadable", "report", "text". */
const char *bounce_kind_word(enum bounce_kind kind);

#endif
