/*
 * test_reinject - what is told about each recipient, and what a server gets, under every fault.
 *
 * The server is a thread that follows a script: what it says at each point, and where it hangs up
 * or falls silent.  It keeps the commands and the message as an MTA would understand them.
 */
#include "fixture.h"

#include "io/reinject.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HANG_UP "\1" /* in place of a reply: closes the connection */
#define SILENCE "\2" /* in place of a reply: none, until the client goes */

#define EHLO_PLAIN "250-mx\r\n250 SIZE 100000000\r\n"
#define EHLO_UTF8 "250-mx\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"

/* What a server says; NULL: the usual. */
struct script {
	const char *greeting, *ehlo, *helo, *mail, *rcpt[4], *data, *end;
	const char *early; /* said in the midst of the message, after a megabyte */
	size_t half;	   /* hangs up after so many octets of the message */
	bool octets;	   /* each octet in a packet of its own */
	bool leaves;	   /* closes right after the reply to the final dot */
};

struct server {
	const struct script *script;
	int listener;
	char url[64];
	pthread_t thread;
	unsigned rcpts;
	GString *commands; /* with LF */
	GString *data;	   /* of the message, dots taken off */
	bool complete;	   /* the final dot was seen */
};

/* ---- the server ---- */

/* Says something; false if that ended the connection. */
static bool
say(const struct script *script, int fd, const char *text, const char *usual)
{
	size_t len;

	text = text != NULL ? text : usual;
	if (strcmp(text, HANG_UP) == 0)
		return false;
	if (strcmp(text, SILENCE) == 0) {
		char drain[1024];

		while (recv(fd, drain, sizeof drain, 0) > 0)
			;
		return false;
	}
	len = strlen(text);
	if (!script->octets)
		return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
	for (size_t i = 0; i < len; i++)
		if (send(fd, text + i, 1, MSG_NOSIGNAL) != 1)
			return false;
	return true;
}

/* Reads the message; false if the connection ended, or is to end, before the final dot. */
static bool
take_message(struct server *s, int fd, FILE *in)
{
	char *line = NULL;
	size_t size = 0, octets = 0;
	ssize_t n;

	while ((n = getline(&line, &size, in)) > 0) {
		if (n == 3 && memcmp(line, ".\r\n", 3) == 0) {
			s->complete = true;
			break;
		}
		if (octets < 1000000 && octets + (size_t)n >= 1000000 &&
		    !say(s->script, fd, s->script->early, ""))
			break;
		octets += (size_t)n;
		if (s->script->half > 0 && octets >= s->script->half)
			break;
		g_string_append_len(s->data, line + (line[0] == '.'), n - (line[0] == '.'));
	}
	free(line);
	return s->complete;
}

/* Answers DATA and takes the message; false: the conversation is over. */
static bool
answer_data(struct server *s, int fd, FILE *in)
{
	const struct script *script = s->script;

	if (!say(script, fd, script->data, "354 End data with <CR><LF>.<CR><LF>\r\n"))
		return false;
	if (script->data != NULL && !g_str_has_prefix(script->data, "354"))
		return true;
	return take_message(s, fd, in) &&
	       say(script, fd, script->end, "250 2.0.0 Ok: queued as 4Xyz\r\n") && !script->leaves;
}

/* Answers a command; false: the conversation is over. */
static bool
answer(struct server *s, int fd, FILE *in, const char *line)
{
	const struct script *script = s->script;

	if (g_str_has_prefix(line, "EHLO "))
		return say(script, fd, script->ehlo, EHLO_PLAIN);
	if (g_str_has_prefix(line, "HELO "))
		return say(script, fd, script->helo, "250 mx\r\n");
	if (g_str_has_prefix(line, "MAIL "))
		return say(script, fd, script->mail, "250 2.1.0 Ok\r\n");
	if (g_str_has_prefix(line, "RCPT "))
		return say(script, fd, s->rcpts < 4 ? script->rcpt[s->rcpts++] : NULL,
			   "250 2.1.5 Ok\r\n");
	if (g_str_has_prefix(line, "DATA"))
		return answer_data(s, fd, in);
	if (g_str_has_prefix(line, "QUIT"))
		(void)say(script, fd, NULL, "221 2.0.0 Bye\r\n");
	return false;
}

static void *
serve(void *data)
{
	struct server *s = data;
	struct timeval patience = {30, 0};
	char *line = NULL;
	size_t size = 0;
	int fd = accept(s->listener, NULL, NULL);
	FILE *in;
	bool going;

	if (fd == -1)
		return NULL; /* nobody came */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	in = fdopen(fd, "r");
	going = in != NULL && say(s->script, fd, s->script->greeting, "220 mx ESMTP\r\n");
	while (going && getline(&line, &size, in) > 0) {
		g_strchomp(line);
		g_string_append_printf(s->commands, "%s\n", line);
		going = answer(s, fd, in, line);
	}
	free(line);
	if (in != NULL)
		fclose(in);
	return NULL;
}

/* A socket bound to a free port of the loopback; url is set for it. */
static int
bound_socket(char *url, size_t url_size)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0), small = 8192;

	assert_true(fd >= 0);
	/* A small window: large messages leave libcurl in many pieces. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	g_snprintf(url, (gulong)url_size, "smtp://127.0.0.1:%u", ntohs(at.sin_port));
	return fd;
}

static void
server_start(struct server *s, const struct script *script)
{
	memset(s, 0, sizeof *s);
	s->script = script;
	s->commands = g_string_new("");
	s->data = g_string_new("");
	s->listener = bound_socket(s->url, sizeof s->url);
	assert_int_equal(listen(s->listener, 32), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* Waits for the end of the conversation: what the server kept can be read from now on. */
