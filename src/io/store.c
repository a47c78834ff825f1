/*
 * store - a Redis server that all nodes share; see store.h.
 *
 * States: unknown (just made or changed: requests wait a little for the first news), up, down (the
 * breaker is open: requests fail at once).  The keeper, a thread, works while the state is not up:
 * it finds the server, tries the probe, and else waits longer each time, with jitter, 2 s at most.
 * While up it looks every second whether the sentinels, if there are any, name another master.
 * It alone asks name servers and sentinels; requests connect only to the place that it has found.
 *
 * What opens the breaker:
 *	a connection that cannot be made	the server is gone or is no master any more
 *	a timeout				it hangs; each further message would wait as long
 *	an error of the server			READONLY, LOADING, OOM: the next would get it too;
 *						not an error of one key (WRONGTYPE)
 *	a broken connection			if the next one breaks too: one may just have been
 *						closed
 *
 * Ownership: a connection belongs to the request that has borrowed it, or stands in idle.  The
 * generation rises when the server or the state changes; a connection of an older one is closed
 * instead of being given back.
 */
#include "io/store.h"

#include "base/log.h"
#include "base/thread.h"
#include "io/store_reach.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS ((gint64)1000)
#define RETRY_MIN (50 * MS)
#define RETRY_MAX (1600 * MS)     /* and a quarter of jitter: 2 s */
#define RETRY_STEPS 5             /* doublings from one to the other */
#define STEADY (1000 * MS)        /* up for so long: the next failure is a new one */
#define FAILOVER_LOOK (1000 * MS) /* between questions to the sentinels */
#define BROKEN_MAX 2              /* broken connections in a row */

enum state {
	STATE_UNKNOWN,
	STATE_UP,
	STATE_DOWN,
};

struct store {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a connection came back, or the state changed */
	pthread_cond_t work;    /* for the keeper */
	pthread_t keeper;
	struct store_config *config;
	enum state state;
	struct store_place place; /* while up */
	guint generation;
	GPtrArray *idle; /* of struct store_link *, the last used at the end */
	guint open;      /* connections, idle and borrowed, and those being made */
	guint broken;    /* in a row */
	char *why;       /* while down */
	gint64 since;    /* of the state */
	gint64 next_try;
	guint tries;
	unsigned seed; /* of the jitter; the keeper's */
	bool stopping;
};

/* A request's way through. */
struct turn {
	struct store_config *config;
	struct store_place place;
	guint generation;
	struct store_link *link;
	gint64 start;
	gint64 connect_until; /* the command needs time as well */
	gint64 deadline;
};

/* ---- states; the lock is held ---- */

static void
close_idle(struct store *s)
{
	for (guint i = 0; i < s->idle->len; i++)
		store_link_close(g_ptr_array_index(s->idle, i));
	s->open -= s->idle->len;
	g_ptr_array_set_size(s->idle, 0);
}

static void
set_state(struct store *s, enum state state, const char *why)
{
	char *copy = g_strdup(why);

	g_free(s->why);
	s->why = copy;
	s->state = state;
	s->since = g_get_monotonic_time();
	s->broken = 0;
	s->generation++;
	close_idle(s);
	pthread_cond_broadcast(&s->changed);
	pthread_cond_signal(&s->work);
}

static void
go_down(struct store *s, const char *why)
{
	gint64 now = g_get_monotonic_time();

	if (s->state == STATE_UP && now - s->since >= STEADY)
		s->tries = 0;
	s->next_try = s->tries == 0 ? now : s->next_try;
	set_state(s, STATE_DOWN, why);
	log_line(LOG_WARNING, "redis: down: %s", why);
}

static void
go_up(struct store *s, const struct store_place *place)
{
	gint64 down = g_get_monotonic_time() - s->since;
	bool was_down = s->state == STATE_DOWN;

	set_state(s, STATE_UP, NULL);
	s->place = *place;
	if (was_down)
		log_line(LOG_NOTICE, "redis: up at %s after %.1f s", place->text,
			 (double)down / G_USEC_PER_SEC);
	else
		log_line(LOG_NOTICE, "redis: up at %s", place->text);
}

/* ---- the keeper ---- */

static gint64
pause_before_retry(struct store *s)
{
	gint64 pause = RETRY_MIN << MIN(s->tries, RETRY_STEPS);

	s->tries++;
	return pause + rand_r(&s->seed) % (pause / 4);
}

static void
wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, gint64 when)
{
	struct timespec t = {when / G_USEC_PER_SEC, when % G_USEC_PER_SEC * 1000};

	pthread_cond_timedwait(cond, lock, &t);
}

/* The outcome of an attempt. */
static void
sought(struct store *s, struct store_link *link, const struct store_place *place, const char *why)
{
	s->next_try = g_get_monotonic_time() + pause_before_retry(s);
	if (link != NULL) {
		go_up(s, place);
		g_ptr_array_add(s->idle, link);
		s->open++;
	} else if (s->state == STATE_UNKNOWN) {
		go_down(s, why);
	} else {
		g_free(s->why); /* the newest reason, without a line of its own */
		s->why = g_strdup(why);
	}
}

