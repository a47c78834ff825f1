/*
 * command_locks - poolctl locks: which pools may not send to an ISP now; poolctl locks set and
 * release.
 */
#include "base/log.h"
#include "core/isp.h"
#include "core/lock_table.h"
#include "ctl/command.h"
#include "ctl/locks_report.h"
#include "io/conf_file.h"
#include "io/lock_place.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum action { LIST, SET, RELEASE };

struct options {
	const char *config;
	enum action action;
	const char *pool, *isp; /* NULL with --all and to list */
	const char *lasts, *rate, *step, *steps;
	struct lock lock; /* what these come to; its strings are others' */
	const char *why;
	bool all;
	bool json;
	bool help;
};

static int
failed(char *why)
{
	fprintf(stderr, "poolctl locks: %s\n", why);
	g_free(why);
	return EX_UNAVAILABLE;
}

/* ---- what is locked ---- */

static int
list(const struct options *o, struct lock_place *place)
{
	char *problem = NULL, *why = NULL, *where;
	int64_t now = g_get_real_time();
	GArray *locks;

	if (!lock_place_wait(place, &problem))
		fprintf(stderr, "poolctl locks: %s\npoolctl locks: this is what this node knows\n",
			problem);
	locks = lock_place_list(place, &why);
	if (locks == NULL) {
		g_free(problem);
		return failed(why);
	}
	where = lock_place_where(place);
	if (o->json)
		locks_report_json(locks, where, problem, now, stdout);
	else
		locks_report_table(locks, where, now, stdout);
	g_array_unref(locks);
	g_free(where);
	g_free(problem);
	return problem == NULL ? EX_OK : EX_UNAVAILABLE;
}

/* ---- release ---- */

static int
release_one(struct lock_place *place, const char *pool, const char *isp)
{
	char *why = NULL;
	bool was;

	if (!lock_place_release(place, pool, isp, &was, &why))
		return failed(why);
	if (!was) {
		fprintf(stderr, "poolctl locks: pool %s has no lock to %s\n", pool, isp);
		return EXIT_FAILURE;
	}
	printf("released: %s to %s\n", pool, isp);
	return EX_OK;
}

/* What has ended by itself meanwhile is no failure. */
static int
release_all(struct lock_place *place)
{
	char *why = NULL;
	GArray *locks = lock_place_list(place, &why);
	int status = EX_OK;

	if (locks == NULL)
		return failed(why);
	for (guint i = 0; i < locks->len && status != EX_UNAVAILABLE; i++) {
		const struct lock *l = &g_array_index(locks, struct lock, i);

		status = release_one(place, l->pool, l->isp);
	}
	if (locks->len == 0)
		puts("there are no locks");
	g_array_unref(locks);
	return status == EX_UNAVAILABLE ? status : EX_OK;
}

static int
release(const struct options *o, struct lock_place *place)
{
	char *why = NULL;

	if (!lock_place_wait(place, &why))
		return failed(why);
	return o->all ? release_all(place) : release_one(place, o->pool, o->isp);
}

/* ---- set ---- */

static int
set(struct options *o, struct lock_place *place)
{
	struct lock *l = &o->lock;
	int64_t lasts = l->until;
	char *why = NULL, *until, *where;
	bool done; /* always: one by hand is set whatever is there */

	if (!lock_place_wait(place, &why))
		fprintf(stderr,
			"poolctl locks: %s\n"
			"poolctl locks: this node is told, and tells Redis later\n",
			why);
	g_clear_pointer(&why, g_free);
	l->pool = (char *)o->pool;
	l->isp = (char *)o->isp;
	l->since = g_get_real_time();
	l->until = l->since + lasts;
	if (!lock_place_set(place, l, &done, &why))
		return failed(why);
	until = lock_time(l->until);
	where = lock_place_where(place);
	printf("%s: %s to %s is %s until %s\n", where, l->pool, l->isp, l->paused ? "paused" : "slowed",
	       until);
	g_free(until);
	g_free(where);
	return EX_OK;
}

/* ---- the command ---- */

/* "15m" as microseconds; 0: it is none. */
static int64_t
length(const char *text)
{
	char *rule = g_strconcat("1/", text, NULL);
	struct limit limit;
	bool ok = limit_parse(rule, &limit);

	g_free(rule);
	return ok ? limit.seconds * (int64_t)G_USEC_PER_SEC : 0;
}

/* A rate lasts as long as its steps do, if not told otherwise. */
static int
parse_rate(struct options *o)
{
	struct lock *l = &o->lock;
	int64_t steps = o->steps != NULL ? g_ascii_strtoll(o->steps, NULL, 10) : 0;

	if (!limit_parse(o->rate, &l->rate))
		return command_usage_error("locks", "--rate: no rate such as 1/second: \"%s\"",
					   o->rate);
	if (o->step != NULL && (l->step = length(o->step)) == 0)
		return command_usage_error("locks", "--step: no time such as 10m: \"%s\"", o->step);
	if (o->steps != NULL &&
	    (steps < 1 || steps > 100 || strlen(o->steps) != strspn(o->steps, "0123456789")))
		return command_usage_error("locks", "--steps: expected a number from 1 to 100");
	if (o->steps != NULL && o->step == NULL)
		return command_usage_error("locks", "--steps: goes with --step");
	if (o->lasts == NULL)
		l->until = l->step * steps;
	return EX_OK;
}

