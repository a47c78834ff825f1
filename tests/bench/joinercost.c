/*
 * joinercost - what a line of the log costs on its way to events, and memory with very many
 * messages
 *
 * Purpose: the price of core/log_line, mta_line and joiner, as poolevents(8) has it without its
 * database.  The store keeps flights as the text that the database would get; its share is in the
 * figures.  A batch ends with a tick and a flush, as poolevents does.
 *
 * Lines (--lines N): messages, one after the other and --open of them between each other, each with
 * the lines that Postfix and poolmilter write for one with one recipient: connect, client,
 * Message-ID, event, pool, queue active, disconnect, smtp, removed.  Every message must make its
 * two events, or there are no figures.
 *
 * Flights (--flights N): so many messages in the queue at once, each deferred; then each is
 * delivered.  --memory of them are in memory, the others in the store, a file on disk.  Peak memory
 * is that of the process (ru_maxrss), with the store's index of queue IDs, which the database would
 * not have.
 *
 * Build: make tests/bench/joinercost
 */
#include "core/joiner.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BEGAN ((int64_t)1795132800 * G_USEC_PER_SEC)
#define BATCH 5000 /* lines */

static struct {
	long lines, flights, open, memory;
} opt = {.lines = 2000000, .flights = 0, .open = 1000, .memory = 100000};

static void die(const char *) __attribute__((noreturn));

static void
die(const char *why)
{
	fprintf(stderr, "joinercost: %s\n", why);
	exit(2);
}

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- the store: texts in a file, and where they are ---- */

struct place {
	long at;
	guint32 len;
	guint32 room;
};

static struct {
	GHashTable *places; /* queue ID -> struct place * */
	FILE *file;
	long end;
	GString *text;
} store;

static bool
load(void *context, const char *queue_id, struct flight **out)
{
	const struct place *p = g_hash_table_lookup(store.places, queue_id);

	(void)context;
	*out = NULL;
	if (p == NULL)
		return true;
	g_string_set_size(store.text, p->len);
	if (fseek(store.file, p->at, SEEK_SET) != 0 ||
	    fread(store.text->str, 1, p->len, store.file) != p->len)
		return false;
	*out = flight_read(store.text->str, p->len);
	return *out != NULL;
}

static bool
find(void *context, const char *message_id, int64_t since, guint max, GPtrArray *queue_ids)
{
	(void)context;
	(void)message_id;
	(void)since;
	(void)max;
	(void)queue_ids;
	return true; /* no message here comes from a filter */
}

static bool
save(void *context, const struct flight *f)
{
	struct place *p = g_hash_table_lookup(store.places, f->queue_id);

	(void)context;
	g_string_truncate(store.text, 0);
	flight_write(f, store.text);
	if (f->ended != 0) { /* what becomes of history is no matter of ours */
		g_hash_table_remove(store.places, f->queue_id);
		return true;
	}
	if (p == NULL) {
		p = g_new0(struct place, 1);
		g_hash_table_insert(store.places, g_strdup(f->queue_id), p);
	}
	if (store.text->len > p->room) {
		p->at = store.end;
		p->room = (guint32)store.text->len + 64;
		store.end += p->room;
	}
	p->len = (guint32)store.text->len;
	return fseek(store.file, p->at, SEEK_SET) == 0 &&
	       fwrite(store.text->str, 1, p->len, store.file) == p->len;
}

static bool
forget(void *context, const char *queue_id, int64_t born)
{
	(void)context;
	(void)born;
	g_hash_table_remove(store.places, queue_id);
	return true;
}

/* ---- lines ---- */

static struct {
	struct joiner *joiner;
	struct log_clock clock;
	int64_t now;
	long lines, events;
} run;

static void
take_event(struct event *e, void *context)
{
	(void)context;
	run.events++;
	event_free(e);
}

