/*
 * command_dns_check - poolctl dns check: the records that pools want beside what the DNS has.
 */
#include "ctl/command.h"
#include "ctl/dns_report.h"
#include "ctl/verdicts.h"
#include "ctl/zone_source.h"
#include "io/conf_file.h"
#include "io/dns_client.h"
#include "io/org_domain.h"
#include "io/spf.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#define TOTAL_MS 300000 /* for all look-ups together */

/* Exit status, besides those of sysexits.h. */
#define EXIT_WARNINGS 1
#define EXIT_ERRORS 2

struct options {
	const char *config;
	const char *resolver; /* NULL: that of the settings */
	bool json;
	bool quiet;
	bool help;
};

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"resolver", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:qh", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'r')
			o->resolver = optarg;
		else if (c == 'j')
			o->json = true;
		else if (c == 'q')
			o->quiet = true;
		else if (c == 'h')
			o->help = true;
		else
			return command_usage_error("dns", "check: unknown option");
	}
	return EX_OK;
}

static int
status_of(const GPtrArray *verdicts)
{
	struct dns_counts c = dns_report_count(verdicts);

	if (c.worst[FINDING_ERROR] > 0)
		return EXIT_ERRORS;
	if (c.worst[FINDING_UNKNOWN] > 0)
		return EX_TEMPFAIL;
	return c.worst[FINDING_WARNING] > 0 ? EXIT_WARNINGS : EX_OK;
}

static int
failed(int status, char *why)
{
	fprintf(stderr, "poolctl dns check: %s\n", why);
	g_free(why);
	return status;
}

static int
judge(const struct options *o, const struct zone *z, struct dns_client *client)
{
	const struct dns_tools tools = {
		.dns = dns_client_facade(client), .spf = spf_evaluate, .org_domain = org_domain_of};
	char *why = NULL;
	GPtrArray *verdicts = verdicts_new(z, &tools, &why);
	int status;

	if (verdicts == NULL)
		return failed(EX_TEMPFAIL, why);
	if (o->json)
		dns_report_json(verdicts, z, o->quiet, stdout);
	else
		dns_report_text(verdicts, o->quiet, stdout);
	status = status_of(verdicts);
	g_ptr_array_unref(verdicts);
	return status;
}

static int
check(const struct options *o, struct settings *s, char *const *names, int count)
{
	GPtrArray *pools = zone_source_pools(s, "dns check", names, count);
	struct dns_client *client;
	char *why = NULL;
	struct zone *z;
	int status;

	if (pools == NULL)
		return EX_UNAVAILABLE;
	z = zone_new(s, pools, 0, zone_source_key, s);
	for (guint i = 0; !o->json && !o->quiet && i < z->warnings->len; i++)
		fprintf(stderr, "warning: %s\n", (char *)z->warnings->pdata[i]);
	client = dns_client_new(o->resolver != NULL ? o->resolver : s->resolver, s->dns.timeout_ms,
				TOTAL_MS, &why);
	if (client != NULL)
		status = judge(o, z, client);
	else
		status = failed(o->resolver != NULL ? EX_USAGE : EX_TEMPFAIL, why);
	dns_client_free(client);
	zone_free(z);
	g_ptr_array_unref(pools);
	return status;
}

int
command_dns_check(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	struct settings *s;
	int status = parse_options(&o, argc, argv);

	if (status != EX_OK)
		return status;
	if (o.help)
		return command_help("dns");
	s = command_load(o.config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	status = check(&o, s, argv + optind, argc - optind);
	settings_unref(s);
	return status;
}
