/*
 * command_dns - poolctl dns: the DNS records that pools want (print), compared with the DNS
 * (check).
 */
#include "core/domain.h"
#include "core/zone.h"
#include "ctl/command.h"
#include "ctl/zone_report.h"
#include "ctl/zone_source.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

typedef void report_fn(const struct zone *z, FILE *out);

struct options {
	const char *config;
	report_fn *report;
	unsigned flags;         /* enum zone_flag */
	char apex[DOMAIN_SIZE]; /* only records at or below it; empty: all */
	bool help;
};

static report_fn *
format_named(const char *name)
{
	static const struct {
		const char *name;
		report_fn *report;
	} formats[] = {
		{"bind", zone_report_bind},
		{"table", zone_report_table},
		{"json", zone_report_json},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
		if (strcmp(formats[i].name, name) == 0)
			return formats[i].report;
	return NULL;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"format", required_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},
		{"legacy", no_argument, NULL, 'l'},
		{"zone", required_argument, NULL, 'z'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'f' && format_named(optarg) == NULL)
			return command_usage_error(
				"dns", "--format: \"%s\" is not bind, table or json", optarg);
		else if (c == 'f')
			o->report = format_named(optarg);
		else if (c == 'j')
			o->report = zone_report_json;
		else if (c == 'l')
			o->flags |= ZONE_LEGACY;
		else if (c == 'z' && !domain_normalise(optarg, strlen(optarg), o->apex))
			return command_usage_error("dns", "--zone: \"%s\" is no domain name",
						   optarg);
		else if (c == 'h')
			o->help = true;
		else if (c != 'z')
			return command_usage_error("dns", "print: unknown option");
	}
	return EX_OK;
}

/* Exit status: records without a key make it fail. */
static int
say_problems(const struct zone *z)
{
	int status = EX_OK;

	for (guint i = 0; i < z->warnings->len; i++)
		fprintf(stderr, "warning: %s\n", (char *)z->warnings->pdata[i]);
	for (guint i = 0; i < z->records->len; i++) {
		const struct record *r = z->records->pdata[i];

		if (r->problem == NULL)
			continue;
		fprintf(stderr, "poolctl dns print: %s: %s\n", r->name, r->problem);
		status = EX_UNAVAILABLE;
	}
	return status;
}

static void
keep_below(struct zone *z, const char *apex)
{
	for (guint i = z->records->len; i-- > 0;) {
		const struct record *r = z->records->pdata[i];

		if (!domain_at_or_below(r->name, apex))
			g_ptr_array_remove_index(z->records, i);
	}
}

static int
print_zone(const struct options *o, struct settings *s, char *const *names, int count)
{
	GPtrArray *pools = zone_source_pools(s, "dns print", names, count);
	struct zone *z;
	int status;

	if (pools == NULL)
		return EX_UNAVAILABLE;
	z = zone_new(s, pools, o->flags, zone_source_key, s);
	if (*o->apex != '\0')
		keep_below(z, o->apex);
	status = say_problems(z);
	o->report(z, stdout);
	zone_free(z);
	g_ptr_array_unref(pools);
	return status;
}

static int
command_dns_print(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG, .report = zone_report_bind};
	struct settings *s;
	int status = parse_options(&o, argc, argv);

	if (status != EX_OK)
		return status;
	if (o.help)
		return command_help("dns");
	s = command_load(o.config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	status = print_zone(&o, s, argv + optind, argc - optind);
	settings_unref(s);
	return status;
}

int
command_dns(int argc, char **argv)
{
	static const struct {
		const char *name;
		command_fn *run;
	} actions[] = {
		{"print", command_dns_print},
		{"check", command_dns_check},
	};

	if (argc < 2)
		return command_usage_error("dns", "expected print or check");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return command_help("dns");
	for (size_t i = 0; i < G_N_ELEMENTS(actions); i++)
		if (strcmp(actions[i].name, argv[1]) == 0)
			return actions[i].run(argc - 1, argv + 1);
	return command_usage_error("dns", "\"%s\" is neither print nor check", argv[1]);
}
