/*
 * bounce_status - the fields of delivery status (RFC 3464), of feedback reports (RFC 5965) and of
 * the message that they are about; see bounce_part.h.
 *
 * Lenient: groups of fields run together or fall apart in reports of many MTAs, types before ';'
 * are missing.  A field that is repeated counts once, the first one, but for the recipients of
 * feedback.
 */
#include "core/bounce_part.h"

#include <string.h>

#define HEADERS_MAX 200    /* fields of the original message that are kept */
#define RECIPIENTS_MAX 100 /* addresses of its To and Cc */
#define VALUE_MAX 2000     /* octets of one of these fields */

/* ---- fields ---- */

struct field_text {
	char *name;
	GString *value; /* unfolded */
};

static void
field_clear(struct field_text *f)
{
	g_clear_pointer(&f->name, g_free);
	g_string_truncate(f->value, 0);
}

/* Length of the name of the field that a line begins with; 0: it is none. */
static size_t
name_length(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && (g_ascii_isalnum(line[n]) || strchr("-_", line[n]) != NULL))
		n++;
	return n > 0 && n < len && line[n] == ':' ? n : 0;
}

/* Next line of a text: its length without the line end; *text goes behind it. */
static size_t
next_line(const char **text)
{
	size_t len = strcspn(*text, "\n"), content = len;

	if (content > 0 && (*text)[content - 1] == '\r')
		content--;
	*text += len + ((*text)[len] == '\n');
	return content;
}

static bool
is_blank(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (line[i] != ' ' && line[i] != '\t')
			return false;
	return true;
}

/*
 * Reads the next field into f.  False at the end of a group: an empty line (*more), or of the text.
 * Lines that are neither field nor continuation are passed over.
 */
static bool
next_field(const char **text, struct field_text *f, bool *more)
{
	field_clear(f);
	while (**text != '\0') {
		const char *line = *text;
		size_t len = next_line(text), n;

		*more = true;
		if (is_blank(line, len)) {
			if (f->name == NULL)
				return false;
			*text = line; /* the end of the group comes next */
			return true;
		}
		n = name_length(line, len);
		if (f->name == NULL && n > 0) {
			f->name = g_strndup(line, n);
			g_string_append_len(f->value, line + n + 1, (gssize)(len - n - 1));
		} else if (f->name != NULL && (*line == ' ' || *line == '\t')) {
			g_string_append_c(f->value, ' ');
			g_string_append_len(f->value, line, (gssize)len);
		} else if (f->name != NULL) {
			*text = line;
			return true;
		}
	}
	if (f->name == NULL)
		*more = false;
	return f->name != NULL;
}

static bool
is(const struct field_text *f, const char *name)
{
	return g_ascii_strcasecmp(f->name, name) == 0;
}

static void
take(char **to, const struct field_text *f)
{
	if (*to == NULL)
		*to = bounce_line(f->value->str, f->value->len);
}

/* The octets of a Message-ID with its angle brackets; NULL: there are none. */
static char *
message_id_of(const char *value)
{
	const char *open = strchr(value, '<'), *close = open != NULL ? strchr(open, '>') : NULL;

	return close != NULL ? g_strndup(open, (gsize)(close - open) + 1) : NULL;
}

/* ---- delivery status ---- */

struct group {
	char *final, *original, *action, *status, *diagnostic;
};

static void
group_clear(struct group *g)
{
	g_free(g->final);
	g_free(g->original);
	g_free(g->action);
	g_free(g->status);
	g_free(g->diagnostic);
	memset(g, 0, sizeof *g);
}

static const char *
behind_type(const char *value)
{
	size_t n = 0;

	while (g_ascii_isalnum(value[n]) || value[n] == '-' || value[n] == '_')
		n++;
	if (value[n] != ';')
		return value;
	for (n++; value[n] == ' ';)
		n++;
	return value + n;
}

static enum event_type
type_of(const struct group *g)
{
	static const struct {
		const char *action;
		enum event_type type;
	} actions[] = {
		{"fail", EVENT_BOUNCED},        {"delayed", EVENT_DEFERRED},
		{"delivered", EVENT_DELIVERED}, {"relayed", EVENT_DELIVERED},
		{"expanded", EVENT_DELIVERED},
	};
	char dsn[12];

	for (size_t i = 0; g->action != NULL && i < G_N_ELEMENTS(actions); i++)
		if (g_ascii_strncasecmp(g->action, actions[i].action, strlen(actions[i].action)) ==
		    0)
			return actions[i].type;
	/* No word that RFC 3464 2.3.3 knows: the status' class. */
	bounce_dsn_find(g->status != NULL ? g->status : "",
			g->status != NULL ? strlen(g->status) : 0, 0, dsn);
	return *dsn == '5'   ? EVENT_BOUNCED
	       : *dsn == '4' ? EVENT_DEFERRED
	       : *dsn == '2' ? EVENT_DELIVERED
			     : EVENT_TYPES;
}

