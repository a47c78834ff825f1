/*
 * flight_text - flights as lines of words (core/word.h), for the store.
 *
 *	flight QUEUEID BORN ENDED COMPLETE REMOVED NEXT_LOOK PARENT_BORN EVENTS FLAGS
 *	message-id TEXT		pool TEXT	isp TEXT	sender TEXT	parent TEXT
 *	header NAME VALUE	recipient TEXT	told TEXT	deferred ADDRESS CODE OPTION...
 *	pending EVENT
 *	hop UNTIL OPTION EVENT
 *	end
 *
 * EVENT is TYPE TIME DELAY CODE and six OPTIONs, of the deferred there are four; an OPTION is "-",
 * or "+" and a text.  Of an event only what its line in the log told is kept, the rest is the
 * flight's.  What ends without "end" was cut.
 */
#include "core/flight.h"

#include "core/word.h"

#include <string.h>

enum {
	CLIENT = 1,
	LOCAL = 2,
	ACCEPTED = 4,
	HELD = 8,
	RELAYED = 16,
	MORE_RECIPIENTS = 32,
	MORE_DEFERRED = 64,
	UNRELATED = 128,
	FLAGS = 255 /* all of them */
};

/* ---- writing ---- */

static void
put_line(GString *out, const char *key, const char *text)
{
	if (text == NULL)
		return;
	g_string_append(out, key);
	word_put(out, text);
	g_string_append_c(out, '\n');
}

static void
put_list(GString *out, const char *key, const GPtrArray *list)
{
	for (guint i = 0; list != NULL && i < list->len; i++)
		put_line(out, key, list->pdata[i]);
}

static void
put_option(GString *out, const char *text)
{
	gsize at = out->len + 1;

	word_put(out, text != NULL ? text : "-");
	if (text != NULL)
		g_string_insert_c(out, (gssize)at, '+');
}

static void
put_event(GString *out, const struct event *e)
{
	word_put(out, event_type_name(e->type));
	word_put_number(out, e->time);
	word_put_number(out, e->delay_ms);
	word_put_number(out, e->code);
	put_option(out, e->node);
	put_option(out, e->recipient);
	put_option(out, e->original_recipient);
	put_option(out, e->relay);
	put_option(out, e->dsn);
	put_option(out, e->reply);
	g_string_append_c(out, '\n');
}

static int
flags_of(const struct flight *f)
{
	return (f->client ? CLIENT : 0) | (f->local ? LOCAL : 0) | (f->accepted ? ACCEPTED : 0) |
	       (f->held ? HELD : 0) | (f->relayed ? RELAYED : 0) |
	       (f->more_recipients ? MORE_RECIPIENTS : 0) | (f->more_deferred ? MORE_DEFERRED : 0) |
	       (f->unrelated ? UNRELATED : 0);
}

static void
put_head(GString *out, const struct flight *f)
{
	g_string_append(out, "flight");
	word_put(out, f->queue_id);
	word_put_number(out, f->born);
	word_put_number(out, f->ended);
	word_put_number(out, f->complete);
	word_put_number(out, f->removed);
	word_put_number(out, f->next_look);
	word_put_number(out, f->parent_born);
	word_put_number(out, f->events);
	word_put_number(out, flags_of(f));
	g_string_append_c(out, '\n');
	put_line(out, "message-id", f->message_id);
	put_line(out, "pool", f->pool);
	put_line(out, "isp", f->isp);
	put_line(out, "sender", f->sender);
	put_line(out, "parent", f->parent);
}

static void
put_waiting(GString *out, const struct flight *f)
{
	for (guint i = 0; f->pending != NULL && i < f->pending->len; i++) {
		g_string_append(out, "pending");
		put_event(out, f->pending->pdata[i]);
	}
	for (guint i = 0; f->hops != NULL && i < f->hops->len; i++) {
		const struct flight_hop *h = f->hops->pdata[i];

		g_string_append(out, "hop");
		word_put_number(out, h->until);
		put_option(out, h->next_id);
		put_event(out, h->e);
	}
}

