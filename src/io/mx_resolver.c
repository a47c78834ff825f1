/*
 * mx_resolver - MX hosts from the DNS; see mx_resolver.h for the contract.
 *
 * Threads.  One thread of ours ("the thread" below) is the only one that talks to libunbound: it
 * hands questions over, collects answers, gives up, probes.  libunbound runs a second one that
 * does the network.  Callers look into the cache, put questions into a queue, wake the thread
 * through a pipe and wait for their question's condition.  One lock guards everything but r->ctx,
 * which is the thread's own; it is never held while libunbound works or a caller's each() runs.
 *
 *
 * Cache (mx_cache.h).
 *
 *	fresh			used
 *	expired < stale_now	used, and asked again meanwhile: nobody waits for a popular domain
 *	expired < stale_last	asked again; used if that fails
 *
 * Questions.  One for each domain at a time, however many callers wait for it.  A caller that
 * waited in vain marks it late: nobody waits for it any more, but its answer is still welcome.
 *
 * Breaker.  What libunbound tells of a server that is dead, of one that is cut off from the world,
 * and of one bad zone is the same: SERVFAIL, or nothing.  So domains are counted that failed or
 * came late in a row with no timely answer between.  At ROW_SUSPECT of them the server is asked a
 * control question that any resolver can answer, the name servers of the root: no answer opens the
 * breaker, and an answer to anything closes it.  If it has an answer, only zones are bad, until at
 * ROW_HOPELESS the control question is seen to prove nothing (a local cache, cut off, still knows
 * the root); then the breaker opens too and only an answer about a domain closes it.  A probe is
 * the control question and the domain that was looked up last; no message waits for either.
 *
 * libunbound backs off from dead servers on its own, remembers that by the wall clock, and has a
 * cache. A control question begins with a fresh context, so that nothing of this is in its way.
 *
 * What can fail: only setting up, told in *why.  Memory is bounded by cache_entries x
 * (HOSTS_OCTETS + a domain name) at the worst, about 200 octets for each domain commonly.
 * libunbound opens its sockets without close-on-exec; nothing here runs other programs.
 */
#include "io/mx_resolver.h"

#include "base/log.h"
#include "base/thread.h"
#include "io/mx_cache.h"
#include "io/mx_context.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

#define ROW_SUSPECT 3
#define ROW_HOPELESS 12
#define CLASS_IN 1
#define TYPE_NS 2
#define TYPE_MX 15
#define RCODE_NOERROR 0
#define RCODE_NXDOMAIN 3

#define SECOND ((gint64)G_USEC_PER_SEC)
const struct mx_tuning mx_tuning_default = {
	.ttl_min = 30 * SECOND,
	.ttl_max = 86400 * SECOND,
	.negative_max = 3600 * SECOND,
	.failure_hold = 30 * SECOND,
	.stale_now = 3600 * SECOND,
	.stale_last = 86400 * SECOND,
	.patience = 2 * SECOND,
	.control_max = 1 * SECOND,
	.question_max = 10 * SECOND,
	.probe_min = 1 * SECOND,
	.probe_max = 5 * SECOND, /* a server that comes back is used within so long */
	.questions = 1000,
	.resolv_conf = "/etc/resolv.conf",
};

struct question {
	struct mx_resolver *resolver;
	char *domain; /* NULL: the control question */
	gint64 asked;
	bool submitted;          /* in r->asked, else in r->fresh */
	int id;                  /* libunbound's */
	bool late;               /* nobody waits for it any more */
	bool counted;            /* as a failure of the server */
	struct mx_hosts *answer; /* NULL until done */
	unsigned references;
	pthread_cond_t done;
};

struct breaker {
	bool open;
	bool control_counts;        /* an answer to the control question closes it */
	gint64 since;               /* the last change of open */
	guint row;                  /* domains that failed, with no timely answer between */
	guint row_checked;          /* of them, when the control question was answered */
	guint recent[ROW_HOPELESS]; /* their hashes */
	gint64 interval, next;      /* of probes */
	char *wanted;               /* a domain that was looked up while open, or NULL */
};