/* One attempt; the lock is held before and after. */
static void
seek(struct store *s)
{
	struct store_config *config = store_config_ref(s->config);
	struct store_place place;
	struct store_link *link;
	char *why;

	pthread_mutex_unlock(&s->lock);
	link = store_reach(config, &place, &why);
	pthread_mutex_lock(&s->lock);
	if (s->config == config)
		sought(s, link, &place, why);
	else
		store_link_close(link); /* there are other settings meanwhile */
	g_free(why);
	store_config_unref(config);
}

/* Looks whether the sentinels have another master by now; the lock is held before and after. */
static void
look_for_failover(struct store *s)
{
	struct store_config *config = store_config_ref(s->config);
	struct store_place place = s->place;
	bool elsewhere;

	pthread_mutex_unlock(&s->lock);
	elsewhere = store_reach_elsewhere(config, &place);
	pthread_mutex_lock(&s->lock);
	if (elsewhere && s->state == STATE_UP && s->config == config) {
		s->tries = 0;
		s->next_try = 0;
		set_state(s, STATE_UNKNOWN, NULL);
	}
	store_config_unref(config);
}

/* Waits while there is nothing to do; the lock is held. */
static void
rest(struct store *s)
{
	gint64 until = g_get_monotonic_time() + FAILOVER_LOOK;

	if (s->config->sentinels[0] == NULL) {
		pthread_cond_wait(&s->work, &s->lock);
		return;
	}
	wait_until(&s->work, &s->lock, until);
	if (s->state == STATE_UP && !s->stopping && g_get_monotonic_time() >= until)
		look_for_failover(s);
}

static void *
keep(void *context)
{
	struct store *s = context;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		if (s->state == STATE_UP)
			rest(s);
		else if (g_get_monotonic_time() < s->next_try)
			wait_until(&s->work, &s->lock, s->next_try);
		else
			seek(s);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- connections ---- */

/*
 * Waits until there is a connection, or room for one, in state up.  The lock is held.  False with
 * *why.
 */
static bool
await_turn(struct store *s, gint64 start, gint64 patience, char **why)
{
	while (s->state != STATE_DOWN) {
		gint64 until = start + patience / 2; /* the rest needs time as well */

		if (s->state == STATE_UP &&
		    (s->idle->len > 0 || s->open < s->config->connections))
			return true;
		if (g_get_monotonic_time() < until) {
			wait_until(&s->changed, &s->lock, until);
		} else if (s->state == STATE_UNKNOWN) {
			go_down(s, "no connection yet");
		} else {
			*why = g_strdup_printf("all %u connections are busy",
					       s->config->connections);
			return false;
		}
	}
	*why = g_strdup_printf("down: %s", s->why);
	return false;
}

/* Takes an idle connection, or the right to open one: then t->link is NULL. */
static bool
borrow(struct store *s, struct turn *t, gint64 patience, char **why)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	if (patience == 0)
		patience = s->config->command_timeout;
	t->connect_until = t->start + patience / 4 * 3;
	t->deadline = t->start + patience;
	ok = await_turn(s, t->start, patience, why);
	if (ok) {
		t->config = store_config_ref(s->config);
		t->place = s->place;
		t->generation = s->generation;
		if (s->idle->len > 0)
			t->link = g_ptr_array_steal_index(s->idle, s->idle->len - 1);
		else
			s->open++; /* the right to make one */
	}
	pthread_mutex_unlock(&s->lock);
	return ok;
}

static bool
connect_anew(struct turn *t, char **why)
{
	gint64 until = g_get_monotonic_time() + t->config->connect_timeout;

	store_link_close(t->link);
	t->link = store_reach_place(t->config, &t->place, MIN(until, t->connect_until), why);
	return t->link != NULL;
}

/* Errors that one request's key or numbers can cause: the next request may do better. */
static bool
is_of_request(const char *error)
{
	return strstr(error, "WRONGTYPE") != NULL || strstr(error, "poolmilter: damaged") != NULL;
}

/* The state after an answer; the lock is held, and it is this generation's. */
static void
judge(struct store *s, enum store_answer answer, const char *why)
{
	switch (answer) {
	case STORE_DONE:
		s->broken = 0;
		break;
	case STORE_LOST:
		if (++s->broken >= BROKEN_MAX)
			go_down(s, why);
		break;
	case STORE_ERROR:
		if (is_of_request(why))
			break;
		/* fall through */
	case STORE_NOT_SENT:
	case STORE_TIMEOUT:
		go_down(s, why);
		break;
	}
}

static void
give_back(struct store *s, struct turn *t, enum store_answer answer, const char *why)
{
	bool keep = (answer == STORE_DONE || answer == STORE_ERROR) && store_link_clean(t->link);

	pthread_mutex_lock(&s->lock);
	if (t->generation == s->generation)
		judge(s, answer, why);
	keep = keep && t->generation == s->generation && s->open <= s->config->connections;
	if (keep) {
		g_ptr_array_add(s->idle, t->link);
		t->link = NULL;
	} else {
		s->open--;
	}
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
	store_link_close(t->link);
	store_config_unref(t->config);
}

/* ---- requests ---- */