static void
feed(const char *text, size_t len)
{
	struct log_line line;

	if (!log_line_parse(text, len, &run.clock, BEGAN, &line))
		die(text);
	run.now = line.time;
	if (!joiner_line(run.joiner, &line))
		die("the store failed");
	if (++run.lines % BATCH == 0 &&
	    (!joiner_tick(run.joiner, run.now) || !joiner_flush(run.joiner)))
		die("the store failed");
}

enum step { CONNECT, CLIENT, MESSAGE_ID, EVENT, POOL, ACTIVE, DISCONNECT, DEFERRED, SENT, REMOVED };

/* "$" is the queue ID of a message, "#" its number. */
static const char *const forms[] = {
	[CONNECT] = "postfix/smtpd[811]: connect from app#.example.com[192.0.2.1]",
	[CLIENT] = "postfix/smtpd[811]: $: client=app.example.com[192.0.2.1], sasl_method=PLAIN, "
		   "sasl_username=ann",
	[MESSAGE_ID] = "postfix/cleanup[812]: $: message-id=<#.abcdefgh@example.com>",
	[EVENT] = "poolmilter[9]: $: event: header:X-Campaign:spring%20sale rcpt:user#@example.org",
	[POOL] = "poolmilter[9]: $: pool=acme isp=gmail from=<ann@example.com> "
		 "return_path=<b+cfistabcdefghijklmnop@ac-bounces.example.com> nrcpt=1 size=4096 "
		 "encoded=html:base64,text:quoted-printable headers=+1-2 "
		 "dkim=example.com/ak/rsa-sha256 "
		 "limit=ok took_ms=0.9 result=accepted",
	[ACTIVE] = "postfix/qmgr[700]: $: from=<b+cfistabcdefghijklmnop@ac-bounces.example.com>, "
		   "size=4999, nrcpt=1 (queue active)",
	[DISCONNECT] = "postfix/smtpd[811]: disconnect from app#.example.com[192.0.2.1] ehlo=1 "
		       "mail=1 rcpt=1",
	[DEFERRED] = "postfix/smtp[901]: $: to=<user#@example.org>, "
		     "relay=mx1.example.org[198.51.100.7]:25, "
		     "delay=1.2, delays=0.1/0.01/0.5/0.59, dsn=4.2.2, status=deferred (host "
		     "mx1.example.org[198.51.100.7] said: 452-4.2.2 The recipient's inbox is out "
		     "of storage "
		     "space. 452 4.2.2 see support (in reply to RCPT TO command))",
	[SENT] = "postfix/smtp[901]: $: to=<user#@example.org>, "
		 "relay=mx1.example.org[198.51.100.7]:25, "
		 "delay=1.2, delays=0.1/0.01/0.5/0.59, dsn=2.0.0, status=sent (250 2.0.0 OK  "
		 "1795132800 "
		 "a1-20020a05600c1c1f00b003 - gsmtp)",
	[REMOVED] = "postfix/qmgr[700]: $: removed",
};

/* The log's clock goes on by a microsecond a line. */
static void
say(GString *text, enum step step, long n)
{
	long us = run.lines;

	g_string_printf(text, "2026-11-20T%02ld:%02ld:%02ld.%06ld+00:00 mx1 ",
			us / 3600000000L % 24, us / 60000000 % 60, us / 1000000 % 60, us % 1000000);
	for (const char *p = forms[step]; *p != '\0'; p++)
		if (*p == '$')
			g_string_append_printf(text, "4c%06lX%06lXzTk", n, n);
		else if (*p == '#')
			g_string_append_printf(text, "%ld", n);
		else
			g_string_append_c(text, *p);
}

static void
start(guint flights_max)
{
	static const struct joiner_store of = {
		.load = load, .find = find, .save = save, .forget = forget};

	store.places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	store.text = g_string_new(NULL);
	store.file = tmpfile();
	if (store.file == NULL)
		die("no temporary file");
	run.joiner = joiner_new(&of, "mx1", flights_max, take_event, NULL);
}

