/*
 * joiner_lines - what each line of the log does to a flight; see joiner.h.
 *
 * A message begins with the line of its client, of its Message-ID, or of poolmilter, whichever is
 * read first.  Other lines of a queue ID that is not known are nobody's.  A queue ID that is used
 * again (short ones are) begins with a new client's line, or with a Message-ID after its end.
 */
#include "core/joiner_private.h"

#include "core/word.h"

#include <string.h>

#define QUEUE_ID_SIZE 80 /* mta_line.c has no longer ones */
#define REPLY_MAX 4096   /* octets of a reply that events tell */

static char *
copy(struct text_part t)
{
	return t.len > 0 ? g_strndup(t.p, t.len) : NULL;
}

static bool
is(struct text_part t, const char *text)
{
	return t.len == strlen(text) && (t.len == 0 || memcmp(t.p, text, t.len) == 0);
}

static void
set_id(char id[QUEUE_ID_SIZE], struct text_part t)
{
	size_t len = MIN(t.len, QUEUE_ID_SIZE - 1);

	if (len > 0)
		memcpy(id, t.p, len);
	id[len] = '\0';
}

/* The flight of a queue ID.  Nobody may have looked at it when its grace was over. */
static struct slot *
find(struct joiner *j, struct text_part queue_id, int64_t now)
{
	char id[QUEUE_ID_SIZE];
	struct slot *s;

	set_id(id, queue_id);
	s = joiner_find(j, id);
	if (s == NULL || !joiner_overdue(s->f, now))
		return s;
	joiner_look_at(j, s, now);
	return joiner_find(j, id);
}

/* ---- beginnings ---- */

static struct slot *
begin(struct joiner *j, const struct log_line *line, const struct mta_line *m, struct slot *old)
{
	char id[QUEUE_ID_SIZE];
	struct slot *s;

	set_id(id, m->queue_id);
	s = joiner_begin(j, id, line->time, old);
	joiner_wait_first(j, s->f);
	return s;
}

static bool
gone(const struct flight *f)
{
	return f->ended != 0 || f->removed != 0;
}

/* An address of this host in "name[address]..." or the name of the host that wrote the line. */
static bool
this_host(struct text_part t, const struct log_line *line)
{
	const char *open = memchr(t.p, '[', t.len);
	size_t name = open != NULL ? (size_t)(open - t.p) : t.len, left;

	if (open == NULL)
		return false;
	if (name == line->host.len && g_ascii_strncasecmp(t.p, line->host.p, name) == 0)
		return true;
	left = t.len - name - 1;
	open++;
	if (left >= 4 && memcmp(open, "127.", 4) == 0)
		return true;
	if (left >= 4 && memcmp(open, "::1]", 4) == 0)
		return true;
	return left >= 1 && memchr(open, '/', left) != NULL; /* a UNIX-domain socket */
}

/* The message goes on as this one. */
static void
requeued(struct joiner *j, struct slot *s, struct slot *old, int64_t time)
{
	if (old->f->pool == NULL || gone(old->f) || s->f->pool != NULL)
		return;
	flight_continue(s->f, old->f);
	old->f->removed = time;
	joiner_touch(j, old);
	joiner_finish(j, old);
	joiner_touch(j, s);
	joiner_wait_no_more(j, s->f->queue_id);
}

static void
client(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s = find(j, m->queue_id, line->time), *old;
	bool late =
		s != NULL && !gone(s->f) && !s->f->client && line->time - s->f->born <= JOINER_SKEW;

	if (!late)
		s = begin(j, line, m, s);
	s->f->client = true;
	s->f->local = m->client.len == 0 || this_host(m->client, line);
	joiner_touch(j, s);
	joiner_wait(j, s->f->queue_id, joiner_first_look(s->f));
	if (m->next_id.len > 0 && (old = find(j, m->next_id, line->time)) != NULL && old != s)
		requeued(j, s, old, line->time);
}

/* What its message is was known before: another Message-ID is another message's. */
static bool
written(const struct flight *f, int64_t now)
{
	return gone(f) || (f->accepted && now - f->born > JOINER_SKEW);
}

static void
message_id(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s = find(j, m->queue_id, line->time);
	bool same =
		s != NULL && is(m->message_id, s->f->message_id != NULL ? s->f->message_id : "");

	if (s == NULL || (written(s->f, line->time) && !same))
		s = begin(j, line, m, s);
	if (s->f->message_id != NULL)
		return;
	s->f->message_id = copy(m->message_id);
	joiner_touch(j, s);
	joiner_wait_first(j, s->f);
}

/* ---- poolmilter ---- */

