/*
 * command_limits - poolctl limits: how much of each sending limit is used; poolctl limits reset.
 */
#include "core/isp.h"
#include "ctl/command.h"
#include "ctl/counters.h"
#include "ctl/limits_report.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct options {
	const char *config;
	const char *reset; /* name of a limit or a key; NULL: tell */
	struct limits_filter filter;
	bool json;
	bool csv;
	bool help;
};

static int
failed(const char *command, char *why)
{
	fprintf(stderr, "poolctl %s: %s\n", command, why);
	g_free(why);
	return EX_UNAVAILABLE;
}

/* ---- what is used ---- */

static int
unknown(const char *what, const char *name)
{
	fprintf(stderr, "poolctl limits: no %s \"%s\"\n", what, name);
	return EX_UNAVAILABLE;
}

/* Where Redis does not answer: what this node counts for itself meanwhile. NULL: it does not. */
static struct counters *
open_local(struct options *o, const struct settings *s, const char *problem)
{
	struct counters *c = NULL;
	char *why = NULL;

	fprintf(stderr, "poolctl limits: %s\n", problem);
	if (!s->redis.used || s->redis.when_down != WHEN_DOWN_LOCAL)
		return NULL;
	c = counters_open_node(s, &why);
	if (c == NULL)
		fprintf(stderr, "poolctl limits: %s\n", why);
	else
		fprintf(stderr,
			"poolctl limits: this is what this node counts for itself meanwhile\n");
	g_free(why);
	o->filter.share = (guint)s->redis.nodes;
	return c;
}

static int
write_report(const struct options *o, const struct settings *s, struct counters *c,
	     const char *problem)
{
	char *why = NULL;
	struct limits_report *r = limits_report_new(s, &o->filter, c, &why);

	if (r == NULL)
		return failed("limits", why);
	if (o->json)
		limits_report_json(r, problem, stdout);
	else if (o->csv)
		limits_report_csv(r, stdout);
	else
		limits_report_table(r, stdout);
	limits_report_free(r);
	return problem == NULL ? EX_OK : EX_UNAVAILABLE;
}

static int
tell(struct options *o, const struct settings *s)
{
	int status = EX_UNAVAILABLE;
	char *problem = NULL;
	struct counters *c;

	if (o->filter.pool != NULL && g_hash_table_lookup(s->pool_by_name, o->filter.pool) == NULL)
		return unknown("pool", o->filter.pool);
	if (o->filter.isp != NULL && isp_named(s, o->filter.isp) == NULL)
		return unknown("record", o->filter.isp);
	if (o->filter.isp != NULL)
		o->filter.isp = isp_named(s, o->filter.isp)->name;
	c = counters_open(s, &problem);
	if (c == NULL)
		c = open_local(o, s, problem);
	if (c != NULL)
		status = write_report(o, s, c, problem);
	counters_close(c);
	g_free(problem);
	return status;
}

/* ---- reset ---- */

static int
nothing_there(struct counters *c, const struct settings *s, const char *key)
{
	const struct limits_filter all = {.share = 1};
	char *why = NULL, *near = NULL;
	struct limits_report *r = limits_report_new(s, &all, c, &why);

	if (r != NULL) {
		near = limits_report_suggest(r, key);
		limits_report_free(r);
	}
	fprintf(stderr, "poolctl limits reset: nothing is counted under \"%s\"", key);
	if (near != NULL && strcmp(near, key) != 0)
		fprintf(stderr, ": did you mean \"%s\"?\n", near);
	else
		fprintf(stderr, "; \"poolctl limits\" lists the keys\n");
	g_free(near);
	g_free(why);
	return EXIT_FAILURE;
}

static int
reset_key(struct counters *c, const struct settings *s, const char *key)
{
	guint forgotten = 0;
	char *why = NULL;

	if (!counters_reset(c, key, &forgotten, &why))
		return failed("limits reset", why);
	if (forgotten == 0)
		return nothing_there(c, s, key);
	printf("%s: %u %s of %s forgotten\n", counters_where(c), forgotten,
	       forgotten == 1 ? "window" : "windows", key);
	return EX_OK;
}

static int
reset(const struct options *o, const struct settings *s)
{
	size_t len = limits_report_key_length(o->reset);
	char *why = NULL, *key;
	struct counters *c = counters_open(s, &why);
	int status;

	if (c == NULL)
		return failed("limits reset", why);
	key = len > 0 ? g_strndup(o->reset, len) : g_strdup(o->reset);
	status = reset_key(c, s, key);
	g_free(key);
	counters_close(c);
	return status;
}

/* ---- the command ---- */

static int
parse_arguments(struct options *o, int argc, char **argv)
{
	const char *const *f = (const char *const *)argv + optind;
	int n = argc - optind;

	if (n == 0 || o->help)
		return EX_OK;
	if (strcmp(f[0], "reset") != 0)
		return command_usage_error("limits", "unexpected argument \"%s\"", f[0]);
	if (n != 2)
		return command_usage_error("limits", "reset: expected one key");
	if (o->filter.pool != NULL || o->filter.isp != NULL || o->filter.all || o->json || o->csv)
		return command_usage_error(
			"limits", "reset: takes a key, and no other options than --config");
	o->reset = f[1];
	return EX_OK;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"pool", required_argument, NULL, 'p'},
		{"isp", required_argument, NULL, 'i'},    {"all", no_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},         {"csv", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:p:i:ah", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'p')
			o->filter.pool = optarg;
		else if (c == 'i')
			o->filter.isp = optarg;
		else if (c == 'a')
			o->filter.all = true;
		else if (c == 'j')
			o->json = true;
		else if (c == 'v')
			o->csv = true;
		else if (c == 'h')
			o->help = true;
		else
			return command_usage_error("limits", "unknown option");
	}
	if (o->json && o->csv)
		return command_usage_error("limits", "--json or --csv: not both");
	return parse_arguments(o, argc, argv);
}

int
command_limits(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG, .filter.share = 1};
	struct settings *s;
	int status = parse_options(&o, argc, argv);

	if (status != EX_OK)
		return status;
	if (o.help)
		return command_help("limits");
	s = command_load(o.config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	status = o.reset != NULL ? reset(&o, s) : tell(&o, s);
	settings_unref(s);
	return status;
}
