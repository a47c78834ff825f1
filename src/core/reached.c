/*
 * reached - which ISPs' total_limits were found reached lately; see reached.h.
 *
 * Keys are of ISP records, so there are few; those that reloads have left behind go when there are
 * too many.
 */
#include "core/reached.h"

#include <pthread.h>

#define KEYS_MAX 10000

struct reached {
	pthread_mutex_t lock;
	GHashTable *until; /* char * -> gint64 * */
};

struct reached *
reached_new(void)
{
	struct reached *r = g_new0(struct reached, 1);

	pthread_mutex_init(&r->lock, NULL);
	r->until = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return r;
}

void
reached_free(struct reached *r)
{
	g_hash_table_destroy(r->until);
	pthread_mutex_destroy(&r->lock);
	g_free(r);
}

void
reached_note(struct reached *r, const char *key, gint64 until)
{
	gint64 *value = g_new(gint64, 1);

	*value = until;
	pthread_mutex_lock(&r->lock);
	if (g_hash_table_size(r->until) >= KEYS_MAX)
		g_hash_table_remove_all(r->until);
	g_hash_table_replace(r->until, g_strdup(key), value);
	pthread_mutex_unlock(&r->lock);
}

bool
reached_lately(struct reached *r, const char *key, gint64 now)
{
	const gint64 *until;
	bool lately;

	pthread_mutex_lock(&r->lock);
	until = g_hash_table_lookup(r->until, key);
	lately = until != NULL && now < *until;
	pthread_mutex_unlock(&r->lock);
	return lately;
}
