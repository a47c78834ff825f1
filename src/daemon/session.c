/*
 * session - one connection of the MTA; see session.h.
 */
#include "daemon/session.h"
#include "base/log.h"
#include "core/domain.h"
#include "core/isp.h"
#include "core/lock_check.h"
#include "core/pipeline.h"
#include "core/pool.h"
#include "core/return_path.h"
#include "core/split.h"
#include "core/trust.h"
#include "daemon/message_log.h"
#include "daemon/snapshot.h"

#include <string.h>
#include <time.h>

struct session {
	const struct session_tools *tools;
	struct address client;
	bool local;

	/* Of the current message; all NULL or false without one. */
	struct settings *settings; /* a message keeps the snapshot that it began with */
	struct message *message;
	struct plan *plan;
	bool in_progress;
	gint64 started; /* of the treatment, monotonic microseconds */
	const struct isp *first_isp; /* of the first recipient, with mixed_isps = "defer" */
	char *reply;		     /* to a recipient over a limit; or NULL */
	gint64 waited;		     /* microseconds for the DNS so far */
	GPtrArray *left;	     /* recipients that were not split off; the plan refers to it */
};

static int in_progress; /* atomic */
static int stopping;	/* atomic */

int
session_in_progress(void)
{
	return g_atomic_int_get(&in_progress);
}

void
session_stop_all(void)
{
	g_atomic_int_set(&stopping, 1);
}

struct session *
session_new(const struct session_tools *tools)
{
	struct session *s = g_new0(struct session, 1);

	s->tools = tools;
	return s;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	session_end(s);
	g_free(s);
}

void
session_connect(struct session *s, const struct address *client, bool local)
{
	s->client = *client;
	s->local = local;
}

void
session_end(struct session *s)
{
	if (s->in_progress)
		g_atomic_int_add(&in_progress, -1);
	s->in_progress = false;
	s->first_isp = NULL;
	s->waited = 0;
	g_clear_pointer(&s->reply, g_free);
	g_clear_pointer(&s->plan, plan_free);
	g_clear_pointer(&s->left, g_ptr_array_unref);
	g_clear_pointer(&s->message, message_free);
	g_clear_pointer(&s->settings, settings_unref);
}

void
session_mail(struct session *s, const char *sender, const char *login, bool dsn)
{
	session_end(s);
	s->settings = snapshot_get();
	s->message = message_new(sender, (uint64_t)s->settings->max_message_size);
	s->message->client = s->client;
	s->message->local = s->local;
	s->message->dsn = dsn;
	s->message->login = g_strdup(login != NULL && *login != '\0' ? login : NULL);
}

static bool
trusted(const struct session *s)
{
	const struct message *m = s->message;

	return trust_client(s->settings, &m->client, m->login, m->local);
}

/* A message waits for the DNS no longer than timeout_ms in all. */
static gint64
dns_deadline(const struct session *s, gint64 now)
{
	return now + MAX(0, s->settings->dns.timeout_ms * 1000 - s->waited);
}

/* Looks for a recipient's record now; true if it is treated as the first one's. */
static bool
like_first(struct session *s, const char *rcpt)
{
	gint64 began = g_get_monotonic_time();
	struct isp_match match = isp_find(s->settings, s->tools->resolver, address_domain(rcpt),
					  dns_deadline(s, began));

	s->waited += g_get_monotonic_time() - began;
	if (s->first_isp == NULL)
		s->first_isp = match.isp;
	return match.isp->treatment == s->first_isp->treatment;
}

/* False: another time for this recipient.  Local submission has no other time. */
static bool
isp_fits(struct session *s, const char *rcpt)
{
	if (s->settings->mixed_isps == MIXED_DEFER && !s->message->local && trusted(s))
		return like_first(s, rcpt);
	if (trusted(s))
		isp_prefetch(s->settings, s->tools->resolver, address_domain(rcpt));
	return true;
}

static const struct limiter *
limiter(const struct session *s)
{
	return s->settings->redis.used ? s->tools->shared_limiter : s->tools->limiter;
}

