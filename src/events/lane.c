/*
 * lane - one destination of events; see lane.h.
 *
 * Waits are measured with the monotonic clock; the times of the database are for people and other
 * processes.  A clock that was set back makes an event look as if it came from the future: it is
 * not waited for then.
 *
 * A lane that was made smaller by a refusal grows again after GROW_AFTER batches that were taken.
 * Burying an event does not end the row of failures: where each event is refused, as by a receiver
 * that is not one, only one is buried in as much time as the back-off has grown to.
 */
#include "events/lane.h"

#include "base/log.h"
#include "core/backoff.h"

#define GROW_AFTER 8

struct lane *
lane_new(const char *name)
{
	struct lane *l = g_new0(struct lane, 1);

	l->name = g_strdup(name);
	return l;
}

void
lane_free(void *lane)
{
	struct lane *l = lane;

	g_clear_pointer(&l->rows, g_ptr_array_unref);
	g_free(l->error);
	g_free(l->name);
	g_free(l);
}

void
lane_hurry(struct lane *l)
{
	l->wait_until = 0;
}

void
lane_set(struct lane *l, guint batch, int64_t patience, const void *target)
{
	l->limit = l->limit == 0 || l->limit == l->batch ? batch : MIN(l->limit, batch);
	l->batch = batch;
	l->patience = patience;
	l->target = target;
	l->gone = false;
	lane_hurry(l);
}

/* ---- what waits ---- */

/* How it did when the process ended. */
static void
remember(struct lane *l, const struct event_destination *d)
{
	l->known = true;
	l->failures = d->failures;
	l->down_since = g_get_monotonic_time();
	l->error = g_strdup(d->error);
}

void
lane_look(struct lane *l, const struct event_destination *d)
{
	if (!l->known)
		remember(l, d);
	l->backlog = d->waiting;
	if (l->state != LANE_IDLE)
		return;
	l->waiting = d->waiting;
	l->oldest = d->oldest;
	if (l->next_try != 0 && d->next_try == 0) /* poolctl events retry */
		lane_hurry(l);
}

/* Microseconds until a batch that is not full has waited long enough. */
static int64_t
patience_left(const struct lane *l)
{
	int64_t age = g_get_real_time() - l->oldest;

	if (l->oldest == 0 || l->waiting >= l->limit || age < 0)
		return 0;
	return MAX(l->patience - age, 0);
}

gint64
lane_due(const struct lane *l)
{
	if (l->state != LANE_IDLE || l->gone || l->waiting == 0)
		return G_MAXINT64;
	return MAX(g_get_monotonic_time() + patience_left(l), l->wait_until);
}

/* True if no more fits into the batch. */
static bool
is_full(const struct lane *l)
{
	size_t octets = 0;

	for (guint i = 0; i < l->rows->len; i++)
		octets += strlen(((const struct event_row *)l->rows->pdata[i])->json);
	return l->rows->len >= l->limit || octets >= LANE_OCTETS_MAX / 2;
}

bool
lane_take(struct lane *l, struct event_db *db, char **why)
{
	if (!event_db_waiting(db, l->name, l->limit, LANE_OCTETS_MAX, &l->rows, why)) {
		l->rows = NULL;
		return false;
	}
	l->waiting = l->rows->len;
	l->oldest = l->waiting > 0 ? ((const struct event_row *)l->rows->pdata[0])->time : 0;
	if (l->waiting > 0 && (is_full(l) || patience_left(l) == 0))
		l->state = LANE_SENDING;
	else
		g_clear_pointer(&l->rows, g_ptr_array_unref);
	return true;
}

/* ---- how it went ---- */

static const struct event_row *
first(const struct lane *l)
{
	return l->rows->pdata[0];
}

static void
fail(struct lane *l, const struct delivery *d)
{
	int64_t wait = backoff_wait(++l->failures, d->retry_after, g_random_int());

	l->note = true;
	l->wait_until = g_get_monotonic_time() + wait;
	l->next_try = g_get_real_time() + wait;
	g_free(l->error);
	l->error = g_strdup(d->why);
	if (l->failures > 1)
		return;
	l->down_since = g_get_monotonic_time();
	log_line(LOG_WARNING, "warning: events: %s: down: %s", l->name, d->why);
}

/* The event is the only one of its batch. */
static void
refuse_event(struct lane *l, const struct delivery *d)
{
	l->refusals = l->refused_seq == first(l)->seq ? l->refusals + 1 : 1;
	l->refused_seq = first(l)->seq;
	fail(l, d);
	if (l->refusals < LANE_REFUSALS_MAX)
		return;
	log_line(LOG_WARNING, "warning: events: %s: event %s was refused %d times and is dead: %s",
		 l->name, first(l)->id, LANE_REFUSALS_MAX, d->why);
	l->fate = LANE_BURY;
	l->next_try = 0;
	lane_hurry(l);
}

static void
refuse(struct lane *l, const struct delivery *d)
{
	if (l->rows->len == 1) {
		refuse_event(l, d);
		return;
	}
	if (l->limit == l->batch)
		log_line(LOG_NOTICE, "events: %s: %u at a time were refused, fewer are sent: %s",
			 l->name, l->rows->len, d->why);
	l->limit = l->rows->len / 2;
	l->streak = 0;
}

static void
deliver(struct lane *l)
{
	l->fate = LANE_DELIVERED;
	l->next_try = 0;
	l->note = l->failures > 0;
	if (l->limit < l->batch && ++l->streak >= GROW_AFTER) {
		l->limit = MIN(2 * l->limit, l->batch);
		l->streak = 0;
	}
}

void
lane_return(struct lane *l, const struct delivery *d)
{
	l->state = LANE_RETURNED;
	l->fate = LANE_KEEP;
	switch (d->result) {
	case DELIVERY_DONE:
		deliver(l);
		break;
	case DELIVERY_FAILED:
		fail(l, d);
		break;
	case DELIVERY_REFUSED:
		refuse(l, d);
		break;
	}
	g_free(d->why);
}

bool
lane_settle(const struct lane *l, struct event_db *db, char **why)
{
	struct event_destination d = {.name = l->name};

	if (l->fate != LANE_DELIVERED) {
		d.failures = l->failures;
		d.next_try = l->next_try;
		d.error = l->error;
	}
	if (l->note && !event_db_note(db, &d, why))
		return false;
	switch (l->fate) {
	case LANE_DELIVERED:
		return event_db_delivered(db, l->name, l->rows, why);
	case LANE_BURY:
		return event_db_bury(db, l->name, l->rows, l->error, why);
	case LANE_KEEP:
		break;
	}
	return true;
}

void
lane_settled(struct lane *l)
{
	if (l->fate == LANE_DELIVERED && l->failures > 0) {
		log_line(LOG_NOTICE,
			 "events: %s: up again after %.1f s and %u failures, %llu events waited",
			 l->name, (double)(g_get_monotonic_time() - l->down_since) / G_USEC_PER_SEC,
			 l->failures, (unsigned long long)l->backlog);
		l->failures = 0;
		g_clear_pointer(&l->error, g_free);
	}
	l->state = LANE_IDLE;
	l->note = false;
	l->waiting = 1; /* what came meanwhile is not known */
	l->oldest = 0;
	g_clear_pointer(&l->rows, g_ptr_array_unref);
}
