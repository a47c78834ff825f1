/*
 * test_mta_line - what Postfix and poolmilter say of a message, and what nobody can make them say.
 */
#include "fixture.h"

#include "core/mta_line.h"

#include <string.h>

#define TAIL ", delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)"
#define END ", delay=0.35, delays=0.1/0.01/0.1/0.14, dsn=5.1.1, status=bounced (no)"

/* ---- lines that are no delivery ---- */

static const struct {
	const char *name, *program, *text;
	enum mta_said said;
	const char *queue_id;
	const char *a, *b; /* see second() */
} plain[] = {
	{"smtpd", "postfix/smtpd", "4XYZ12: client=mx.example[192.0.2.1]", MTA_CLIENT, "4XYZ12",
	 "mx.example[192.0.2.1]", ""},
	{"smtpd with a login", "postfix/submission/smtpd",
	 "4XYZ12: client=unknown[2001:db8::1], sasl_method=PLAIN, sasl_username=a, "
	 "orig_queue_id=4EVIL1",
	 MTA_CLIENT, "4XYZ12", "unknown[2001:db8::1]", ""},
	{"smtpd of another instance", "postfix-out/smtps/smtpd", "4XYZ12: client=a[::1]",
	 MTA_CLIENT, "4XYZ12", "a[::1]", ""},
	{"no queue ID yet", "postfix/smtpd", "NOQUEUE: client=a[::1]", MTA_NOTHING, NULL, NULL,
	 NULL},
	{"client that does not end", "postfix/smtpd", "4XYZ12: client=a[::1", MTA_NOTHING, NULL,
	 NULL, NULL},
	{"client with a tail", "postfix/smtpd", "4XYZ12: client=a[::1]x", MTA_NOTHING, NULL, NULL,
	 NULL},
	{"qmqpd", "postfix/qmqpd", "4XYZ12: client=a[::1]", MTA_CLIENT, "4XYZ12", "a[::1]", ""},
	{"pickup", "postfix/pickup", "9A0B1C2D3E: uid=0 from=<root>", MTA_CLIENT, "9A0B1C2D3E", "",
	 ""},
	{"pickup of what was requeued", "postfix/pickup",
	 "9A0B1C2D3E: uid=0 from=<a@b.example> orig_id=4XYZ12zTk", MTA_CLIENT, "9A0B1C2D3E", "",
	 "4XYZ12zTk"},
	{"pickup of <>", "postfix/pickup", "9A0B1C2D3E: uid=0 from=<>", MTA_CLIENT, "9A0B1C2D3E",
	 "", ""},
	{"a sender like a requeued one", "postfix/pickup",
	 "9A0B1C2D3E: uid=0 from=<a> orig_id=4XYZ12>", MTA_CLIENT, "9A0B1C2D3E", "", ""},
	{"a sender like a requeued one, quoted", "postfix/pickup",
	 "9A0B1C2D3E: uid=0 from=<\"a> orig_id=4XYZ12\"@x>", MTA_CLIENT, "9A0B1C2D3E", "", ""},
	{"Message-ID", "postfix/cleanup", "4XYZ12: message-id=<1@a.example>", MTA_MESSAGE_ID,
	 "4XYZ12", "<1@a.example>", NULL},
	{"Message-ID with a comment", "postfix/cleanup", "4XYZ12: message-id=<1@a> (x)",
	 MTA_MESSAGE_ID, "4XYZ12", "<1@a>", NULL},
	{"Message-ID without <>", "postfix/cleanup", "4XYZ12: message-id=junk status=sent (x) ",
	 MTA_MESSAGE_ID, "4XYZ12", "junk status=sent (x)", NULL},
	{"no Message-ID", "postfix/cleanup", "4XYZ12: message-id=<>", MTA_MESSAGE_ID, "4XYZ12", "",
	 NULL},
	{"Message-ID like a delivery", "postfix/cleanup",
	 "4XYZ12: message-id=<to=<a@b>, relay=x" TAIL ">", MTA_MESSAGE_ID, "4XYZ12", "<to=<a@b>",
	 NULL},
	{"Resent-Message-ID", "postfix/cleanup", "4XYZ12: resent-message-id=<1@a>", MTA_NOTHING,
	 NULL, NULL, NULL},
	{"a milter's hold", "postfix/cleanup",
	 "4XYZ12: milter-hold: END-OF-MESSAGE from a[1.2.3.4]: milter triggers HOLD action; "
	 "from=<a@b> to=<c@d> proto=ESMTP helo=<x>",
	 MTA_HOLD, "4XYZ12", NULL, NULL},
	{"header_checks", "postfix/cleanup",
	 "4XYZ12: hold: header Subject: reject: x from a[1.2.3.4]; from=<a@b>: text", MTA_HOLD,
	 "4XYZ12", NULL, NULL},
	{"milter_header_checks", "postfix/cleanup",
	 "4XYZ12: milter-header-hold: header X: y from a[::1];", MTA_HOLD, "4XYZ12", NULL, NULL},
	{"an access map's hold", "postfix/smtpd",
	 "4XYZ12: hold: RCPT from a[1.2.3.4]: <c@d>: Recipient address triggers HOLD action; x",
	 MTA_HOLD, "4XYZ12", NULL, NULL},
	{"a milter's hold at RCPT", "postfix/smtpd",
	 "4XYZ12: milter-hold: RCPT from a[::1]: milter triggers HOLD action; from=<a@b>", MTA_HOLD,
	 "4XYZ12", NULL, NULL},
	{"postsuper -h", "postfix/postsuper", "4XYZ12: placed on hold", MTA_HOLD, "4XYZ12", NULL,
	 NULL},
	{"postsuper -H", "postfix/postsuper", "4XYZ12: released from hold", MTA_RELEASED, "4XYZ12",
	 NULL, NULL},
	{"postsuper -r", "postfix/postsuper", "4XYZ12: requeued", MTA_REQUEUED, "4XYZ12", NULL,
	 NULL},
	{"postsuper -d", "postfix/postsuper", "4XYZ12: removed", MTA_REMOVED, "4XYZ12", NULL, NULL},
	{"postsuper -e is only a mark", "postfix/postsuper", "4XYZ12: expired", MTA_NOTHING, NULL,
	 NULL, NULL},
	{"a milter's refusal", "postfix/cleanup",
	 "4XYZ12: milter-reject: END-OF-MESSAGE from a[1.2.3.4]: 4.7.1 x; from=<a@b>", MTA_REJECT,
	 "4XYZ12", NULL, NULL},
	{"a milter's discard", "postfix/cleanup",
	 "4XYZ12: milter-discard: END-OF-MESSAGE from a[1.2.3.4]: milter triggers DISCARD action;",
	 MTA_REJECT, "4XYZ12", NULL, NULL},
	{"header_checks reject", "postfix/cleanup",
	 "4XYZ12: reject: header Subject: x from a[::1];", MTA_REJECT, "4XYZ12", NULL, NULL},
	{"header_checks warn", "postfix/cleanup", "4XYZ12: warning: header Subject: hold: x",
	 MTA_NOTHING, NULL, NULL, NULL},
	{"a refused recipient is not the message", "postfix/smtpd",
	 "4XYZ12: reject: RCPT from a[1.2.3.4]: 550 5.1.1 <c@d>: no; from=<a@b>", MTA_NOTHING, NULL,
	 NULL, NULL},
	{"a recipient that a milter refuses", "postfix/smtpd",
	 "4XYZ12: milter-reject: RCPT from a[1.2.3.4]: 550 5.1.1 no; from=<a@b>", MTA_NOTHING, NULL,
	 NULL, NULL},
	{"an access map's discard", "postfix/smtpd", "4XYZ12: discard: RCPT from a[::1]: <c@d>: x;",
	 MTA_REJECT, "4XYZ12", NULL, NULL},
	{"qmgr", "postfix/qmgr", "4XYZ12: from=<a@b.example>, size=512, nrcpt=2 (queue active)",
	 MTA_QUEUED, "4XYZ12", "a@b.example", NULL},
	{"qmgr, <>", "postfix/qmgr", "4XYZ12: from=<>, size=512, nrcpt=2 (queue active)",
	 MTA_QUEUED, "4XYZ12", "", NULL},
	{"oqmgr", "postfix/oqmgr", "4XYZ12: from=<a>, size=512, nrcpt=2 (queue active)", MTA_QUEUED,
	 "4XYZ12", "a", NULL},
	{"a sender like qmgr's words", "postfix/qmgr",
	 "4XYZ12: from=<\"a>, size=1, nrcpt=1 (queue active)\"@b>, size=512, nrcpt=2 (queue "
	 "active)",
	 MTA_QUEUED, "4XYZ12", "\"a>, size=1, nrcpt=1 (queue active)\"@b", NULL},
	{"a sender like an end", "postfix/qmgr",
	 "4XYZ12: from=<a>, status=expired, returned to sender>, size=5, nrcpt=2 (queue active)",
	 MTA_QUEUED, "4XYZ12", "a>, status=expired, returned to sender", NULL},
	{"expired", "postfix/qmgr", "4XYZ12: from=<a@b>, status=expired, returned to sender",
	 MTA_EXPIRED, "4XYZ12", NULL, NULL},
	{"expired by force", "postfix/qmgr",
	 "4XYZ12: from=<a@b>, status=force-expired, returned to sender", MTA_EXPIRED, "4XYZ12",
	 NULL, NULL},
	{"removed", "postfix/qmgr", "4XYZ12: removed", MTA_REMOVED, "4XYZ12", NULL, NULL},
	{"removed, and more", "postfix/qmgr", "4XYZ12: removed x", MTA_NOTHING, NULL, NULL, NULL},
	{"skipped", "postfix/qmgr", "4XYZ12: skipped, still being delivered", MTA_NOTHING, NULL,
	 NULL, NULL},
	{"a bounce message", "postfix/bounce", "4XYZ12: sender non-delivery notification: 4ABC99",
	 MTA_NOTICE, "4XYZ12", NULL, "4ABC99"},
	{"one that tells of a delay", "postfix/bounce",
	 "4XYZ12: postmaster delay notification: 4ABC99", MTA_NOTICE, "4XYZ12", NULL, "4ABC99"},
	{"one for a success", "postfix/bounce",
	 "4XYZ12: sender delivery status notification: 4ABC99", MTA_NOTICE, "4XYZ12", NULL,
	 "4ABC99"},
	{"long queue ID", "postfix/qmgr", "4cR7Qz0Bk2zTkBL: removed", MTA_REMOVED,
	 "4cR7Qz0Bk2zTkBL", NULL, NULL},
	{"short queue ID without digits", "postfix/qmgr", "ABCDEFAB: removed", MTA_REMOVED,
	 "ABCDEFAB", NULL, NULL},
	{"warning", "postfix/qmgr", "warning: removed", MTA_NOTHING, NULL, NULL, NULL},
	{"fatal", "postfix/qmgr", "fatal: removed", MTA_NOTHING, NULL, NULL, NULL},
	{"too short for one", "postfix/qmgr", "4X: removed", MTA_NOTHING, NULL, NULL, NULL},
	{"too long for one", "postfix/qmgr",
	 "12345678901234567890123456789012345678901234567890123456789012345: removed", MTA_NOTHING,
	 NULL, NULL, NULL},
	{"connect", "postfix/smtpd", "connect from a[1.2.3.4]", MTA_NOTHING, NULL, NULL, NULL},
	{"empty", "postfix/smtpd", "", MTA_NOTHING, NULL, NULL, NULL},
	{"another program", "dovecot", "4XYZ12: removed", MTA_NOTHING, NULL, NULL, NULL},
	{"a program of Postfix that says no such thing", "postfix/smtpd", "4XYZ12: removed",
	 MTA_NOTHING, NULL, NULL, NULL},
	{"a delivery that smtpd cannot make", "postfix/smtpd", "4XYZ12: to=<a@b>, relay=x" TAIL,
	 MTA_NOTHING, NULL, NULL, NULL},
	{"smtp's other lines", "postfix/smtp",
	 "4XYZ12: host mx[1.2.3.4] said: 450 4.2.1 x (in reply to RCPT TO command)", MTA_NOTHING,
	 NULL, NULL, NULL},
	{"poolmilter", "poolmilter",
	 "4XYZ12: pool=acme isp=gmail from=<ann@example.com> "
	 "return_path=<b+c@ac-bounces.example.com> "
	 "nrcpt=1 size=4096 encoded=html:base64 headers=+1-2 dkim=example.com/ak/rsa-sha256 "
	 "limit=ok "
	 "took_ms=0.9 result=accepted",
	 MTA_POOL, "4XYZ12", "ann@example.com", "acme gmail accepted"},
	{"poolmilter, mixed", "outgoing",
	 "4XYZ12: pool=acme isp=default mixed=split split=yahoo:2/3,x:1/1 from=<> return_path=- "
	 "nrcpt=3 size=- encoded=- reason=x headers=- dkim=- limit=over:pool/a wait_ms=5 took_ms=- "
	 "result=deferred reason=limit",
	 MTA_POOL, "4XYZ12", "", "acme default deferred"},
	{"poolmilter, no pool", "poolmilter",
	 "4XYZ12: pool=- isp=- from=- return_path=- nrcpt=1 size=1 encoded=- headers=- dkim=- "
	 "limit=- "
	 "took_ms=0.1 result=passed reason=no-pool",
	 MTA_POOL, "4XYZ12", "", "- - passed"},
	{"poolmilter, a sender like its words", "poolmilter",
	 "4XYZ12: pool=a isp=b from=<x%20result=rejected@y> return_path=- nrcpt=1 size=1 encoded=- "
	 "headers=- dkim=- limit=- took_ms=0.1 result=accepted",
	 MTA_POOL, "4XYZ12", "x%20result=rejected@y", "a b accepted"},
	{"poolmilter's line, cut", "poolmilter",
	 "4XYZ12: pool=a isp=b from=<x@y> return_path=- nrcpt=1 size=1 encoded=-", MTA_NOTHING,
	 NULL, NULL, NULL},
	{"no queue ID", "poolmilter", "-: pool=a isp=b from=<x@y> result=accepted", MTA_NOTHING,
	 NULL, NULL, NULL},
	{"poolmilter's line of Postfix", "postfix/smtp",
	 "4XYZ12: pool=a isp=b from=<x@y> result=accepted", MTA_NOTHING, NULL, NULL, NULL},
	{"Postfix' line of poolmilter", "poolmilter", "4XYZ12: to=<a@b>, relay=x" TAIL, MTA_NOTHING,
	 NULL, NULL, NULL},
	{"events", "poolmilter", "4XYZ12: event: header:X-Id:7 rcpt:a@b", MTA_EVENT, "4XYZ12",
	 " header:X-Id:7 rcpt:a@b", NULL},
	{"poolmilter's other lines", "poolmilter",
	 "4XYZ12: isp: rcpt=<a@b> result=deferred reason=other-isp", MTA_NOTHING, NULL, NULL, NULL},
	{"poolmilter's error", "poolmilter", "4XYZ12: error: pool=a result=accepted", MTA_NOTHING,
	 NULL, NULL, NULL},
};

