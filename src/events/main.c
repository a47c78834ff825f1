/*
 * poolevents - the daemon that follows the MTA's log: start, reload, stop.
 *
 * Start: read the configuration, become `user`, read it again as that user (what a reload will have
 * to do is proved at the start), lock the state directory, open the database, go to the kept
 * position in the log.  Then the main thread collects (loop.h), and the dispatcher's threads
 * deliver.
 *
 * It stays in the foreground: whoever supervises it, systemd or rsyslog, knows the process that it
 * started.
 */
#include "base/error_report.h"
#include "base/log.h"
#include "events/collector.h"
#include "events/dispatcher.h"
#include "events/lock_rules.h"
#include "events/loop.h"
#include "events/tallies.h"
#include "events/upkeep.h"
#include "io/conf_file.h"
#include "io/keystore.h"
#include "io/log_file.h"
#include "io/log_journal.h"
#include "io/log_stdin.h"
#include "io/process.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>


static struct options {
	char *config;
	bool to_stderr, check, from_start, once, confirm;
} options;

/* Those in force; of the main thread. */
static struct settings *settings;
static struct classifier *classifier;
static struct lock_rules *lock_rules;

static struct event_db *db;
static struct log_source source;
static struct collector *collector;
static struct dispatcher *dispatcher; /* NULL with --once: nothing is delivered */

static void
usage(FILE *out)
{
	fprintf(out,
		"Usage: poolevents [-c FILE] [--stderr] [--from-start] [--confirm] [--once]\n"
		"       poolevents [-c FILE] --check\n"
		"\n"
		"Follows the MTA's log and tells what became of the mail of poolmilter's pools.\n"
		"\n"
		"  -c, --config FILE  configuration (default: " POOLMILTER_CONFIG ")\n"
		"      --stderr       log to standard error instead of syslog\n"
		"      --from-start   at the first start: begin where the log begins, not at its end\n"
		"      --confirm      answer for each line of standard input (rsyslog's omprog)\n"
		"      --once         read what is there, deliver nothing, exit\n"
		"      --check        check the configuration and exit: 0, or 78 if it is wrong\n"
		"  -V, --version      print the version and exit\n"
		"  -h, --help         print this and exit\n"
		"\n"
		"Signals: HUP reloads the configuration, TERM and INT stop. See poolevents(8).\n");
}

static void
take_option(int c)
{
	switch (c) {
	case 'e':
		options.to_stderr = true;
		break;
	case 'k':
		options.check = true;
		break;
	case 's':
		options.from_start = true;
		break;
	case 'o':
		options.once = true;
		break;
	case 'n':
		options.confirm = true;
		break;
	case 'V':
		puts("poolevents " PACKAGE_VERSION);
		exit(EX_OK);
	case 'h':
		usage(stdout);
		exit(EX_OK);
	default:
		usage(stderr);
		exit(EX_USAGE);
	}
}

static void
parse_arguments(int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"stderr", no_argument, NULL, 'e'},
		{"check", no_argument, NULL, 'k'},
		{"from-start", no_argument, NULL, 's'},
		{"once", no_argument, NULL, 'o'},
		{"confirm", no_argument, NULL, 'n'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *config = POOLMILTER_CONFIG;
	int c;

	while ((c = getopt_long(argc, argv, "c:Vh", longs, NULL)) != -1)
		if (c == 'c')
			config = optarg;
		else
			take_option(c);
	if (optind < argc) {
		fprintf(stderr, "poolevents: unexpected argument \"%s\"\n", argv[optind]);
		usage(stderr);
		exit(EX_USAGE);
	}
	options.config = g_canonicalize_filename(config, NULL);
}

/* ---- start ---- */

/* Ends a start that failed: in the log, and on the terminal. */
static _Noreturn void
fail(int status, const char *why)
{
	log_line(LOG_ERR, "not started: %s", why);
	log_close(1);
	if (!options.to_stderr)
		fprintf(stderr, "poolevents: %s\n", why);
	exit(status);
}

static struct settings *
load_or_exit(void)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(options.config, CONF_FILE_NO_SECRET, errors);

	error_report_terminal(errors);
	errors_free(errors);
	if (s == NULL)
		exit(EX_CONFIG);
	if (!s->events.used) {
		fprintf(stderr,
			"%s: events: the group is missing: without it poolmilter tells nothing\n",
			options.config);
		exit(EX_CONFIG);
	}
	return s;
}

/* As load_or_exit(), when the log is open. */
static struct settings *
load_as_user(void)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(options.config, CONF_FILE_NO_SECRET, errors);

	error_report_log(errors);
	if (s == NULL)
		fail(EX_CONFIG, error_report_text(errors));
	errors_free(errors);
	return s;
}

/* Becomes the user; the settings as that user reads them. */
static struct settings *
become_user(struct settings *s)
{
	bool again = geteuid() == 0 && g_strcmp0(s->user, "root") != 0;
	char *why = NULL;

	if (geteuid() == 0 && s->user == NULL)
		fail(EX_CONFIG,
		     "user: is needed when started as root: whom to become after the start");
	if (!process_state_dir(s, &why) || !process_drop(s, &why))
		fail(EX_OSERR, why);
	if (again) {
		settings_unref(s);
		s = load_as_user();
	}
	return s;
}

/* The lock goes with the process; its file stays, so that nobody locks one that is gone. */
static void
lock_state_dir(const struct settings *s)
{
	char *path = g_build_filename(s->state_dir, PROCESS_EVENTS_PID_NAME, NULL), *why = NULL;

	if (!process_pid_file(path, &why))
		fail(EX_UNAVAILABLE, why);
	g_free(path);
}

