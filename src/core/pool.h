/*
 * pool - whose mail a message is: the pool by the author's domain.
 */
#ifndef POOLMILTER_CORE_POOL_H
#define POOLMILTER_CORE_POOL_H

#include "core/settings.h"

/**
 * The pool of a normalised domain: the pool with this sender_domain, else the nearest parent domain's
 * whose pool has match_subdomains.  NULL: none.  A few hash look-ups, however many pools there are.
 */
struct pool *pool_find(const struct settings *s, const char *domain);

#endif