static void
check_part(const char *name, struct text_part got, const char *want)
{
	char *text = got.p != NULL ? g_strndup(got.p, got.len) : g_strdup("");

	check_string(name, text, want);
	g_free(text);
}

/* In a block of just its size: a sanitizer sees what reads behind it. */
static char *
parse(const char *program, const char *text, size_t len, struct mta_line *out)
{
	char *block = g_malloc(len + 1) /* not NULL for 0 */, *exact = g_memdup2(text, len);
	struct log_line line = {.program = {program, strlen(program)},
				.text = {exact != NULL ? exact : block, len}};

	mta_line_parse(&line, out);
	g_free(exact != NULL ? block : NULL);
	return exact != NULL ? exact : block;
}

/* What the line says, of the fields that its kind has. */
static void
check_said(const char *name, const struct mta_line *m, const char *a, const char *b)
{
	char *words;

	switch (m->said) {
	case MTA_CLIENT:
		check_part(name, m->client, a);
		check_part(name, m->next_id, b);
		break;
	case MTA_MESSAGE_ID:
		check_part(name, m->message_id, a);
		break;
	case MTA_QUEUED:
		check_part(name, m->sender, a);
		break;
	case MTA_NOTICE:
		check_part(name, m->next_id, b);
		break;
	case MTA_EVENT:
		check_part(name, m->words, a);
		break;
	case MTA_POOL:
		check_part(name, m->sender, a);
		words = g_strdup_printf("%.*s %.*s %.*s", (int)m->pool.len, m->pool.p,
					(int)m->isp.len, m->isp.p, (int)m->result.len, m->result.p);
		check_string(name, words, b);
		g_free(words);
		break;
	default:
		break;
	}
}

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(plain); i++) {
		struct mta_line m;
		char *block = parse(plain[i].program, plain[i].text, strlen(plain[i].text), &m);

		check_int(plain[i].name, m.said, plain[i].said);
		if (m.said != MTA_NOTHING)
			check_part(plain[i].name, m.queue_id, plain[i].queue_id);
		check_said(plain[i].name, &m, plain[i].a, plain[i].b);
		g_free(block);
	}
}