static void
stop(long events)
{
	if (!joiner_flush(run.joiner))
		die("the store failed");
	if (run.events != events)
		die("not the events that there must be");
	joiner_free(run.joiner);
	fclose(store.file);
	g_string_free(store.text, TRUE);
	g_hash_table_destroy(store.places);
}

/* What it costs to make the lines is no cost of reading them: they are made before. */
static void
measure_lines(void)
{
	static const enum step steps[] = {CONNECT, CLIENT,     MESSAGE_ID, EVENT,  POOL,
					  ACTIVE,  DISCONNECT, SENT,       REMOVED};
	long each = (long)G_N_ELEMENTS(steps), messages = opt.lines / each, n = 0;
	GString *text = g_string_new(NULL), *chunk = g_string_new(NULL);
	double cpu = 0, began;

	start((guint)opt.memory);
	while (n < messages) {
		long some = MIN(opt.open, messages - n), before = run.lines;

		g_string_truncate(chunk, 0);
		for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
			for (long k = n; k < n + some; k++, run.lines++) {
				say(text, steps[i], k);
				g_string_append(chunk, text->str);
				g_string_append_c(chunk, '\n');
			}
		run.lines = before;
		began = cpu_us();
		for (const char *p = chunk->str, *end; (end = strchr(p, '\n')) != NULL; p = end + 1)
			feed(p, (size_t)(end - p));
		cpu += cpu_us() - began;
		n += some;
	}
	printf("{\"what\": \"lines\", \"lines\": %ld, \"messages\": %ld, \"cpu_us_line\": %.3f, "
	       "\"lines_s\": %.0f}\n",
	       run.lines, messages, cpu / (double)run.lines, (double)run.lines / cpu * 1e6);
	stop(2 * messages);
	g_string_free(text, TRUE);
	g_string_free(chunk, TRUE);
}

static void
all(GString *text, enum step step)
{
	for (long n = 0; n < opt.flights; n++) {
		say(text, step, n);
		feed(text->str, text->len);
	}
}

static void
measure_flights(void)
{
	static const enum step steps[] = {CLIENT, MESSAGE_ID, EVENT, POOL, ACTIVE, DEFERRED};
	GString *text = g_string_new(NULL);
	struct rusage usage;
	double began = cpu_us();

	start((guint)opt.memory);
	for (long n = 0; n < opt.flights; n++)
		for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
			say(text, steps[i], n);
			feed(text->str, text->len);
		}
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"what\": \"flights\", \"flights\": %ld, \"in_memory\": %u, \"store_bytes\": %ld, "
	       "\"peak_kib\": %ld, ",
	       opt.flights, joiner_size(run.joiner), store.end, usage.ru_maxrss);
	all(text, SENT);
	all(text, REMOVED);
	printf("\"cpu_us_line\": %.3f}\n", (cpu_us() - began) / (double)run.lines);
	stop(3 * opt.flights);
	g_string_free(text, TRUE);
}

static void
usage(void)
{
	fputs("usage: joinercost [--lines N] [--open N] [--flights N] [--memory N]\n"
	      "prints one JSON object: with --flights of so many messages in the queue, else of "
	      "lines\n",
	      stderr);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"lines", required_argument, NULL, 'l'},
		{"open", required_argument, NULL, 'o'},
		{"flights", required_argument, NULL, 'f'},
		{"memory", required_argument, NULL, 'm'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l')
			opt.lines = atol(optarg);
		else if (option == 'o')
			opt.open = atol(optarg);
		else if (option == 'f')
			opt.flights = atol(optarg);
		else if (option == 'm')
			opt.memory = atol(optarg);
		else
			usage();
	}
	if (optind != argc || opt.lines < 1 || opt.open < 1 || opt.flights < 0 || opt.memory < 0)
		usage();
	setenv("TZ", "UTC", 1);
	tzset();
	if (opt.flights > 0)
		measure_flights();
	else
		measure_lines();
	return 0;
}