struct mx_resolver {
	struct resolver facade;
	struct mx_tuning tuning;
	pthread_mutex_t lock;
	pthread_cond_t left; /* callers became 0 */
	unsigned callers;    /* waiting in mx() */
	char *server;        /* NULL: resolv.conf */
	struct mx_cache *cache;
	guint cache_entries;
	GHashTable *questions; /* of domains: domain -> struct question, each in one of: */
	GQueue fresh, asked;   /* oldest first */
	struct question *control;
	struct breaker breaker;
	gint64 longest;      /* that a caller was ready to wait */
	struct ub_ctx *next; /* replaces ctx; NULL: none */
	bool stop;
	int wake[2];
	pthread_t thread;
	struct ub_ctx *ctx; /* the thread's; NULL if it broke and there is no new one yet */
};

/* ---- what the cache says; the lock is held ---- */

/* True if the entry's answer may stand in when the DNS fails. */
static bool
usable_at_last(const struct mx_resolver *r, const struct mx_entry *e, gint64 now)
{
	return e != NULL && e->answer->what != MX_FAILED && now < e->expired + r->tuning.stale_last;
}

static bool
is_fresh(const struct mx_resolver *r, const struct mx_entry *e, gint64 now)
{
	if (now >= e->fresh_until)
		return false;
	if (e->answer->what == MX_FAILED) /* of the time before the server came back: forgotten */
		return e->expired >= r->breaker.since;
	return now < e->expired + r->tuning.stale_last;
}

static void
remember(struct mx_resolver *r, const char *domain, struct mx_hosts *a, gint64 ttl, gint64 now)
{
	struct mx_entry *e = mx_cache_add(r->cache, domain, g_str_hash(domain));
	gint64 longest = a->what == MX_NONE ? r->tuning.negative_max : r->tuning.ttl_max;

	if (a == &mx_hosts_failed && ttl == 0) {
		e->fresh_until = now + r->tuning.failure_hold;
		if (e->answer != NULL && usable_at_last(r, e, now))
			return; /* better than none */
		e->expired = now;
	} else {
		e->fresh_until = e->expired = now + CLAMP(ttl, r->tuning.ttl_min, longest);
	}
	mx_hosts_unref(e->answer);
	e->answer = mx_hosts_ref(a);
}

/* ---- questions; the lock is held ---- */

static void
wake_thread(struct mx_resolver *r)
{
	ssize_t n;

	do
		n = write(r->wake[1], "", 1); /* a full pipe wakes as well */
	while (n < 0 && errno == EINTR);
}

static struct question *
question_new(struct mx_resolver *r, const char *domain, gint64 now)
{
	struct question *q = g_new0(struct question, 1);
	pthread_condattr_t attributes;

	q->resolver = r;
	q->domain = g_strdup(domain);
	q->asked = now;
	q->references = 1;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&q->done, &attributes);
	pthread_condattr_destroy(&attributes);
	if (domain != NULL) {
		g_queue_push_tail(&r->fresh, q);
		g_hash_table_insert(r->questions, q->domain, q);
	} else {
		g_queue_push_head(&r->fresh, q); /* others must not make it wait */
	}
	wake_thread(r);
	return q;
}

static void
question_unref(struct question *q)
{
	if (--q->references > 0)
		return;
	mx_hosts_unref(q->answer);
	pthread_cond_destroy(&q->done);
	g_free(q->domain);
	g_free(q);
}

/* Ends a question: who waits for it gets the answer. */
static void
question_end(struct question *q, struct mx_hosts *a)
{
	struct mx_resolver *r = q->resolver;

	if (q->domain != NULL)
		g_hash_table_remove(r->questions, q->domain);
	else
		r->control = NULL;
	g_queue_remove(q->submitted ? &r->asked : &r->fresh, q);
	q->answer = mx_hosts_ref(a);
	pthread_cond_broadcast(&q->done);
	question_unref(q);
}

/* Remembers a domain for the next probe. */
static void
want(struct mx_resolver *r, const char *domain)
{
	struct breaker *b = &r->breaker;

	if (b->wanted == NULL)
		wake_thread(r);
	else if (strcmp(b->wanted, domain) == 0)
		return;
	g_free(b->wanted);
	b->wanted = g_strdup(domain);
}

/* The question for a domain, which may be there already; NULL if none may be asked now. */
static struct question *
ask(struct mx_resolver *r, const char *domain, gint64 now)
{
	static struct log_limit limit;
	struct question *q;

	if (r->stop)
		return NULL;
	if (r->breaker.open) {
		want(r, domain);
		return NULL;
	}
	q = g_hash_table_lookup(r->questions, domain);
	if (q != NULL)
		return q;
	if (g_hash_table_size(r->questions) >= r->tuning.questions) {
		log_limited(&limit, LOG_WARNING,
			    "dns: %u questions without an answer, no more are asked",
			    r->tuning.questions);
		return NULL;
	}
	return question_new(r, domain, now);
}

