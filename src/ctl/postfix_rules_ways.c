/*
 * postfix_rules_ways - whether what poolctl postfix generates is in use, and as generated; see
 * postfix_finding.h.
 *
 * Judged by what Postfix would do, not by names of files: its own programs are asked for the way of
 * each pool's senders.
 */
#include "ctl/postfix_finding.h"

#include "ctl/postfix_bounce.h"
#include "ctl/postfix_service.h"

#include <string.h>
#include <sys/stat.h>

static const char again[] =
	"run \"poolctl postfix --output DIR\", DIR/apply.sh and \"postfix reload\"";

/* ---- senders ---- */

static bool
is_way_of(const struct postfix_sender *sender, const char *transport)
{
	bool is = false;

	for (guint i = 0; i < sender->ways->len && !is; i++) {
		char *own = postfix_service_transport(sender->ways->pdata[i]);

		is = strcmp(own, transport) == 0;
		g_free(own);
	}
	return is;
}

/* What the tables have of each sender's domain: the first table that has it counts. */
static GHashTable *
found_ways(const struct postfix_findings *f, const char *tables)
{
	GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	GPtrArray *list = postfix_config_list(tables),
		  *keys = g_ptr_array_new_with_free_func(g_free);
	const GPtrArray *senders = f->plan->senders;

	for (guint i = 0; i < senders->len; i++)
		g_ptr_array_add(
			keys, g_strconcat("@", ((struct postfix_sender *)senders->pdata[i])->domain,
					  NULL));
	for (guint i = 0; i < list->len; i++) {
		GHashTable *here = postfix_config_query(f->config, list->pdata[i], keys);
		GHashTableIter at;
		gpointer key, value;

		g_hash_table_iter_init(&at, here);
		while (g_hash_table_iter_next(&at, &key, &value))
			if (!g_hash_table_contains(found, key))
				g_hash_table_insert(found, g_strdup(key), g_strdup(value));
		g_hash_table_destroy(here);
	}
	g_ptr_array_free(list, TRUE);
	g_ptr_array_free(keys, TRUE);
	return found;
}

static void
check_senders(struct postfix_findings *f)
{
	static const char setting[] = "sender_dependent_default_transport_maps";
	const char *tables = postfix_config_get(f->config, NULL, setting);
	GHashTable *found = found_ways(f, tables != NULL ? tables : "");

	for (guint i = 0; i < f->plan->senders->len; i++) {
		const struct postfix_sender *s = f->plan->senders->pdata[i];
		char *key = g_strconcat("@", s->domain, NULL);
		const char *transport = g_hash_table_lookup(found, key);

		if (transport == NULL)
			postfix_finding_add(f, NULL, setting, again,
					    "pool %s has no entry for %s: its mail leaves by "
					    "default_transport, from any address",
					    s->pool->name, key);
		else if (!is_way_of(s, transport))
			postfix_finding_add(
				f, NULL, setting, again,
				"pool %s: the entry for %s is \"%s\", which is no longer right",
				s->pool->name, key, transport);
		g_free(key);
	}
	g_hash_table_destroy(found);
}

/* transport_maps win over the sender; a table that answers for names like these answers for all. */
static void
check_transport_maps(struct postfix_findings *f)
{
	static const char setting[] = "transport_maps";
	const char *value = postfix_config_get(f->config, NULL, setting);
	GPtrArray *tables, *keys;

	if (value == NULL || *value == '\0' || f->plan->senders->len == 0)
		return;
	tables = postfix_config_list(value);
	keys = g_ptr_array_new();
	g_ptr_array_add(keys, (gpointer) "*");
	g_ptr_array_add(keys, (gpointer) "anybody@poolmilter.invalid");
	for (guint i = 0; i < tables->len; i++) {
		GHashTable *found = postfix_config_query(f->config, tables->pdata[i], keys);

		if (g_hash_table_size(found) > 0)
			postfix_finding_add(
				f, NULL, setting,
				"name single domains there, or set default_transport instead",
				"%s has an entry for all recipients, which wins over the pools' "
				"ways",
				(char *)tables->pdata[i]);
		g_hash_table_destroy(found);
	}
	g_ptr_array_free(keys, TRUE);
	g_ptr_array_free(tables, TRUE);
}

