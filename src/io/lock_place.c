/*
 * lock_place - where locks are set; see lock_place.h.
 *
 * Which of the two it is is asked anew each time, since Redis comes and goes.
 */
#include "io/lock_place.h"

#include "io/control_client.h"
#include "io/limiter_redis_locks.h"
#include "io/limiter_redis_settings.h"

#include <errno.h>
#include <unistd.h>

#define REDIS_WAIT_MS 3000

struct lock_place {
	struct limiter_redis *redis; /* NULL: none */
	char *redis_name;
	char *socket;
	char *version; /* of the locks that lock_place_refresh() has read from Redis; or NULL */
};

/* ---- life ---- */

static bool
open_redis(struct lock_place *p, const struct settings *s, char **why)
{
	struct limiter_redis_settings redis;

	limiter_redis_settings_from(s, &redis);
	p->redis = limiter_redis_new(&redis, why);
	limiter_redis_settings_clear(&redis);
	p->redis_name = s->redis.address != NULL
				? g_strdup_printf("Redis at %s", s->redis.address)
				: g_strdup_printf("Redis, master \"%s\" of its sentinels",
						  s->redis.sentinel_master);
	return p->redis != NULL;
}

struct lock_place *
lock_place_new(const struct settings *s, char **why)
{
	struct lock_place *p = g_new0(struct lock_place, 1);

	p->socket = control_client_path(s->state_dir);
	if (s->redis.used && !open_redis(p, s, why))
		g_clear_pointer(&p, lock_place_free);
	return p;
}

void
lock_place_free(struct lock_place *p)
{
	if (p == NULL)
		return;
	limiter_redis_free(p->redis);
	g_free(p->redis_name);
	g_free(p->socket);
	g_free(p->version);
	g_free(p);
}

bool
lock_place_wait(struct lock_place *p, char **why)
{
	char *reason = NULL;

	if (p->redis == NULL || limiter_redis_wait_up(p->redis, REDIS_WAIT_MS, &reason))
		return true;
	*why = g_strdup_printf("%s does not answer: %s", p->redis_name, reason);
	g_free(reason);
	return false;
}

static bool
redis_up(const struct lock_place *p)
{
	return p->redis != NULL && limiter_redis_up(p->redis);
}

char *
lock_place_where(struct lock_place *p)
{
	return g_strdup(redis_up(p) ? p->redis_name : "poolmilter on this node");
}

const struct limiter *
lock_place_limiter(struct lock_place *p)
{
	return p->redis != NULL ? limiter_redis_facade(p->redis) : NULL;
}

/* ---- requests ---- */

/* A connection to the daemon for one question; -1 with *why. */
static int
connect_daemon(const struct lock_place *p, char **why)
{
	int fd = control_client_connect(p->socket);

	if (fd < 0)
		*why = errno == ENOENT || errno == ECONNREFUSED
			       ? g_strdup("poolmilter is not running on this node")
			       : g_strdup_printf("%s: %s", p->socket, g_strerror(errno));
	return fd;
}

bool
lock_place_set(struct lock_place *p, const struct lock *l, bool *set, char **why)
{
	char *problem = NULL;
	bool ok;
	int fd;

	if (redis_up(p) && limiter_redis_lock_set(p->redis, l, g_get_real_time(), set, &problem))
		return true;
	g_free(problem); /* the driver logs its state itself */
	fd = connect_daemon(p, why);
	if (fd < 0)
		return false;
	ok = control_client_lock(fd, l, set, why);
	close(fd);
	return ok;
}

bool
lock_place_release(struct lock_place *p, const char *pool, const char *isp, bool *was, char **why)
{
	bool ok;
	int fd;

	if (p->redis != NULL)
		return limiter_redis_lock_release(p->redis, pool, isp, was, why);
	fd = connect_daemon(p, why);
	if (fd < 0)
		return false;
	ok = control_client_release(fd, pool, isp, was, why);
	close(fd);
	return ok;
}

bool
lock_place_forget(struct lock_place *p, const char *key, struct limit limit, char **why)
{
	return p->redis == NULL || limiter_redis_forget(p->redis, key, limit, why);
}

static GArray *
ask_daemon(struct lock_place *p, char **why)
{
	int fd = connect_daemon(p, why);
	GArray *locks = NULL;

	if (fd >= 0) {
		locks = control_client_locks(fd, why);
		close(fd);
	}
	return locks;
}

bool
lock_place_refresh(struct lock_place *p, struct lock_table *t, char **why)
{
	GArray *locks = NULL;
	bool ok;

	if (redis_up(p)) {
		ok = limiter_redis_lock_look(p->redis, g_get_real_time(), &p->version, &locks, why);
	} else {
		g_clear_pointer(&p->version, g_free);
		locks = ask_daemon(p, why);
		ok = locks != NULL;
	}
	if (locks != NULL) {
		lock_table_replace(t, locks);
		g_array_unref(locks);
	}
	return ok;
}

GArray *
lock_place_list(struct lock_place *p, char **why)
{
	struct lock_table *t = lock_table_new();
	GArray *locks = NULL;

	g_clear_pointer(&p->version, g_free);
	if (lock_place_refresh(p, t, why))
		locks = lock_table_list(t, g_get_real_time());
	lock_table_free(t);
	return locks;
}
