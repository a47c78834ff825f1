/*
 * command_events - poolctl events: what became of the mail; poolctl events queue, dead, retry,
 * drop: what has not reached its destinations.
 *
 * Reads the database of poolevents (io/event_db.h), which need not run.
 */
#include "core/event_route.h"
#include "ctl/command.h"
#include "ctl/events_report.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define LOOK_MS 200 /* --follow looks so often whether something has come */
#define DAYS_MAX 3650

struct options {
	const char *config;
	const char *pool;
	const char *destination;
	int64_t since; /* microseconds since 1970; 0: not asked for */
	unsigned types;
	bool follow, json, dead, all;
	bool help;
};

static int
failed(char *why)
{
	fprintf(stderr, "poolctl events: %s\n", why);
	g_free(why);
	return EX_UNAVAILABLE;
}

/* ---- events ---- */

static volatile sig_atomic_t stopped;

static void
stop(int signal_number)
{
	(void)signal_number;
	stopped = 1;
}

/* Ends where a transaction would be, not in its midst; whoever reads may go at any time. */
static void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

/* What has been shown. */
struct show {
	struct events_view view;
	int64_t last; /* seq */
};

static bool
show_event(const struct event_row *row, void *context)
{
	struct show *show = context;

	events_report_event(&show->view, row);
	show->last = row->seq;
	return ferror(show->view.out) == 0 && !stopped;
}

static struct events_view
view_of(const struct options *o)
{
	return (struct events_view){.out = stdout,
				    .json = o->json,
				    .types = o->types,
				    .width = events_report_width(stdout)};
}

/* Sleeps; true if it is to stop, or whoever reads has gone. */
static bool
ended(FILE *out)
{
	struct pollfd reader = {.fd = fileno(out), .events = 0};

	return stopped ||
	       (poll(&reader, 1, LOOK_MS) > 0 && (reader.revents & (POLLERR | POLLHUP)) != 0);
}

/* Shows what comes; that of other pools is not looked at again. */
static bool
follow(struct event_db *db, const struct options *o, struct show *show, char **why)
{
	int64_t changes, seen = -1, last;

	do {
		if (!event_db_changes(db, &changes, why))
			return false;
		if (changes == seen)
			continue;
		seen = changes;
		if (!event_db_last(db, &last, why) ||
		    !event_db_each(db, show->last, o->pool, show_event, show, why))
			return false;
		show->last = MAX(show->last, last);
		if (fflush(show->view.out) != 0)
			break;
	} while (!ended(show->view.out));
	return true;
}

/* Where it begins: that time; else the last 24 hours, or with --follow what comes from now on. */
static bool
begin(struct event_db *db, const struct options *o, int64_t *after, char **why)
{
	int64_t day = (int64_t)24 * 3600 * G_USEC_PER_SEC;

	if (o->follow && o->since == 0)
		return event_db_last(db, after, why);
	return event_db_before(db, o->since != 0 ? o->since : g_get_real_time() - day, after, why);
}

static int
show_events(struct event_db *db, const struct options *o)
{
	struct show show = {.view = view_of(o)};
	char *why = NULL;
	bool ok;

	if (o->follow)
		catch_signals();
	ok = begin(db, o, &show.last, &why) &&
	     (o->follow ? follow(db, o, &show, &why)
			: event_db_each(db, show.last, o->pool, show_event, &show, &why));
	if (!ok)
		return failed(why);
	if (show.view.shown == 0 && !o->json && !o->follow)
		puts("no events");
	return EX_OK;
}

/* ---- the queue ---- */

static int
show_queue(struct event_db *db, const struct options *o, const struct settings *s)
{
	GPtrArray *destinations;
	char *why = NULL;

	if (!event_db_destinations(db, &destinations, &why))
		return failed(why);
	events_report_queue(destinations, s, o->json, stdout);
	g_ptr_array_unref(destinations);
	return EX_OK;
}

static bool
show_letter(const struct event_row *row, const char *destination, const char *reason, void *view)
{
	events_report_letter(view, row, destination, reason);
	return ferror(stdout) == 0;
}

static int
show_dead(struct event_db *db, const struct options *o)
{
	struct events_view view = view_of(o);
	char *why = NULL;

	if (!event_db_dead(db, o->destination, show_letter, &view, &why))
		return failed(why);
	if (view.shown == 0 && !o->json)
		puts("nothing is dead");
	return EX_OK;
}

