/*
 * command_process - poolctl process: the daemon's own pipeline on a file, without an MTA.
 */
#include "core/outcome.h"
#include "core/pipeline.h"
#include "ctl/command.h"
#include "ctl/eml.h"
#include "ctl/process_report.h"
#include "io/conf_file.h"
#include "io/mx_resolver.h"
#include "io/signer.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

struct options {
	const char *config;
	const char *sender;
	GPtrArray *rcpts; /* of char *, without <> */
	const char *login;
	struct address client;
	const char *queue_id;
	time_t time; /* 0: now */
	bool explain;
	bool json;
	bool help;
};

/* Takes one option; EX_OK, or EX_USAGE after saying why. */
static int
take_option(struct options *o, int c)
{
	switch (c) {
	case 'c':
		o->config = optarg;
		return EX_OK;
	case 'f':
		o->sender = optarg;
		return EX_OK;
	case 'r':
		g_ptr_array_add(o->rcpts, address_of_path(optarg));
		return EX_OK;
	case 'u':
		o->login = optarg;
		return EX_OK;
	case 'i':
		return address_parse(&o->client, optarg)
			       ? EX_OK
			       : command_usage_error("process", "--client: \"%s\" is no IP address", optarg);
	case 'q':
		o->queue_id = optarg;
		return EX_OK;
	case 't':
		return command_time(optarg, &o->time)
			       ? EX_OK
			       : command_usage_error("process", "--time: \"%s\" is no number of seconds",
						     optarg);
	case 'x':
		o->explain = true;
		return EX_OK;
	case 'j':
		o->json = true;
		return EX_OK;
	case 'h':
		o->help = true;
		return EX_OK;
	default:
		return command_usage_error("process", "unknown option");
	}
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},   {"from", required_argument, NULL, 'f'},
		{"rcpt", required_argument, NULL, 'r'},	    {"user", required_argument, NULL, 'u'},
		{"client", required_argument, NULL, 'i'},   {"queue-id", required_argument, NULL, 'q'},
		{"time", required_argument, NULL, 't'},	    {"explain", no_argument, NULL, 'x'},
		{"json", no_argument, NULL, 'j'},	    {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c, status;

	while ((c = getopt_long(argc, argv, "c:f:r:u:h", longs, NULL)) != -1)
		if ((status = take_option(o, c)) != EX_OK)
			return status;
	if (o->help)
		return EX_OK;
	if (optind < argc)
		return command_usage_error("process", "unexpected argument \"%s\"", argv[optind]);
	if (o->sender == NULL)
		return command_usage_error("process", "-f SENDER is needed");
	if (o->rcpts->len == 0)
		return command_usage_error("process", "-r RCPT is needed");
	return EX_OK;
}

static struct message *
make_message(const struct options *o, const struct settings *s, struct eml *e)
{
	char *sender = address_of_path(o->sender);
	struct message *m = message_new(sender, (uint64_t)s->max_message_size);

	g_free(sender);
	for (guint i = 0; i < o->rcpts->len; i++)
		message_add_rcpt(m, g_ptr_array_index(o->rcpts, i));
	m->login = g_strdup(o->login);
	m->queue_id = g_strdup(o->queue_id);
	m->client = o->client;
	m->local = o->login == NULL && !o->client.known;
	eml_parse(e, m);
	message_seal(m);
	return m;
}

static int
exit_status(enum verdict v)
{
	switch (v) {
	case VERDICT_DEFERRED:
		return EX_TEMPFAIL;
	case VERDICT_REJECTED:
		return EX_NOPERM;
	default:
		return EX_OK;
	}
}

struct tools {
	struct signer *signer;
	struct mx_resolver *mx; /* NULL: no record has MX rules */
};

/* Runs the pipeline and writes what came of it. */
static int
treat(const struct options *o, const struct settings *s, const struct tools *tools, struct eml *e)
{
	struct message *m = make_message(o, s, e);
	struct plan *plan = plan_new(m);
	const struct job job = {
		.settings = s,
		.message = m,
		.signer = tools->signer,
		.resolver = tools->mx != NULL ? mx_resolver_facade(tools->mx) : NULL,
		.now = o->time != 0 ? o->time : time(NULL),
		.deadline = g_get_monotonic_time() + s->dns.timeout_ms * 1000,
	};
	int status;

	if (o->explain)
		plan->explanations = g_ptr_array_new_with_free_func(g_free);
	pipeline_run(&job, plan);
	status = exit_status(plan->verdict);
	if (status == EX_OK)
		eml_write(e, plan, stdout);
	if (o->json)
		process_report_json(m, plan, stderr);
	else
		process_report_text(m, plan, stderr);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "poolctl process: standard output: %s\n", g_strerror(errno));
		status = EX_IOERR;
	}
	plan_free(plan);
	message_free(m);
	return status;
}

static bool
tools_make(struct tools *tools, const struct options *o, const struct settings *s, char **why)
{
	tools->signer = signer_new(o->time, why);
	if (tools->signer == NULL || !s->isp_mx)
		return tools->signer != NULL;
	tools->mx = mx_resolver_new(s->resolver, (guint)s->dns.cache_entries, why);
	return tools->mx != NULL;
}

static int
run(const struct options *o)
{
	struct settings *s = command_load(o->config, CONF_FILE_THROWAWAY);
	struct tools tools = {NULL, NULL};
	char *why = NULL;
	struct eml e;
	int status;

	if (s == NULL)
		return EX_CONFIG;
	if (!tools_make(&tools, o, s, &why)) {
		fprintf(stderr, "poolctl process: %s\n", why);
		status = EX_SOFTWARE;
	} else if (!eml_read(&e, stdin)) {
		fprintf(stderr, "poolctl process: standard input: %s\n", g_strerror(errno));
		status = EX_IOERR;
	} else {
		status = treat(o, s, &tools, &e);
		eml_free(&e);
	}
	g_free(why);
	mx_resolver_free(tools.mx);
	signer_free(tools.signer);
	settings_unref(s);
	return status;
}

int
command_process(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	int status;

	o.rcpts = g_ptr_array_new_with_free_func(g_free);
	status = parse_options(&o, argc, argv);
	if (status == EX_OK)
		status = o.help ? command_help("process") : run(&o);
	g_ptr_array_free(o.rcpts, TRUE);
	return status;
}
