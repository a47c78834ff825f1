/*
 * postfix_plan - what Postfix has to know of a configuration; see postfix_plan.h.
 *
 * Names of services: "pm-POOL", "pm2-POOL" for its second address, "pm-POOL+ISP", and "pm+ISP" for
 * pools without a way of their own.  Names of pools and records have no '+' and begin with a letter
 * or digit, so no two services have the same.
 */
#include "ctl/postfix_plan.h"

#include "ctl/postfix_route.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_DIRECTORY "/var/spool/postfix/"
#define WAYS_MANY 200 /* a process each, and a socket that master(8) waits for */

struct postfix_way *
postfix_plan_add(struct postfix_plan *p, char *name, const struct pool *pool)
{
	struct postfix_way *w = g_new0(struct postfix_way, 1);

	w->name = name;
	w->pool = pool;
	g_ptr_array_add(p->ways, w);
	g_hash_table_insert(p->by_name, name, w);
	return w;
}

const struct postfix_way *
postfix_plan_way(const struct postfix_plan *p, const char *name)
{
	return g_hash_table_lookup(p->by_name, name);
}

void
postfix_plan_warn(struct postfix_plan *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_ptr_array_add(p->warnings, g_strdup_vprintf(format, ap));
	va_end(ap);
}

const char *
postfix_plan_domain(const struct pool *p)
{
	return p->return_path == RETURN_PATH_KEEP ? p->sender_domain : p->spf_domain;
}

bool
postfix_way_logs_in(const struct postfix_way *w)
{
	return w->nexthop != NULL && w->pool->relay.username != NULL;
}

/* ---- addresses ---- */

static bool
is_ip6(const char *address)
{
	return strchr(address, ':') != NULL;
}

/* What bind() takes is the host's; no packet is sent. */
static bool
host_has(const char *address)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	int fd = socket(is_ip6(address) ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return false;
	if (is_ip6(address))
		has = inet_pton(AF_INET6, address, &six.sin6_addr) == 1 &&
		      bind(fd, (struct sockaddr *)(void *)&six, sizeof six) == 0;
	else
		has = inet_pton(AF_INET, address, &four.sin_addr) == 1 &&
		      bind(fd, (struct sockaddr *)(void *)&four, sizeof four) == 0;
	close(fd);
	return has;
}

/* By the other family mail would leave from an address that is not the pool's. */
static const char *
protocols_of(const GPtrArray *addresses)
{
	bool four = false, six = false;

	for (guint i = 0; i < addresses->len; i++)
		if (is_ip6(addresses->pdata[i]))
			six = true;
		else
			four = true;
	return four && six ? "all" : six ? "ipv6" : four ? "ipv4" : NULL;
}

static GPtrArray *
usable_addresses(const struct pool *p, bool v6, bool any_address)
{
	GPtrArray *usable = g_ptr_array_new();

	for (guint i = 0; i < p->source_ips->len; i++) {
		char *address = p->source_ips->pdata[i];

		if (is_ip6(address) == v6 && (any_address || host_has(address)))
			g_ptr_array_add(usable, address);
	}
	return usable;
}

/* ---- ways of a pool ---- */

bool
postfix_plan_own_way(const struct pool *p)
{
	return p->source_ips->len > 0 || p->sender_subdomain != NULL || p->relay.host != NULL;
}

/* Source addresses and HELO name of such a pool are the relay's, not ours. */
static void
add_relay(struct postfix_plan *plan, struct postfix_sender *s)
{
	const struct pool *p = s->pool;
	struct postfix_way *w = postfix_plan_add(plan, g_strdup_printf("pm-%s", p->name), p);

	w->nexthop = g_strdup_printf("[%s]:%d", p->relay.host, (int)p->relay.port);
	g_ptr_array_add(s->ways, w);
}

