/*
 * eventdbadd - adds events to the database of a directory, making it if need be, for
 * test_event_db.py.
 *
 *	eventdbadd DIRECTORY DESTINATION,... <events
 *
 * Each line of events is a pool's name, "-" for none, a blank, and JSON.  Says "ok" when it is
 * committed.
 */
#include "io/event_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_OCTETS 100000

static void
check(bool ok, const char *why)
{
	if (ok)
		return;
	fprintf(stderr, "eventdbadd: %s\n", why);
	exit(1);
}

static void
add(struct event_db *db, char *line, const GPtrArray *destinations)
{
	static unsigned n;
	struct event *e = event_new(EVENT_DELIVERED, EVENT_FROM_LOG);
	char *json = strchr(line, ' '), *why = NULL;

	check(json != NULL, "no blank in a line");
	*json++ = '\0';
	json[strcspn(json, "\n")] = '\0';
	e->time = g_get_real_time();
	e->pool = strcmp(line, "-") == 0 ? NULL : g_strdup(line);
	event_identify(e, n++);
	check(event_db_begin(db, &why) && event_db_add(db, e, json, destinations, NULL, &why) &&
		      event_db_commit(db, &why),
	      why);
	event_free(e);
	puts("ok");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char *why = NULL, *line = g_malloc(LINE_MAX_OCTETS), **names;
	GPtrArray *destinations = g_ptr_array_new();
	struct event_db *db;

	check(argc == 3, "expected a directory and destinations");
	names = g_strsplit(argv[2], ",", 0);
	for (guint i = 0; names[i] != NULL; i++)
		g_ptr_array_add(destinations, names[i]);
	db = event_db_open(argv[1], EVENT_DB_CREATE, &why);
	check(db != NULL, why);
	while (fgets(line, LINE_MAX_OCTETS, stdin) != NULL)
		add(db, line, destinations);
	event_db_close(db);
	g_ptr_array_unref(destinations);
	g_strfreev(names);
	g_free(line);
	return 0;
}