static void
server_join(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR); /* wakes one that waits for a client */
	pthread_join(s->thread, NULL);
	close(s->listener);
}

static void
server_free(struct server *s)
{
	g_string_free(s->commands, TRUE);
	g_string_free(s->data, TRUE);
}

/* ---- the client ---- */

/* Sends to a list of addresses that ends with NULL; "YNY" tells who was taken (g_free it). */
static char *
inject(const struct injector *injector, const char *url, const struct message *m,
       const char *const *rcpts, const char *top, char **why)
{
	struct injection injection = {url, m, g_ptr_array_new(), top};
	GPtrArray *list = (GPtrArray *)injection.rcpts;
	GString *out = g_string_new("");
	bool taken[8];
	guint count, told = 0;

	while (*rcpts != NULL)
		g_ptr_array_add(list, (char *)*rcpts++);
	assert_true(list->len <= G_N_ELEMENTS(taken));
	memset(taken, 1, sizeof taken);
	count = injector->send(injector->context, &injection, taken, why);
	for (guint i = 0; i < list->len; i++) {
		g_string_append_c(out, taken[i] ? 'Y' : 'N');
		told += taken[i];
	}
	assert_int_equal(count, told);
	if (count == list->len)
		assert_null(*why);
	else
		assert_non_null(*why);
	g_ptr_array_free(list, TRUE);
	return g_string_free(out, FALSE);
}

static void
check_why(const char *name, const char *why, const char *url, const char *want)
{
	if (want == NULL) {
		check_string(name, why, NULL);
		return;
	}
	if (why == NULL || !g_str_has_prefix(why, url) || strstr(why, want) == NULL)
		fail_msg("case \"%s\": \"%s\" does not tell \"%s\"", name,
			 why != NULL ? why : "(NULL)", want);
	for (const char *p = why; *p != '\0'; p++)
		check_true(name, *p >= 0x20 && *p < 0x7f);
}

#define TOP "X-Split: 1\r\n"
#define SENT TOP "Subject: x\r\nFrom: a@example.com\r\n\r\nHello\r\n"

static struct message *
small_message(const char *sender)
{
	return fixture_message("Subject: x\nFrom: a@example.com\n\nHello\n", sender, NULL);
}

static const char *const three[] = {"a@example.com", "b@example.com", "c@example.com", NULL};

/* ---- the dialogue ---- */

