/*
 * poolmilter - the daemon: start, reload, stop.
 *
 * Start: read the configuration, open the sockets, become `user`, read the configuration again as that
 * user (what a reload will have to do is proved at the start: a key that only root can read is refused
 * now, not at night), read the limits' counters, tell the waiting parent, serve.
 */
#include "base/error_report.h"
#include "base/log.h"
#include "core/author.h"
#include "core/limiter_memory.h"
#include "core/settings.h"
#include "daemon/callbacks.h"
#include "daemon/control.h"
#include "daemon/key_watch.h"
#include "daemon/limit_state.h"
#include "daemon/listener.h"
#include "daemon/locks.h"
#include "daemon/milter_io.h"
#include "daemon/milter_threads.h"
#include "daemon/shared_limiter.h"
#include "daemon/signals.h"
#include "daemon/snapshot.h"
#include "daemon/statistics.h"
#include "io/conf_file.h"
#include "io/keystore.h"
#include "io/mx_resolver.h"
#include "io/process.h"
#include "io/reinject.h"
#include "io/signer.h"

#include <getopt.h>
#include <libmilter/mfapi.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

struct options {
	char *config;
	bool foreground;
	bool to_stderr;
	bool check;
};

static struct options options;
static int64_t loading; /* seconds since 1970 when the reading of the last settings began */
static struct mx_resolver *mx_resolver;
static struct limiter_memory *limiter;
static struct stats *stats;

#define PACKET_MAX (1024 * 1024) /* octets of a packet of the milter protocol: of one header field */

static void
usage(FILE *out)
{
	fprintf(out,
		"Usage: poolmilter [-c FILE] [--foreground] [--stderr]\n"
		"       poolmilter [-c FILE] --check\n"
		"\n"
		"A milter for Postfix and Sendmail: pools, DKIM signatures, Return-Path.\n"
		"\n"
		"  -c, --config FILE  configuration (default: " POOLMILTER_CONFIG ")\n"
		"  -f, --foreground   stay in the foreground\n"
		"      --stderr       log to standard error instead of syslog\n"
		"      --check        check the configuration and exit: 0, or 78 if it is wrong\n"
		"  -V, --version      print the version and exit\n"
		"  -h, --help         print this and exit\n"
		"\n"
		"Signals: HUP reloads the configuration, TERM and INT stop. See poolmilter(8).\n");
}

static void
parse_arguments(int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"foreground", no_argument, NULL, 'f'},
		{"stderr", no_argument, NULL, 'e'},	  {"check", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'V'},	  {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *config = POOLMILTER_CONFIG;
	int c;

	while ((c = getopt_long(argc, argv, "c:fVh", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			config = optarg;
			break;
		case 'f':
			options.foreground = true;
			break;
		case 'e':
			options.to_stderr = true;
			break;
		case 'k':
			options.check = true;
			break;
		case 'V':
			puts("poolmilter " PACKAGE_VERSION);
			exit(EX_OK);
		case 'h':
			usage(stdout);
			exit(EX_OK);
		default:
			usage(stderr);
			exit(EX_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "poolmilter: unexpected argument \"%s\"\n", argv[optind]);
		usage(stderr);
		exit(EX_USAGE);
	}
	/* Absolute: a reload happens in another directory. */
	options.config = g_canonicalize_filename(config, NULL);
}

/* Ends a start that failed: on the terminal, in the log, and to the waiting parent. */
static void
fail(int status, const char *why)
{
	log_line(LOG_ERR, "not started: %s", why);
	log_close(1);
	process_ready(status, why);
	if (options.foreground && !options.to_stderr)
		fprintf(stderr, "poolmilter: %s\n", why);
	listener_close();
	control_close();
	process_pid_file_remove();
	exit(status);
}

static struct settings *
load_or_exit(int flags)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(options.config, flags, errors);

	error_report_terminal(errors);
	errors_free(errors);
	if (s == NULL)
		exit(EX_CONFIG);
	return s;
}

/* As load_or_exit(), when nobody may be at the terminal any more. */
static struct settings *
load_as_user(void)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(options.config, CONF_FILE_SECRET, errors);

	error_report_log(errors);
	if (s == NULL)
		fail(EX_CONFIG, error_report_text(errors));
	errors_free(errors);
	return s;
}

