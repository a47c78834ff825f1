/*
 * mta_line - what Postfix and poolmilter say of one message in a line of the log.
 *
 * Foreign text (addresses, replies) is taken as such: nothing in it is read as a field.  Nothing is
 * copied.  Known are Postfix 3.4 to 3.10.
 */
#ifndef POOLMILTER_CORE_MTA_LINE_H
#define POOLMILTER_CORE_MTA_LINE_H

#include "core/log_line.h"

enum mta_said {
	MTA_NOTHING,    /* of no message, or nothing that matters here */
	MTA_CLIENT,     /* smtpd: client=...; pickup: uid=... */
	MTA_MESSAGE_ID, /* cleanup: message-id=<...> */
	MTA_HOLD,       /* cleanup: milter-hold, hold; postsuper: placed on hold */
	MTA_RELEASED,   /* postsuper: released from hold */
	MTA_REJECT,     /* cleanup: milter-reject, reject, discard: there will be no message */
	MTA_QUEUED,     /* qmgr: from=<>, size=, nrcpt= (queue active) */
	MTA_EXPIRED,    /* qmgr: status=expired, returned to sender; postsuper: force-expired */
	MTA_DELIVERY,   /* a delivery agent's line: to=<>, ..., status= */
	MTA_REQUEUED,   /* postsuper: requeued under the next_id */
	MTA_REMOVED,    /* qmgr: removed; postsuper: removed */
	MTA_POOL,       /* poolmilter: pool=... result=... */
	MTA_EVENT,      /* poolmilter: event: recipients and headers, before its MTA_POOL line */
	MTA_NOTICE,     /* bounce: sender non-delivery notification: next_id */
};

enum mta_status {
	STATUS_UNKNOWN,
	STATUS_SENT,
	STATUS_DEFERRED,
	STATUS_BOUNCED,
	STATUS_OTHER, /* deliverable, undeliverable: of address probes */
};

/** What a line says; parts that it has not are empty. */
struct mta_line {
	enum mta_said said;
	struct text_part queue_id;
	struct text_part client;     /* MTA_CLIENT: "name[address]" */
	struct text_part message_id; /* with <> */
	struct text_part sender, recipient, orig_recipient; /* without <> */
	struct text_part relay;      /* "host[address]:port", "none", "local" */
	struct text_part dsn;
	struct text_part reply;   /* what stands in the parentheses of MTA_DELIVERY */
	struct text_part next_id; /* "queued as" in reply of MTA_DELIVERY; MTA_REQUEUED, MTA_NOTICE */
	enum mta_status status;
	int64_t delay_ms; /* negative: not there */
	int64_t nrcpt;    /* MTA_QUEUED, MTA_POOL */
	/* MTA_POOL: words of poolmilter's line (poolmilter(8), LOG) */
	struct text_part pool, isp, result;
	/* MTA_EVENT: words of core/word.h, "rcpt:ADDRESS" or "header:NAME:VALUE", each escaped as a
	   whole; several lines where one has no room */
	struct text_part words;
};

/** Reads what a line says; said is MTA_NOTHING for all that is not known. */
void mta_line_parse(const struct log_line *line, struct mta_line *out);

/** The code of an SMTP reply in a delivery's reply text ("host x said: 550 5.1.1 ..."); 0: none. */
int mta_reply_code(struct text_part reply);

/**
 * What the server said, out of the reply text of a delivery: without "host x[1.2.3.4] said: " before
 * it and " (in reply to RCPT TO command)" behind it; all of it if it has no such form.
 */
struct text_part mta_reply_said(struct text_part reply);

#endif