/* One way for each source address; an IPv4 and an IPv6 address share one. */
static void
add_direct(struct postfix_plan *plan, struct postfix_sender *s, bool any_address)
{
	const struct pool *p = s->pool;
	GPtrArray *four = usable_addresses(p, false, any_address);
	GPtrArray *six = usable_addresses(p, true, any_address);
	guint n = MAX(MAX(four->len, six->len), 1);

	if (p->source_ips->len > 0 && four->len + six->len == 0)
		postfix_plan_warn(
			plan,
			"pool %s: this host has none of its source_ips: the system chooses "
			"the address (right behind NAT; see also --any-address)",
			p->name);
	for (guint i = 0; i < n; i++) {
		char *name = i == 0 ? g_strdup_printf("pm-%s", p->name)
				    : g_strdup_printf("pm%u-%s", i + 1, p->name);
		struct postfix_way *w = postfix_plan_add(plan, name, p);

		w->numbers = plan->settings->default_isp;
		w->ip4 = four->len > 0 ? four->pdata[i % four->len] : NULL;
		w->ip6 = six->len > 0 ? six->pdata[i % six->len] : NULL;
		w->protocols = w->ip4 != NULL && w->ip6 == NULL   ? "ipv4"
			       : w->ip4 == NULL && w->ip6 != NULL ? "ipv6"
								  : protocols_of(p->source_ips);
		if (p->sender_subdomain != NULL)
			w->helo = g_strdup_printf("%s.%s", p->sender_subdomain, p->sender_domain);
		g_ptr_array_add(s->ways, w);
	}
	g_ptr_array_free(four, TRUE);
	g_ptr_array_free(six, TRUE);
}

/* ---- senders ---- */

static bool
same_list(const GPtrArray *a, const GPtrArray *b)
{
	if (a->len != b->len)
		return false;
	for (guint i = 0; i < a->len; i++)
		if (strcmp(a->pdata[i], b->pdata[i]) != 0)
			return false;
	return true;
}

static bool
same_relay(const struct pool *a, const struct pool *b)
{
	return a->relay.port == b->relay.port && a->relay.starttls == b->relay.starttls &&
	       g_strcmp0(a->relay.username, b->relay.username) == 0 &&
	       g_strcmp0(a->relay.password_file, b->relay.password_file) == 0;
}

/* True if the mail of both leaves the same way. */
static bool
same_way(const struct pool *a, const struct pool *b)
{
	if (g_strcmp0(a->relay.host, b->relay.host) != 0)
		return false;
	if (a->relay.host != NULL)
		return same_relay(a, b);
	return same_list(a->source_ips, b->source_ips) &&
	       g_strcmp0(a->sender_subdomain, b->sender_subdomain) == 0 &&
	       (a->sender_subdomain == NULL || strcmp(a->sender_domain, b->sender_domain) == 0);
}

/* The domains of pools whose ways differ: they get no entry, since either would be wrong. */
static GHashTable *
disputed_domains(struct postfix_plan *plan)
{
	const GPtrArray *pools = plan->settings->pools;
	GHashTable *first = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTable *disputed = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < pools->len; i++) {
		struct pool *p = pools->pdata[i], *other;
		const char *domain = postfix_plan_domain(p);

		other = g_hash_table_lookup(first, domain);
		if (other == NULL) {
			g_hash_table_insert(first, (gpointer)domain, p);
		} else if (!same_way(p, other) && g_hash_table_add(disputed, (gpointer)domain)) {
			postfix_plan_warn(
				plan,
				"pools %s and %s send from @%s, by which Postfix would have to "
				"tell them apart: source_ips, sender_subdomain and relay of both "
				"are left out; give one another spf_domain",
				other->name, p->name, domain);
		}
	}
	g_hash_table_destroy(first);
	return disputed;
}

static void
add_sender(struct postfix_plan *plan, const struct pool *p, bool any_address)
{
	struct postfix_sender *s = g_new0(struct postfix_sender, 1);

	s->domain = postfix_plan_domain(p);
	s->pool = p;
	s->ways = g_ptr_array_new();
	if (p->relay.host != NULL)
		add_relay(plan, s);
	else
		add_direct(plan, s, any_address);
	g_ptr_array_add(plan->senders, s);
	g_hash_table_insert(plan->by_domain, (gpointer)s->domain, s);
	if (p->return_path == RETURN_PATH_KEEP)
		postfix_plan_warn(
			plan,
			"pool %s: return_path is \"keep\": only mail whose envelope sender is at "
			"%s itself leaves its way",
			p->name, p->sender_domain);
}