static bool
is_vague(const char *dsn)
{
	return g_str_has_suffix(dsn, ".0.0");
}

/* Takes the status code that the text has, if it has one. */
static void
refine(char dsn[12], const char *text)
{
	char better[12];

	bounce_dsn_find(text, strlen(text), *dsn, better);
	if (*better != '\0')
		memcpy(dsn, better, sizeof better);
}

/* "smtp; 550 5.1.1 User unknown", "X-Notes; ..." and "5.1.1". */
static void
read_codes(struct bounce_notice *n, const struct group *g)
{
	const char *text = g->diagnostic != NULL ? behind_type(g->diagnostic) : "";
	struct bounce_reply reply = bounce_reply_find(text, strlen(text));
	char dsn[12] = "";

	if (g->status != NULL)
		bounce_dsn_find(g->status, strlen(g->status), 0, dsn);
	if ((*dsn == '\0' || is_vague(dsn)) && *reply.dsn != '\0')
		memcpy(dsn, reply.dsn, sizeof dsn);
	else if (*dsn == '\0' || is_vague(dsn))
		refine(dsn, text);
	n->code = reply.code;
	n->dsn = *dsn != '\0' ? g_strdup(dsn) : NULL;
	n->reply = *text != '\0' ? g_strdup(text) : NULL;
}

/* True if the group tells of a recipient; one that falls apart is put together by the caller. */
static bool
add_group(struct bounce_report *r, struct group *g)
{
	enum event_type type = type_of(g);
	struct bounce_notice *n = type != EVENT_TYPES ? bounce_notice_add(r, type) : NULL;

	if (n != NULL) {
		n->final = g->final != NULL ? bounce_address(g->final) : NULL;
		n->original = g->original != NULL ? bounce_address(g->original) : NULL;
		read_codes(n, g);
	}
	group_clear(g);
	return n != NULL;
}

/* "X-Postfix-Queue-ID"; Postfix takes its name from mail_name. */
static bool
is_queue_id(const struct field_text *f)
{
	return g_ascii_strncasecmp(f->name, "X-", 2) == 0 &&
	       strlen(f->name) > strlen("X--Queue-ID") &&
	       g_ascii_strcasecmp(f->name + strlen(f->name) - strlen("-Queue-ID"), "-Queue-ID") == 0;
}

static void
read_status_field(struct bounce_report *r, struct group *g, const struct field_text *f)
{
	if (is(f, "Final-Recipient"))
		take(&g->final, f);
	else if (is(f, "Original-Recipient"))
		take(&g->original, f);
	else if (is(f, "Action"))
		take(&g->action, f);
	else if (is(f, "Status"))
		take(&g->status, f);
	else if (is(f, "Diagnostic-Code"))
		take(&g->diagnostic, f);
	else if (is(f, "X-Original-Message-ID") && r->message_id == NULL)
		r->message_id = message_id_of(f->value->str);
	else if (is_queue_id(f) && r->queue_id == NULL)
		r->queue_id = bounce_line(f->value->str, f->value->len);
	else if (is(f, "Reporting-MTA") && r->reporter == NULL) {
		char *value = bounce_line(f->value->str, f->value->len);

		r->reporter = g_strdup(behind_type(value));
		g_free(value);
	}
}

/* A group is whole when it names a recipient and says what became of him. */
static bool
is_whole(const struct group *g)
{
	return (g->final != NULL || g->original != NULL) &&
	       (g->action != NULL || g->status != NULL);
}

/*
 * True if the field belongs to the next recipient: it tells again what is known, or comes behind an
 * empty line that ended what is whole.  Reports with an empty line behind each field exist.
 */
static bool
begins_another(const struct group *g, bool closed, const struct field_text *f)
{
	bool final = is(f, "Final-Recipient"), original = is(f, "Original-Recipient");

	if ((final && g->final != NULL) || (original && g->original != NULL))
		return true;
	return closed && (final || original || (is(f, "Action") && g->action != NULL));
}

/* Ends a group: true if it told of a recipient. */
static bool
end_group(struct bounce_report *r, struct group *g)
{
	if (is_whole(g))
		return add_group(r, g);
	group_clear(g);
	return false;
}

bool
bounce_status_read(struct bounce_report *r, const char *text)
{
	struct field_text f = {NULL, g_string_new(NULL)};
	struct group g = {NULL, NULL, NULL, NULL, NULL};
	bool found = false, more = true, closed = false;

	while (more) {
		if (!next_field(&text, &f, &more)) {
			closed = is_whole(&g);
			continue;
		}
		if (begins_another(&g, closed, &f)) {
			found |= end_group(r, &g);
			closed = false;
		}
		read_status_field(r, &g, &f);
	}
	/* Without a recipient: there is just one, whoever it is. */
	found |= !found && !is_whole(&g) ? add_group(r, &g) : end_group(r, &g);
	field_clear(&f);
	g_string_free(f.value, TRUE);
	return found;
}

