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

/** When a tally counts. */
enum tally_when {
	TALLY_ALWAYS,
	TALLY_ALLOWED,
	TALLY_OVER,
};

/** A number of the statistics that goes up with a message. */
struct tally {
	const char *key;   /* "pool/acme/gmail/2026112013": any octets */
	const char *field; /* "messages" */
	int64_t by;
	enum tally_when when;
};

/** What is asked of the limiter for one message. */
struct limiter_request {
	const struct charge *charges;
	guint n_charges; /* 0: only tallies */
	const struct tally *tallies;
	guint n_tallies;
	bool only_look; /* charge nothing, count nothing: would it fit? */
};

enum limiter_answer {
	LIMITER_ALLOWED,   /* all were charged */
	LIMITER_OVER,	   /* nothing was charged: at least one limit is reached */
	LIMITER_FAILED,	   /* not known, and nothing was charged or tallied */
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