/* ---- services ---- */

/* The tables' directory may be another one by now. */
static bool
names_a_table(const char *option)
{
	return g_str_has_prefix(option, "smtp_sasl_password_maps=");
}

static void
check_option(struct postfix_findings *f, const struct postfix_service *s, const char *option)
{
	const char *equals = strchr(option, '='), *value;
	char *name = g_strndup(option, (gsize)(equals - option));

	value = g_hash_table_lookup(s->overrides, name);
	if (value == NULL || (strcmp(value, equals + 1) != 0 && !names_a_table(option) &&
			      strcmp(name, "syslog_name") != 0))
		postfix_finding_add(f, s, name, again, "expected \"%s\"", equals + 1);
	g_free(name);
}

/* False if it is not there at all. */
static bool
check_way(struct postfix_findings *f, const struct postfix_way *w)
{
	const struct postfix_service *s = postfix_config_service(f->config, w->name, "unix");
	GPtrArray *options;

	if (s == NULL || g_strcmp0(s->command, "smtp") != 0) {
		postfix_finding_add(
			f, NULL, w->name, again,
			"there is no such service in master.cf: mail that needs it waits");
		return false;
	}
	options = postfix_service_options(w, "");
	for (guint i = 0; i < options->len; i++)
		check_option(f, s, options->pdata[i]);
	g_ptr_array_free(options, TRUE);
	if (w->isp != NULL && s->processes != (int)w->isp->connections)
		postfix_finding_add(f, s, "process_limit", again,
				    "%d connections at a time, %s asks for %d", s->processes,
				    w->isp->name, (int)w->isp->connections);
	return true;
}

static void
check_number(struct postfix_findings *f, const struct postfix_way *w, const char *suffix, int64_t n)
{
	char *name = g_strconcat(w->name, suffix, NULL);
	const char *value = postfix_config_get(f->config, NULL, name);

	if (n > 0 && g_ascii_strtoll(value != NULL ? value : "", NULL, 10) != n)
		postfix_finding_add(f, NULL, name, again, "%s asks for %d", w->numbers->name,
				    (int)n);
	g_free(name);
}

static bool
is_generated(const char *name)
{
	if (!g_str_has_prefix(name, "pm"))
		return false;
	name += 2 + strspn(name + 2, "0123456789");
	return *name == '-' || *name == '+';
}

static void
check_services(struct postfix_findings *f)
{
	for (guint i = 0; i < f->plan->ways->len; i++) {
		const struct postfix_way *w = f->plan->ways->pdata[i];

		if (check_way(f, w) && w->numbers != NULL) {
			check_number(f, w, "_destination_concurrency_limit",
				     w->numbers->connections);
			check_number(f, w, "_destination_recipient_limit",
				     w->numbers->recipients_per_message);
		}
	}
	for (guint i = 0; i < f->config->services->len; i++) {
		const struct postfix_service *s = f->config->services->pdata[i];

		if (is_generated(s->name) && strcmp(s->type, "unix") == 0 &&
		    postfix_plan_way(f->plan, s->name) == NULL)
			postfix_finding_add(f, s, "service",
					    "postconf -MX it once no queued mail asks for it",
					    "no pool needs it any more");
	}
}

static void
rule_passwords(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	       const char *value)
{
	GPtrArray *tables = postfix_config_list(value);

	for (guint i = 0; i < tables->len; i++) {
		const char *path = strchr(tables->pdata[i], ':');
		struct stat st;

		if (path != NULL && stat(path + 1, &st) == 0 && (st.st_mode & 077) != 0)
			postfix_finding_add(f, s, setting, "chmod 600",
					    "%s is open to others than root: the logins of relays",
					    path + 1);
	}
	g_ptr_array_free(tables, TRUE);
}

/* ---- ISPs' ways ---- */