static struct slot *
for_ours(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s = find(j, m->queue_id, line->time);

	return s == NULL || (s->f->ended != 0 && s->f->pool != NULL) ? begin(j, line, m, s) : s;
}

static void
told_header(struct flight *f, const char *text)
{
	const char *colon = strchr(text, ':');
	char *name;

	if (colon == NULL)
		return;
	name = g_strndup(text, (gsize)(colon - text));
	flight_add_header(f, name, colon + 1);
	g_free(name);
}

static void
event_words(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s = for_ours(j, line, m);
	struct word_line words = {m->words.p, m->words.p + m->words.len};
	GString *word;

	if (s->f->pool != NULL)
		return;
	word = g_string_new(NULL);
	while (word_take(&words, word))
		if (g_str_has_prefix(word->str, "rcpt:"))
			flight_add_told(s->f, word->str + strlen("rcpt:"));
		else if (g_str_has_prefix(word->str, "header:"))
			told_header(s->f, word->str + strlen("header:"));
	g_string_free(word, TRUE);
	joiner_touch(j, s);
}

/* Undoes what outcome_address() did. */
static char *
sender_of(struct text_part t)
{
	char *sender = t.p == NULL ? NULL : g_uri_unescape_segment(t.p, t.p + t.len, NULL);

	return sender != NULL || t.p == NULL ? sender : g_strndup(t.p, t.len);
}

/* One that is not treated is nobody's; one of this host that passes may yet be a filter's. */
static void
pool(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s = for_ours(j, line, m);
	bool treated = !is(m->pool, "-") && (is(m->result, "accepted") || is(m->result, "held"));

	if (s->f->pool != NULL)
		return;
	if (!treated && !(s->f->local && is(m->result, "passed"))) {
		joiner_forget(j, s);
		return;
	}
	if (!treated) {
		s->f->unrelated = true;
		joiner_touch(j, s);
		return;
	}
	s->f->pool = copy(m->pool);
	s->f->isp = is(m->isp, "-") ? NULL : copy(m->isp);
	s->f->sender = sender_of(m->sender);
	g_clear_pointer(&s->f->parent, g_free);
	if (s->f->hops == NULL || s->f->hops->len == 0)
		joiner_wait_no_more(j, s->f->queue_id);
	joiner_touch(j, s);
	joiner_tell_pending(j, s);
	joiner_finish(j, s);
}

/* ---- what becomes of it ---- */

static struct event *
event_of(enum event_type type, const struct log_line *line)
{
	struct event *e = event_new(type, EVENT_FROM_LOG);

	e->time = line->time;
	e->node = copy(line->host);
	return e;
}

static void
tell(struct joiner *j, struct slot *s, struct event *e)
{
	if (s->f->pool != NULL)
		joiner_tell(j, s->f, e);
	else
		flight_wait(s->f, e);
	joiner_touch(j, s);
	joiner_wait_first(j, s->f);
}

/* What the last try said is why it expired. */
static void
add_last_try(struct event *e, const struct flight_recipient *r)
{
	e->relay = g_strdup(r->relay);
	e->code = r->code;
	e->dsn = g_strdup(r->dsn);
	e->reply = g_strdup(r->reply);
}

/* One event for each who is waited for; one of nobody for those that there was no room for. */
static void
tell_deferred(struct joiner *j, struct slot *s, enum event_type type, const struct log_line *line)
{
	const GPtrArray *deferred = s->f->deferred;

	for (guint i = 0; deferred != NULL && i < deferred->len; i++) {
		const struct flight_recipient *r = deferred->pdata[i];
		struct event *e = event_of(type, line);

		e->recipient = g_strdup(r->address);
		e->original_recipient = g_strdup(r->original);
		if (type == EVENT_EXPIRED)
			add_last_try(e, r);
		tell(j, s, e);
	}
	if (s->f->more_deferred)
		tell(j, s, event_of(type, line));
}

static void
queued(struct joiner *j, const struct log_line *line, struct slot *s)
{
	s->f->held = false;
	joiner_touch(j, s);
	if (s->f->accepted || gone(s->f))
		return;
	s->f->accepted = true;
	tell(j, s, event_of(EVENT_ACCEPTED, line));
}

static void
held(struct joiner *j, const struct log_line *line, struct slot *s)
{
	if (s->f->held || gone(s->f))
		return;
	s->f->held = true;
	if (s->f->deferred != NULL && s->f->deferred->len > 0)
		tell_deferred(j, s, EVENT_HELD, line);
	else
		tell(j, s, event_of(EVENT_HELD, line));
}

static void
expired(struct joiner *j, const struct log_line *line, struct slot *s)
{
	tell_deferred(j, s, EVENT_EXPIRED, line);
	flight_settle_all(s->f);
	s->f->more_deferred = false;
}