static const struct {
	const char *name;
	struct script script;
	const char *taken; /* of a, b and c */
	const char *why;   /* stands in the reason */
	bool complete;	   /* the server got the whole message and its final dot */
} dialogues[] = {
	{"all accepted", {0}, "YYY", NULL, true},
	{"one refused", {.rcpt[1] = "550 5.1.1 <b@example.com>: unknown\r\n"}, "YNY",
	 ": RCPT <b@example.com>: 550 5.1.1 <b@example.com>: unknown", true},
	{"one put off", {.rcpt[1] = "450 4.2.0 greylisted\r\n"}, "YNY",
	 ": RCPT <b@example.com>: 450 4.2.0 greylisted", true},
	{"the first refused", {.rcpt[0] = "550 no\r\n"}, "NYY", "RCPT <a@example.com>: 550 no", true},
	{"the last refused", {.rcpt[2] = "550 no\r\n"}, "YYN", "RCPT <c@example.com>: 550 no", true},
	{"two refused", {.rcpt = {"550 one\r\n", NULL, "450 two\r\n"}}, "NYN", "550 one", true},
	{"all refused", {.rcpt = {"550 one\r\n", "450 two\r\n", "550 three\r\n"}}, "NNN",
	 "RCPT <a@example.com>: 550 one", false},
	{"251 is taken", {.rcpt[1] = "251 will forward\r\n"}, "YYY", NULL, true},
	{"MAIL refused", {.mail = "550 5.7.1 no\r\n"}, "NNN", ": MAIL: 550 5.7.1 no", false},
	{"MAIL put off", {.mail = "452 4.3.1 full\r\n"}, "NNN", ": MAIL: 452 4.3.1 full", false},
	{"DATA refused", {.data = "554 5.5.1 no\r\n"}, "NNN", ": DATA: 554 5.5.1 no", false},
	{"DATA put off", {.data = "451 4.3.0 no\r\n"}, "NNN", ": DATA: 451 4.3.0 no", false},
	{"DATA answered 250", {.data = "250 ok\r\n"}, "NNN", ": DATA: 250 ok", false},
	{"dot refused", {.end = "554 5.7.1 spam\r\n"}, "NNN", ": end of data: 554 5.7.1 spam", true},
	{"dot put off", {.end = "451 4.7.1 later\r\n"}, "NNN", ": end of data: 451 4.7.1", true},
	{"dot answered 354", {.end = "354 more\r\n"}, "NNN", ": end of data: 354 more", true},
	{"dot answered 251, libcurl wants 250", {.end = "251 ok\r\n"}, "NNN", ": end of data: ", true},
	{"one refused, then the dot",
	 {.rcpt[1] = "550 no\r\n", .end = "451 later\r\n"},
	 "NNN",
	 ": RCPT <b@example.com>: 550 no; end of data: 451 later",
	 true},
	{"521 greeting", {.greeting = "521 no mail here\r\n"}, "NNN", ": greeting: 521 no mail", false},
	{"421 greeting", {.greeting = "421 4.3.2 busy\r\n"}, "NNN", ": greeting: 421 4.3.2", false},
	{"no EHLO", {.ehlo = "502 what\r\n"}, "YYY", NULL, true},
	{"no EHLO, one refused", {.ehlo = "502 what\r\n", .rcpt[0] = "550 no\r\n"}, "NYY",
	 ": RCPT <a@example.com>: 550 no", true},
	{"no EHLO, no HELO", {.ehlo = "502 what\r\n", .helo = "550 no\r\n"}, "NNN", "502 what", false},

	{"gone at connect", {.greeting = HANG_UP}, "NNN", ": greeting: ", false},
	{"gone at EHLO", {.ehlo = HANG_UP}, "NNN", ": EHLO: ", false},
	{"gone at MAIL", {.mail = HANG_UP}, "NNN", ": MAIL: ", false},
	{"gone at the first RCPT", {.rcpt[0] = HANG_UP}, "NNN", ": RCPT <a@example.com>: ", false},
	{"gone at the second RCPT", {.rcpt[1] = HANG_UP}, "NNN", ": RCPT <b@example.com>: ", false},
	{"gone at the last RCPT", {.rcpt[2] = HANG_UP}, "NNN", ": RCPT <c@example.com>: ", false},
	{"421 and gone at RCPT", {.rcpt = {NULL, "421 bye\r\n", HANG_UP}}, "NNN", "421 bye", false},
	{"gone at DATA", {.data = HANG_UP}, "NNN", ": DATA: ", false},
	{"gone after the dot", {.end = HANG_UP}, "NNN", ": end of data: ", true},
	{"gone after the last reply", {.leaves = true}, "YYY", NULL, true},
	{"gone after the last reply, refused",
	 {.end = "554 no\r\n", .leaves = true},
	 "NNN",
	 ": end of data: 554 no",
	 true},

	{"replies of several lines",
	 {.greeting = "220-mx\r\n220-welcome\r\n220 ESMTP\r\n",
	  .mail = "250-2.1.0 a\r\n250 2.1.0 b\r\n",
	  .rcpt = {"250-2.1.5 a\r\n250-2.1.5 b\r\n250 2.1.5 c\r\n",
		   "550-5.1.1 first\r\n550 5.1.1 second\r\n"},
	  .data = "354-go\r\n354 on\r\n",
	  .end = "250-2.0.0 a\r\n250 2.0.0 b\r\n"},
	 "YNY", ": RCPT <b@example.com>: 550-5.1.1 first", true},
	{"replies in single octets",
	 {.octets = true, .rcpt[1] = "550-5.1.1 first\r\n550 5.1.1 second\r\n"},
	 "YNY",
	 "550-5.1.1 first",
	 true},
	{"codes without text",
	 {.mail = "250\r\n", .rcpt = {"250\r\n", "550\r\n"}, .end = "250\r\n"},
	 "YNY",
	 ": RCPT <b@example.com>: 550",
	 true},
	{"control characters in a reply",
	 {.rcpt[1] = "550 a\tb\033[31m\303\251\r\n"},
	 "YNY",
	 "550 a?b?[31m??",
	 true},
	{"lines of several codes", {.rcpt[1] = "550-no\r\n250 ok\r\n"}, "NNN", "not an SMTP", false},
	{"lines of several codes, the other way", {.rcpt[1] = "250-ok\r\n550 no\r\n"}, "NNN",
	 "not an SMTP", false},
	{"RCPT answered 150", {.rcpt[1] = "150 wait\r\n"}, "YNY", "150 wait", true},
	{"RCPT answered 354", {.rcpt[1] = "354 go\r\n"}, "YNY", "354 go", true},
	{"RCPT answered 600", {.rcpt[1] = "600 what\r\n"}, "NNN", "not an SMTP reply", false},
	{"garbage before a reply", {.rcpt[1] = "hello\r\n250 ok\r\n"}, "NNN", "not an SMTP", false},
	{"a code and no blank", {.rcpt[1] = "250ok\r\n250 ok\r\n"}, "NNN", "not an SMTP", false},
	{"an empty line", {.rcpt[1] = "\r\n250 ok\r\n"}, "NNN", "not an SMTP reply", false},
	{"a reply without CR", {.rcpt[1] = "250 ok\n"}, "NNN", "not an SMTP reply", false},
	{"garbage before the last reply", {.end = "x\r\n250 ok\r\n"}, "NNN", "not an SMTP", true},

	/* A reply too many shifts all that follow by one. */
	{"250 too many, greeting", {.greeting = "220 mx\r\n250 ok\r\n", .rcpt[1] = "550 no\r\n"},
	 "NNN", ": greeting: a reply too many", false},
	{"250 too many, EHLO", {.ehlo = EHLO_PLAIN "250 ok\r\n", .rcpt[1] = "550 no\r\n"}, "NNN",
	 ": EHLO: a reply too many", false},
	{"250 too many, MAIL", {.mail = "250 ok\r\n250 ok\r\n", .rcpt[0] = "550 no\r\n"}, "NNN",
	 ": MAIL: a reply too many", false},
	{"250 too many, RCPT", {.rcpt = {"250 ok\r\n250 ok\r\n", "550 no\r\n"}}, "NNN",
	 ": RCPT <a@example.com>: a reply too many", false},
	{"250 too many, last RCPT", {.rcpt[2] = "250 ok\r\n250 ok\r\n"}, "NNN",
	 ": RCPT <c@example.com>: a reply too many", false},
	{"250 and 354 too many, last RCPT",
	 {.rcpt[2] = "250 ok\r\n354 go\r\n250 ok\r\n", .end = "554 no\r\n"},
	 "NNN",
	 ": RCPT <c@example.com>: a reply too many",
	 false},
	{"250 too many, DATA, dot refused",
	 {.data = "354 go\r\n250 ok\r\n", .end = "554 no\r\n"},
	 "NNN",
	 ": DATA: a reply too many",
	 false},
	{"250 too many, DATA", {.data = "354 go\r\n250 ok\r\n"}, "NNN", "a reply too many", false},
	{"half a reply too many, DATA", {.data = "354 go\r\n25"}, "NNN", "a reply too many", false},
	{"554 behind the last 250", {.end = "250 ok\r\n554 no\r\n"}, "NNN", "a reply too many", true},
};

