/*
 * bounce_report - the structure of a report: finds its parts by GMime; see bounce_report.h.
 *
 * Before GMime sees a message, what could make it slow or big is taken out: it gets no more than so
 * many lines, and boundaries among them (GMime compares each with those of all parts around it,
 * makes an object of every part and recurses into parts), and of each field no more than so many
 * octets.
 *
 * A part is known by its type or, since types are wrong often enough, by the fields that it begins
 * with. What is not labelled as a report and comes from no mailer is somebody's mail, whatever
 * stands in it.
 */
#include "core/bounce_part.h"

#include <gmime/gmime.h>
#include <pthread.h>
#include <string.h>

#define LINES_MAX 20000
#define DASHES_MAX 1000       /* lines that may be boundaries */
#define FIELD_MAX 16384       /* octets of a line with those that continue it */
#define DEPTH_MAX 50          /* multiparts in one another that are looked into */
#define TEXT_MAX (256 * 1024) /* octets of text for people */
#define PART_MAX (512 * 1024) /* octets of any other part */

struct reading {
	struct bounce_report *report;
	GString *text, *html;
	char *subject, *failed; /* of the report; NULL: not there */
	bool labelled;          /* multipart/report */
	bool original;          /* the message that it is about was found */
	bool status, feedback, complaint, receipt;
};

/* ---- the report ---- */

static void
notice_free(void *p)
{
	struct bounce_notice *n = p;

	g_free(n->original);
	g_free(n->final);
	g_free(n->dsn);
	g_free(n->reply);
	g_free(n);
}

static struct bounce_report *
report_new(void)
{
	struct bounce_report *r = g_new0(struct bounce_report, 1);

	r->notices = g_ptr_array_new_with_free_func(notice_free);
	r->recipients = g_ptr_array_new_with_free_func(g_free);
	r->headers = event_headers_new();
	return r;
}

void
bounce_report_free(struct bounce_report *r)
{
	if (r == NULL)
		return;
	g_ptr_array_unref(r->notices);
	g_ptr_array_unref(r->recipients);
	g_ptr_array_unref(r->headers);
	g_free(r->reporter);
	g_free(r->queue_id);
	g_free(r->message_id);
	g_free(r->return_path);
	g_free(r);
}

struct bounce_notice *
bounce_notice_add(struct bounce_report *r, enum event_type type)
{
	struct bounce_notice *n;

	if (r->notices->len >= BOUNCE_NOTICES_MAX)
		return NULL;
	n = g_new0(struct bounce_notice, 1);
	n->type = type;
	g_ptr_array_add(r->notices, n);
	return n;
}

const char *
bounce_kind_word(enum bounce_kind kind)
{
	static const char *const words[] = {"mail",       "auto-reply", "feedback",
					    "unreadable", "report",     "text"};

	return words[kind];
}

/* ---- what GMime gets ---- */

static void
append_line(GString *out, const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		g_string_append_c(out, line[i] != '\0' ? line[i] : ' ');
	g_string_append_c(out, '\n');
}

/* The message with its sizes bounded, lines ending in LF. */
static GString *
bounded(const char *data, size_t len)
{
	GString *out = g_string_sized_new(MIN(len, (size_t)BOUNCE_OCTETS_MAX) + 1);
	const char *end = data + MIN(len, (size_t)BOUNCE_OCTETS_MAX);
	size_t room = FIELD_MAX;
	unsigned lines = 0, dashes = 0;

	while (data < end && lines++ < LINES_MAX) {
		const char *lf = memchr(data, '\n', (size_t)(end - data));
		size_t line = (size_t)((lf != NULL ? lf : end) - data), content = line;

		if (content > 0 && data[content - 1] == '\r')
			content--;
		if (content > 1 && data[0] == '-' && data[1] == '-' && ++dashes > DASHES_MAX)
			break;
		if (content == 0 || (*data != ' ' && *data != '\t'))
			room = FIELD_MAX;
		if (room > 0)
			append_line(out, data, MIN(content, room));
		room -= MIN(content, room);
		data += line + (lf != NULL);
	}
	return out;
}

static void
init(void)
{
	g_mime_init();
}

static GMimeMessage *
parse(const GString *octets)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeMessage *message;

	pthread_once(&once, init);
	stream = g_mime_stream_mem_new_with_buffer(octets->str, octets->len);
	parser = g_mime_parser_new_with_stream(stream);
	g_object_unref(stream);
	message = g_mime_parser_construct_message(parser, NULL);
	g_object_unref(parser);
	return message;
}

/* ---- parts ---- */

/* The octets as UTF-8 without NULs; g_free it. */
static char *
valid_text(const GByteArray *octets)
{
	gsize len = MIN(octets->len, (guint)PART_MAX);
	char *raw = g_malloc(len + 1), *text;

	for (gsize i = 0; i < len; i++)
		raw[i] = octets->data[i] != '\0' ? (char)octets->data[i] : ' ';
	raw[len] = '\0';
	text = g_utf8_make_valid(raw, (gssize)len);
	g_free(raw);
	return text;
}

