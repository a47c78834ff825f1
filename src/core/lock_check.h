/*
 * lock_check - what the locks of pools to ISPs (core/lock_table.h) mean for a message.
 */
#ifndef POOLMILTER_CORE_LOCK_CHECK_H
#define POOLMILTER_CORE_LOCK_CHECK_H

#include "core/limits.h"
#include "core/lock_table.h"

/**
 * True if the pool's mail to one of these is paused; over is set then, of several to the one that
 * ends last.  isps: of const struct isp *, one for each recipient.
 */
bool lock_check_paused(struct lock_table *t, const struct pool *p, const GPtrArray *isps,
		       struct limit_over *over);

/**
 * Adds a charge for each of these that the pool's mail is slowed to, behind those of the message
 * (limits_of(), or NULL; taken over).  A message counts no more than the rate allows at a time:
 * locks come and go, so none is a reason to refuse one for ever.  NULL if there are no charges.
 */
GArray *lock_check_slowed(struct lock_table *t, const struct pool *p, const GPtrArray *isps,
			  GArray *charges);

#endif
