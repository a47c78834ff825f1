/*
 * counters - where the counters of a configuration are; see counters.h.
 *
 * Three sources: Redis, the daemon, the file that a daemon left.  One is chosen when they are
 * opened, and stays: what is told of them is of one place.  The file is only looked at.  To reset a
 * key in it would need no daemon to start meanwhile, which nobody here can promise.
 */
#include "ctl/counters.h"
#include "base/log.h"
#include "core/tally_table.h"
#include "io/control_client.h"
#include "io/event_db.h"
#include "io/limiter_redis.h"
#include "io/limiter_redis_settings.h"
#include "io/state_file.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REDIS_WAIT_MS 3000

struct counters {
	const struct settings *settings;
	char *where;
	struct limiter_redis *redis;    /* of Redis; else NULL */
	char *socket;                   /* of the daemon; else NULL */
	struct limiter_memory *limiter; /* of the file; else NULL */
	struct tally_table *tallies;    /* with limiter */
};

/* ---- Redis ---- */

static char *
redis_name(const struct settings *s)
{
	if (s->redis.address != NULL)
		return g_strdup_printf("Redis at %s", s->redis.address);
	return g_strdup_printf("Redis, master \"%s\" of its sentinels", s->redis.sentinel_master);
}

static struct limiter_redis *
redis_new(const struct settings *s, char **why)
{
	struct limiter_redis_settings redis;
	struct limiter_redis *l;

	limiter_redis_settings_from(s, &redis);
	l = limiter_redis_new(&redis, why);
	limiter_redis_settings_clear(&redis);
	return l;
}

static bool
open_redis(struct counters *c, char **why)
{
	char *reason = NULL;

	log_set_level(LOG_ERR); /* a tool says itself that Redis is down */
	c->where = redis_name(c->settings);
	c->redis = redis_new(c->settings, &reason);
	if (c->redis != NULL && limiter_redis_wait_up(c->redis, REDIS_WAIT_MS, &reason))
		return true;
	*why = g_strdup_printf("%s does not answer: %s", c->where, reason);
	g_free(reason);
	return false;
}

/* ---- this node ---- */

static char *
not_allowed(const struct settings *s, const char *path)
{
	const struct passwd *pw;
	struct stat st;

	if (s->user != NULL)
		return g_strdup_printf("%s: permission denied: run as root or as %s", path,
				       s->user);
	pw = stat(s->state_dir, &st) == 0 ? getpwuid(st.st_uid) : NULL;
	return g_strdup_printf("%s: permission denied: run as root or as %s", path,
			       pw != NULL ? pw->pw_name : "the user of poolmilter");
}

/* A descriptor of the daemon's socket; -1 with *why, or with NULL there if nobody listens. */
static int
connect_daemon(const struct settings *s, const char *path, char **why)
{
	int fd = control_client_connect(path);

	*why = NULL;
	if (fd >= 0 || errno == ENOENT || errno == ECONNREFUSED)
		return fd;
	if (errno == EACCES || errno == EPERM)
		*why = not_allowed(s, path);
	else
		*why = g_strdup_printf("%s: %s", path,
				       errno == EAGAIN ? "too many ask there at a time"
						       : g_strerror(errno));
	return -1;
}

/* False without *why: no daemon is there. */
static bool
open_daemon(struct counters *c, char **why)
{
	char *path = control_client_path(c->settings->state_dir);
	int fd = connect_daemon(c->settings, path, why);

	if (fd < 0) {
		g_free(path);
		return false;
	}
	close(fd);
	c->socket = path;
	c->where = g_strdup("poolmilter on this node");
	return true;
}

static bool
read_file(struct counters *c, const char *path, char **why)
{
	struct buf text = BUF_INIT;
	const char *problem = NULL;
	bool ok = state_file_read(path, LIMITER_STATE_MAX, &text, why);

	if (ok && text.len > 0 &&
	    !limiter_memory_read(c->limiter, c->tallies, g_get_real_time(), text.data, text.len,
				 &problem)) {
		*why = g_strdup_printf("%s: %s", path, problem);
		ok = false;
	}
	buf_free(&text);
	return ok;
}

static bool
open_file(struct counters *c, char **why)
{
	char *path = g_strconcat(c->settings->state_dir, "/" LIMITER_STATE_NAME, NULL);
	bool ok;

	c->limiter = limiter_memory_new(1, NULL, NULL);
	c->tallies = tally_table_new(TALLY_KEYS_MAX);
	c->where = g_strdup_printf("%s, poolmilter is not running", path);
	if (access(path, R_OK) != 0 && errno == EACCES) {
		*why = not_allowed(c->settings, path);
		ok = false;
	} else {
		ok = read_file(c, path, why);
	}
	g_free(path);
	return ok;
}

