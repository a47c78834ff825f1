/*
 * mx_context - libunbound set up for questions to given servers; see mx_context.h.
 */
#include "io/mx_context.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define HOSTS_MAX 100     /* MX hosts of a domain; more: MX_FAILED, which no record matches */
#define HOSTS_OCTETS 4096 /* of their names, NULs included; more: the same */

/* Options of libunbound (unbound.conf(5)). */
static const struct {
	const char *name, *value;
} options[] = {
	{"module-config:", "iterator"},       /* no DNSSEC: names of providers are no secrets */
	{"do-not-query-localhost:", "no"},    /* a cache on this host is the best server */
	{"local-zone:", "test. transparent"}, /* names for private use: the server knows, not we; */
	{"local-zone:", "home.arpa. transparent"}, /* "nodefault" does not work in 1.17.1 */
	{"local-zone:", "127.in-addr.arpa. transparent"},
	{"unblock-lan-zones:", "yes"},    /* PTR of private addresses, the same */
	{"infra-cache-min-rtt:", "400"},  /* a cache answers in 1 ms or when it has asked others */
	{"infra-host-ttl:", "2"},         /* forget a dead server's back-off: 900 s by default */
	{"infra-keep-probing:", "yes"},   /* and try it meanwhile */
	{"outbound-msg-retry:", "3"},     /* then SERVFAIL, after about 5 s: nobody waits longer */
	{"outgoing-range:", "256"},       /* questions by UDP at one time; 16 in a library */
	{"outgoing-num-tcp:", "8"},       /* 2 in a library */
	{"harden-below-nxdomain:", "no"}, /* an NXDOMAIN of the root says nothing of others */
	{"msg-cache-size:", "256k"},      /* the cache is ours; this one only has to work */
	{"rrset-cache-size:", "256k"},
};

bool
mx_context_name(const unsigned char *data, size_t len, char out[DOMAIN_SIZE])
{
	char text[DOMAIN_MAX + 2];
	size_t used = 0, at = 0;

	while (at < len && data[at] != 0) {
		size_t label = data[at++];

		if (label > 63 || label > len - at || used + label + 1 > sizeof text ||
		    memchr(data + at, '.', label) != NULL)
			return false;
		memcpy(text + used, data + at, label);
		used += label;
		text[used++] = '.';
		at += label;
	}
	return at < len && domain_normalise(text, used, out);
}

/* The host in MX RDATA (RFC 1035 3.3.9), behind its preference. */
static bool
host_of_rdata(const unsigned char *data, size_t len, char out[DOMAIN_SIZE])
{
	return len > 2 && mx_context_name(data + 2, len - 2, out);
}

/* The answer in MX records; a lone "." says that the domain takes no mail (RFC 7505). */
struct mx_hosts *
mx_context_hosts(const struct ub_result *result)
{
	char hosts[HOSTS_OCTETS], host[DOMAIN_SIZE];
	size_t used = 0;
	guint count = 0;

	for (int i = 0; result->data[i] != NULL; i++) {
		size_t len;

		if (result->len[i] < 0 || !host_of_rdata((const unsigned char *)result->data[i],
							 (size_t)result->len[i], host))
			continue;
		len = strlen(host) + 1;
		if (count == HOSTS_MAX || len > sizeof hosts - used)
			return mx_hosts_ref(&mx_hosts_failed);
		memcpy(hosts + used, host, len);
		used += len;
		count++;
	}
	return count > 0 ? mx_hosts_new(hosts, used, count) : mx_hosts_ref(&mx_hosts_none);
}

static struct ub_ctx *
context_failed(struct ub_ctx *ctx, char **why, char *text)
{
	ub_ctx_delete(ctx);
	*why = text;
	return NULL;
}

static int
context_set_servers(struct ub_ctx *ctx, const char *server, const char *resolv_conf, char **why)
{
	int error;

	if (server != NULL) {
		error = ub_ctx_set_fwd(ctx, server);
		if (error != 0)
			*why = g_strdup_printf("%s is no address of a DNS server", server);
		return error;
	}
	error = ub_ctx_resolvconf(ctx, resolv_conf);
	if (error == UB_READFILE)
		*why = g_strdup_printf(
			"%s: %s; it or the setting \"resolver\" must name a DNS server",
			resolv_conf, g_strerror(errno));
	else if (error != 0)
		*why = g_strdup_printf("%s: a nameserver line without an address", resolv_conf);
	return error;
}

/* A context that has done nothing yet; NULL with *why. */
struct ub_ctx *
mx_context_new(const char *server, const char *resolv_conf, char **why)
{
	struct ub_ctx *ctx = ub_ctx_create();

	if (ctx == NULL) {
		*why = g_strdup_printf("libunbound: %s", g_strerror(errno));
		return NULL;
	}
	ub_ctx_debugout(ctx, NULL);
	ub_ctx_debuglevel(ctx, 0);
	ub_ctx_async(ctx, 1);
	fcntl(ub_fd(ctx), F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
		int error = ub_ctx_set_option(ctx, options[i].name, options[i].value);

		if (error != 0)
			return context_failed(ctx, why,
					      g_strdup_printf("libunbound: %s %s: %s",
							      options[i].name, options[i].value,
							      ub_strerror(error)));
	}
	if (context_set_servers(ctx, server, resolv_conf, why) != 0)
		return context_failed(ctx, why, *why);
	return ctx;
}
