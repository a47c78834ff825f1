/*
 * rotation - the key that follows a pool's own (dkim_next), and from when on it signs.
 *
 * Settings never change, but this one choice does while they are in force: the clock makes it, the
 * postmaster (poolctl keys switch), or the daemon when it has seen the record in the DNS.  So it is
 * one atomic time beside the pool's settings: a message compares it with its own time, once.
 */
#ifndef POOLMILTER_CORE_ROTATION_H
#define POOLMILTER_CORE_ROTATION_H

#include "core/settings.h"

#include <time.h>

#define ROTATION_NEVER INT64_MAX

/**
 * Days for which the record of a key that signs no longer must stay.  Mail waits up to five days in
 * queues (RFC 5321 4.5.4.1; Postfix: maximal_queue_lifetime), and is verified when it arrives; two
 * days more are for mail that others forward, and for reading again what is delivered.
 */
#define ROTATION_KEEP_DAYS 7

/** What is written down of a dkim_next. */
enum rotation_mark {
	ROTATION_UNMARKED, /* nothing */
	ROTATION_SEEN,     /* the daemon has seen its record after use_after */
	ROTATION_SWITCHED, /* poolctl keys switch: it signs, whatever use_after says */
	ROTATION_BACK,     /* poolctl keys switch --back: it does not, whatever use_after says */
	ROTATION_RETIRED,  /* no more than history: it has become dkim_key */
};

/** How a dkim_next stands. */
enum rotation_state {
	ROTATION_SIGNS,
	ROTATION_WAITS_TIME,   /* for use_after */
	ROTATION_WAITS_DNS,    /* for its record: require_dns */
	ROTATION_WAITS_SWITCH, /* for poolctl keys switch */
	ROTATION_TAKEN_BACK,
};

/**
 * A dkim_next.  All but the choice itself belongs to whoever loads the settings, and later to the
 * one thread of the daemon that changes it.
 */
struct rotation {
	struct signature *next;
	int64_t use_after; /* seconds since 1970; ROTATION_NEVER: not set */
	enum rotation_mark mark;
	bool seen;            /* its record, when the mark was made */
	int64_t at;           /* when that was; 0: unmarked */
	bool need_dns;        /* require_dns */
	_Atomic int64_t from; /* it signs from this second on; ROTATION_NEVER: does not */
};

/** A rotation of a pool whose dkim_next is set, nothing marked. It belongs to the pool. */
struct rotation *rotation_new(const struct settings *s, const struct pool *p);
void rotation_free(struct rotation *r);

/** Takes what is written down of it, and makes the choice.  Messages may read that meanwhile. */
void rotation_set(struct rotation *r, enum rotation_mark mark, bool seen, int64_t at);

/** How it stands at a time. */
enum rotation_state rotation_state(const struct rotation *r, int64_t now);

/** When it began to sign, or ROTATION_NEVER: seconds since 1970. */
int64_t rotation_since(const struct rotation *r);

/** From when on the record of a key that has not signed since then may go. */
int64_t rotation_removal(int64_t since);

/** "2026-12-01T06:00:00Z", UTC; g_free it. */
char *rotation_time_text(int64_t seconds);

/**
 * The signature that stands i-th in a pool's list, for a message of that time: the first, the
 * pool's own, is dkim_next's once that signs.  Thread-safe; ask once for each message.
 */
const struct signature *rotation_signature(const struct pool *p, guint i, time_t now);

#endif
