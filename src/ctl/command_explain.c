/*
 * command_explain - poolctl explain: what becomes of mail, without a message.
 *
 * The daemon's pipeline runs over a made-up message that has a From: field and nothing else; where
 * the recipients come to be treated apart, once for each group of them.
 */
#include "core/isp.h"
#include "core/pipeline.h"
#include "core/trust.h"
#include "ctl/command.h"
#include "ctl/explain_report.h"
#include "ctl/isp_report.h"
#include "io/conf_file.h"
#include "io/mx_resolver.h"
#include "io/signer.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

struct options {
	const char *config;
	char *sender;     /* without <> */
	GPtrArray *rcpts; /* of char *, without <> */
	const char *login;
	struct address client;
	bool json;
	bool help;
};

/* An address that can stand in a header. */
static bool
take_address(const char *text, char **address)
{
	*address = address_of_path(text);
	for (const char *p = *address; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			return false;
	return true;
}

static int
take_option(struct options *o, int c)
{
	char *rcpt;

	switch (c) {
	case 'c':
		o->config = optarg;
		return EX_OK;
	case 'f':
		g_clear_pointer(&o->sender, g_free);
		return take_address(optarg, &o->sender)
			       ? EX_OK
			       : command_usage_error("explain", "-f: is no address");
	case 'r':
		if (!take_address(optarg, &rcpt)) {
			g_free(rcpt);
			return command_usage_error("explain", "-r: is no address");
		}
		g_ptr_array_add(o->rcpts, rcpt);
		return EX_OK;
	case 'u':
		o->login = optarg;
		return EX_OK;
	case 'i':
		return address_parse(&o->client, optarg)
			       ? EX_OK
			       : command_usage_error("explain", "--client: \"%s\" is no IP address",
						     optarg);
	case 'j':
		o->json = true;
		return EX_OK;
	case 'h':
		o->help = true;
		return EX_OK;
	default:
		return command_usage_error("explain", "unknown option");
	}
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"from", required_argument, NULL, 'f'},
		{"rcpt", required_argument, NULL, 'r'},   {"user", required_argument, NULL, 'u'},
		{"client", required_argument, NULL, 'i'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c, status;

	while ((c = getopt_long(argc, argv, "c:f:r:u:h", longs, NULL)) != -1)
		if ((status = take_option(o, c)) != EX_OK)
			return status;
	if (o->help)
		return EX_OK;
	if (optind < argc)
		return command_usage_error("explain", "unexpected argument \"%s\"", argv[optind]);
	if (o->sender == NULL || strchr(o->sender, '@') == NULL)
		return command_usage_error("explain", "-f SENDER is needed, an address");
	if (o->rcpts->len == 0)
		return command_usage_error("explain", "-r RCPT is needed");
	return EX_OK;
}

static struct message *
make_message(const struct options *o, const struct settings *s)
{
	struct message *m = message_new(o->sender, (uint64_t)s->max_message_size);
	char *from = g_strdup_printf(" <%s>", o->sender);

	for (guint i = 0; i < o->rcpts->len; i++)
		message_add_rcpt(m, g_ptr_array_index(o->rcpts, i));
	m->login = g_strdup(o->login);
	m->client = o->client;
	m->local = o->login == NULL && !o->client.known;
	message_add_field(m, "From", 4, from, strlen(from));
	message_seal(m);
	g_free(from);
	return m;
}

static void
part_free(void *part)
{
	plan_free(((struct explain_part *)part)->plan);
	g_free(part);
}

/* Treats the message for some of its recipients (NULL: for all). */
static struct explain_part *
add_part(struct explanation *e, const GPtrArray *rcpts, const char *when)
{
	struct explain_part *part = g_new0(struct explain_part, 1);
	struct job job = *e->job;

	job.rcpts = rcpts;
	part->when = when;
	part->plan = plan_new(e->message);
	part->plan->explanations = g_ptr_array_new_with_free_func(g_free);
	pipeline_run(&job, part->plan);
	part->rcpts = part->plan->rcpts;
	g_ptr_array_add(e->parts, part);
	return part;
}

/* mixed_isps = "defer" speaks to SMTP clients, one recipient after the other (daemon/session.c). */
static bool
defers(const struct explanation *e)
{
	const struct message *m = e->message;

	return e->settings->mixed_isps == MIXED_DEFER && !m->local &&
	       trust_client(e->settings, &m->client, m->login, m->local);
}

static const struct isp *
isp_of(const struct explanation *e, guint rcpt)
{
	return ((const struct isp_reason *)e->reasons->pdata[rcpt])->match.isp;
}

/* Recipients by treatment, in the order in which their transactions come; of GPtrArray *. */
static GPtrArray *
transactions(const struct explanation *e)
{
	GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	GArray *treatments = g_array_new(FALSE, FALSE, sizeof(unsigned));

	for (guint i = 0; i < e->reasons->len; i++) {
		unsigned treatment = isp_of(e, i)->treatment;
		guint k = 0;

		while (k < treatments->len && g_array_index(treatments, unsigned, k) != treatment)
			k++;
		if (k == treatments->len) {
			g_array_append_val(treatments, treatment);
			g_ptr_array_add(groups, g_ptr_array_new());
		}
		g_ptr_array_add(groups->pdata[k], e->message->rcpts->pdata[i]);
	}
	g_array_free(treatments, TRUE);
	return groups;
}

static void
make_parts(struct explanation *e, GPtrArray *groups)
{
	const struct explain_part *first;

	if (groups != NULL) {
		for (guint i = 0; i < groups->len; i++)
			add_part(e, groups->pdata[i], i == 0 ? "now" : "another transaction");
		return;
	}
	first = add_part(e, NULL, "now");
	for (guint i = 0; first->plan->groups != NULL && i < first->plan->groups->len; i++) {
		const struct group *group = first->plan->groups->pdata[i];

		add_part(e, group->rcpts, "injected again")->copy = true;
	}
}

static int
explain(const struct options *o, const struct settings *s, const struct job *job)
{
	struct explanation e = {.settings = s, .message = job->message, .job = job};
	const GPtrArray *rcpts = job->message->rcpts;
	GPtrArray *groups = NULL;
	enum verdict verdict;

	e.reasons = g_ptr_array_new_with_free_func(isp_reason_free);
	e.parts = g_ptr_array_new_with_free_func(part_free);
	for (guint i = 0; i < rcpts->len; i++)
		isp_prefetch(s, job->resolver, address_domain(rcpts->pdata[i]));
	for (guint i = 0; i < rcpts->len; i++)
		g_ptr_array_add(e.reasons,
				isp_reason_new(s, job->resolver, address_domain(rcpts->pdata[i]),
					       job->deadline));
	if (defers(&e))
		groups = transactions(&e);
	make_parts(&e, groups);
	verdict = ((const struct explain_part *)e.parts->pdata[0])->plan->verdict;
	if (o->json)
		explain_report_json(&e, stdout);
	else
		explain_report_text(&e, stdout);
	g_ptr_array_free(e.parts, TRUE);
	g_ptr_array_free(e.reasons, TRUE);
	if (groups != NULL)
		g_ptr_array_free(groups, TRUE);
	return verdict == VERDICT_DEFERRED   ? EX_TEMPFAIL
	       : verdict == VERDICT_REJECTED ? EX_NOPERM
					     : EX_OK;
}

static int
run(const struct options *o, const struct settings *s)
{
	char *why = NULL;
	struct mx_resolver *mx = NULL;
	struct signer *signer = signer_new(0, &why);
	struct message *m = make_message(o, s);
	struct job job = {.settings = s, .message = m, .signer = signer, .now = time(NULL)};
	int status = EX_SOFTWARE;

	if (signer != NULL && s->isp_mx)
		mx = mx_resolver_new(s->resolver, (guint)s->dns.cache_entries, &why);
	if (why == NULL) {
		job.resolver = mx != NULL ? mx_resolver_facade(mx) : NULL;
		job.deadline = g_get_monotonic_time() + s->dns.timeout_ms * 1000;
		status = explain(o, s, &job);
	} else {
		fprintf(stderr, "poolctl explain: %s\n", why);
	}
	g_free(why);
	message_free(m);
	mx_resolver_free(mx);
	signer_free(signer);
	return status;
}

int
command_explain(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	struct settings *s;
	int status;

	o.rcpts = g_ptr_array_new_with_free_func(g_free);
	status = parse_options(&o, argc, argv);
	if (status == EX_OK && o.help) {
		status = command_help("explain");
	} else if (status == EX_OK) {
		s = command_load(o.config, CONF_FILE_THROWAWAY);
		status = s != NULL ? run(&o, s) : EX_CONFIG;
		settings_unref(s);
	}
	g_ptr_array_free(o.rcpts, TRUE);
	g_free(o.sender);
	return status;
}
