/*
 * message_log - the lines that messages leave in the log.
 */
#ifndef POOLMILTER_DAEMON_MESSAGE_LOG_H
#define POOLMILTER_DAEMON_MESSAGE_LOG_H

#include "core/message.h"
#include "core/plan.h"

/**
 * The line of a message, and before it, if the settings want events, those for poolevents(8).  took:
 * microseconds of treatment; negative: it ended at DATA, unread.
 */
void message_log(const struct settings *s, const struct message *m, const struct plan *p, gint64 took);

/** A recipient deferred: its ISP wants another treatment than the first recipient's. */
void message_log_later(const struct message *m, const char *rcpt);

/** A recipient deferred: total_limits of its ISP are reached. */
void message_log_limit(const struct message *m, const char *rcpt, const struct limit_over *over);

/** The message could not be injected again for all recipients; they stay on it. */
void message_log_split(const struct message *m, const char *why);

/** A recipient refused: an address at a bounce domain without a valid token. */
void message_log_bounce(const struct message *m, const char *rcpt, const char *why);

#endif
