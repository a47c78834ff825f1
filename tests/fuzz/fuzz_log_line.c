/*
 * fuzz_log_line - lines of the log, as anybody who writes to us, or takes mail from us, can shape
 *them.
 *
 * Input: one octet chooses what is done.
 *	0	a line as it is
 *	1	a delivery that bounced, as Postfix writes it: its addresses and its reply are the
 *next lines.  It must be read as just that; where it is in doubt what is whose, as nothing 2	a
 *log: each line begins with an octet that chooses the program and one for the seconds since the
 *line before.  Two joiners are told it, one that has all in memory, one that is made anew for each
 *line and has nothing there: the same events come of it
 */
#include "fuzz.h"

#include "core/joiner.h"
#include "core/mta_line.h"
#include "core/word.h"

#include <string.h>

#define BEGAN ((int64_t)1795132800 * G_USEC_PER_SEC)
#define LINES_MAX 60

/* ---- a line as it is ---- */

static bool
inside(struct text_part t, struct text_part of)
{
	return t.len == 0 || (t.p >= of.p && t.p + t.len <= of.p + of.len);
}

static void
check_parts(const struct mta_line *m, struct text_part text)
{
	const struct text_part parts[] = {m->queue_id,  m->client,        m->message_id, m->sender,
					  m->recipient, m->relay,         m->dsn,        m->reply,
					  m->next_id,   m->pool,          m->isp,        m->result,
					  m->words,     m->orig_recipient};

	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
		require(inside(parts[i], text));
	if (m->said == MTA_NOTHING)
		return;
	require(m->queue_id.p == text.p && m->queue_id.len >= 5 && m->queue_id.len <= 64);
	if (m->said == MTA_DELIVERY) {
		require(m->status != STATUS_UNKNOWN && m->delay_ms >= 0 && m->dsn.len >= 5);
		require(m->recipient.p == text.p + m->queue_id.len + strlen(": to=<"));
		require(inside(mta_reply_said(m->reply), m->reply));
		require(mta_reply_code(m->reply) < 600);
	}
}

static void
any_line(const struct input *in)
{
	static const char *const programs[] = {
		"postfix/smtp",   "postfix/smtpd",  "postfix/cleanup",   "postfix/qmgr",
		"postfix/pickup", "postfix/bounce", "postfix/postsuper", "poolmilter"};
	struct log_clock clock = {0};
	struct log_line line;
	struct mta_line m;

	if (log_line_parse((const char *)in->data, in->len, &clock, BEGAN, &line)) {
		mta_line_parse(&line, &m);
		check_parts(&m, line.text);
		return;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(programs); i++) {
		line.program = (struct text_part){programs[i], strlen(programs[i])};
		line.text = (struct text_part){(const char *)in->data, in->len};
		mta_line_parse(&line, &m);
		check_parts(&m, line.text);
	}
}

/* ---- a delivery that bounced ---- */

/* Postfix' is_822_dot_string(): what needs no quotes. */
static bool
plain_local(const char *local, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)local[i] <= 32 || local[i] == 127 ||
		    strchr("()<>@,;:\\\"[]", local[i]) != NULL ||
		    (local[i] == '.' && (i == 0 || i + 1 == len || local[i + 1] == '.')))
			return false;
	return len > 0;
}

/* Its quote_822_local(): info_log_address_format = external. */
static void
put_address(GString *line, const char *address, bool quotes)
{
	const char *at = strrchr(address, '@');
	size_t len = at != NULL ? (size_t)(at - address) : strlen(address);

	if (!quotes || *address == '\0' || plain_local(address, len)) {
		g_string_append(line, address);
		return;
	}
	g_string_append_c(line, '"');
	for (size_t i = 0; i < len; i++) {
		if (address[i] == '"' || address[i] == '\\')
			g_string_append_c(line, '\\');
		g_string_append_c(line, address[i]);
	}
	g_string_append_c(line, '"');
	g_string_append(line, address + len);
}

/* A domain that Postfix delivers to. */
static bool
good_domain(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ||
	       strspn(at + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			      "-.[]:") == strlen(at + 1);
}

static bool
same(struct text_part t, const GString *line, size_t from, size_t len)
{
	return t.len == len && (len == 0 || memcmp(t.p, line->str + from, len) == 0);
}

static void
bounced(struct input *in)
{
	bool quotes = input_choice(in, 2) == 0, aliased = input_choice(in, 2) != 0;
	char *rcpt = input_line(in), *original = input_line(in), *reply = input_line(in);
	GString *line = g_string_new("4XYZ12: to=<");
	static const char head[] =
		">, relay=none, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (";
	size_t rcpt_at = line->len, rcpt_len, original_at = 0, original_len = 0, reply_at;
	struct log_line l = {.program = {"postfix/smtp", strlen("postfix/smtp")}};
	struct mta_line m;

	put_address(line, rcpt, quotes);
	rcpt_len = line->len - rcpt_at;
	if (aliased) {
		g_string_append(line, ">, orig_to=<");
		original_at = line->len;
		put_address(line, original, quotes);
		original_len = line->len - original_at;
	}
	g_string_append(line, head);
	reply_at = line->len;
	g_string_append(line, reply);
	g_string_append_c(line, ')');
	l.text = (struct text_part){line->str, line->len};
	mta_line_parse(&l, &m);
	check_parts(&m, l.text);
	require_of(m.said == MTA_NOTHING || (m.said == MTA_DELIVERY && m.status == STATUS_BOUNCED &&
					     m.next_id.len == 0),
		   line->str);
	if (quotes && good_domain(rcpt) && (!aliased || good_domain(original))) {
		require_of(m.said == MTA_DELIVERY || strstr(reply, ">, relay=") != NULL, line->str);
		if (m.said == MTA_DELIVERY)
			require_of(
				same(m.recipient, line, rcpt_at, rcpt_len) &&
					same(m.orig_recipient, line, original_at, original_len) &&
					same(m.reply, line, reply_at, strlen(reply)),
				line->str);
	}
	g_string_free(line, TRUE);
	g_free(rcpt);
	g_free(original);
	g_free(reply);
}

