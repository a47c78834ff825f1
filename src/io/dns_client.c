/*
 * dns_client - look-ups in parallel; see dns_client.h for the contract.
 *
 * Threads.  One thread of ours ("the thread" below) is the only one that talks to libunbound: it
 * hands questions over, PARALLEL at a time, collects answers and gives up.  Callers put questions
 * into a queue, wake the thread through a pipe and wait for their question's condition; what
 * somebody waits for goes before what was only started.  One lock guards everything but the
 * contexts, which are the thread's own; it is never held while libunbound works.
 *
 * Each type of record has a libunbound context of its own, with a cache of its own.  With a common
 * one, a CNAME that was seen once would be followed in all later answers, and records that wrongly
 * stand beside it would never be seen.
 */
#include "io/dns_client.h"

#include "base/thread.h"
#include "core/domain.h"
#include "io/mx_context.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

#define PARALLEL 200 /* sockets, too: each question has one */
#define CLASS_IN 1
#define RCODE_NOERROR 0
#define RCODE_NXDOMAIN 3
#define TYPES (RECORD_CNAME + 1)

static const int type_numbers[TYPES] = {
	[RECORD_A] = 1,   [RECORD_AAAA] = 28, [RECORD_PTR] = 12,
	[RECORD_MX] = 15, [RECORD_TXT] = 16,  [RECORD_CNAME] = 5,
};

struct question {
	struct dns_client *client;
	char *name;
	enum record_type type;
	GList link; /* in client's fresh or asked */
	gint64 sent;
	int id;                    /* libunbound's */
	struct dns_answer *answer; /* NULL until done */
	pthread_cond_t done;
};

struct dns_client {
	struct dns facade;
	gint64 timeout, end; /* microseconds; of the monotonic clock */
	pthread_mutex_t lock;
	GHashTable *questions[TYPES]; /* name -> struct question *, owned */
	GQueue fresh, asked;          /* not sent, and sent, the oldest first */
	bool answered;                /* the server has answered something */
	guint silent;                 /* look-ups that ended without an answer */
	bool stop;
	int wake[2];
	pthread_t thread;
	struct ub_ctx *contexts[TYPES]; /* the thread's; NULL: broken */
};

/* ---- what libunbound says, as ours ---- */

static void
add_name(struct dns_answer *a, const unsigned char *wire, size_t len, uint16_t preference)
{
	char name[DOMAIN_SIZE];

	if (len == 1 && wire[0] == 0)
		strcpy(name, ".");
	else if (!mx_context_name(wire, len, name))
		strcpy(name, "?");
	dns_answer_add(a, name, strlen(name), preference);
}

/* The strings of a TXT record in one piece, RFC 1035 3.3.14. */
static void
add_txt(struct dns_answer *a, const unsigned char *data, size_t len)
{
	char *text = g_malloc(len + 1);
	size_t used = 0, at = 0;

	while (at < len) {
		size_t n = MIN(data[at], len - at - 1);

		memcpy(text + used, data + at + 1, n);
		used += n;
		at += n + 1;
	}
	dns_answer_add(a, text, used, 0);
	g_free(text);
}

static void
add_record(struct dns_answer *a, enum record_type type, const unsigned char *data, size_t len)
{
	char address[INET6_ADDRSTRLEN];

	switch (type) {
	case RECORD_A:
	case RECORD_AAAA:
		if (len == (type == RECORD_A ? 4U : 16U) &&
		    inet_ntop(type == RECORD_A ? AF_INET : AF_INET6, data, address,
			      sizeof address) != NULL)
			dns_answer_add(a, address, strlen(address), 0);
		break;
	case RECORD_MX:
		if (len > 2)
			add_name(a, data + 2, len - 2, (uint16_t)(data[0] << 8 | data[1]));
		break;
	case RECORD_PTR:
	case RECORD_CNAME:
		add_name(a, data, len, 0);
		break;
	case RECORD_TXT:
		add_txt(a, data, len);
		break;
	}
}

static struct dns_answer *
answer_of_result(const struct ub_result *result, enum record_type type)
{
	struct dns_answer *a = dns_answer_new(DNS_FAILED);
	char alias[DOMAIN_SIZE];

	if (result->rcode == RCODE_NXDOMAIN)
		a->state = DNS_NO_NAME;
	else if (result->rcode == RCODE_NOERROR)
		a->state = DNS_NO_DATA;
	for (int i = 0; result->data != NULL && result->data[i] != NULL; i++)
		add_record(a, type, (const unsigned char *)result->data[i], (size_t)result->len[i]);
	dns_answer_sort(a);
	if (a->records->len > 0)
		a->state = DNS_FOUND;
	if (result->canonname != NULL && type != RECORD_CNAME &&
	    domain_normalise(result->canonname, strlen(result->canonname), alias) &&
	    strcmp(alias, result->qname) != 0)
		a->alias = g_strdup(alias);
	return a;
}

