/*
 * smtp_dialogue - what an SMTP client and its server said, paired: which recipient got which reply.
 *
 * Fed with both directions in their order, as libcurl shows them.  What is not expected (a reply too
 * many, garbage, a command without the very address) breaks the dialogue: nothing it says counts.
 * RFC 5321 4.1, 4.2.
 */
#ifndef POOLMILTER_IO_SMTP_DIALOGUE_H
#define POOLMILTER_IO_SMTP_DIALOGUE_H

#include <glib.h>
#include <stdbool.h>

/* What was said last: by the server (greeting) or by us. */
enum stage {
	STAGE_GREETING,
	STAGE_HELLO,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_BODY, /* 354 was seen, the message is on its way */
	STAGE_END,  /* all of it was handed to libcurl, which ends it with the final dot */
};

struct dialogue {
	const char *sender;
	GPtrArray *rcpts; /* of const char *, in the order of their RCPT */
	bool *accepted;   /* of each: RCPT got 2xx */
	guint rcpts_sent;
	enum stage stage;
	bool waiting;  /* a reply is due */
	int code;      /* of the reply whose lines are coming; 0: none */
	GString *text; /* the reply's first line, printable */
	bool ended;    /* the final dot got 2xx */
	gint64 quit;   /* when QUIT was sent: what follows says nothing; 0: it was not */
	bool broken;
	char *failure;      /* what stopped the transaction first, or NULL */
	char *rcpt_failure; /* the first refused recipient, or NULL */
	GString *command_part, *reply_part;
	guint64 octets_seen; /* of replies */
	int sockets;         /* open ones */
	int socket;          /* the one that is open; -1: none, or not known which */
};

/** Begins with the greeting; sender must outlive it, rcpts and accepted are for the caller to fill. */
void dialogue_start(struct dialogue *d, const char *sender);
void dialogue_free(struct dialogue *d);

/** Octets of ours, which are lines. */
void dialogue_commands(struct dialogue *d, const char *data, size_t len);

/** Octets of the server's. */
void dialogue_replies(struct dialogue *d, const char *data, size_t len);

/** The whole message was read: next comes the reply to the final dot. False: do not send that. */
bool dialogue_end(struct dialogue *d);

/** Notes what stopped the transaction, if nothing has before. */
void dialogue_fail(struct dialogue *d, const char *text);

/** Appends foreign text: without control characters and 8-bit, cut. */
void dialogue_printable(GString *out, const char *text, size_t len);

#endif