static void
test_dialogues(void **state)
{
	struct message *m = small_message("s@example.com");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(dialogues); i++) {
		const char *name = dialogues[i].name;
		struct server s;
		char *why = NULL, *taken;

		server_start(&s, &dialogues[i].script);
		taken = inject(reinject_injector(), s.url, m, three, TOP, &why);
		server_join(&s);
		check_string(name, taken, dialogues[i].taken);
		check_why(name, why, s.url, dialogues[i].why);
		check_int(name, s.complete, dialogues[i].complete);
		if (s.complete)
			check_string(name, s.data->str, SENT);
		server_free(&s);
		g_free(taken);
		g_free(why);
	}
	message_free(m);
}

static void
test_commands(void **state)
{
	static const struct script usual;
	struct message *m = small_message("s@example.com");
	struct server s;
	char *why, *taken, *body;

	(void)state;
	server_start(&s, &usual);
	taken = inject(reinject_injector(), s.url, m, three, TOP, &why);
	server_join(&s);
	assert_string_equal(taken, "YYY");
	body = strchr(s.commands->str, '\n');
	assert_true(g_str_has_prefix(s.commands->str, "EHLO "));
	assert_non_null(body);
	assert_string_equal(body + 1, "MAIL FROM:<s@example.com> SIZE=54\n"
				      "RCPT TO:<a@example.com>\nRCPT TO:<b@example.com>\n"
				      "RCPT TO:<c@example.com>\nDATA\nQUIT\n");
	assert_int_equal(strlen(SENT), 54);
	server_free(&s);
	g_free(taken);
	message_free(m);
}

/* The same address twice is one recipient, and has one fate. */
static void
test_same_address_twice(void **state)
{
	static const char *const rcpts[] = {"a@example.com", "b@example.com", "a@example.com",
					    "b@example.com", NULL};
	static const struct script script = {.rcpt[1] = "550 no\r\n"};
	struct message *m = small_message("s@example.com");
	struct server s;
	char *why, *taken;

	(void)state;
	server_start(&s, &script);
	taken = inject(reinject_injector(), s.url, m, rcpts, TOP, &why);
	server_join(&s);
	assert_string_equal(taken, "YNYN");
	assert_int_equal(s.rcpts, 2);
	server_free(&s);
	g_free(taken);
	g_free(why);
	message_free(m);
}

static void
test_nobody(void **state)
{
	static const char *const none[] = {NULL};
	struct message *m = small_message("s@example.com");
	char *why = NULL, *taken;

	(void)state;
	taken = inject(reinject_injector(), "smtp://127.0.0.1:1", m, none, TOP, &why);
	assert_string_equal(taken, "");
	g_free(taken);
	message_free(m);
}

/* ---- addresses ---- */

#define L100 "abcdefghij" "abcdefghij" "abcdefghij" "abcdefghij" "abcdefghij" \
	     "abcdefghij" "abcdefghij" "abcdefghij" "abcdefghij" "abcdefghij"
#define L500 L100 L100 L100 L100 L100

