/*
 * upkeep - keeps the database of events from growing for ever; see upkeep.h.
 *
 * Each step is a transaction of its own, short enough for others who write.
 */
#include "events/upkeep.h"
#include "base/log.h"

#define STEP_ROWS 2000

/* Takes a step of each kind; *more: there may be more to delete. */
static bool
step(struct event_db *db, const struct settings *s, int64_t now, bool *more, char **why)
{
	int64_t keep = now - s->events.keep * G_USEC_PER_SEC;
	int64_t history = now - s->events.history * G_USEC_PER_SEC;
	int64_t oldest = MIN(history, now - (int64_t)UPKEEP_FLIGHT_SECONDS * G_USEC_PER_SEC);
	guint events = 0, flights = 0;
	bool ok = event_db_begin(db, why) &&
		  event_db_prune_events(db, keep, STEP_ROWS, &events, why) &&
		  event_db_prune_flights(db, history, oldest, STEP_ROWS, &flights, why) &&
		  event_db_commit(db, why);

	if (!ok)
		event_db_rollback(db);
	*more = events > 0 || flights > 0;
	return ok;
}

void
upkeep_run(struct event_db *db, const struct settings *s)
{
	static struct log_limit often;
	gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC;
	char *why = NULL;
	bool more = true;

	while (more && g_get_monotonic_time() < end)
		if (!step(db, s, g_get_real_time(), &more, &why))
			break;
	if (why != NULL)
		log_limited(&often, LOG_WARNING, "warning: old events are not deleted: %s", why);
	g_free(why);
}
