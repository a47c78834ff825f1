/*
 * limits - what a message is charged to, and in which words that is told.
 */
#ifndef POOLMILTER_CORE_LIMITS_H
#define POOLMILTER_CORE_LIMITS_H

#include "core/limiter.h"
#include "core/settings.h"

/** What is known of the limits of a message. */
enum limit_state {
	LIMIT_NONE,    /* nothing was asked: no limits, or it did not come to that */
	LIMIT_OK,      /* charged to all */
	LIMIT_OVER,    /* over one of them; charged to none */
	LIMIT_UNKNOWN, /* could not be asked */
};

/** The limit that a message is over, or the lock that it meets. Clear with limits_over_clear(). */
struct limit_over {
	char *key;	 /* of the charge: "pi/acme/gmail" */
	char *name;	 /* for the log, one word: "pi/acme/gmail/20/second", "lock/acme/gmail/RULE" */
	char *words;	 /* for people: "20/second of pool acme to gmail", "sending of pool acme ..." */
	int64_t wait_us; /* until there is room; negative: never, it is more than the limit itself */
	bool paused;	 /* it is a lock */
};

/** How many recipients a record has. */
struct isp_count {
	const struct isp *isp;
	uint32_t n;
};

/** That of each record among isps, in the order of the first ones; g_array_unref() it. */
GArray *limits_count_isps(const GPtrArray *isps);

/**
 * Adds charges of one key: amount under each rule.  The key is taken over.  charges is an array of
 * struct charge with keys of its own: limits_charges_new().
 */
GArray *limits_charges_new(void);
void limits_charge(GArray *charges, char *key, const GArray *rules, uint32_t amount);

/**
 * The charges of a pool's mail: keys "p/POOL", "pi/POOL/ISP", "i/ISP".  isps: of const struct isp
 * *, one for each recipient.  NULL if there are none; g_array_unref() it.
 */
GArray *limits_of(const struct pool *p, const GPtrArray *isps);

/** "20/second of pool acme to gmail"; g_free it. */
char *limits_words(const struct charge *charge);

/** Tells of a charge that it is over. */
void limits_over_set(struct limit_over *over, const struct charge *charge, int64_t wait_us);
void limits_over_clear(struct limit_over *over);

/** What a client is told that may try again after the wait; g_free it. */
char *limits_over_reply(const struct limit_over *over);

/** What the MTA's quarantine is told; g_free it. */
char *limits_over_hold(const struct limit_over *over);

/** The key that total_limits of a record are charged to (g_free it). */
char *limits_total_key(const struct isp *isp);

/** True if total_limits of the record have no room for one more; over is set then. Charges nothing. */
bool limits_total_reached(const struct limiter *l, const struct isp *isp, struct limit_over *over);

#endif
