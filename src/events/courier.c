/*
 * courier - a thread that brings events to all destinations of one kind; see courier.h.
 *
 * One round: settle what came back, all in one transaction; look at the database, if it has
 * changed, for what waits where; send what is due; wait.  Lanes are taken in turn, so that none
 * starves, and those whose last batch failed get half of the room at most: many dead receivers
 * that time out do not hold up the others.
 *
 * When the database fails, nothing is taken, and what came back is kept until it can be settled: an
 * event that was delivered is not sent again for that.
 *
 * Everything but what stands under the lock is the thread's own.
 */
#include "events/courier_private.h"

#include "base/log.h"
#include "base/thread.h"
#include "core/event_route.h"

#include <time.h>

#define AGAIN G_USEC_PER_SEC /* after the database has failed */

/* ---- the database ---- */

void
courier_trouble(struct courier *c, char *why)
{
	static struct log_limit limit;

	log_limited(&limit, LOG_ERR, "error: events: %s", why);
	g_free(why);
	c->db_after = g_get_monotonic_time() + AGAIN;
}

bool
courier_db_ready(struct courier *c)
{
	char *why = NULL;

	if (g_get_monotonic_time() < c->db_after)
		return false;
	if (c->db == NULL)
		c->db = event_db_open(c->state_dir, EVENT_DB_WRITE, &why);
	if (c->db == NULL)
		courier_trouble(c, why);
	return c->db != NULL;
}

/* ---- settings ---- */

static void
add_lane(void *courier, const char *name, guint batch, int64_t patience, const void *target)
{
	struct courier *c = courier;
	struct lane *l = g_hash_table_lookup(c->by_name, name);

	if (l == NULL) {
		l = lane_new(name);
		g_ptr_array_add(c->lanes, l);
		g_hash_table_insert(c->by_name, l->name, l);
	}
	lane_set(l, batch, patience, target);
}

/*
 * Drops lanes that are not in the settings any more, but for those that have something to settle.
 */
static void
drop_lanes(struct courier *c)
{
	for (guint i = c->lanes->len; i-- > 0;) {
		struct lane *l = c->lanes->pdata[i];

		if (l->gone && l->state == LANE_IDLE) {
			g_hash_table_remove(c->by_name, l->name);
			g_ptr_array_remove_index(c->lanes, i);
		}
	}
}

static void
take_settings(struct courier *c, struct settings *s)
{
	GPtrArray *names;

	for (guint i = 0; i < c->lanes->len; i++)
		((struct lane *)c->lanes->pdata[i])->gone = true;
	c->carrier->take(c->context, s, add_lane, c);
	drop_lanes(c);
	settings_unref(c->settings);
	c->settings = s;
	c->must_look = true;
	c->tell_strangers = true;
	c->look_after = 0;
	c->expire_at = 0;
	g_hash_table_remove_all(c->configured);
	if (!c->sweeps)
		return;
	names = event_route_all(s);
	for (guint i = 0; i < names->len; i++)
		g_hash_table_add(c->configured, g_strdup(names->pdata[i]));
	g_ptr_array_unref(names);
}

/* ---- settling ---- */

static bool
settle_all(struct courier *c, char **why)
{
	bool ok = event_db_begin(c->db, why);

	for (guint i = 0; ok && i < c->lanes->len; i++) {
		const struct lane *l = c->lanes->pdata[i];

		if (l->state == LANE_RETURNED)
			ok = lane_settle(l, c->db, why);
	}
	ok = ok && event_db_commit(c->db, why);
	if (!ok)
		event_db_rollback(c->db);
	return ok;
}

static guint
count(const struct courier *c, enum lane_state state)
{
	guint n = 0;

	for (guint i = 0; i < c->lanes->len; i++)
		n += ((const struct lane *)c->lanes->pdata[i])->state == state;
	return n;
}

static void
settle(struct courier *c)
{
	char *why = NULL;

	if (count(c, LANE_RETURNED) == 0 || !courier_db_ready(c))
		return;
	if (!settle_all(c, &why)) {
		courier_trouble(c, why);
		return;
	}
	for (guint i = 0; i < c->lanes->len; i++) {
		struct lane *l = c->lanes->pdata[i];

		if (l->state == LANE_RETURNED)
			lane_settled(l);
	}
	drop_lanes(c);
}

/* ---- sending ---- */

/* The failure's reason is known to be gone: no lane waits any longer. */
static void
hurry(struct courier *c)
{
	if (c->carrier->recovered == NULL || !c->carrier->recovered(c->context))
		return;
	for (guint i = 0; i < c->lanes->len; i++)
		lane_hurry(c->lanes->pdata[i]);
}

/* Batches that are under way. */
struct load {
	guint all;
	guint failing; /* of lanes whose last batch failed */
};

static void
add_load(struct load *load, const struct lane *l)
{
	if (l->state != LANE_SENDING)
		return;
	load->all++;
	load->failing += l->failures > 0;
}

static struct load
load_of(const struct courier *c)
{
	struct load load = {0, 0};

	for (guint i = 0; i < c->lanes->len; i++)
		add_load(&load, c->lanes->pdata[i]);
	return load;
}

static bool
has_room(const struct courier *c, const struct load *load, const struct lane *l)
{
	guint room = c->carrier->room;

	return load->all < room && (l->failures == 0 || load->failing < (room + 1) / 2);
}