/* ---- questions; the lock is held ---- */

static void
wake_thread(struct dns_client *c)
{
	ssize_t n;

	do
		n = write(c->wake[1], "", 1); /* a full pipe wakes as well */
	while (n < 0 && errno == EINTR);
}

static void
question_free(void *p)
{
	struct question *q = p;

	dns_answer_free(q->answer);
	pthread_cond_destroy(&q->done);
	g_free(q->name);
	g_free(q);
}

static void
question_end(struct question *q, struct dns_answer *a)
{
	q->answer = a;
	pthread_cond_broadcast(&q->done);
}

static struct question *
question_of(struct dns_client *c, const char *name, enum record_type type)
{
	struct question *q = g_hash_table_lookup(c->questions[type], name);

	if (q != NULL)
		return q;
	q = g_new0(struct question, 1);
	q->client = c;
	q->name = g_strdup(name);
	q->type = type;
	q->link.data = q;
	pthread_cond_init(&q->done, NULL);
	g_hash_table_insert(c->questions[type], q->name, q);
	g_queue_push_tail_link(&c->fresh, &q->link);
	if (c->fresh.length == 1)
		wake_thread(c);
	return q;
}

/* Nobody has answered: neither will what is left be. */
static bool
is_dead(const struct dns_client *c)
{
	return !c->answered && c->silent >= DNS_CLIENT_SILENT;
}

/* ---- the thread ---- */

/* libunbound's callback, within ub_process(). The lock is not held. */
static void
on_answer(void *context, int error, struct ub_result *result)
{
	struct question *q = context;
	struct dns_client *c = q->client;
	struct dns_answer *a = error == 0 && result != NULL ? answer_of_result(result, q->type)
							    : dns_answer_new(DNS_FAILED);

	ub_resolve_free(result);
	pthread_mutex_lock(&c->lock);
	g_queue_unlink(&c->asked, &q->link);
	if (dns_known(a))
		c->answered = true;
	else
		c->silent++;
	question_end(q, a);
	pthread_mutex_unlock(&c->lock);
}

/* Ends what is too late: what was sent too long ago, or all of it. The lock is held. */
static void
give_up(struct dns_client *c, gint64 now)
{
	bool all = now >= c->end || c->stop || is_dead(c);
	struct question *q;

	while ((q = g_queue_peek_head(&c->asked)) != NULL && (all || now >= q->sent + c->timeout)) {
		g_queue_unlink(&c->asked, &q->link);
		if (c->contexts[q->type] != NULL)
			ub_cancel(c->contexts[q->type], q->id);
		c->silent++;
		question_end(q, dns_answer_new(DNS_TIMEOUT));
		all = all || is_dead(c);
	}
	while (all && (q = g_queue_peek_head(&c->fresh)) != NULL) {
		g_queue_unlink(&c->fresh, &q->link);
		question_end(q, dns_answer_new(DNS_TIMEOUT));
	}
}

/* Hands questions to libunbound. The lock is held, but not while it works. */
static void
submit(struct dns_client *c, gint64 now)
{
	struct question *q;

	while (c->asked.length < PARALLEL && (q = g_queue_peek_head(&c->fresh)) != NULL) {
		struct ub_ctx *context = c->contexts[q->type];
		int error = UB_INITFAIL;

		g_queue_unlink(&c->fresh, &q->link);
		q->sent = now;
		g_queue_push_tail_link(&c->asked, &q->link);
		pthread_mutex_unlock(&c->lock);
		if (context != NULL)
			error = ub_resolve_async(context, q->name, type_numbers[q->type], CLASS_IN,
						 q, on_answer, &q->id);
		if (error != 0)
			on_answer(q, error, NULL);
		pthread_mutex_lock(&c->lock);
	}
}

/* Milliseconds until there is something to give up; -1: never. The lock is held. */
static int
time_left(const struct dns_client *c, gint64 now)
{
	const struct question *oldest = g_queue_peek_head((GQueue *)&c->asked);
	gint64 next;

	if (oldest == NULL)
		return -1;
	next = MIN(oldest->sent + c->timeout, c->end);
	return next <= now ? 0 : (int)MIN((next - now + 999) / 1000, 60000);
}

