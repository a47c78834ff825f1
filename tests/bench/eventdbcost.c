/*
 * eventdbcost - what events on disk cost
 *
 * Purpose: the price of io/event_db.h as poolevents uses it.  A message is a flight that is saved
 * when it is new and once more, in a later transaction, when it has left the queue; two events,
 * each for some destinations; and three numbers of the statistics.  A connection writes
 * transactions of so many messages, as the collector does; another one of the same process takes
 * what waits, 500 at a time, and says that it was delivered, as the dispatcher does.  Now and then
 * the oldest is deleted, so that only --keep messages stay.  Without --deliver nothing is, and the
 * queue grows.
 *
 * Figures: CPU of the process for a message, apart for what writes and what delivers; how long a
 * transaction takes at most; the largest size of the files.  At the end: what it costs to ask for
 * the queue, for the next 500 rows, and to drop all of it.
 *
 * Build: make tests/bench/eventdbcost
 */
#include "io/event_db.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { TAKEN = 500, OCTETS = 1000000, DESTINATIONS_MAX = 16 };

static struct {
	const char *directory;
	long messages, batch, keep, destinations;
	bool deliver;
} opt = {.messages = 200000, .batch = 660, .keep = 100000, .destinations = 2};

static GPtrArray *names;   /* of destinations */
static gint done;          /* atomic: all is written */
static double deliver_cpu; /* us, when that thread has ended */

static void die(const char *, const char *) __attribute__((noreturn));

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "eventdbcost: %s: %s\n", what, why);
	exit(2);
}

static double
clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct event_db *
open_db(enum event_db_mode mode)
{
	char *why = NULL;
	struct event_db *db = event_db_open(opt.directory, mode, &why);

	if (db == NULL)
		die("open", why);
	return db;
}

static double
file_mb(const char *name)
{
	char *path = g_build_filename(opt.directory, name, NULL);
	struct stat st;
	double size = stat(path, &st) == 0 ? (double)st.st_size / 1e6 : 0;

	g_free(path);
	return size;
}

/* ---- writing ---- */

static char *
queue_id_of(long n)
{
	/* As Postfix' short ones: by the microsecond, so that they come in no order. */
	return g_strdup_printf("%05lX%06lX", (unsigned long)n * 7919 % 1000000, (unsigned long)n);
}

static bool
save_flight(struct event_db *db, long n, int64_t ended)
{
	const struct joiner_store *store = event_db_store(db);
	char *queue_id = queue_id_of(n), *recipient = g_strdup_printf("recipient%ld@gmail.com", n);
	struct flight *f = flight_new(queue_id, 1700000000000000 + (int64_t)n * 300);
	bool ok;

	f->ended = ended;
	f->message_id =
		g_strdup_printf("<%08lx.%ld@mail.example.com>", (unsigned long)n * 2654435761, n);
	f->pool = g_strdup("acme");
	f->isp = g_strdup("gmail");
	f->sender = g_strdup("newsletter@acme.example");
	flight_add_recipient(f, recipient);
	ok = store->save(store->context, f);
	flight_free(f);
	g_free(recipient);
	g_free(queue_id);
	return ok;
}

static bool
add_event(struct event_db *db, long n, enum event_type type, char **why)
{
	struct event *e = event_new(type, EVENT_FROM_LOG);
	char *json;
	bool ok;

	e->time = 1700000000000000 + (int64_t)n * 300 + type;
	e->node = g_strdup("mail1.example.com");
	e->queue_id = queue_id_of(n);
	e->pool = g_strdup("acme");
	event_identify(e, 0);
	json = g_strdup_printf(
		"{\"id\":\"%s\",\"time\":\"2026-11-20T13:14:15.123456Z\",\"type\":\"delivered\","
		"\"source\":\"log\",\"node\":\"mail1.example.com\",\"queue_id\":\"%s\",\"message_"
		"id\":"
		"\"<%08lx.%ld@mail.example.com>\",\"pool\":\"acme\",\"isp\":\"gmail\",\"sender\":"
		"\"newsletter@acme.example\",\"recipient\":\"recipient%ld@gmail.com\",\"relay\":"
		"\"gmail-smtp-in.l.google.com[142.250.1.26]:25\",\"delay_ms\":1234,\"code\":250,"
		"\"dsn\":\"2.0.0\",\"reply\":\"250 2.0.0 OK 1700000000 "
		"d2e1a72fcca58-6c4d0bcbb31si1234567b3a"
		".55 - gsmtp\",\"headers\":{\"X-Campaign\":\"autumn-%ld\"}}",
		e->id, e->queue_id, (unsigned long)n * 2654435761, n, n, n % 10);
	ok = event_db_add(db, e, json, names, NULL, why);
	g_free(json);
	event_free(e);
	return ok;
}

