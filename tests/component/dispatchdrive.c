/*
 * dispatchdrive - the dispatcher of events under the hands of test_webhooks.py.
 *
 *	dispatchdrive CONFIG
 *
 * Makes the events' database in state_dir and starts the dispatcher.  Obeys lines on standard
 * input; each is answered by lines, the last of which begins with a dot.  Log lines go to
 * standard error.
 *
 *	add DESTINATION,... FIRST COUNT OCTETS	events numbered from FIRST in one transaction: their
 *						queue_id is Q and the number, their type and pool
 *						change with it, their reply has so many octets:
 *						. ok|error WHY
 *	queue		NAME WAITING DEAD FAILURES MS_UNTIL_NEXT_TRY ERROR ..., then . ok|error WHY
 *	dead		NAME ID REASON ..., then . ok|error WHY
 *	retry [NAME]	. ok NUMBER|error WHY
 *	reload		. ok|error WHY
 *	end		ends the dispatcher: . ok MS
 */
#include "base/log.h"
#include "events/dispatcher.h"
#include "io/conf_file.h"
#include "io/event_db.h"
#include "io/event_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *config;
static struct event_db *db;
static struct dispatcher *dispatcher;

static struct settings *
load(void)
{
	struct errors *errors = errors_new();
	struct settings *s = conf_file_load(config, CONF_FILE_SECRET, errors);

	for (guint i = 0; i < errors->errors->len; i++)
		fprintf(stderr, "%s\n", (char *)errors->errors->pdata[i]);
	errors_free(errors);
	return s;
}

/* Prints how a command ended; frees why. */
static void
done(bool ok, char *why)
{
	printf(". %s %s\n", ok ? "ok" : "error", why != NULL ? why : "");
	g_free(why);
}

/* ---- commands ---- */

static struct event *
make_event(int number, int octets)
{
	struct event *e =
		event_new(number % 2 == 0 ? EVENT_DELIVERED : EVENT_DEFERRED, EVENT_FROM_LOG);

	e->time = g_get_real_time();
	e->node = g_strdup("node-1");
	e->queue_id = g_strdup_printf("Q%d", number);
	e->pool = g_strdup(number % 3 == 0 ? "acme" : "bolt");
	e->recipient = g_strdup("to@example.net");
	e->reply = g_strnfill((gsize)octets, 'r');
	event_identify(e, 0);
	return e;
}

static bool
add_event(const GPtrArray *destinations, int number, int octets, char **why)
{
	struct event *e = make_event(number, octets);
	char *json = event_json(e);
	bool ok = event_db_add(db, e, json, destinations, NULL, why);

	g_free(json);
	event_free(e);
	return ok;
}

static void
do_add(char **words)
{
	GPtrArray *destinations = g_ptr_array_new();
	char **names = g_strsplit(words[0], ",", 0), *why = NULL;
	int first = atoi(words[1]), n = atoi(words[2]);
	bool ok = event_db_begin(db, &why);

	for (char **name = names; *name != NULL; name++)
		g_ptr_array_add(destinations, *name);
	for (int i = first; ok && i < first + n; i++)
		ok = add_event(destinations, i, atoi(words[3]), &why);
	ok = ok && event_db_commit(db, &why);
	if (!ok)
		event_db_rollback(db);
	else if (dispatcher != NULL)
		dispatcher_wake(dispatcher);
	done(ok, why);
	g_ptr_array_free(destinations, TRUE);
	g_strfreev(names);
}

static void
do_queue(void)
{
	GPtrArray *all;
	char *why = NULL;
	bool ok = event_db_destinations(db, &all, &why);

	for (guint i = 0; ok && i < all->len; i++) {
		const struct event_destination *d = all->pdata[i];
		int64_t left = d->next_try != 0 ? d->next_try - g_get_real_time() : 0;

		printf("%s %llu %llu %u %lld %s\n", d->name, (unsigned long long)d->waiting,
		       (unsigned long long)d->dead, d->failures, (long long)left / 1000,
		       d->error != NULL ? d->error : "");
	}
	if (ok)
		g_ptr_array_unref(all);
	done(ok, why);
}

static bool
print_dead(const struct event_row *row, const char *destination, const char *reason, void *context)
{
	(void)context;
	printf("%s %s %s\n", destination, row->id, reason);
	return true;
}

static void
do_retry(const char *name)
{
	char *why = NULL;
	guint64 n = 0;
	bool ok = event_db_begin(db, &why) && event_db_retry(db, name, false, &n, &why) &&
		  event_db_commit(db, &why);

	if (!ok)
		event_db_rollback(db);
	done(ok, ok ? g_strdup_printf("%llu", (unsigned long long)n) : why);
}

static void
do_reload(void)
{
	struct settings *s = load();

	if (s != NULL)
		dispatcher_change(dispatcher, s);
	settings_unref(s);
	done(s != NULL, NULL);
}

static void
do_end(void)
{
	gint64 begin = g_get_monotonic_time();

	dispatcher_free(dispatcher);
	dispatcher = NULL;
	done(true, g_strdup_printf("%lld", (long long)(g_get_monotonic_time() - begin) / 1000));
}

static void
obey(char **words)
{
	guint n = g_strv_length(words);
	char *why = NULL;
	bool ok;

	if (n == 5 && strcmp(words[0], "add") == 0) {
		do_add(words + 1);
	} else if (n == 1 && strcmp(words[0], "queue") == 0) {
		do_queue();
	} else if (n == 1 && strcmp(words[0], "dead") == 0) {
		ok = event_db_dead(db, NULL, print_dead, NULL, &why);
		done(ok, why);
	} else if (n <= 2 && strcmp(words[0], "retry") == 0) {
		do_retry(words[1]);
	} else if (n == 1 && strcmp(words[0], "reload") == 0) {
		do_reload();
	} else if (n == 1 && strcmp(words[0], "end") == 0) {
		do_end();
	} else {
		done(false, g_strdup("unknown command"));
	}
	fflush(stdout);
}

static bool
start(void)
{
	struct settings *s = load();
	char *why = NULL;

	if (s == NULL)
		return false;
	db = event_db_open(s->state_dir, EVENT_DB_CREATE, &why);
	if (db != NULL)
		dispatcher = dispatcher_new(s, &why);
	settings_unref(s);
	if (dispatcher == NULL)
		fprintf(stderr, "%s\n", why);
	g_free(why);
	return dispatcher != NULL;
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;

	if (argc != 2)
		return 2;
	config = argv[1];
	if (!start())
		return 1;
	while (getline(&line, &size, stdin) > 0) {
		char **words = g_strsplit(g_strchomp(line), " ", 0);

		obey(words);
		g_strfreev(words);
	}
	free(line);
	dispatcher_free(dispatcher);
	event_db_close(db);
	return 0;
}
