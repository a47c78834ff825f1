/*
 * bounce_owner - whose message a bounce is about; see bounce_owner.h.
 */
#include "ctl/bounce_owner.h"

#include "core/domain.h"
#include "core/message.h"
#include "core/return_path.h"

#include <string.h>

#define SECONDS_PER_DAY 86400
#define AHEAD_MAX 300        /* seconds that clocks may differ */
#define QUEUE_HASH_DIGITS 12 /* of token.h: 6 octets of SHA-256 */

/* ---- the Return-Path ---- */

void
bounce_owner_clear(struct bounce_owner *o)
{
	g_free(o->local);
	g_free(o->domain);
	g_free(o->recipient);
	memset(o, 0, sizeof *o);
}

/* Is it the one local part that pools with return_path "plain" have? */
static bool
is_plain(const struct settings *s, const struct bounce_owner *o, time_t now)
{
	char local[LOCAL_PART_MAX + 1];

	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		if (p->return_path == RETURN_PATH_PLAIN && strcmp(p->spf_domain, o->domain) == 0)
			return return_path_make(s, p, NULL, NULL, now, local) &&
			       g_ascii_strcasecmp(local, o->local) == 0;
	}
	return false;
}

static enum bounce_owned
read_token(const struct settings *s, time_t now, struct bounce_owner *o, const char **why)
{
	enum token_result r = token_decode(s, o->local, o->domain, NULL, now, &o->token);

	*why = token_word(r);
	if (r == TOKEN_FORGED || r == TOKEN_MALFORMED)
		return OWNED_NOT;
	if (r != TOKEN_OK)
		return OWNED_REFUSED;
	o->proof = PROOF_TOKEN;
	o->pool = return_path_pool(s, o->domain, o->token.pool_tag);
	if (o->pool != NULL)
		return OWNED;
	*why = "unknown-pool";
	return OWNED_REFUSED;
}

static enum bounce_owned
read_local_part(const struct settings *s, unsigned modes, time_t now, struct bounce_owner *o,
		const char **why)
{
	enum bounce_owned owned = read_token(s, now, o, why);

	if (owned != OWNED_NOT)
		return owned;
	if (modes & 1u << RETURN_PATH_VERP)
		o->recipient = verp_decode(s->return_path.local_part, o->local);
	if (o->recipient != NULL) {
		o->proof = PROOF_VERP;
		*why = "verp";
		return OWNED;
	}
	if ((modes & 1u << RETURN_PATH_PLAIN) && is_plain(s, o, now)) {
		o->proof = PROOF_PLAIN;
		*why = "plain";
		return OWNED;
	}
	return token_text(s->return_path.local_part, o->local) != NULL ? OWNED_REFUSED : OWNED_NOT;
}

enum bounce_owned
bounce_owner_find(const struct settings *s, const char *address, time_t now, struct bounce_owner *o,
		  const char **why)
{
	const char *domain = address_domain(address);
	char normal[DOMAIN_SIZE];
	unsigned modes;

	memset(o, 0, sizeof *o);
	*why = "none";
	if (domain == NULL || !domain_normalise(domain, strlen(domain), normal))
		return OWNED_NOT;
	modes = GPOINTER_TO_UINT(g_hash_table_lookup(s->spf_domains, normal));
	if (modes == 0)
		return OWNED_NOT;
	o->domain = g_strdup(normal);
	o->local = g_strndup(address, (gsize)(domain - address - 1));
	return read_local_part(s, modes, now, o, why);
}

/* ---- the history ---- */

/* A queue ID may be given again: the message was born about when the token was made. */
static bool
is_of_token(const struct flight *f, const struct bounce_owner *o)
{
	int64_t day = f->born / G_USEC_PER_SEC / SECONDS_PER_DAY;
	char *hash;
	bool same;

	if (day + 1 < (int64_t)o->token.day || day > (int64_t)o->token.day + 1 ||
	    g_strcmp0(f->pool, o->pool->name) != 0)
		return false;
	if (!o->token.queue_id_hashed)
		return *o->token.queue_id == '\0' || strcmp(f->queue_id, o->token.queue_id) == 0;
	hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, f->queue_id, -1);
	same = strncmp(hash, o->token.queue_id, QUEUE_HASH_DIGITS) == 0;
	g_free(hash);
	return same;
}

