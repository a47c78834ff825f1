/*
 * tally_table - see tally_table.h.
 *
 * A key has a row of a few cells, one for each field.  Names of fields are kept once for the table:
 * there are a dozen, and as many rows as pools, ISPs and hours.  Lock order: a shard, then the
 * names.
 */
#include "core/tally_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SHARDS 16

struct cell {
	const char *field; /* belongs to the table's names */
	int64_t value;
};

struct row {
	char *key;
	struct cell *cells;
	guint n;
};

struct shard {
	pthread_mutex_t lock;
	GHashTable *rows; /* key to struct row */
};

struct tally_table {
	struct shard shards[SHARDS];
	pthread_mutex_t names_lock;
	GHashTable *names; /* a set of char * */
	_Atomic guint size, max;
	_Atomic uint64_t lost;
};

static void
row_free(void *p)
{
	struct row *r = p;

	g_free(r->key);
	g_free(r->cells);
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
		t->shards[i].rows = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, row_free);
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
row_of(struct tally_table *t, struct shard *s, const char *key)
{
	struct row *r = g_hash_table_lookup(s->rows, key);

	if (r != NULL)
		return r;
	if (atomic_fetch_add(&t->size, 1) >= t->max) {
		t->size--;
		return NULL;
	}
	r = g_new0(struct row, 1);
	r->key = g_strdup(key);
	g_hash_table_insert(s->rows, r->key, r);
	return r;
}

static struct cell *
cell_of(struct tally_table *t, struct row *r, const char *field)
{
	const char *kept;

	for (guint i = 0; i < r->n; i++)
		if (strcmp(r->cells[i].field, field) == 0)
			return &r->cells[i];
	kept = name_keep(t, field);
	if (kept == NULL)
		return NULL;
	if ((r->n & (r->n - 1)) == 0) /* room doubles: 1, 2, 4 and so on */
		r->cells = g_renew(struct cell, r->cells, r->n == 0 ? 1 : 2 * r->n);
	r->cells[r->n] = (struct cell){kept, 0};
	return &r->cells[r->n++];
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

bool
tally_table_add(struct tally_table *t, const char *key, const char *field, int64_t by)
{
	struct shard *s = &t->shards[g_str_hash(key) * 0x9e3779b1U / (UINT32_MAX / SHARDS + 1)];
	struct cell *c = NULL;
	struct row *r;

	pthread_mutex_lock(&s->lock);
	r = row_of(t, s, key);
	if (r != NULL)
		c = cell_of(t, r, field);
	if (c != NULL)
		c->value = sum(c->value, by);
	else
		t->lost++;
	pthread_mutex_unlock(&s->lock);
	return c != NULL;
}

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
		while (g_hash_table_iter_next(&iter, NULL, &p)) {
			const struct row *r = p;

			for (guint k = 0; k < r->n; k++)
				each(r->key, r->cells[k].field, r->cells[k].value, context);
		}
		pthread_mutex_unlock(&s->lock);
	}
}

static gboolean
sorts_before(gpointer key, gpointer row, gpointer before)
{
	const char *slash = strrchr(key, '/');

	(void)row;
	return strcmp(slash != NULL ? slash + 1 : key, before) < 0;
}

static gboolean
always(gpointer key, gpointer row, gpointer context)
{
	(void)key, (void)row, (void)context;
	return TRUE;
}

static void
drop(struct tally_table *t, GHRFunc which, const char *context)
{
	for (guint i = 0; i < SHARDS; i++) {
		struct shard *s = &t->shards[i];

		pthread_mutex_lock(&s->lock);
		t->size -= g_hash_table_foreach_remove(s->rows, which, (gpointer)context);
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
