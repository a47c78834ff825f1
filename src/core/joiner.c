/*
 * joiner - flights in memory and in the store; see joiner.h.
 *
 *	joiner.c	which flights are in memory, what is saved, and how events are told
 *	joiner_lines.c	what each line of the log does to a flight
 *	joiner_links.c	what waits: for a pool, for being another message injected again
 *
 * A flight is saved when it leaves memory, when a flush comes, and before the store is asked for a
 * Message-ID.  One that ended leaves memory with the next flush and stays in the store; one that is
 * nobody's is deleted there.  The store fails as a whole: then nothing more is told, and the caller
 * makes a new joiner.
 */
#include "core/joiner_private.h"

#include <string.h>

static void
drop(GPtrArray **list)
{
	if (*list != NULL)
		g_ptr_array_unref(*list);
	*list = NULL;
}

/* ---- slots ---- */

static struct slot *
slot_new(struct joiner *j, struct flight *f)
{
	struct slot *s = g_new0(struct slot, 1);

	s->f = f;
	s->used.data = s->changed.data = s;
	g_queue_push_head_link(&j->used, &s->used);
	g_hash_table_insert(j->slots, f->queue_id, s);
	return s;
}

static void
clean(struct joiner *j, struct slot *s)
{
	if (s->dirty)
		g_queue_unlink(&j->changed, &s->changed);
	s->dirty = false;
}

/* Out of memory; what is not saved is lost. */
static void
slot_free(struct joiner *j, struct slot *s)
{
	clean(j, s);
	g_queue_unlink(&j->used, &s->used);
	g_hash_table_remove(j->slots, s->f->queue_id);
	flight_free(s->f);
	g_free(s);
}

static void
save(struct joiner *j, struct slot *s)
{
	clean(j, s);
	if (j->failed)
		return;
	j->failed = !j->store.save(j->store.context, s->f);
	s->stored = true;
}

/* Whose waiting has to go on in another process: what would be lost, not what is dropped anyway. */
static void
note(struct joiner *j, const struct flight *f)
{
	bool waits = f->hops != NULL && f->hops->len > 0;

	if (waits || joiner_may_be_another(f)) {
		if (!g_hash_table_contains(j->notes, f->queue_id)) {
			g_hash_table_add(j->notes, g_strdup(f->queue_id));
			j->notes_changed = true;
		}
	} else if (g_hash_table_remove(j->notes, f->queue_id)) {
		j->notes_changed = true;
	}
}

void
joiner_touch(struct joiner *j, struct slot *s)
{
	g_queue_unlink(&j->used, &s->used);
	g_queue_push_head_link(&j->used, &s->used);
	if (!s->dirty)
		g_queue_push_tail_link(&j->changed, &s->changed);
	s->dirty = true;
	note(j, s->f);
}

struct slot *
joiner_find(struct joiner *j, const char *queue_id)
{
	struct slot *s = g_hash_table_lookup(j->slots, queue_id);
	struct flight *f = NULL;

	if (s != NULL || j->failed)
		return s;
	j->failed = !j->store.load(j->store.context, queue_id, &f);
	if (f == NULL)
		return NULL;
	s = slot_new(j, f);
	s->stored = true;
	return s;
}

void
joiner_forget(struct joiner *j, struct slot *s)
{
	joiner_wait_no_more(j, s->f->queue_id);
	if (g_hash_table_remove(j->notes, s->f->queue_id))
		j->notes_changed = true;
	if (s->stored && !j->failed)
		j->failed = !j->store.forget(j->store.context, s->f->queue_id, s->f->born);
	slot_free(j, s);
}

/* Its queue ID is another one's now. */
static void
end_now(struct joiner *j, struct slot *s, int64_t time)
{
	GPtrArray *hops = s->f->hops;

	joiner_wait_no_more(j, s->f->queue_id);
	if (s->f->removed == 0)
		s->f->removed = time;
	for (guint i = 0; hops != NULL && i < hops->len; i++) {
		struct flight_hop *h = hops->pdata[i];

		joiner_tell(j, s->f, g_steal_pointer(&h->e));
	}
	drop(&s->f->hops);
	joiner_finish(j, s);
	save(j, s);
	slot_free(j, s);
}

struct slot *
joiner_begin(struct joiner *j, const char *queue_id, int64_t time, struct slot *old)
{
	int64_t born = old != NULL ? MAX(time, old->f->born + 1) : time;
	struct slot *s;

	if (old != NULL && old->f->pool == NULL) {
		joiner_forget(j, old);
	} else if (old != NULL) {
		end_now(j, old, time);
	}
	s = slot_new(j, flight_new(queue_id, born));
	joiner_touch(j, s);
	return s;
}

void
joiner_finish(struct joiner *j, struct slot *s)
{
	struct flight *f = s->f;

	if (f->removed == 0 || f->ended != 0 || f->pool == NULL ||
	    (f->hops != NULL && f->hops->len > 0))
		return;
	f->ended = f->removed;
	drop(&f->told);
	flight_settle_all(f);
	joiner_touch(j, s);
}

/* ---- events ---- */