/* ---- a log ---- */

struct row {
	char *queue_id, *message_id, *text;
	int64_t born, ended;
};

static void
row_free(void *p)
{
	struct row *r = p;

	g_free(r->queue_id);
	g_free(r->message_id);
	g_free(r->text);
	g_free(r);
}

static bool
load(void *context, const char *queue_id, struct flight **out)
{
	GPtrArray *rows = context;
	const struct row *last = NULL;

	*out = NULL;
	for (guint i = 0; i < rows->len; i++) {
		const struct row *r = rows->pdata[i];

		if (strcmp(r->queue_id, queue_id) == 0 && (last == NULL || r->born > last->born))
			last = r;
	}
	if (last != NULL) {
		*out = flight_read(last->text, strlen(last->text));
		require_of(*out != NULL, last->text);
	}
	return true;
}

static bool
find(void *context, const char *message_id, int64_t since, guint max, GPtrArray *queue_ids)
{
	GPtrArray *rows = context;

	for (guint i = 0; i < rows->len && queue_ids->len < max; i++) {
		const struct row *r = rows->pdata[i];

		if (g_strcmp0(r->message_id, message_id) == 0 && r->ended == 0 && r->born >= since)
			g_ptr_array_add(queue_ids, g_strdup(r->queue_id));
	}
	return true;
}

static bool
forget(void *context, const char *queue_id, int64_t born)
{
	GPtrArray *rows = context;

	for (guint i = 0; i < rows->len; i++) {
		const struct row *r = rows->pdata[i];

		if (strcmp(r->queue_id, queue_id) == 0 && r->born == born) {
			g_ptr_array_remove_index(rows, i);
			return true;
		}
	}
	return true;
}

static bool
save(void *context, const struct flight *f)
{
	struct row *r = g_new0(struct row, 1);
	GString *text = g_string_new(NULL);

	forget(context, f->queue_id, f->born);
	flight_write(f, text);
	r->queue_id = g_strdup(f->queue_id);
	r->message_id = g_strdup(f->message_id);
	r->born = f->born;
	r->ended = f->ended;
	r->text = g_string_free(text, FALSE);
	g_ptr_array_add(context, r);
	return true;
}

static void
take_event(struct event *e, void *context)
{
	g_ptr_array_add(context, g_strdup_printf("%s %s %s %s %s", e->id, event_type_name(e->type),
						 e->queue_id, e->pool,
						 e->recipient != NULL ? e->recipient : "-"));
	require(e->pool != NULL && e->time >= BEGAN);
	event_free(e);
}

static int
by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct joiner *
joiner(GPtrArray *rows, guint flights_max, GPtrArray *events)
{
	const struct joiner_store store = {
		.load = load, .find = find, .save = save, .forget = forget, .context = rows};

	return joiner_new(&store, "node", flights_max, take_event, events);
}

static void
feed(struct joiner *j, struct input *in, int64_t *time)
{
	static const char *const programs[] = {
		"postfix/smtpd", "postfix/cleanup", "poolmilter",   "postfix/qmgr",
		"postfix/smtp",  "postfix/pickup",  "postfix/pipe", "postfix/postsuper"};
	const char *program = programs[input_choice(in, 8)];
	struct log_line line = {.host = {"mx1", 3}, .program = {program, strlen(program)}};
	unsigned step = input_choice(in, 16);
	char *text;

	*time += (step < 10 ? (int64_t)step : (int64_t)(step - 9) * 40) * G_USEC_PER_SEC;
	text = input_line(in);
	line.time = *time;
	line.text = (struct text_part){text, strlen(text)};
	require(joiner_tick(j, *time) && joiner_line(j, &line) && joiner_tick(j, *time));
	g_free(text);
}

/* The events that come of it, sorted. */
static GPtrArray *
told(struct input in, guint flights_max, bool anew)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func(row_free);
	GPtrArray *events = g_ptr_array_new_with_free_func(g_free);
	struct joiner *j = joiner(rows, flights_max, events);
	int64_t time = BEGAN;

	for (int i = 0; i < LINES_MAX && in.len > 0; i++) {
		feed(j, &in, &time);
		require(joiner_size(j) <= flights_max);
		if (!anew)
			continue;
		require(joiner_flush(j));
		joiner_free(j);
		j = joiner(rows, flights_max, events);
	}
	for (int i = 0; i < 70; i++)
		require(joiner_tick(j, time + (int64_t)i * G_USEC_PER_SEC));
	require(joiner_flush(j));
	joiner_free(j);
	g_ptr_array_unref(rows);
	g_ptr_array_sort(events, by_text);
	return events;
}

static void
a_log(const struct input *in)
{
	GPtrArray *one = told(*in, 1000, false), *other = told(*in, 0, true);

	for (guint i = 0; i < MIN(one->len, other->len); i++)
		require_of(strcmp(one->pdata[i], other->pdata[i]) == 0, one->pdata[i]);
	require(one->len == other->len);
	g_ptr_array_unref(one);
	g_ptr_array_unref(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned what = input_choice(&in, 4);

	if (what == 0)
		any_line(&in);
	else if (what == 1)
		bounced(&in);
	else
		a_log(&in);
	return 0;
}
