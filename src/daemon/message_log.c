/*
 * message_log - the lines that messages leave in the log; see message_log.h.
 */
#include "daemon/message_log.h"
#include "base/log.h"
#include "core/outcome.h"

static const char *
queue_id(const struct message *m)
{
	return m->queue_id != NULL ? m->queue_id : "-";
}

static void
log_events(const struct settings *s, const struct message *m, const struct plan *p)
{
	GPtrArray *lines = outcome_event_lines(m, p, s->event_headers);

	for (guint i = 0; i < lines->len; i++)
		log_line(LOG_INFO, "%s", (char *)g_ptr_array_index(lines, i));
	g_ptr_array_unref(lines);
}

void
message_log(const struct settings *s, const struct message *m, const struct plan *p, gint64 took)
{
	static struct log_limit often;
	GString *line;

	if (p->limit_problem != NULL)
		log_limited(&often, LOG_WARNING, "limits: cannot be asked, mail goes on uncounted: %s",
			    p->limit_problem);
	if (p->detail != NULL)
		log_line(LOG_ERR, "%s: error: %s", queue_id(m), p->detail);
	if (!log_enabled(LOG_INFO))
		return;
	if (s->events.used)
		log_events(s, m, p);
	line = outcome_line(m, p, took);
	log_line(LOG_INFO, "%s", line->str);
	g_string_free(line, TRUE);
}

void
message_log_later(const struct message *m, const char *rcpt)
{
	GString *line = g_string_new(queue_id(m));

	g_string_append(line, ": isp:");
	outcome_address(line, "rcpt", rcpt);
	log_line(LOG_INFO, "%s result=deferred reason=other-isp", line->str);
	g_string_free(line, TRUE);
}

void
message_log_limit(const struct message *m, const char *rcpt, const struct limit_over *over)
{
	GString *line = g_string_new(queue_id(m));

	g_string_append(line, ": limit:");
	outcome_address(line, "rcpt", rcpt);
	log_line(LOG_INFO, "%s limit=over:%s wait_ms=%" G_GINT64_FORMAT " result=deferred", line->str,
		 over->name, (gint64)(over->wait_us + 999) / 1000);
	g_string_free(line, TRUE);
}

void
message_log_split(const struct message *m, const char *why)
{
	log_line(LOG_WARNING, "%s: split: not for all recipients, the others stay: %s", queue_id(m), why);
}

void
message_log_bounce(const struct message *m, const char *rcpt, const char *why)
{
	GString *line = g_string_new(queue_id(m));

	g_string_append(line, ": bounce:");
	outcome_address(line, "rcpt", rcpt);
	log_line(LOG_INFO, "%s token=%s result=refused", line->str, why);
	g_string_free(line, TRUE);
}