static const struct {
	const char *name, *rcpt;
	const char *ehlo;
	bool sent;
	const char *mail; /* how MAIL ends */
} addresses[] = {
	{"plain", "x@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"plain, SMTPUTF8 offered", "x@example.com", EHLO_UTF8, true, " SIZE=54"},
	{"upper case", "X.Y@EXAMPLE.Com", EHLO_PLAIN, true, " SIZE=54"},
	{"quoted blank", "\"a b\"@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"quoted at", "\"a@b\"@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"quoted quote", "\"a\\\"b\\\\\"@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"quoted comma and colon", "\"a,b:c;\"@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"address literal", "x@[192.0.2.1]", EHLO_PLAIN, true, " SIZE=54"},
	{"IPv6 literal", "x@[IPv6:2001:db8::1]", EHLO_PLAIN, true, " SIZE=54"},
	{"no domain", "postmaster", EHLO_PLAIN, true, " SIZE=54"},
	{"source route", "@one.example,@two.example:x@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"percent", "%s%n%100d@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"plus, equals, slash", "a+b=c/d!e@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"1,500 octets", L500 L500 L500 "@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"UTF-8, offered", "j\303\274rgen@example.com", EHLO_UTF8, true, " SIZE=54 SMTPUTF8"},
	{"UTF-8, not offered", "j\303\274rgen@example.com", EHLO_PLAIN, true, " SIZE=54"},
	{"UTF-8 domain", "x@m\303\274nchen.example", EHLO_UTF8, false, " SIZE=54"},
	{"UTF-8 behind a quoted at", "\"a@\303\274\"@example.com", EHLO_UTF8, false, " SIZE=54"},
	{"2,500 octets", L500 L500 L500 L500 L500 "@example.com", EHLO_PLAIN, false, " SIZE=54"},
	{"empty", "", EHLO_PLAIN, false, " SIZE=54"},
	{"CR LF", "x@example.com>\r\nRCPT TO:<y@example.com", EHLO_PLAIN, false, " SIZE=54"},
	{"LF", "x@example.com\n", EHLO_PLAIN, false, " SIZE=54"},
	{"CR", "x\r@example.com", EHLO_PLAIN, false, " SIZE=54"},
	{"tab", "\"a\tb\"@example.com", EHLO_PLAIN, false, " SIZE=54"},
	{"DEL", "a\177b@example.com", EHLO_PLAIN, false, " SIZE=54"},
	{"in brackets", "<x@example.com>", EHLO_PLAIN, false, " SIZE=54"},
	{"bracket before", "<x@example.com", EHLO_PLAIN, false, " SIZE=54"},
	{"bracket behind", "x@example.com>", EHLO_PLAIN, false, " SIZE=54"},
	{"parameter", "x@example.com> NOTIFY=NEVER", EHLO_PLAIN, false, " SIZE=54"},
};

/* An address reaches the server as it is, or not at all; the other recipient is not hurt by it. */
static void
test_addresses(void **state)
{
	struct message *m = small_message("s@example.com");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(addresses); i++) {
		const char *name = addresses[i].name, *rcpt = addresses[i].rcpt;
		const char *rcpts[] = {rcpt, "ok@example.com", NULL}, *rest;
		struct script script = {.ehlo = addresses[i].ehlo};
		char *why, *taken, *want;
		struct server s;

		want = g_strdup_printf("MAIL FROM:<s@example.com>%s\n%s%s%s"
				       "RCPT TO:<ok@example.com>\nDATA\nQUIT\n",
				       addresses[i].mail, addresses[i].sent ? "RCPT TO:<" : "",
				       addresses[i].sent ? rcpt : "", addresses[i].sent ? ">\n" : "");
		server_start(&s, &script);
		taken = inject(reinject_injector(), s.url, m, rcpts, TOP, &why);
		server_join(&s);
		check_string(name, taken, addresses[i].sent ? "YY" : "NY");
		check_why(name, why, s.url, addresses[i].sent ? NULL : ">: not sent: ");
		rest = strchr(s.commands->str, '\n');
		check_string(name, rest != NULL ? rest + 1 : NULL, want);
		server_free(&s);
		g_free(taken);
		g_free(why);
		g_free(want);
	}
	message_free(m);
}

static const struct {
	const char *name, *sender, *ehlo;
	const char *mail; /* NULL: nothing is sent */
} senders[] = {
	{"null", "", EHLO_PLAIN, "MAIL FROM:<> SIZE=54"},
	{"null, SMTPUTF8 offered", "", EHLO_UTF8, "MAIL FROM:<> SIZE=54"},
	{"quoted", "\"a b\"@example.com", EHLO_PLAIN, "MAIL FROM:<\"a b\"@example.com> SIZE=54"},
	{"UTF-8", "\303\274@example.com", EHLO_UTF8,
	 "MAIL FROM:<\303\274@example.com> SIZE=54 SMTPUTF8"},
	{"no SIZE offered", "s@example.com", "250 mx\r\n", "MAIL FROM:<s@example.com>"},
	{"UTF-8 domain", "s@m\303\274nchen.example", EHLO_UTF8, NULL},
	{"CR LF", "s@example.com>\r\nRCPT TO:<y@example.com", EHLO_PLAIN, NULL},
	{"bracket", "s@example.com>", EHLO_PLAIN, NULL},
};

static void
test_senders(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(senders); i++) {
		const char *name = senders[i].name, *want = senders[i].mail;
		struct message *m = small_message(senders[i].sender);
		struct script script = {.ehlo = senders[i].ehlo};
		char *why, *taken, **lines;
		struct server s;

		server_start(&s, &script);
		taken = inject(reinject_injector(), s.url, m, three, TOP, &why);
		server_join(&s);
		check_string(name, taken, want != NULL ? "YYY" : "NNN");
		check_why(name, why, s.url, want != NULL ? NULL : ": MAIL: not sent: ");
		lines = g_strsplit(s.commands->str, "\n", -1);
		check_string(name, g_strv_length(lines) > 1 ? lines[1] : NULL, want);
		g_strfreev(lines);
		server_free(&s);
		g_free(taken);
		g_free(why);
		message_free(m);
	}
}

/* ---- the message ---- */

struct text_field {
	const char *name, *value;
};

