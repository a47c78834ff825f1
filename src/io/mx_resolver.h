/*
 * mx_resolver - the MX hosts of domains, from the DNS (libunbound), with a cache and a circuit
 * breaker.
 *
 * Made once, after the process has become a daemon; lives as long as it does.  Answers are kept for
 * their TTL, also that there is none (RFC 2308); failures for some seconds, so that one message
 * waits for them, not each.  An answer that has just expired is used while it is asked again, and
 * an older one when the DNS fails (RFC 8767).  When the DNS server itself seems dead a breaker
 * opens: look-ups of what is not in the cache fail at once until a probe is answered.  One log line
 * for each change of state.
 */
#ifndef POOLMILTER_IO_MX_RESOLVER_H
#define POOLMILTER_IO_MX_RESOLVER_H

#include "core/resolver.h"

struct mx_resolver;

/**
 * A resolver.  server: "ADDRESS@PORT" or "ADDRESS", NULL: those of /etc/resolv.conf, which must
 * exist; if it names none, the one at 127.0.0.1 (resolv.conf(5)).  Never asks the root servers
 * itself.  cache_entries: domains kept at most.  NULL with *why (g_free it) if libunbound cannot be
 * set up.  Starts a thread (two, after the first question), in which all signals are blocked.  Free
 * with mx_resolver_free().
 */
struct mx_resolver *mx_resolver_new(const char *server, guint cache_entries, char **why);

/** Look-ups that wait end as MX_FAILED first; none may begin any more. NULL is allowed. */
void mx_resolver_free(struct mx_resolver *r);

/**
 * Takes changed settings, after a reload; false with *why, and the old ones stay.  Another server
 * or another size empties the cache; with server NULL /etc/resolv.conf is read again.  Questions
 * without an answer yet are asked again.  Look-ups may go on meanwhile, but not another change.
 */
bool mx_resolver_change(struct mx_resolver *r, const char *server, guint cache_entries, char **why);

/** The facade of the pipeline; belongs to r. Domains are asked for in their normal form only. */
const struct resolver *mx_resolver_facade(struct mx_resolver *r);

/** What is fixed in the daemon; tests make time run faster. Times are in microseconds. */
struct mx_tuning {
	gint64 ttl_min, ttl_max;      /* answers are kept for their TTL, but within these */
	gint64 negative_max;          /* the same for MX_NONE */
	gint64 failure_hold;          /* a failure is kept for so long */
	gint64 stale_now, stale_last; /* see mx_resolver.c */
	gint64 patience; /* a slower server is a dead one, until callers show how long they wait */
	gint64 control_max;          /* the same for the control question, at most */
	gint64 question_max;         /* a question is given up after so long */
	gint64 probe_min, probe_max; /* between probes of a dead server */
	guint questions;             /* without an answer at one time, at most */
	const char *resolv_conf;
};
extern const struct mx_tuning mx_tuning_default;

/** As mx_resolver_new(). */
struct mx_resolver *mx_resolver_new_tuned(const char *server, guint cache_entries,
					  const struct mx_tuning *tuning, char **why);

#endif
