/*
 * resolver - what the pipeline asks of the DNS: the MX hosts of a domain.
 *
 * A facade: libunbound with a cache in the daemon (io/mx_resolver.h), tables in tests.
 */
#ifndef POOLMILTER_CORE_RESOLVER_H
#define POOLMILTER_CORE_RESOLVER_H

#include <glib.h>
#include <stdbool.h>

enum mx_answer {
	MX_FOUND,  /* there are hosts */
	MX_NONE,   /* the domain has no MX record, or does not exist, or takes no mail (RFC 7505) */
	MX_FAILED, /* not known in time, or the DNS server failed: try again with another message */
};

/** Called for each MX host, in the domain's normal form (core/domain.h); false ends the calls. */
typedef bool mx_host_fn(const char *host, void *context);

struct resolver {
	/** Begins a look-up without waiting for it, unless the answer is in the cache. Thread-safe. */
	void (*start)(void *context, const char *domain);
	/**
	 * Calls each() for the hosts of a domain (normal form), from the cache, or after waiting for the
	 * answer until deadline (g_get_monotonic_time()) at the longest.  Thread-safe.
	 */
	enum mx_answer (*mx)(void *context, const char *domain, gint64 deadline, mx_host_fn *each,
			     void *each_context);
	void *context;
};

#endif
