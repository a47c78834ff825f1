/*
 * joiner_stories - lines of the log, and the exact events that they make: for test_joiner.c.
 *
 * A line is its second, the program, and what that wrote.
 */
#ifndef POOLMILTER_TESTS_JOINER_STORIES_H
#define POOLMILTER_TESTS_JOINER_STORIES_H

/* ---- lines: seconds, program, text ---- */

#define APP "app.example.com[192.0.2.1]"
#define HERE "localhost[127.0.0.1]"
#define CLIENT(t, id, client) t " postfix/smtpd " id ": client=" client "\n"
#define PICKUP(t, id) t " postfix/pickup " id ": uid=0 from=<ann@example.com>\n"
#define MID(t, id, mid) t " postfix/cleanup " id ": message-id=<" mid ">\n"
#define EVENT(t, id, words) t " poolmilter " id ": event: " words "\n"
#define OURS(t, id, pool, sender, result)                                                       \
	t " poolmilter " id ": pool=" pool " isp=gmail from=" sender " return_path=- nrcpt=1 size=9 " \
	  "encoded=- headers=- dkim=- limit=ok took_ms=0.9 result=" result "\n"
#define POOL(t, id) OURS(t, id, "acme", "<ann@example.com>", "accepted")
#define QUEUED(t, id) t " postfix/qmgr " id ": from=<b@b.example>, size=9, nrcpt=1 (queue active)\n"
#define DELIVERY(t, program, id, rcpt, relay, dsn, status, text)                                 \
	t " postfix/" program " " id ": to=<" rcpt ">, relay=" relay ", delay=0.5, delays=0/0/0/0.5, " \
	  "dsn=" dsn ", status=" status " (" text ")\n"
#define MX "mx.example.org[192.0.2.7]:25"
#define SENT(t, id, rcpt) DELIVERY(t, "smtp", id, rcpt, MX, "2.0.0", "sent", "250 ok")
#define DEFERRED(t, id, rcpt)                                                           \
	DELIVERY(t, "smtp", id, rcpt, MX, "4.2.2", "deferred",                         \
		 "host mx.example.org[192.0.2.7] said: 452 4.2.2 full (in reply to RCPT TO command)")
#define BOUNCED(t, id, rcpt)                                                            \
	DELIVERY(t, "smtp", id, rcpt, MX, "5.1.1", "bounced",                          \
		 "host mx.example.org[192.0.2.7] said: 550 5.1.1 no (in reply to RCPT TO command)")
#define FILTER "127.0.0.1[127.0.0.1]:10024"
#define HOP(t, id, rcpt, next)                                        \
	DELIVERY(t, "smtp", id, rcpt, FILTER, "2.0.0", "sent",       \
		 "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as " next)
#define EXPIRED(t, id) \
	t " postfix/qmgr " id ": from=<b@b.example>, status=expired, returned to sender\n"
#define HOLD(t, id) \
	t " postfix/cleanup " id ": milter-hold: END-OF-MESSAGE from a[::1]: " \
	  "milter triggers HOLD action;\n"
#define SUPER(t, id, what) t " postfix/postsuper " id ": " what "\n"
#define REMOVED(t, id) t " postfix/qmgr " id ": removed\n"
#define NOTICE(t, id, next) t " postfix/bounce " id ": sender non-delivery notification: " next "\n"

/* A message up to its place in the queue. */
#define BEGIN(t, id, mid, rcpts) \
	CLIENT(t, id, APP) MID(t, id, mid) EVENT(t, id, rcpts) POOL(t, id) QUEUED(t, id)
/* What a filter hands back. */
#define AGAIN(t, id, mid) CLIENT(t, id, HERE) MID(t, id, mid) QUEUED(t, id)

/* ---- events: type seconds queue-ID pool recipient, and what else there is ---- */

#define E_SENT " " MX " 250 2.0.0 500 \"250 ok\""
#define E_FULL " " MX " 452 4.2.2 500 \"452 4.2.2 full\""
#define E_LAST " " MX " 452 4.2.2 -1 \"452 4.2.2 full\""
#define E_NO " " MX " 550 5.1.1 500 \"550 5.1.1 no\""