/* A setting that only a restart can change: what the process has done with it is done. */
static void
warn_unless(bool same, const char *key)
{
	if (!same)
		log_line(LOG_WARNING, "warning: %s: a change takes effect at the next start only", key);
}

static void
warn_restart(const struct settings *before, const struct settings *after)
{
	bool same = before->listen->len == after->listen->len;

	for (guint i = 0; same && i < after->listen->len; i++)
		same = strcmp(g_ptr_array_index(before->listen, i),
			      g_ptr_array_index(after->listen, i)) == 0;
	warn_unless(same, "listen");
	warn_unless(before->socket_mode == after->socket_mode, "socket_mode");
	warn_unless(g_strcmp0(before->socket_group, after->socket_group) == 0, "socket_group");
	warn_unless(g_strcmp0(before->user, after->user) == 0, "user");
	warn_unless(g_strcmp0(before->pid_file, after->pid_file) == 0, "pid_file");
	warn_unless(strcmp(before->syslog.ident, after->syslog.ident) == 0, "syslog.ident");
	warn_unless(before->syslog.facility == after->syslog.facility, "syslog.facility");
}

static void
change_resolver(const struct settings *s)
{
	char *why = NULL;

	if (!mx_resolver_change(mx_resolver, s->resolver, (guint)s->dns.cache_entries, &why))
		log_line(LOG_ERR, "reload: resolver: %s: stays as it was", why);
	g_free(why);
}

/* The limiters as the settings want them; before these are in force. */
static bool
change_limiters(const struct settings *s, char **why)
{
	if (!shared_limiter_change(s, why))
		return false;
	limiter_memory_set_share(limiter, s->redis.used ? (guint)s->redis.nodes : 1);
	return true;
}

static void
take(struct settings *s, gint64 started)
{
	char *why = NULL;

	if (!change_limiters(s, &why)) {
		log_line(LOG_ERR, "reload: redis: %s: the settings stay as they were", why);
		g_free(why);
		return;
	}
	change_resolver(s);
	log_set_level(s->syslog.level);
	snapshot_set(settings_ref(s));
	key_watch_change(s, loading);
	locks_change(s);
	statistics_change(s);
	log_line(LOG_NOTICE, "reload: done, pools=%u took_ms=%.1f", s->pools->len,
		 (double)(g_get_monotonic_time() - started) / 1000);
}

static void
reload(void)
{
	struct errors *errors = errors_new();
	struct settings *before = snapshot_get();
	gint64 started = g_get_monotonic_time();
	struct settings *s;

	loading = time(NULL);
	s = conf_file_load(options.config, CONF_FILE_SECRET, errors);
	error_report_log(errors);
	if (s == NULL) {
		log_line(LOG_ERR, "reload: refused with %u errors, the settings stay as they were",
			 errors->errors->len);
	} else {
		warn_restart(before, s);
		take(s, started);
		settings_unref(s);
	}
	settings_unref(before);
	errors_free(errors);
}

static bool
milter_setup(const struct session_tools *tools)
{
	char *connection = g_strdup_printf("fd:%d", listener_fd());
	bool ok;

	/* libmilter's default of 64 kB closes the connection on a longer header; Postfix takes 100 kB. */
	smfi_setmaxdatasize(PACKET_MAX);
	ok = callbacks_register(tools) && smfi_setconn(connection) == MI_SUCCESS;
	g_free(connection);
	return ok;
}

/* Everything that needs the rights or the terminal of the start. */
static struct settings *
start(struct settings *s)
{
	bool again = geteuid() == 0 && g_strcmp0(s->user, "root") != 0;
	char *why = NULL;

	if (geteuid() == 0 && s->user == NULL)
		fail(EX_CONFIG, "user: is needed when started as root: whom to become after the start");
	if (!process_state_dir(s, &why) || !process_pid_file(s->pid_file, &why) ||
	    !listener_open(s, &why) || !process_drop(s, &why))
		fail(EX_OSERR, why);
	if (again || s->return_path.secrets->len == 0) {
		settings_unref(s);
		s = load_as_user();
	}
	return s;
}