/* ---- deliveries ---- */

static const struct {
	const char *name, *program, *text;
	enum mta_status status; /* STATUS_UNKNOWN: the line says nothing */
	const char *rcpt, *orig, *relay, *dsn, *reply, *next_id;
	int64_t delay_ms;
} deliveries[] = {
	{"sent", "postfix/smtp",
	 "4XYZ12: to=<bob@example.org>, relay=mx.example.org[192.0.2.7]:25, delay=1.2, "
	 "delays=0.1/0.01/0.5/0.59, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4ABC99)",
	 STATUS_SENT, "bob@example.org", "", "mx.example.org[192.0.2.7]:25", "2.0.0",
	 "250 2.0.0 Ok: queued as 4ABC99", "4ABC99", 1200},
	{"with orig_to and conn_use", "postfix/smtp",
	 "4XYZ12: to=<bob@example.org>, orig_to=<sales@example.com>, relay=mx[192.0.2.7]:25, "
	 "conn_use=3, delay=12, delays=0/0/0/12, dsn=2.0.0, status=sent (250 ok)",
	 STATUS_SENT, "bob@example.org", "sales@example.com", "mx[192.0.2.7]:25", "2.0.0", "250 ok",
	 "", 12000},
	{"a field of a later version", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[192.0.2.7]:25, delay=12, delays=0/0/0/12, tls=secure, "
	 "dsn=2.0.0, "
	 "status=sent (250 ok)",
	 STATUS_SENT, "b@x", "", "mx[192.0.2.7]:25", "2.0.0", "250 ok", "", 12000},
	{"deferred", "postfix-out/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[192.0.2.7]:25, delay=0.35, delays=0/0/0.1/0.2, dsn=4.2.2, "
	 "status=deferred (host mx[192.0.2.7] said: 452-4.2.2 The recipient's inbox is full 452 "
	 "4.2.2 x "
	 "(in reply to RCPT TO command))",
	 STATUS_DEFERRED, "b@x", "", "mx[192.0.2.7]:25", "4.2.2",
	 "host mx[192.0.2.7] said: 452-4.2.2 The recipient's inbox is full 452 4.2.2 x (in reply "
	 "to RCPT "
	 "TO command)",
	 "", 350},
	{"no connection", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=none, delay=30.1, delays=0/0/30/0, dsn=4.4.1, status=deferred "
	 "(connect "
	 "to mx[192.0.2.7]:25: Connection timed out)",
	 STATUS_DEFERRED, "b@x", "", "none", "4.4.1",
	 "connect to mx[192.0.2.7]:25: Connection timed out", "", 30100},
	{"by qmgr", "postfix/qmgr",
	 "4XYZ12: to=<b@x>, relay=none, delay=30, delays=0/30/0/0, dsn=4.4.1, status=deferred "
	 "(delivery "
	 "temporarily suspended: x)",
	 STATUS_DEFERRED, "b@x", "", "none", "4.4.1", "delivery temporarily suspended: x", "",
	 30000},
	{"by error", "postfix/error",
	 "4XYZ12: to=<b@x>, relay=none, delay=30, delays=0/30/0/0, dsn=5.4.4, status=bounced (Host "
	 "or "
	 "domain name not found. Name service error for name=x type=A: Host not found)",
	 STATUS_BOUNCED, "b@x", "", "none", "5.4.4",
	 "Host or domain name not found. Name service error for name=x type=A: Host not found", "",
	 30000},
	{"by cleanup", "postfix/cleanup",
	 "4XYZ12: to=<b@x>, relay=none, delay=0, delays=0/0/0/0, dsn=5.7.1, status=bounced (no)",
	 STATUS_BOUNCED, "b@x", "", "none", "5.7.1", "no", "", 0},
	{"lmtp by a socket", "postfix/lmtp",
	 "4XYZ12: to=<b@x>, relay=mx[private/dovecot-lmtp], delay=0.03, delays=0/0/0/0.03, "
	 "dsn=2.0.0, "
	 "status=sent (250 2.0.0 <b@x> 1a2B Saved)",
	 STATUS_SENT, "b@x", "", "mx[private/dovecot-lmtp]", "2.0.0", "250 2.0.0 <b@x> 1a2B Saved",
	 "", 30},
	{"virtual", "postfix/virtual",
	 "4XYZ12: to=<b@x>, relay=virtual, delay=0.03, delays=0/0/0/0.03, dsn=2.0.0, status=sent "
	 "(delivered to maildir)",
	 STATUS_SENT, "b@x", "", "virtual", "2.0.0", "delivered to maildir", "", 30},
	{"local, forwarded", "postfix/local",
	 "4XYZ12: to=<b@x>, relay=local, delay=0.03, delays=0/0/0/0.03, dsn=2.0.0, status=sent "
	 "(forwarded as 4ABC99)",
	 STATUS_SENT, "b@x", "", "local", "2.0.0", "forwarded as 4ABC99", "4ABC99", 30},
	{"local, a command", "postfix/local",
	 "4XYZ12: to=<b@x>, relay=local, delay=0.03, delays=0/0/0/0.03, dsn=2.0.0, status=sent "
	 "(delivered "
	 "to command: queued as 4ABC99)",
	 STATUS_SENT, "b@x", "", "local", "2.0.0", "delivered to command: queued as 4ABC99", "",
	 30},
	{"pipe", "postfix/pipe",
	 "4XYZ12: to=<b@x>, relay=filter, delay=0.03, delays=0/0/0/0.03, dsn=2.0.0, status=sent "
	 "(delivered "
	 "via filter service)",
	 STATUS_SENT, "b@x", "", "filter", "2.0.0", "delivered via filter service", "", 30},
	{"discard", "postfix/discard",
	 "4XYZ12: to=<b@x>, relay=none, delay=0.03, delays=0/0/0/0.03, dsn=2.0.0, status=sent "
	 "(example.com)",
	 STATUS_SENT, "b@x", "", "none", "2.0.0", "example.com", "", 30},
	{"relay", "postfix/relay/smtp", "4XYZ12: to=<b@x>, relay=mx[::1]:25" TAIL, STATUS_SENT,
	 "b@x", "", "mx[::1]:25", "2.0.0", "250 ok", "", 1000},
	{"a filter's reply", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, "
	 "status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4ABC99)",
	 STATUS_SENT, "b@x", "", "127.0.0.1[127.0.0.1]:10024", "2.0.0",
	 "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4ABC99", "4ABC99",
	 1000},
	{"soft_bounce", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=4.1.1, "
	 "status=SOFTBOUNCE (no)",
	 STATUS_DEFERRED, "b@x", "", "mx[::1]:25", "4.1.1", "no", "", 1000},
	{"a probe", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=2.1.5, "
	 "status=deliverable (250 "
	 "ok)",
	 STATUS_OTHER, "b@x", "", "mx[::1]:25", "2.1.5", "250 ok", "", 1000},
	{"a probe that failed", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, "
	 "status=undeliverable-but-not-cached (no)",
	 STATUS_OTHER, "b@x", "", "mx[::1]:25", "5.1.1", "no", "", 1000},
	{"unknown status", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=2.1.5, status=lost (250 "
	 "ok)",
	 STATUS_UNKNOWN, NULL, NULL, NULL, NULL, NULL, NULL, 0},
	{"cut in the reply", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
	 "(host mx "
	 "said: 550 (no",
	 STATUS_BOUNCED, "b@x", "", "mx[::1]:25", "5.1.1", "host mx said: 550 (no", "", 1000},
	{"cut before the status", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced",
	 STATUS_UNKNOWN, NULL, NULL, NULL, NULL, NULL, NULL, 0},
	{"no dsn", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, status=bounced (no)",
	 STATUS_UNKNOWN, NULL, NULL, NULL, NULL, NULL, NULL, 0},
	{"no delay", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, dsn=5.1.1, status=bounced (no)", STATUS_UNKNOWN, NULL,
	 NULL, NULL, NULL, NULL, NULL, 0},
	{"a delay that is none", "postfix/smtp",
	 "4XYZ12: to=<b@x>, relay=mx[::1]:25, delay=1e5, delays=0/0/0/1, dsn=5.1.1, status=bounced "
	 "(no)",
	 STATUS_UNKNOWN, NULL, NULL, NULL, NULL, NULL, NULL, 0},
	{"to <>", "postfix/smtp", "4XYZ12: to=<>, relay=mx[::1]:25" TAIL, STATUS_SENT, "", "",
	 "mx[::1]:25", "2.0.0", "250 ok", "", 1000},

	/* addresses */
	{"quoted", "postfix/smtp", "4XYZ12: to=<\"a b\"@x>, relay=mx[::1]:25" TAIL, STATUS_SENT,
	 "\"a b\"@x", "", "mx[::1]:25", "2.0.0", "250 ok", "", 1000},
	{"quotes in quotes", "postfix/smtp", "4XYZ12: to=<\"a\\\">\\\\\"@x>, relay=mx[::1]:25" TAIL,
	 STATUS_SENT, "\"a\\\">\\\\\"@x", "", "mx[::1]:25", "2.0.0", "250 ok", "", 1000},
	{"quoted, all fields in it", "postfix/smtp",
	 "4XYZ12: to=<\"a>, relay=evil[6.6.6.6]:25" TAIL "\"@x>, relay=none" END, STATUS_BOUNCED,
	 "\"a>, relay=evil[6.6.6.6]:25" TAIL "\"@x", "", "none", "5.1.1", "no", "", 350},
	{"quoted, orig_to in it", "postfix/smtp",
	 "4XYZ12: to=<\"a>, orig_to=<b\"@x>, relay=none" END, STATUS_BOUNCED,
	 "\"a>, orig_to=<b\"@x", "", "none", "5.1.1", "no", "", 350},
	{"quoted original with fields", "postfix/local",
	 "4XYZ12: to=<a@x>, orig_to=<\"b>, relay=evil" TAIL "\"@x>, relay=none" END, STATUS_BOUNCED,
	 "a@x", "\"b>, relay=evil" TAIL "\"@x", "none", "5.1.1", "no", "", 350},
	{"without quotes: a blank", "postfix/smtp", "4XYZ12: to=<a b@x>, relay=none" END,
	 STATUS_BOUNCED, "a b@x", "", "none", "5.1.1", "no", "", 350},
	{"without quotes: a quote", "postfix/smtp", "4XYZ12: to=<a\"b@x>, relay=none" END,
	 STATUS_BOUNCED, "a\"b@x", "", "none", "5.1.1", "no", "", 350},
	{"without quotes: some fields", "postfix/smtp",
	 "4XYZ12: to=<a>, relay=evil, status=sent (250 ok@x>, relay=none" END, STATUS_BOUNCED,
	 "a>, relay=evil, status=sent (250 ok@x", "", "none", "5.1.1", "no", "", 350},
	{"without quotes: with an original", "postfix/smtp",
	 "4XYZ12: to=<a b@x>, orig_to=<c d@x>, relay=none" END, STATUS_BOUNCED, "a b@x", "c d@x",
	 "none", "5.1.1", "no", "", 350},
	{"without quotes: two originals", "postfix/smtp",
	 "4XYZ12: to=<a b@x>, orig_to=<c>, orig_to=<d@x>, relay=none" END, STATUS_UNKNOWN, NULL,
	 NULL, NULL, NULL, NULL, NULL, 0},
	{"without quotes: all fields, in doubt", "postfix/smtp",
	 "4XYZ12: to=<a>, relay=evil[6.6.6.6]:25" TAIL "@x>, relay=none" END, STATUS_UNKNOWN, NULL,
	 NULL, NULL, NULL, NULL, NULL, 0},
	{"a domain with all fields, as Postfix 3.7 wrote it", "postfix/error",
	 "4XYZ12: to=<d@b>, relay=evil [6.6.6.6]:25" TAIL
	 ">, orig_to=<d@b>, relay=evil[6.6.6.6]:25" TAIL ">, relay=none" END,
	 STATUS_UNKNOWN, NULL, NULL, NULL, NULL, NULL, NULL, 0},
	{"a reply with all fields, in doubt", "postfix/smtp",
	 "4XYZ12: to=<a@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
	 "(host mx "
	 "said: 550 x>, relay=none" TAIL ")",
	 STATUS_UNKNOWN, NULL, NULL, NULL, NULL, NULL, NULL, 0},

	/* replies */
	{"a reply like a status", "postfix/smtp",
	 "4XYZ12: to=<a@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
	 "(host mx "
	 "said: 550 status=sent (250 ok) queued as 4EVIL1)",
	 STATUS_BOUNCED, "a@x", "", "mx[::1]:25", "5.1.1",
	 "host mx said: 550 status=sent (250 ok) queued as 4EVIL1", "", 1000},
	{"a reply like fields", "postfix/smtp",
	 "4XYZ12: to=<a@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=4.1.1, status=deferred "
	 "(x, "
	 "dsn=2.0.0, status=sent (250 ok)), to=<b@y>",
	 STATUS_DEFERRED, "a@x", "", "mx[::1]:25", "4.1.1",
	 "x, dsn=2.0.0, status=sent (250 ok)), to=<b@y>", "", 1000},
	{"an empty reply", "postfix/smtp",
	 "4XYZ12: to=<a@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=4.1.1, status=deferred "
	 "()",
	 STATUS_DEFERRED, "a@x", "", "mx[::1]:25", "4.1.1", "", "", 1000},
	{"a reply of parentheses", "postfix/smtp",
	 "4XYZ12: to=<a@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=4.1.1, status=deferred "
	 "()))(()",
	 STATUS_DEFERRED, "a@x", "", "mx[::1]:25", "4.1.1", ")))((", "", 1000},
	{"two queue IDs", "postfix/smtp",
	 "4XYZ12: to=<a@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 "
	 "queued "
	 "as 4AAAA1: queued as 4BBBB2)",
	 STATUS_SENT, "a@x", "", "mx[::1]:25", "2.0.0", "250 queued as 4AAAA1: queued as 4BBBB2",
	 "4BBBB2", 1000},
	{"invalid UTF-8", "postfix/smtp",
	 "4XYZ12: to=<\xff\xfe@x>, relay=mx[::1]:25, delay=1, delays=0/0/0/1, dsn=4.1.1, "
	 "status=deferred "
	 "(\xc3 \x01)",
	 STATUS_DEFERRED, "\xff\xfe@x", "", "mx[::1]:25", "4.1.1", "\xc3 \x01", "", 1000},
};

static void
test_deliveries(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(deliveries); i++) {
		const char *name = deliveries[i].name;
		struct mta_line m;
		char *block = parse(deliveries[i].program, deliveries[i].text,
				    strlen(deliveries[i].text), &m);

		check_int(name, m.said,
			  deliveries[i].status == STATUS_UNKNOWN ? MTA_NOTHING : MTA_DELIVERY);
		if (m.said == MTA_DELIVERY) {
			check_int(name, m.status, deliveries[i].status);
			check_part(name, m.queue_id, "4XYZ12");
			check_part(name, m.recipient, deliveries[i].rcpt);
			check_part(name, m.orig_recipient, deliveries[i].orig);
			check_part(name, m.relay, deliveries[i].relay);
			check_part(name, m.dsn, deliveries[i].dsn);
			check_part(name, m.reply, deliveries[i].reply);
			check_part(name, m.next_id, deliveries[i].next_id);
			check_int(name, m.delay_ms, deliveries[i].delay_ms);
		}
		g_free(block);
	}
}

