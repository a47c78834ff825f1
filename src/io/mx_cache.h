/*
 * mx_cache - what is known of the MX hosts of domains, for at most so many of them.
 *
 * Sets of 8 domains; a new one replaces one of its set that was not used since its last
 * turn (second chance), so an insertion costs the same however large the cache is, and names
 * chosen to collide push out each other, no more.  Answers are immutable and counted by reference.
 */
#ifndef POOLMILTER_IO_MX_CACHE_H
#define POOLMILTER_IO_MX_CACHE_H

#include "core/resolver.h"

/** What is known of a domain. Immutable, counted by reference. */
struct mx_hosts {
	gint references;
	enum mx_answer what;
	guint count;
	char hosts[]; /* NUL-terminated, one after the other */
};
extern struct mx_hosts mx_hosts_none, mx_hosts_failed; /* never freed */

/** count hosts, one after the other with their NULs, len octets in all: one reference. */
struct mx_hosts *mx_hosts_new(const char *hosts, size_t len, guint count);
struct mx_hosts *mx_hosts_ref(struct mx_hosts *h);
void mx_hosts_unref(struct mx_hosts *h); /* NULL is allowed */

/** Calls each() for the hosts, until it is false. */
enum mx_answer mx_hosts_tell(const struct mx_hosts *h, mx_host_fn *each, void *context);

struct mx_entry {
	struct mx_hosts *answer;
	gint64 fresh_until; /* not asked again before */
	gint64 expired;     /* end of its TTL; of a failure: when it happened */
	char domain[];
};

struct mx_cache;

/** Not thread-safe. */
struct mx_cache *mx_cache_new(guint entries);
void mx_cache_free(struct mx_cache *c); /* NULL is allowed */

/** The entry of a domain, valid until the next mx_cache_add(); or NULL. hash: g_str_hash(). */
struct mx_entry *mx_cache_find(const struct mx_cache *c, const char *domain, guint hash);

/** The same; if there is none, a new one: its answer is NULL, for the caller to set. */
struct mx_entry *mx_cache_add(struct mx_cache *c, const char *domain, guint hash);

#endif
