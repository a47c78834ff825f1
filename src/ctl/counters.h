/*
 * counters - where the limits' counters and the statistics of a configuration are, for poolctl.
 *
 * Redis where the configuration has it; else the memory of the daemon of this node, asked through
 * its control socket; where no daemon runs, the state file that it left.
 */
#ifndef POOLMILTER_CTL_COUNTERS_H
#define POOLMILTER_CTL_COUNTERS_H

#include "core/limiter_memory.h" /* struct limiter_use */
#include "core/settings.h"

#include <stdbool.h>

struct counters;

/**
 * Finds the counters of the configuration and tries that they answer.  NULL with *why (g_free it).
 * The settings must live as long. Free with counters_close().
 */
struct counters *counters_open(const struct settings *s, char **why);

/** Those of the daemon of this node, whatever the configuration has; NULL with *why (g_free it). */
struct counters *counters_open_node(const struct settings *s, char **why);

/** "Redis at 127.0.0.1:6379", "poolmilter on this node", "FILE, poolmilter is not running". */
const char *counters_where(const struct counters *c);

/** Calls each() for all limits in use; false with *why (g_free it) if not all could be read. */
bool counters_each_limit(struct counters *c,
			 void (*each)(const struct limiter_use *use, void *context), void *context,
			 char **why);

/**
 * Calls each() for all tallies whose key begins with start ("": all), in the same way.  A key may come
 * again with another number of a field, to be added: those of events that are on this node only.
 */
bool counters_each_tally(struct counters *c, const char *start,
			 void (*each)(const char *key, const char *field, int64_t value,
				      void *context),
			 void *context, char **why);

/**
 * Forgets the charges of a key, under all its limits; *forgotten: how many windows there were.
 * False with *why (g_free it) if that is not known to be done, or cannot be done here.
 */
bool counters_reset(struct counters *c, const char *key, guint *forgotten, char **why);

void counters_close(struct counters *c); /* NULL is allowed */

#endif