/* ---- all of them ---- */

static struct counters *
counters_new(const struct settings *s)
{
	struct counters *c = g_new0(struct counters, 1);

	c->settings = s;
	return c;
}

struct counters *
counters_open(const struct settings *s, char **why)
{
	struct counters *c = counters_new(s);
	bool ok;

	*why = NULL;
	if (s->redis.used)
		ok = open_redis(c, why);
	else
		ok = open_daemon(c, why) || (*why == NULL && open_file(c, why));
	if (!ok)
		g_clear_pointer(&c, counters_close);
	return c;
}

struct counters *
counters_open_node(const struct settings *s, char **why)
{
	struct counters *c = counters_new(s);

	if (open_daemon(c, why))
		return c;
	if (*why == NULL)
		*why = g_strdup("poolmilter is not running on this node");
	counters_close(c);
	return NULL;
}

const char *
counters_where(const struct counters *c)
{
	return c->where;
}

void
counters_close(struct counters *c)
{
	if (c == NULL)
		return;
	limiter_redis_free(c->redis);
	limiter_memory_free(c->limiter);
	tally_table_free(c->tallies);
	g_free(c->socket);
	g_free(c->where);
	g_free(c);
}

/* A connection for one question; -1 with *why. */
static int
ask_daemon(struct counters *c, char **why)
{
	int fd = connect_daemon(c->settings, c->socket, why);

	if (fd < 0 && *why == NULL)
		*why = g_strdup("poolmilter has stopped");
	return fd;
}

bool
counters_each_limit(struct counters *c, void (*each)(const struct limiter_use *use, void *context),
		    void *context, char **why)
{
	bool ok;
	int fd;

	if (c->redis != NULL)
		return limiter_redis_each(c->redis, each, context, why);
	if (c->limiter != NULL) {
		limiter_memory_each(c->limiter, each, context);
		return true;
	}
	fd = ask_daemon(c, why);
	if (fd < 0)
		return false;
	ok = control_client_limits(fd, each, context, why);
	close(fd);
	return ok;
}

struct tallies_visit {
	const char *start;
	void (*each)(const char *key, const char *field, int64_t value, void *context);
	void *context;
};

static void
visit_tally(const char *key, const char *field, int64_t value, void *context)
{
	const struct tallies_visit *v = context;

	if (g_str_has_prefix(key, v->start))
		v->each(key, field, value, v->context);
}

static bool
each_of_messages(struct counters *c, const char *start,
		 void (*each)(const char *key, const char *field, int64_t value, void *context),
		 void *context, char **why)
{
	struct tallies_visit v = {start, each, context};
	bool ok;
	int fd;

	if (c->redis != NULL)
		return limiter_redis_each_tally(c->redis, start, each, context, why);
	if (c->tallies != NULL) {
		tally_table_each(c->tallies, visit_tally, &v);
		return true;
	}
	fd = ask_daemon(c, why);
	if (fd < 0)
		return false;
	ok = control_client_tallies(fd, start, each, context, why);
	close(fd);
	return ok;
}

/* Those of events that this node has and, with Redis, has not brought there. */
static bool
each_of_events(struct counters *c, const char *start,
	       void (*each)(const char *key, const char *field, int64_t value, void *context),
	       void *context, char **why)
{
	char *path = g_build_filename(c->settings->state_dir, EVENT_DB_NAME, NULL);
	struct event_db *db = NULL;
	bool ok = true;

	if (access(path, R_OK) == 0) {
		db = event_db_open(c->settings->state_dir, EVENT_DB_READ, why);
		ok = db != NULL && event_db_each_tally(db, start, each, context, why);
		event_db_close(db);
	} else if (errno == EACCES && c->redis == NULL) {
		*why = not_allowed(c->settings, path);
		ok = false;
	}
	g_free(path);
	return ok;
}

bool
counters_each_tally(struct counters *c, const char *start,
		    void (*each)(const char *key, const char *field, int64_t value, void *context),
		    void *context, char **why)
{
	return each_of_messages(c, start, each, context, why) &&
	       each_of_events(c, start, each, context, why);
}

bool
counters_reset(struct counters *c, const char *key, guint *forgotten, char **why)
{
	bool ok;
	int fd;

	if (c->redis != NULL)
		return limiter_redis_reset(c->redis, key, forgotten, why);
	if (c->limiter != NULL) {
		*why = g_strdup("poolmilter is not running: start it, then reset");
		return false;
	}
	fd = ask_daemon(c, why);
	if (fd < 0)
		return false;
	ok = control_client_reset(fd, key, forgotten, why);
	close(fd);
	return ok;
}
