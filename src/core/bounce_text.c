/*
 * bounce_text - bounces that are text for people; see bounce_part.h.
 *
 * One reader for all MTAs instead of one for each: they have in common that a line begins with the
 * address
 * ("<ann@example.org>:", "  ann@example.org") or names it with what went wrong, and that the reason
 * follows, often with the reply of the next server.  The report ends where the message begins that
 * it is about.  What became of the message is told by the reply's class; where a mailer gives up on
 * a 4yz reply, or no reply is there, by its words.  What says neither is not read.
 */
#include "core/bounce_part.h"

#include <string.h>

#define SUBJECTS_MAX 200    /* recipients in a text */
#define INTRODUCTION_MAX 40 /* octets of a paragraph that only announces the next one */
#define HEADER_LINES_MAX 30 /* from where the original message begins to its header */

struct line {
	const char *text;
	size_t len;
};

/* Somebody whom the text is about, and where it says what. */
struct about {
	char *address;    /* NULL: not named */
	size_t from, end; /* lines */
};

struct text {
	GArray *lines;   /* of struct line: up to the original message */
	GArray *abouts;  /* of struct about */
	const char *all; /* the text, and how much of it is the report */
	size_t len;
	char *lower; /* of the report and its subject */
};

/* ---- lines ---- */

static void
about_clear(void *p)
{
	g_free(((struct about *)p)->address);
}

