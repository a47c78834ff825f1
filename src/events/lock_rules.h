/*
 * lock_rules - counts the replies that the rules `locks` of ISP records are about, and sets the
 * locks.
 */
#ifndef POOLMILTER_EVENTS_LOCK_RULES_H
#define POOLMILTER_EVENTS_LOCK_RULES_H

#include "core/event.h"
#include "core/settings.h"
#include "io/classifier.h"

#include <stdbool.h>

struct lock_rules;

/**
 * The rules of the settings, of which it takes a reference.  The classifier, made of the same
 * settings, must live as long.  With Redis in the settings a thread starts.  NULL with *why (g_free
 * it) if the group redis cannot be.  Without Redis a reload, which makes new rules, begins to count
 * anew.
 */
struct lock_rules *lock_rules_new(struct settings *s, const struct classifier *c, char **why);
void lock_rules_free(struct lock_rules *r); /* NULL is allowed */

/**
 * Counts an event, once its commit has succeeded; true if it was the last drop and has set a lock.
 * Of no interest but deferred and bounced ones from the log, with a pool and an ISP that have
 * rules, whose reply is younger than the rule's threshold looks back.  Where a rule matches it
 * takes a command of Redis (command_timeout_ms at the most, nothing while Redis is known to be
 * down); in the moment of a lock some more, or the control socket's.  One thread at a time.
 */
bool lock_rules_event(struct lock_rules *r, const struct event *e);

#endif
