/*
 * key_watch - the rotation of keys while the daemon runs; see key_watch.h.
 *
 * Which key signs is decided in core/rotation.h; messages wait for nobody here.  The signal thread
 * looks each second at the pools that have a dkim_next, as long as one of them waits for its time
 * or for its record.  With require_dns a record is looked for once use_after has come: by a thread
 * of its own, for all pools that wait, and again later for those whose record was not there.  What
 * it has seen the signal thread writes down and puts in force; it is the only one that changes a
 * rotation.
 *
 * A look-up belongs to the settings that it was begun for: if others are in force when it ends, it
 * is dropped and made again.
 */
#include "daemon/key_watch.h"

#include "base/log.h"
#include "base/thread.h"
#include "core/rotation.h"
#include "daemon/signals.h"
#include "io/key_look.h"
#include "io/key_state.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define LOCK_MS 200   /* for a switch that is under way */
#define AGAIN_FIRST 5 /* seconds until the next look, doubled each time */
#define AGAIN_LAST 60

struct look {
	struct key_look dns; /* first: io/key_look.h takes the whole for it */
	const struct pool *pool;
	bool over; /* somebody has switched the pool meanwhile */
};

/* Look-ups under way; the thread has it until done. */
struct job {
	pthread_t thread;
	struct settings *s; /* a reference */
	GPtrArray *looks;   /* of struct look * */
};

/* All of this is the signal thread's. */
static struct settings *settings; /* watched, a reference */
static GPtrArray *pools;          /* of const struct pool *: theirs that have a dkim_next */
static int64_t loaded;
static bool settled;      /* keys.state holds nothing that is over */
static GHashTable *told;  /* name of a pool -> selector that the log was told of, both owned */
static GHashTable *waits; /* name of a pool -> why its record does not count, as the log was told */
static struct job *job;   /* under way; NULL: none */
static gint64 again;      /* g_get_monotonic_time() of the next one */
static unsigned pause_seconds;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool done; /* the job; under the lock */