/* Sends a lane's next batch, if there is one; false if the database fails. */
static bool
send_lane(struct courier *c, struct lane *l)
{
	struct delivery d;
	char *why = NULL;

	if (!lane_take(l, c->db, &why)) {
		courier_trouble(c, why);
		return false;
	}
	if (l->state == LANE_SENDING && c->carrier->send(c->context, l, &d))
		lane_return(l, &d);
	return true;
}

static void
send_all(struct courier *c)
{
	struct load load = load_of(c);
	guint n = c->lanes->len, begin = c->turn;

	for (guint i = 0; i < n; i++) {
		guint at = (begin + i) % n;
		struct lane *l = c->lanes->pdata[at];

		if (lane_due(l) > g_get_monotonic_time() || !has_room(c, &load, l))
			continue;
		if (!send_lane(c, l))
			return;
		add_load(&load, l);
		c->turn = at + 1;
	}
}

/* ---- the thread ---- */

/* When the next round is to be if nothing happens before. */
static gint64
next_round(const struct courier *c)
{
	gint64 now = g_get_monotonic_time(), next = now + COURIER_REST;
	struct load load = load_of(c);

	if (now < c->db_after)
		return MIN(c->db_after, next);
	if (c->stop_at != 0)
		return MIN(c->stop_at, next);
	if (c->must_look)
		next = MIN(c->look_after, next);
	for (guint i = 0; i < c->lanes->len; i++) {
		const struct lane *l = c->lanes->pdata[i];

		if (l->state == LANE_IDLE && has_room(c, &load, l))
			next = MIN(lane_due(l), next);
	}
	return next;
}

static void
wait_for_change(struct courier *c, gint64 until)
{
	struct timespec t = {until / G_USEC_PER_SEC, until % G_USEC_PER_SEC * 1000};

	pthread_mutex_lock(&c->lock);
	if (!c->woken)
		pthread_cond_timedwait(&c->changed, &c->lock, &t);
	pthread_mutex_unlock(&c->lock);
}

static void
rest(struct courier *c)
{
	gint64 until = next_round(c), left = until - g_get_monotonic_time();

	if (c->carrier->wait != NULL)
		c->carrier->wait(c->context, MAX(left, 0));
	else if (left > 0)
		wait_for_change(c, until);
}

/* Takes what others want; false: it is time to end. */
static bool
go_on(struct courier *c)
{
	struct settings *s;
	bool stopping;

	pthread_mutex_lock(&c->lock);
	s = g_steal_pointer(&c->next);
	stopping = c->stopping;
	c->must_look = c->must_look || c->woken;
	c->woken = false;
	pthread_mutex_unlock(&c->lock);
	if (s != NULL)
		take_settings(c, s);
	if (!stopping)
		return true;
	if (c->stop_at == 0)
		c->stop_at = g_get_monotonic_time() + COURIER_GRACE;
	return count(c, LANE_SENDING) > 0 && g_get_monotonic_time() < c->stop_at;
}

static void *
run(void *courier)
{
	struct courier *c = courier;

	while (go_on(c)) {
		settle(c);
		if (c->stop_at == 0) {
			courier_look(c);
			hurry(c);
			if (courier_db_ready(c))
				send_all(c);
			settle(c);
		}
		rest(c);
	}
	settle(c);
	return NULL;
}

/* ---- life ---- */

static void
init_lock(struct courier *c)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* g_get_monotonic_time()'s */
	pthread_cond_init(&c->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void
destroy(struct courier *c)
{
	c->carrier->free(c->context); /* what is under way ends first: it knows lanes */
	event_db_close(c->db);
	g_hash_table_destroy(c->configured);
	g_hash_table_destroy(c->by_name);
	g_ptr_array_unref(c->lanes);
	settings_unref(c->settings);
	settings_unref(c->next);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	g_free(c->state_dir);
	g_free(c);
}

struct courier *
courier_new(const struct carrier *carrier, void *context, struct settings *s, bool sweeps,
	    char **why)
{
	struct courier *c = g_new0(struct courier, 1);
	int error;

	c->carrier = carrier;
	c->context = context;
	c->state_dir = g_strdup(s->state_dir);
	c->sweeps = sweeps;
	c->next = settings_ref(s);
	c->lanes = g_ptr_array_new_with_free_func(lane_free);
	c->by_name = g_hash_table_new(g_str_hash, g_str_equal);
	c->configured = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	init_lock(c);
	error = thread_start(&c->thread, run, c);
	if (error == 0)
		return c;
	*why = g_strdup_printf("pthread_create: %s", g_strerror(error));
	destroy(c);
	return NULL;
}

/* Makes the thread see what others want: settings, if not NULL, or to end. */
static void
wake(struct courier *c, struct settings *s, bool stop)
{
	pthread_mutex_lock(&c->lock);
	if (s != NULL) {
		settings_unref(c->next);
		c->next = settings_ref(s);
	}
	c->stopping = c->stopping || stop;
	c->woken = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (c->carrier->wake != NULL)
		c->carrier->wake(c->context);
}

void
courier_change(struct courier *c, struct settings *s)
{
	wake(c, s, false);
}

void
courier_wake(struct courier *c)
{
	wake(c, NULL, false);
}

void
courier_stop(struct courier *c)
{
	wake(c, NULL, true);
}

void
courier_free(struct courier *c)
{
	courier_stop(c);
	pthread_join(c->thread, NULL);
	destroy(c);
}
