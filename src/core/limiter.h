/*
 * limiter - counts what was sent against limits: all limits of a message in one atomic step.
 *
 * A facade with drivers: memory, Redis, and in tests one that always fails.
 */
#ifndef POOLMILTER_CORE_LIMITER_H
#define POOLMILTER_CORE_LIMITER_H

#include "core/limit.h"

/**
 * One limit that a message is charged to.  A key with another limit is another counter.  Charges of a
 * request with the same key and limit add up.
 */
struct charge {
	const char *key; /* what is counted, the same on all nodes; any octets: the driver makes it safe */
	struct limit limit;
	uint32_t amount; /* 0: nothing to charge, always fits */
};

/** What becomes of the charges. */
enum limiter_mode {
	LIMITER_CHARGE, /* all or none: none if one does not fit */
	LIMITER_LOOK,	/* none: would they fit? */
	LIMITER_RECORD, /* all, fit or not: what they stand for has been sent already */
};

/** What is asked of the limiter for one message. */
struct limiter_request {
	const struct charge *charges;
	guint n_charges;
	enum limiter_mode mode;
};

enum limiter_answer {
	LIMITER_ALLOWED,   /* all were charged, or would be */
	LIMITER_OVER,	   /* nothing was charged: at least one limit is reached */
	LIMITER_FAILED,	   /* not known, and nothing was charged */
	LIMITER_UNCERTAIN, /* not known, and it may have been charged: never asked again for this message */
};

struct limiter_result {
	/* LIMITER_OVER: the charge that has to wait longest (the first of equal ones), and how long until
	   it fits if nobody else is quicker; negative, and longest of all: never, it is over the limit. */
	guint which;
	int64_t wait_us;
	char *why;	 /* LIMITER_FAILED, _UNCERTAIN: for the log (g_free it); else NULL */
};

struct limiter {
	/** Asks and charges in one atomic step. Thread-safe. */
	enum limiter_answer (*ask)(void *context, const struct limiter_request *request,
				   struct limiter_result *result);
	void *context;
};

#endif