static bool
count(struct event_db *db, long n, char **why)
{
	static const struct tally tallies[] = {
		{"accepted", 1}, {"delivered", 1}, {"octets", 20000}};
	char *key = g_strdup_printf("pi/pool%ld/gmail/2026112013", n % 20);
	bool ok = event_db_tally(db, key, tallies, G_N_ELEMENTS(tallies), why);

	g_free(key);
	return ok;
}

static void
write_batch(struct event_db *db, long first)
{
	char *why = NULL;
	bool ok = event_db_begin(db, &why);

	for (long n = first; ok && n < first + opt.batch; n++) {
		ok = add_event(db, n, EVENT_ACCEPTED, &why) &&
		     add_event(db, n, EVENT_DELIVERED, &why) && count(db, n, &why);
		if (ok &&
		    (!save_flight(db, n, 0) ||
		     (n >= opt.batch && !save_flight(db, n - opt.batch, 1700000000000000 + n)))) {
			why = g_strdup(event_db_store_error(db));
			ok = false;
		}
	}
	if (!ok || !event_db_commit(db, &why))
		die("write", why);
}

/* The oldest go when there are too many. */
static void
prune(struct event_db *db, long written)
{
	int64_t ended = 1700000000000000 + MAX(0, written - opt.keep);
	guint n;
	char *why = NULL;
	static int64_t times[100000]; /* when each batch was written */
	static guint batches;
	guint old = (guint)(opt.keep / opt.batch);

	times[batches++ % G_N_ELEMENTS(times)] = g_get_real_time();
	if (batches <= old)
		return;
	if (!event_db_begin(db, &why) ||
	    !event_db_prune_flights(db, ended, 0, (guint)opt.batch * 2, &n, &why) ||
	    !event_db_prune_events(db, times[(batches - old) % G_N_ELEMENTS(times)],
				   (guint)opt.batch * 4, &n, &why) ||
	    !event_db_commit(db, &why))
		die("prune", why);
}

/* ---- delivering ---- */

static guint
deliver_some(struct event_db *db, const char *name)
{
	GPtrArray *rows;
	char *why = NULL;
	guint n;

	if (!event_db_waiting(db, name, TAKEN, OCTETS, &rows, &why))
		die("waiting", why);
	n = rows->len;
	if (n > 0 && (!event_db_begin(db, &why) || !event_db_delivered(db, name, rows, &why) ||
		      !event_db_commit(db, &why)))
		die("delivered", why);
	g_ptr_array_unref(rows);
	return n;
}

