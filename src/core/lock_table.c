/*
 * lock_table - pools that may not send to an ISP for a while; see lock_table.h.
 *
 * A hash table under a lock for readers and writers.  How many there are stands beside it, so that
 * who asks while there are none, which is nearly always, does not even take the lock.
 *
 * A lock that has ended is no more in force, but stays until lock_table_ended() takes it out: so
 * that who writes the log learns of it.  When the first of them ends is known, or a time before
 * that.
 */
#include "core/lock_table.h"
#include "core/word.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define NAME_MAX_OCTETS 64 /* as setting_kind.c has it for pools, records and rules */

struct lock_table {
	pthread_rwlock_t guard;
	GHashTable *locks; /* a set of struct lock *, told apart by pool and ISP */
	int64_t first_end; /* none ends before */
	guint n;           /* of locks; atomic */
	uint64_t changes;  /* atomic */
};

/* ---- one lock ---- */

void
lock_clear(struct lock *l)
{
	g_free(l->pool);
	g_free(l->isp);
	g_free(l->rule);
	g_free(l->why);
	*l = (struct lock){0};
}

struct lock
lock_copy(const struct lock *l)
{
	struct lock copy = *l;

	copy.pool = g_strdup(l->pool);
	copy.isp = g_strdup(l->isp);
	copy.rule = g_strdup(l->rule);
	copy.why = g_strdup(l->why);
	return copy;
}

static void
clear_element(void *l)
{
	lock_clear(l);
}

GArray *
lock_array_new(void)
{
	GArray *locks = g_array_new(FALSE, FALSE, sizeof(struct lock));

	g_array_set_clear_func(locks, clear_element);
	return locks;
}

struct limit
lock_rate(const struct lock *l, int64_t now)
{
	struct limit rate = l->rate;

	if (l->step > 0)
		for (int64_t left = now - l->since; left >= l->step && rate.most < LIMIT_MOST_MAX;
		     left -= l->step)
			rate.most = MIN(rate.most, LIMIT_MOST_MAX / 2) * 2;
	return rate;
}

static bool
by_hand(const struct lock *l)
{
	return strcmp(l->rule, LOCK_BY_HAND) == 0;
}

bool
lock_holds(const struct lock *there, const struct lock *l, int64_t now)
{
	if (there->until <= now || by_hand(l))
		return false;
	if (by_hand(there) || strcmp(there->rule, l->rule) == 0)
		return true;
	return there->paused != l->paused ? there->paused : there->until >= l->until;
}

char *
lock_time(int64_t us)
{
	time_t t = (time_t)(us / G_USEC_PER_SEC);
	char text[32];
	struct tm tm;

	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	return g_strdup(text);
}

char *
lock_text(const struct lock *l)
{
	char *rate = l->paused ? NULL : limit_text(l->rate), *until = lock_time(l->until), *text;

	if (l->paused)
		text = g_strdup_printf("pool=%s isp=%s rule=%s paused until=%s", l->pool, l->isp,
				       l->rule, until);
	else
		text = g_strdup_printf(
			"pool=%s isp=%s rule=%s slowed rate=%s step_s=%" G_GINT64_FORMAT
			" until=%s",
			l->pool, l->isp, l->rule, rate, (gint64)(l->step / G_USEC_PER_SEC), until);
	g_free(until);
	g_free(rate);
	return text;
}

/* ---- as words ---- */

static const char *
kind(bool paused)
{
	return paused ? "paused" : "slowed";
}

void
lock_write(const struct lock *l, GString *line)
{
	char *why = g_strndup(l->why != NULL ? l->why : "", LOCK_WHY_MAX);

	g_string_append(line, "lock");
	word_put(line, l->pool);
	word_put(line, l->isp);
	word_put(line, l->rule);
	word_put_number(line, l->since);
	word_put_number(line, l->until);
	word_put(line, kind(l->paused));
	if (!l->paused) {
		word_put_number(line, l->rate.most);
		word_put_number(line, l->rate.seconds);
		word_put_number(line, l->step);
	}
	word_put(line, why);
	g_free(why);
}

