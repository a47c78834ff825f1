/*
 * command_bounce - poolctl bounce: what a mail to a Return-Path says, as events; for Postfix'
 * pipe(8).
 *
 * Whatever goes wrong on our side is EX_TEMPFAIL, a wrong configuration or option too: pipe(8)
 * would return, and so lose, the bounce for any other status.  The one exception is an address that
 * is no Return-Path: EX_NOUSER.  The message is read to its end first: the pipe never breaks.
 */
#include "base/log.h"
#include "ctl/bounce_owner.h"
#include "ctl/command.h"
#include "io/classifier.h"
#include "io/event_json.h"
#include "io/event_record.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define LOG_SECONDS 5 /* that a syslog which does not read may hold us up */

struct options {
	const char *config;
	const char *recipient;
	const char *sender; /* NULL: not told */
	time_t time;
	bool dry_run, json, help;
};

struct content {
	GString *octets; /* no more than are looked at */
	int64_t hash;    /* of all, and of the recipient: several may get the same */
};

/* ---- the message ---- */

/* False on a read error: it is not whole. */
static bool
read_content(struct content *c, const char *recipient)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	char *lower = g_ascii_strdown(recipient, -1);
	guint8 digest[32];
	gsize digest_len = sizeof digest;
	char chunk[65536];
	size_t n;

	g_checksum_update(sum, (const guchar *)lower, (gssize)strlen(lower) + 1);
	g_free(lower);
	c->octets = g_string_new(NULL);
	while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
		g_checksum_update(sum, (const guchar *)chunk, (gssize)n);
		g_string_append_len(c->octets, chunk,
				    (gssize)MIN(n, BOUNCE_OCTETS_MAX - c->octets->len));
	}
	g_checksum_get_digest(sum, digest, &digest_len);
	g_checksum_free(sum);
	memcpy(&c->hash, digest, sizeof c->hash);
	return !ferror(stdin);
}

/* ---- telling ---- */

/* To the log, and to standard error: Postfix has that in its own log. */
static void
tell(const struct options *o, const char *token, enum bounce_kind kind, guint events,
     const char *doubt)
{
	char *line = g_strdup_printf("-: bounce: rcpt=<%s> token=%s report=%s events=%u%s%s",
				     o->recipient, token, bounce_kind_word(kind), events,
				     doubt != NULL ? " " : "", doubt != NULL ? doubt : "");
	char *valid = g_utf8_make_valid(line, -1);

	log_line(LOG_INFO, "%s", line);
	for (char *p = valid; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p))
			*p = '?';
	if (events == 0 || doubt != NULL)
		fprintf(stderr, "poolctl bounce: %s\n", valid + strlen("-: bounce: "));
	g_free(valid);
	g_free(line);
}

static void
print_events(const GPtrArray *events)
{
	for (guint i = 0; i < events->len; i++) {
		char *json = event_json(events->pdata[i]);

		puts(json);
		g_free(json);
	}
}

static int
later(const char *what, char *why)
{
	log_line(LOG_ERR, "-: bounce: %s: %s", what, why);
	fprintf(stderr, "poolctl bounce: %s: %s\n", what, why);
	g_free(why);
	return EX_TEMPFAIL;
}

/* ---- keeping ---- */

static bool
keep(struct event_db *db, const struct settings *s, const GPtrArray *events, char **why)
{
	if (!event_db_begin(db, why))
		return false;
	for (guint i = 0; i < events->len; i++)
		if (!event_record(db, s, events->pdata[i], NULL, why)) {
			event_db_rollback(db);
			return false;
		}
	if (event_db_commit(db, why))
		return true;
	event_db_rollback(db);
	return false;
}

static void
complete(const struct settings *s, GPtrArray *events)
{
	struct errors *errors = errors_new();
	struct classifier *c = classifier_new(s, errors);

	for (guint i = 0; i < events->len; i++)
		event_complete(s, c, events->pdata[i]);
	classifier_free(c);
	errors_free(errors);
}

/* The events of a report about an owner's message, kept unless it is a dry run; an exit status. */
static int
hand_over(const struct options *o, const struct settings *s, struct event_db *db,
	  struct bounce_owner *owner, const char *token, const struct bounce_report *r,
	  const struct content *content)
{
	struct bounce_case c = {s, r, db, content->hash, o->time};
	const char *doubt;
	char *why = NULL;
	GPtrArray *events;
	int status = EX_OK;

	events = bounce_owner_events(owner, &c, &doubt, &why);
	if (events == NULL)
		return later("history", why);
	complete(s, events);
	if (!o->dry_run && events->len > 0 && !keep(db, s, events, &why))
		status = later("not kept", why);
	if (status == EX_OK && (o->dry_run || o->json))
		print_events(events);
	if (status == EX_OK)
		tell(o, token, r->kind, events->len, doubt);
	g_ptr_array_unref(events);
	return status;
}

