/*
 * zone_names - what all pools of a configuration have at each name of their zones; for core alone.
 *
 * A name has one SPF record, and one set of addresses, whichever pool asks for them.
 */
#ifndef POOLMILTER_CORE_ZONE_NAMES_H
#define POOLMILTER_CORE_ZONE_NAMES_H

#include "core/settings.h"

/** A name that mail is sent under. */
struct zone_name {
	char *name;
	bool helo;                 /* of sending hosts */
	bool sender;               /* some pool's sender_domain */
	bool bounce;               /* some pool's spf_domain */
	bool kept;                 /* a sender_domain whose mail keeps its Return-Path */
	const char *bounce_target; /* of an spf_domain; NULL: no pool tells it */
	GPtrArray *pools;          /* of const struct pool *: those that use it, each once */
	GPtrArray *addresses;      /* of char *, of the pools: what its mail leaves from */
	GPtrArray *includes;       /* of char *: domains whose SPF records count */
};

struct zone_names {
	GHashTable *names;     /* name -> struct zone_name * */
	GHashTable *addresses; /* address -> GPtrArray of const struct pool *: with a HELO name, at
				  it */
};

struct zone_names *zone_names_new(const struct settings *s);
void zone_names_free(struct zone_names *n);

/** What is known of a name; NULL if it is none of these. */
const struct zone_name *zone_names_find(const struct zone_names *n, const char *name);

/** True if there is something that an SPF record of the name can allow. */
bool zone_name_authorises(const struct zone_name *n);

/**
 * The SPF record that allows what the name's mail leaves from, and nothing else (RFC 7208 4.5),
 * with this version ("v=spf1").  *lookups gets how many DNS look-ups it names.  g_free it.
 */
char *zone_name_spf(const struct zone_name *n, const char *version, unsigned *lookups);

#endif