static int
retry(struct event_db *db, const struct options *o)
{
	guint64 n;
	char *why = NULL;

	if (!event_db_begin(db, &why) || !event_db_retry(db, o->destination, o->dead, &n, &why) ||
	    !event_db_commit(db, &why))
		return failed(why);
	printf("%s: tried again now", o->destination != NULL ? o->destination : "all destinations");
	if (o->dead)
		printf("; %" G_GUINT64_FORMAT " dead wait again", n);
	putchar('\n');
	return EX_OK;
}

static int
drop(struct event_db *db, const struct options *o)
{
	guint64 n;
	char *why = NULL;

	if (!event_db_begin(db, &why) || !event_db_drop(db, o->destination, o->dead, &n, &why) ||
	    !event_db_commit(db, &why))
		return failed(why);
	printf("%s: %" G_GUINT64_FORMAT " %s dropped\n",
	       o->destination != NULL ? o->destination : "all destinations", n,
	       o->dead ? "dead" : "waiting");
	return EX_OK;
}

/* ---- the command ---- */

enum action { EVENTS, QUEUE, DEAD, RETRY, DROP, ACTIONS };

static const char *const actions[ACTIONS] = {
	[EVENTS] = NULL, [QUEUE] = "queue", [DEAD] = "dead", [RETRY] = "retry", [DROP] = "drop",
};

/* A destination that neither the settings nor the database has is a slip. */
static bool
known(struct event_db *db, const struct settings *s, const char *name, char **why)
{
	GPtrArray *names = event_route_all(s), *destinations;
	bool found = g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL);

	g_ptr_array_unref(names);
	if (found)
		return true;
	if (!event_db_destinations(db, &destinations, why))
		return false;
	for (guint i = 0; i < destinations->len && !found; i++)
		found = strcmp(((struct event_destination *)destinations->pdata[i])->name, name) ==
			0;
	g_ptr_array_unref(destinations);
	if (!found)
		*why = g_strdup_printf("no destination \"%s\": \"poolctl events queue\" lists them",
				       name);
	return found;
}

static int
act(enum action action, struct event_db *db, const struct options *o, const struct settings *s)
{
	char *why = NULL;

	if (o->destination != NULL && !known(db, s, o->destination, &why))
		return failed(why);
	switch (action) {
	case QUEUE:
		return show_queue(db, o, s);
	case DEAD:
		return show_dead(db, o);
	case RETRY:
		return retry(db, o);
	case DROP:
		return drop(db, o);
	default:
		return show_events(db, o);
	}
}

static int
run(enum action action, const struct options *o)
{
	bool writes = action == RETRY || action == DROP;
	struct settings *s = command_load(o->config, CONF_FILE_NO_SECRET);
	struct event_db *db;
	char *why = NULL;
	int status;

	if (s == NULL)
		return EX_CONFIG;
	db = event_db_open(s->state_dir, writes ? EVENT_DB_WRITE : EVENT_DB_READ, &why);
	if (db != NULL)
		status = act(action, db, o, s);
	else
		status = failed(why);
	if (db == NULL && !s->events.used)
		fprintf(stderr, "poolctl events: the configuration has no group \"events\"\n");
	event_db_close(db);
	settings_unref(s);
	return status;
}

/* ---- arguments ---- */

/* "30m", "24h", "7d", or a date with or without a time, local where it names no zone. */
static bool
read_since(const char *text, int64_t *since)
{
	static const char units[] = "mhd";
	static const int64_t minutes[] = {1, 60, 24 * 60};
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] != '\0' ? strchr(units, text[digits]) : NULL;
	char *full;
	GTimeZone *here;
	GDateTime *time;
	int64_t n;

	if (digits > 0 && digits < 8 && unit != NULL && text[digits + 1] == '\0') {
		n = g_ascii_strtoll(text, NULL, 10) * minutes[unit - units];
		*since = g_get_real_time() - n * 60 * G_USEC_PER_SEC;
		return n > 0 && n <= (int64_t)DAYS_MAX * 24 * 60;
	}
	full = strchr(text, 'T') != NULL ? g_strdup(text) : g_strconcat(text, "T00:00:00", NULL);
	here = g_time_zone_new_local();
	time = g_date_time_new_from_iso8601(full, here);
	if (time != NULL) {
		*since = g_date_time_to_unix(time) * G_USEC_PER_SEC;
		g_date_time_unref(time);
	}
	g_time_zone_unref(here);
	g_free(full);
	return time != NULL && *since > 0;
}