/* ---- breaker; the lock is held ---- */

static const char *
server_name(const struct mx_resolver *r)
{
	return r->server != NULL ? r->server : "the servers of resolv.conf";
}

/* What was asked while the server was dead is a new question now: it may be waited for again. */
static void
forgive_questions(struct mx_resolver *r, gint64 now)
{
	GHashTableIter i;
	gpointer value;

	g_hash_table_iter_init(&i, r->questions);
	while (g_hash_table_iter_next(&i, NULL, &value)) {
		struct question *q = value;

		q->asked = now;
		q->late = q->counted = false;
	}
}

static void
breaker_change(struct mx_resolver *r, bool open, gint64 now)
{
	struct breaker *b = &r->breaker;

	if (open)
		log_line(
			LOG_WARNING,
			"dns: %s from %s, MX rules apply to cached domains only until there is one",
			b->control_counts ? "no answer" : "no answer about any domain",
			server_name(r));
	else
		log_line(LOG_NOTICE,
			 "dns: %s answers again after %.1f s, MX rules apply to all domains",
			 server_name(r), (double)(now - b->since) / (double)SECOND);
	if (!open)
		forgive_questions(r, now);
	b->open = open;
	b->since = now;
	b->row = b->row_checked = 0;
	b->interval = r->tuning.probe_min;
	b->next = now + b->interval;
	g_clear_pointer(&b->wanted, g_free);
}

static void
server_answered(struct mx_resolver *r, gint64 now)
{
	r->breaker.row = r->breaker.row_checked = 0;
	if (r->breaker.open)
		breaker_change(r, false, now);
}

static void
server_failed(struct mx_resolver *r, struct question *q)
{
	struct breaker *b = &r->breaker;
	guint hash = g_str_hash(q->domain);

	if (q->counted || b->open)
		return;
	q->counted = true;
	for (guint i = 0; i < b->row; i++)
		if (b->recent[i] == hash)
			return;
	if (b->row < ROW_HOPELESS)
		b->recent[b->row++] = hash;
	if (b->row >= ROW_SUSPECT)
		wake_thread(r);
}

static void
control_answered(struct mx_resolver *r, bool answered, gint64 now)
{
	struct breaker *b = &r->breaker;

	question_end(r->control, &mx_hosts_none);
	if (b->open) {
		if (answered && b->control_counts)
			breaker_change(r, false, now);
	} else if (!answered ? b->row >= ROW_SUSPECT : b->row >= ROW_HOPELESS) {
		b->control_counts = !answered;
		breaker_change(r, true, now);
	}
}

/* How long an answer may take that counts as one. */
static gint64
patience(const struct mx_resolver *r)
{
	return r->longest > 0 ? r->longest : r->tuning.patience;
}

/* ---- libunbound; only the thread calls these ---- */

/* Goes on with another context. What the old one was asked is asked again. */
static void
context_use(struct mx_resolver *r, struct ub_ctx *ctx)
{
	struct ub_ctx *old = r->ctx;
	struct question *q;

	r->ctx = ctx;
	while ((q = g_queue_pop_tail(&r->asked)) != NULL) {
		q->submitted = false;
		g_queue_push_head(&r->fresh, q);
	}
	pthread_mutex_unlock(&r->lock);
	ub_ctx_delete(old); /* no callback comes from it any more */
	pthread_mutex_lock(&r->lock);
}

/* A context that knows nothing of the past; if there is none to be had the old one goes on. */
static void
context_renew(struct mx_resolver *r)
{
	char *server = g_strdup(r->server), *why = NULL;
	struct ub_ctx *ctx;

	pthread_mutex_unlock(&r->lock);
	ctx = mx_context_new(server, r->tuning.resolv_conf, &why);
	pthread_mutex_lock(&r->lock);
	if (ctx != NULL)
		context_use(r, ctx);
	g_free(server);
	g_free(why);
}

/* ---- the thread; the lock is held but where stated ---- */

static void
domain_answered(struct question *q, struct mx_hosts *a, bool answered, gint64 ttl)
{
	struct mx_resolver *r = q->resolver;
	gint64 now = g_get_monotonic_time();

	if (!answered || now - q->asked > patience(r))
		server_failed(r, q);
	else
		server_answered(r, now);
	if (answered || !r->breaker.open) /* while it is open nobody waits for failures */
		remember(r, q->domain, a, answered ? MAX(ttl, 1) : 0, now);
	question_end(q, a);
}

