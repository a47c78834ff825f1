/*
 * bounce_owner - whose message a bounce is about, and what of it may be believed.
 *
 * A signed Return-Path proves that a message of this pool was sent with it, to this recipient if it
 * was for one alone; the report's text proves nothing.  So a recipient is told only if the token
 * has him, or the history of the MTA's log (struct flight); a report about somebody else is about
 * the recipient who forwarded the mail there.  What a "verp" or "plain" Return-Path says is
 * believed if the history has it.
 */
#ifndef POOLMILTER_CTL_BOUNCE_OWNER_H
#define POOLMILTER_CTL_BOUNCE_OWNER_H

#include "core/bounce_report.h"
#include "core/settings.h"
#include "core/token.h"
#include "io/event_db.h"

#include <time.h>

enum bounce_proof {
	PROOF_TOKEN, /* signed */
	PROOF_VERP,  /* the readable form: anybody can make one */
	PROOF_PLAIN, /* the same for all */
};

struct bounce_owner {
	enum bounce_proof proof;
	char *local, *domain;    /* of the Return-Path */
	struct token token;      /* of PROOF_TOKEN */
	const struct pool *pool; /* the same; else NULL until the history tells */
	char *recipient;         /* of PROOF_VERP */
};

enum bounce_owned {
	OWNED,
	OWNED_NOT,     /* no Return-Path of ours */
	OWNED_REFUSED, /* it pretends to be one, or was one once */
};

/** Reads a Return-Path (without <>); *why: a word for the log.  End with bounce_owner_clear(). */
enum bounce_owned bounce_owner_find(const struct settings *s, const char *address, time_t now,
				    struct bounce_owner *o, const char **why);
void bounce_owner_clear(struct bounce_owner *o);

/** What makes events: the report, and what it was read from. */
struct bounce_case {
	const struct settings *settings;
	const struct bounce_report *report;
	struct event_db *db; /* NULL: there is no history */
	int64_t content; /* hash of the message that brought the report and its recipient: the same
			    when it comes again */
	time_t now;
};

/**
 * The events of a report, of struct event * (g_ptr_array_unref() it), none complete
 * (event_complete()). The same message gives events with the same IDs, another one others.  *doubt:
 * why there are fewer than notices, a phrase for the log; NULL: there are not.  NULL with *why
 * (g_free it): the history cannot be read.
 */
GPtrArray *bounce_owner_events(struct bounce_owner *o, const struct bounce_case *c,
			       const char **doubt, char **why);

#endif