/*
 * The pool is known at the end of the message only; the sender's domain tells it beforehand, mostly.
 * Copies that are injected again are paid for: they come without a login.
 */
static const struct pool *
early_pool(const struct session *s)
{
	const struct message *m = s->message;
	const char *domain = address_domain(m->sender);
	char normal[DOMAIN_SIZE];
	const struct pool *p;

	if (m->local || !trusted(s) ||
	    (s->settings->mixed_isps == MIXED_SPLIT && m->login == NULL) || domain == NULL ||
	    !domain_normalise(domain, strlen(domain), normal))
		return NULL;
	p = pool_find(s->settings, normal);
	return p != NULL && p->on_limit == ON_LIMIT_DEFER && trust_pool(p, &m->client, m->login) ? p : NULL;
}

/* Redis is asked only where the last message was over that limit: else one round trip a message. */
static bool
worth_asking(const struct session *s, const struct isp *isp)
{
	char *key = limits_total_key(isp);
	bool worth = !s->settings->redis.used ||
		     reached_lately(s->tools->reached, key, g_get_monotonic_time());

	g_free(key);
	return worth;
}

static bool
paused(const struct session *s, const struct pool *p, const struct isp *isp, struct limit_over *over)
{
	gpointer one = (gpointer)isp;
	const GPtrArray isps = {&one, 1};

	return lock_check_paused(s->tools->locks, p, &isps, over);
}

static bool
total_reached(const struct session *s, const struct isp *isp, struct limit_over *over)
{
	return s->settings->isp_totals && limiter(s) != NULL && worth_asking(s, isp) &&
	       limits_total_reached(limiter(s), isp, over);
}

/* True if the recipient's ISP can take no more now, as far as is known without waiting for the DNS. */
static bool
limit_reached(struct session *s, const char *rcpt)
{
	bool locks = !lock_table_empty(s->tools->locks), reached;
	const struct pool *p = s->settings->isp_totals || locks ? early_pool(s) : NULL;
	struct limit_over over = {0};
	struct isp_match match;

	if (p == NULL)
		return false;
	match = isp_find(s->settings, s->tools->resolver, address_domain(rcpt), 0);
	if (match.failed || (!paused(s, p, match.isp, &over) && !total_reached(s, match.isp, &over)))
		return false;
	reached = over.wait_us > 0;
	if (reached) {
		g_free(s->reply);
		s->reply = limits_over_reply(&over);
		message_log_limit(s->message, rcpt, &over);
		stats_recipient(s->tools->stats, p, match.isp, &over, time(NULL));
	}
	limits_over_clear(&over);
	return reached;
}

const char *
session_reply(const struct session *s)
{
	return s->reply;
}

enum session_answer
session_rcpt(struct session *s, const char *rcpt, bool dsn)
{
	const char *why = "-";

	if (s->message == NULL)
		return SESSION_CONTINUE;
	if (return_path_check(s->settings, rcpt, time(NULL), &why) == BOUNCE_REFUSE) {
		message_log_bounce(s->message, rcpt, why);
		return SESSION_REFUSE;
	}
	if (limit_reached(s, rcpt))
		return SESSION_LIMIT;
	if (!isp_fits(s, rcpt)) {
		message_log_later(s->message, rcpt);
		return SESSION_LATER;
	}
	message_add_rcpt(s->message, rcpt);
	s->message->dsn = s->message->dsn || dsn;
	return SESSION_CONTINUE;
}

static void
take_queue_id(struct session *s, const char *queue_id)
{
	if (queue_id == NULL || *queue_id == '\0' || s->message->queue_id != NULL)
		return;
	s->message->queue_id = g_strdup(queue_id);
}

static void
log_plan(const struct session *s, const struct plan *plan, gint64 took)
{
	message_log(s->settings, s->message, plan, took);
	stats_message(s->tools->stats, s->message, plan, took, time(NULL));
}

/* Ends a message before it was looked at. */
static void
end_early(struct session *s, enum verdict verdict, const char *reason)
{
	const struct plan p = {.verdict = verdict, .reason = reason};

	log_plan(s, &p, -1);
	session_end(s);
}