/* Whatever is cut off, a line never says that another status came out, and nothing behind it is
 * read. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(deliveries); i++)
		for (size_t len = 0; len < strlen(deliveries[i].text); len++) {
			struct mta_line m;
			char *block = parse(deliveries[i].program, deliveries[i].text, len, &m);

			if (deliveries[i].status != STATUS_UNKNOWN && m.said == MTA_DELIVERY &&
			    m.status != deliveries[i].status)
				check_true(deliveries[i].name,
					   strstr(deliveries[i].text, "evil") != NULL);
			g_free(block);
		}
}

/* 100 kB of each octet, and of the places that the reader looks for. */
static void
test_long(void **state)
{
	static const char *const pieces[] = {"a",
					     "\"",
					     "\\",
					     ">, relay=",
					     ">, orig_to=<",
					     "queued as ",
					     " (in reply to ",
					     ">, relay=x, delay=1, dsn=1.1.1, status=sent",
					     "\n",
					     "("};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
		GString *text = g_string_new("4XYZ12: to=<");
		struct mta_line m;
		gint64 began = g_get_monotonic_time();
		char *block;

		while (text->len < 100000)
			g_string_append(text, pieces[i]);
		g_string_append(text, "@x>, relay=none" END);
		block = parse("postfix/smtp", text->str, text->len, &m);
		if (m.said == MTA_DELIVERY)
			check_int(pieces[i], m.status, STATUS_BOUNCED);
		mta_reply_said((struct text_part){block, text->len});
		check_true(pieces[i], g_get_monotonic_time() - began < 5 * G_USEC_PER_SEC);
		g_free(block);
		g_string_free(text, TRUE);
	}
}

