/*
 * author - the domain that a message speaks for: From:, or Sender: where From: has several mailboxes.
 */
#ifndef POOLMILTER_CORE_AUTHOR_H
#define POOLMILTER_CORE_AUTHOR_H

#include "core/domain.h"
#include "core/message.h"

enum author_result {
	AUTHOR_FOUND,
	AUTHOR_NO_FROM,	   /* no From: field */
	AUTHOR_TWO_FROM,   /* more than one From: field (RFC 5322 3.6: at most one) */
	AUTHOR_UNREADABLE, /* no mailbox, or one without a valid domain */
	AUTHOR_NO_SENDER,  /* several mailboxes and no readable Sender: (RFC 5322 3.6.2 demands it) */
};

/** Call it once, before threads start: readies GMime and its classes. */
void author_init(void);

/** Finds the author's domain, normalised, in the message's header. */
enum author_result author_domain(const struct message *m, char domain[DOMAIN_SIZE]);

/** A word for the log and what it means: "two-from", ... */
const char *author_reason(enum author_result r);

#endif