/* ---- feedback ---- */

/* What says that a recipient calls it spam; not "not-spam", "auth-failure", "opt-out", "other". */
static bool
is_complaint(const char *type)
{
	static const char *const types[] = {"abuse", "fraud", "phishing", "virus"};

	for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
		if (g_ascii_strcasecmp(type, types[i]) == 0)
			return true;
	return false;
}

bool
bounce_feedback_read(struct bounce_report *r, const char *text, bool *complaint)
{
	struct field_text f = {NULL, g_string_new(NULL)};
	GPtrArray *addresses = g_ptr_array_new_with_free_func(g_free);
	char *type = NULL;
	bool more = true;

	while (more && addresses->len < BOUNCE_NOTICES_MAX) {
		if (!next_field(&text, &f, &more))
			continue;
		if (is(&f, "Feedback-Type"))
			take(&type, &f);
		else if (is(&f, "Original-Rcpt-To") || is(&f, "Removal-Recipient")) {
			char *address = bounce_address(f.value->str);

			if (address != NULL)
				g_ptr_array_add(addresses, address);
		} else if (is(&f, "Original-Mail-From")) {
			g_free(r->return_path);
			r->return_path = bounce_address(f.value->str);
		} else if (is(&f, "Reporting-MTA"))
			read_status_field(r, NULL, &f);
	}
	*complaint = type != NULL && is_complaint(type);
	if (*complaint && addresses->len == 0)
		bounce_notice_add(r, EVENT_COMPLAINT);
	for (guint i = 0; *complaint && i < addresses->len; i++) {
		struct bounce_notice *n = bounce_notice_add(r, EVENT_COMPLAINT);

		if (n != NULL)
			n->original = g_strdup(addresses->pdata[i]);
	}
	more = type != NULL;
	g_free(type);
	g_ptr_array_unref(addresses);
	field_clear(&f);
	g_string_free(f.value, TRUE);
	return more;
}

/* ---- which of them a text is ---- */

static bool
begins_with_field(const char *text, const char *const *names)
{
	struct field_text f = {NULL, g_string_new(NULL)};
	bool more, found = false;

	text += strspn(text, " \t\r\n");
	if (next_field(&text, &f, &more))
		for (; *names != NULL && !found; names++)
			found = is(&f, *names);
	field_clear(&f);
	g_string_free(f.value, TRUE);
	return found;
}

bool
bounce_is_status(const char *text)
{
	static const char *const names[] = {
		"Reporting-MTA", "Original-Envelope-Id", "DSN-Gateway",     "Received-From-MTA",
		"Arrival-Date",  "Original-Recipient",   "Final-Recipient", NULL};

	return begins_with_field(text, names);
}

bool
bounce_is_feedback(const char *text)
{
	static const char *const names[] = {"Feedback-Type", NULL};

	return begins_with_field(text, names);
}

/* ---- the message that it is about ---- */

static void
add_recipients(struct bounce_report *r, const char *value)
{
	const char *end = value + strlen(value);
	char *address;

	while (r->recipients->len < RECIPIENTS_MAX &&
	       (address = bounce_address_next(&value, end)) != NULL)
		g_ptr_array_add(r->recipients, address);
}

void
bounce_original_field(struct bounce_report *r, const char *name, const char *value)
{
	char *line = bounce_line(value, MIN(strlen(value), (size_t)VALUE_MAX));

	if (g_ascii_strcasecmp(name, "Message-ID") == 0 && r->message_id == NULL)
		r->message_id = message_id_of(line);
	else if (g_ascii_strcasecmp(name, "Return-Path") == 0 && r->return_path == NULL)
		r->return_path = bounce_address(line);
	else if (g_ascii_strcasecmp(name, "To") == 0 || g_ascii_strcasecmp(name, "Cc") == 0 ||
		 g_ascii_strcasecmp(name, "X-HmXmrOriginalRecipient") == 0)
		add_recipients(r, line);
	if (r->headers->len < HEADERS_MAX)
		event_headers_add(r->headers, name, line);
	g_free(line);
}

void
bounce_original_read(struct bounce_report *r, const char *text)
{
	struct field_text f = {NULL, g_string_new(NULL)};
	bool more;

	text += strspn(text, "\r\n");
	while (next_field(&text, &f, &more))
		bounce_original_field(r, f.name, f.value->str);
	field_clear(&f);
	g_string_free(f.value, TRUE);
}
