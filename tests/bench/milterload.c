/*
 * milterload - load generator that talks to a milter as Postfix 3.7 does
 *
 * Purpose: measure what a mail filter costs. It plays smtpd(8) and cleanup(8) of Postfix 3.7.11
 * (src/milter/milter8.c, milter.c, smtpd_milter.c): same offer at negotiation, same macro packets
 * before each event (before each header too), same body chunks, same stream buffer sizes and so
 * the same write() calls (no TCP_NODELAY, a flush between DATA and the first header, where smtpd
 * hands the socket to cleanup), an ABORT after each message as smtpd's mail_reset() sends.
 *
 * Honesty: a message counts only when the whole exchange was well-formed by Postfix' own rules,
 * the verdict was "accept" or "continue", and (unless --expect none) the filter put in a
 * DKIM-Signature whose d= is the From: domain. With --expect-edits it must also have got just these
 * kinds of edits: who is to re-encode and does not is not quick, but wrong. Everything else is
 * counted apart and makes the exit status 1. --dump writes one message as the MTA would hold it
 * after the edits, so that a verifier can prove that the signatures are real.
 *
 * Latency of a message: from before the first octet of MAIL to the verdict at end of body.
 * "setup" is connect() to the end of HELO, "session" is connect() to the last verdict: with one
 * message in a session it is all that a client of the MTA can wait for. CPU of the filter: the
 * kernel's CPU clock of each process in the tree of --pid (user + system of all threads, dead ones
 * too, in ns), before and after.
 *
 * Threads: one per connection; each owns its session. Shared are the options (read only), the
 * message counter (atomic) and the latency table (each message has its own slot).
 *
 * Build: cc -std=c11 -O2 -pthread milterload.c -o milterload
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	CHUNK_SIZE = 65535,   /* MILTER_CHUNK_SIZE: body octets in one packet */
	STREAM_SIZE = 4096,   /* VSTREAM_BUFSIZE: Postfix' stream buffer */
	REPLY_MAX = 16 << 20, /* a reply longer than this is a confused filter */
	ERRORS_MAX = 50,      /* then the run gives up */
	RCPT_MAX = 100,
	HEADERS_MAX = 128,
	ADDRESS_SIZE = 256,
	VALUE_SIZE = 4096, /* of a header field that is sent */
};

/* Kinds of edits, as bits: what --expect-edits asks for. */
enum {
	EDITS_HEADER = 1, /* of any field but a DKIM-Signature put in */
	EDITS_BODY = 2,
	EDITS_SENDER = 4,
	EDITS_RCPT = 8,
	EDITS_ANY = -1
};

/* ---- The protocol's numbers (milter8.c) ---------------------------------------------------- */

#define P_NO_CONNECT (1u << 0)
#define P_NO_HELO (1u << 1)
#define P_NO_MAIL (1u << 2)
#define P_NO_RCPT (1u << 3)
#define P_NO_BODY (1u << 4)
#define P_NO_HDRS (1u << 5)
#define P_NO_EOH (1u << 6)
#define P_NR_HDR (1u << 7)
#define P_NO_DATA (1u << 9)
#define P_NR_CONN (1u << 12)
#define P_NR_HELO (1u << 13)
#define P_NR_MAIL (1u << 14)
#define P_NR_RCPT (1u << 15)
#define P_NR_DATA (1u << 16)
#define P_NR_EOH (1u << 18)
#define P_NR_BODY (1u << 19)
#define P_HDR_LEADSPC (1u << 20)
#define OFFERED_VERSION 6u
#define OFFERED_ACTIONS 0x1ffu   /* ADDHDRS ... SETSYMLIST */
#define OFFERED_EVENTS 0x1fffffu /* MILTER8_V6_PROTO_MASK: NOCONNECT ... HDR_LEADSPC */

/* SMFIM_*: the stages that own a macro list, in the order of the wire. */
enum stage {
	STAGE_CONNECT,
	STAGE_HELO,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_EOM,
	STAGE_EOH,
	STAGES
};

