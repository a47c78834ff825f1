/*
 * joiner_links - what waits: flights for a pool, deliveries for being no hop; see joiner.h.
 *
 * A flight that has to be looked at again is entered with the time.  A flight without a pool of its
 * own may be another one that was injected again; it is asked for JOINER_SKEW after it is in the
 * queue, when its own line of poolmilter would have been read, and then after twice as long each
 * time, until its grace is over.  The message that it belongs to must be the only one: one that is
 * wrong would have events of somebody else's mail.
 */
#include "core/joiner_private.h"

#include <string.h>

#define LOOK_BACK \
	((int64_t)30 * 24 * 3600 * G_USEC_PER_SEC) /* for a message that is still in the queue */
#define CANDIDATES_MAX 100

struct wait {
	int64_t due;
	GSequenceIter *place;
	char queue_id[];
};

/* ---- who waits ---- */

static int
by_due(gconstpointer a, gconstpointer b, gpointer context)
{
	const struct wait *one = a, *other = b;

	(void)context;
	return one->due < other->due ? -1 : one->due > other->due;
}

void
joiner_waits_init(struct joiner *j)
{
	j->waits = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
	j->by_due = g_sequence_new(NULL);
}

void
joiner_waits_free(struct joiner *j)
{
	g_sequence_free(j->by_due);
	g_hash_table_destroy(j->waits);
}

void
joiner_wait_no_more(struct joiner *j, const char *queue_id)
{
	struct wait *w = g_hash_table_lookup(j->waits, queue_id);

	if (w == NULL)
		return;
	g_sequence_remove(w->place);
	g_hash_table_remove(j->waits, queue_id);
}

void
joiner_wait(struct joiner *j, const char *queue_id, int64_t due)
{
	struct wait *w = g_hash_table_lookup(j->waits, queue_id);
	size_t size = strlen(queue_id) + 1;

	if (due == INT64_MAX)
		return;
	if (w == NULL) {
		w = g_malloc(sizeof *w + size);
		memcpy(w->queue_id, queue_id, size);
		w->due = due;
		w->place = g_sequence_insert_sorted(j->by_due, w, by_due, NULL);
		g_hash_table_insert(j->waits, w->queue_id, w);
	} else if (due < w->due) {
		w->due = due;
		g_sequence_sort_changed(w->place, by_due, NULL);
	}
}

bool
joiner_long_gone(const struct flight *f, int64_t now)
{
	int64_t since = MAX(f->ended, f->removed);

	return since != 0 && now - since > JOINER_GRACE;
}

bool
joiner_overdue(const struct flight *f, int64_t now)
{
	if (f->pool != NULL)
		return false;
	return now >= (f->complete != 0 ? f->complete + JOINER_GRACE : f->born + JOINER_COMING);
}

/* ---- a message injected again ---- */

bool
joiner_may_be_another(const struct flight *f)
{
	return f->pool == NULL && f->complete != 0 &&
	       (f->parent != NULL || (f->local && !f->unrelated && f->message_id != NULL));
}

/* Could it be what the other one was injected again as? */
static bool
precedes(const struct flight *before, const struct flight *f)
{
	return before->pool != NULL && before->ended == 0 && before->born <= f->born &&
	       g_strcmp0(before->message_id, f->message_id) == 0;
}

/* Of all with its Message-ID, the one series that it can belong to; NULL: none, or more than one:
   then one that is left when the others are gone is not it either. */
static struct flight *
only_one(struct joiner *j, struct slot *s, const GPtrArray *queue_ids)
{
	struct flight *found = NULL;

	for (guint i = 0; i < queue_ids->len; i++) {
		struct slot *other = joiner_find(j, queue_ids->pdata[i]);

		if (other == NULL || other == s || !precedes(other->f, s->f))
			continue;
		if (found != NULL && strcmp(flight_series(found), flight_series(other->f)) != 0) {
			s->f->unrelated = true;
			return NULL;
		}
		if (found == NULL || other->f->parent == NULL)
			found = other->f;
	}
	return found;
}

static struct flight *
by_message_id(struct joiner *j, struct slot *s)
{
	GPtrArray *queue_ids = g_ptr_array_new_with_free_func(g_free);
	struct flight *found = NULL;

	joiner_save(j);
	if (!j->failed)
		j->failed = !j->store.find(j->store.context, s->f->message_id,
					   s->f->born - LOOK_BACK, CANDIDATES_MAX, queue_ids);
	if (!j->failed && queue_ids->len < CANDIDATES_MAX)
		found = only_one(j, s, queue_ids);
	g_ptr_array_unref(queue_ids);
	return found;
}

/* The one that named it; not another one that has its queue ID by now. */
static struct flight *
by_name(struct joiner *j, const struct flight *f)
{
	struct slot *s = joiner_find(j, f->parent);

	return s != NULL && s->f->pool != NULL && s->f->born == f->parent_born ? s->f : NULL;
}

static void look_at_hops(struct joiner *j, struct slot *s, int64_t now);

/* What it handed to this host was itself. */
static void
note_relayed(struct joiner *j, const char *queue_id, int64_t now)
{
	struct slot *s = joiner_find(j, queue_id);

	if (s == NULL || s->f->ended != 0 || s->f->relayed)
		return;
	s->f->relayed = true;
	joiner_touch(j, s);
	if (s->f->hops != NULL)
		look_at_hops(j, s, now);
}