/* The pool that the history names, if its Return-Paths are at this domain. */
static const struct pool *
pool_of_flight(const struct settings *s, const struct flight *f, const char *domain)
{
	const struct pool *p =
		f->pool != NULL ? g_hash_table_lookup(s->pool_by_name, f->pool) : NULL;

	return p != NULL && g_strcmp0(p->spf_domain, domain) == 0 ? p : NULL;
}

static bool
find_by_queue_id(const struct bounce_owner *o, const struct bounce_case *c, struct flight **f,
		 char **why)
{
	int64_t before = ((int64_t)o->token.day + 2) * SECONDS_PER_DAY * G_USEC_PER_SEC;

	if (o->proof != PROOF_TOKEN || o->token.queue_id_hashed || *o->token.queue_id == '\0')
		return true;
	return event_db_flight(c->db, o->token.queue_id, before, f, why);
}

/* The message's flight; *f NULL: not known.  False: the history cannot be read. */
static bool
find_flight(struct bounce_owner *o, const struct bounce_case *c, struct flight **f, char **why)
{
	*f = NULL;
	if (c->db == NULL)
		return true;
	if (!find_by_queue_id(o, c, f, why))
		return false;
	if (*f == NULL && c->report->message_id != NULL &&
	    !event_db_flight_by_message_id(c->db, c->report->message_id, f, why))
		return false;
	if (*f == NULL)
		return true;
	if (o->proof == PROOF_TOKEN) {
		if (!is_of_token(*f, o))
			g_clear_pointer(f, flight_free);
		return true;
	}
	o->pool = pool_of_flight(c->settings, *f, o->domain);
	if (o->pool == NULL || (o->recipient != NULL && !flight_has_recipient(*f, o->recipient)))
		g_clear_pointer(f, flight_free);
	return true;
}

/* ---- recipients ---- */

struct choice {
	struct bounce_owner *o;
	const struct bounce_case *c;
	const struct flight *flight; /* NULL: not known */
	GPtrArray *events;
	const char *doubt;
};

/* True if the Return-Path was made for this address alone. */
static bool
fits(const struct choice *ch, const char *address)
{
	const struct bounce_owner *o = ch->o;
	struct token t;

	if (address == NULL)
		return false;
	if (o->proof == PROOF_VERP)
		return g_ascii_strcasecmp(address, o->recipient) == 0;
	return token_decode(ch->c->settings, o->local, o->domain, address, ch->c->now, &t) !=
	       TOKEN_FORGED;
}

static bool
is_for_one(const struct bounce_owner *o)
{
	return o->proof == PROOF_VERP || (o->proof == PROOF_TOKEN && o->token.has_rcpt);
}

static const char *
first_fit(const struct choice *ch, const GPtrArray *addresses)
{
	for (guint i = 0; addresses != NULL && i < addresses->len; i++)
		if (fits(ch, addresses->pdata[i]))
			return addresses->pdata[i];
	return NULL;
}

/* Reports have addresses as xtext (RFC 3461 4), too; g_free it, NULL: nothing in it is escaped. */
static char *
xtext_decoded(const char *text)
{
	GString *out;

	if (text == NULL || strchr(text, '+') == NULL)
		return NULL;
	out = g_string_new(NULL);
	for (; *text != '\0'; text++)
		if (*text == '+' && g_ascii_isxdigit(text[1]) && g_ascii_isxdigit(text[2])) {
			char c = (char)(g_ascii_xdigit_value(text[1]) * 16 +
					g_ascii_xdigit_value(text[2]));

			g_string_append_c(out, c != '\0' ? c : '?');
			text += 2;
		} else {
			g_string_append_c(out, *text);
		}
	return g_string_free(out, FALSE);
}

/* What a notice names that is right: its original or final recipient, escaped or not; g_free it. */
static char *
right_one(const struct choice *ch, const struct bounce_notice *n,
	  bool (*right)(const struct choice *ch, const char *address))
{
	char *names[] = {g_strdup(n->original), g_strdup(n->final), xtext_decoded(n->original),
			 xtext_decoded(n->final)};
	char *found = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		if (found == NULL && names[i] != NULL && right(ch, names[i]))
			found = g_steal_pointer(&names[i]);
		g_free(names[i]);
	}
	return found;
}