/* The end, in the signal thread. */
static void
stop(void)
{
	process_pid_file_remove();
	shared_limiter_end();
	statistics_end();
	limit_state_write();
	locks_end();
	log_line(LOG_NOTICE, "stopped");
	log_close(1);
	exit(EX_OK);
}

static int
serve(struct settings *s, struct signer *signer)
{
	struct lock_table *locks = lock_table_new();
	const struct session_tools tools = {
		.signer = signer,
		.resolver = mx_resolver_facade(mx_resolver),
		.injector = reinject_injector(),
		.limiter = limiter_memory_facade(limiter),
		.shared_limiter = shared_limiter_facade(),
		.local_limiter = shared_limiter_local(),
		.reached = reached_new(),
		.locks = locks,
		.stats = stats,
	};
	const struct control_tools asked = {limiter, statistics_hours(), locks, locks_set, locks_release};
	char *why = NULL;

	if (!milter_threads_init() || !milter_setup(&tools))
		fail(EX_SOFTWARE, "libmilter cannot be set up");
	signals_handlers(reload, stop);
	signals_every(60, limit_state_write);
	log_line(LOG_NOTICE, "started: version=%s pools=%u sockets=%u keys=%s body=%s io=%s limits=%s",
		 PACKAGE_VERSION, s->pools->len, s->listen->len,
		 signer_keys_cached(signer) ? "parsed-once" : "parsed-per-message",
		 signer_body_fast(signer) ? "fast" : "plain",
		 milter_io_buffered() ? "buffered" : "plain", s->redis.used ? "redis" : "memory");
	if (!control_open(s->state_dir, &asked, &why))
		fail(EX_OSERR, why);
	limit_state_begin(limiter, statistics_hours(), s->state_dir);
	locks_begin(locks, s->state_dir);
	if (!change_limiters(s, &why))
		fail(EX_OSERR, why);
	snapshot_set(s);
	key_watch_change(s, loading);
	locks_change(s);
	statistics_change(s);
	process_ready(EX_OK, NULL);
	(void)smfi_main(); /* signals end the process: it returns only when it gives up */
	listener_close();
	control_close();
	process_pid_file_remove();
	shared_limiter_end();
	statistics_end();
	limit_state_write();
	locks_end();
	log_line(LOG_ERR, "stopped: libmilter gave up after repeated failures");
	log_close(1);
	return EX_SOFTWARE;
}

/*
 * Message-sized memory goes back to the system when its message ends.  Without this glibc raises the
 * limit with the first large message and keeps what came after: 100 MB after 100 connections x 1 MiB.
 */
static void
setup_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
	mallopt(M_ARENA_MAX, 4); /* threads come and go: one arena for each would keep what each had */
}

int
main(int argc, char **argv)
{
	struct settings *s;
	struct signer *signer;
	char *why = NULL;

	setup_memory();
	keystore_init();
	parse_arguments(argc, argv);
	signals_block();
	author_init();
	loading = time(NULL);
	s = load_or_exit(CONF_FILE_NO_SECRET | (options.check ? CONF_FILE_KEYS : 0));
	if (options.check) {
		puts("configuration is good");
		settings_unref(s);
		return EX_OK;
	}
	log_set_level(s->syslog.level);
	log_open(s->syslog.ident, s->syslog.facility, options.to_stderr);
	if (!options.foreground && !process_detach(&why))
		fail(EX_OSERR, why);
	s = start(s);
	signer = signer_new(0, &why);
	if (signer == NULL || !reinject_init(&why))
		fail(EX_SOFTWARE, why);
	mx_resolver = mx_resolver_new(s->resolver, (guint)s->dns.cache_entries, &why);
	if (mx_resolver == NULL)
		fail(EX_SOFTWARE, why);
	limiter = limiter_memory_new(1, NULL, NULL);
	shared_limiter_begin(limiter);
	stats = statistics_begin(limiter);
	if (!signer_keys_cached(signer))
		log_line(LOG_WARNING, "warning: libopendkim does not reach the parsed keys; each message "
				      "parses its key, which is slow");
	return serve(s, signer);
}