/* A name as the configuration takes it, so that it is safe in the log and in keys; NULL: none. */
static char *
take_name(struct word_line *line, GString *word)
{
	if (!word_take(line, word) || word->len == 0 || word->len > NAME_MAX_OCTETS ||
	    !g_ascii_isalnum(word->str[0]))
		return NULL;
	for (const char *p = word->str; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("._-", *p) == NULL)
			return NULL;
	return g_strdup(word->str);
}

static char *
take_rule(struct word_line *line, GString *word)
{
	struct word_line rest = *line;

	if (!word_take(&rest, word) || strcmp(word->str, LOCK_BY_HAND) != 0)
		return take_name(line, word);
	*line = rest;
	return g_strdup(LOCK_BY_HAND);
}

static bool
take_rate(struct word_line *line, struct lock *l)
{
	int64_t most, seconds;

	if (!word_take_number(line, 1, LIMIT_MOST_MAX, &most) ||
	    !word_take_number(line, 1, LIMIT_SECONDS_MAX, &seconds) ||
	    !word_take_number(line, 0, LOCK_TIME_MAX, &l->step))
		return false;
	l->rate = (struct limit){(uint32_t)most, (uint32_t)seconds};
	return true;
}

static bool
take_all(struct word_line *line, GString *word, struct lock *l)
{
	if (!word_begins(line, "lock") || (l->pool = take_name(line, word)) == NULL ||
	    (l->isp = take_name(line, word)) == NULL || (l->rule = take_rule(line, word)) == NULL ||
	    !word_take_number(line, 0, LOCK_TIME_MAX, &l->since) ||
	    !word_take_number(line, l->since, LOCK_TIME_MAX, &l->until) || !word_take(line, word))
		return false;
	l->paused = strcmp(word->str, kind(true)) == 0;
	if (!l->paused && (strcmp(word->str, kind(false)) != 0 || !take_rate(line, l)))
		return false;
	if (!word_take(line, word) || word->len > LOCK_WHY_MAX || !word_ended(line))
		return false;
	l->why = word->len > 0 ? g_strdup(word->str) : NULL;
	return true;
}

bool
lock_read(const char *text, size_t len, struct lock *out)
{
	struct word_line line = {text, text + len};
	GString *word = g_string_new(NULL);
	bool ok;

	*out = (struct lock){0};
	ok = take_all(&line, word, out);
	if (!ok)
		lock_clear(out);
	g_string_free(word, TRUE);
	return ok;
}

/* ---- the table ---- */

static guint
hash(gconstpointer p)
{
	const struct lock *l = p;

	return g_str_hash(l->pool) * 31 + g_str_hash(l->isp);
}

static gboolean
equal(gconstpointer p, gconstpointer q)
{
	const struct lock *a = p, *b = q;

	return strcmp(a->pool, b->pool) == 0 && strcmp(a->isp, b->isp) == 0;
}

static void
lock_free(void *l)
{
	lock_clear(l);
	g_free(l);
}

struct lock_table *
lock_table_new(void)
{
	struct lock_table *t = g_new0(struct lock_table, 1);

	pthread_rwlock_init(&t->guard, NULL);
	t->locks = g_hash_table_new_full(hash, equal, lock_free, NULL);
	t->first_end = INT64_MAX;
	return t;
}

void
lock_table_free(struct lock_table *t)
{
	if (t == NULL)
		return;
	g_hash_table_destroy(t->locks);
	pthread_rwlock_destroy(&t->guard);
	g_free(t);
}

/* The lock is held for writing, as in what follows. */
static void
changed(struct lock_table *t)
{
	__atomic_store_n(&t->n, g_hash_table_size(t->locks), __ATOMIC_RELEASE);
	__atomic_add_fetch(&t->changes, 1, __ATOMIC_RELEASE);
}

static bool
put(struct lock_table *t, const struct lock *l)
{
	struct lock *copy;

	if (g_hash_table_size(t->locks) >= LOCKS_MAX && !g_hash_table_contains(t->locks, l))
		return false;
	copy = g_new(struct lock, 1);
	*copy = lock_copy(l);
	g_hash_table_replace(t->locks, copy, copy);
	t->first_end = MIN(t->first_end, l->until);
	return true;
}

bool
lock_table_set(struct lock_table *t, const struct lock *l)
{
	bool ok;

	pthread_rwlock_wrlock(&t->guard);
	ok = put(t, l);
	changed(t);
	pthread_rwlock_unlock(&t->guard);
	return ok;
}