static void *
deliver(void *unused)
{
	struct event_db *db = open_db(EVENT_DB_WRITE);
	guint n;

	(void)unused;
	do {
		n = 0;
		for (guint i = 0; i < names->len; i++)
			n += deliver_some(db, names->pdata[i]);
		if (n == 0)
			g_usleep(20000);
	} while (n > 0 || !g_atomic_int_get(&done));
	event_db_close(db);
	deliver_cpu = clock_us(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

/* ---- figures ---- */

static void
time_queue(struct event_db *db)
{
	char *why = NULL;
	double begun = clock_us(CLOCK_MONOTONIC), asked, next;
	GPtrArray *all, *rows;
	guint64 waiting = 0, n = 0;

	if (!event_db_destinations(db, &all, &why))
		die("destinations", why);
	asked = clock_us(CLOCK_MONOTONIC);
	for (guint i = 0; i < all->len; i++)
		waiting += ((const struct event_destination *)all->pdata[i])->waiting;
	if (!event_db_waiting(db, names->pdata[0], TAKEN, OCTETS, &rows, &why))
		die("waiting", why);
	next = clock_us(CLOCK_MONOTONIC);
	if (!event_db_begin(db, &why) || !event_db_drop(db, NULL, false, &n, &why) ||
	    !event_db_commit(db, &why) || n != waiting)
		die("drop", why != NULL ? why : "not what waited");
	printf("{\"waiting\": %" G_GUINT64_FORMAT
	       ", \"destinations_us\": %.0f, \"next_500_us\": %.0f, \"drop_us\": %.0f}\n",
	       waiting, asked - begun, next - asked, clock_us(CLOCK_MONOTONIC) - next);
	g_ptr_array_unref(rows);
	g_ptr_array_unref(all);
}

static void
measure(void)
{
	struct event_db *db = open_db(EVENT_DB_CREATE);
	double begun = clock_us(CLOCK_MONOTONIC), slowest = 0, wal = 0, file = 0;
	pthread_t thread;

	if (opt.deliver && pthread_create(&thread, NULL, deliver, NULL) != 0)
		die("pthread_create", "failed");
	for (long n = 0; n < opt.messages; n += opt.batch) {
		double start = clock_us(CLOCK_MONOTONIC);

		write_batch(db, n);
		slowest = MAX(slowest, clock_us(CLOCK_MONOTONIC) - start);
		prune(db, n);
		wal = MAX(wal, file_mb(EVENT_DB_NAME "-wal"));
		file = MAX(file, file_mb(EVENT_DB_NAME));
	}
	g_atomic_int_set(&done, 1);
	printf("{\"messages\": %ld, \"batch\": %ld, \"destinations\": %ld, \"write_cpu_us\": %.2f, "
	       "\"wall_us\": %.2f, \"slowest_ms\": %.1f, \"file_mb\": %.1f, \"wal_mb\": %.1f",
	       opt.messages, opt.batch, opt.destinations,
	       clock_us(CLOCK_THREAD_CPUTIME_ID) / (double)opt.messages,
	       (clock_us(CLOCK_MONOTONIC) - begun) / (double)opt.messages, slowest / 1e3, file,
	       wal);
	if (opt.deliver) {
		pthread_join(thread, NULL);
		printf(", \"deliver_cpu_us\": %.2f", deliver_cpu / (double)opt.messages);
	}
	puts("}");
	time_queue(db);
	event_db_close(db);
}

static void
usage(void)
{
	fputs("usage: eventdbcost --directory DIR [--messages N] [--batch N] [--keep N]\n"
	      "              [--destinations N] [--deliver]\n"
	      "DIR is an empty one; prints JSON: us for a message\n",
	      stderr);
	exit(2);
}

static void
option_take(int option, const char *value)
{
	switch (option) {
	case 'd':
		opt.directory = value;
		break;
	case 'n':
		opt.messages = atol(value);
		break;
	case 'b':
		opt.batch = atol(value);
		break;
	case 'k':
		opt.keep = atol(value);
		break;
	case 't':
		opt.destinations = atol(value);
		break;
	case 'D':
		opt.deliver = true;
		break;
	default:
		usage();
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"directory", required_argument, NULL, 'd'},
		{"messages", required_argument, NULL, 'n'},
		{"batch", required_argument, NULL, 'b'},
		{"keep", required_argument, NULL, 'k'},
		{"destinations", required_argument, NULL, 't'},
		{"deliver", no_argument, NULL, 'D'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		option_take(option, optarg);
	if (optind != argc || opt.directory == NULL || opt.messages < 1 || opt.batch < 1 ||
	    opt.keep < opt.batch || opt.destinations < 1 || opt.destinations > DESTINATIONS_MAX)
		usage();
	names = g_ptr_array_new_with_free_func(g_free);
	for (long i = 0; i < opt.destinations; i++)
		g_ptr_array_add(names, g_strdup_printf("webhook/%ld", i));
	measure();
	g_ptr_array_unref(names);
	return 0;
}