/* From now on requests go to where the server has sent one (its cluster was changed). */
static void
move(struct store *s, struct turn *t)
{
	pthread_mutex_lock(&s->lock);
	if (t->generation == s->generation) {
		s->place = t->place;
		s->generation++;
		close_idle(s);
		t->generation = s->generation;
	}
	pthread_mutex_unlock(&s->lock);
}

static enum store_answer
follow(struct turn *t, const struct store_request *request, const struct store_place *place,
       redisReply **reply, char **why)
{
	g_clear_pointer(why, g_free);
	t->place = *place;
	return connect_anew(t, why) ? store_link_run(t->link, request, t->deadline, reply, why)
				    : STORE_NOT_SENT;
}

static void
add_place(const struct turn *t, char **why)
{
	char *text = *why;

	*why = g_strdup_printf("%s: %s", t->place.text, text);
	g_free(text);
}

static enum store_answer
run(struct store *s, struct turn *t, const struct store_request *request, redisReply **reply,
    char **why)
{
	bool old = t->link != NULL && store_link_fresh(t->link);
	struct store_place moved;
	enum store_answer answer;

	if (!old && !connect_anew(t, why))
		return STORE_NOT_SENT;
	answer = store_link_run(t->link, request, t->deadline, reply, why);
	if (answer == STORE_NOT_SENT && old) {
		g_clear_pointer(why, g_free);
		if (connect_anew(t, why))
			answer = store_link_run(t->link, request, t->deadline, reply, why);
	}
	if (answer == STORE_ERROR && store_reach_moved(*why, &moved)) {
		answer = follow(t, request, &moved, reply, why);
		if (answer == STORE_DONE)
			move(s, t);
	}
	if (answer == STORE_ERROR)
		add_place(t, why);
	return answer;
}

enum store_result
store_ask(struct store *s, const struct store_request *request, gint64 patience,
	  struct redisReply **reply, char **why)
{
	struct turn t = {.start = g_get_monotonic_time()};
	enum store_answer answer;

	*reply = NULL;
	*why = NULL;
	if (!borrow(s, &t, patience, why))
		return STORE_REFUSED;
	answer = run(s, &t, request, reply, why);
	give_back(s, &t, answer, *why);
	switch (answer) {
	case STORE_DONE:
		return STORE_REPLIED;
	case STORE_TIMEOUT:
	case STORE_LOST:
		return STORE_UNCERTAIN;
	case STORE_ERROR:
	case STORE_NOT_SENT:
		break;
	}
	return STORE_REFUSED;
}

bool
store_up(struct store *s)
{
	bool up;

	pthread_mutex_lock(&s->lock);
	up = s->state == STATE_UP;
	pthread_mutex_unlock(&s->lock);
	return up;
}

bool
store_wait_up(struct store *s, gint64 patience, char **why)
{
	gint64 until = g_get_monotonic_time() + patience;
	bool up;

	pthread_mutex_lock(&s->lock);
	while (s->state != STATE_UP && g_get_monotonic_time() < until)
		wait_until(&s->changed, &s->lock, until);
	up = s->state == STATE_UP;
	*why = up ? NULL : g_strdup(s->state == STATE_DOWN ? s->why : "no connection yet");
	pthread_mutex_unlock(&s->lock);
	return up;
}

/* ---- life ---- */

static void
init_conditions(struct store *s)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* g_get_monotonic_time()'s */
	pthread_cond_init(&s->changed, &attributes);
	pthread_cond_init(&s->work, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void
destroy(struct store *s)
{
	close_idle(s);
	g_ptr_array_free(s->idle, TRUE);
	store_config_unref(s->config);
	pthread_cond_destroy(&s->changed);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	g_free(s->why);
	g_free(s);
}

struct store *
store_new(const struct store_settings *settings, const struct store_request *probe, char **why)
{
	struct store_config *config = store_config_new(settings, probe, why);
	struct store *s;
	int error;

	if (config == NULL)
		return NULL;
	s = g_new0(struct store, 1);
	s->config = config;
	s->idle = g_ptr_array_new();
	s->seed = g_random_int();
	s->since = g_get_monotonic_time();
	pthread_mutex_init(&s->lock, NULL);
	init_conditions(s);
	error = thread_start(&s->keeper, keep, s);
	if (error != 0) {
		*why = g_strdup_printf("pthread_create: %s", g_strerror(error));
		destroy(s);
		return NULL;
	}
	return s;
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->keeper, NULL);
	destroy(s);
}

bool
store_change(struct store *s, const struct store_settings *settings,
	     const struct store_request *probe, char **why)
{
	struct store_config *config = store_config_new(settings, probe, why), *old;

	if (config == NULL)
		return false;
	pthread_mutex_lock(&s->lock);
	old = s->config;
	s->config = config;
	if (!store_config_same_server(old, config)) {
		s->tries = 0;
		s->next_try = 0;
		set_state(s, STATE_UNKNOWN, NULL);
	}
	pthread_cond_broadcast(&s->changed); /* there may be room for more connections */
	pthread_mutex_unlock(&s->lock);
	store_config_unref(old);
	return true;
}
