/*
 * courier_look - what waits where, and what has waited for too long; see courier_private.h.
 *
 * The database is asked for all destinations at once, when somebody has committed something, and
 * from time to time for events that are older than max_age.  A courier buries those of its own
 * lanes that have nothing under way; one courier of all those of destinations that are not
 * configured.
 */
#include "events/courier_private.h"

#include "base/log.h"

#define EXPIRY_MIN G_USEC_PER_SEC
#define EXPIRY_MAX (60 * G_USEC_PER_SEC)

/* ---- what is too old ---- */

static bool
bury_older(struct courier *c, const char *name, int64_t before, guint *n, char **why)
{
	bool ok = event_db_begin(c->db, why) && event_db_bury_older(c->db, name, before, n, why) &&
		  event_db_commit(c->db, why);

	if (!ok)
		event_db_rollback(c->db);
	return ok;
}

/* False if the database fails: the next one would only wait for it as long. */
static bool
expire(struct courier *c, const struct event_destination *d, int64_t before)
{
	char *why = NULL;
	guint n = 0;

	c->must_look = true;
	if (!bury_older(c, d->name, before, &n, &why)) {
		courier_trouble(c, why);
		return false;
	}
	if (n > 0)
		log_line(LOG_WARNING, "warning: events: %s: %u events are dead, older than max_age",
			 d->name, n);
	return true;
}

/* True if what waits there is for this courier to bury, and nothing of it is under way. */
static bool
may_expire(const struct courier *c, const struct event_destination *d)
{
	const struct lane *l = g_hash_table_lookup(c->by_name, d->name);

	if (l != NULL)
		return l->state == LANE_IDLE;
	return c->sweeps && !g_hash_table_contains(c->configured, d->name);
}

static void
expire_all(struct courier *c, const GPtrArray *destinations)
{
	int64_t max_age = c->settings->events.max_age * G_USEC_PER_SEC;
	int64_t before = g_get_real_time() - max_age;

	for (guint i = 0; i < destinations->len; i++) {
		const struct event_destination *d = destinations->pdata[i];

		if (d->oldest != 0 && d->oldest < before && may_expire(c, d) &&
		    !expire(c, d, before))
			return;
	}
	c->expire_at = g_get_monotonic_time() + CLAMP(max_age / 10, EXPIRY_MIN, EXPIRY_MAX);
}

/* ---- what waits ---- */

/* Says once what waits for nobody. */
static void
tell_stranger(const struct courier *c, const struct event_destination *d)
{
	if (d->waiting > 0 && c->sweeps && !g_hash_table_contains(c->configured, d->name))
		log_line(LOG_WARNING,
			 "warning: events: %llu events wait for %s, which is not configured, until "
			 "they are older than max_age",
			 (unsigned long long)d->waiting, d->name);
}

static void
look_at_all(struct courier *c, const GPtrArray *destinations)
{
	for (guint i = 0; i < destinations->len; i++) {
		const struct event_destination *d = destinations->pdata[i];
		struct lane *l = g_hash_table_lookup(c->by_name, d->name);

		if (l != NULL)
			lane_look(l, d);
		else if (c->tell_strangers)
			tell_stranger(c, d);
	}
	c->tell_strangers = false;
}

/* True if it may be worth to ask what waits where. */
static bool
has_news(struct courier *c, gint64 now)
{
	int64_t before = c->changes;
	char *why = NULL;

	if (now < c->look_after)
		return false;
	if (!event_db_changes(c->db, &c->changes, &why)) {
		courier_trouble(c, why);
		return false;
	}
	return c->changes != before || c->must_look || now >= c->expire_at;
}

void
courier_look(struct courier *c)
{
	gint64 now = g_get_monotonic_time();
	GPtrArray *destinations;
	char *why = NULL;

	if (!courier_db_ready(c) || !has_news(c, now))
		return;
	c->look_after = now + COURIER_SCAN;
	c->must_look = false;
	if (!event_db_destinations(c->db, &destinations, &why)) {
		c->must_look = true;
		courier_trouble(c, why);
		return;
	}
	look_at_all(c, destinations);
	if (now >= c->expire_at)
		expire_all(c, destinations);
	g_ptr_array_unref(destinations);
}
