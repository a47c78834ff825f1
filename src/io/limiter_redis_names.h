/*
 * limiter_redis_names - what limiter_redis.c and limiter_redis_*.c share.
 */
#ifndef POOLMILTER_IO_LIMITER_REDIS_NAMES_H
#define POOLMILTER_IO_LIMITER_REDIS_NAMES_H

#include "io/limiter_redis.h"

#include <pthread.h>

/** What keys begin with, and how long tallies live. Immutable, counted by reference. */
struct limiter_names {
	gint references;
	char *limits;    /* "{PREFIX}:l:" */
	char *tallies;   /* "{PREFIX}:t:" */
	char *nodes;     /* "{PREFIX}:n:" */
	char *probe;     /* "{PREFIX}:probe" */
	char *locks;     /* "{PREFIX}:k" */
	guint tally_ttl; /* seconds; of tallies and nodes */
};

struct limiter_redis {
	struct limiter facade;
	struct store *store;
	pthread_mutex_t lock; /* of names */
	struct limiter_names *names;
	guint32 serial; /* of requests; atomic */
	char *charge_digest, *add_digest; /* the scripts' names in Redis */
};

/** The names in force now: one reference. */
struct limiter_names *limiter_names_get(struct limiter_redis *l);
void limiter_names_unref(struct limiter_names *n);

/** Appends the name of the window of a key and a limit. */
void limiter_names_window(const struct limiter_names *n, GString *out, const char *key, struct limit limit);

/** Logs why a request was refused, if that is the fault of a single key: the store does not then. */
void limiter_redis_report(const char *why);

#endif
