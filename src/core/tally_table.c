/*
 * tally_table - see tally_table.h.
 *
 * A key has a row of a few tallies, one for each field.  Names of fields are kept once for the
 * table: there are a dozen, and as many rows as pools, ISPs and hours.  Lock order: a shard, then
 * the names.  A row that is taken leaves its shard as it is, so that the lock is held for no longer
 * than it needs to be unhooked; its fields' names stay the table's.
 */
#include "core/tally_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SHARDS 64

struct row {
	struct tally_row told; /* first: a batch has only this */
	char *key;             /* told.key */
	guint hash;
	struct tally *tallies; /* told.tallies; fields belong to the table's names */
};

struct shard {
	pthread_mutex_t lock;
	GHashTable *rows;         /* a set of struct row */
	_Atomic uint64_t changes; /* written under the lock */
};

struct tally_table {
	struct shard shards[SHARDS];
	pthread_mutex_t names_lock;
	GHashTable *names; /* a set of char * */
	_Atomic guint size, max;
	_Atomic guint next; /* shard that the next batch begins with, modulo SHARDS */
	_Atomic uint64_t lost;
};

static guint
row_hash(gconstpointer row)
{
	return ((const struct row *)row)->hash;
}

static gboolean
row_equal(gconstpointer a, gconstpointer b)
{
	return strcmp(((const struct row *)a)->key, ((const struct row *)b)->key) == 0;
}

static void
row_free(void *p)
{
	struct row *r = p;

	g_free(r->key);
	g_free(r->tallies);
	g_free(r);
}

struct tally_table *
tally_table_new(guint keys_max)
{
	struct tally_table *t = g_new0(struct tally_table, 1);

	t->max = keys_max;
	pthread_mutex_init(&t->names_lock, NULL);
	t->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&t->shards[i].lock, NULL);
		t->shards[i].rows = g_hash_table_new_full(row_hash, row_equal, row_free, NULL);
	}
	return t;
}

void
tally_table_free(struct tally_table *t)
{
	if (t == NULL)
		return;
	for (guint i = 0; i < SHARDS; i++) {
		g_hash_table_destroy(t->shards[i].rows);
		pthread_mutex_destroy(&t->shards[i].lock);
	}
	g_hash_table_destroy(t->names);
	pthread_mutex_destroy(&t->names_lock);
	g_free(t);
}

void
tally_table_set_max(struct tally_table *t, guint keys_max)
{
	t->max = keys_max;
}

guint
tally_table_size(struct tally_table *t)
{
	return t->size;
}

uint64_t
tally_table_lost(struct tally_table *t)
{
	return t->lost;
}

uint64_t
tally_table_changes(struct tally_table *t)
{
	uint64_t changes = 0;

	for (guint i = 0; i < SHARDS; i++)
		changes += t->shards[i].changes;
	return changes;
}

/* The shard's lock is held.  No atomic addition is needed, and that is cheaper. */
static void
changed(struct shard *s)
{
	uint64_t changes = atomic_load_explicit(&s->changes, memory_order_relaxed);

	atomic_store_explicit(&s->changes, changes + 1, memory_order_relaxed);
}

/* ---- adding */

/* The name as the table keeps it; NULL if there are too many. */
static const char *
name_keep(struct tally_table *t, const char *field)
{
	gpointer kept = NULL;

	pthread_mutex_lock(&t->names_lock);
	if (!g_hash_table_lookup_extended(t->names, field, &kept, NULL) &&
	    g_hash_table_size(t->names) < TALLY_FIELDS_MAX) {
		kept = g_strdup(field);
		g_hash_table_add(t->names, kept);
	}
	pthread_mutex_unlock(&t->names_lock);
	return kept;
}

static struct row *
row_of(struct tally_table *t, struct shard *s, const struct row *probe)
{
	struct row *r = g_hash_table_lookup(s->rows, probe);

	if (r != NULL)
		return r;
	if (atomic_fetch_add(&t->size, 1) >= t->max) {
		t->size--;
		return NULL;
	}
	r = g_new0(struct row, 1);
	r->told.key = r->key = g_strdup(probe->key);
	r->hash = probe->hash;
	g_hash_table_add(s->rows, r);
	return r;
}

/* The place of a field in a row; *at is where it is likely to be, and then what follows it. */
static struct tally *
tally_of(struct tally_table *t, struct row *r, const char *field, guint *at)
{
	guint n = r->told.n;
	const char *kept;

	for (guint i = 0; i < n; i++) {
		guint k = *at + i < n ? *at + i : *at + i - n;

		if (strcmp(r->tallies[k].field, field) == 0) {
			*at = k + 1 < n ? k + 1 : 0;
			return &r->tallies[k];
		}
	}
	kept = name_keep(t, field);
	if (kept == NULL)
		return NULL;
	if ((n & (n - 1)) == 0) /* room doubles: 1, 2, 4 and so on */
		r->told.tallies = r->tallies =
			g_renew(struct tally, r->tallies, n == 0 ? 1 : 2 * n);
	r->tallies[n] = (struct tally){kept, 0};
	r->told.n++;
	*at = 0;
	return &r->tallies[n];
}