static int
parse_lock(struct options *o)
{
	struct lock *l = &o->lock;
	int status = EX_OK;

	l->rule = (char *)LOCK_BY_HAND;
	l->why = (char *)o->why;
	l->paused = o->rate == NULL;
	if (o->lasts != NULL && (l->until = length(o->lasts)) == 0)
		return command_usage_error("locks", "--for: no time such as 15m or 2h: \"%s\"",
					   o->lasts);
	if (l->paused && (o->step != NULL || o->steps != NULL))
		return command_usage_error("locks", "--step, --steps: go with --rate");
	if (!l->paused)
		status = parse_rate(o);
	if (status == EX_OK && l->until == 0)
		return command_usage_error("locks", "set: for how long? --for 15m%s",
					   l->paused ? "" : ", or --step and --steps");
	if (status == EX_OK && l->until > LIMIT_SECONDS_MAX * (int64_t)G_USEC_PER_SEC)
		return command_usage_error("locks", "set: at most 31 days");
	return status;
}

/* The action and its words. */
static int
parse_arguments(struct options *o, int argc, char **argv)
{
	const char *const *f = (const char *const *)argv + optind;
	int n = argc - optind;
	bool of_set = o->lasts != NULL || o->rate != NULL || o->step != NULL || o->steps != NULL ||
		      o->why != NULL;

	if (o->help)
		return EX_OK;
	if (n > 0 && strcmp(f[0], "set") == 0)
		o->action = SET;
	else if (n > 0 && strcmp(f[0], "release") == 0)
		o->action = RELEASE;
	else if (n > 0)
		return command_usage_error("locks", "unexpected argument \"%s\"", f[0]);
	if (o->action != SET && of_set)
		return command_usage_error("locks",
					   "--for, --rate, --step, --steps, --why: go with set");
	if ((o->action != LIST && o->json) || (o->action != RELEASE && o->all))
		return command_usage_error("locks", "--json lists, --all releases");
	if (o->action == LIST)
		return EX_OK;
	if (n != (o->all ? 1 : 3))
		return command_usage_error("locks", "%s: expected a pool and an ISP record%s", f[0],
					   o->action == RELEASE ? ", or --all" : "");
	o->pool = n == 3 ? f[1] : NULL;
	o->isp = n == 3 ? f[2] : NULL;
	return o->action == SET ? parse_lock(o) : EX_OK;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"for", required_argument, NULL, 'f'},
		{"rate", required_argument, NULL, 'r'},   {"step", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'n'},  {"why", required_argument, NULL, 'w'},
		{"all", no_argument, NULL, 'a'},          {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:ah", longs, NULL)) != -1) {
		const char **text = c == 'c'   ? &o->config
				    : c == 'f' ? &o->lasts
				    : c == 'r' ? &o->rate
				    : c == 's' ? &o->step
				    : c == 'n' ? &o->steps
				    : c == 'w' ? &o->why
					       : NULL;

		if (text != NULL)
			*text = optarg;
		else if (c == 'a')
			o->all = true;
		else if (c == 'j')
			o->json = true;
		else if (c == 'h')
			o->help = true;
		else
			return command_usage_error("locks", "unknown option");
	}
	return parse_arguments(o, argc, argv);
}

static int
unknown(const char *what, const char *name)
{
	fprintf(stderr, "poolctl locks: no %s \"%s\"\n", what, name);
	return EX_UNAVAILABLE;
}

/* A lock may be left of a pool or record that is no more: it can be released all the same. */
static int
check_names(struct options *o, const struct settings *s)
{
	const struct isp *isp = o->isp != NULL ? isp_named(s, o->isp) : NULL;

	if (isp != NULL)
		o->isp = isp->name;
	if (o->action != SET)
		return EX_OK;
	if (g_hash_table_lookup(s->pool_by_name, o->pool) == NULL)
		return unknown("pool", o->pool);
	return isp == NULL ? unknown("record", o->isp) : EX_OK;
}

static int
carry_out(struct options *o, const struct settings *s)
{
	struct lock_place *place;
	char *why = NULL;
	int status = check_names(o, s);

	if (status != EX_OK)
		return status;
	log_set_level(LOG_ERR); /* a tool says itself that Redis is down */
	place = lock_place_new(s, &why);
	if (place == NULL)
		return failed(why);
	status = o->action == SET       ? set(o, place)
		 : o->action == RELEASE ? release(o, place)
					: list(o, place);
	lock_place_free(place);
	return status;
}

int
command_locks(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	struct settings *s;
	int status = parse_options(&o, argc, argv);

	if (status != EX_OK)
		return status;
	if (o.help)
		return command_help("locks");
	s = command_load(o.config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	status = carry_out(&o, s);
	settings_unref(s);
	return status;
}