bool
lock_table_offer(struct lock_table *t, const struct lock *l, int64_t now)
{
	const struct lock *there;
	bool ok;

	pthread_rwlock_wrlock(&t->guard);
	there = g_hash_table_lookup(t->locks, l);
	ok = (there == NULL || !lock_holds(there, l, now)) && put(t, l);
	if (ok)
		changed(t);
	pthread_rwlock_unlock(&t->guard);
	return ok;
}

bool
lock_table_release(struct lock_table *t, const char *pool, const char *isp)
{
	const struct lock probe = {.pool = (char *)pool, .isp = (char *)isp};
	bool was;

	pthread_rwlock_wrlock(&t->guard);
	was = g_hash_table_remove(t->locks, &probe);
	if (was)
		changed(t);
	pthread_rwlock_unlock(&t->guard);
	return was;
}

bool
lock_table_empty(const struct lock_table *t)
{
	return __atomic_load_n(&t->n, __ATOMIC_ACQUIRE) == 0;
}

bool
lock_table_find(struct lock_table *t, const char *pool, const char *isp, int64_t now,
		struct lock_state *out)
{
	const struct lock probe = {.pool = (char *)pool, .isp = (char *)isp}, *l;
	bool found;

	if (lock_table_empty(t))
		return false;
	pthread_rwlock_rdlock(&t->guard);
	l = g_hash_table_lookup(t->locks, &probe);
	found = l != NULL && now < l->until;
	if (found)
		*out = (struct lock_state){l->paused, lock_rate(l, now), l->until,
					   g_strdup(l->rule)};
	pthread_rwlock_unlock(&t->guard);
	return found;
}

void
lock_table_replace(struct lock_table *t, const GArray *locks)
{
	pthread_rwlock_wrlock(&t->guard);
	g_hash_table_remove_all(t->locks);
	t->first_end = INT64_MAX;
	for (guint i = 0; i < locks->len; i++)
		(void)put(t, &g_array_index(locks, struct lock, i));
	changed(t);
	pthread_rwlock_unlock(&t->guard);
}

static gint
compare(gconstpointer p, gconstpointer q)
{
	const struct lock *a = p, *b = q;
	int by_pool = strcmp(a->pool, b->pool);

	return by_pool != 0 ? by_pool : strcmp(a->isp, b->isp);
}

GArray *
lock_table_list(struct lock_table *t, int64_t now)
{
	GArray *list = lock_array_new();
	GHashTableIter iter;
	gpointer l;

	pthread_rwlock_rdlock(&t->guard);
	g_hash_table_iter_init(&iter, t->locks);
	while (g_hash_table_iter_next(&iter, &l, NULL)) {
		struct lock copy;

		if (((const struct lock *)l)->until <= now)
			continue;
		copy = lock_copy(l);
		g_array_append_val(list, copy);
	}
	pthread_rwlock_unlock(&t->guard);
	g_array_sort(list, compare);
	return list;
}

/* Takes out what has ended. */
static void
take_ended(struct lock_table *t, int64_t now, GArray *ended)
{
	GHashTableIter iter;
	gpointer p;

	t->first_end = INT64_MAX;
	g_hash_table_iter_init(&iter, t->locks);
	while (g_hash_table_iter_next(&iter, &p, NULL)) {
		struct lock *l = p;

		if (l->until > now) {
			t->first_end = MIN(t->first_end, l->until);
			continue;
		}
		g_array_append_val(ended, *l);
		g_hash_table_iter_steal(&iter);
		g_free(l); /* its strings are the array's */
	}
	if (ended->len > 0)
		changed(t);
}

GArray *
lock_table_ended(struct lock_table *t, int64_t now)
{
	GArray *ended = lock_array_new();

	if (lock_table_empty(t))
		return ended;
	pthread_rwlock_wrlock(&t->guard);
	if (t->first_end <= now)
		take_ended(t, now, ended);
	pthread_rwlock_unlock(&t->guard);
	g_array_sort(ended, compare);
	return ended;
}

uint64_t
lock_table_changes(struct lock_table *t)
{
	return __atomic_load_n(&t->changes, __ATOMIC_ACQUIRE);
}
