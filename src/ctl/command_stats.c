/*
 * command_stats - poolctl stats: what was done with mail, as a table, JSON, CSV or a picture.
 */
#include "ctl/command.h"
#include "ctl/counters.h"
#include "ctl/report.h"
#include "ctl/stats_plot.h"
#include "ctl/stats_report.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>
#include <time.h>

struct options {
	const char *config;
	struct stats_query query;
	const char *plot; /* a file; NULL: none */
	time_t now;
	bool json, csv;
	bool help;
};

static int
take_name(const char **name, const char *option)
{
	*name = optarg;
	return stats_query_name(optarg)
		       ? EX_OK
		       : command_usage_error("stats", "%s: \"%s\" can be no name", option, optarg);
}

static int
take_option(struct options *o, int c)
{
	switch (c) {
	case 'c':
		o->config = optarg;
		return EX_OK;
	case 'p':
		return take_name(&o->query.pool, "--pool");
	case 'i':
		return take_name(&o->query.isp, "--isp");
	case 's':
		return stats_query_since(&o->query, optarg, o->now)
			       ? EX_OK
			       : command_usage_error(
					 "stats",
					 "--since: \"%s\": expected hours as 24h, days as 7d, at "
					 "most 3650 days, or a date as 2026-11-01",
					 optarg);
	case 'b':
		return stats_query_by(&o->query, optarg)
			       ? EX_OK
			       : command_usage_error(
					 "stats",
					 "--by: \"%s\": expected pool, isp, hour or day, or "
					 "several of them with commas, each once",
					 optarg);
	case 'j':
		o->json = true;
		return EX_OK;
	case 'v':
		o->csv = true;
		return EX_OK;
	case 'P':
		o->plot = optarg;
		return EX_OK;
	case 'h':
		o->help = true;
		return EX_OK;
	default:
		return command_usage_error("stats", "unknown option");
	}
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"pool", required_argument, NULL, 'p'},
		{"isp", required_argument, NULL, 'i'},    {"since", required_argument, NULL, 's'},
		{"by", required_argument, NULL, 'b'},     {"json", no_argument, NULL, 'j'},
		{"csv", no_argument, NULL, 'v'},          {"plot", required_argument, NULL, 'P'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c, status;

	while ((c = getopt_long(argc, argv, "c:p:i:s:b:h", longs, NULL)) != -1)
		if ((status = take_option(o, c)) != EX_OK)
			return status;
	if (o->help)
		return EX_OK;
	if (optind < argc)
		return command_usage_error("stats", "unexpected argument \"%s\"", argv[optind]);
	if (o->json + o->csv + (o->plot != NULL) > 1)
		return command_usage_error("stats", "one of --json, --csv and --plot at a time");
	return EX_OK;
}

static void
take_number(const char *key, const char *field, int64_t value, void *report)
{
	stats_report_add(report, key, field, value);
}

/* Reads all numbers into the report. */
static int
collect(struct counters *counters, struct stats_report *r)
{
	/* Keys of pools, "p/", and of pools and ISPs, "pi/": nothing else begins so. */
	char *why = NULL;

	if (counters_each_tally(counters, "p", take_number, r, &why)) {
		stats_report_sort(r);
		return EX_OK;
	}
	fprintf(stderr, "poolctl stats: %s: %s\n", counters_where(counters), why);
	g_free(why);
	return EX_UNAVAILABLE;
}

static int
plot(const struct options *o, const struct stats_report *r)
{
	char *script = stats_plot_script(r, o->now), *why = NULL;
	int status = stats_plot_draw(script, o->plot, &why);

	if (status != EX_OK)
		fprintf(stderr, "poolctl stats: --plot: %s\n", why);
	g_free(why);
	g_free(script);
	return status;
}

static int
show(const struct options *o, struct counters *counters)
{
	struct stats_query q = o->plot != NULL ? stats_plot_query(&o->query, o->now) : o->query;
	struct stats_report *r = stats_report_new(&q);
	int status = collect(counters, r);

	if (status == EX_OK && o->plot != NULL)
		status = plot(o, r);
	else if (status == EX_OK && o->json)
		report_write(stats_report_json(r, counters_where(counters)), stdout);
	else if (status == EX_OK && o->csv)
		stats_report_csv(r, stdout);
	else if (status == EX_OK)
		stats_report_text(r, counters_where(counters), stdout);
	stats_report_free(r);
	return status;
}

static int
run(const struct options *o)
{
	struct settings *s = command_load(o->config, CONF_FILE_NO_SECRET);
	struct counters *counters;
	char *why = NULL;
	int status = EX_UNAVAILABLE;

	if (s == NULL)
		return EX_CONFIG;
	counters = counters_open(s, &why);
	if (counters != NULL)
		status = show(o, counters);
	else
		fprintf(stderr, "poolctl stats: %s\n", why);
	g_free(why);
	counters_close(counters);
	settings_unref(s);
	return status;
}

int
command_stats(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG, .now = time(NULL)};
	int status;

	stats_query_since(&o.query, "24h", o.now);
	stats_query_by(&o.query, "pool");
	status = parse_options(&o, argc, argv);
	if (status != EX_OK)
		return status;
	return o.help ? command_help("stats") : run(&o);
}