static const struct {
	const char *name, *log, *events;
} stories[] = {
	{"one recipient",
	 BEGIN("1", "4AAA1", "m", "rcpt:bob@x")
	 SENT("2", "4AAA1", "bob@x")
	 REMOVED("2", "4AAA1"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "delivered 2 4AAA1 acme bob@x" E_SENT "\n"},
	{"several recipients",
	 BEGIN("1", "4AAA1", "m", "rcpt:bob@x rcpt:eve@y")
	 SENT("2", "4AAA1", "bob@x")
	 BOUNCED("3", "4AAA1", "eve@y")
	 NOTICE("3", "4AAA1", "4BBB2")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "accepted 1 4AAA1 acme eve@y\n"
	 "delivered 2 4AAA1 acme bob@x" E_SENT "\n"
	 "bounced 3 4AAA1 acme eve@y" E_NO "\n"},
	{"recipients in two lines, odd ones, and headers",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "header:X-Id:7%20%25 header:X-Empty: rcpt:a%20b@x")
	 EVENT("1", "4AAA1", "rcpt:c@x")
	 POOL("1", "4AAA1")
	 QUEUED("1", "4AAA1"),
	 "accepted 1 4AAA1 acme a b@x X-Id=7 % X-Empty=\n"
	 "accepted 1 4AAA1 acme c@x X-Id=7 % X-Empty=\n"},
	{"no recipients told",
	 CLIENT("1", "4AAA1", APP)
	 POOL("1", "4AAA1")
	 QUEUED("1", "4AAA1"),
	 "accepted 1 4AAA1 acme -\n"},
	{"deferred, then delivered",
	 BEGIN("1", "4AAA1", "m", "rcpt:bob@x")
	 DEFERRED("2", "4AAA1", "bob@x")
	 QUEUED("600", "4AAA1")
	 DEFERRED("600", "4AAA1", "bob@x")
	 QUEUED("4000", "4AAA1")
	 SENT("4001", "4AAA1", "bob@x")
	 REMOVED("4001", "4AAA1"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "deferred 2 4AAA1 acme bob@x" E_FULL "\n"
	 "deferred 600 4AAA1 acme bob@x" E_FULL "\n"
	 "delivered 4001 4AAA1 acme bob@x" E_SENT "\n"},
	{"the same twice in a second",
	 BEGIN("1", "4AAA1", "m", "rcpt:bob@x")
	 DEFERRED("2", "4AAA1", "bob@x")
	 DEFERRED("2", "4AAA1", "bob@x"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "deferred 2 4AAA1 acme bob@x" E_FULL "\n"
	 "deferred 2 4AAA1 acme bob@x" E_FULL "\n"},
	{"expired",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x rcpt:b@x rcpt:c@x")
	 SENT("2", "4AAA1", "a@x")
	 DEFERRED("2", "4AAA1", "c@x")
	 BOUNCED("2", "4AAA1", "b@x")
	 QUEUED("400000", "4AAA1")
	 DEFERRED("400000", "4AAA1", "c@x")
	 EXPIRED("400000", "4AAA1")
	 MID("400000", "4BBB2", "n")
	 NOTICE("400000", "4AAA1", "4BBB2")
	 QUEUED("400000", "4BBB2")
	 REMOVED("400000", "4AAA1")
	 SENT("400001", "4BBB2", "ann@example.com")
	 REMOVED("400001", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4AAA1 acme b@x\n"
	 "accepted 1 4AAA1 acme c@x\n"
	 "delivered 2 4AAA1 acme a@x" E_SENT "\n"
	 "deferred 2 4AAA1 acme c@x" E_FULL "\n"
	 "bounced 2 4AAA1 acme b@x" E_NO "\n"
	 "deferred 400000 4AAA1 acme c@x" E_FULL "\n"
	 "expired 400000 4AAA1 acme c@x" E_LAST "\n"},
	{"expired twice, as the bounce failed",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DEFERRED("2", "4AAA1", "a@x")
	 EXPIRED("3", "4AAA1")
	 EXPIRED("4", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "deferred 2 4AAA1 acme a@x" E_FULL "\n"
	 "expired 3 4AAA1 acme a@x" E_LAST "\n"},
	{"an alias",
	 BEGIN("1", "4AAA1", "m", "rcpt:sales@x")
	 "2 postfix/smtp 4AAA1: to=<bob@y>, orig_to=<sales@x>, relay=none, delay=0.5, delays=0/0/0/0.5, "
	 "dsn=4.4.1, status=deferred (connect to mx[192.0.2.7]:25: timed out)\n"
	 EXPIRED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme sales@x\n"
	 "deferred 2 4AAA1 acme bob@y (sales@x) - 0 4.4.1 500 \"connect to mx[192.0.2.7]:25: timed out\"\n"
	 "expired 3 4AAA1 acme bob@y (sales@x) - 0 4.4.1 -1 \"connect to mx[192.0.2.7]:25: timed out\"\n"},
	{"expired with the last try's reply",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DEFERRED("2", "4AAA1", "a@x")
	 "3 postfix/smtp 4AAA1: to=<a@x>, relay=none, delay=0.5, delays=0/0/0/0.5, "
	 "dsn=4.4.1, status=deferred (connect to mx[192.0.2.7]:25: timed out)\n"
	 EXPIRED("4", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "deferred 2 4AAA1 acme a@x" E_FULL "\n"
	 "deferred 3 4AAA1 acme a@x - 0 4.4.1 500 \"connect to mx[192.0.2.7]:25: timed out\"\n"
	 "expired 4 4AAA1 acme a@x - 0 4.4.1 -1 \"connect to mx[192.0.2.7]:25: timed out\"\n"},
	{"held by us, released, delivered",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "rcpt:a@x rcpt:b@x")
	 HOLD("1", "4AAA1")
	 OURS("1", "4AAA1", "acme", "<ann@example.com>", "held")
	 SUPER("500", "4AAA1", "released from hold")
	 QUEUED("501", "4AAA1")
	 SENT("502", "4AAA1", "a@x")
	 SENT("502", "4AAA1", "b@x")
	 REMOVED("502", "4AAA1"),
	 "held 1 4AAA1 acme a@x\n"
	 "held 1 4AAA1 acme b@x\n"
	 "accepted 501 4AAA1 acme a@x\n"
	 "accepted 501 4AAA1 acme b@x\n"
	 "delivered 502 4AAA1 acme a@x" E_SENT "\n"
	 "delivered 502 4AAA1 acme b@x" E_SENT "\n"},
	{"held, removed",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 HOLD("1", "4AAA1")
	 OURS("1", "4AAA1", "acme", "<ann@example.com>", "held")
	 SUPER("500", "4AAA1", "removed"),
	 "held 1 4AAA1 acme a@x\n"},
	{"held by two rules at once, and again later",
	 CLIENT("1", "4AAA1", APP)
	 HOLD("1", "4AAA1")
	 HOLD("1", "4AAA1")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 POOL("1", "4AAA1")
	 SUPER("9", "4AAA1", "released from hold")
	 SUPER("10", "4AAA1", "placed on hold"),
	 "held 1 4AAA1 acme a@x\n"
	 "held 10 4AAA1 acme a@x\n"},
	{"held for those who still wait",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x rcpt:b@x")
	 SENT("2", "4AAA1", "a@x")
	 DEFERRED("2", "4AAA1", "b@x")
	 SUPER("3", "4AAA1", "placed on hold"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4AAA1 acme b@x\n"
	 "delivered 2 4AAA1 acme a@x" E_SENT "\n"
	 "deferred 2 4AAA1 acme b@x" E_FULL "\n"
	 "held 3 4AAA1 acme b@x\n"},
	{"poolmilter's line after the delivery",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 QUEUED("1", "4AAA1")
	 DEFERRED("1", "4AAA1", "bob@x")
	 EVENT("2", "4AAA1", "rcpt:bob@x")
	 POOL("2", "4AAA1")
	 SENT("3", "4AAA1", "bob@x")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "deferred 1 4AAA1 acme bob@x" E_FULL "\n"
	 "delivered 3 4AAA1 acme bob@x" E_SENT "\n"},
	{"poolmilter's line after the end",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 QUEUED("1", "4AAA1")
	 SENT("1", "4AAA1", "bob@x")
	 REMOVED("1", "4AAA1")
	 EVENT("2", "4AAA1", "rcpt:bob@x")
	 POOL("2", "4AAA1"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "delivered 1 4AAA1 acme bob@x" E_SENT "\n"},
	{"poolmilter's line before the client's",
	 EVENT("1", "4AAA1", "rcpt:bob@x")
	 POOL("1", "4AAA1")
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 QUEUED("1", "4AAA1")
	 SENT("1", "4AAA1", "bob@x"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "delivered 1 4AAA1 acme bob@x" E_SENT "\n"},
	{"the delivery's line after the end",
	 BEGIN("1", "4AAA1", "m", "rcpt:bob@x")
	 REMOVED("2", "4AAA1")
	 SENT("2", "4AAA1", "bob@x"),
	 "accepted 1 4AAA1 acme bob@x\n"
	 "delivered 2 4AAA1 acme bob@x" E_SENT "\n"},
	{"no line of poolmilter",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 QUEUED("1", "4AAA1")
	 DEFERRED("1", "4AAA1", "bob@x")
	 POOL("100", "4AAA1")
	 SENT("101", "4AAA1", "bob@x"),
	 "delivered 101 4AAA1 acme bob@x" E_SENT "\n"},
	{"no pool",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 OURS("1", "4AAA1", "-", "<a@x>", "passed")
	 QUEUED("1", "4AAA1")
	 SENT("1", "4AAA1", "bob@x")
	 REMOVED("1", "4AAA1"),
	 ""},
	{"a pool's, but not treated",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 OURS("1", "4AAA1", "acme", "<a@x>", "deferred reason=limit")
	 CLIENT("2", "4AAA1", APP)
	 OURS("2", "4AAA1", "acme", "<a@x>", "rejected"),
	 ""},
	{"refused by another milter after ours",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 POOL("1", "4AAA1")
	 "1 postfix/cleanup 4AAA1: milter-reject: END-OF-MESSAGE from a[::1]: 5.7.1 no;\n",
	 ""},
	{"given up by the client, then the queue ID is used again",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 POOL("1", "4AAA1")
	 CLIENT("9", "4AAA1", "other[192.0.2.9]")
	 MID("9", "4AAA1", "n")
	 QUEUED("9", "4AAA1")
	 SENT("9", "4AAA1", "else@x")
	 REMOVED("9", "4AAA1"),
	 ""},
	{"queue ID used again by a client",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 SENT("1", "4AAA1", "a@x")
	 REMOVED("1", "4AAA1")
	 CLIENT("2", "4AAA1", APP)
	 MID("2", "4AAA1", "n")
	 EVENT("2", "4AAA1", "rcpt:b@x")
	 OURS("2", "4AAA1", "other", "<>", "accepted")
	 QUEUED("2", "4AAA1")
	 SENT("3", "4AAA1", "b@x")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 1 4AAA1 acme a@x" E_SENT "\n"
	 "accepted 2 4AAA1 other b@x\n"
	 "delivered 3 4AAA1 other b@x" E_SENT "\n"},
	{"queue ID used again by a bounce",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 SENT("1", "4AAA1", "a@x")
	 REMOVED("1", "4AAA1")
	 MID("1", "4AAA1", "n")
	 QUEUED("1", "4AAA1")
	 SENT("1", "4AAA1", "ann@example.com")
	 REMOVED("1", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 1 4AAA1 acme a@x" E_SENT "\n"},
	{"queue ID used again, the end was not seen",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 SENT("1", "4AAA1", "a@x")
	 MID("9", "4AAA1", "n")
	 QUEUED("9", "4AAA1")
	 SENT("9", "4AAA1", "ann@example.com")
	 REMOVED("9", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 1 4AAA1 acme a@x" E_SENT "\n"},
	{"queue ID used again, no beginning was seen",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 SENT("1", "4AAA1", "a@x")
	 REMOVED("1", "4AAA1")
	 SENT("900", "4AAA1", "else@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 1 4AAA1 acme a@x" E_SENT "\n"},
	{"a Message-ID header twice",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 MID("1", "4AAA1", "n")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 POOL("1", "4AAA1")
	 QUEUED("1", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"},

	/* injected again */
	{"a content filter, named in its reply",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x rcpt:b@x header:X-Id:7")
	 AGAIN("3", "4BBB2", "m")
	 HOP("3", "4AAA1", "a@x", "4BBB2")
	 HOP("3", "4AAA1", "b@x", "4BBB2")
	 REMOVED("3", "4AAA1")
	 SENT("4", "4BBB2", "a@x")
	 DEFERRED("4", "4BBB2", "b@x")
	 EXPIRED("900", "4BBB2")
	 REMOVED("900", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x X-Id=7\n"
	 "accepted 1 4AAA1 acme b@x X-Id=7\n"
	 "delivered 4 4AAA1 acme a@x" E_SENT " X-Id=7\n"
	 "deferred 4 4AAA1 acme b@x" E_FULL " X-Id=7\n"
	 "expired 900 4AAA1 acme b@x" E_LAST " X-Id=7\n"},
	{"the hop's line before the child's",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 HOP("3", "4AAA1", "a@x", "4BBB2")
	 REMOVED("3", "4AAA1")
	 AGAIN("3", "4BBB2", "m")
	 SENT("4", "4BBB2", "a@x")
	 REMOVED("4", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 4 4AAA1 acme a@x" E_SENT "\n"},
	{"a content filter that names nothing",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 AGAIN("3", "4BBB2", "m")
	 DELIVERY("3", "smtp", "4AAA1", "a@x", FILTER, "2.0.0", "sent", "250 ok")
	 REMOVED("3", "4AAA1")
	 SENT("4", "4BBB2", "a@x")
	 REMOVED("4", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 4 4AAA1 acme a@x" E_SENT "\n"},
	{"a filter with queue IDs of its own",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 AGAIN("3", "4BBB2", "m")
	 HOP("3", "4AAA1", "a@x", "4FFF9")
	 REMOVED("3", "4AAA1")
	 SENT("9", "4BBB2", "a@x")
	 REMOVED("9", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 9 4AAA1 acme a@x" E_SENT "\n"},
	{"a simple filter: pipe and sendmail",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("3", "pipe", "4AAA1", "a@x", "filter", "2.0.0", "sent", "delivered via filter service")
	 REMOVED("3", "4AAA1")
	 PICKUP("20", "4BBB2")
	 MID("20", "4BBB2", "m")
	 QUEUED("20", "4BBB2")
	 SENT("21", "4BBB2", "a@x")
	 REMOVED("21", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 21 4AAA1 acme a@x" E_SENT "\n"},
	{"pipe without a filter",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("3", "pipe", "4AAA1", "a@x", "maildrop", "2.0.0", "sent",
		  "delivered via maildrop service")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme a@x maildrop 0 2.0.0 500 \"delivered via maildrop service\"\n"},
	{"a server of this host, no filter",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 HOP("3", "4AAA1", "a@x", "4FFF9")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme a@x " FILTER " 250 2.0.0 500 "
	 "\"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4FFF9\"\n"},
	{"LMTP here is the end",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("3", "lmtp", "4AAA1", "a@x", "mx1[private/lmtp]", "2.0.0", "sent", "250 2.0.0 Saved")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme a@x mx1[private/lmtp] 250 2.0.0 500 \"250 2.0.0 Saved\"\n"},
	{"one that is not this host names a queue ID of ours",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 AGAIN("2", "4BBB2", "m")
	 DELIVERY("3", "smtp", "4AAA1", "a@x", MX, "2.0.0", "sent", "250 ok queued as 4BBB2")
	 REMOVED("3", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme a@x " MX " 250 2.0.0 500 \"250 ok queued as 4BBB2\"\n"},
	{"this host by its name",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 CLIENT("2", "4BBB2", "mx1[192.0.2.5]")
	 MID("2", "4BBB2", "m")
	 QUEUED("2", "4BBB2")
	 DELIVERY("2", "smtp", "4AAA1", "a@x", "mx1[192.0.2.5]:10024", "2.0.0", "sent",
		  "250 queued as 4BBB2")
	 REMOVED("2", "4AAA1")
	 SENT("3", "4BBB2", "a@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme a@x" E_SENT "\n"},
	{"a copy for each recipient",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x rcpt:b@x")
	 AGAIN("2", "4BBB2", "m")
	 HOP("2", "4AAA1", "a@x", "4BBB2")
	 AGAIN("3", "4CCC3", "m")
	 HOP("3", "4AAA1", "b@x", "4CCC3")
	 REMOVED("3", "4AAA1")
	 SENT("6", "4CCC3", "b@x")
	 SENT("6", "4BBB2", "a@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4AAA1 acme b@x\n"
	 "delivered 6 4AAA1 acme b@x" E_SENT "\n"
	 "delivered 6 4AAA1 acme a@x" E_SENT "\n"},
	{"two filters in a row",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 AGAIN("2", "4BBB2", "m")
	 HOP("2", "4AAA1", "a@x", "4BBB2")
	 REMOVED("2", "4AAA1")
	 AGAIN("3", "4CCC3", "m")
	 HOP("3", "4BBB2", "a@x", "4CCC3")
	 REMOVED("3", "4BBB2")
	 SENT("9", "4CCC3", "a@x")
	 REMOVED("9", "4CCC3"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 9 4AAA1 acme a@x" E_SENT "\n"},
	{"an alias of local(8)",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 MID("2", "4BBB2", "m")
	 QUEUED("2", "4BBB2")
	 DELIVERY("2", "local", "4AAA1", "a@x", "local", "2.0.0", "sent", "forwarded as 4BBB2")
	 REMOVED("2", "4AAA1")
	 SENT("3", "4BBB2", "b@y")
	 REMOVED("3", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme b@y" E_SENT "\n"},
	{"a filter's copy that we treat ourselves",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 CLIENT("2", "4BBB2", HERE)
	 MID("2", "4BBB2", "m")
	 EVENT("2", "4BBB2", "rcpt:a@x")
	 OURS("2", "4BBB2", "other", "<ann@example.com>", "accepted")
	 QUEUED("2", "4BBB2")
	 HOP("2", "4AAA1", "a@x", "4BBB2")
	 REMOVED("2", "4AAA1")
	 SENT("3", "4BBB2", "a@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 2 4BBB2 other a@x\n"
	 "delivered 3 4BBB2 other a@x" E_SENT "\n"},
	{"a filter's copy that we let pass",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 CLIENT("2", "4BBB2", HERE)
	 MID("2", "4BBB2", "m")
	 OURS("2", "4BBB2", "-", "<ann@example.com>", "passed")
	 QUEUED("2", "4BBB2")
	 HOP("2", "4AAA1", "a@x", "4BBB2")
	 REMOVED("2", "4AAA1")
	 SENT("3", "4BBB2", "a@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 3 4AAA1 acme a@x" E_SENT "\n"},
	{"poolmilter's split: copies without a line of their own",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 AGAIN("2", "4BBB2", "m")
	 EVENT("2", "4AAA1", "rcpt:a@x")
	 POOL("2", "4AAA1")
	 QUEUED("2", "4AAA1")
	 SENT("9", "4BBB2", "b@y")
	 SENT("9", "4AAA1", "a@x"),
	 "accepted 2 4AAA1 acme a@x\n"
	 "delivered 9 4AAA1 acme b@y" E_SENT "\n"
	 "delivered 9 4AAA1 acme a@x" E_SENT "\n"},
	{"poolmilter's split: copies that it treats",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 CLIENT("1", "4BBB2", HERE)
	 MID("1", "4BBB2", "m")
	 EVENT("1", "4BBB2", "rcpt:b@y")
	 POOL("1", "4BBB2")
	 QUEUED("1", "4BBB2")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 POOL("1", "4AAA1")
	 QUEUED("1", "4AAA1")
	 SENT("2", "4BBB2", "b@y")
	 SENT("2", "4AAA1", "a@x"),
	 "accepted 1 4BBB2 acme b@y\n"
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 2 4BBB2 acme b@y" E_SENT "\n"
	 "delivered 2 4AAA1 acme a@x" E_SENT "\n"},
	{"two messages with one Message-ID through a filter that names them",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 BEGIN("1", "4DDD4", "m", "rcpt:d@x")
	 AGAIN("2", "4BBB2", "m")
	 AGAIN("2", "4EEE5", "m")
	 HOP("2", "4DDD4", "d@x", "4EEE5")
	 HOP("2", "4AAA1", "a@x", "4BBB2")
	 REMOVED("2", "4DDD4")
	 REMOVED("2", "4AAA1")
	 SENT("6", "4EEE5", "d@x")
	 SENT("6", "4BBB2", "a@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4DDD4 acme d@x\n"
	 "delivered 6 4DDD4 acme d@x" E_SENT "\n"
	 "delivered 6 4AAA1 acme a@x" E_SENT "\n"},
	{"two messages with one Message-ID, and a third of this host: nobody's",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 BEGIN("1", "4DDD4", "m", "rcpt:d@x")
	 AGAIN("2", "4BBB2", "m")
	 SENT("6", "4BBB2", "e@x")
	 SENT("7", "4AAA1", "a@x")
	 SENT("7", "4DDD4", "d@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4DDD4 acme d@x\n"
	 "delivered 7 4AAA1 acme a@x" E_SENT "\n"
	 "delivered 7 4DDD4 acme d@x" E_SENT "\n"},
	{"two messages with one Message-ID: the copy is not the other's when one is gone",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 BEGIN("1", "4DDD4", "m", "rcpt:d@x")
	 AGAIN("2", "4BBB2", "m")
	 SENT("5", "4AAA1", "a@x")
	 REMOVED("5", "4AAA1")
	 SENT("20", "4BBB2", "a@x")
	 DEFERRED("70", "4DDD4", "d@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4DDD4 acme d@x\n"
	 "delivered 5 4AAA1 acme a@x" E_SENT "\n"
	 "deferred 70 4DDD4 acme d@x" E_FULL "\n"},
	{"two messages between each other",
	 CLIENT("1", "4AAA1", APP)
	 CLIENT("1", "4DDD4", APP)
	 MID("1", "4DDD4", "n")
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4DDD4", "rcpt:d@x")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 OURS("1", "4DDD4", "other", "<>", "accepted")
	 POOL("1", "4AAA1")
	 QUEUED("1", "4AAA1")
	 QUEUED("1", "4DDD4")
	 SENT("2", "4DDD4", "d@x")
	 BOUNCED("2", "4AAA1", "a@x")
	 REMOVED("2", "4AAA1")
	 REMOVED("2", "4DDD4"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "accepted 1 4DDD4 other d@x\n"
	 "delivered 2 4DDD4 other d@x" E_SENT "\n"
	 "bounced 2 4AAA1 acme a@x" E_NO "\n"},
	{"mail of this host that is nobody's",
	 PICKUP("1", "4BBB2")
	 MID("1", "4BBB2", "m")
	 QUEUED("1", "4BBB2")
	 SENT("1", "4BBB2", "root@x")
	 REMOVED("1", "4BBB2"),
	 ""},
	{"requeued",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x rcpt:b@x header:X-Id:7")
	 SENT("1", "4AAA1", "b@x")
	 DEFERRED("2", "4AAA1", "a@x")
	 SUPER("50", "4AAA1", "requeued")
	 "51 postfix/pickup 4BBB2: uid=89 from=<b@b.example> orig_id=4AAA1\n"
	 MID("51", "4BBB2", "m")
	 EVENT("51", "4BBB2", "rcpt:a@x")
	 OURS("51", "4BBB2", "acme", "<b@b.example>", "accepted")
	 QUEUED("51", "4BBB2")
	 DEFERRED("52", "4BBB2", "a@x")
	 EXPIRED("60", "4BBB2")
	 REMOVED("60", "4BBB2"),
	 "accepted 1 4AAA1 acme a@x X-Id=7\n"
	 "accepted 1 4AAA1 acme b@x X-Id=7\n"
	 "delivered 1 4AAA1 acme b@x" E_SENT " X-Id=7\n"
	 "deferred 2 4AAA1 acme a@x" E_FULL " X-Id=7\n"
	 "deferred 52 4AAA1 acme a@x" E_FULL " X-Id=7\n"
	 "expired 60 4AAA1 acme a@x" E_LAST " X-Id=7\n"},
	{"requeued while held, before it was accepted",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 HOLD("1", "4AAA1")
	 POOL("1", "4AAA1")
	 SUPER("50", "4AAA1", "requeued")
	 "51 postfix/pickup 4BBB2: uid=89 from=<b@b.example> orig_id=4AAA1\n"
	 MID("51", "4BBB2", "m")
	 QUEUED("51", "4BBB2")
	 SENT("52", "4BBB2", "a@x"),
	 "held 1 4AAA1 acme a@x\n"
	 "accepted 51 4AAA1 acme a@x\n"
	 "delivered 52 4AAA1 acme a@x" E_SENT "\n"},

	/* hostile text */
	{"a reply like lines and fields",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("2", "smtp", "4AAA1", "a@x", MX, "5.1.1", "bounced",
		  "host mx.example.org[192.0.2.7] said: 550 x, status=sent (250 ok)) "
		  "postfix/qmgr[1]: 4AAA1: removed")
	 SENT("3", "4AAA1", "b@x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "bounced 2 4AAA1 acme a@x " MX " 550 5.1.1 500 "
	 "\"550 x, status=sent (250 ok)) postfix/qmgr[1]: 4AAA1: removed\"\n"
	 "delivered 3 4AAA1 acme b@x" E_SENT "\n"},
	{"an address like fields",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("2", "smtp", "4AAA1",
		  "\"e>, relay=evil[6.6.6.6]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok\"@x",
		  "none", "5.1.3", "bounced", "bad address syntax"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "bounced 2 4AAA1 acme "
	 "\"e>, relay=evil[6.6.6.6]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok\"@x"
	 " - 0 5.1.3 500 \"bad address syntax\"\n"},
	{"an address like fields, without quotes",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("2", "smtp", "4AAA1",
		  "e>, relay=evil[6.6.6.6]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok@x",
		  "none", "5.1.3", "bounced", "bad address syntax"),
	 "accepted 1 4AAA1 acme a@x\n"},
	{"a sender like poolmilter's words",
	 CLIENT("1", "4AAA1", APP)
	 MID("1", "4AAA1", "m>, pool=evil")
	 EVENT("1", "4AAA1", "rcpt:pool=evil%20@x junk %zz rcpt:a@x")
	 OURS("1", "4AAA1", "acme", "<%22x%20result=rejected%22@example.com>", "accepted")
	 QUEUED("1", "4AAA1"),
	 "accepted 1 4AAA1 acme pool=evil @x\n"},
	{"a login like a queue ID",
	 CLIENT("1", "4AAA1", APP ", sasl_method=PLAIN, sasl_username=x, orig_queue_id=4BBB2[127.0.0.1]")
	 MID("1", "4AAA1", "m")
	 EVENT("1", "4AAA1", "rcpt:a@x")
	 POOL("1", "4AAA1")
	 QUEUED("1", "4AAA1"),
	 "accepted 1 4AAA1 acme a@x\n"},
	{"a probe of an address",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("2", "smtp", "4AAA1", "a@x", MX, "2.1.5", "deliverable", "250 ok"),
	 "accepted 1 4AAA1 acme a@x\n"},
	{"final ones of this host",
	 BEGIN("1", "4AAA1", "m", "rcpt:a@x")
	 DELIVERY("2", "local", "4AAA1", "a@x", "local", "2.0.0", "sent", "delivered to mailbox")
	 DELIVERY("2", "virtual", "4AAA1", "b@x", "virtual", "2.0.0", "sent", "delivered to maildir")
	 DELIVERY("2", "discard", "4AAA1", "c@x", "none", "2.0.0", "sent", "x"),
	 "accepted 1 4AAA1 acme a@x\n"
	 "delivered 2 4AAA1 acme a@x local 0 2.0.0 500 \"delivered to mailbox\"\n"
	 "delivered 2 4AAA1 acme b@x virtual 0 2.0.0 500 \"delivered to maildir\"\n"
	 "delivered 2 4AAA1 acme c@x - 0 2.0.0 500 \"x\"\n"},
};

#endif