/* The header of the original message begins some lines behind the one that announces it. */
static void
read_original(struct bounce_report *r, const char *text)
{
	for (int i = 0; i < HEADER_LINES_MAX && *text != '\0'; i++) {
		size_t name = strcspn(text, ": \t\n");

		if (name > 0 && text[name] == ':' &&
		    (g_ascii_isspace(text[name + 1]) || text[name + 1] == '\0')) {
			if (r->headers->len == 0)
				bounce_original_read(r, text);
			return;
		}
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

static bool
is_end(const char *line, size_t len)
{
	char *lower;
	bool is;

	if (len == 0 || len > 200)
		return false;
	lower = g_ascii_strdown(line, (gssize)len);
	is = bounce_begins_original(lower);
	g_free(lower);
	return is;
}

static void
split(struct text *t, struct bounce_report *r, const char *text)
{
	const char *p = text;

	while (*p != '\0') {
		struct line line = {p, strcspn(p, "\n")};
		const char *next = p + line.len + (p[line.len] == '\n');

		if (line.len > 0 && p[line.len - 1] == '\r')
			line.len--;
		if (is_end(p, line.len) && p > text) {
			read_original(r,
				      g_ascii_isalpha(*p) && p[strcspn(p, ": ")] == ':' ? p : next);
			break;
		}
		g_array_append_val(t->lines, line);
		p = next;
	}
	t->all = text;
	t->len = (size_t)(p - text);
}

/* Where a line has an address; NULL: nowhere.  g_strstr_len() would take very long on odd ones. */
static const char *
find_in(const struct line *l, const char *address)
{
	return memmem(l->text, l->len, address, strlen(address));
}

static const struct line *
line_at(const struct text *t, size_t i)
{
	return &g_array_index(t->lines, struct line, i);
}

/* ---- who ---- */

/* Those who report, or help. */
static bool
is_officer(const char *address)
{
	static const char *const names[] = {"postmaster@",   "mailer-daemon@", "abuse@",
					    "mailerdaemon@", "mail-daemon@",   "hostmaster@",
					    "helpdesk@",     "support@",       "administrator@",
					    "noreply@",      "no-reply@"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_ascii_strncasecmp(address, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Fields that do not name the recipient. */
static bool
is_others_field(const char *line, size_t len)
{
	static const char *const names[] = {
		"from:",           "sender:",     "reply-to:",   "return-path:",   "message-id:",
		"subject:",        "references:", "mail from:",  ">>> mail from:", "envelope-from",
		"sender address:", "by:",         "resent-from:"};

	while (len > 0 && strchr(" \t>|*", *line) != NULL) {
		line++;
		len--;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (len >= strlen(names[i]) &&
		    g_ascii_strncasecmp(line, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* True if only what surrounds addresses stands before it in the line, and nothing of a sentence
 * behind. */
static bool
is_heading(const struct line *l, const char *begin, const char *end)
{
	const char *p = l->text, *last = l->text + l->len;

	while (p < begin && strchr(" \t<>|*-\"'(", *p) != NULL)
		p++;
	if (p != begin)
		return false;
	while (end < last && strchr(">\"')", *end) != NULL)
		end++;
	return end == last || strchr(":;,.", *end) != NULL || g_ascii_isspace(*end) || *end == '/';
}

static void
add_about(struct text *t, char *address, size_t line)
{
	struct about a = {address, line, t->lines->len};

	if (t->abouts->len > 0)
		g_array_index(t->abouts, struct about, t->abouts->len - 1).end = line;
	g_array_append_val(t->abouts, a);
}

static bool
is_known(const struct text *t, const char *address)
{
	for (guint i = 0; i < t->abouts->len; i++)
		if (g_ascii_strcasecmp(g_array_index(t->abouts, struct about, i).address,
				       address) == 0)
			return true;
	return false;
}

/* True if a line that names somebody says what is wrong with him, or that he was a recipient. */
static bool
says_so(const struct line *l)
{
	static const char *const words[] = {
		"recipient",  "deliver",        "rcpt to",   "unknown",   "failed",  "rejected",
		"to:",        "mailbox",        "could not", "couldn't",  "cannot",  "not found",
		"no such",    "does not exist", "quota",     "full",      "address", "smtp=",
		"message to", "user ",          "destinat",  "empfänger", "adresse", "не ",
		"адрес",      "undeliver",      "收件",      "宛先",      "unable",  "doesn't",
		"wasn't",     "invalid",        "denied",    "blocked",   "refused", NULL};
	struct bounce_reply reply = bounce_reply_find(l->text, l->len);
	char *lower;
	bool found = reply.at != NULL;

	lower = g_utf8_strdown(l->text, (gssize)l->len);
	for (size_t i = 0; words[i] != NULL && !found; i++)
		found = strstr(lower, words[i]) != NULL;
	g_free(lower);
	return found;
}

/* Finds recipients: at the begin of lines (headings), or within those that say what is wrong. */
static void
find_abouts(struct text *t, bool headings)
{
	for (size_t i = 0; i < t->lines->len && t->abouts->len < SUBJECTS_MAX; i++) {
		const struct line *l = line_at(t, i);
		const char *at = l->text, *end = l->text + l->len;
		char *address;

		if (memchr(l->text, '@', l->len) == NULL || is_others_field(l->text, l->len))
			continue;
		address = bounce_address_next(&at, end);
		if (address != NULL && !is_officer(address) && !is_known(t, address) &&
		    (headings ? is_heading(l, at - strlen(address), at) : says_so(l)))
			add_about(t, g_steal_pointer(&address), i);
		g_free(address);
	}
}

/* X-Failed-Recipients: the text about each begins where it names him. */
static void
find_failed(struct text *t, const char *failed)
{
	const char *end = failed + strlen(failed);
	char *address;

	while (t->abouts->len < SUBJECTS_MAX &&
	       (address = bounce_address_next(&failed, end)) != NULL) {
		size_t i = 0;

		while (i < t->lines->len && find_in(line_at(t, i), address) == NULL)
			i++;
		if (is_known(t, address)) {
			g_free(address);
			continue;
		}
		add_about(t, address, i < t->lines->len ? i : 0);
	}
	/* They may stand in another order than in the text: each ends where the next one begins
	 * there. */
	for (guint i = 0; i < t->abouts->len; i++) {
		struct about *a = &g_array_index(t->abouts, struct about, i);

		a->end = t->lines->len;
		for (guint k = 0; k < t->abouts->len; k++) {
			const struct about *b = &g_array_index(t->abouts, struct about, k);

			if (b->from > a->from && b->from < a->end)
				a->end = b->from;
		}
	}
}

/* ---- what ---- */

/* The lines from one to before another as octets of the text. */
static struct line
chunk(const struct text *t, size_t from, size_t end)
{
	const struct line *first, *last;

	if (from >= end)
		return (struct line){t->all, 0};
	first = line_at(t, from);
	last = line_at(t, end - 1);
	return (struct line){first->text, (size_t)(last->text + last->len - first->text)};
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n>:;,.\"')", *p) != NULL)
		p++;
	return p;
}

/* Without a reply: the words behind the address, or all where there is none; "because:" is not
 * enough. */
static char *
reason_text(const struct about *a, const struct line *c)
{
	const char *p = c->text, *end = c->text + c->len, *found = NULL;
	size_t len;

	if (a->address != NULL)
		found = find_in(c, a->address);
	if (found != NULL && is_heading(c, found, found + strlen(a->address)))
		p = found + strlen(a->address);
	p = skip_blanks(p, end);
	len = bounce_paragraph(p, end);
	if (len > 0 && len < INTRODUCTION_MAX && p[len - 1] == ':') {
		p = skip_blanks(p + len, end);
		len = bounce_paragraph(p, end);
	}
	return bounce_line(p, MIN(len, (size_t)BOUNCE_REPLY_MAX));
}

/* True if the code stands in the first words behind the address: these say more than what follows
 * it. */
static bool
is_in_reason(const struct bounce_reply *reply, const char *reason)
{
	return reply->code == 0 && strstr(reason, reply->dsn) != NULL;
}

/* The line of the whole text that has both address and reply: in transcripts. */
static bool
find_elsewhere(const struct text *t, const char *address, struct line *c,
	       struct bounce_reply *reply)
{
	for (size_t i = 0; address != NULL && i < t->lines->len; i++) {
		const struct line *l = line_at(t, i);

		if (find_in(l, address) == NULL)
			continue;
		*c = chunk(t, i, MIN(i + 3, (size_t)t->lines->len));
		*reply = bounce_reply_find(c->text, c->len);
		if (reply->at != NULL)
			return true;
	}
	return false;
}

static enum event_type
type_of(const struct text *t, const struct bounce_reply *reply)
{
	char class = reply->at == NULL ? 0 : *reply->at;

	if (reply->code == 0 && *reply->dsn != '\0')
		class = *reply->dsn;
	if (class == '5')
		return EVENT_BOUNCED;
	if (bounce_says_delayed(t->lower))
		return EVENT_DEFERRED;
	return bounce_says_failed(t->lower) ? EVENT_BOUNCED : EVENT_TYPES;
}

/* Reply and reason that the text has of somebody; alone: it is about nobody else. */
static struct bounce_reply
find_reply(const struct text *t, const struct about *a, bool alone, struct line *c)
{
	struct bounce_reply reply;

	*c = chunk(t, a->from, a->end);
	reply = bounce_reply_find(c->text, c->len);
	if (reply.at == NULL && !find_elsewhere(t, a->address, c, &reply)) {
		*c = chunk(t, a->from, a->end);
		if (alone) {
			struct line all = {t->all, t->len};

			reply = bounce_reply_find(t->all, t->len);
			if (reply.at != NULL)
				*c = all;
		}
	}
	return reply;
}

static bool
add_notice(const struct text *t, struct bounce_report *r, const struct about *a, bool alone)
{
	struct line c;
	struct bounce_reply reply = find_reply(t, a, alone, &c);
	/* Of nobody, and without a reply, it says too little. */
	enum event_type type =
		a->address != NULL || reply.at != NULL ? type_of(t, &reply) : EVENT_TYPES;
	struct bounce_notice *n = type != EVENT_TYPES ? bounce_notice_add(r, type) : NULL;

	if (n == NULL)
		return false;
	n->final = g_strdup(a->address);
	n->code = reply.code;
	n->dsn = *reply.dsn != '\0' ? g_strdup(reply.dsn) : NULL;
	n->reply = reason_text(a, &c);
	if (reply.at != NULL && !is_in_reason(&reply, n->reply)) {
		g_free(n->reply);
		n->reply = bounce_reply_line(&reply, c.text + c.len);
	}
	return true;
}

/* ---- all of it ---- */

static void
text_init(struct text *t, struct bounce_report *r, const char *text, const char *subject)
{
	char *both, *lower;

	t->lines = g_array_new(FALSE, FALSE, sizeof(struct line));
	t->abouts = g_array_new(FALSE, FALSE, sizeof(struct about));
	g_array_set_clear_func(t->abouts, about_clear);
	split(t, r, text);
	both = g_strdup_printf("%s\n%.*s", subject != NULL ? subject : "", (int)t->len, text);
	lower = g_utf8_strdown(both, -1);
	/* Phrases run over the ends of lines. */
	for (char *p = lower; *p != '\0'; p++)
		if (*p == '\n' || *p == '\r' || *p == '\t')
			*p = ' ';
	t->lower = lower;
	g_free(both);
}

static void
text_clear(struct text *t)
{
	g_array_unref(t->lines);
	g_array_unref(t->abouts);
	g_free(t->lower);
}

bool
bounce_text_read(struct bounce_report *r, const char *text, const char *subject, const char *failed)
{
	struct text t;
	bool found = false;

	text_init(&t, r, text, subject);
	if (failed != NULL)
		find_failed(&t, failed);
	for (int headings = 1; headings >= 0 && t.abouts->len == 0; headings--)
		find_abouts(&t, headings);
	if (t.abouts->len == 0) {
		struct about nobody = {NULL, 0, t.lines->len};

		g_array_append_val(t.abouts, nobody);
	}
	for (guint i = 0; i < t.abouts->len; i++)
		found |= add_notice(&t, r, &g_array_index(t.abouts, struct about, i),
				    t.abouts->len == 1);
	text_clear(&t);
	return found;
}

/* What the text says where it names the address; NULL: it does not. */
static char *
reason_of(const struct text *t, const char *address)
{
	for (size_t i = 0; address != NULL && i < t->lines->len; i++) {
		const struct line *l = line_at(t, i);
		struct about a = {(char *)address, i, t->lines->len};
		struct line c;

		if (find_in(l, address) == NULL)
			continue;
		c = chunk(t, i, t->lines->len);
		return reason_text(&a, &c);
	}
	return NULL;
}

void
bounce_text_complete(struct bounce_report *r, const char *text)
{
	struct text t;

	text_init(&t, r, text, NULL);
	for (guint i = 0; i < MIN(r->notices->len, SUBJECTS_MAX); i++) {
		struct bounce_notice *n = r->notices->pdata[i];
		const char *address = n->final != NULL ? n->final : n->original;
		struct about a = {(char *)address, 0, 0};
		struct bounce_reply reply;
		struct line c;

		if (n->reply != NULL || n->type == EVENT_DELIVERED)
			continue;
		reply = find_reply(&t, &a, r->notices->len == 1, &c);
		if (reply.at != NULL)
			n->reply = bounce_reply_line(&reply, c.text + c.len);
		else
			n->reply = reason_of(&t, address);
		if (n->code == 0)
			n->code = reply.code;
	}
	text_clear(&t);
}