static struct event *
delivery_event(const struct log_line *line, const struct mta_line *m)
{
	static const enum event_type types[] = {[STATUS_SENT] = EVENT_DELIVERED,
						[STATUS_DEFERRED] = EVENT_DEFERRED,
						[STATUS_BOUNCED] = EVENT_BOUNCED};
	struct event *e = event_of(types[m->status], line);
	struct text_part said = mta_reply_said(m->reply);

	e->recipient = g_strndup(m->recipient.p, m->recipient.len);
	e->original_recipient = copy(m->orig_recipient);
	e->relay = is(m->relay, "none") ? NULL : copy(m->relay);
	e->delay_ms = m->delay_ms;
	e->code = mta_reply_code(m->reply);
	e->dsn = copy(m->dsn);
	e->reply = g_strndup(said.p, MIN(said.len, REPLY_MAX));
	return e;
}

/* Ends of waiting are whole seconds: what waits is looked at once for all that end together. */
static int64_t
whole_second(int64_t time)
{
	int64_t over = time % G_USEC_PER_SEC;

	return over == 0 ? time : time - over + G_USEC_PER_SEC;
}

/* Until when a delivery may turn out to be a hop; 0: it is one to somebody. */
static int64_t
hop_until(const struct log_line *line, const struct mta_line *m)
{
	bool named = m->next_id.len > 0;

	if (m->status != STATUS_SENT)
		return 0;
	if (is(m->daemon, "pipe"))
		return whole_second(line->time + JOINER_GRACE);
	if ((is(m->daemon, "local") && named) ||
	    ((is(m->daemon, "smtp") || (is(m->daemon, "lmtp") && named)) &&
	     this_host(m->relay, line)))
		return whole_second(line->time + JOINER_HOP);
	return 0;
}

static void
delivery(struct joiner *j, const struct log_line *line, const struct mta_line *m, struct slot *s)
{
	int64_t until = hop_until(line, m);
	char next_id[QUEUE_ID_SIZE];
	struct event *e;

	if (m->status == STATUS_OTHER || m->status == STATUS_UNKNOWN)
		return;
	e = delivery_event(line, m);
	flight_add_recipient(s->f, e->recipient);
	if (m->status != STATUS_DEFERRED)
		flight_settle(s->f, e->recipient);
	else if (!gone(s->f))
		flight_defer(s->f, e);
	if (until == 0) {
		tell(j, s, e);
		return;
	}
	set_id(next_id, m->next_id);
	joiner_hop(j, s, e, m->next_id.len > 0 ? next_id : NULL, until);
}

static void
removed(struct joiner *j, const struct log_line *line, struct slot *s)
{
	if (gone(s->f))
		return;
	s->f->removed = line->time;
	joiner_touch(j, s);
	joiner_finish(j, s);
}

/* A bounce message, made here: it has no client. */
static void
notice(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s = find(j, m->next_id, line->time);

	if (s != NULL && s->f->pool == NULL && !s->f->client)
		joiner_forget(j, s);
}

static void
of_known(struct joiner *j, const struct log_line *line, const struct mta_line *m, struct slot *s)
{
	if (s->f->complete == 0 &&
	    !is(m->daemon, "smtpd")) { /* that one holds what is still coming */
		s->f->complete = line->time;
		joiner_touch(j, s);
		joiner_wait(j, s->f->queue_id, joiner_first_look(s->f));
	}
	switch (m->said) {
	case MTA_QUEUED:
		queued(j, line, s);
		break;
	case MTA_HOLD:
		held(j, line, s);
		break;
	case MTA_RELEASED:
		s->f->held = false;
		joiner_touch(j, s);
		break;
	case MTA_EXPIRED:
		expired(j, line, s);
		break;
	case MTA_DELIVERY:
		delivery(j, line, m, s);
		break;
	case MTA_REJECT:
	case MTA_REMOVED:
		removed(j, line, s);
		break;
	default:
		break;
	}
}

void
joiner_take(struct joiner *j, const struct log_line *line, const struct mta_line *m)
{
	struct slot *s;

	switch (m->said) {
	case MTA_CLIENT:
		client(j, line, m);
		break;
	case MTA_MESSAGE_ID:
		message_id(j, line, m);
		break;
	case MTA_EVENT:
		event_words(j, line, m);
		break;
	case MTA_POOL:
		pool(j, line, m);
		break;
	case MTA_NOTICE:
		notice(j, line, m);
		break;
	case MTA_REQUEUED: /* the client's line of the new queue ID says it all */
		break;
	default:
		s = find(j, m->queue_id, line->time);
		if (s != NULL && !joiner_long_gone(s->f, line->time))
			of_known(j, line, m, s);
		break;
	}
}
