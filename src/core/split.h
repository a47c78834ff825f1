/*
 * split - a message for recipients of several ISPs is injected again for some of them.
 *
 * The copy carries a header field of ours on top: which pool and which ISP record treat it, whose login sent it, since
 * when, and an HMAC over these and the sender, with the Return-Path secret.
 * When the copy comes in, the field takes the place of the look-ups, and it is always removed.  A
 * message with such a field, valid or not, is never split: nothing can go round in circles.
 */
#ifndef POOLMILTER_CORE_SPLIT_H
#define POOLMILTER_CORE_SPLIT_H

#include "core/injector.h"
#include "core/pipeline.h"

#define SPLIT_HEADER "X-Poolmilter-Split"

/** What a message's field says. */
enum split_mark {
	SPLIT_NONE,    /* there is none */
	SPLIT_INVALID, /* forged, of another node, too old, or about a pool or record that is not there */
	SPLIT_VALID,   /* found is set */
};

/** What a valid field names: the settings' pool and record, and the login of the original's client. */
struct split_found {
	const struct pool *pool;
	const struct isp *isp;
	char *login; /* the caller's to g_free; NULL: it had none */
};

/** Looks for the field of a message that came in. */
enum split_mark split_mark_read(const struct job *job, struct split_found *found);

/** Appends the field's line for a copy of the message, with CRLF. False: there is no secret. */
bool split_mark_write(const struct job *job, const struct pool *pool, const struct isp *isp,
		      GString *out);

/** Why this message cannot be split (static words); NULL: it can. */
const char *split_obstacle(const struct job *job, const struct plan *plan);

/**
 * Injects the message again for each of the plan's groups.  Returns the recipients that were not taken
 * (of const char *, the message's; g_ptr_array_unref() it): the message must still go to them.  The
 * others stand in plan->gone.  *why (g_free it) says what went wrong first, NULL: nothing.
 */
GPtrArray *split_inject(const struct job *job, struct plan *plan, const struct injector *injector,
			char **why);

#endif