static bool
has_recipient(const struct choice *ch, const char *address)
{
	return flight_has_recipient(ch->flight, address);
}

/* ---- events ---- */

static void
add_headers(const struct choice *ch, struct event *e)
{
	const GPtrArray *from = ch->flight != NULL ? ch->flight->headers : ch->c->report->headers;
	const GPtrArray *names = ch->c->settings->event_headers;

	if (ch->flight == NULL && ch->o->proof != PROOF_TOKEN)
		return;
	for (guint i = 0; from != NULL && i < from->len; i++) {
		const struct event_header *h = from->pdata[i];

		for (guint k = 0; k < names->len; k++)
			if (g_ascii_strcasecmp(h->name, names->pdata[k]) == 0)
				event_add_header(e, names->pdata[k], h->value);
	}
}

static void
add_what_is_known(const struct choice *ch, struct event *e)
{
	const struct flight *f = ch->flight;

	e->pool = ch->o->pool != NULL ? g_strdup(ch->o->pool->name) : NULL;
	e->message_id = g_strdup(f != NULL && f->message_id != NULL ? f->message_id
								    : ch->c->report->message_id);
	if (f != NULL) {
		e->node = g_strdup(g_get_host_name());
		g_free(e->queue_id);
		e->queue_id = g_strdup(flight_series(f));
		e->isp = g_strdup(f->isp);
		e->sender = g_strdup(f->sender);
	}
	add_headers(ch, e);
}

/* The report's arrival, which stays the same when the message comes again; now if that cannot be.
 */
static int64_t
time_of(const struct bounce_case *c)
{
	gint64 arrived = c->report->arrived;

	return (arrived > 0 && arrived <= (gint64)c->now + AHEAD_MAX ? arrived : (gint64)c->now) *
	       G_USEC_PER_SEC;
}

/*
 * Takes recipient over.  The ID is made of what the message says and of nothing that the history
 * adds, which may be another when the message comes again.
 */
static void
add_event(struct choice *ch, guint nth, char *recipient, bool unsure)
{
	const struct bounce_notice *n = ch->c->report->notices->pdata[nth];
	const struct bounce_owner *o = ch->o;
	struct event *e = event_new(
		n->type, ch->c->report->kind == BOUNCE_TEXT ? EVENT_FROM_TEXT : EVENT_FROM_REPORT);

	if (o->proof == PROOF_TOKEN && !o->token.queue_id_hashed && *o->token.queue_id != '\0')
		e->queue_id = g_strdup(o->token.queue_id);
	e->code = n->code;
	e->dsn = g_strdup(n->dsn);
	e->reply = g_strdup(n->reply);
	e->time = ch->c->content;
	event_identify(e, nth);
	e->time = time_of(ch->c);
	e->recipient = recipient;
	e->unsure = unsure;
	e->relay = g_strdup(ch->c->report->reporter);
	add_what_is_known(ch, e);
	g_ptr_array_add(ch->events, e);
}

/* True if all notices say the same happened. */
static bool
agree(const GPtrArray *notices)
{
	for (guint i = 1; i < notices->len; i++)
		if (((struct bounce_notice *)notices->pdata[i])->type !=
		    ((struct bounce_notice *)notices->pdata[0])->type)
			return false;
	return true;
}

/*
 * Nobody named is the one recipient: he forwarded the mail to those, or the report hides him.  He
 * is told if something else names him; never those, who were no recipients of ours.
 */
static void
add_forwarded(struct choice *ch, bool unsure)
{
	const char *recipient = first_fit(ch, ch->c->report->recipients);

	if (ch->o->proof == PROOF_VERP)
		recipient = ch->o->recipient;
	if (recipient == NULL && ch->flight != NULL)
		recipient = first_fit(ch, ch->flight->recipients);
	if (recipient == NULL && ch->flight != NULL)
		recipient = first_fit(ch, ch->flight->told);
	if (agree(ch->c->report->notices))
		add_event(ch, 0, g_strdup(recipient), unsure);
	else
		ch->doubt = "several addresses, none of them ours";
}

