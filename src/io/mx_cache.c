/*
 * mx_cache - what is known of domains; see mx_cache.h.
 */
#include "io/mx_cache.h"

#include <string.h>

#define WAYS 8 /* domains in a set of the cache */

struct mx_hosts mx_hosts_none = {.references = 1, .what = MX_NONE};
struct mx_hosts mx_hosts_failed = {.references = 1, .what = MX_FAILED};

struct slot {
	guint hash;
	bool used;              /* since its last turn */
	struct mx_entry *entry; /* NULL: free */
};

struct mx_cache {
	guint sets, ways;
	guint seed;
	guint hand;
	struct slot *slots;
};

struct mx_hosts *
mx_hosts_ref(struct mx_hosts *a)
{
	g_atomic_int_inc(&a->references);
	return a;
}

void
mx_hosts_unref(struct mx_hosts *a)
{
	if (a != NULL && g_atomic_int_dec_and_test(&a->references))
		g_free(a);
}

struct mx_hosts *
mx_hosts_new(const char *hosts, size_t len, guint count)
{
	struct mx_hosts *a = g_malloc(sizeof *a + len);

	a->references = 1;
	a->what = MX_FOUND;
	a->count = count;
	memcpy(a->hosts, hosts, len);
	return a;
}

enum mx_answer
mx_hosts_tell(const struct mx_hosts *a, mx_host_fn *each, void *context)
{
	const char *host = a->hosts;

	for (guint i = 0; i < a->count && each(host, context); i++)
		host += strlen(host) + 1;
	return a->what;
}

struct mx_cache *
mx_cache_new(guint entries)
{
	struct mx_cache *c = g_new0(struct mx_cache, 1);

	c->ways = CLAMP(entries, 1, WAYS);
	c->sets = MAX(entries / c->ways, 1);
	c->seed = g_random_int();
	c->slots = g_new0(struct slot, (gsize)c->sets * c->ways);
	return c;
}

static void
entry_free(struct mx_entry *e)
{
	if (e != NULL)
		mx_hosts_unref(e->answer);
	g_free(e);
}

void
mx_cache_free(struct mx_cache *c)
{
	if (c == NULL)
		return;
	for (gsize i = 0; i < (gsize)c->sets * c->ways; i++)
		entry_free(c->slots[i].entry);
	g_free(c->slots);
	g_free(c);
}

static struct slot *
cache_set(const struct mx_cache *c, guint hash)
{
	guint64 h = (hash ^ c->seed) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);

	return c->slots + (gsize)(((h >> 32) * c->sets) >> 32) * c->ways;
}

struct mx_entry *
mx_cache_find(const struct mx_cache *c, const char *domain, guint hash)
{
	struct slot *set = cache_set(c, hash);

	for (guint i = 0; i < c->ways; i++) {
		struct slot *s = &set[i];

		if (s->entry != NULL && s->hash == hash && strcmp(s->entry->domain, domain) == 0) {
			s->used = true;
			return s->entry;
		}
	}
	return NULL;
}

/* The slot of a set that a new domain takes: a free one, or one not used since its last turn. */
static struct slot *
cache_victim(struct mx_cache *c, struct slot *set)
{
	struct slot *s;

	for (guint i = 0; i < c->ways; i++)
		if (set[i].entry == NULL)
			return &set[i];
	while ((s = &set[c->hand++ % c->ways])->used) /* ends: the second turn finds it unused */
		s->used = false;
	return s;
}

/* The entry of a domain, a new one without an answer if need be. */
struct mx_entry *
mx_cache_add(struct mx_cache *c, const char *domain, guint hash)
{
	struct mx_entry *e = mx_cache_find(c, domain, hash);
	size_t size = strlen(domain) + 1;
	struct slot *s;

	if (e != NULL)
		return e;
	e = g_malloc0(sizeof *e + size);
	memcpy(e->domain, domain, size);
	s = cache_victim(c, cache_set(c, hash));
	entry_free(s->entry);
	*s = (struct slot){.hash = hash, .used = false, .entry = e};
	return e;
}
