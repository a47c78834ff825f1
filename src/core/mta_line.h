/*
 * mta_line - what Postfix and poolmilter say of one message in a line of the log.
 *
 * Foreign text (addresses, replies) is taken as such: nothing in it is read as a field.  Where it is
 * in doubt which text is whose, the line says nothing: without quotes around odd addresses
 * (info_log_address_format = internal, or Postfix before 3.5) an address can look like the fields
 * behind it.  Nothing is copied.  Known are Postfix 3.4 to 3.10.
 */
#ifndef POOLMILTER_CORE_MTA_LINE_H
#define POOLMILTER_CORE_MTA_LINE_H

#include "core/log_line.h"

enum mta_said {
	MTA_NOTHING,    /* of no message, or nothing that matters here */
	MTA_CLIENT,     /* smtpd: client=...; pickup: uid=..., with next_id what was requeued as this */
	MTA_MESSAGE_ID, /* cleanup: message-id=<...> */
	MTA_HOLD,       /* cleanup: milter-hold, hold; postsuper: placed on hold */
	MTA_RELEASED,   /* postsuper: released from hold */
	MTA_REJECT,     /* cleanup: milter-reject, reject, discard: there will be no message */
	MTA_QUEUED,     /* qmgr: from=<>, size=, nrcpt= (queue active) */
	MTA_EXPIRED,    /* qmgr: status=expired or force-expired, returned to sender */
	MTA_DELIVERY,   /* a delivery agent's line: to=<>, ..., status= */
	MTA_REQUEUED,   /* postsuper: requeued; under which queue ID, MTA_CLIENT tells */
	MTA_REMOVED,    /* qmgr: removed; postsuper: removed */
	MTA_POOL,       /* poolmilter: pool=... result=... */
	MTA_EVENT,      /* poolmilter: event: recipients and headers, before its MTA_POOL line */
	MTA_NOTICE,     /* bounce: sender non-delivery notification: next_id */
};

enum mta_status {
	STATUS_UNKNOWN,
	STATUS_SENT,
	STATUS_DEFERRED, /* SOFTBOUNCE too: it stays in the queue */
	STATUS_BOUNCED,
	STATUS_OTHER, /* deliverable, undeliverable: of address probes */
};

/** What a line says; parts that it has not are empty. */
struct mta_line {
	enum mta_said said;
	struct text_part queue_id;
	struct text_part daemon;     /* the last part of the program's name; empty: poolmilter */
	struct text_part client;     /* MTA_CLIENT: "name[address]"; empty: pickup's, from this host */
	struct text_part message_id; /* with <> */
	struct text_part sender, recipient, orig_recipient; /* without <> */
	struct text_part relay;      /* "host[address]:port", "none", "local" */
	struct text_part dsn;
	struct text_part reply;   /* what stands in the parentheses of MTA_DELIVERY */
	/* "queued as", "forwarded as" in the reply of MTA_DELIVERY; MTA_NOTICE; MTA_CLIENT */
	struct text_part next_id;
	enum mta_status status;
	int64_t delay_ms; /* of MTA_DELIVERY */
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
