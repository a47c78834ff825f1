/*
 * session - one connection of the MTA; see session.h.
 */
#include "daemon/session.h"
#include "base/log.h"
#include "core/pipeline.h"
#include "core/return_path.h"
#include "core/trust.h"
#include "daemon/message_log.h"
#include "daemon/snapshot.h"

#include <string.h>
#include <time.h>

struct session {
	const struct signer *signer;
	struct address client;
	bool local;

	/* Of the current message; all NULL or false without one. */
	struct settings *settings; /* a message keeps the snapshot that it began with */
	struct message *message;
	struct plan *plan;
	bool in_progress;
	gint64 started; /* of the treatment, monotonic microseconds */
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
session_new(const struct signer *signer)
{
	struct session *s = g_new0(struct session, 1);

	s->signer = signer;
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
	g_clear_pointer(&s->plan, plan_free);
	g_clear_pointer(&s->message, message_free);
	g_clear_pointer(&s->settings, settings_unref);
}

void
session_mail(struct session *s, const char *sender, const char *login)
{
	session_end(s);
	s->settings = snapshot_get();
	s->message = message_new(sender, (uint64_t)s->settings->max_message_size);
	s->message->client = s->client;
	s->message->local = s->local;
	s->message->login = g_strdup(login != NULL && *login != '\0' ? login : NULL);
}

enum session_answer
session_rcpt(struct session *s, const char *rcpt)
{
	const char *why = "-";

	if (s->message == NULL)
		return SESSION_CONTINUE;
	if (return_path_check(s->settings, rcpt, time(NULL), &why) == BOUNCE_REFUSE) {
		message_log_bounce(s->message, rcpt, why);
		return SESSION_REFUSE;
	}
	message_add_rcpt(s->message, rcpt);
	return SESSION_CONTINUE;
}

static void
take_queue_id(struct session *s, const char *queue_id)
{
	if (queue_id == NULL || *queue_id == '\0' || s->message->queue_id != NULL)
		return;
	s->message->queue_id = g_strdup(queue_id);
}

enum session_answer
session_data(struct session *s, const char *queue_id)
{
	struct message *m = s->message;

	if (m == NULL)
		return SESSION_CONTINUE;
	take_queue_id(s, queue_id);
	if (!trust_client(s->settings, &m->client, m->login, m->local)) {
		message_log_early(m, VERDICT_PASSED, "untrusted");
		session_end(s);
		return SESSION_ACCEPT;
	}
	if (g_atomic_int_get(&stopping)) {
		message_log_early(m, VERDICT_DEFERRED, "stopping");
		session_end(s);
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

const struct plan *
session_eom(struct session *s, const char *queue_id)
{
	struct job job;

	if (s->message == NULL)
		return NULL;
	s->started = g_get_monotonic_time();
	take_queue_id(s, queue_id);
	message_seal(s->message);
	s->plan = plan_new(s->message);
	job = (struct job){s->settings, s->message, s->signer, time(NULL)};
	pipeline_run(&job, s->plan);
	return s->plan;
}

void
session_log(struct session *s, bool applied)
{
	if (!applied)
		plan_refuse(s->plan, VERDICT_DEFERRED, "mta", "451", "4.3.0",
			    "Message cannot be changed now, try again later");
	message_log(s->message, s->plan, g_get_monotonic_time() - s->started);
}