/* Waits for questions, answers and the time. The lock is not held. */
static void
wait_for_event(struct dns_client *c, int milliseconds)
{
	struct pollfd fds[TYPES + 1];
	char drain[64];

	for (int i = 0; i < TYPES; i++)
		fds[i] = (struct pollfd){.fd = c->contexts[i] != NULL ? ub_fd(c->contexts[i]) : -1,
					 .events = POLLIN};
	fds[TYPES] = (struct pollfd){.fd = c->wake[0], .events = POLLIN};
	poll(fds, TYPES + 1, milliseconds);
	if (fds[TYPES].revents != 0)
		while (read(c->wake[0], drain, sizeof drain) == (ssize_t)sizeof drain)
			;
	for (int i = 0; i < TYPES; i++)
		if (fds[i].revents != 0 && ub_process(c->contexts[i]) != 0) {
			ub_ctx_delete(c->contexts[i]); /* its thread died: its questions run late */
			c->contexts[i] = NULL;
		}
}

static void *
run(void *context)
{
	struct dns_client *c = context;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		gint64 now = g_get_monotonic_time();
		int milliseconds;

		give_up(c, now);
		submit(c, now);
		milliseconds = time_left(c, now);
		pthread_mutex_unlock(&c->lock);
		wait_for_event(c, milliseconds);
		pthread_mutex_lock(&c->lock);
	}
	give_up(c, g_get_monotonic_time());
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- callers ---- */

static void
start(void *context, const char *name, enum record_type type)
{
	struct dns_client *c = context;

	pthread_mutex_lock(&c->lock);
	question_of(c, name, type);
	pthread_mutex_unlock(&c->lock);
}

static const struct dns_answer *
answer(void *context, const char *name, enum record_type type)
{
	struct dns_client *c = context;
	const struct dns_answer *a;
	struct question *q;

	pthread_mutex_lock(&c->lock);
	q = question_of(c, name, type);
	if (q->answer == NULL && q->sent == 0) {
		g_queue_unlink(&c->fresh, &q->link);
		g_queue_push_head_link(&c->fresh, &q->link);
	}
	while (q->answer == NULL)
		pthread_cond_wait(&q->done, &c->lock);
	a = q->answer;
	pthread_mutex_unlock(&c->lock);
	return a;
}

/* ---- making ---- */

static void
clear(struct dns_client *c)
{
	for (int i = 0; i < TYPES; i++) {
		ub_ctx_delete(c->contexts[i]); /* first: no callback comes any more */
		g_hash_table_destroy(c->questions[i]);
	}
	if (c->wake[0] >= 0) {
		close(c->wake[0]);
		close(c->wake[1]);
	}
	pthread_mutex_destroy(&c->lock);
	g_free(c);
}

static bool
set_up(struct dns_client *c, const char *server, char **why)
{
	int error;

	for (int i = 0; i < TYPES; i++) {
		c->contexts[i] = mx_context_new(server, "/etc/resolv.conf", why);
		if (c->contexts[i] == NULL)
			return false;
	}
	if (pipe2(c->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
		*why = g_strdup_printf("pipe: %s", g_strerror(errno));
		return false;
	}
	error = thread_start(&c->thread, run, c);
	if (error != 0)
		*why = g_strdup_printf("pthread_create: %s", g_strerror(error));
	return error == 0;
}

struct dns_client *
dns_client_new(const char *server, gint64 timeout_ms, gint64 total_ms, char **why)
{
	struct dns_client *c = g_new0(struct dns_client, 1);

	c->facade = (struct dns){.start = start, .answer = answer, .context = c};
	c->timeout = timeout_ms * 1000;
	c->end = g_get_monotonic_time() + total_ms * 1000;
	c->wake[0] = c->wake[1] = -1;
	pthread_mutex_init(&c->lock, NULL);
	for (int i = 0; i < TYPES; i++)
		c->questions[i] =
			g_hash_table_new_full(g_str_hash, g_str_equal, NULL, question_free);
	if (set_up(c, server, why))
		return c;
	clear(c);
	return NULL;
}

void
dns_client_free(struct dns_client *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	wake_thread(c);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	clear(c);
}

const struct dns *
dns_client_facade(struct dns_client *c)
{
	return &c->facade;
}