static void
add_senders(struct postfix_plan *plan, bool any_address)
{
	const GPtrArray *pools = plan->settings->pools;
	GHashTable *disputed = disputed_domains(plan);

	for (guint i = 0; i < pools->len; i++) {
		const struct pool *p = pools->pdata[i];
		const char *domain = postfix_plan_domain(p);

		if (postfix_plan_own_way(p) && !g_hash_table_contains(disputed, domain) &&
		    !g_hash_table_contains(plan->by_domain, domain))
			add_sender(plan, p, any_address);
	}
	g_hash_table_destroy(disputed);
}

/* ---- the milter's socket ---- */

/* "inet:8892@127.0.0.1" as Postfix writes it; all addresses of the host are reached by loopback. */
static char *
inet_milter(const char *listen)
{
	char *port = g_strndup(strchr(listen, ':') + 1, strcspn(strchr(listen, ':') + 1, "@"));
	const char *host = strchr(listen, '@') + 1;
	char *milter;

	if (strcmp(host, "0.0.0.0") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		host = "::1";
	milter = is_ip6(host) ? g_strdup_printf("inet:[%s]:%s", host, port)
			      : g_strdup_printf("inet:%s:%s", host, port);
	g_free(port);
	return milter;
}

/* Below the queue directory a relative path is right for chrooted processes and others alike. */
static char *
milter_name(const struct settings *s)
{
	const char *listen = s->listen->pdata[0];

	for (guint i = 0; i < s->listen->len; i++)
		if (g_str_has_prefix(s->listen->pdata[i], "unix:"))
			listen = s->listen->pdata[i];
	if (g_str_has_prefix(listen, "unix:" QUEUE_DIRECTORY))
		return g_strconcat("unix:", listen + strlen("unix:" QUEUE_DIRECTORY), NULL);
	if (g_str_has_prefix(listen, "unix:"))
		return g_strdup(listen);
	return inet_milter(listen);
}

/* ---- the plan ---- */

static void
way_free(void *way)
{
	struct postfix_way *w = way;

	g_free(w->name);
	g_free(w->helo);
	g_free(w->nexthop);
	g_free(w);
}

static void
sender_free(void *sender)
{
	g_ptr_array_free(((struct postfix_sender *)sender)->ways, TRUE);
	g_free(sender);
}

struct postfix_plan *
postfix_plan_new(const struct settings *s, bool any_address)
{
	struct postfix_plan *p = g_new0(struct postfix_plan, 1);

	p->settings = s;
	p->milter = milter_name(s);
	p->ways = g_ptr_array_new_with_free_func(way_free);
	p->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	p->senders = g_ptr_array_new_with_free_func(sender_free);
	p->by_domain = g_hash_table_new(g_str_hash, g_str_equal);
	p->routes = g_ptr_array_new_with_free_func(g_free);
	p->unrouted = g_ptr_array_new();
	p->warnings = g_ptr_array_new_with_free_func(g_free);
	add_senders(p, any_address);
	postfix_route_add(p);
	if (p->ways->len > WAYS_MANY)
		postfix_plan_warn(
			p,
			"%u services in master.cf: Postfix starts processes for each; pools that "
			"may share an address can share a spf_domain",
			p->ways->len);
	return p;
}

void
postfix_plan_free(struct postfix_plan *p)
{
	if (p == NULL)
		return;
	g_free(p->milter);
	g_hash_table_destroy(p->by_name);
	g_hash_table_destroy(p->by_domain);
	g_ptr_array_free(p->ways, TRUE);
	g_ptr_array_free(p->senders, TRUE);
	g_ptr_array_free(p->routes, TRUE);
	g_ptr_array_free(p->unrouted, TRUE);
	g_ptr_array_free(p->warnings, TRUE);
	g_free(p);
}