/* NULL with *why; of a dry run NULL without, too: there is no history. */
static struct event_db *
open_db(const struct options *o, const struct settings *s, char **why)
{
	struct event_db *db;

	if (!o->dry_run)
		/* What root makes, poolevents could not write to. */
		return event_db_open(
			s->state_dir,
			geteuid() == 0 && s->user != NULL ? EVENT_DB_WRITE : EVENT_DB_CREATE, why);
	db = event_db_open(s->state_dir, EVENT_DB_READ, why);
	if (db == NULL)
		g_clear_pointer(why, g_free);
	return db;
}

static int
open_and_hand_over(const struct options *o, const struct settings *s, struct bounce_owner *owner,
		   const char *token, const struct bounce_report *r, const struct content *content)
{
	char *why = NULL;
	struct event_db *db = open_db(o, s, &why);
	int status;

	if (why != NULL)
		return later("database", why);
	status = hand_over(o, s, db, owner, token, r, content);
	event_db_close(db);
	return status;
}

/* Whose it is.  Feedback comes to an address of its own: it names the Return-Path within. */
static enum bounce_owned
find_owner(const struct options *o, const struct settings *s, const struct bounce_report *r,
	   struct bounce_owner *owner, const char **token)
{
	enum bounce_owned owned = bounce_owner_find(s, o->recipient, o->time, owner, token);
	const struct bounce_notice *n = r->notices->len > 0 ? r->notices->pdata[0] : NULL;

	if (owned != OWNED_NOT || r->return_path == NULL || n == NULL || n->type != EVENT_COMPLAINT)
		return owned;
	bounce_owner_clear(owner);
	return bounce_owner_find(s, r->return_path, o->time, owner, token);
}

static int
treat(const struct options *o, const struct settings *s, const struct content *content)
{
	struct bounce_report *r =
		bounce_report_read(content->octets->str, content->octets->len, o->sender);
	struct bounce_owner owner;
	const char *token;
	int status = EX_OK;

	switch (find_owner(o, s, r, &owner, &token)) {
	case OWNED_NOT:
		tell(o, token, r->kind, 0, "not a Return-Path of ours");
		status = EX_NOUSER;
		break;
	case OWNED_REFUSED:
		tell(o, token, r->kind, 0, "discarded");
		break;
	case OWNED:
		if (r->notices->len > 0)
			status = open_and_hand_over(o, s, &owner, token, r, content);
		else
			tell(o, token, r->kind, 0, "discarded");
		break;
	}
	bounce_owner_clear(&owner);
	bounce_report_free(r);
	return status;
}

/* ---- the command ---- */

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"recipient", required_argument, NULL, 'r'},
		{"sender", required_argument, NULL, 's'},
		{"time", required_argument, NULL, 't'},
		{"dry-run", no_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:r:s:nh", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'r')
			o->recipient = optarg;
		else if (c == 's')
			o->sender = optarg;
		else if (c == 'n')
			o->dry_run = true;
		else if (c == 'j')
			o->json = true;
		else if (c == 'h')
			o->help = true;
		else if (c != 't')
			return command_usage_error("bounce", "unknown option");
		else if (!command_time(optarg, &o->time))
			return command_usage_error(
				"bounce", "--time: \"%s\" is no number of seconds", optarg);
	}
	if (optind < argc)
		return command_usage_error("bounce", "unexpected argument \"%s\"", argv[optind]);
	if (o->recipient == NULL && !o->help)
		return command_usage_error("bounce", "--recipient is needed");
	return EX_OK;
}

static int
run(const struct options *o, const struct settings *s, const struct content *content)
{
	if (!s->events.used && !o->dry_run)
		return later("configuration", g_strdup("the group \"events\" is not there"));
	return treat(o, s, content);
}

int
command_bounce(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG, .time = time(NULL)};
	struct content content = {NULL, 0};
	struct settings *s;
	int status;

	if (parse_options(&o, argc, argv) != EX_OK)
		return EX_TEMPFAIL;
	if (o.help)
		return command_help("bounce");
	if (!read_content(&content, o.recipient)) {
		fputs("poolctl bounce: standard input cannot be read\n", stderr);
		return EX_TEMPFAIL;
	}
	s = command_load(o.config, 0);
	if (s == NULL) {
		g_string_free(content.octets, TRUE);
		return EX_TEMPFAIL;
	}
	log_open(s->syslog.ident, s->syslog.facility, false);
	log_set_level(s->syslog.level);
	status = run(&o, s, &content);
	log_close(LOG_SECONDS);
	settings_unref(s);
	g_string_free(content.octets, TRUE);
	return status;
}