static const struct {
	const char *name;
	struct text_field fields[3];
	const char *body;
	const char *want; /* NULL: not sent */
	const char *top;
} messages[] = {
	{"plain", {{"A", " b"}}, "c\r\n", "A: b\r\n\r\nc\r\n", ""},
	{"our fields on top", {{"A", " b"}}, "c\r\n", "X: 1\r\nY: 2\r\n\t3\r\nA: b\r\n\r\nc\r\n",
	 "X: 1\r\nY: 2\r\n\t3\r\n"},
	{"order and blanks stay",
	 {{"B", "1"}, {"a", "  2 "}, {"B", "\t3"}},
	 "c\r\n",
	 "B:1\r\na:  2 \r\nB:\t3\r\n\r\nc\r\n",
	 ""},
	{"folds", {{"A", " b\n c\n\td\n \n e"}}, "f\r\n", "A: b\r\n c\r\n\td\r\n \r\n e\r\n\r\nf\r\n", ""},
	{"folds as CRLF", {{"A", " b\r\n c"}}, "f\r\n", "A: b\r\n c\r\n\r\nf\r\n", ""},
	{"fold right after the name", {{"A", "\n b"}}, "f\r\n", "A:\r\n b\r\n\r\nf\r\n", ""},
	{"empty value", {{"A", ""}}, "f\r\n", "A:\r\n\r\nf\r\n", ""},
	{"8-bit", {{"A", " \303\274\377"}}, "\200\377\r\n", "A: \303\274\377\r\n\r\n\200\377\r\n", ""},
	{"no fields", {{0}}, "c\r\n", "\r\nc\r\n", ""},
	{"nothing at all", {{0}}, "", "\r\n", ""},
	{"empty body", {{"A", " b"}}, "", "A: b\r\n\r\n", ""},
	{"empty lines", {{"A", " b"}}, "\r\n\r\n\r\n", "A: b\r\n\r\n\r\n\r\n\r\n", ""},
	{"no CRLF at the end", {{"A", " b"}}, "c\r\nd", "A: b\r\n\r\nc\r\nd\r\n", ""},
	{"lone dot", {{"A", " b"}}, ".\r\nc\r\n", "A: b\r\n\r\n.\r\nc\r\n", ""},
	{"lone dots", {{"A", " b"}}, ".\r\n.\r\n.\r\n", "A: b\r\n\r\n.\r\n.\r\n.\r\n", ""},
	{"leading dots", {{"A", " b"}}, "..\r\n...c\r\n.d\r\n", "A: b\r\n\r\n..\r\n...c\r\n.d\r\n", ""},
	{"a dot at the very end", {{"A", " b"}}, "c\r\n.", "A: b\r\n\r\nc\r\n.\r\n", ""},
	{"a dot for a body", {{"A", " b"}}, ".", "A: b\r\n\r\n.\r\n", ""},
	{"a field with a dot before", {{".A", " b"}}, "c\r\n", ".A: b\r\n\r\nc\r\n", ""},
	{"commands in the body", {{"A", " b"}}, ".\r\nMAIL FROM:<x>\r\nQUIT\r\n",
	 "A: b\r\n\r\n.\r\nMAIL FROM:<x>\r\nQUIT\r\n", ""},
	{"bare LF in the body", {{"A", " b"}}, "c\nd\r\n", NULL, ""},
	{"bare CR in the body", {{"A", " b"}}, "c\rd\r\n", NULL, ""},
	{"CR at the end", {{"A", " b"}}, "c\r", NULL, ""},
	{"LF at the beginning", {{"A", " b"}}, "\nc\r\n", NULL, ""},
	{"CR CR LF", {{"A", " b"}}, "c\r\r\n", NULL, ""},
	{"LF dot LF", {{"A", " b"}}, "c\n.\nMAIL FROM:<x>\r\n", NULL, ""},
	{"LF dot CR LF", {{"A", " b"}}, "c\n.\r\nMAIL FROM:<x>\r\n", NULL, ""},
	{"CR dot CR LF", {{"A", " b"}}, "c\r.\r\nMAIL FROM:<x>\r\n", NULL, ""},
	{"CR in a value", {{"A", " b\rc"}}, "d\r\n", NULL, ""},
	{"CR at the end of a value", {{"A", " b\r"}}, "d\r\n", NULL, ""},
	{"CR before a fold", {{"A", " b\r\r\n c"}}, "d\r\n", NULL, ""},
	{"LF and no blank in a value", {{"A", " b\nC: d"}}, "d\r\n", NULL, ""},
	{"an empty line in a value", {{"A", " b\n\n c"}}, "d\r\n", NULL, ""},
	{"LF at the end of a value", {{"A", " b\n"}}, "d\r\n", NULL, ""},
	{"LF in a name", {{"A\nB", " b"}}, "d\r\n", NULL, ""},
	{"colon in a name", {{"A:B", " b"}}, "d\r\n", NULL, ""},
	{"blank in a name", {{"A B", " b"}}, "d\r\n", NULL, ""},
	{"no name", {{"", " b"}}, "d\r\n", NULL, ""},
	{"half a line on top", {{"A", " b"}}, "d\r\n", NULL, "X: 1"},
	{"an empty line on top", {{"A", " b"}}, "d\r\n", NULL, "X: 1\r\n\r\n"},
	{"only an empty line on top", {{"A", " b"}}, "d\r\n", NULL, "\r\n"},
	{"bare LF on top", {{"A", " b"}}, "d\r\n", NULL, "X: 1\nY: 2\r\n"},
};

static struct message *
message_of(const struct text_field *fields, size_t count, const char *body, size_t len)
{
	struct message *m = message_new("s@example.com", 1 << 30);

	for (size_t i = 0; i < count && fields[i].name != NULL; i++)
		message_add_field(m, fields[i].name, strlen(fields[i].name), fields[i].value,
				  strlen(fields[i].value));
	message_add_body(m, body, len);
	message_seal(m);
	return m;
}

static void
test_messages(void **state)
{
	static const struct script usual;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
		const char *name = messages[i].name, *want = messages[i].want;
		struct message *m = message_of(messages[i].fields, 3, messages[i].body,
					       strlen(messages[i].body));
		struct server s;
		char *why, *taken;

		server_start(&s, &usual);
		taken = inject(reinject_injector(), s.url, m, three, messages[i].top, &why);
		server_join(&s);
		check_string(name, taken, want != NULL ? "YYY" : "NNN");
		check_why(name, why, s.url, want != NULL ? NULL : ": not sent: ");
		check_int(name, s.complete, want != NULL);
		check_string(name, s.data->str, want != NULL ? want : "");
		if (want == NULL)
			check_string(name, s.commands->str, "");
		server_free(&s);
		g_free(taken);
		g_free(why);
		message_free(m);
	}
}