static void
tell_one(struct joiner *j, struct flight *f, struct event *e)
{
	unsigned nth = f->events++;

	if (j->failed) {
		event_free(e);
		return;
	}
	if (f->parent != NULL) /* several of a series may count */
		nth += g_str_hash(f->queue_id);
	if (e->node == NULL)
		e->node = g_strdup(j->node);
	e->queue_id = g_strdup(flight_series(f));
	e->message_id = g_strdup(f->message_id);
	e->pool = g_strdup(f->pool);
	e->isp = g_strdup(f->isp);
	e->sender = g_strdup(f->sender);
	e->headers = f->headers != NULL ? g_ptr_array_ref(f->headers) : NULL;
	event_identify(e, nth);
	j->event(e, j->context);
}

void
joiner_tell(struct joiner *j, struct flight *f, struct event *e)
{
	bool for_all = e->recipient == NULL && (e->type == EVENT_ACCEPTED || e->type == EVENT_HELD);

	for (guint i = 0; for_all && f->told != NULL && i < f->told->len; i++) {
		struct event *copy = event_new(e->type, e->source);

		copy->time = e->time;
		copy->node = g_strdup(e->node);
		copy->recipient = g_strdup(f->told->pdata[i]);
		tell_one(j, f, copy);
	}
	if (for_all && f->told != NULL && f->told->len > 0)
		event_free(e);
	else
		tell_one(j, f, e);
}

void
joiner_tell_pending(struct joiner *j, struct slot *s)
{
	GPtrArray *pending = g_steal_pointer(&s->f->pending);

	if (pending == NULL)
		return;
	for (guint i = 0; i < pending->len; i++)
		joiner_tell(j, s->f, g_steal_pointer(&pending->pdata[i]));
	g_ptr_array_unref(pending);
	joiner_touch(j, s);
}

/* ---- the store ---- */

void
joiner_save(struct joiner *j)
{
	GList *link;

	while ((link = j->changed.head) != NULL && !j->failed) {
		struct slot *s = link->data;

		save(j, s);
		if (s->f->ended != 0)
			slot_free(j, s);
	}
}

static void
save_notes(struct joiner *j)
{
	struct flight *f = flight_new(JOINER_NOTES, JOINER_NOTES_BORN);
	GString *list = g_string_new(NULL);
	GHashTableIter iter;
	gpointer id;

	g_hash_table_iter_init(&iter, j->notes);
	while (g_hash_table_iter_next(&iter, &id, NULL))
		g_string_append_printf(list, "%s ", (const char *)id);
	f->sender = g_string_free(list, FALSE);
	if (!j->failed)
		j->failed = !j->store.save(j->store.context, f);
	j->notes_changed = false;
	flight_free(f);
}

/* What another joiner has left waiting. */
static void
read_notes(struct joiner *j)
{
	struct flight *f = NULL;
	char **ids;

	j->notes_read = true;
	j->failed = !j->store.load(j->store.context, JOINER_NOTES, &f);
	ids = g_strsplit(f != NULL && f->sender != NULL ? f->sender : "", " ", -1);
	for (guint i = 0; ids[i] != NULL; i++) {
		struct slot *s = *ids[i] != '\0' ? joiner_find(j, ids[i]) : NULL;

		if (s == NULL)
			continue;
		g_hash_table_add(j->notes, g_strdup(ids[i]));
		note(j, s->f);
		joiner_wait_first(j, s->f);
	}
	g_strfreev(ids);
	flight_free(f);
}

void
joiner_trim(struct joiner *j)
{
	while (j->used.length > j->flights_max && !j->failed) {
		struct slot *s = j->used.tail->data;

		if (s->dirty)
			save(j, s);
		slot_free(j, s);
	}
}

/* ---- public ---- */

struct joiner *
joiner_new(const struct joiner_store *store, const char *node, guint flights_max,
	   void (*event)(struct event *e, void *context), void *context)
{
	struct joiner *j = g_new0(struct joiner, 1);

	j->store = *store;
	j->node = g_strdup(node);
	j->flights_max = flights_max;
	j->event = event;
	j->context = context;
	j->slots = g_hash_table_new(g_str_hash, g_str_equal);
	j->notes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	joiner_waits_init(j);
	return j;
}

void
joiner_free(struct joiner *j)
{
	while (j->used.head != NULL)
		slot_free(j, j->used.head->data);
	joiner_waits_free(j);
	g_hash_table_destroy(j->slots);
	g_hash_table_destroy(j->notes);
	g_free(j->node);
	g_free(j);
}

bool
joiner_line(struct joiner *j, const struct log_line *line)
{
	struct mta_line m;

	mta_line_parse(line, &m);
	if (m.said == MTA_NOTHING || j->failed)
		return !j->failed;
	if (!j->notes_read)
		read_notes(j);
	joiner_take(j, line, &m);
	joiner_trim(j);
	return !j->failed;
}

bool
joiner_tick(struct joiner *j, int64_t now)
{
	if (!j->notes_read && !j->failed)
		read_notes(j);
	joiner_look(j, now);
	joiner_trim(j);
	return !j->failed;
}

bool
joiner_flush(struct joiner *j)
{
	joiner_save(j);
	if (j->notes_changed)
		save_notes(j);
	return !j->failed;
}

guint
joiner_size(const struct joiner *j)
{
	return j->used.length;
}
