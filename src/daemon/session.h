/*
 * session - one connection of the MTA: collects its messages and sends each through the pipeline.
 *
 * Knows nothing of libmilter: callbacks.c calls it.  libmilter calls for one connection one after the
 * other, but from different threads.  A message's state is made by session_mail() and destroyed by
 * session_end(), which MAIL, abort, end of message and close all call: nothing outlives its message.
 */
#ifndef POOLMILTER_DAEMON_SESSION_H
#define POOLMILTER_DAEMON_SESSION_H

#include "core/injector.h"
#include "core/limiter.h"
#include "core/lock_table.h"
#include "core/message.h"
#include "core/network.h"
#include "core/plan.h"
#include "core/reached.h"
#include "core/resolver.h"
#include "core/settings.h"
#include "core/sign.h"
#include "core/stats.h"

#include <stdbool.h>

struct session;

/** What sessions work with; outlives them. */
struct session_tools {
	const struct signer *signer;
	const struct resolver *resolver; /* NULL: no MX rules */
	const struct injector *injector;
	const struct limiter *limiter; /* of this node */
	/* With redis in the settings: of all nodes, and of this node while that is down. */
	const struct limiter *shared_limiter, *local_limiter;
	struct reached *reached;
	struct lock_table *locks;
	struct stats *stats;
};

/** What the MTA is to be told before the end of the message. */
enum session_answer {
	SESSION_CONTINUE,
	SESSION_ACCEPT, /* nothing of this message is of interest */
	SESSION_REFUSE, /* 550 5.1.1: a recipient at a bounce domain with a bad token */
	SESSION_DEFER,	/* 421: the daemon is stopping */
	SESSION_LATER,	/* 452 4.5.3: a recipient for a transaction of its own */
	SESSION_LIMIT,	/* 451 4.7.1: a recipient whose ISP's total_limits are reached or locked: session_reply() */
};

/** A session; tools are shared by all. Free with session_free(). */
struct session *session_new(const struct session_tools *tools);
void session_free(struct session *s);

/** The client, as told at connect. local: submitted on this machine, not by SMTP. */
void session_connect(struct session *s, const struct address *client, bool local);

/** Begins a message. sender without <>; login: {auth_authen} or NULL; dsn: with options of RFC 3461. */
void session_mail(struct session *s, const char *sender, const char *login, bool dsn);

/**
 * A recipient, without <>. dsn: with options of RFC 3461. The answer may be SESSION_REFUSE,
 * _LATER or _LIMIT.
 */
enum session_answer session_rcpt(struct session *s, const char *rcpt, bool dsn);

/** The text of the reply with SESSION_LIMIT; lives until the next call. */
const char *session_reply(const struct session *s);

/** DATA: from now on the message counts as in progress, unless the answer ends it. */
enum session_answer session_data(struct session *s, const char *queue_id);

void session_header(struct session *s, const char *name, const char *value);
void session_body(struct session *s, const void *data, size_t len);

/**
 * End of message: runs the pipeline, charges the message to its limits, and injects it again where it is
 * to be split.  The plan belongs to the session and lives until session_end().
 * NULL if there is no message (an MTA that sends commands out of order).
 */
const struct plan *session_eom(struct session *s, const char *queue_id);

/** After the plan was applied (or could not be: applied false): writes the log line. */
void session_log(struct session *s, bool applied);

/** Ends the message, however far it came. */
void session_end(struct session *s);

/** How many messages are between DATA and their end, in all sessions. */
int session_in_progress(void);

/** From now on new messages are deferred at DATA. */
void session_stop_all(void);

#endif