/* The content of a part, decoded, as UTF-8; g_free it. */
static char *
part_text(GMimePart *part)
{
	GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
	const char *charset = g_mime_content_type_get_parameter(type, "charset");
	GMimeDataWrapper *content = g_mime_part_get_content(part);
	GMimeStream *memory = g_mime_stream_mem_new(), *filtered = g_mime_stream_filter_new(memory);
	GMimeFilter *filter = charset != NULL ? g_mime_filter_charset_new(charset, "utf-8") : NULL;
	char *text;

	if (filter != NULL) {
		g_mime_stream_filter_add(GMIME_STREAM_FILTER(filtered), filter);
		g_object_unref(filter);
	}
	if (content != NULL)
		g_mime_data_wrapper_write_to_stream(content, filtered);
	g_mime_stream_flush(filtered);
	text = valid_text(g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(memory)));
	g_object_unref(filtered);
	g_object_unref(memory);
	return text;
}

static void
read_original(struct reading *in, GMimeObject *message)
{
	GMimeHeaderList *headers = g_mime_object_get_header_list(message);

	if (in->original)
		return;
	in->original = true;
	for (int i = 0; i < g_mime_header_list_get_count(headers); i++) {
		GMimeHeader *h = g_mime_header_list_get_header_at(headers, i);
		const char *value = g_mime_header_get_raw_value(h);

		bounce_original_field(in->report, g_mime_header_get_name(h),
				      value != NULL ? value : "");
	}
}

static void
read_headers_part(struct reading *in, const char *text)
{
	if (in->original)
		return;
	in->original = true;
	bounce_original_read(in->report, text);
}

static bool
is_type(GMimeObject *part, const char *type, const char *subtype)
{
	return g_mime_content_type_is_type(g_mime_object_get_content_type(part), type, subtype);
}

static void
read_leaf(struct reading *in, GMimeObject *part)
{
	char *text = part_text(GMIME_PART(part));

	if (is_type(part, "message", "feedback-report") || bounce_is_feedback(text))
		in->feedback |= bounce_feedback_read(in->report, text, &in->complaint);
	else if (is_type(part, "message", "delivery-status") ||
		 is_type(part, "message", "global-delivery-status") || bounce_is_status(text))
		in->status |= bounce_status_read(in->report, text);
	else if (is_type(part, "message", "disposition-notification") ||
		 is_type(part, "message", "global-disposition-notification"))
		in->receipt = true;
	else if (is_type(part, "text", "rfc822-headers") ||
		 is_type(part, "message", "rfc822-headers") ||
		 is_type(part, "message", "global-headers"))
		read_headers_part(in, text);
	else if (is_type(part, "text", "html") && !in->original)
		g_string_append_len(
			in->html, text,
			(gssize)MIN(strlen(text), TEXT_MAX - MIN(in->html->len, TEXT_MAX)));
	else if (is_type(part, "text", "*") && !in->original) {
		g_string_append_len(
			in->text, text,
			(gssize)MIN(strlen(text), TEXT_MAX - MIN(in->text->len, TEXT_MAX)));
		g_string_append_c(in->text, '\n');
	}
	g_free(text);
}

static void
read_part(struct reading *in, GMimeObject *part, int depth)
{
	GMimeMessage *message;

	if (GMIME_IS_MULTIPART(part)) {
		GMimeMultipart *all = GMIME_MULTIPART(part);

		for (int i = 0; depth < DEPTH_MAX && i < g_mime_multipart_get_count(all); i++)
			read_part(in, g_mime_multipart_get_part(all, i), depth + 1);
	} else if (GMIME_IS_MESSAGE_PART(part)) {
		message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(part));
		if (message != NULL)
			read_original(in, GMIME_OBJECT(message));
	} else if (GMIME_IS_PART(part)) {
		read_leaf(in, part);
	}
}

/* ---- whose mail it is ---- */

/* True if a text (NULL: none) has one of the phrases that does() knows. */
static bool
says(const char *text, bool (*does)(const char *lower))
{
	char *lower = text != NULL ? g_utf8_strdown(text, -1) : NULL;
	bool found = lower != NULL && does(lower);

	g_free(lower);
	return found;
}

/* A header field of the report as text, UTF-8; g_free it, NULL: it is not there. */
static char *
header(GMimeMessage *m, const char *name)
{
	const char *value = g_mime_object_get_header(GMIME_OBJECT(m), name);

	return value != NULL ? g_utf8_make_valid(value, -1) : NULL;
}

static bool
header_says(GMimeMessage *m, const char *name, bool (*does)(const char *lower))
{
	char *value = header(m, name);
	bool found = says(value, does);

	g_free(value);
	return found;
}

/* True if a field is there and has just this value. */
static bool
header_is(GMimeMessage *m, const char *name, const char *wanted)
{
	char *value = header(m, name);
	bool is = value != NULL && strcmp(g_strstrip(value), wanted) == 0;

	g_free(value);
	return is;
}