static int64_t
sum(int64_t a, int64_t b)
{
	if (b > 0 && a > INT64_MAX - b)
		return INT64_MAX;
	if (b < 0 && a < INT64_MIN - b)
		return INT64_MIN;
	return a + b;
}

/* Adds to a row, which may be NULL: how many had no room. */
static guint
row_add(struct tally_table *t, struct row *r, const struct tally *tallies, guint n)
{
	guint lost = 0, at = 0;

	if (r == NULL)
		return n;
	for (guint i = 0; i < n; i++) {
		struct tally *to = tally_of(t, r, tallies[i].field, &at);

		if (to != NULL)
			to->by = sum(to->by, tallies[i].by);
		else
			lost++;
	}
	return lost;
}

bool
tally_table_add_many(struct tally_table *t, const char *key, const struct tally *tallies, guint n)
{
	struct row probe = {.key = (char *)key, .hash = g_str_hash(key)};
	struct shard *s = &t->shards[probe.hash * 0x9e3779b1U / (UINT32_MAX / SHARDS + 1)];
	guint lost;

	pthread_mutex_lock(&s->lock);
	lost = row_add(t, row_of(t, s, &probe), tallies, n);
	changed(s);
	pthread_mutex_unlock(&s->lock);
	if (lost > 0)
		t->lost += lost;
	return lost == 0;
}

bool
tally_table_add(struct tally_table *t, const char *key, const char *field, int64_t by)
{
	return tally_table_add_many(t, key, &(struct tally){field, by}, 1);
}

/* ---- reading */

void
tally_table_each(struct tally_table *t,
		 void (*each)(const char *key, const char *field, int64_t value, void *context),
		 void *context)
{
	for (guint i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];
		GHashTableIter iter;
		gpointer p;

		pthread_mutex_lock(&s->lock);
		g_hash_table_iter_init(&iter, s->rows);
		while (g_hash_table_iter_next(&iter, &p, NULL)) {
			const struct row *r = p;

			for (guint k = 0; k < r->told.n; k++)
				each(r->key, r->tallies[k].field, r->tallies[k].by, context);
		}
		pthread_mutex_unlock(&s->lock);
	}
}

/* ---- batches */

static void
take_from(struct tally_table *t, struct shard *s, struct tally_batch *b, guint keys_max)
{
	guint before = b->n;
	GHashTableIter iter;
	gpointer row;

	pthread_mutex_lock(&s->lock);
	g_hash_table_iter_init(&iter, s->rows);
	while (b->n < keys_max && g_hash_table_iter_next(&iter, &row, NULL)) {
		g_hash_table_iter_steal(&iter);
		b->rows[b->n++] = row; /* its first member */
	}
	if (b->n > before) {
		changed(s);
		t->size -= b->n - before;
		if (g_hash_table_size(s->rows) == 0)
			g_hash_table_remove_all(s->rows); /* makes it small again */
	}
	pthread_mutex_unlock(&s->lock);
}

struct tally_batch *
tally_table_take(struct tally_table *t, guint keys_max)
{
	struct tally_batch *b = g_new0(struct tally_batch, 1);
	guint first = t->next;

	keys_max = MIN(keys_max, TALLY_KEYS_MAX);
	b->rows = g_new(const struct tally_row *, keys_max);
	for (guint i = 0; i < SHARDS && b->n < keys_max; i++) {
		take_from(t, &t->shards[(first + i) % SHARDS], b, keys_max);
		/* Another each time, or one that was only begun: none has to wait for ever. */
		t->next = first + i + (b->n < keys_max || i == 0);
	}
	if (b->n > 0)
		return b;
	tally_batch_free(b);
	return NULL;
}

bool
tally_batch_put_back(struct tally_batch *b, struct tally_table *t)
{
	bool all = true;

	for (guint i = 0; i < b->n; i++)
		if (!tally_table_add_many(t, b->rows[i]->key, b->rows[i]->tallies, b->rows[i]->n))
			all = false;
	tally_batch_free(b);
	return all;
}

void
tally_batch_free(struct tally_batch *b)
{
	if (b == NULL)
		return;
	for (guint i = 0; i < b->n; i++)
		row_free((struct row *)b->rows[i]);
	g_free(b->rows);
	g_free(b);
}

/* ---- dropping */

static gboolean
sorts_before(gpointer row, gpointer same, gpointer before)
{
	const char *key = ((const struct row *)row)->key, *slash = strrchr(key, '/');

	(void)same;
	return strcmp(slash != NULL ? slash + 1 : key, before) < 0;
}

static gboolean
always(gpointer row, gpointer same, gpointer context)
{
	(void)row, (void)same, (void)context;
	return TRUE;
}

static void
drop(struct tally_table *t, GHRFunc which, const char *context)
{
	for (guint i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];
		guint n;

		pthread_mutex_lock(&s->lock);
		n = g_hash_table_foreach_remove(s->rows, which, (gpointer)context);
		t->size -= n;
		if (n > 0)
			changed(s);
		pthread_mutex_unlock(&s->lock);
	}
}

void
tally_table_drop_before(struct tally_table *t, const char *before)
{
	drop(t, sorts_before, before);
}

void
tally_table_clear(struct tally_table *t)
{
	drop(t, always, NULL);
}
