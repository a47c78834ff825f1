/*
 * limit_table - see limit_table.h.
 *
 * A shard is a GHashTable of entries, which carry their hash, and a round of the same entries for
 * the sweep.  All entries of a key are in one shard.  The number of entries is kept for the whole
 * table, so that the maximum does not depend on how keys fall into shards.  Lock order: shards
 * upwards.
 */
#include "core/limit_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* 2^32 / the golden ratio: spreads what g_str_hash() leaves in the low bits. */
#define MIX 0x9e3779b1U

struct shard {
	pthread_mutex_t lock;
	GHashTable *entries;
	struct limit_entry round;
};

struct limit_table {
	struct shard shards[LIMIT_TABLE_SHARDS];
	_Atomic guint size, max;
};

static guint
entry_hash(gconstpointer p)
{
	return ((const struct limit_entry *)p)->hash;
}

bool
limit_entry_same(const struct limit_entry *a, const struct limit_entry *b)
{
	return a->hash == b->hash && a->limit.most == b->limit.most &&
	       a->limit.seconds == b->limit.seconds && strcmp(a->key, b->key) == 0;
}

static gboolean
entry_equal(gconstpointer a, gconstpointer b)
{
	return limit_entry_same(a, b);
}

void
limit_entry_probe(struct limit_entry *e, const char *key, struct limit limit)
{
	guint hash = g_str_hash(key) * MIX;

	*e = (struct limit_entry){.key = key, .limit = limit};
	e->shard = hash / (UINT32_MAX / LIMIT_TABLE_SHARDS + 1);
	e->hash = (hash ^ limit.most ^ limit.seconds * MIX) * MIX;
	e->hash ^= e->hash >> 16;
}

struct limit_table *
limit_table_new(guint entries_max)
{
	struct limit_table *t = g_new0(struct limit_table, 1);

	t->max = entries_max;
	for (guint i = 0; i < LIMIT_TABLE_SHARDS; i++) {
		struct shard *s = &t->shards[i];

		pthread_mutex_init(&s->lock, NULL);
		s->entries = g_hash_table_new(entry_hash, entry_equal);
		s->round.next = s->round.prev = &s->round;
	}
	return t;
}

void
limit_table_free(struct limit_table *t)
{
	if (t == NULL)
		return;
	limit_table_clear(t);
	for (guint i = 0; i < LIMIT_TABLE_SHARDS; i++) {
		g_hash_table_destroy(t->shards[i].entries);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
	g_free(t);
}

void
limit_table_set_max(struct limit_table *t, guint entries_max)
{
	t->max = entries_max;
}

guint
limit_table_size(struct limit_table *t)
{
	return t->size;
}

void
limit_table_lock(struct limit_table *t, uint32_t shards)
{
	for (guint i = 0; i < LIMIT_TABLE_SHARDS; i++)
		if (shards & 1U << i)
			pthread_mutex_lock(&t->shards[i].lock);
}

void
limit_table_unlock(struct limit_table *t, uint32_t shards)
{
	for (guint i = 0; i < LIMIT_TABLE_SHARDS; i++)
		if (shards & 1U << i)
			pthread_mutex_unlock(&t->shards[i].lock);
}

struct limit_entry *
limit_table_find(struct limit_table *t, const struct limit_entry *probe)
{
	return g_hash_table_lookup(t->shards[probe->shard].entries, probe);
}

bool
limit_table_reserve(struct limit_table *t, guint n)
{
	guint size = t->size;

	do {
		if (n > t->max || size > t->max - n)
			return false;
	} while (!atomic_compare_exchange_weak(&t->size, &size, size + n));
	return true;
}

static void
round_append(struct shard *s, struct limit_entry *e)
{
	e->prev = s->round.prev;
	e->next = &s->round;
	e->prev->next = e->next->prev = e;
}

static void
round_take(struct limit_entry *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
}

struct limit_entry *
limit_table_add(struct limit_table *t, const struct limit_entry *probe)
{
	struct shard *s = &t->shards[probe->shard];
	size_t size = strlen(probe->key) + 1;
	struct limit_entry *e = g_malloc(sizeof *e + size);

	*e = *probe;
	e->window = (struct limit_window){0};
	e->key = memcpy(e + 1, probe->key, size);
	round_append(s, e);
	g_hash_table_add(s->entries, e);
	return e;
}

static void
entry_free(struct limit_table *t, struct limit_entry *e)
{
	round_take(e);
	limit_window_clear(&e->window);
	g_free(e);
	t->size--;
}

void
limit_table_sweep(struct limit_table *t, guint shard, guint n, int64_t now)
{
	struct shard *s = &t->shards[shard];

	for (; n > 0 && s->round.next != &s->round; n--) {
		struct limit_entry *e = s->round.next;

		if (limit_window_used(&e->window, e->limit, now) == 0) {
			g_hash_table_remove(s->entries, e);
			entry_free(t, e);
		} else {
			round_take(e);
			round_append(s, e);
		}
	}
}

void
limit_table_each(struct limit_table *t, uint32_t shards,
		 void (*each)(struct limit_entry *e, void *context), void *context)
{
	for (guint i = 0; i < LIMIT_TABLE_SHARDS; i++) {
		struct shard *s = &t->shards[i];

		if ((shards & 1U << i) == 0)
			continue;
		pthread_mutex_lock(&s->lock);
		for (struct limit_entry *e = s->round.next; e != &s->round; e = e->next)
			each(e, context);
		pthread_mutex_unlock(&s->lock);
	}
}

void
limit_table_clear(struct limit_table *t)
{
	for (guint i = 0; i < LIMIT_TABLE_SHARDS; i++) {
		struct shard *s = &t->shards[i];

		pthread_mutex_lock(&s->lock);
		g_hash_table_remove_all(s->entries);
		while (s->round.next != &s->round)
			entry_free(t, s->round.next);
		pthread_mutex_unlock(&s->lock);
	}
}