static int64_t
now_seconds(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

/* ---- the log ---- */

/* Says which key signs if it is another one than last time; the first time, if it is dkim_next. */
static void
tell_pool(const struct pool *p, int64_t now)
{
	const struct signature *own = p->signatures->pdata[0], *sig = rotation_signature(p, 0, now);
	const char *before = g_hash_table_lookup(told, p->name);
	char *since;

	if (strcmp(sig->selector, before != NULL ? before : own->selector) == 0)
		return;
	since = rotation_time_text(sig == own ? now : rotation_since(p->rotation));
	log_line(LOG_NOTICE, "keys: pool=%s signs with %s since %s%s", p->name, sig->selector,
		 since, sig == own ? ", dkim_next was taken back" : "");
	g_hash_table_replace(told, g_strdup(p->name), g_strdup(sig->selector));
	g_hash_table_remove(waits, p->name);
	g_free(since);
}

/* Says once why a pool's time has come and its record does not count. */
static void
tell_wait(const struct look *l)
{
	const char *selector = l->pool->rotation->next->selector;
	const char *why = l->dns.why != NULL ? l->dns.why : key_dns_word(l->dns.state);

	if (g_strcmp0(g_hash_table_lookup(waits, l->pool->name), why) == 0)
		return;
	log_line(LOG_WARNING, "warning: keys: pool=%s waits with %s, its DNS record is %s: %s",
		 l->pool->name, selector, key_dns_word(l->dns.state), why);
	g_hash_table_replace(waits, g_strdup(l->pool->name), g_strdup(why));
}

static void
tell_settled(const struct rotation_entry *e)
{
	if (e->mark != ROTATION_RETIRED)
		log_line(LOG_INFO, "keys: pool=%s: %s is no dkim_next any more", e->pool,
			 e->selector);
}

/* ---- the state file ---- */

static void
complain(char *why)
{
	log_line(LOG_WARNING, "warning: keys: %s", why);
	g_free(why);
}

/* Not where somebody else is writing: then the next second will do. */
static void
settle(void)
{
	char *why = NULL;
	struct key_state *ks = key_state_open(settings->state_dir, 0, &why);

	settled = ks != NULL || errno != EWOULDBLOCK;
	if (ks == NULL) {
		g_free(why);
		return;
	}
	/* A damaged one stays as it is, for somebody to look at. */
	if (ks->damage == NULL &&
	    key_state_settle(ks, settings, loaded, now_seconds(), tell_settled) &&
	    !key_state_write(ks, &why))
		complain(why);
	key_state_close(ks);
}

static enum rotation_mark
mark_of(const struct rotation *r)
{
	return r->mark == ROTATION_UNMARKED ? ROTATION_SEEN : r->mark;
}

/* True if poolctl keys switch has written about the pool; its SIGHUP is on its way. */
static bool
has_changed(const struct key_state *ks, const struct pool *p)
{
	const struct rotation_entry *e = key_state_find(ks, p->name);
	const struct rotation *r = p->rotation;

	if (e == NULL)
		return false;
	if (!rotation_entry_names(e, r->next))
		return e->at >= loaded; /* of a newer configuration; older ones are over */
	return e->mark != r->mark || e->at != r->at;
}

/* Writes down what was seen; without that a restart would have to see it again, and no more. */
static void
write_seen(struct job *j, int64_t now)
{
	char *why = NULL;
	struct key_state *ks = key_state_open(settings->state_dir, LOCK_MS, &why);
	bool ok = ks != NULL, busy = !ok && errno == EWOULDBLOCK;

	for (guint i = 0; i < j->looks->len; i++) {
		struct look *l = j->looks->pdata[i];

		l->over = busy || (ks != NULL && has_changed(ks, l->pool));
		if (ok && l->dns.state == KEY_DNS_PUBLISHED && !l->over)
			ok = key_state_mark(ks, l->pool, mark_of(l->pool->rotation), true, now,
					    &why);
	}
	if (!ok || !key_state_write(ks, &why))
		complain(why);
	if (ks != NULL)
		key_state_close(ks);
}

/* ---- looking for records ---- */

static void *
look_thread(void *argument)
{
	const struct job *j = argument;

	key_look_all(j->s, j->looks);
	pthread_mutex_lock(&lock);
	done = true;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void
look_free(void *look)
{
	g_free(((struct look *)look)->dns.why);
	g_free(look);
}

static void
job_free(struct job *j)
{
	g_ptr_array_unref(j->looks);
	settings_unref(j->s);
	g_free(j);
}

/* For all pools whose record is to be seen now. */
static void
begin_look(int64_t now)
{
	GPtrArray *looks = g_ptr_array_new_with_free_func(look_free);

	for (guint i = 0; i < pools->len; i++) {
		const struct pool *p = pools->pdata[i];
		struct look *l;

		if (rotation_state(p->rotation, now) != ROTATION_WAITS_DNS)
			continue;
		l = g_new0(struct look, 1);
		l->dns.signature = p->rotation->next;
		l->pool = p;
		g_ptr_array_add(looks, l);
	}
	if (looks->len == 0) {
		g_ptr_array_unref(looks);
		return;
	}
	job = g_new0(struct job, 1);
	job->s = settings_ref(settings);
	job->looks = looks;
	done = false;
	if (thread_start(&job->thread, look_thread, job) != 0)
		g_clear_pointer(&job, job_free);
}

static void
take_looks(struct job *j, int64_t now)
{
	bool any = false;

	for (guint i = 0; i < j->looks->len; i++) {
		const struct look *l = j->looks->pdata[i];

		if (l->dns.state == KEY_DNS_PUBLISHED)
			any = true;
		else
			tell_wait(l);
	}
	if (any)
		write_seen(j, now);
	for (guint i = 0; i < j->looks->len; i++) {
		const struct look *l = j->looks->pdata[i];

		if (l->dns.state == KEY_DNS_PUBLISHED && !l->over)
			rotation_set(l->pool->rotation, mark_of(l->pool->rotation), true, now);
	}
}

/* The end of a job, if it has come. */
static void
end_look(int64_t now)
{
	bool over;

	pthread_mutex_lock(&lock);
	over = done;
	pthread_mutex_unlock(&lock);
	if (!over)
		return;
	pthread_join(job->thread, NULL);
	if (job->s == settings) {
		take_looks(job, now);
		pause_seconds = CLAMP(pause_seconds * 2, AGAIN_FIRST, AGAIN_LAST);
		again = g_get_monotonic_time() + pause_seconds * (gint64)G_USEC_PER_SEC;
	}
	g_clear_pointer(&job, job_free);
}

/* ---- each second ---- */

static bool
waits_for_something(int64_t now)
{
	for (guint i = 0; i < pools->len; i++) {
		const struct pool *p = pools->pdata[i];
		enum rotation_state state = rotation_state(p->rotation, now);

		if (state == ROTATION_WAITS_TIME || state == ROTATION_WAITS_DNS)
			return true;
	}
	return !settled || job != NULL;
}

static void
watch(void)
{
	int64_t now = now_seconds();

	if (job != NULL)
		end_look(now);
	if (!settled)
		settle();
	for (guint i = 0; i < pools->len; i++)
		tell_pool(pools->pdata[i], now);
	if (job == NULL && g_get_monotonic_time() >= again)
		begin_look(now);
	signals_every(waits_for_something(now) ? 1 : 0, watch);
}

static void
init(void)
{
	told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	waits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	pools = g_ptr_array_new();
}

/* True of a pool that has no dkim_next any more. */
static gboolean
is_over(gpointer name, gpointer selector, gpointer s)
{
	const struct pool *p = g_hash_table_lookup(((struct settings *)s)->pool_by_name, name);

	(void)selector;
	return p == NULL || p->rotation == NULL;
}

void
key_watch_change(struct settings *s, int64_t loaded_at)
{
	if (told == NULL)
		init();
	settings_unref(settings);
	settings = settings_ref(s);
	g_ptr_array_set_size(pools, 0);
	for (guint i = 0; i < s->pools->len; i++)
		if (((const struct pool *)s->pools->pdata[i])->rotation != NULL)
			g_ptr_array_add(pools, s->pools->pdata[i]);
	g_hash_table_foreach_remove(told, is_over, s);
	g_hash_table_remove_all(waits);
	loaded = loaded_at;
	settled = false;
	again = 0;
	pause_seconds = 0;
	watch();
}