/* libunbound's callback, within ub_process(). The lock is not held. */
static void
on_answer(void *context, int error, struct ub_result *result)
{
	struct question *q = context;
	struct mx_resolver *r = q->resolver;
	bool answered = error == 0 && result != NULL &&
			(result->rcode == RCODE_NOERROR || result->rcode == RCODE_NXDOMAIN);
	gint64 ttl = answered ? result->ttl * SECOND : 0;
	struct mx_hosts *a;

	if (!answered)
		a = mx_hosts_ref(&mx_hosts_failed);
	else if (result->havedata && q->domain != NULL)
		a = mx_context_hosts(result);
	else
		a = mx_hosts_ref(&mx_hosts_none);
	pthread_mutex_lock(&r->lock);
	if (r->next != NULL) {
		/* Another server's from now on: asked again. */
	} else if (q->domain == NULL) {
		control_answered(r, answered, g_get_monotonic_time());
	} else {
		domain_answered(q, a, answered, ttl);
	}
	pthread_mutex_unlock(&r->lock);
	mx_hosts_unref(a);
	ub_resolve_free(result);
}

/* Hands new questions to libunbound. */
static void
submit(struct mx_resolver *r)
{
	struct question *q;

	while ((q = g_queue_pop_head(&r->fresh)) != NULL) {
		int error = UB_INITFAIL;

		q->submitted = true;
		g_queue_push_tail(&r->asked, q);
		pthread_mutex_unlock(&r->lock);
		if (r->ctx != NULL)
			error = ub_resolve_async(r->ctx, q->domain != NULL ? q->domain : ".",
						 q->domain != NULL ? TYPE_MX : TYPE_NS, CLASS_IN, q,
						 on_answer, &q->id);
		pthread_mutex_lock(&r->lock);
		if (error == 0)
			continue;
		if (q->domain == NULL)
			control_answered(r, false, g_get_monotonic_time());
		else
			domain_answered(q, &mx_hosts_failed, false, 0);
	}
}

/* Gives up questions that are too old. */
static void
give_up(struct mx_resolver *r, gint64 now)
{
	struct question *q = r->control;

	if (q != NULL && q->submitted &&
	    now >= q->asked + MIN(patience(r), r->tuning.control_max)) {
		ub_cancel(r->ctx, q->id);
		control_answered(r, false, now);
	}
	while ((q = g_queue_peek_head(&r->asked)) != NULL &&
	       now >= q->asked + r->tuning.question_max && q != r->control) {
		ub_cancel(r->ctx, q->id);
		domain_answered(q, &mx_hosts_failed, false, 0);
	}
}

static bool
wants_probe(const struct mx_resolver *r, gint64 now)
{
	const struct breaker *b = &r->breaker;

	if (r->control != NULL || now < b->next)
		return false;
	return b->open ? b->control_counts || b->wanted != NULL
		       : b->row >= ROW_SUSPECT && b->row > b->row_checked;
}

/* Asks whether the server is alive. */
static void
probe(struct mx_resolver *r, gint64 now)
{
	struct breaker *b = &r->breaker;

	b->row_checked = b->row;
	b->next = now + (gint64)(b->interval * g_random_double_range(0.75, 1.0));
	if (b->open)
		b->interval = MIN(2 * b->interval, r->tuning.probe_max);
	context_renew(r);
	now = g_get_monotonic_time();
	if (!b->open || b->control_counts)
		r->control = question_new(r, NULL, now);
	if (b->wanted != NULL && g_hash_table_lookup(r->questions, b->wanted) == NULL)
		question_new(r, b->wanted, now);
	g_clear_pointer(&b->wanted, g_free);
}

/* Milliseconds until there is something to do even if nothing comes in; -1: never. */
static int
time_left(const struct mx_resolver *r, gint64 now)
{
	const struct question *oldest = g_queue_peek_head((GQueue *)&r->asked);
	gint64 next = G_MAXINT64;

	if (oldest != NULL)
		next = oldest->asked + r->tuning.question_max;
	if (r->control != NULL)
		next = MIN(next, r->control->asked + MIN(patience(r), r->tuning.control_max));
	if (wants_probe(r, MAX(now, r->breaker.next)))
		next = MIN(next, r->breaker.next);
	if (next == G_MAXINT64)
		return -1;
	return next <= now ? 0 : (int)MIN((next - now + 999) / 1000, 60000);
}