/* DEF_MILT_*_MACROS of mail_params.h */
static const char *const default_macros[STAGES] = {
	[STAGE_CONNECT] = "j {daemon_name} {daemon_addr} v _",
	[STAGE_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	[STAGE_MAIL] =
		"i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
	[STAGE_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[STAGE_DATA] = "i",
	[STAGE_EOM] = "i",
	[STAGE_EOH] = "i",
};

/* An event: what is sent, whose macros go before it, which flags switch it or its reply off. */
struct event {
	char command;
	enum stage stage;
	uint32_t no_send;
	uint32_t no_reply;
	const char *name;
};

static const struct event ev_connect = {'C', STAGE_CONNECT, P_NO_CONNECT, P_NR_CONN, "CONNECT"};
static const struct event ev_helo = {'H', STAGE_HELO, P_NO_HELO, P_NR_HELO, "HELO"};
static const struct event ev_mail = {'M', STAGE_MAIL, P_NO_MAIL, P_NR_MAIL, "MAIL"};
static const struct event ev_rcpt = {'R', STAGE_RCPT, P_NO_RCPT, P_NR_RCPT, "RCPT"};
static const struct event ev_data = {'T', STAGE_DATA, P_NO_DATA, P_NR_DATA, "DATA"};
static const struct event ev_header = {'L', STAGE_EOH, P_NO_HDRS, P_NR_HDR, "HEADER"};
static const struct event ev_eoh = {'N', STAGE_EOH, P_NO_EOH, P_NR_EOH, "EOH"};
static const struct event ev_body = {'B', STAGE_EOM, P_NO_BODY, P_NR_BODY, "BODY"};
static const struct event ev_eob = {'E', STAGE_EOM, 0, 0, "BODYEOB"};

/* ---- Options ------------------------------------------------------------------------------- */

static struct {
	const char *socket;
	uint64_t messages;
	unsigned connections;
	uint64_t per_session;
	uint64_t rate; /* messages a second; 0: as many as can be */
	size_t size;
	const char *message;
	const char *from;
	unsigned domains;
	const char *rcpt[RCPT_MAX];
	int rcpts;
	unsigned rcpt_domains;
	const char *auth;
	const char *client;
	pid_t pid;
	bool expect_signed;
	unsigned signatures;
	int expect_edits;
	const char *dump;
	const char *dump_envelope;
	unsigned timeout;
	bool json;
} opt = {
	.messages = 1000,
	.connections = 1,
	.per_session = 1,
	.size = 4096,
	.from = "sender@example.com",
	.domains = 1,
	.rcpt_domains = 1,
	.expect_edits = EDITS_ANY,
	.client = "127.0.0.1",
	.expect_signed = true,
	.signatures = 1,
	.timeout = 30,
};

static void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void
die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("milterload: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static void *
allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- The message that is sent -------------------------------------------------------------- */

/* What stands for the %s of a value: made for each message. */
enum fill { FILL_NOTHING, FILL_FROM, FILL_TO, FILL_ID };

/* Folds are LF, as on the milter wire. */
struct header_line {
	const char *name;
	const char *value; /* without the first space */
	enum fill fill;
};

/* About what a newsletter has after its sender's own software and Postfix saw it. */
static const struct header_line own_lines[] = {
	{"Date", "Mon, 06 Jan 2025 10:00:00 +0000", FILL_NOTHING},
	{"From", "Bench Sender <%s>", FILL_FROM},
	{"To", "<%s>", FILL_TO},
	{"Reply-To", "replies@example.net", FILL_NOTHING},
	{"Subject", "Figures of the week: what a message costs,\n and where its time goes",
	 FILL_NOTHING},
	{"Message-ID", "<%s@bench.example>", FILL_ID},
	{"MIME-Version", "1.0", FILL_NOTHING},
	{"Content-Type", "text/plain; charset=us-ascii", FILL_NOTHING},
	{"Content-Transfer-Encoding", "7bit", FILL_NOTHING},
	{"List-Id", "Bench weekly <weekly.bench.example>", FILL_NOTHING},
	{"List-Unsubscribe", "<https://bench.example/u/1>,\n <mailto:unsubscribe@bench.example>",
	 FILL_NOTHING},
	{"List-Unsubscribe-Post", "List-Unsubscribe=One-Click", FILL_NOTHING},
	{"X-Campaign", "2025-01", FILL_NOTHING},
};
enum { OWN_LINES = sizeof(own_lines) / sizeof(own_lines[0]) };

/* All shared, read only once made. */
static struct header_line header_lines[HEADERS_MAX];
static int header_count;
static char *body;
static size_t body_size;

static void
body_make(void)
{
	static const char words[] = "The quick brown fox counts microseconds while the lazy dog "
				    "waits for a reply from ";
	size_t headers = 2, line = 0;

	for (int i = 0; i < OWN_LINES; i++)
		headers += strlen(own_lines[i].name) + strlen(own_lines[i].value) + 4;
	headers += strlen(opt.from) + (opt.rcpts ? strlen(opt.rcpt[0]) : 0) + 10;
	body_size = opt.size > headers + 2 ? opt.size - headers : 2;
	body = allocate(body_size + 1);
	for (size_t i = 0; i < body_size; i++) {
		if (line == 72)
			body[i] = '\r';
		else if (line == 73)
			body[i] = '\n';
		else
			body[i] = words[(i + i / 74 * 5) % (sizeof(words) - 1)];
		line = line == 73 ? 0 : line + 1;
	}
	/* A message ends with a line end; a CR that lost its LF would be another test. */
	if (body_size > 2 && body[body_size - 3] == '\r')
		body[body_size - 3] = 'x';
	memcpy(body + body_size - 2, "\r\n", 2);
	memcpy(header_lines, own_lines, sizeof(own_lines));
	header_count = OWN_LINES;
}

/* Reads a whole file; a NUL follows. */
static char *
file_read(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	size_t size = 1 << 16;
	char *text = allocate(size);

	if (file == NULL)
		die("%s: %s", path, strerror(errno));
	*len = 0;
	for (;;) {
		size_t n = fread(text + *len, 1, size - 1 - *len, file);

		*len += n;
		if (n == 0)
			break;
		if (*len == size - 1 && (text = realloc(text, size *= 2)) == NULL)
			die("out of memory");
	}
	if (ferror(file))
		die("%s: cannot be read", path);
	fclose(file);
	text[*len] = '\0';
	return text;
}

/* Takes the field at text, which ends at end (with CRLF); writes into the text. */
static void
field_take(char *text, const char *end)
{
	struct header_line *line = &header_lines[header_count];
	char *colon = memchr(text, ':', (size_t)(end - text)), *to;

	if (header_count == HEADERS_MAX / 2)
		die("%s: more than %d header fields", opt.message, HEADERS_MAX / 2);
	if (colon == NULL || colon == text || end - colon > VALUE_SIZE - 300)
		die("%s: field %d is none", opt.message, header_count + 1);
	*colon = '\0';
	line->name = text;
	line->value = to = colon + 1 + (colon[1] == ' ');
	for (const char *from = to; from < end - 2; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
	header_count++;
	for (int i = 0; i < OWN_LINES; i++)
		if (own_lines[i].fill != FILL_NOTHING &&
		    strcasecmp(line->name, own_lines[i].name) == 0)
			*line = own_lines[i];
}

/* --message: the file's own From:, To: and Message-ID: give way to those of each message. */
static void
message_load(void)
{
	size_t len;
	char *text = file_read(opt.message, &len), *field = text, *next;

	if (strlen(text) != len || len < 2 || strcmp(text + len - 2, "\r\n") != 0)
		die("%s: holds NUL or does not end with CRLF", opt.message);
	while (strncmp(field, "\r\n", 2) != 0) {
		for (next = field; (next = strstr(next, "\r\n")) != NULL;) {
			next += 2;
			if (*next != ' ' && *next != '\t')
				break;
		}
		if (next == NULL || *next == '\0')
			die("%s: no empty line behind the header", opt.message);
		field_take(field, next);
		field = next;
	}
	body = field + 2;
	body_size = len - (size_t)(body - text);
	opt.size = len;
}

/* ---- The stream: Postfix' VSTREAM ---------------------------------------------------------- */

struct wire {
	int fd;
	char *out;
	size_t out_len, out_size;
	char in[STREAM_SIZE];
	size_t in_pos, in_len;
};

/* Edits to the message in the order they came; only kept for --dump. */
struct image {
	char *name[HEADERS_MAX];
	char *value[HEADERS_MAX];
	int headers;
	char *body;
	size_t body_len;
	bool replaced;
};

enum verdict { GO_ON, ACCEPTED, TEMPFAILED, REJECTED, OTHER, BROKEN, VERDICTS };

struct session {
	struct wire wire;
	uint32_t actions, events, no_events;
	char *macros[STAGES]; /* lists that the filter set; NULL or "" = the default */
	char skip;            /* command that SMFIR_SKIP switched off */
	bool in_cleanup;      /* cleanup(8) knows fewer macros than smtpd(8) */
	bool lead_space;
	char reply; /* the packet read last */
	char *data;
	size_t data_len, data_size;
	char macro_packet[4096]; /* of the stage built last */
	size_t macro_len;
	/* the message */
	uint64_t number;
	char queue_id[24];
	const char *known_id; /* NULL until Postfix opens the queue file */
	char from[ADDRESS_SIZE];
	char sender[ADDRESS_SIZE]; /* of the envelope, after the edits */
	char rcpt[RCPT_MAX][ADDRESS_SIZE];
	bool rcpt_gone[RCPT_MAX];
	int rcpts_left; /* of those that came, and those that the filter added */
	const char *recipient;
	unsigned signatures;
	int edits; /* EDITS_* */
	bool own_signature, held, body_run, body_closed;
	uint64_t edit_octets;
	struct image *image;
	char error[256];
};

struct tally {
	uint64_t verdicts[VERDICTS];
	uint64_t good, unsigned_messages, other_edits, held, edit_octets, sessions;
};

static _Atomic uint64_t next_message;
static _Atomic unsigned errors;
static uint64_t *latency; /* ns by message number, 0 = not a good message */
static uint64_t *setup;   /* ns by session, at the number of its first message */
static uint64_t *whole;   /* the same for connect() to the last verdict */

/* Notes the first error of a session. Returns false, so that callers can "return fail(...)". */
static bool fail(struct session *, const char *, ...) __attribute__((format(printf, 2, 3)));

static bool
fail(struct session *s, const char *format, ...)
{
	va_list args;

	if (s->error[0] == '\0') {
		va_start(args, format);
		vsnprintf(s->error, sizeof(s->error), format, args);
		va_end(args);
	}
	return false;
}

static bool
wire_flush(struct session *s)
{
	struct wire *w = &s->wire;
	size_t done = 0;

	while (done < w->out_len) {
		ssize_t n = write(w->fd, w->out + done, w->out_len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(s, "write: %s", strerror(errno));
		done += (size_t)n;
	}
	w->out_len = 0;
	return true;
}

static bool
wire_put(struct session *s, const void *from, size_t len)
{
	struct wire *w = &s->wire;

	while (len > 0) {
		size_t n = w->out_size - w->out_len;

		if (n == 0) {
			if (!wire_flush(s))
				return false;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(w->out + w->out_len, from, n);
		w->out_len += n;
		from = (const char *)from + n;
		len -= n;
	}
	return true;
}

/* Reading flushes first: VSTREAM_CTL_DOUBLE. */
static bool
wire_get(struct session *s, void *to, size_t len)
{
	struct wire *w = &s->wire;

	while (len > 0) {
		size_t n = w->in_len - w->in_pos;

		if (n == 0) {
			if (w->out_len > 0 && !wire_flush(s))
				return false;
			ssize_t got = read(w->fd, w->in, sizeof(w->in));
			if (got < 0 && errno == EINTR)
				continue;
			if (got == 0)
				return fail(s, "the filter closed the connection");
			if (got < 0)
				return fail(s, "read: %s",
					    errno == EAGAIN ? "no reply in time" : strerror(errno));
			w->in_pos = 0;
			w->in_len = (size_t)got;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(to, w->in + w->in_pos, n);
		w->in_pos += n;
		to = (char *)to + n;
		len -= n;
	}
	return true;
}

/* One packet: length, command, then the pieces one after the other. */
static bool
packet_send(struct session *s, char command, const struct iovec *piece, int pieces)
{
	uint32_t length = 1;
	char head[5];

	for (int i = 0; i < pieces; i++)
		length += (uint32_t)piece[i].iov_len;
	length = htonl(length);
	memcpy(head, &length, 4);
	head[4] = command;
	if (!wire_put(s, head, sizeof(head)))
		return false;
	for (int i = 0; i < pieces; i++)
		if (!wire_put(s, piece[i].iov_base, piece[i].iov_len))
			return false;
	return true;
}

static bool
packet_receive(struct session *s)
{
	uint32_t length;

	if (!wire_get(s, &length, 4))
		return false;
	length = ntohl(length);
	if (length < 1 || length > REPLY_MAX)
		return fail(s, "a reply of %" PRIu32 " octets", length);
	if (!wire_get(s, &s->reply, 1))
		return false;
	s->data_len = length - 1;
	if (s->data_len + 1 > s->data_size) {
		free(s->data);
		s->data_size = s->data_len + 4096;
		s->data = allocate(s->data_size);
	}
	s->data[s->data_len] = '\0';
	return wire_get(s, s->data, s->data_len);
}

static struct iovec
string_piece(const char *text)
{
	return (struct iovec){(void *)(uintptr_t)text, strlen(text) + 1};
}

/* ---- Macros -------------------------------------------------------------------------------- */

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at ? at + 1 : address;
}

/* smtpd_milter_eval() and cleanup_milter_eval(); the name comes without braces. NULL = not sent. */
static const char *
macro_value(const struct session *s, const char *name)
{
	struct known {
		const char *name, *value;
		bool smtpd_only;
	} const known[] = {
		{"i", s->known_id, false},
		{"j", "mta.bench.example", false},
		{"daemon_name", "mta.bench.example", false},
		{"v", "Postfix 3.7.11", false},
		{"_", "client.bench.example [127.0.0.1]", false},
		{"client_addr", opt.client, false},
		{"client_name", "client.bench.example", false},
		{"client_ptr", "client.bench.example", false},
		{"client_port", "40000", false},
		{"client_resolve", "OK", true},
		{"client_connections", "1", true},
		{"daemon_addr", "127.0.0.1", false},
		{"daemon_port", "25", false},
		{"auth_type", opt.auth ? "PLAIN" : NULL, false},
		{"auth_authen", opt.auth, false},
		{"mail_addr", s->from[0] ? s->from : NULL, false},
		{"mail_host", s->from[0] ? domain_of(s->from) : NULL, true},
		{"mail_mailer", s->from[0] ? "smtp" : NULL, true},
		{"rcpt_addr", s->recipient, false},
		{"rcpt_host", s->recipient ? domain_of(s->recipient) : NULL, true},
		{"rcpt_mailer", s->recipient ? "smtp" : NULL, true},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].smtpd_only && s->in_cleanup ? NULL : known[i].value;
	return NULL;
}

static bool
macro_append(struct session *s, const char *text)
{
	size_t len = strlen(text) + 1;

	if (s->macro_len + len > sizeof(s->macro_packet))
		return fail(s, "macros do not fit");
	memcpy(s->macro_packet + s->macro_len, text, len);
	s->macro_len += len;
	return true;
}

/* MILTER_MACRO_EVAL: the filter's own list when it is set and not empty, else main.cf's. */
static bool
macros_build(struct session *s, enum stage stage)
{
	const char *list =
		s->macros[stage] && s->macros[stage][0] ? s->macros[stage] : default_macros[stage];
	char name[128], bare[128];

	s->macro_len = 0;
	while (*(list += strspn(list, " ,\t\r\n")) != '\0') {
		size_t len = strcspn(list, " ,\t\r\n");
		const char *value;

		if (len >= sizeof(name))
			return fail(s, "a macro name of %zu octets", len);
		memcpy(name, list, len);
		name[len] = '\0';
		list += len;
		snprintf(bare, sizeof(bare), "%s", name[0] == '{' ? name + 1 : name);
		bare[strcspn(bare, "}")] = '\0';
		value = macro_value(s, bare);
		if (value != NULL && (!macro_append(s, name) || !macro_append(s, value)))
			return false;
	}
	return true;
}

static void
macros_forget(struct session *s)
{
	for (int i = 0; i < STAGES; i++) {
		free(s->macros[i]);
		s->macros[i] = NULL;
	}
}

/* ---- Edits at end of message --------------------------------------------------------------- */

/* Copies the value of a DKIM tag without white space; false when it is not there. RFC 6376 3.2 */
static bool
tag_value(const char *list, const char *tag, char *value, size_t size)
{
	while (*list != '\0') {
		size_t len = 0, name = strlen(tag);

		list += strspn(list, " \t\r\n");
		bool match = strncmp(list, tag, name) == 0 &&
			     list[name + strspn(list + name, " \t\r\n")] == '=';
		for (; *list != '\0' && *list != ';'; list++)
			if (match && !isspace((unsigned char)*list) && len + 1 < size)
				value[len++] = *list;
		if (match) {
			value[len] = '\0';
			memmove(value, value + name + 1, len - name);
			return true;
		}
		if (*list == ';')
			list++;
	}
	return false;
}

static void
signature_note(struct session *s, const char *name, const char *value)
{
	char tag[1024];

	if (strcasecmp(name, "DKIM-Signature") != 0)
		return;
	/* 86 characters: the shortest signature there is, Ed25519's 64 octets */
	if (!tag_value(value, "b", tag, sizeof(tag)) || strlen(tag) < 86)
		return;
	s->signatures++;
	if (tag_value(value, "d", tag, sizeof(tag)) && strcasecmp(tag, domain_of(s->from)) == 0)
		s->own_signature = true;
}

static void
image_insert(struct image *image, int at, const char *name, const char *value)
{
	if (image->headers == HEADERS_MAX)
		die("--dump: more than %d headers", HEADERS_MAX);
	if (at > image->headers)
		at = image->headers;
	for (int i = image->headers++; i > at; i--) {
		image->name[i] = image->name[i - 1];
		image->value[i] = image->value[i - 1];
	}
	image->name[at] = strdup(name);
	image->value[at] = strdup(value);
}

/* The index counts headers of that name from 1; an empty value deletes. */
static void
image_change(struct image *image, uint32_t index, const char *name, const char *value)
{
	uint32_t seen = 0;

	for (int i = 0; i < image->headers; i++) {
		if (strcasecmp(image->name[i], name) != 0 || ++seen < index)
			continue;
		free(image->value[i]);
		if (value[0] != '\0') {
			image->value[i] = strdup(value);
			return;
		}
		free(image->name[i]);
		for (image->headers--; i < image->headers; i++) {
			image->name[i] = image->name[i + 1];
			image->value[i] = image->value[i + 1];
		}
		return;
	}
	if (value[0] != '\0')
		image_insert(image, image->headers, name, value);
}

static void
image_body(struct image *image, const char *data, size_t len)
{
	if (!image->replaced)
		image->body_len = 0;
	image->replaced = true;
	image->body = realloc(image->body, image->body_len + len + 1);
	if (image->body == NULL)
		die("out of memory");
	memcpy(image->body + image->body_len, data, len);
	image->body_len += len;
}

static void
image_write(const struct image *image, bool lead_space)
{
	FILE *file = fopen(opt.dump, "w");

	if (file == NULL)
		die("%s: %s", opt.dump, strerror(errno));
	for (int i = 0; i < image->headers; i++) {
		fprintf(file, "%s:%s", image->name[i], lead_space ? "" : " ");
		for (const char *c = image->value[i]; *c != '\0'; c++)
			fprintf(file, "%s%c", *c == '\n' ? "\r" : "", *c);
		fputs("\r\n", file);
	}
	fputs("\r\n", file);
	fwrite(image->body, 1, image->body_len, file);
	if (fclose(file) != 0)
		die("%s: %s", opt.dump, strerror(errno));
}

/* Takes one NUL-terminated string off the packet. NULL when there is none. */
static const char *
take_string(struct session *s, size_t *pos)
{
	const char *start = s->data + *pos;
	size_t len = strnlen(start, s->data_len - *pos);

	if (*pos + len >= s->data_len)
		return NULL;
	*pos += len + 1;
	return start;
}

static bool
edit_header(struct session *s, bool indexed)
{
	uint32_t index = 0;
	size_t pos = 0;
	const char *name, *value;

	if (indexed) {
		if (s->data_len < 4)
			return fail(s, "edit '%c' too short", s->reply);
		memcpy(&index, s->data, 4);
		index = ntohl(index);
		pos = 4;
	}
	name = take_string(s, &pos);
	value = name ? take_string(s, &pos) : NULL;
	if (value == NULL || pos != s->data_len || name[0] == '\0')
		return fail(s, "edit '%c' malformed", s->reply);
	if (s->reply != 'm')
		signature_note(s, name, value);
	if (s->reply == 'm' || strcasecmp(name, "DKIM-Signature") != 0)
		s->edits |= EDITS_HEADER;
	if (s->image == NULL)
		return true;
	if (s->reply == 'm')
		image_change(s->image, index ? index : 1, name, value);
	else if (s->reply == 'i') /* 0 is above Postfix' own Received, which a filter never sees */
		image_insert(s->image, index ? (int)index - 1 : 0, name, value);
	else
		image_insert(s->image, s->image->headers, name, value);
	return true;
}

static bool
edit_body(struct session *s)
{
	if (s->body_closed)
		return fail(s,
			    "body replacement mixed with other edits: Postfix answers 451 4.3.5");
	s->body_run = true;
	s->edits |= EDITS_BODY;
	if (s->image != NULL)
		image_body(s->image, s->data, s->data_len);
	return true;
}

/* The address of a path; with its angle brackets, as we send them. */
static bool
path_is(const char *path, const char *address)
{
	size_t len = strlen(address);

	return path[0] == '<' && strncmp(path + 1, address, len) == 0 &&
	       strcmp(path + 1 + len, ">") == 0;
}

static bool
edit_sender(struct session *s, const char *path)
{
	size_t len = strlen(path);

	if (len < 2 || path[0] != '<' || path[len - 1] != '>' || len - 2 >= sizeof(s->sender))
		return fail(s, "the new sender is no path: \"%.80s\"", path);
	memcpy(s->sender, path + 1, len - 2);
	s->sender[len - 2] = '\0';
	s->edits |= EDITS_SENDER;
	return true;
}

/* Postfix shrugs at a recipient that it does not have; a filter that names it is confused. */
static bool
edit_rcpt(struct session *s, const char *path)
{
	s->edits |= EDITS_RCPT;
	if (s->reply != '-') {
		s->rcpts_left++;
		return true;
	}
	for (int i = 0; i < opt.rcpts; i++) {
		if (s->rcpt_gone[i] || !path_is(path, s->rcpt[i]))
			continue;
		s->rcpt_gone[i] = true;
		s->rcpts_left--;
		return true;
	}
	return fail(s, "a recipient is deleted that is not there: \"%.80s\"", path);
}

static bool
edit_envelope(struct session *s, bool arguments)
{
	size_t pos = 0;
	const char *path = take_string(s, &pos);
	bool more = pos < s->data_len;

	if (path == NULL || (more && (!arguments || take_string(s, &pos) == NULL)) ||
	    pos != s->data_len)
		return fail(s, "edit '%c' malformed", s->reply);
	return s->reply == 'e' ? edit_sender(s, path) : edit_rcpt(s, path);
}

/* One modification. Postfix does not look whether it was negotiated; a wrong one is an error. */
static bool
edit_take(struct session *s, const struct event *event)
{
	if (event->command != 'E')
		return fail(s, "reply '%c' after %s", s->reply, event->name);
	s->edit_octets += s->data_len + 5;
	if (s->reply != 'b' && s->body_run)
		s->body_closed = true;
	switch (s->reply) {
	case 'm':
	case 'i':
		return edit_header(s, true);
	case 'h':
		return edit_header(s, false);
	case 'b':
		return edit_body(s);
	case 'e':
	case '2':
		return edit_envelope(s, true);
	case '+':
	case '-':
		return edit_envelope(s, false);
	}
	return fail(s, "unknown reply 0x%02x after %s", (unsigned char)s->reply, event->name);
}

/* ---- Events and verdicts ------------------------------------------------------------------- */

static enum verdict
reply_code(struct session *s)
{
	if (s->data_len >= 4 && (s->data[0] == '4' || s->data[0] == '5') &&
	    isdigit((unsigned char)s->data[1]) && isdigit((unsigned char)s->data[2]) &&
	    (s->data[3] == ' ' || s->data[3] == '-'))
		return s->data[0] == '4' ? TEMPFAILED : REJECTED;
	fail(s, "malformed reply code \"%.40s\"", s->data);
	return BROKEN;
}

/* Reads replies until one decides. */
static enum verdict
verdict_read(struct session *s, const struct event *event)
{
	while (packet_receive(s)) {
		if (s->data_len > 0 && strchr("pcadrt4s", s->reply) != NULL) {
			fail(s, "reply '%c' with %zu octets of data", s->reply, s->data_len);
			return BROKEN;
		}
		switch (s->reply) {
		case 'p':
			continue;
		case 's':
			s->skip = event->command;
			return GO_ON;
		case 'c':
			return GO_ON;
		case 'a':
			return ACCEPTED;
		case 't':
			return TEMPFAILED;
		case 'r':
			return REJECTED;
		case 'd':
		case '4':
			return OTHER;
		case 'y':
			return reply_code(s);
		case 'q':
			s->held = true;
			continue;
		}
		if (!edit_take(s, event))
			return BROKEN;
	}
	return BROKEN;
}

/* milter8_event(); the macros of its stage have been built. */
static enum verdict
event_send(struct session *s, const struct event *event, const struct iovec *piece, int pieces)
{
	struct iovec macros[2] = {
		{(void *)(uintptr_t)&event->command, 1},
		{s->macro_packet, s->macro_len},
	};

	if (event->no_send & s->no_events)
		return GO_ON;
	if (s->skip == event->command)
		return GO_ON;
	s->skip = 0;
	if (!packet_send(s, 'D', macros, 2))
		return BROKEN;
	if (event->no_send & s->events) /* Postfix sends the macros all the same */
		return GO_ON;
	if (!packet_send(s, event->command, piece, pieces))
		return BROKEN;
	if (event->no_reply & s->events)
		return GO_ON;
	return verdict_read(s, event);
}

static enum verdict
event_report(struct session *s, const struct event *event, const struct iovec *piece, int pieces)
{
	if (!macros_build(s, event->stage))
		return BROKEN;
	return event_send(s, event, piece, pieces);
}

/* ---- Session: connect, negotiate, greet ---------------------------------------------------- */

static int
connect_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		die("socket path too long: %s", path);
	strcpy(address.sun_path, path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int
connect_inet(const char *where)
{
	static struct sockaddr_in6 storage;
	static socklen_t length;
	static int family;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (length == 0) { /* resolved once: the resolver is not what we measure */
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
		char port[16], host[256];

		if (sscanf(where, "%15[0-9]@%255s", port, host) != 2)
			die("not inet:PORT@HOST: %s", where);
		if (getaddrinfo(host, port, &hints, &found) != 0)
			die("cannot resolve %s", host);
		memcpy(&storage, found->ai_addr, found->ai_addrlen);
		length = found->ai_addrlen;
		family = found->ai_family;
		freeaddrinfo(found);
	}
	pthread_mutex_unlock(&lock);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&storage, length) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* vstream_tweak_tcp(): a buffer of four segments instead of TCP_NODELAY. */
static size_t
stream_size(int fd, bool inet)
{
	int mss = 0;
	socklen_t length = sizeof(mss);

	if (inet && getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &length) == 0 &&
	    mss > STREAM_SIZE / 4)
		return (size_t)mss * 4;
	return STREAM_SIZE;
}

static bool
session_connect(struct session *s)
{
	bool inet = strncmp(opt.socket, "inet:", 5) == 0;
	struct timeval limit = {.tv_sec = opt.timeout};
	size_t size;
	int fd;

	if (!inet && strncmp(opt.socket, "unix:", 5) != 0)
		die("--socket is unix:PATH or inet:PORT@HOST");
	fd = inet ? connect_inet(opt.socket + 5) : connect_unix(opt.socket + 5);
	if (fd < 0)
		return fail(s, "connect: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	size = stream_size(fd, inet);
	if (size > s->wire.out_size) {
		free(s->wire.out);
		s->wire.out = allocate(size);
		s->wire.out_size = size;
	}
	s->wire.fd = fd;
	s->wire.out_len = s->wire.in_pos = s->wire.in_len = 0;
	return true;
}

/* Macro lists behind the three numbers: SMFIF_SETSYMLIST. */
static bool
symlists_read(struct session *s)
{
	size_t pos = 12;

	while (pos < s->data_len) {
		uint32_t stage;
		const char *list;

		if (s->data_len - pos < 4)
			return fail(s, "macro list too short");
		memcpy(&stage, s->data + pos, 4);
		stage = ntohl(stage);
		pos += 4;
		list = take_string(s, &pos);
		if (list == NULL)
			return fail(s, "macro list without an end");
		if (stage < STAGES) {
			free(s->macros[stage]);
			s->macros[stage] = strdup(list);
		}
	}
	return true;
}

static bool
session_negotiate(struct session *s)
{
	uint32_t offer[3] = {htonl(OFFERED_VERSION), htonl(OFFERED_ACTIONS), htonl(OFFERED_EVENTS)};
	uint32_t answer[3];

	if (!packet_send(s, 'O', &(struct iovec){offer, sizeof(offer)}, 1) || !packet_receive(s))
		return false;
	if (s->reply != 'O' || s->data_len < sizeof(answer))
		return fail(s, "reply '%c' of %zu octets to the negotiation", s->reply,
			    s->data_len);
	memcpy(answer, s->data, sizeof(answer));
	if (ntohl(answer[0]) > OFFERED_VERSION || ntohl(answer[0]) < 2)
		return fail(s, "filter wants protocol version %" PRIu32, ntohl(answer[0]));
	s->actions = ntohl(answer[1]);
	s->events = ntohl(answer[2]);
	if (s->actions & ~OFFERED_ACTIONS)
		return fail(s, "filter wants actions 0x%" PRIx32 " that were not offered",
			    s->actions);
	s->lead_space = (s->events & P_HDR_LEADSPC) != 0;
	/* Events younger than the filter's version are never sent. */
	s->no_events = ntohl(answer[0]) < 4 ? P_NO_DATA : 0;
	return symlists_read(s);
}

static enum verdict
session_greet(struct session *s)
{
	bool ipv6 = strchr(opt.client, ':') != NULL;
	char family[3] = {ipv6 ? '6' : '4', (char)(40000 >> 8), (char)(40000 & 0xff)};
	struct iovec client[3] = {
		string_piece("client.bench.example"), {family, 3}, string_piece(opt.client)};
	struct iovec helo = string_piece("client.bench.example");
	enum verdict verdict = event_report(s, &ev_connect, client, 3);

	return verdict == GO_ON ? event_report(s, &ev_helo, &helo, 1) : verdict;
}

/* QUIT as milter8_disc_event() sends it, together with a pending ABORT. */
static void
session_close(struct session *s)
{
	if (s->wire.fd < 0)
		return;
	if (s->error[0] == '\0' && packet_send(s, 'Q', NULL, 0))
		wire_flush(s);
	close(s->wire.fd);
	s->wire.fd = -1;
	macros_forget(s);
	s->skip = 0;
}

/* ---- One message --------------------------------------------------------------------------- */

/* Spreads messages over the domains: neighbours in time are not neighbours in the configuration. */
static unsigned
domain_number(uint64_t message, unsigned domains)
{
	return (unsigned)(message * UINT64_C(2654435761) % domains);
}

/* Writes the number of the message's domain for "%d". */
static void
address_make(char *address, const char *format, uint64_t message, unsigned domains)
{
	const char *mark = strstr(format, "%d");

	if (mark == NULL)
		snprintf(address, ADDRESS_SIZE, "%s", format);
	else
		snprintf(address, ADDRESS_SIZE, "%.*s%u%s", (int)(mark - format), format,
			 domain_number(message, domains), mark + 2);
}

static void
message_prepare(struct session *s, uint64_t number)
{
	s->number = number;
	s->known_id = NULL;
	s->recipient = NULL;
	s->in_cleanup = false;
	s->signatures = 0;
	s->edits = 0;
	s->own_signature = s->held = s->body_run = s->body_closed = false;
	s->edit_octets = 0;
	snprintf(s->queue_id, sizeof(s->queue_id), "4Y%010" PRIX64, number);
	address_make(s->from, opt.from, number, opt.domains);
	strcpy(s->sender, s->from);
	for (int i = 0; i < opt.rcpts; i++) {
		address_make(s->rcpt[i], opt.rcpt[i], number, opt.rcpt_domains);
		s->rcpt_gone[i] = false;
	}
	s->rcpts_left = opt.rcpts;
}

static enum verdict
envelope_send(struct session *s)
{
	char address[300], size[32];
	struct iovec mail[2];
	enum verdict verdict;

	snprintf(address, sizeof(address), "<%s>", s->from);
	snprintf(size, sizeof(size), "SIZE=%zu", opt.size);
	mail[0] = string_piece(address);
	mail[1] = string_piece(size);
	verdict = event_report(s, &ev_mail, mail, 2);
	for (int i = 0; verdict == GO_ON && i < opt.rcpts; i++) {
		snprintf(address, sizeof(address), "<%s>", s->rcpt[i]);
		s->recipient = s->rcpt[i];
		verdict =
			event_report(s, &ev_rcpt, &(struct iovec){address, strlen(address) + 1}, 1);
		s->known_id = s->queue_id; /* the queue file is opened after the first good RCPT */
	}
	if (verdict == GO_ON)
		verdict = event_report(s, &ev_data, NULL, 0);
	/* smtpd hands the socket to cleanup: milter8_send() */
	if (verdict == GO_ON && !wire_flush(s))
		verdict = BROKEN;
	return verdict;
}

static void
header_value(const struct session *s, const struct header_line *line, char *value, size_t size)
{
	const char *const fills[] = {
		[FILL_FROM] = s->from, [FILL_TO] = s->rcpt[0], [FILL_ID] = s->queue_id};
	const char *mark = line->fill != FILL_NOTHING ? strstr(line->value, "%s") : NULL;
	const char *space = s->lead_space ? " " : ""; /* else Postfix eats the first space */

	if (mark == NULL)
		snprintf(value, size, "%s%s", space, line->value);
	else
		snprintf(value, size, "%s%.*s%s%s", space, (int)(mark - line->value), line->value,
			 fills[line->fill], mark + 2);
}

static enum verdict
headers_send(struct session *s)
{
	enum verdict verdict = GO_ON;
	char value[VALUE_SIZE];

	if (!macros_build(s, STAGE_EOH))
		return BROKEN;
	for (int i = 0; verdict == GO_ON && i < header_count; i++) {
		const char *name = header_lines[i].name;

		header_value(s, &header_lines[i], value, sizeof(value));
		if (s->image != NULL)
			image_insert(s->image, HEADERS_MAX, name, value);
		struct iovec header[2] = {string_piece(name), string_piece(value)};
		if ((s->events & P_NO_HDRS) == 0)
			verdict = event_send(s, &ev_header, header, 2);
	}
	if (verdict == GO_ON && (s->events & P_NO_EOH) == 0)
		verdict = event_send(s, &ev_eoh, NULL, 0);
	return verdict;
}

static enum verdict
body_send(struct session *s)
{
	enum verdict verdict = GO_ON;

	if (!macros_build(s, STAGE_EOM))
		return BROKEN;
	for (size_t at = 0; verdict == GO_ON && at < body_size && (s->events & P_NO_BODY) == 0;) {
		size_t n = body_size - at < CHUNK_SIZE ? body_size - at : CHUNK_SIZE;

		verdict = event_send(s, &ev_body, &(struct iovec){body + at, n}, 1);
		at += n;
	}
	if (verdict == GO_ON)
		verdict = event_send(s, &ev_eob, NULL, 0);
	return verdict;
}

/* Everything from MAIL to the verdict. GO_ON at the end means "continue": the mail is accepted. */
static enum verdict
message_send(struct session *s)
{
	enum verdict verdict = envelope_send(s);

	s->in_cleanup = true;
	if (verdict == GO_ON)
		verdict = headers_send(s);
	if (verdict == GO_ON)
		verdict = body_send(s);
	s->in_cleanup = false;
	if (verdict == GO_ON)
		verdict = ACCEPTED;
	if (verdict == ACCEPTED && s->rcpts_left == 0) {
		fail(s, "no recipient is left: the mail is lost");
		verdict = BROKEN;
	}
	/* smtpd: mail_reset() aborts after every message; it travels with what comes next */
	if (verdict != BROKEN && !packet_send(s, 'A', NULL, 0))
		verdict = BROKEN;
	return verdict;
}

static void
message_count(struct session *s, struct tally *tally, enum verdict verdict, uint64_t spent)
{
	bool signed_well = s->own_signature && s->signatures >= opt.signatures;
	bool edited_well = opt.expect_edits == EDITS_ANY || s->edits == opt.expect_edits;

	tally->verdicts[verdict]++;
	tally->edit_octets += s->edit_octets;
	tally->held += s->held;
	if (verdict != ACCEPTED)
		return;
	if (!signed_well)
		tally->unsigned_messages++;
	tally->other_edits += !edited_well;
	if (s->held || !edited_well || (opt.expect_signed && !signed_well))
		return;
	tally->good++;
	latency[s->number] = spent ? spent : 1;
}

static void
envelope_write(const struct session *s)
{
	FILE *file = fopen(opt.dump_envelope, "w");

	if (file == NULL)
		die("%s: %s", opt.dump_envelope, strerror(errno));
	fprintf(file, "MAIL FROM:<%s>\n", s->sender);
	for (int i = 0; i < opt.rcpts; i++)
		if (!s->rcpt_gone[i])
			fprintf(file, "RCPT TO:<%s>\n", s->rcpt[i]);
	if (fclose(file) != 0)
		die("%s: %s", opt.dump_envelope, strerror(errno));
}

static void
message_run(struct session *s, struct tally *tally, uint64_t number)
{
	struct image image = {0};
	enum verdict verdict;
	uint64_t start;

	message_prepare(s, number);
	if (opt.dump != NULL && number == 0) {
		image_body(&image, body, body_size);
		image.replaced = false;
		s->image = &image;
	}
	start = now_ns();
	verdict = message_send(s);
	message_count(s, tally, verdict, now_ns() - start);
	if (s->image != NULL && verdict == ACCEPTED)
		image_write(&image, s->lead_space);
	if (opt.dump_envelope != NULL && number == 0 && verdict == ACCEPTED)
		envelope_write(s);
	s->image = NULL;
	for (int i = 0; i < image.headers; i++) {
		free(image.name[i]);
		free(image.value[i]);
	}
	free(image.body);
}

/* ---- Threads ------------------------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	struct tally tally;
	uint64_t finished;
};

static pthread_barrier_t start_line;
static uint64_t started; /* when the barrier was opened, ns */

static void
session_complain(struct session *s, struct tally *tally, uint64_t not_sent)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (atomic_fetch_add(&errors, 1) < 10)
		fprintf(stderr, "milterload: message %" PRIu64 ": %s\n", s->number, s->error);
	pthread_mutex_unlock(&lock);
	tally->verdicts[BROKEN] += not_sent;
	s->error[0] = '\0';
}

/* Until a message may begin. */
static void
wait_turn(uint64_t number)
{
	uint64_t due = opt.rate == 0 ? 0 : started + number * 1000000000 / opt.rate;
	struct timespec until = {(time_t)(due / 1000000000), (long)(due % 1000000000)};

	while (due > now_ns() && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* One SMTP session: messages first .. end-1 on one connection. */
static void
session_run(struct session *s, struct tally *tally, uint64_t first, uint64_t end)
{
	uint64_t begun, number = first;
	enum verdict verdict;

	wait_turn(first);
	begun = now_ns();
	s->number = first;
	s->from[0] = '\0';
	if (!session_connect(s) || !session_negotiate(s) ||
	    (verdict = session_greet(s)) == BROKEN) {
		session_complain(s, tally, end - first);
		s->error[0] = 'x'; /* no QUIT on a broken line */
		session_close(s);
		s->error[0] = '\0';
		return;
	}
	setup[first] = now_ns() - begun;
	tally->sessions++;
	if (verdict != GO_ON) { /* a verdict on the whole session */
		for (; number < end; number++) {
			message_prepare(s, number);
			message_count(s, tally, verdict, 1);
		}
		session_close(s);
		return;
	}
	for (; number < end && s->error[0] == '\0'; number++) {
		wait_turn(number);
		message_run(s, tally, number);
	}
	whole[first] = now_ns() - begun;
	if (s->error[0] != '\0') {
		close(s->wire.fd);
		s->wire.fd = -1;
		macros_forget(s);
		session_complain(s, tally, end - number);
		return;
	}
	session_close(s);
}

static void *
worker_run(void *argument)
{
	struct worker *worker = argument;
	struct session *s = allocate(sizeof(*s));

	s->wire.fd = -1;
	pthread_barrier_wait(&start_line);
	while (atomic_load(&errors) < ERRORS_MAX) {
		uint64_t first = atomic_fetch_add(&next_message, opt.per_session);

		if (first >= opt.messages)
			break;
		uint64_t end = first + opt.per_session;
		session_run(s, &worker->tally, first, end < opt.messages ? end : opt.messages);
	}
	worker->finished = now_ns();
	free(s->wire.out);
	free(s->data);
	free(s);
	return NULL;
}

/* ---- What the filter used ------------------------------------------------------------------ */

struct usage {
	uint64_t cpu_ns;
	uint64_t rss_kib, peak_kib;
	unsigned processes;
};

static pid_t
parent_of(pid_t pid)
{
	char path[64], line[512];
	const char *after;
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((file = fopen(path, "r")) == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL && (after = strrchr(line, ')')) != NULL)
		sscanf(after + 1, " %*c %d", &parent);
	fclose(file);
	return parent;
}

static bool
in_tree(pid_t pid)
{
	for (int depth = 0; pid > 1 && depth < 64; depth++) {
		if (pid == opt.pid)
			return true;
		pid = parent_of(pid);
	}
	return false;
}

static void
memory_add(struct usage *usage, pid_t pid)
{
	char path[64], line[256];
	uint64_t value;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if ((file = fopen(path, "r")) == NULL)
		return;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "VmRSS: %" SCNu64, &value) == 1)
			usage->rss_kib += value;
		else if (sscanf(line, "VmHWM: %" SCNu64, &value) == 1)
			usage->peak_kib += value;
	}
	fclose(file);
}

/* The CPU clock of a foreign process: /proc's utime + stime, but in ns instead of 10 ms. */
static struct usage
usage_take(void)
{
	struct usage usage = {0};
	struct dirent *entry;
	DIR *proc = opt.pid > 0 ? opendir("/proc") : NULL;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		struct timespec t;
		clockid_t clock;

		if (pid <= 0 || !in_tree(pid) || clock_getcpuclockid(pid, &clock) != 0 ||
		    clock_gettime(clock, &t) != 0)
			continue;
		usage.cpu_ns += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
		usage.processes++;
		memory_add(&usage, pid);
	}
	if (proc != NULL)
		closedir(proc);
	if (opt.pid > 0 && usage.processes == 0)
		die("no process %d", (int)opt.pid);
	return usage;
}

static uint64_t
own_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- Report -------------------------------------------------------------------------------- */

struct spread {
	double p50, p90, p99, max; /* us */
};

static int
compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts what is there (0 = empty slot) and picks the ranks. Reorders the table. */
static struct spread
spread_of(uint64_t *table, uint64_t slots)
{
	struct spread spread = {0};
	uint64_t n = 0;

	for (uint64_t i = 0; i < slots; i++)
		if (table[i] != 0)
			table[n++] = table[i];
	if (n == 0)
		return spread;
	qsort(table, n, sizeof(*table), compare_ns);
	spread.p50 = (double)table[(n - 1) * 50 / 100] / 1e3;
	spread.p90 = (double)table[(n - 1) * 90 / 100] / 1e3;
	spread.p99 = (double)table[(n - 1) * 99 / 100] / 1e3;
	spread.max = (double)table[n - 1] / 1e3;
	return spread;
}

static void
spread_print(const char *name, struct spread s, bool json)
{
	printf(json ? "\"%s\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}, "
		    : "%-24s p50 %.1f  p90 %.1f  p99 %.1f  max %.1f\n",
	       name, s.p50, s.p90, s.p99, s.max);
}

static void
number_print(const char *name, double value, int decimals)
{
	printf(opt.json ? "\"%s\": %.*f, " : "%-24s %.*f\n", name, decimals, value);
}

static void
report(const struct tally *t, double seconds, double filter_us, double own_us, struct usage after)
{
	double good = (double)t->good;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{"messages", t->good},
		{"accepted", t->verdicts[ACCEPTED]},
		{"tempfail", t->verdicts[TEMPFAILED]},
		{"reject", t->verdicts[REJECTED]},
		{"other", t->verdicts[OTHER]},
		{"broken", t->verdicts[BROKEN]},
		{"unsigned", t->unsigned_messages},
		{"other_edits", t->other_edits},
		{"held", t->held},
		{"errors", errors},
		{"sessions", t->sessions},
		{"edit_octets", t->edit_octets},
	};

	if (opt.json)
		putchar('{');
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		number_print(counts[i].name, (double)counts[i].value, 0);
	number_print("seconds", seconds, 4);
	number_print("messages_per_second", (double)t->good / seconds, 1);
	spread_print("latency_us", spread_of(latency, opt.messages), opt.json);
	spread_print("setup_us", spread_of(setup, opt.messages), opt.json);
	spread_print("session_us", spread_of(whole, opt.messages), opt.json);
	if (opt.pid > 0) {
		if (t->good > 0)
			number_print("cpu_us_per_message", filter_us / good, 2);
		number_print("filter_cores", filter_us / 1e6 / seconds, 3);
		number_print("rss_kib", (double)after.rss_kib, 0);
		number_print("peak_kib", (double)after.peak_kib, 0);
	}
	if (t->good > 0) /* with none, no figure: the exit status tells */
		number_print("generator_cpu_us_per_message", own_us / good, 2);
	if (opt.json)
		printf("\"size\": %zu}\n", opt.size);
}

static void
tally_add(struct tally *sum, const struct tally *t)
{
	for (int i = 0; i < VERDICTS; i++)
		sum->verdicts[i] += t->verdicts[i];
	sum->good += t->good;
	sum->unsigned_messages += t->unsigned_messages;
	sum->other_edits += t->other_edits;
	sum->held += t->held;
	sum->edit_octets += t->edit_octets;
	sum->sessions += t->sessions;
}

/* Runs all connections to the end. Exit status: 0 only when every message was a good one. */
static int
load_run(void)
{
	struct worker *workers = allocate(opt.connections * sizeof(*workers));
	struct usage before, after;
	struct tally sum = {0};
	uint64_t start, end = 0, own;
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 << 10);
	pthread_barrier_init(&start_line, NULL, opt.connections + 1);
	for (unsigned i = 0; i < opt.connections; i++)
		if (pthread_create(&workers[i].thread, &attributes, worker_run, &workers[i]) != 0)
			die("cannot start thread %u", i);
	before = usage_take();
	own = own_cpu_ns();
	start = started = now_ns();
	pthread_barrier_wait(&start_line);
	for (unsigned i = 0; i < opt.connections; i++) {
		pthread_join(workers[i].thread, NULL);
		tally_add(&sum, &workers[i].tally);
		if (workers[i].finished > end)
			end = workers[i].finished;
	}
	own = own_cpu_ns() - own;
	after = usage_take();
	report(&sum, (double)(end - start) / 1e9, (double)(after.cpu_ns - before.cpu_ns) / 1e3,
	       (double)own / 1e3, after);
	free(workers);
	return sum.good == opt.messages && errors == 0 ? 0 : 1;
}

/* ---- Command line -------------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: milterload --socket unix:PATH|inet:PORT@HOST [options]\n"
	"  --messages N      messages in all (1000)\n"
	"  --connections C   sessions at a time, one thread each (1)\n"
	"  --per-session N   messages in one session (1)\n"
	"  --rate N          begin no more than N messages a second in all, evenly (no limit)\n"
	"  --size OCTETS     size of a message, headers included (4096)\n"
	"  --message FILE    send this one, CRLF and all; From:, To:, Message-ID: are ours (none)\n"
	"  --from ADDR       From: and MAIL FROM; %d = number of a domain (sender@example.com)\n"
	"  --domains N       %d runs from 0 to N-1 (1)\n"
	"  --rcpt ADDR       recipient; may be given several times (rcpt@example.org); %d as in "
	"--from\n"
	"  --rcpt-domains N  its %d runs from 0 to N-1 (1)\n"
	"  --auth LOGIN      client is authenticated: {auth_authen}\n"
	"  --client IP       address of the SMTP client (127.0.0.1)\n"
	"  --pid PID         the filter: its CPU and memory, children included\n"
	"  --expect signed|none  what makes a message a good one (signed)\n"
	"  --signatures N    with \"signed\": at least so many DKIM-Signature fields (1)\n"
	"  --expect-edits LIST  and which edits it must get, no more and no less: header,body,\n"
	"                    sender,rcpt or none (any; a DKIM-Signature is no header edit)\n"
	"  --dump FILE       write message 0 as the MTA holds it after the filter's edits\n"
	"  --dump-envelope FILE  and its sender and those of its recipients that are left\n"
	"  --timeout SECONDS without a reply this is an error (30)\n"
	"  --json            one JSON object instead of lines\n"
	"Exit status: 0 all messages good, 1 not all, 2 usage or environment.\n";

enum {
	O_SOCKET = 256,
	O_MESSAGES,
	O_CONNECTIONS,
	O_SESSION,
	O_RATE,
	O_SIZE,
	O_MESSAGE,
	O_FROM,
	O_DOMAINS,
	O_RCPT,
	O_RCPT_DOMAINS,
	O_AUTH,
	O_CLIENT,
	O_PID,
	O_EXPECT,
	O_SIGNATURES,
	O_EDITS,
	O_DUMP,
	O_ENVELOPE,
	O_TIMEOUT,
	O_JSON,
	O_HELP
};

static const struct option long_options[] = {
	{"socket", required_argument, NULL, O_SOCKET},
	{"messages", required_argument, NULL, O_MESSAGES},
	{"connections", required_argument, NULL, O_CONNECTIONS},
	{"per-session", required_argument, NULL, O_SESSION},
	{"rate", required_argument, NULL, O_RATE},
	{"size", required_argument, NULL, O_SIZE},
	{"message", required_argument, NULL, O_MESSAGE},
	{"from", required_argument, NULL, O_FROM},
	{"domains", required_argument, NULL, O_DOMAINS},
	{"rcpt", required_argument, NULL, O_RCPT},
	{"rcpt-domains", required_argument, NULL, O_RCPT_DOMAINS},
	{"auth", required_argument, NULL, O_AUTH},
	{"client", required_argument, NULL, O_CLIENT},
	{"pid", required_argument, NULL, O_PID},
	{"expect", required_argument, NULL, O_EXPECT},
	{"signatures", required_argument, NULL, O_SIGNATURES},
	{"expect-edits", required_argument, NULL, O_EDITS},
	{"dump", required_argument, NULL, O_DUMP},
	{"dump-envelope", required_argument, NULL, O_ENVELOPE},
	{"timeout", required_argument, NULL, O_TIMEOUT},
	{"json", no_argument, NULL, O_JSON},
	{"help", no_argument, NULL, O_HELP},
	{NULL, 0, NULL, 0},
};

static uint64_t
number_option(const char *text, uint64_t low, uint64_t high)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (end == text || *end != '\0' || value < low || value > high)
		die("not a number from %" PRIu64 " to %" PRIu64 ": %s", low, high, text);
	return value;
}

static bool
expect_option(const char *text)
{
	if (strcmp(text, "signed") != 0 && strcmp(text, "none") != 0)
		die("--expect is signed or none");
	return strcmp(text, "signed") == 0;
}

/* "none", or kinds with commas between them. */
static int
edits_option(const char *text)
{
	static const struct {
		const char *word;
		int bit;
	} kinds[] = {{"none", 0},
		     {"header", EDITS_HEADER},
		     {"body", EDITS_BODY},
		     {"sender", EDITS_SENDER},
		     {"rcpt", EDITS_RCPT}};
	int edits = 0;

	for (;; text++) {
		size_t len = strcspn(text, ","), i = 0, n = sizeof(kinds) / sizeof(kinds[0]);

		while (i < n && (strlen(kinds[i].word) != len || memcmp(kinds[i].word, text, len)))
			i++;
		if (i == n)
			die("--expect-edits is none or some of header,body,sender,rcpt");
		edits |= kinds[i].bit;
		text += len;
		if (*text == '\0')
			return edits;
	}
}

static void
rcpt_option(const char *address)
{
	if (opt.rcpts == RCPT_MAX)
		die("more than %d recipients", RCPT_MAX);
	opt.rcpt[opt.rcpts++] = address;
}

/* What is sent. False: not one of these. */
static bool
option_of_message(int option, const char *value)
{
	switch (option) {
	case O_SIZE:
		opt.size = number_option(value, 1, 1 << 30);
		return true;
	case O_MESSAGE:
		opt.message = value;
		return true;
	case O_FROM:
		opt.from = value;
		return true;
	case O_DOMAINS:
		opt.domains = (unsigned)number_option(value, 1, 100000000);
		return true;
	case O_RCPT:
		rcpt_option(value);
		return true;
	case O_RCPT_DOMAINS:
		opt.rcpt_domains = (unsigned)number_option(value, 1, 100000000);
		return true;
	case O_AUTH:
		opt.auth = value;
		return true;
	case O_CLIENT:
		opt.client = value;
		return true;
	}
	return false;
}

/* What must come back, and where it goes. False: not one of these. */
static bool
option_of_result(int option, const char *value)
{
	switch (option) {
	case O_EXPECT:
		opt.expect_signed = expect_option(value);
		return true;
	case O_SIGNATURES:
		opt.signatures = (unsigned)number_option(value, 1, 100);
		return true;
	case O_EDITS:
		opt.expect_edits = edits_option(value);
		return true;
	case O_DUMP:
		opt.dump = value;
		return true;
	case O_ENVELOPE:
		opt.dump_envelope = value;
		return true;
	case O_JSON:
		opt.json = true;
		return true;
	}
	return false;
}

static void
option_take(int option, const char *value)
{
	if (option_of_message(option, value) || option_of_result(option, value))
		return;
	switch (option) {
	case O_SOCKET:
		opt.socket = value;
		break;
	case O_MESSAGES:
		opt.messages = number_option(value, 1, 100000000);
		break;
	case O_CONNECTIONS:
		opt.connections = (unsigned)number_option(value, 1, 10000);
		break;
	case O_SESSION:
		opt.per_session = number_option(value, 1, 100000000);
		break;
	case O_RATE:
		opt.rate = number_option(value, 1, 1000000);
		break;
	case O_PID:
		opt.pid = (pid_t)number_option(value, 1, 1 << 30);
		break;
	case O_TIMEOUT:
		opt.timeout = (unsigned)number_option(value, 1, 86400);
		break;
	case O_HELP:
		fputs(usage_text, stdout);
		exit(0);
	default:
		fputs(usage_text, stderr);
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		option_take(option, optarg);
	if (optind != argc || opt.socket == NULL) {
		fputs(usage_text, stderr);
		return 2;
	}
	if (opt.rcpts == 0)
		rcpt_option("rcpt@example.org");
	signal(SIGPIPE, SIG_IGN);
	if (opt.message != NULL)
		message_load();
	else
		body_make();
	latency = allocate(opt.messages * sizeof(*latency));
	setup = allocate(opt.messages * sizeof(*setup));
	whole = allocate(opt.messages * sizeof(*whole));
	return load_run();
}