static void
test_incomplete_messages(void **state)
{
	static const struct script usual;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct text_field field = {"A", " b"};
		struct message *m = message_of(&field, 1, "c\0d\r\n", i == 3 ? 5 : 1);
		struct server s;
		char *why, *taken;

		m->too_large = i == 0;
		m->damaged = i == 1;
		m->sealed = i != 2;
		server_start(&s, &usual);
		taken = inject(reinject_injector(), s.url, m, three, TOP, &why);
		server_join(&s);
		assert_string_equal(taken, "NNN");
		check_why("incomplete", why, s.url, i == 3 ? "NUL" : "incomplete");
		assert_string_equal(s.commands->str, "");
		server_free(&s);
		g_free(taken);
		g_free(why);
		message_free(m);
	}
}

/* A body of about len octets; every dots-th line begins with a dot (0: none). */
static GString *
long_body(size_t len, unsigned dots)
{
	GString *body = g_string_sized_new(len + 2000);
	unsigned x = 1;

	for (unsigned n = 1; body->len < len; n++) {
		x = x * 1103515245 + 12345;
		if (dots > 0 && n % dots == 0)
			g_string_append(body, (x >> 16) % 3 == 0 ? ".\r\n" : ".x");
		for (unsigned i = (x >> 16) % 300; i > 0; i--)
			g_string_append_c(body, (char)(' ' + (i * n) % 90 + (i % 70 == 0) * 128));
		g_string_append(body, "\r\n");
	}
	return body;
}

static void
check_long(const char *name, const GString *body)
{
	static const struct script usual;
	static const struct text_field field = {"A", " b"};
	struct message *m = message_of(&field, 1, body->str, body->len);
	GString *want = g_string_new("A: b\r\n\r\n");
	struct server s;
	char *why, *taken, *sum, *want_sum;

	g_string_append_len(want, body->str, (gssize)body->len);
	if (!g_str_has_suffix(body->str, "\r\n"))
		g_string_append(want, "\r\n");
	server_start(&s, &usual);
	taken = inject(reinject_injector(), s.url, m, three, "", &why);
	server_join(&s);
	sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, s.data->str, (gssize)s.data->len);
	want_sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, want->str, (gssize)want->len);
	check_int(name, s.data->len, want->len);
	check_string(name, sum, want_sum);
	check_string(name, taken, "YYY");
	g_string_free(want, TRUE);
	server_free(&s);
	g_free(taken);
	g_free(sum);
	g_free(want_sum);
	message_free(m);
}

static void
test_long_messages(void **state)
{
	static const struct {
		const char *name;
		unsigned dots;
		bool crlf;
	} cases[] = {
		{"5 MB", 0, true},
		{"5 MB, no CRLF at the end", 0, false},
		{"5 MB with dots", 7, true},
		{"5 MB of dots", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GString *body = long_body(5000000, cases[i].dots);

		if (!cases[i].crlf)
			g_string_truncate(body, body->len - 2);
		check_long(cases[i].name, body);
		g_string_free(body, TRUE);
	}
}

/*
 * libcurl reads 64 KiB at a time.  With n dots doubled in the first of them and n octets behind it,
 * it has sent as many octets as the message has when n are still missing.
 */
static void
test_dots_do_not_cut_it_off(void **state)
{
	(void)state;
	for (unsigned n = 3; n < 40; n += 6) {
		GString *body = g_string_new("");
		char name[40];

		for (unsigned i = 0; i < n; i++)
			g_string_append(body, ".\r\n");
		while (body->len < 65536 - strlen("A: b\r\n\r\n") - 200)
			g_string_append(body, L100 "\r\n");
		while (body->len < 65536 - strlen("A: b\r\n\r\n") + n - 2)
			g_string_append_c(body, 'x');
		g_string_append(body, "\r\n");
		g_snprintf(name, sizeof name, "%u dots", n);
		check_long(name, body);
		g_string_free(body, TRUE);
	}
}

/* Sizes around libcurl's buffer: the end of the message is also the end of a read. */
static void
test_sizes(void **state)
{
	const size_t head = strlen("A: b\r\n\r\n");

	(void)state;
	for (size_t size = 65533; size <= 65539; size++) {
		for (int kind = 0; kind < 4; kind++) {
			GString *body = g_string_new(kind & 1 ? ".\r\n" : "a\r\n");
			char name[60];

			while (body->len < size - head - 2)
				g_string_append_c(body, 'x');
			g_string_append(body, kind & 2 ? "\r\n" : "yz");
			g_snprintf(name, sizeof name, "%zu octets, kind %d", size, kind);
			check_long(name, body);
			g_string_free(body, TRUE);
		}
	}
}

/* Faults while the message is on its way: it is longer than what the sockets hold. */
static void
test_faults_under_way(void **state)
{
	static const struct {
		const char *name;
		struct script script;
		const char *why;
	} cases[] = {
		{"gone at 354", {.half = 1}, ": message: "},
		{"gone at half", {.half = 5000000}, ": message: "},
		{"250 while it is sent", {.early = "250 ok\r\n"}, "a reply too many"},
		{"250 while it is sent, dot refused", {.early = "250 ok\r\n", .end = "554 no\r\n"},
		 "a reply too many"},
		{"421 and gone", {.early = "421 bye\r\n", .half = 1000000}, ": message: "},
	};
	static const struct text_field field = {"A", " b"};
	GString *body = long_body(16000000, 0);
	struct message *m = message_of(&field, 1, body->str, body->len);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct server s;
		char *why, *taken;

		server_start(&s, &cases[i].script);
		taken = inject(reinject_injector(), s.url, m, three, "", &why);
		server_join(&s);
		check_string(cases[i].name, taken, "NNN");
		check_why(cases[i].name, why, s.url, cases[i].why);
		check_int(cases[i].name, s.complete, false);
		server_free(&s);
		g_free(taken);
		g_free(why);
	}
	g_string_free(body, TRUE);
	message_free(m);
}