/* Waits for questions, answers and the time; false if libunbound broke. The lock is not held. */
static bool
wait_for_event(struct mx_resolver *r, int milliseconds)
{
	struct pollfd fds[2] = {{.fd = r->wake[0], .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	char drain[64];

	if (r->ctx != NULL)
		fds[1].fd = ub_fd(r->ctx);
	poll(fds, G_N_ELEMENTS(fds), milliseconds);
	if (fds[0].revents != 0)
		while (read(r->wake[0], drain, sizeof drain) == (ssize_t)sizeof drain)
			;
	return fds[1].revents == 0 || ub_process(r->ctx) == 0;
}

static void *
run(void *context)
{
	struct mx_resolver *r = context;
	struct question *q;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		gint64 now = g_get_monotonic_time();
		int milliseconds;
		bool works;

		if (r->next != NULL)
			context_use(r, g_steal_pointer(&r->next));
		give_up(r, now);
		if (wants_probe(r, now))
			probe(r, now);
		submit(r);
		milliseconds = time_left(r, now);
		pthread_mutex_unlock(&r->lock);
		works = wait_for_event(r, milliseconds);
		pthread_mutex_lock(&r->lock);
		if (!works) /* its thread died: questions fail until a probe makes another */
			context_use(r, NULL);
	}
	while ((q = g_queue_peek_head(&r->asked)) != NULL ||
	       (q = g_queue_peek_head(&r->fresh)) != NULL)
		question_end(q, &mx_hosts_failed);
	pthread_mutex_unlock(&r->lock);
	ub_ctx_delete(r->ctx);
	return NULL;
}

/* ---- callers ---- */

/* What the cache says now; NULL: the DNS must be asked. A reference. The lock is held. */
static struct mx_hosts *
known(struct mx_resolver *r, const char *domain, guint hash, gint64 now)
{
	struct mx_entry *e = mx_cache_find(r->cache, domain, hash);

	if (e == NULL)
		return NULL;
	if (!is_fresh(r, e, now)) {
		if (e->answer->what == MX_FAILED || now >= e->expired + r->tuning.stale_now)
			return NULL;
		ask(r, domain, now);
	}
	return mx_hosts_ref(e->answer);
}

/* Waits for a question's answer until deadline; NULL if there is none by then. A reference. */
static struct mx_hosts *
wait_for(struct mx_resolver *r, struct question *q, gint64 now, gint64 deadline)
{
	const struct timespec end = {.tv_sec = (time_t)(deadline / SECOND),
				     .tv_nsec = (long)(deadline % SECOND) * 1000};
	struct mx_hosts *a = NULL;

	r->longest = MAX(r->longest, MIN(deadline - now, r->tuning.question_max));
	r->callers++;
	q->references++;
	while (q->answer == NULL && pthread_cond_timedwait(&q->done, &r->lock, &end) == 0)
		;
	if (q->answer != NULL) {
		a = mx_hosts_ref(q->answer);
	} else if (g_get_monotonic_time() - q->asked >= patience(r) / 4 * 3) {
		q->late = true; /* else the caller was only in a hurry */
		server_failed(r, q);
	}
	question_unref(q);
	if (--r->callers == 0)
		pthread_cond_signal(&r->left);
	return a;
}

/* Asks the DNS, falling back to what the cache has at last. A reference. The lock is held. */
static struct mx_hosts *
learn(struct mx_resolver *r, const char *domain, guint hash, gint64 now, gint64 deadline)
{
	struct question *q = ask(r, domain, now);
	struct mx_hosts *a = NULL;
	struct mx_entry *e;

	if (q != NULL && !q->late && deadline > now)
		a = wait_for(r, q, now, deadline);
	if (a != NULL && a->what != MX_FAILED)
		return a;
	e = mx_cache_find(r->cache, domain, hash);
	if (!usable_at_last(r, e, now))
		return a != NULL ? a : mx_hosts_ref(&mx_hosts_failed);
	mx_hosts_unref(a);
	return mx_hosts_ref(e->answer);
}

static enum mx_answer
mx(void *context, const char *domain, gint64 deadline, mx_host_fn *each, void *each_context)
{
	struct mx_resolver *r = context;
	guint hash = g_str_hash(domain);
	gint64 now = g_get_monotonic_time();
	enum mx_answer what;
	struct mx_hosts *a;

	pthread_mutex_lock(&r->lock);
	a = known(r, domain, hash, now);
	if (a == NULL)
		a = learn(r, domain, hash, now, deadline);
	pthread_mutex_unlock(&r->lock);
	what = mx_hosts_tell(a, each, each_context);
	mx_hosts_unref(a);
	return what;
}

static void
start(void *context, const char *domain)
{
	struct mx_resolver *r = context;
	guint hash = g_str_hash(domain);
	gint64 now = g_get_monotonic_time();
	struct mx_hosts *a;

	pthread_mutex_lock(&r->lock);
	a = known(r, domain, hash, now);
	if (a == NULL)
		ask(r, domain, now);
	pthread_mutex_unlock(&r->lock);
	mx_hosts_unref(a);
}

/* ---- making and changing ---- */

static void
clear(struct mx_resolver *r)
{
	mx_cache_free(r->cache);
	g_hash_table_destroy(r->questions);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->left);
	close(r->wake[0]);
	close(r->wake[1]);
	ub_ctx_delete(r->next);
	g_free(r->breaker.wanted);
	g_free(r->server);
	g_free(r);
}

