/*
 * postfix_service - the services of master.cf that a plan needs; see postfix_service.h.
 */
#include "ctl/postfix_service.h"

#include <string.h>

#define SMTPS_PORT 465 /* TLS from the first octet on, RFC 8314 3.3 */

char *
postfix_service_transport(const struct postfix_way *w)
{
	return g_strdup_printf("%s:%s", w->name, w->nexthop != NULL ? w->nexthop : "");
}

static void option(GPtrArray *options, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
option(GPtrArray *options, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	g_ptr_array_add(options, g_strdup_vprintf(format, ap));
	va_end(ap);
}

/* Without TLS only mechanisms that do not show the password, but for a relay on this host. */
static void
login_options(GPtrArray *options, const struct pool *p, const char *directory)
{
	bool near = strcmp(p->relay.host, "localhost") == 0 || strcmp(p->relay.host, "::1") == 0 ||
		    g_str_has_prefix(p->relay.host, "127.");

	option(options, "smtp_sasl_auth_enable=yes");
	option(options, "smtp_sasl_password_maps=texthash:%s/passwords", directory);
	option(options, "smtp_sender_dependent_authentication=yes");
	option(options, "smtp_sasl_security_options=%s",
	       p->relay.starttls || near ? "noanonymous" : "noanonymous,noplaintext");
}

static void
relay_options(GPtrArray *options, const struct postfix_way *w, const char *directory)
{
	const struct pool *p = w->pool;

	option(options, "smtp_tls_security_level=%s", p->relay.starttls ? "encrypt" : "none");
	if (p->relay.starttls && p->relay.port == SMTPS_PORT)
		option(options, "smtp_tls_wrappermode=yes");
	if (postfix_way_logs_in(w))
		login_options(options, p, directory);
}

static void
address_options(GPtrArray *options, const struct postfix_way *w)
{
	if (w->ip4 != NULL)
		option(options, "smtp_bind_address=%s", w->ip4);
	if (w->ip6 != NULL)
		option(options, "smtp_bind_address6=%s", w->ip6);
	if (w->ip4 != NULL || w->ip6 != NULL)
		option(options, "smtp_bind_address_enforce=yes");
	if (w->protocols != NULL)
		option(options, "inet_protocols=%s", w->protocols);
	if (w->helo != NULL)
		option(options, "smtp_helo_name=%s", w->helo);
}

static void
connection_options(GPtrArray *options, const struct isp *isp)
{
	/* Else mail opens a connection while another one waits for more. */
	if (isp->connections > 0 && isp->messages_per_connection != 1)
		option(options, "smtp_connection_cache_destinations=static:all");
	/* The limit counts how often a connection is used again. */
	if (isp->messages_per_connection == 1)
		option(options, "smtp_connection_cache_on_demand=no");
	else if (isp->messages_per_connection > 1)
		option(options, "smtp_connection_reuse_count_limit=%" G_GINT64_FORMAT,
		       (gint64)isp->messages_per_connection - 1);
}

GPtrArray *
postfix_service_options(const struct postfix_way *w, const char *directory)
{
	GPtrArray *options = g_ptr_array_new_with_free_func(g_free);

	option(options, "syslog_name=postfix/$service_name");
	address_options(options, w);
	if (w->nexthop != NULL)
		relay_options(options, w, directory);
	if (w->numbers != NULL)
		connection_options(options, w->numbers);
	return options;
}

/* No more processes than connections: the limit of a destination is one of a domain, and ISPs have
 * many. */
static char *
way_service(const struct postfix_way *w)
{
	if (w->isp != NULL && w->isp->connections > 0)
		return g_strdup_printf("%s unix - - n - %" G_GINT64_FORMAT " smtp", w->name,
				       (gint64)w->isp->connections);
	return g_strdup_printf("%s unix - - n - - smtp", w->name);
}

/* Where poolmilter gives copies for other ISPs; see contrib/postfix/master.cf.snippet. */
static void
split_service(const struct settings *s, postfix_service_fn *f, void *context)
{
	static const char *const texts[] = {
		"syslog_name=postfix/split",
		"mynetworks=127.0.0.0/8,[::1]/128",
		"smtpd_client_restrictions=permit_mynetworks,reject",
		"smtpd_relay_restrictions=permit_mynetworks,reject",
		"smtpd_helo_restrictions=",
		"smtpd_sender_restrictions=",
		"smtpd_recipient_restrictions=",
		"smtpd_data_restrictions=",
		"smtpd_end_of_data_restrictions=",
		"smtpd_sasl_auth_enable=no",
		"smtpd_tls_security_level=none",
	};
	GPtrArray *options = g_ptr_array_new();
	char *service =
		g_strdup_printf("%s inet n - n - 200 smtpd", s->reinject + strlen("smtp://"));

	for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
		g_ptr_array_add(options, (gpointer)texts[i]);
	f(context, service, options);
	g_free(service);
	g_ptr_array_free(options, TRUE);
}

void
postfix_service_each(const struct postfix_plan *p, const char *directory, postfix_service_fn *f,
		     void *context)
{
	for (guint i = 0; i < p->ways->len; i++) {
		const struct postfix_way *w = p->ways->pdata[i];
		GPtrArray *options = postfix_service_options(w, directory);
		char *service = way_service(w);

		f(context, service, options);
		g_free(service);
		g_ptr_array_free(options, TRUE);
	}
	if (p->settings->mixed_isps == MIXED_SPLIT)
		split_service(p->settings, f, context);
}