static void
choose_for_one(struct choice *ch, bool unsure)
{
	const GPtrArray *notices = ch->c->report->notices;

	for (guint i = 0; i < notices->len; i++) {
		char *recipient = right_one(ch, notices->pdata[i], fits);

		if (recipient != NULL)
			add_event(ch, i, recipient, unsure);
	}
	if (ch->events->len == 0)
		add_forwarded(ch, unsure);
	else if (ch->events->len < notices->len)
		ch->doubt = "recipients that the Return-Path is not for";
}

/* The one recipient of a message that has left the queue; NULL: it had several. */
static const char *
only_recipient(const struct flight *f)
{
	const GPtrArray *known = f->recipients;

	return f->ended != 0 && known != NULL && known->len == 1 && !f->more_recipients
		       ? known->pdata[0]
		       : NULL;
}

/* A message of several recipients, whom the history has. */
static void
choose_of_flight(struct choice *ch)
{
	const GPtrArray *notices = ch->c->report->notices;
	const char *only = only_recipient(ch->flight);

	for (guint i = 0; i < notices->len; i++) {
		const struct bounce_notice *n = notices->pdata[i];
		char *recipient = right_one(ch, n, has_recipient);

		if (recipient != NULL)
			add_event(ch, i, recipient, false);
		else if (ch->flight->more_recipients && (n->original != NULL || n->final != NULL))
			add_event(ch, i, g_strdup(n->original != NULL ? n->original : n->final),
				  true);
		else if (notices->len == 1 && only != NULL)
			add_event(ch, i, g_strdup(only), false);
		else
			ch->doubt = "recipients that the message did not have";
	}
}

/* A message of several recipients, whom only the report tells. */
static void
choose_of_report(struct choice *ch)
{
	const GPtrArray *notices = ch->c->report->notices;

	for (guint i = 0; i < notices->len; i++) {
		const struct bounce_notice *n = notices->pdata[i];
		const char *recipient = n->original != NULL ? n->original : n->final;

		if (recipient != NULL)
			add_event(ch, i, g_strdup(recipient), true);
		else
			ch->doubt = "no recipient is named";
	}
}

/*
 * *own: the report is our own MTA's, about what its log tells as well: it has the same queue ID, or
 * that of the same message injected again.  False with *why: the history cannot be read.
 */
static bool
look_for_own(const struct choice *ch, bool *own, char **why)
{
	const struct bounce_owner *o = ch->o;
	const char *theirs = ch->c->report->queue_id;
	const char *ours = ch->flight != NULL ? flight_series(ch->flight)
			   : o->proof == PROOF_TOKEN && !o->token.queue_id_hashed ? o->token.queue_id
										   : NULL;
	struct flight *other = NULL;

	*own = theirs != NULL && ours != NULL && *ours != '\0' && strcmp(theirs, ours) == 0;
	if (*own || theirs == NULL || ours == NULL || ch->c->db == NULL)
		return true;
	if (!event_db_flight(ch->c->db, theirs, (ch->c->now + AHEAD_MAX) * G_USEC_PER_SEC, &other, why))
		return false;
	*own = other != NULL && strcmp(flight_series(other), ours) == 0;
	flight_free(other);
	return true;
}

static void
event_free_one(void *e)
{
	event_free(e);
}

GPtrArray *
bounce_owner_events(struct bounce_owner *o, const struct bounce_case *c, const char **doubt,
		    char **why)
{
	struct choice ch = {o, c, NULL, NULL, NULL};
	struct flight *flight;
	bool unsure, own;

	*doubt = NULL;
	if (!find_flight(o, c, &flight, why))
		return NULL;
	ch.flight = flight;
	if (!look_for_own(&ch, &own, why)) {
		flight_free(flight);
		return NULL;
	}
	ch.events = g_ptr_array_new_with_free_func(event_free_one);
	unsure = o->proof != PROOF_TOKEN && flight == NULL;
	if (own)
		ch.doubt = "our MTA's own, which its log has told";
	else if (unsure && !c->settings->events.unverified)
		ch.doubt = "neither a token nor the history vouches for it";
	else if (c->report->notices->len > 0 && is_for_one(o))
		choose_for_one(&ch, unsure);
	else if (flight != NULL)
		choose_of_flight(&ch);
	else
		choose_of_report(&ch);
	flight_free(flight);
	*doubt = ch.doubt;
	return ch.events;
}
