/*
 * injector - hands a message to an MTA again, by SMTP, for some of its recipients.
 *
 * A facade: libcurl in the daemon (io/reinject.h), others in tests.
 */
#ifndef POOLMILTER_CORE_INJECTOR_H
#define POOLMILTER_CORE_INJECTOR_H

#include "core/message.h"

#include <glib.h>
#include <stdbool.h>

/** What is to be sent: the message as it came in, below some fields of our own. */
struct injection {
	const char *url; /* smtp://HOST:PORT */
	const struct message *message;
	const GPtrArray *rcpts; /* of const char *, without <>: some of the message's */
	const char *top;	/* header fields on top of the message's: whole lines, each ended by CRLF */
};

struct injector {
	/**
	 * Sends it in one SMTP transaction.  taken[i] becomes true for each recipient for which the MTA
	 * has taken the message for certain: it said 2xx to RCPT and to the end of the data.  All others
	 * stay with the caller.  Returns how many were taken; *why (g_free it) says what went wrong
	 * where that is less than all.  Thread-safe.
	 */
	guint (*send)(void *context, const struct injection *injection, bool *taken, char **why);
	void *context;
};

#endif
