/*
 * store_link - one connection to a Redis server: commands out, replies in, until a deadline.
 *
 * For one thread at a time.  After anything but STORE_DONE and STORE_ERROR the connection is
 * useless and must be closed: what still comes on it would be taken for the answer to the next
 * command. All times are g_get_monotonic_time()'s.
 */
#ifndef POOLMILTER_IO_STORE_LINK_H
#define POOLMILTER_IO_STORE_LINK_H

#include "io/store_address.h"
#include "io/store_tls.h"

#include <hiredis/hiredis.h>

enum store_answer {
	STORE_DONE,     /* there is a reply, and it is no error */
	STORE_ERROR,    /* the server refused: the command was not executed */
	STORE_NOT_SENT, /* the server cannot have got all of the command */
	STORE_TIMEOUT,  /* no whole reply until the deadline: the command may have been executed */
	STORE_LOST,     /* connection or protocol broke: the same */
};

/** A command, argument by argument. */
struct store_command {
	int argc;
	const char **argv;
	const size_t *lengths;
};

/** A command that may be EVALSHA of a script. */
struct store_request {
	struct store_command command;
	const char *script; /* its text, for EVAL where the server does not know it; or NULL */
	/** False for a reply that cannot be the one to this request; NULL: any will do. */
	bool (*accept)(const redisReply *reply, guint64 serial);
	guint64 serial;
	size_t reply_max; /* octets; 0: STORE_REPLY_MAX */
};

#define STORE_REPLY_MAX 16384

struct store_link;

/** Connects; NULL with *why (g_free it), which names the place. tls NULL: without. */
struct store_link *store_link_open(const struct store_place *place, struct store_tls_context *tls,
				   gint64 deadline, char **why);
void store_link_close(struct store_link *l); /* NULL is allowed */

/** True if nothing has come with the last reply that does not belong to it. */
bool store_link_clean(const struct store_link *l);

/** True if nothing has come since either, not even the end: it may be used again. A system call. */
bool store_link_fresh(struct store_link *l);

/**
 * Sends a command and takes its reply, of at most reply_max octets.  STORE_DONE: *reply, for
 * freeReplyObject().  STORE_ERROR: *why is the server's text.  Others: *why is the reason.  Texts
 * are printable, at most 200 octets; g_free them.
 */
enum store_answer store_link_ask(struct store_link *l, const struct store_command *command,
				 size_t reply_max, gint64 deadline, redisReply **reply, char **why);

/**
 * The same for a request: where the answer is NOSCRIPT, which means that nothing was executed, the
 * text of the script is sent instead of its digest.
 * A reply that is not accepted is STORE_LOST.
 */
enum store_answer store_link_run(struct store_link *l, const struct store_request *request,
				 gint64 deadline, redisReply **reply, char **why);

/** A foreign text for a log: printable ASCII, cut. g_free it. */
char *store_printable(const char *text, size_t len);

#endif