struct mx_resolver *
mx_resolver_new_tuned(const char *server, guint cache_entries, const struct mx_tuning *tuning,
		      char **why)
{
	struct ub_ctx *ctx = mx_context_new(server, tuning->resolv_conf, why);
	struct mx_resolver *r;
	int wake[2], error;

	if (ctx == NULL)
		return NULL;
	if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
		*why = g_strdup_printf("pipe: %s", g_strerror(errno));
		ub_ctx_delete(ctx);
		return NULL;
	}
	r = g_new0(struct mx_resolver, 1);
	r->facade = (struct resolver){.start = start, .mx = mx, .context = r};
	r->tuning = *tuning;
	r->server = g_strdup(server);
	r->next = ctx;
	r->cache = mx_cache_new(cache_entries);
	r->cache_entries = cache_entries;
	r->questions = g_hash_table_new(g_str_hash, g_str_equal);
	r->breaker.interval = tuning->probe_min;
	memcpy(r->wake, wake, sizeof wake);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->left, NULL);
	error = thread_start(&r->thread, run, r);
	if (error != 0) {
		*why = g_strdup_printf("pthread_create: %s", g_strerror(error));
		clear(r);
		return NULL;
	}
	return r;
}

struct mx_resolver *
mx_resolver_new(const char *server, guint cache_entries, char **why)
{
	return mx_resolver_new_tuned(server, cache_entries, &mx_tuning_default, why);
}

void
mx_resolver_free(struct mx_resolver *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	wake_thread(r);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_mutex_lock(&r->lock);
	while (r->callers > 0)
		pthread_cond_wait(&r->left, &r->lock);
	pthread_mutex_unlock(&r->lock);
	clear(r);
}

/* Takes another server. The lock is held. */
static void
change_server(struct mx_resolver *r, const char *server)
{
	struct breaker *b = &r->breaker;

	g_free(r->server);
	r->server = g_strdup(server);
	b->row = b->row_checked = 0;
	b->control_counts = true;
	b->next = 0; /* if it is open, the new one is tried at once */
}

bool
mx_resolver_change(struct mx_resolver *r, const char *server, guint cache_entries, char **why)
{
	struct ub_ctx *ctx = NULL, *unused;
	struct mx_cache *old = NULL;
	bool other;

	pthread_mutex_lock(&r->lock);
	other = g_strcmp0(server, r->server) != 0;
	pthread_mutex_unlock(&r->lock);
	if (other || server == NULL) {
		ctx = mx_context_new(server, r->tuning.resolv_conf, why);
		if (ctx == NULL)
			return false;
	}
	pthread_mutex_lock(&r->lock);
	if (other || cache_entries != r->cache_entries) {
		old = r->cache;
		r->cache = mx_cache_new(cache_entries);
		r->cache_entries = cache_entries;
	}
	if (other)
		change_server(r, server);
	unused = ctx != NULL ? r->next : NULL;
	if (ctx != NULL)
		r->next = ctx;
	r->longest = 0;
	wake_thread(r);
	pthread_mutex_unlock(&r->lock);
	ub_ctx_delete(unused);
	mx_cache_free(old);
	return true;
}

const struct resolver *
mx_resolver_facade(struct mx_resolver *r)
{
	return &r->facade;
}