static void
test_nul(void **state)
{
	static const char text[] = "4XYZ12: to=<a\0b@x>, relay=none" END;
	struct mta_line m;
	char *block = parse("postfix/smtp", text, sizeof text - 1, &m);

	(void)state;
	assert_int_equal(m.said, MTA_DELIVERY);
	assert_int_equal(m.recipient.len, 5);
	g_free(block);
}

/* ---- replies ---- */

static const struct {
	const char *name, *reply, *said;
	int code;
} replies[] = {
	{"host", "host mx[1.2.3.4] said: 550 5.1.1 no (in reply to RCPT TO command)",
	 "550 5.1.1 no", 550},
	{"several lines",
	 "host mx[1.2.3.4] said: 550-5.1.1 no 550 5.1.1 user (in reply to end of DATA command)",
	 "550-5.1.1 no 550 5.1.1 user", 550},
	{"in reply to, twice",
	 "host mx[1.2.3.4] said: 550 x (in reply to y) (in reply to RCPT TO command)",
	 "550 x (in reply to y)", 550},
	{"in reply to, that goes on", "host mx[1.2.3.4] said: 550 x (in reply to y) z",
	 "550 x (in reply to y) z", 550},
	{"refused", "host mx[1.2.3.4] refused to talk to me: 421 4.7.0 later", "421 4.7.0 later",
	 421},
	{"SASL", "SASL authentication failed; server mx[1.2.3.4] said: 535 5.7.8 no",
	 "535 5.7.8 no", 535},
	{"LMTP", "host mx[private/lmtp] said: 550 5.1.1 <b@x> no (in reply to RCPT TO command)",
	 "550 5.1.1 <b@x> no", 550},
	{"sent", "250 2.0.0 Ok: queued as 4ABC99", "250 2.0.0 Ok: queued as 4ABC99", 250},
	{"the code alone", "host mx[1.2.3.4] said: 450", "450", 450},
	{"no SMTP", "connect to mx[192.0.2.7]:25: Connection timed out",
	 "connect to mx[192.0.2.7]:25: Connection timed out", 0},
	{"a word that looks so", "user x said: 550 5.1.1 no", "user x said: 550 5.1.1 no", 0},
	{"a number that is no code", "5501 of 7", "5501 of 7", 0},
	{"a code that there is not", "650 x", "650 x", 0},
	{"empty", "", "", 0},
	{"host alone", "host ", "host ", 0},
};

static void
test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(replies); i++) {
		struct text_part reply = {replies[i].reply, strlen(replies[i].reply)};

		check_part(replies[i].name, mta_reply_said(reply), replies[i].said);
		check_int(replies[i].name, mta_reply_code(reply), replies[i].code);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines), cmocka_unit_test(test_deliveries),
		cmocka_unit_test(test_cut),   cmocka_unit_test(test_long),
		cmocka_unit_test(test_nul),   cmocka_unit_test(test_replies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
