/*
 * shared_limiter - the limiter that all nodes share; see shared_limiter.h.
 *
 * The driver is made once and never freed: messages that began under older settings may still ask it.
 * Settings without a group redis leave it as it is; nobody asks it then.
 *
 * Two things keep the limits when Redis goes and comes.  What Redis allows is recorded with this node's
 * own limiter too, so that this knows what the node has sent lately when it has to take over.  And what
 * is allowed without Redis is remembered as owed, and told to Redis when it is up again: its windows
 * then hold all that was sent, counted from that moment on, so for a little longer than it was.
 */
#include "daemon/shared_limiter.h"
#include "daemon/signals.h"
#include "io/limiter_redis_settings.h"

#include <pthread.h>
#include <string.h>

#define OWED_MAX 100000 /* keys; more are forgotten */
#define SETTLE_KEYS 100 /* in one step */

static struct limiter_redis *driver; /* atomic */
static const struct limiter *own;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *owed; /* a set of struct charge *; the lock is held */

struct limiter_redis *
shared_limiter_redis(void)
{
	return __atomic_load_n(&driver, __ATOMIC_ACQUIRE);
}

/* ---- what Redis is owed ---- */

static guint
charge_hash(gconstpointer p)
{
	const struct charge *c = p;

	return g_str_hash(c->key) ^ c->limit.most ^ c->limit.seconds << 16;
}

static gboolean
charge_equal(gconstpointer p, gconstpointer q)
{
	const struct charge *a = p, *b = q;

	return a->limit.most == b->limit.most && a->limit.seconds == b->limit.seconds &&
	       strcmp(a->key, b->key) == 0;
}

static void
charge_free(void *p)
{
	g_free((char *)((struct charge *)p)->key);
	g_free(p);
}

static GHashTable *
charges_new(void)
{
	return g_hash_table_new_full(charge_hash, charge_equal, charge_free, NULL);
}

/* The lock is held. */
static void
owe(const struct charge *charge)
{
	struct charge *c = g_hash_table_lookup(owed, charge);

	if (c == NULL && g_hash_table_size(owed) < OWED_MAX) {
		c = g_new(struct charge, 1);
		*c = (struct charge){g_strdup(charge->key), charge->limit, 0};
		g_hash_table_add(owed, c);
	}
	if (c != NULL)
		c->amount += MIN(charge->amount, G_MAXUINT32 - c->amount);
}

static void
owe_all(const struct charge *charges, guint n)
{
	pthread_mutex_lock(&lock);
	for (guint i = 0; i < n; i++)
		owe(&charges[i]);
	pthread_mutex_unlock(&lock);
}

/* Takes all that is owed; NULL: nothing. */
static GHashTable *
take_owed(void)
{
	GHashTable *taken = NULL;

	pthread_mutex_lock(&lock);
	if (g_hash_table_size(owed) > 0) {
		taken = owed;
		owed = charges_new();
	}
	pthread_mutex_unlock(&lock);
	return taken;
}

/* True if Redis has them, or may have: then they are not told again. */
static bool
tell(const struct limiter *redis, const struct charge *charges, guint n)
{
	const struct limiter_request request = {
		.charges = charges, .n_charges = n, .mode = LIMITER_RECORD};
	struct limiter_result result;
	enum limiter_answer answer = redis->ask(redis->context, &request, &result);

	g_free(result.why); /* the driver logs its state itself */
	return answer != LIMITER_FAILED;
}

static void
settle(const struct limiter *redis, GHashTable *taken)
{
	struct charge charges[SETTLE_KEYS];
	GHashTableIter iter;
	gpointer c;
	bool up = true;
	guint n = 0, left = g_hash_table_size(taken);

	g_hash_table_iter_init(&iter, taken);
	while (g_hash_table_iter_next(&iter, &c, NULL)) {
		charges[n++] = *(struct charge *)c;
		left--;
		if (n < SETTLE_KEYS && left > 0)
			continue;
		up = up && tell(redis, charges, n);
		if (!up)
			owe_all(charges, n);
		n = 0;
	}
}

/* In the signal thread: waits for Redis. */
static void
settle_owed(void)
{
	struct limiter_redis *l = shared_limiter_redis();
	GHashTable *taken;

	if (l == NULL || !limiter_redis_up(l))
		return;
	taken = take_owed();
	if (taken == NULL)
		return;
	settle(limiter_redis_facade(l), taken);
	g_hash_table_destroy(taken);
}

/* ---- facades ---- */

static enum limiter_answer
ask_redis(const struct limiter_request *request, struct limiter_result *result)
{
	struct limiter_redis *l = shared_limiter_redis();
	const struct limiter *facade;

	if (l == NULL) {
		*result = (struct limiter_result){.why = g_strdup("no Redis")};
		return LIMITER_FAILED;
	}
	facade = limiter_redis_facade(l);
	return facade->ask(facade->context, request, result);
}

static enum limiter_answer
ask(void *context, const struct limiter_request *request, struct limiter_result *result)
{
	enum limiter_answer answer = ask_redis(request, result);
	struct limiter_request record = *request;
	struct limiter_result ignored;

	(void)context;
	if (answer == LIMITER_ALLOWED && request->mode == LIMITER_CHARGE) {
		record.mode = LIMITER_RECORD;
		(void)own->ask(own->context, &record, &ignored);
		g_free(ignored.why);
	}
	return answer;
}

const struct limiter *
shared_limiter_facade(void)
{
	static const struct limiter facade = {ask, NULL};

	return &facade;
}

static enum limiter_answer
ask_local(void *context, const struct limiter_request *request, struct limiter_result *result)
{
	enum limiter_answer answer = own->ask(own->context, request, result);

	(void)context;
	if (answer == LIMITER_ALLOWED && request->mode == LIMITER_CHARGE)
		owe_all(request->charges, request->n_charges);
	return answer;
}

const struct limiter *
shared_limiter_local(void)
{
	static const struct limiter facade = {ask_local, NULL};

	return &facade;
}

void
shared_limiter_end(void)
{
	settle_owed();
}

/* ---- settings ---- */

void
shared_limiter_begin(struct limiter_memory *local)
{
	own = limiter_memory_facade(local);
	owed = charges_new();
}

/* The first messages should find a connection; without one Redis would count as down for them. */
static void
await(struct limiter_redis *l, guint timeout_ms)
{
	char *why = NULL;

	(void)limiter_redis_wait_up(l, timeout_ms, &why);
	g_free(why); /* the driver logs its state itself */
}

bool
shared_limiter_change(const struct settings *s, char **why)
{
	struct limiter_redis *l = shared_limiter_redis();
	struct limiter_redis_settings redis;
	bool ok;

	if (!s->redis.used)
		return true;
	limiter_redis_settings_from(s, &redis);
	if (l != NULL) {
		ok = limiter_redis_change(l, &redis, why);
	} else {
		l = limiter_redis_new(&redis, why);
		__atomic_store_n(&driver, l, __ATOMIC_RELEASE);
		ok = l != NULL;
	}
	if (ok)
		await(l, redis.store.connect_timeout_ms);
	limiter_redis_settings_clear(&redis);
	signals_every(1, settle_owed);
	return ok;
}