void
flight_write(const struct flight *f, GString *out)
{
	put_head(out, f);
	for (guint i = 0; f->headers != NULL && i < f->headers->len; i++) {
		const struct event_header *h = f->headers->pdata[i];

		g_string_append(out, "header");
		word_put(out, h->name);
		word_put(out, h->value);
		g_string_append_c(out, '\n');
	}
	put_list(out, "recipient", f->recipients);
	put_list(out, "told", f->told);
	for (guint i = 0; f->deferred != NULL && i < f->deferred->len; i++) {
		const struct flight_recipient *r = f->deferred->pdata[i];

		g_string_append(out, "deferred");
		word_put(out, r->address);
		word_put_number(out, r->code);
		put_option(out, r->original);
		put_option(out, r->relay);
		put_option(out, r->dsn);
		put_option(out, r->reply);
		g_string_append_c(out, '\n');
	}
	put_waiting(out, f);
	g_string_append(out, "end\n");
}

/* ---- reading ---- */

/* "-" or "+TEXT" */
static bool
take_option(struct word_line *line, GString *word, char **text)
{
	if (!word_take(line, word) || (word->str[0] != '+' && strcmp(word->str, "-") != 0))
		return false;
	g_free(*text);
	*text = word->str[0] == '+' ? g_strdup(word->str + 1) : NULL;
	return true;
}

static struct event *
take_event(struct word_line *line, GString *word)
{
	int64_t time, delay, code;
	enum event_type type = word_take(line, word) ? event_type_find(word->str) : EVENT_TYPES;
	struct event *e;

	if (type == EVENT_TYPES || !word_take_number(line, INT64_MIN, INT64_MAX, &time) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &delay) ||
	    !word_take_number(line, 0, 999, &code))
		return NULL;
	e = event_new(type, EVENT_FROM_LOG);
	e->time = time;
	e->delay_ms = delay;
	e->code = (int)code;
	if (take_option(line, word, &e->node) && take_option(line, word, &e->recipient) &&
	    take_option(line, word, &e->original_recipient) && take_option(line, word, &e->relay) &&
	    take_option(line, word, &e->dsn) && take_option(line, word, &e->reply))
		return e;
	event_free(e);
	return NULL;
}

static bool
take_hop(struct word_line *line, GString *word, struct flight *f)
{
	char *next_id = NULL;
	int64_t until;
	struct event *e = NULL;

	if (word_take_number(line, INT64_MIN, INT64_MAX, &until) &&
	    take_option(line, word, &next_id))
		e = take_event(line, word);
	if (e != NULL)
		flight_wait_hop(f, e, next_id, until);
	g_free(next_id);
	return e != NULL;
}

static bool
take_pending(struct word_line *line, GString *word, struct flight *f)
{
	struct event *e = take_event(line, word);

	if (e != NULL)
		flight_wait(f, e);
	return e != NULL;
}

static bool
take_header(struct word_line *line, GString *word, struct flight *f)
{
	GString *value = g_string_new(NULL);
	bool ok = word_take(line, word) && word_take(line, value);

	if (ok)
		flight_add_header(f, word->str, value->str);
	g_string_free(value, TRUE);
	return ok;
}

static bool
take_deferred(struct word_line *line, GString *word, struct flight *f)
{
	struct event *e;
	int64_t code;
	bool ok;

	if (!word_take(line, word))
		return false;
	e = event_new(EVENT_DEFERRED, EVENT_FROM_LOG);
	e->recipient = g_strdup(word->str);
	ok = word_take_number(line, 0, 999, &code) &&
	     take_option(line, word, &e->original_recipient) &&
	     take_option(line, word, &e->relay) && take_option(line, word, &e->dsn) &&
	     take_option(line, word, &e->reply);
	if (ok) {
		e->code = (int)code;
		flight_defer(f, e);
	}
	event_free(e);
	return ok;
}

