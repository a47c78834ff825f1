/*
 * postfix_route - ways that keep the numbers of ISP records; see postfix_route.h.
 *
 * A pool with ways of its own has one more for each record with numbers, from its first address;
 * all other pools share one for each record.  Mail that goes by a relay stays with it: how many
 * connections an ISP sees is the relay's matter.
 *
 * Only a header field of the record counts.  A record with ${isp} in a value is treated like no
 * other, so that the field stands only in mail all of whose recipients are the record's.  A pool's
 * field would stand in mail for others too, and a recipient of this host would be sent out by
 * smtp(8) and come back as a loop.  The record "default" has anybody's recipients and no way for
 * that reason.
 */
#include "ctl/postfix_route.h"

#include "core/template.h"

#include <string.h>

#define NAME_MAX_OCTETS 90 /* "private/NAME" is the path of a socket, which has room for 107 */

/* The header field that tells pool and ISP, NULL: none. */
static const char *
route_header(const struct header_rules *rules)
{
	const GPtrArray *const lists[] = {rules->set_headers, rules->add_headers};

	for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
		for (guint k = 0; k < lists[i]->len; k++) {
			const struct header_value *h = lists[i]->pdata[k];

			if (strcmp(template_text(h->value), POSTFIX_ROUTE_VALUE) == 0)
				return h->name;
		}
	return NULL;
}

static void
add_route(struct postfix_plan *p, const char *header, const struct pool *pool,
	  const struct isp *isp, const struct postfix_way *way)
{
	struct postfix_route *r = g_new(struct postfix_route, 1);

	*r = (struct postfix_route){header, pool, isp, way};
	g_ptr_array_add(p->routes, r);
}

/* The way of a sender, or of all pools without one, to the ISP. NULL: its name is too long. */
static const struct postfix_way *
way_to(struct postfix_plan *p, const struct postfix_sender *sender, const struct isp *isp)
{
	const struct postfix_way *first = sender != NULL ? sender->ways->pdata[0] : NULL, *there;
	char *name = g_strdup_printf("pm%s%s+%s", sender != NULL ? "-" : "",
				     sender != NULL ? sender->pool->name : "", isp->name);
	struct postfix_way *way;

	there = postfix_plan_way(p, name);
	if (there != NULL || strlen(name) > NAME_MAX_OCTETS) {
		if (there == NULL)
			postfix_plan_warn(
				p,
				"%s: too long for a service's name: the numbers of %s are not kept",
				name, isp->name);
		g_free(name);
		return there;
	}
	way = postfix_plan_add(p, name, sender != NULL ? sender->pool : NULL);
	way->isp = way->numbers = isp;
	if (first != NULL) {
		way->ip4 = first->ip4;
		way->ip6 = first->ip6;
		way->protocols = first->protocols;
		way->helo = g_strdup(first->helo);
	}
	return way;
}

static bool
has_numbers(const struct isp *isp)
{
	return isp->connections > 0 || isp->messages_per_connection > 0 ||
	       isp->recipients_per_message > 0;
}

/* Routes of all pools to one ISP; as the last the one that pools without ways share. */
static void
add_isp(struct postfix_plan *p, const struct isp *isp, const char *header)
{
	const GPtrArray *pools = p->settings->pools;
	bool shared = false;

	for (guint i = 0; i < pools->len; i++) {
		const struct pool *pool = pools->pdata[i];
		const struct postfix_sender *sender =
			g_hash_table_lookup(p->by_domain, postfix_plan_domain(pool));

		if (pool->relay.host != NULL)
			add_route(p, header, pool, isp, NULL);
		else if (sender == NULL)
			shared = true;
		else
			add_route(p, header, pool, isp, way_to(p, sender, isp));
	}
	if (shared)
		add_route(p, header, NULL, isp, way_to(p, NULL, isp));
}

static void
add_isps(struct postfix_plan *p, const GPtrArray *isps)
{
	for (guint i = 0; i < isps->len; i++) {
		struct isp *isp = isps->pdata[i];
		const char *header = route_header(&isp->headers);

		if (isp->replaced || isp == p->settings->default_isp || !has_numbers(isp))
			continue;
		if (header != NULL)
			add_isp(p, isp, header);
		else
			g_ptr_array_add(p->unrouted, isp);
	}
}

/* What would surprise. */
static void
warn_pools(struct postfix_plan *p)
{
	for (guint i = 0; i < p->settings->pools->len; i++) {
		const struct pool *pool = p->settings->pools->pdata[i];

		if (route_header(&pool->headers) != NULL)
			postfix_plan_warn(p,
					  "pool %s: \"" POSTFIX_ROUTE_VALUE
					  "\" in a pool's header does not route, since "
					  "it stands in mail for others too; set it in ISP records",
					  pool->name);
	}
	for (guint i = 0; p->routes->len > 0 && i < p->senders->len; i++) {
		const struct postfix_sender *s = p->senders->pdata[i];

		if (s->ways->len > 1)
			postfix_plan_warn(p,
					  "pool %s: to ISPs with numbers its mail leaves from the "
					  "first of its "
					  "addresses only",
					  s->pool->name);
	}
}

void
postfix_route_add(struct postfix_plan *p)
{
	add_isps(p, p->settings->isps);
	add_isps(p, p->settings->shipped_isps);
	warn_pools(p);
}