static void
try_link(struct joiner *j, struct slot *s, int64_t now)
{
	bool named = s->f->parent != NULL;
	struct flight *from = named ? by_name(j, s->f) : by_message_id(j, s);
	char *queue_id;

	if (from == NULL)
		return;
	queue_id = g_strdup(from->queue_id);
	flight_inherit(s->f, from);
	joiner_touch(j, s);
	joiner_tell_pending(j, s);
	if (!named)
		note_relayed(j, queue_id, now);
	g_free(queue_id);
}

/* ---- hops ---- */

/* True if this queue has the message under another queue ID; then that one is told whose it is. */
static bool
known_as(struct joiner *j, const struct flight *f, const char *next_id, int64_t now)
{
	struct slot *next = joiner_find(j, next_id);

	if (next == NULL || next->f == f || next->f->born < f->born ||
	    (next->f->client && !next->f->local) || joiner_overdue(next->f, now) ||
	    joiner_long_gone(next->f, now) || g_strcmp0(next->f->message_id, f->message_id) != 0)
		return false;
	if (next->f->pool == NULL && next->f->parent == NULL) {
		next->f->parent = g_strdup(f->queue_id);
		next->f->parent_born = f->born;
		if (next->f->complete == 0)
			next->f->complete = now;
		joiner_touch(j, next);
		joiner_wait(j, next_id, next->f->complete + JOINER_SKEW);
	}
	return true;
}

static bool
is_hop(struct joiner *j, const struct flight *f, const char *next_id, int64_t now)
{
	return f->relayed || (next_id != NULL && known_as(j, f, next_id, now));
}

void
joiner_hop(struct joiner *j, struct slot *s, struct event *e, const char *next_id, int64_t until)
{
	if (is_hop(j, s->f, next_id, e->time)) {
		event_free(e);
	} else {
		flight_wait_hop(s->f, e, next_id, until);
		joiner_wait(j, s->f->queue_id, until);
	}
	joiner_touch(j, s);
}

static void
tell(struct joiner *j, struct slot *s, struct event *e)
{
	if (s->f->pool != NULL)
		joiner_tell(j, s->f, e);
	else
		flight_wait(s->f, e);
}

/* Those that are hops are dropped, those that are none by now are told. */
static void
look_at_hops(struct joiner *j, struct slot *s, int64_t now)
{
	GPtrArray *hops = s->f->hops;

	for (guint i = 0; i < hops->len;) {
		struct flight_hop *h = hops->pdata[i];
		bool hop = is_hop(j, s->f, h->next_id, now);

		if (!hop && h->until > now) {
			i++;
			continue;
		}
		if (!hop)
			tell(j, s, g_steal_pointer(&h->e));
		g_ptr_array_remove_index(hops, i);
	}
	joiner_touch(j, s);
	joiner_finish(j, s);
}

/* ---- looking ---- */

void
joiner_wait_first(struct joiner *j, const struct flight *f)
{
	if (!g_hash_table_contains(j->waits, f->queue_id))
		joiner_wait(j, f->queue_id, joiner_first_look(f));
}

/* The next time, twice as long after it came. */
static int64_t
next_look(const struct flight *f, int64_t now)
{
	int64_t next = JOINER_SKEW;

	if (f->complete == 0)
		return f->born + JOINER_COMING;
	if (!f->local && f->parent == NULL)
		return f->complete + JOINER_GRACE;
	while (next <= now - f->complete)
		next *= 2;
	return f->complete + MIN(next, JOINER_GRACE);
}

int64_t
joiner_first_look(const struct flight *f)
{
	int64_t first = INT64_MAX;

	if (f->pool == NULL)
		first = f->next_look != 0 ? f->next_look : next_look(f, f->complete);
	for (guint i = 0; f->hops != NULL && i < f->hops->len; i++)
		first = MIN(first, ((const struct flight_hop *)f->hops->pdata[i])->until);
	return first;
}

void
joiner_look_at(struct joiner *j, struct slot *s, int64_t now)
{
	struct flight *f = s->f;
	int64_t next = INT64_MAX;

	if (joiner_may_be_another(f) && now >= f->complete + JOINER_SKEW)
		try_link(j, s, now);
	if (joiner_overdue(f, now)) {
		joiner_forget(j, s);
		return;
	}
	if (f->pool == NULL) {
		f->next_look = next = next_look(f, now);
		joiner_touch(j, s);
	}
	if (f->hops != NULL)
		look_at_hops(j, s, now);
	joiner_finish(j, s);
	for (guint i = 0; f->hops != NULL && i < f->hops->len; i++)
		next = MIN(next, ((const struct flight_hop *)f->hops->pdata[i])->until);
	if (next < INT64_MAX)
		joiner_wait(j, f->queue_id, next);
}

int64_t
joiner_due(const struct joiner *j)
{
	GSequenceIter *first = g_sequence_get_begin_iter(j->by_due);

	if (!j->notes_read)
		return 0;
	return g_sequence_iter_is_end(first) ? INT64_MAX
					     : ((const struct wait *)g_sequence_get(first))->due;
}

/* Each in its turn and as of its time: what comes of it does not depend on how often it is asked.
 */
void
joiner_look(struct joiner *j, int64_t now)
{
	GSequenceIter *first;

	while (!j->failed &&
	       !g_sequence_iter_is_end(first = g_sequence_get_begin_iter(j->by_due))) {
		const struct wait *w = g_sequence_get(first);
		struct slot *s;
		int64_t due = w->due;

		if (due > now)
			return;
		s = joiner_find(j, w->queue_id);
		joiner_wait_no_more(j, w->queue_id);
		if (s != NULL)
			joiner_look_at(j, s, due);
		joiner_trim(j);
	}
}
