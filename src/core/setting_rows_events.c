/*
 * setting_rows_events - rows of the table of settings: what becomes of the mail; see setting_rows.h.
 */
#include "core/setting_rows.h"

#include <openssl/crypto.h>
#include <string.h>

#define IN_WEBHOOK(member) .offset = offsetof(struct webhook, member)
#define IN_WEBHOOK_HEADER(member) .offset = offsetof(struct webhook_header, member)
#define IN_LOCK(member) .offset = offsetof(struct lock_rule, member)
#define IN_BOUNCE(member) .offset = offsetof(struct bounce_pattern, member)

/* Defined below, behind their rows. */
static const struct setting_table webhook_header_table;

/* As category_name() has them. */
static const struct setting_choice category_choices[] = {
	{"bad-mailbox", CATEGORY_BAD_MAILBOX},
	{"bad-domain", CATEGORY_BAD_DOMAIN},
	{"inactive", CATEGORY_INACTIVE},
	{"full", CATEGORY_FULL},
	{"temporary", CATEGORY_TEMPORARY},
	{"reputation", CATEGORY_REPUTATION},
	{"policy", CATEGORY_POLICY},
	{"authentication", CATEGORY_AUTHENTICATION},
	{"rate", CATEGORY_RATE},
	{"other", CATEGORY_OTHER},
	{NULL, 0},
};

