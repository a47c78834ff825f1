/*
 * settings_finish - what the steps of settings_finish() share; private to settings*.c.
 */
#ifndef POOLMILTER_CORE_SETTINGS_FINISH_H
#define POOLMILTER_CORE_SETTINGS_FINISH_H

#include "core/settings.h"

/** What is being checked, and where to say so. */
struct finish {
	struct settings *s;
	struct errors *errors;
	bool whole;              /* no errors before: then nothing may be missing */
	GHashTable *pool_by_tag; /* struct pool * by its tag and spf_domain */
	const struct pool *pool; /* at hand, or */
	const struct isp *isp;
	struct origin item; /* the part of it at hand; line 0: none, the key tells */
};

/** An error, or a warning, about a key of the pool or ISP record at hand. */
void finish_error(const struct finish *f, const char *key, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
void finish_warning(const struct finish *f, const char *key, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/** "FILE:LINE", for a second place (g_free it). */
char *finish_place(struct origin at);

/** Checks what the pool or ISP record at hand does to the header. */
void finish_header_rules(struct finish *f, const struct header_rules *rules);

/** Checks names of headers that are to be signed: those that change on the way cannot be. */
void finish_signed_headers(struct finish *f, const char *key, const GPtrArray *names);

/** True if mail needs the header as it is, so that it cannot be the control header. */
bool finish_header_needed(const char *name);

/** Reads the limits of all pools and ISP records; after finish_isps(), whose records pools name. */
void finish_limits(struct finish *f);

/** Checks a pool's dkim_next, and makes its rotation; after its signatures. */
void finish_rotation(struct finish *f, struct pool *p);

/** Checks all pools, and builds their look-ups. */
void finish_pools(struct finish *f);

/** Checks what all pools tell of the DNS and the MTA; after finish_pools(). */
void finish_dns(struct finish *f);

/** Checks all ISP records, and builds their look-ups. */
void finish_isps(struct finish *f);

/** Checks what becomes of the mail: events, webhooks, lock rules, bounce patterns; last of all. */
void finish_events(struct finish *f);

#endif