static void
rule_no_checks(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	       const char *value)
{
	if (postfix_config_has(value, "no_header_body_checks") &&
	    (s == NULL || !postfix_finding_is_local(s)))
		postfix_finding_add(
			f, s, setting, "without no_header_body_checks",
			"milter_header_checks do not run: the numbers of ISPs are not kept");
}

static void
check_routes(struct postfix_findings *f)
{
	static const char *const copies[] = {"always_bcc", "sender_bcc_maps", "recipient_bcc_maps"};
	const char *checks = postfix_config_get(f->config, NULL, "milter_header_checks");
	const char *routes = postfix_config_get(f->config, NULL, "poolmilter_routes");

	if (f->plan->routes->len == 0)
		return;
	if (routes == NULL || checks == NULL || strstr(checks, routes) == NULL)
		postfix_finding_add(
			f, NULL, "milter_header_checks", again,
			"poolmilter_routes is not there: the numbers of ISPs are not kept");
	for (guint i = 0; i < G_N_ELEMENTS(copies); i++)
		if (g_strcmp0(postfix_config_get(f->config, NULL, copies[i]), "") != 0)
			postfix_finding_add(
				f, NULL, copies[i],
				"take the route header out of poolmilter.conf, or this out of here",
				"copies of mail to ISPs with numbers take the ISP's way too: one "
				"for this host itself "
				"is returned");
	postfix_finding_each(f, "smtpd", "receive_override_options", rule_no_checks);
	if (g_strcmp0(postfix_config_get(f->config, NULL, "relayhost"), "") != 0)
		postfix_finding_add(
			f, NULL, "relayhost",
			"take the route header out of poolmilter.conf, or relayhost out of here",
			"mail to ISPs with numbers goes to the recipient's domain, not to "
			"relayhost");
	if (g_strcmp0(postfix_config_get(f->config, NULL, "default_filter_nexthop"), "") != 0)
		postfix_finding_add(
			f, NULL, "default_filter_nexthop", "empty",
			"mail to ISPs with numbers all goes there, not to the recipients' domains");
}

/* ---- mixed_isps = "split" ---- */

static void
check_split(struct postfix_findings *f)
{
	static const char *const copies[] = {"always_bcc", "sender_bcc_maps", "recipient_bcc_maps"};
	const struct settings *s = f->plan->settings;
	const char *name = s->reinject + strlen("smtp://"), *port = strrchr(name, ':') + 1;
	const struct postfix_service *back = postfix_config_service(f->config, name, "inet");

	if (back == NULL)
		back = postfix_config_service(f->config, port, "inet");
	if (back == NULL || g_strcmp0(back->command, "smtpd") != 0) {
		postfix_finding_add(
			f, NULL, name, again,
			"mixed_isps is \"split\" and no smtpd listens where reinject says: mail "
			"for several ISPs is treated as neutral");
		return;
	}
	if (postfix_config_has(postfix_config_get(f->config, back, "receive_override_options"),
			       "no_milters"))
		postfix_finding_add(f, back, "receive_override_options", "without no_milters",
				    "the copies for other ISPs leave untreated and unsigned");
	for (guint i = 0; i < G_N_ELEMENTS(copies); i++) {
		const char *value = postfix_config_get(f->config, NULL, copies[i]);

		if (value != NULL && *value != '\0' &&
		    !g_hash_table_contains(back->overrides, "cleanup_service_name"))
			postfix_finding_add(f, NULL, copies[i],
					    "see contrib/postfix/master.cf.snippet: a cleanup "
					    "service without it "
					    "for the copies",
					    "copies for other ISPs are sent there once more");
	}
}

/* ---- all of them ---- */

void
postfix_rules_ways(struct postfix_findings *f)
{
	check_senders(f);
	check_transport_maps(f);
	check_services(f);
	postfix_finding_each(f, "smtp", "smtp_sasl_password_maps", rule_passwords);
	check_routes(f);
	if (f->plan->settings->mixed_isps == MIXED_SPLIT)
		check_split(f);
	if (postfix_bounce_used(f->plan->settings))
		postfix_rules_bounces(f);
}
