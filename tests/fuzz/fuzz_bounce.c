/*
 * fuzz_bounce - mail that comes to Return-Paths, as anybody may write it.
 *
 * Input: one octet chooses the envelope sender (none, null, somebody), the rest is the message.
 * What is read must be within the stated numbers and be lines, and the same message must be read
 * the same way twice.
 */
#include "fuzz.h"

#include "core/bounce_part.h"

#include <string.h>

/* A text of one line that is no longer than that. */
static void
check_line(const char *text, size_t max)
{
	if (text == NULL)
		return;
	require_of(strlen(text) <= max, text);
	for (const char *p = text; *p != '\0'; p++)
		require_of(!g_ascii_iscntrl(*p), text);
}

static void
check_address(const char *address)
{
	check_line(address, 400);
	if (address != NULL)
		require_of(strchr(address, '@') != NULL && strchr(address, '@') != address,
			   address);
}

static void
check_notice(const struct bounce_notice *n, enum bounce_kind kind)
{
	require(n->type == EVENT_BOUNCED || n->type == EVENT_DEFERRED ||
		(kind == BOUNCE_REPORT &&
		 (n->type == EVENT_DELIVERED || n->type == EVENT_COMPLAINT)));
	require(n->code == 0 || (n->code >= 400 && n->code <= 599));
	if (n->dsn != NULL)
		require_of(strlen(n->dsn) >= 5 && strlen(n->dsn) <= 9 && n->dsn[1] == '.', n->dsn);
	/* A refusal for good is no delay. */
	require(kind != BOUNCE_TEXT || n->type != EVENT_DEFERRED || n->code < 500);
	check_address(n->original);
	check_address(n->final);
	check_line(n->reply, 4096);
}

static void
check_report(const struct bounce_report *r)
{
	require((r->notices->len > 0) == (r->kind == BOUNCE_REPORT || r->kind == BOUNCE_TEXT));
	require(r->notices->len <= BOUNCE_NOTICES_MAX);
	for (guint i = 0; i < r->notices->len; i++)
		check_notice(r->notices->pdata[i], r->kind);
	for (guint i = 0; i < r->recipients->len; i++)
		check_address(r->recipients->pdata[i]);
	for (guint i = 0; i < r->headers->len; i++)
		check_line(((struct event_header *)r->headers->pdata[i])->value, 4096);
	check_line(r->reporter, 4096);
	check_line(r->message_id, 4096);
	check_address(r->return_path);
}

static void
check_same(const struct bounce_report *a, const struct bounce_report *b)
{
	require(a->kind == b->kind && a->notices->len == b->notices->len &&
		a->arrived == b->arrived);
	for (guint i = 0; i < a->notices->len; i++) {
		const struct bounce_notice *x = a->notices->pdata[i], *y = b->notices->pdata[i];

		require(x->type == y->type && x->code == y->code &&
			g_strcmp0(x->dsn, y->dsn) == 0 && g_strcmp0(x->reply, y->reply) == 0 &&
			g_strcmp0(x->final, y->final) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const senders[] = {NULL, "", "ann@example.org", "MAILER-DAEMON"};
	struct input in = {data, size};
	const char *sender = senders[input_choice(&in, G_N_ELEMENTS(senders))];
	struct bounce_report *r = bounce_report_read((const char *)in.data, in.len, sender);
	struct bounce_report *again = bounce_report_read((const char *)in.data, in.len, sender);

	check_report(r);
	check_same(r, again);
	bounce_report_free(again);
	bounce_report_free(r);
	return 0;
}