static bool
read_types(const char *text, unsigned *types)
{
	char **words = g_strsplit(text, ",", 0);
	bool ok = words[0] != NULL;

	for (guint i = 0; ok && words[i] != NULL; i++) {
		enum event_type type = event_type_find(words[i]);

		ok = type != EVENT_TYPES;
		if (ok)
			*types |= 1u << type;
	}
	g_strfreev(words);
	return ok;
}

static int
take_option(struct options *o, int c)
{
	switch (c) {
	case 'c':
		o->config = optarg;
		return EX_OK;
	case 'p':
		o->pool = optarg;
		return EX_OK;
	case 't':
		return read_types(optarg, &o->types)
			       ? EX_OK
			       : command_usage_error(
					 "events",
					 "--type: \"%s\": expected accepted, delivered, deferred, "
					 "bounced, expired, held or complaint, or several with "
					 "commas",
					 optarg);
	case 's':
		return read_since(optarg, &o->since)
			       ? EX_OK
			       : command_usage_error("events",
						     "--since: \"%s\": expected 30m, 24h or 7d, at "
						     "most 3650d, or a date as 2026-11-01 or "
						     "2026-11-01T12:00:00",
						     optarg);
	case 'f':
		o->follow = true;
		return EX_OK;
	case 'j':
		o->json = true;
		return EX_OK;
	case 'd':
		o->dead = true;
		return EX_OK;
	case 'a':
		o->all = true;
		return EX_OK;
	case 'h':
		o->help = true;
		return EX_OK;
	default:
		return command_usage_error("events", "unknown option");
	}
}

/* Options that an action has no use for are a slip. */
static int
check_options(enum action action, const struct options *o)
{
	const char *name = actions[action];

	if (action != EVENTS && (o->pool != NULL || o->types != 0 || o->since != 0 || o->follow))
		return command_usage_error(
			"events", "%s: takes no --pool, --type, --since or --follow", name);
	if ((action == RETRY || action == DROP) && o->json)
		return command_usage_error("events", "%s: takes no --json", name);
	if (action != RETRY && action != DROP && o->dead)
		return command_usage_error("events", "--dead: for retry and drop");
	if (action != DROP && o->all)
		return command_usage_error("events", "--all: for drop");
	if (action == DROP && o->all == (o->destination != NULL))
		return command_usage_error("events", "drop: expected a destination, or --all");
	return EX_OK;
}

static int
parse_arguments(enum action *action, struct options *o, int argc, char **argv)
{
	int n = argc - optind;

	*action = EVENTS;
	if (o->help)
		return EX_OK;
	if (n > 0) {
		*action = QUEUE;
		while (*action < ACTIONS && strcmp(argv[optind], actions[*action]) != 0)
			++*action;
		if (*action == ACTIONS)
			return command_usage_error("events",
						   "\"%s\" is neither queue, dead, retry nor drop",
						   argv[optind]);
	}
	if (n > 1 && *action != QUEUE)
		o->destination = argv[optind + 1];
	if (n > (*action == QUEUE ? 1 : 2))
		return command_usage_error("events", "unexpected argument \"%s\"", argv[argc - 1]);
	return check_options(*action, o);
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"pool", required_argument, NULL, 'p'},
		{"type", required_argument, NULL, 't'},   {"since", required_argument, NULL, 's'},
		{"follow", no_argument, NULL, 'f'},       {"json", no_argument, NULL, 'j'},
		{"dead", no_argument, NULL, 'd'},         {"all", no_argument, NULL, 'a'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c, status;

	while ((c = getopt_long(argc, argv, "c:p:t:s:fh", longs, NULL)) != -1)
		if ((status = take_option(o, c)) != EX_OK)
			return status;
	return EX_OK;
}

int
command_events(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	enum action action;
	int status = parse_options(&o, argc, argv);

	if (status == EX_OK)
		status = parse_arguments(&action, &o, argc, argv);
	if (status != EX_OK)
		return status;
	return o.help ? command_help("events") : run(action, &o);
}
