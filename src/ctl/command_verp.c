/*
 * command_verp - poolctl verp: makes and reads Return-Paths.
 */
#include "core/domain.h"
#include "core/message.h"
#include "core/return_path.h"
#include "ctl/command.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

struct options {
	const char *config;
	const char *pool;
	const char *rcpt;
	const char *queue_id;
	const char *address;
	time_t time;
	bool json;
};

static int
encode(const struct options *o, const struct settings *s)
{
	const struct pool *p = g_hash_table_lookup(s->pool_by_name, o->pool);
	char local[LOCAL_PART_MAX + 1];

	if (p == NULL) {
		fprintf(stderr, "poolctl verp: no pool \"%s\"\n", o->pool);
		return EX_DATAERR;
	}
	if (!return_path_make(s, p, o->rcpt, o->queue_id, o->time, local)) {
		fprintf(stderr, "poolctl verp: pool \"%s\": %s\n", o->pool,
			p->return_path == RETURN_PATH_KEEP ? "keeps the sender" : "no secret is loaded");
		return EX_DATAERR;
	}
	printf("%s@%s\n", local, p->spf_domain);
	return EX_OK;
}

struct decoded {
	const char *kind; /* "signed" or "verp" */
	enum token_result result;
	const struct pool *pool;
	struct token token;
	char *rcpt; /* of a readable one */
};

static void
print_text(const struct decoded *d)
{
	printf("kind\t%s\nresult\t%s\n", d->kind, token_word(d->result));
	if (d->rcpt != NULL)
		printf("recipient\t%s\n", d->rcpt);
	if (strcmp(d->kind, "signed") != 0 || d->result == TOKEN_MALFORMED || d->result == TOKEN_FORGED)
		return;
	printf("pool\t%s\n", d->pool != NULL ? d->pool->name : "-");
	printf("day\t%u\n", d->token.day);
	printf("queue_id\t%s%s\n", d->token.queue_id_hashed ? "sha256:" : "",
	       *d->token.queue_id != '\0' ? d->token.queue_id : "-");
	printf("single_recipient\t%s\n", d->token.has_rcpt ? "yes" : "no");
}

static void
print_json(const struct decoded *d)
{
	json_t *j = json_pack("{ssss}", "kind", d->kind, "result", token_word(d->result));

	if (d->rcpt != NULL) {
		char *valid = g_utf8_make_valid(d->rcpt, -1);

		json_object_set_new(j, "recipient", json_string(valid));
		g_free(valid);
	}
	if (strcmp(d->kind, "signed") == 0 && d->result != TOKEN_MALFORMED && d->result != TOKEN_FORGED) {
		json_object_set_new(j, "pool", d->pool != NULL ? json_string(d->pool->name) : json_null());
		json_object_set_new(j, "day", json_integer(d->token.day));
		json_object_set_new(j, "queue_id", json_string(d->token.queue_id));
		json_object_set_new(j, "queue_id_hashed", json_boolean(d->token.queue_id_hashed));
		json_object_set_new(j, "single_recipient", json_boolean(d->token.has_rcpt));
	}
	json_dumpf(j, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
	json_decref(j);
}

static void
read_address(const struct options *o, const struct settings *s, const char *local, const char *domain,
	     struct decoded *d)
{
	unsigned modes = GPOINTER_TO_UINT(g_hash_table_lookup(s->spf_domains, domain));

	d->kind = "signed";
	d->result = token_decode(s, local, domain, o->rcpt, o->time, &d->token);
	if (d->result != TOKEN_MALFORMED && d->result != TOKEN_FORGED) {
		d->pool = return_path_pool(s, domain, d->token.pool_tag);
	} else if (modes & 1u << RETURN_PATH_VERP) {
		d->rcpt = verp_decode(s->return_path.local_part, local);
		if (d->rcpt == NULL)
			return;
		d->kind = "verp";
		d->result = o->rcpt == NULL || g_ascii_strcasecmp(o->rcpt, d->rcpt) == 0 ? TOKEN_OK
											   : TOKEN_FORGED;
	}
}

static int
decode(const struct options *o, const struct settings *s)
{
	char *address = address_of_path(o->address);
	const char *at = strrchr(address, '@');
	char domain[DOMAIN_SIZE];
	struct decoded d = {.kind = NULL};
	char *local;

	if (at == NULL || !domain_normalise(at + 1, strlen(at + 1), domain)) {
		fprintf(stderr, "poolctl verp: \"%s\" is no address\n", o->address);
		g_free(address);
		return EX_USAGE;
	}
	local = g_strndup(address, (gsize)(at - address));
	read_address(o, s, local, domain, &d);
	if (o->json)
		print_json(&d);
	else
		print_text(&d);
	g_free(d.rcpt);
	g_free(local);
	g_free(address);
	return d.result == TOKEN_OK ? EX_OK : EX_NOPERM;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},   {"pool", required_argument, NULL, 'p'},
		{"rcpt", required_argument, NULL, 'r'},	    {"queue-id", required_argument, NULL, 'q'},
		{"time", required_argument, NULL, 't'},	    {"json", no_argument, NULL, 'j'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:p:r:", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'p')
			o->pool = optarg;
		else if (c == 'r')
			o->rcpt = optarg;
		else if (c == 'q')
			o->queue_id = optarg;
		else if (c == 'j')
			o->json = true;
		else if (c != 't')
			return command_usage_error("verp", "unknown option");
		else if (!command_time(optarg, &o->time))
			return command_usage_error("verp", "--time: \"%s\" is no number of seconds", optarg);
	}
	return EX_OK;
}

int
command_verp(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG, .time = time(NULL)};
	const char *what = argc > 1 ? argv[1] : "";
	struct settings *s;
	int status;

	if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0)
		return command_help("verp");
	if (strcmp(what, "encode") != 0 && strcmp(what, "decode") != 0)
		return command_usage_error("verp", "encode or decode is needed");
	status = parse_options(&o, argc - 1, argv + 1);
	if (status != EX_OK)
		return status;
	argc -= optind + 1;
	argv += optind + 1;
	if (strcmp(what, "encode") == 0 ? o.pool == NULL || argc != 0 : argc != 1)
		return command_usage_error("verp", strcmp(what, "encode") == 0
							   ? "encode needs --pool and no argument"
							   : "decode needs one address");
	o.address = argc > 0 ? argv[0] : NULL;
	s = command_load(o.config, 0);
	if (s == NULL)
		return EX_CONFIG;
	status = strcmp(what, "encode") == 0 ? encode(&o, s) : decode(&o, s);
	settings_unref(s);
	return status;
}