/* ---- time and place ---- */

static void
test_silence(void **state)
{
	static const struct {
		const char *name;
		struct reinject_limits limits;
		struct script script;
		const char *why;
		bool complete;
	} cases[] = {
		{"at connect", {200, 20000}, {.greeting = SILENCE}, ": greeting: ", false},
		{"at EHLO", {1000, 20000}, {.ehlo = SILENCE}, ": EHLO: ", false},
		{"at RCPT", {20000, 1000}, {.rcpt[1] = SILENCE}, ": RCPT <b@example.com>: ", false},
		{"after the dot", {20000, 1500}, {.end = SILENCE}, ": end of data: ", true},
	};
	struct message *m = small_message("s@example.com");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct injector injector = reinject_injector_limited(&cases[i].limits);
		gint64 start = g_get_monotonic_time();
		struct server s;
		char *why, *taken;

		server_start(&s, &cases[i].script);
		taken = inject(&injector, s.url, m, three, TOP, &why);
		server_join(&s);
		check_true(cases[i].name, g_get_monotonic_time() - start < 15000000);
		check_string(cases[i].name, taken, "NNN");
		check_why(cases[i].name, why, s.url, cases[i].why);
		check_int(cases[i].name, s.complete, cases[i].complete);
		server_free(&s);
		g_free(taken);
		g_free(why);
	}
	message_free(m);
}

static void
test_no_server(void **state)
{
	struct message *m = small_message("s@example.com");
	char url[64], *why, *taken;
	int fd = bound_socket(url, sizeof url); /* nobody else gets the port, nobody listens */

	(void)state;
	taken = inject(reinject_injector(), url, m, three, TOP, &why);
	assert_string_equal(taken, "NNN");
	check_why("nothing listens", why, url, "connect");
	close(fd);
	g_free(taken);
	g_free(why);
	message_free(m);
}

static void
test_urls(void **state)
{
	static const char *const prefixes[] = {"smtps://", "http://", "", "smtp:/",
					       "smtp://user:password@", "file:///dev/null#"};
	static const struct script usual;
	struct message *m = small_message("s@example.com");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
		char *url, *why, *taken;
		struct server s;

		server_start(&s, &usual);
		url = g_strconcat(prefixes[i], s.url + strlen("smtp://"), NULL);
		taken = inject(reinject_injector(), url, m, three, TOP, &why);
		server_join(&s);
		check_string(prefixes[i], taken, "NNN");
		check_why(prefixes[i], why, url, "not an smtp:// URL");
		check_string(prefixes[i], s.commands->str, "");
		server_free(&s);
		g_free(url);
		g_free(taken);
		g_free(why);
	}
	message_free(m);
}

/* ---- many at once ---- */

struct client {
	struct server server;
	struct script script;
	struct message *message;
	pthread_t thread;
	char *taken, *why;
};

static void *
run_client(void *data)
{
	struct client *c = data;

	c->taken = inject(reinject_injector(), c->server.url, c->message, three, TOP, &c->why);
	return NULL;
}

static void
test_many_at_once(void **state)
{
	static struct client clients[16];
	static const struct text_field field = {"A", " b"};

	(void)state;
	for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++) {
		struct client *c = &clients[i];
		GString *body = long_body(100000 + i * 1000, i % 3);

		c->message = message_of(&field, 1, body->str, body->len);
		c->script.rcpt[i % 3] = i % 2 == 0 ? "550 no\r\n" : NULL;
		c->script.end = i % 5 == 0 ? "451 later\r\n" : NULL;
		server_start(&c->server, &c->script);
		g_string_free(body, TRUE);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++)
		assert_false(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]));
	for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++) {
		struct client *c = &clients[i];
		GString *want = g_string_new(TOP "A: b\r\n\r\n");
		char who[] = "YYY";

		pthread_join(c->thread, NULL);
		server_join(&c->server);
		if (i % 2 == 0)
			who[i % 3] = 'N';
		assert_string_equal(c->taken, i % 5 == 0 ? "NNN" : who);
		g_string_append_len(want, c->message->body.data, (gssize)c->message->body.len);
		assert_int_equal(c->server.data->len, want->len);
		assert_memory_equal(c->server.data->str, want->str, want->len);
		g_string_free(want, TRUE);
		server_free(&c->server);
		message_free(c->message);
		g_free(c->taken);
		g_free(c->why);
	}
}

static int
set_up(void **state)
{
	char *why;

	(void)state;
	/* Proxies of whoever runs the test must not matter. */
	g_setenv("all_proxy", "http://127.0.0.1:1", TRUE);
	g_setenv("smtp_proxy", "http://127.0.0.1:1", TRUE);
	return reinject_init(&why) ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_same_address_twice),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_incomplete_messages),
		cmocka_unit_test(test_long_messages),
		cmocka_unit_test(test_dots_do_not_cut_it_off),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_faults_under_way),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_many_at_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, NULL);
}