/* Written by a mailer, not by a person or for one. */
static bool
is_mailers(GMimeMessage *m, const struct reading *in, const char *sender)
{
	bool null_sender = sender != NULL ? *sender == '\0' : header_is(m, "Return-Path", "<>");

	return in->labelled || in->failed != NULL || header_says(m, "From", bounce_from_mailer) ||
	       ((null_sender || header_is(m, "From", "<>")) &&
		says(in->subject, bounce_subject_fails));
}

static bool
is_vacation(const char *lower)
{
	return strstr(lower, "vacation") != NULL || strstr(lower, "auto_reply") != NULL ||
	       strstr(lower, "autoreply") != NULL || strstr(lower, "auto-reply") != NULL;
}

/* RFC 3834 and what came before it; bounces have "auto-replied", too. */
static bool
is_answer(GMimeMessage *m, const struct reading *in)
{
	static const char *const names[] = {"X-Autoreply", "X-Autorespond",    "X-Autoresponse",
					    "X-Vacation",  "X-AutoReply-From", "X-Mail-Autoreply"};

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_mime_object_get_header(GMIME_OBJECT(m), names[i]) != NULL)
			return true;
	return header_says(m, "Precedence", is_vacation) ||
	       header_says(m, "Auto-Submitted", is_vacation) ||
	       says(in->subject, bounce_subject_answers);
}

/* Microsoft's feedback of old (JMRP) has no report, but the message with a field of its own. */
static bool
is_old_feedback(const struct bounce_report *r)
{
	for (guint i = 0; i < r->headers->len; i++) {
		const struct event_header *h = r->headers->pdata[i];

		if (g_ascii_strcasecmp(h->name, "X-HmXmrOriginalRecipient") == 0)
			return true;
	}
	return false;
}

static bool
is_microsofts(const char *lower)
{
	return strstr(lower, "staff@hotmail.com") != NULL ||
	       strstr(lower, "staff@outlook.com") != NULL;
}

static bool
is_old_complaint(GMimeMessage *m, const struct reading *in)
{
	return is_old_feedback(in->report) && header_says(m, "From", is_microsofts);
}

static enum bounce_kind
kind_of_text(struct reading *in)
{
	char *plain = in->text->len > 1 ? NULL : bounce_html_text(in->html->str);
	const char *text = plain != NULL ? plain : in->text->str;
	bool found;

	found = bounce_text_read(in->report, text, in->subject, in->failed);
	g_free(plain);
	return found ? BOUNCE_TEXT : BOUNCE_UNREADABLE;
}

static enum bounce_kind
kind_of(GMimeMessage *m, struct reading *in, const char *sender)
{
	if (in->feedback)
		return in->complaint ? BOUNCE_REPORT : BOUNCE_FEEDBACK;
	if (is_old_complaint(m, in)) {
		bounce_notice_add(in->report, EVENT_COMPLAINT);
		return BOUNCE_REPORT;
	}
	if (in->status && is_mailers(m, in, sender)) {
		bounce_text_complete(in->report, in->text->str);
		return BOUNCE_REPORT;
	}
	if (in->receipt || is_answer(m, in))
		return BOUNCE_REPLY;
	return is_mailers(m, in, sender) ? kind_of_text(in) : BOUNCE_MAIL;
}

/* When our MTA took it: its own field comes first, and stays the same when the message is read
 * again. */
static gint64
arrival(GMimeMessage *m)
{
	const char *received = g_mime_object_get_header(GMIME_OBJECT(m), "Received");
	const char *date = received != NULL ? strrchr(received, ';') : NULL;
	GDateTime *time;
	gint64 seconds = 0;

	date = date != NULL ? date + 1 : g_mime_object_get_header(GMIME_OBJECT(m), "Date");
	time = date != NULL ? g_mime_utils_header_decode_date(date) : NULL;
	if (time != NULL) {
		seconds = g_date_time_to_unix(time);
		g_date_time_unref(time);
	}
	return seconds;
}

static void
read_message(GMimeMessage *m, struct bounce_report *r, const char *sender)
{
	struct reading in = {.report = r, .text = g_string_new(NULL), .html = g_string_new(NULL)};
	GMimeObject *part = g_mime_message_get_mime_part(m);
	const char *subject = g_mime_message_get_subject(m);

	in.subject = subject != NULL ? g_utf8_make_valid(subject, -1) : NULL;
	in.failed = header(m, "X-Failed-Recipients");
	if (part != NULL) {
		in.labelled = is_type(part, "multipart", "report");
		read_part(&in, part, 0);
	}
	r->arrived = arrival(m);
	r->kind = kind_of(m, &in, sender);
	if (r->kind != BOUNCE_REPORT && r->kind != BOUNCE_TEXT)
		g_ptr_array_set_size(r->notices, 0);
	g_string_free(in.text, TRUE);
	g_string_free(in.html, TRUE);
	g_free(in.subject);
	g_free(in.failed);
}

struct bounce_report *
bounce_report_read(const char *data, size_t len, const char *sender)
{
	struct bounce_report *r = report_new();
	GString *octets = bounded(data, len);
	GMimeMessage *message = parse(octets);

	if (message != NULL) {
		read_message(message, r, sender);
		g_object_unref(message);
	}
	g_string_free(octets, TRUE);
	return r;
}