static bool
take_text(struct word_line *line, GString *word, char **text)
{
	if (!word_take(line, word))
		return false;
	g_free(*text);
	*text = g_strdup(word->str);
	return true;
}

static bool
take_address(struct word_line *line, GString *word, struct flight *f,
	     void (*add)(struct flight *f, const char *address))
{
	if (!word_take(line, word))
		return false;
	add(f, word->str);
	return true;
}

static bool
take_line(struct word_line *l, GString *w, struct flight *f)
{
	if (word_begins(l, "recipient"))
		return take_address(l, w, f, flight_add_recipient);
	if (word_begins(l, "told"))
		return take_address(l, w, f, flight_add_told);
	if (word_begins(l, "deferred"))
		return take_deferred(l, w, f);
	if (word_begins(l, "header"))
		return take_header(l, w, f);
	if (word_begins(l, "pending"))
		return take_pending(l, w, f);
	if (word_begins(l, "hop"))
		return take_hop(l, w, f);
	if (word_begins(l, "message-id"))
		return take_text(l, w, &f->message_id);
	if (word_begins(l, "pool"))
		return take_text(l, w, &f->pool);
	if (word_begins(l, "isp"))
		return take_text(l, w, &f->isp);
	if (word_begins(l, "sender"))
		return take_text(l, w, &f->sender);
	return word_begins(l, "parent") && take_text(l, w, &f->parent);
}

static void
set_flags(struct flight *f, int64_t flags)
{
	f->client = (flags & CLIENT) != 0;
	f->local = (flags & LOCAL) != 0;
	f->accepted = (flags & ACCEPTED) != 0;
	f->held = (flags & HELD) != 0;
	f->relayed = (flags & RELAYED) != 0;
	f->more_recipients = (flags & MORE_RECIPIENTS) != 0;
	f->more_deferred = (flags & MORE_DEFERRED) != 0;
	f->unrelated = (flags & UNRELATED) != 0;
}

static struct flight *
take_head(struct word_line *line, GString *word)
{
	int64_t born, ended, complete, removed, next_look, parent_born, events, flags;
	struct flight *f;

	if (!word_begins(line, "flight") || !word_take(line, word) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &born) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &ended) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &complete) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &removed) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &next_look) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &parent_born) ||
	    !word_take_number(line, 0, UINT_MAX, &events) ||
	    !word_take_number(line, 0, FLAGS, &flags) || !word_ended(line))
		return NULL;
	f = flight_new(word->str, born);
	f->ended = ended;
	f->complete = complete;
	f->removed = removed;
	f->next_look = next_look;
	f->parent_born = parent_born;
	f->events = (unsigned)events;
	set_flags(f, flags);
	return f;
}

/* The next line without its end. */
static bool
next_line(const char **text, const char *end, struct word_line *line)
{
	const char *stop = *text < end ? memchr(*text, '\n', (size_t)(end - *text)) : NULL;

	if (stop == NULL)
		return false;
	*line = (struct word_line){*text, stop};
	*text = stop + 1;
	return true;
}

struct flight *
flight_read(const char *text, size_t len)
{
	const char *end = text + len;
	GString *word = g_string_new(NULL);
	struct word_line line;
	struct flight *f = next_line(&text, end, &line) ? take_head(&line, word) : NULL;
	bool whole = false;

	while (f != NULL && !whole) {
		if (!next_line(&text, end, &line)) {
			g_clear_pointer(&f, flight_free);
		} else if (word_begins(&line, "end")) {
			whole = word_ended(&line) && text == end;
			if (!whole)
				g_clear_pointer(&f, flight_free);
		} else if (!take_line(&line, word, f) || !word_ended(&line)) {
			g_clear_pointer(&f, flight_free);
		}
	}
	g_string_free(word, TRUE);
	return f;
}
