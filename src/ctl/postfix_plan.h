/*
 * postfix_plan - what Postfix has to know of a configuration: ways out of the host, and who takes
 * which.
 *
 * A pool has a way of its own if it has source addresses, a HELO name or a relay.  Postfix chooses
 * it by the envelope sender as the milter set it (trivial-rewrite is asked by the queue manager,
 * with the sender that stands in the queue file then): by the spf_domain, or of pools with
 * return_path "keep" by the sender_domain.
 *
 * It chooses by the sender or by the recipient, never by both: transport_maps would win over the
 * pool's way, and with it over source address and relay.  So the numbers of an ISP record
 * (connections, messages, recipients) have a way of their own for each pool, and a header field
 * tells Postfix to take it: one that the record sets to "${pool}/${isp}", and that
 * milter_header_checks sees as poolmilter adds it.  It is poolmilter's own choice of the ISP, by MX
 * hosts too, that Postfix follows.
 */
#ifndef POOLMILTER_CTL_POSTFIX_PLAN_H
#define POOLMILTER_CTL_POSTFIX_PLAN_H

#include "core/settings.h"

#include <glib.h>

#define POSTFIX_ROUTE_VALUE "${pool}/${isp}"

/** A way out of the host: a service of master.cf. */
struct postfix_way {
	char *name;              /* of the service */
	const struct pool *pool; /* NULL: that of pools without a way of their own */
	const struct isp *isp;   /* that it is for alone; NULL: for all */
	const struct isp
		*numbers; /* the record whose numbers it keeps: of isp, or "default"; NULL: none */
	const char *ip4, *ip6; /* source addresses; NULL: the system's choice */
	const char *protocols; /* "ipv4", "ipv6", "all": those of the pool's addresses; NULL:
				  Postfix' own */
	char *helo;            /* NULL: Postfix' own name */
	char *nexthop;         /* "[relay]:587"; NULL: the recipient's domain */
};

/** Whose mail takes which way. */
struct postfix_sender {
	const char *domain;      /* of the envelope sender */
	const struct pool *pool; /* the first that has it */
	GPtrArray *ways;         /* of struct postfix_way *: one of them, by chance */
};

/** The way that a header field tells. */
struct postfix_route {
	const char *header;      /* its name */
	const struct pool *pool; /* NULL: any */
	const struct isp *isp;
	const struct postfix_way *way; /* NULL: that of the sender */
};

struct postfix_plan {
	const struct settings *settings;
	char *milter;          /* where Postfix finds poolmilter: "unix:poolmilter/milter.sock" */
	GPtrArray *ways;       /* of struct postfix_way * */
	GHashTable *by_name;   /* of a way -> struct postfix_way * */
	GPtrArray *senders;    /* of struct postfix_sender * */
	GHashTable *by_domain; /* domain -> struct postfix_sender * */
	GPtrArray *routes;     /* of struct postfix_route *: the first that matches counts */
	GPtrArray *unrouted; /* of struct isp *: records with numbers that no header field tells */
	GPtrArray *warnings; /* of char *: what cannot be done, and why */
};

/**
 * The plan of settings, which must live as long.  Of source_ips those count that this host has, or
 * with any_address all.  Never fails.
 */
struct postfix_plan *postfix_plan_new(const struct settings *s, bool any_address);

void postfix_plan_free(struct postfix_plan *p);

/** True if the pool's mail leaves another way than that of other pools: by its address, name or
 * relay. */
bool postfix_plan_own_way(const struct pool *p);

/** The domain that the pool's mail is sent from, and Postfix chooses the way by. */
const char *postfix_plan_domain(const struct pool *p);

/** The first way of that name, NULL: none. */
const struct postfix_way *postfix_plan_way(const struct postfix_plan *p, const char *name);

/** Adds a way of that name (taken) without anything else. */
struct postfix_way *postfix_plan_add(struct postfix_plan *p, char *name, const struct pool *pool);

/** Adds a warning. */
void postfix_plan_warn(struct postfix_plan *p, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** True if the way goes to a relay with a login. */
bool postfix_way_logs_in(const struct postfix_way *w);

#endif