static const struct setting webhook_header_rows[] = {
	{.name = "name",
	 .type = SETTING_TEXT,
	 IN_WEBHOOK_HEADER(name),
	 SINCE_0_5,
	 .kind = &setting_kind_http_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name of the header."},
	{.name = "value",
	 .type = SETTING_TEXT,
	 IN_WEBHOOK_HEADER(value),
	 SINCE_0_5,
	 .kind = &setting_kind_http_value,
	 .flags = SETTING_REQUIRED | SETTING_SECRET,
	 .help = "Its value."},
};

static void
webhook_header_free(void *p)
{
	setting_release(&webhook_header_table, p);
	g_free(p);
}

static const struct setting_table webhook_header_table = {
	webhook_header_rows, COUNT(webhook_header_rows), sizeof(struct webhook_header),
	offsetof(struct webhook_header, origin), webhook_header_free};

static const struct setting webhook_rows[] = {
	{.name = "name",
	 .type = SETTING_TEXT,
	 IN_WEBHOOK(name),
	 SINCE_0_5,
	 .kind = &setting_kind_pool_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name in the queue and in the log; no two webhooks may share it, those of pools "
		 "included. What waits for a name that is gone stays until max_age, then it is dead."},
	{.name = "url",
	 .type = SETTING_TEXT,
	 IN_WEBHOOK(url),
	 SINCE_0_5,
	 .kind = &setting_kind_http_url,
	 .flags = SETTING_REQUIRED | SETTING_SECRET,
	 .help = "Where the events are posted to."},
	{.name = "events",
	 .type = SETTING_TEXTS,
	 IN_WEBHOOK(events),
	 SINCE_0_5,
	 .kind = &setting_kind_event,
	 .preset = "[ ]",
	 .help = "Which events; empty: all."},
	{.name = "secret_file",
	 .type = SETTING_TEXT,
	 IN_WEBHOOK(secret_file),
	 SINCE_0_5,
	 .kind = &setting_kind_path,
	 .help = "File with the secret of the signature in its first line, of 16 to 512 octets; not "
		 "readable by others, as keys. Left out: requests are not signed."},
	{.name = "headers",
	 .type = SETTING_LIST,
	 IN_WEBHOOK(headers),
	 SINCE_0_5,
	 .members = &webhook_header_table,
	 .preset = "( )",
	 .help = "Headers of each request, such as Authorization."},
	{.name = "ca_file",
	 .type = SETTING_TEXT,
	 IN_WEBHOOK(ca_file),
	 SINCE_0_5,
	 .kind = &setting_kind_path,
	 .help = "Certificates (PEM) of the authorities that may sign the server's; left out: those of "
		 "the system."},
	{.name = "batch",
	 .type = SETTING_INT,
	 IN_WEBHOOK(batch),
	 SINCE_0_5,
	 .min = 1,
	 .max = 10000,
	 .preset = "500",
	 .help = "Events in one request, at most."},
	{.name = "batch_ms",
	 .type = SETTING_INT,
	 IN_WEBHOOK(batch_ms),
	 SINCE_0_5,
	 .min = 0,
	 .max = 600000,
	 .preset = "1000",
	 .help = "Milliseconds that an event waits for others to go with it."},
	{.name = "timeout_ms",
	 .type = SETTING_INT,
	 IN_WEBHOOK(timeout_ms),
	 SINCE_0_5,
	 .min = 100,
	 .max = 600000,
	 .preset = "10000",
	 .help = "Milliseconds that a request may take; then it is sent again later."},
	{.name = "gzip",
	 .type = SETTING_BOOL,
	 IN_WEBHOOK(gzip),
	 SINCE_0_5,
	 .preset = "true",
	 .help = "Compress requests."},
};

static void
webhook_free(void *p)
{
	struct webhook *w = p;

	if (w->secret != NULL)
		OPENSSL_cleanse(w->secret, strlen(w->secret));
	g_free(w->secret);
	setting_release(&setting_table_webhook, w);
	g_free(w);
}

const struct setting_table setting_table_webhook = {webhook_rows, COUNT(webhook_rows),
						    sizeof(struct webhook),
						    offsetof(struct webhook, origin), webhook_free};

static const struct setting lock_rows[] = {
	{.name = "name",
	 .type = SETTING_TEXT,
	 IN_LOCK(name),
	 SINCE_0_5,
	 .kind = &setting_kind_pool_name,
	 .flags = SETTING_REQUIRED,
	 .help = "Name of the rule in the log and in poolctl locks; a record has each only once."},
	{.name = "category",
	 .type = SETTING_CHOICE,
	 IN_LOCK(category),
	 SINCE_0_5,
	 .choices = category_choices,
	 .help = "Replies of this category count; left out: the pattern alone decides."},
	{.name = "pattern",
	 .type = SETTING_TEXT,
	 IN_LOCK(pattern),
	 SINCE_0_5,
	 .kind = &setting_kind_pattern,
	 .help = "Replies that match this regular expression (PCRE2, without regard to case) count; "
		 "with a category, those that are both. One of the two is required."},
	{.name = "threshold",
	 .type = SETTING_TEXT,
	 IN_LOCK(threshold),
	 SINCE_0_5,
	 .kind = &setting_kind_limit,
	 .flags = SETTING_REQUIRED,
	 .help = "So many replies in so much time, of one pool's mail on all nodes, set the lock."},
	{.name = "pause",
	 .type = SETTING_DURATION,
	 IN_LOCK(pause),
	 SINCE_0_5,
	 .min = 1,
	 .max = LIMIT_SECONDS_MAX,
	 .help = "How long nothing more of the pool's mail to the ISP is accepted. This or rate is "
		 "required."},
	{.name = "rate",
	 .type = SETTING_TEXT,
	 IN_LOCK(rate),
	 SINCE_0_5,
	 .kind = &setting_kind_limit,
	 .help = "Instead of pause: no more than this is accepted, as a limit would do."},
	{.name = "step",
	 .type = SETTING_DURATION,
	 IN_LOCK(step),
	 SINCE_0_5,
	 .min = 1,
	 .max = LIMIT_SECONDS_MAX,
	 .preset = "\"10m\"",
	 .help = "With rate: the time after which the rate doubles."},
	{.name = "steps",
	 .type = SETTING_INT,
	 IN_LOCK(steps),
	 SINCE_0_5,
	 .min = 1,
	 .max = 30,
	 .preset = "5",
	 .help = "With rate: after so many steps the lock ends."},
};

static void
lock_free(void *p)
{
	setting_release(&setting_table_lock, p);
	g_free(p);
}

const struct setting_table setting_table_lock = {lock_rows, COUNT(lock_rows), sizeof(struct lock_rule),
						 offsetof(struct lock_rule, origin), lock_free};

static const struct setting bounce_rows[] = {
	{.name = "isp",
	 .type = SETTING_TEXT,
	 IN_BOUNCE(isp),
	 SINCE_0_5,
	 .kind = &setting_kind_isp_name,
	 .help = "Name of the ISP record whose replies it is for; left out: for all."},
	{.name = "code",
	 .type = SETTING_TEXT,
	 IN_BOUNCE(code),
	 SINCE_0_5,
	 .kind = &setting_kind_reply_code,
	 .help = "What the reply code or the enhanced status code (RFC 3463) begins with, whole "
		 "numbers where it has dots; left out: any."},
	{.name = "pattern",
	 .type = SETTING_TEXT,
	 IN_BOUNCE(pattern),
	 SINCE_0_5,
	 .kind = &setting_kind_pattern,
	 .help = "Regular expression (PCRE2, without regard to case) for the reply's text; left out: the "
		 "code alone decides."},
	{.name = "category",
	 .type = SETTING_CHOICE,
	 IN_BOUNCE(category),
	 SINCE_0_5,
	 .choices = category_choices,
	 .flags = SETTING_REQUIRED,
	 .help = "The category of replies that it matches."},
	{.name = "source",
	 .type = SETTING_TEXT,
	 IN_BOUNCE(source),
	 SINCE_0_5,
	 .kind = &setting_kind_remark,
	 .help = "Where it was learnt and when, for people."},
};

static void
bounce_free(void *p)
{
	setting_release(&setting_table_bounce, p);
	g_free(p);
}

const struct setting_table setting_table_bounce = {bounce_rows, COUNT(bounce_rows),
						   sizeof(struct bounce_pattern),
						   offsetof(struct bounce_pattern, origin), bounce_free};

static const struct setting events_rows[] = {
	{.name = "log",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(events.log),
	 SINCE_0_5,
	 .kind = &setting_kind_log_source,
	 .preset = "\"/var/log/mail.log\"",
	 .help = "The log of the MTA and of poolmilter: a file, \"journal\", or \"stdin\" for a syslog "
		 "daemon that pipes it to poolevents."},
	{.name = "history",
	 .type = SETTING_DURATION,
	 IN_SETTINGS(events.history),
	 SINCE_0_5,
	 .min = 1,
	 .max = LIMIT_SECONDS_MAX,
	 .preset = "\"7d\"",
	 .help = "How long a message that has left the queue is remembered, for bounces and complaints "
		 "that come later."},
	{.name = "max_age",
	 .type = SETTING_DURATION,
	 IN_SETTINGS(events.max_age),
	 SINCE_0_5,
	 .min = 1,
	 .max = LIMIT_SECONDS_MAX,
	 .preset = "\"3d\"",
	 .help = "How long an event waits for a receiver that does not take it; then it lies with the "
		 "dead letters."},
	{.name = "keep",
	 .type = SETTING_DURATION,
	 IN_SETTINGS(events.keep),
	 SINCE_0_5,
	 .min = 1,
	 .max = LIMIT_SECONDS_MAX,
	 .preset = "\"1d\"",
	 .help = "How long events stay for poolctl events, longer if a receiver has not got them yet; "
		 "and how long dead letters stay."},
	{.name = "file",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(events.file),
	 SINCE_0_5,
	 .kind = &setting_kind_path,
	 .help = "File that each event is appended to, as a line of JSON; left out: none."},
	{.name = "stream",
	 .type = SETTING_TEXT,
	 IN_SETTINGS(events.stream),
	 SINCE_0_5,
	 .kind = &setting_kind_word,
	 .help = "Key of a Redis Stream that each event is added to, on the server of the group redis; "
		 "left out: none."},
	{.name = "stream_max",
	 .type = SETTING_INT,
	 IN_SETTINGS(events.stream_max),
	 SINCE_0_5,
	 .min = 1,
	 .max = 1000000000,
	 .preset = "1000000",
	 .help = "About so many events stay in the stream, the newest."},
	{.name = "unverified",
	 .type = SETTING_BOOL,
	 IN_SETTINGS(events.unverified),
	 SINCE_0_5,
	 .preset = "false",
	 .help = "Take also bounces and complaints that neither a token in the Return-Path nor the "
		 "history vouches for: anybody can write those."},
};

const struct setting_table setting_table_events = {events_rows, COUNT(events_rows), 0, 0, NULL};