enum session_answer
session_data(struct session *s, const char *queue_id)
{
	struct message *m = s->message;

	if (m == NULL)
		return SESSION_CONTINUE;
	take_queue_id(s, queue_id);
	if (!trusted(s)) {
		end_early(s, VERDICT_PASSED, "untrusted");
		return SESSION_ACCEPT;
	}
	if (g_atomic_int_get(&stopping)) {
		end_early(s, VERDICT_DEFERRED, "stopping");
		return SESSION_DEFER;
	}
	if (!s->in_progress)
		g_atomic_int_inc(&in_progress);
	s->in_progress = true;
	return SESSION_CONTINUE;
}

void
session_header(struct session *s, const char *name, const char *value)
{
	if (s->message != NULL)
		message_add_field(s->message, name, strlen(name), value, strlen(value));
}

void
session_body(struct session *s, const void *data, size_t len)
{
	if (s->message != NULL)
		message_add_body(s->message, data, len);
}

/* Treats the message once more, as a whole for those recipients (NULL: all). */
static void
treat_whole(struct session *s, struct job *job, const GPtrArray *rcpts)
{
	struct plan *first = s->plan;

	job->rcpts = rcpts;
	job->no_split = true;
	s->plan = plan_new(s->message);
	pipeline_run(job, s->plan);
	plan_take_limits(s->plan, first);
	if (rcpts != NULL)
		plan_take_split(s->plan, first);
	plan_free(first);
}

/* A message to be held is held for all: nobody gets a copy meanwhile. */
static void
hold_whole(struct session *s, struct job *job)
{
	treat_whole(s, job, NULL);
	if (s->plan->verdict == VERDICT_ACCEPTED)
		plan_end(s->plan, VERDICT_HELD, "limit");
}

/*
 * Injects the message again for the plan's groups.  Where all were taken, the plan stands; else the
 * message has to go to the others too, and is treated once more, for all who are left.
 */
static void
split(struct session *s, struct job *job)
{
	struct plan *first = s->plan;
	char *why;
	GPtrArray *left = split_inject(job, first, s->tools->injector, &why);

	if (why != NULL)
		message_log_split(s->message, why);
	g_free(why);
	if (left->len > 0) {
		g_ptr_array_extend(left, first->own_rcpts, NULL, NULL);
		treat_whole(s, job, left);
	}
	s->left = left;
}

static void
charge(struct session *s, const struct job *job)
{
	const struct limit_over *over = &s->plan->over;

	pipeline_charge(job, s->plan);
	if (s->plan->limit == LIMIT_OVER && over->wait_us > 0)
		reached_note(s->tools->reached, over->key, g_get_monotonic_time() + over->wait_us);
}

const struct plan *
session_eom(struct session *s, const char *queue_id)
{
	struct job job = {0};

	if (s->message == NULL)
		return NULL;
	s->started = g_get_monotonic_time();
	take_queue_id(s, queue_id);
	message_seal(s->message);
	s->plan = plan_new(s->message);
	job.settings = s->settings;
	job.message = s->message;
	job.signer = s->tools->signer;
	job.resolver = s->tools->resolver;
	job.now = time(NULL);
	job.deadline = dns_deadline(s, s->started);
	job.limiter = limiter(s);
	job.local_limiter = s->settings->redis.used ? s->tools->local_limiter : NULL;
	job.locks = s->tools->locks;
	pipeline_run(&job, s->plan);
	charge(s, &job);
	if (s->plan->groups != NULL && s->plan->verdict == VERDICT_HELD)
		hold_whole(s, &job);
	else if (s->plan->groups != NULL)
		split(s, &job);
	return s->plan;
}

void
session_log(struct session *s, bool applied)
{
	if (!applied)
		plan_refuse(s->plan, VERDICT_DEFERRED, "mta", "451", "4.3.0",
			    "Message cannot be changed now, try again later");
	log_plan(s, s->plan, g_get_monotonic_time() - s->started);
}