static struct log_source
make_source(const struct settings *s)
{
	if (strcmp(s->events.log, "stdin") == 0)
		return log_stdin_new(STDIN_FILENO, STDOUT_FILENO, options.confirm);
	if (strcmp(s->events.log, "journal") == 0)
		return log_journal_new(NULL, s->syslog.ident);
	return log_file_new(s->events.log);
}

/* ---- settings in force ---- */

/* Puts settings in force, with all that is made of them; takes the reference. False with *why: the
   old ones stay. */
static bool
change(struct settings *s, char **why)
{
	struct errors *errors = errors_new();
	struct classifier *c = classifier_new(s, errors);
	struct lock_rules *rules = lock_rules_new(s, c, why);

	error_report_log(errors); /* what does not compile, loading has refused */
	errors_free(errors);
	if (rules == NULL) {
		classifier_free(c);
		settings_unref(s);
		return false;
	}
	lock_rules_free(lock_rules);
	classifier_free(classifier);
	settings_unref(settings);
	lock_rules = rules;
	classifier = c;
	settings = s;
	log_set_level(s->syslog.level);
	collector_change(collector, s, c);
	tallies_change(s);
	if (dispatcher != NULL)
		dispatcher_change(dispatcher, s);
	return true;
}

/* A setting that only a restart can change: what the process has done with it is done. */
static void
warn_unless(bool same, const char *key)
{
	if (!same)
		log_line(LOG_WARNING, "warning: %s: a change takes effect at the next start only",
			 key);
}

static void
warn_restart(const struct settings *before, const struct settings *after)
{
	warn_unless(g_strcmp0(before->events.log, after->events.log) == 0, "events.log");
	warn_unless(g_strcmp0(before->state_dir, after->state_dir) == 0, "state_dir");
	warn_unless(g_strcmp0(before->user, after->user) == 0, "user");
	warn_unless(before->syslog.facility == after->syslog.facility, "syslog.facility");
}

/* Why settings cannot be taken; NULL: they are in force. Takes the reference; g_free the answer. */
static char *
take(struct settings *s)
{
	char *why = NULL;

	if (!s->events.used) {
		settings_unref(s);
		return g_strdup("the group events is missing");
	}
	warn_restart(settings, s);
	(void)change(s, &why);
	return why;
}

static void
reload(void)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(options.config, CONF_FILE_NO_SECRET, errors);
	char *why = NULL;

	error_report_log(errors);
	if (s == NULL)
		why = g_strdup_printf("%u errors", errors->errors->len);
	else
		why = take(s);
	if (why != NULL)
		log_line(LOG_ERR, "reload: refused, the settings stay as they were: %s", why);
	else
		log_line(LOG_NOTICE, "reload: done, pools=%u webhooks=%u", settings->pools->len,
			 settings->webhooks->len);
	g_free(why);
	errors_free(errors);
}

/* ---- work ---- */

/* Events have been committed. */
static void
kept(const GPtrArray *events, void *context)
{
	(void)context;
	for (guint i = 0; i < events->len; i++)
		(void)lock_rules_event(lock_rules, g_ptr_array_index(events, i));
	if (dispatcher != NULL)
		dispatcher_wake(dispatcher);
}

static void
prune(void)
{
	upkeep_run(db, settings);
}

static int64_t
behind(void)
{
	return collector_behind(collector);
}

static int
serve(struct settings *s)
{
	const struct collector_tools tools = {.db = db, .source = &source, .kept = kept};
	struct loop loop = {.source = &source, .reload = reload, .once = options.once};
	char *why = NULL;
	bool ok;

	loop.collector = collector = collector_new(&tools);
	tallies_begin(db, behind);
	if (!change(s, &why))
		fail(EX_CONFIG, why);
	if (!collector_open(collector, options.from_start, &why))
		fail(EX_NOINPUT, why);
	if (!options.once && (dispatcher = dispatcher_new(settings, &why)) == NULL)
		fail(EX_SOFTWARE, why);
	loop_every(UPKEEP_SECONDS, prune);
	loop_every(TALLIES_SHIP_SECONDS, tallies_ship);
	loop_every(TALLIES_METRICS_SECONDS, tallies_metrics);
	loop_every(TALLIES_DROP_SECONDS, tallies_drop);
	log_line(LOG_NOTICE, "started: version=%s log=%s pools=%u webhooks=%u", PACKAGE_VERSION,
		 settings->events.log, settings->pools->len, settings->webhooks->len);
	ok = loop_run(&loop);
	tallies_end();
	dispatcher_free(dispatcher);
	lock_rules_free(lock_rules);
	collector_free(collector);
	classifier_free(classifier);
	settings_unref(settings);
	return ok ? EX_OK : EX_TEMPFAIL;
}

int
main(int argc, char **argv)
{
	struct settings *s;
	char *why = NULL;
	int status;

	keystore_init();
	parse_arguments(argc, argv);
	loop_block_signals();
	s = load_or_exit();
	if (options.check) {
		puts("configuration is good");
		settings_unref(s);
		return EX_OK;
	}
	log_set_level(s->syslog.level);
	log_open(COLLECTOR_IDENT, s->syslog.facility, options.to_stderr);
	s = become_user(s);
	lock_state_dir(s);
	db = event_db_open(s->state_dir, EVENT_DB_CREATE, &why);
	if (db == NULL)
		fail(EX_CANTCREAT, why);
	source = make_source(s);
	status = serve(s);
	source.free(source.context);
	event_db_close(db);
	log_line(LOG_NOTICE, "stopped");
	log_close(1);
	return status;
}
