/*
 * reinject - hands messages to an MTA again, by SMTP; see reinject.h, core/injector.h.
 *
 * The caller takes those recipients off its message that we report as taken: one reported wrongly
 * is lost mail, one missing from the report is a duplicate at worst.  So a recipient counts as
 * taken only when RCPT got 2xx, the final dot got 2xx, libcurl found no error, and nothing about
 * the dialogue was odd.  libcurl does not tell the fate of single recipients; its debug callback
 * shows commands and replies in their order, and struct dialogue (smtp_dialogue.h) pairs them.  What it does not
 * expect (a reply too many, garbage, a command without the very address) breaks the dialogue:
 * no more data is read from us, so that the final dot is never sent, and nothing is taken.
 *
 * One connection and one handle an injection.  A kept connection would save little, and cost the
 * question what a server means that closes it just then.
 *
 * What libcurl (7.88) does that has to be kept away from:
 *	- a domain with octets over 127 becomes A-labels: such addresses are refused here.
 *	- with CURLOPT_INFILESIZE it counts octets after dot-stuffing against a size before it:
 *	  where the two meet at the end of a chunk, the message is cut off there and a final dot
 *	  sent.  The size is given only where no line begins with a dot; else MAIL has no SIZE=.
 *	- a reply that came too early waits in its buffer and is taken for the answer to the next
 *	  command, or to the final dot.  TCP_INFO tells how much the server has sent, seen or not.
 *	- CURLOPT_LOW_SPEED_TIME counts the silence before the reply to the final dot, and a server
 *	  that is slow there is no reason for a duplicate: the limit for the whole is the only one.
 *	- when that has passed it says QUIT and waits for two minutes more; on_progress() ends that.
 *
 * Ownership: all of an injection hangs on one struct transfer, on the stack of the call; message
 * and recipients are the caller's.  Lines are sent as they are: a message with a bare CR, a bare LF
 * or a NUL is not sent at all, since the next MTA might see another end of it than we do (SMTP
 * smuggling).
 */
#include "io/reinject.h"

#include "base/buf.h"
#include "io/smtp_dialogue.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if LIBCURL_VERSION_NUM < 0x080200 /* where the name lost its third L */
#define CURLOPT_MAIL_RCPT_ALLOWFAILS CURLOPT_MAIL_RCPT_ALLLOWFAILS
#endif

#define ADDRESS_MAX 2000  /* octets; Postfix takes command lines of 2048 */
#define QUIT_WAIT 1000000 /* microseconds for the reply to QUIT */

static const struct reinject_limits usual_limits = {10000, 120000};

struct transfer {
	const struct injection *injection;
	const struct reinject_limits *limits;
	struct buf head;   /* top, fields, empty line */
	size_t sent;       /* octets of head and body handed to libcurl */
	bool dots;         /* a line begins with a dot */
	GHashTable *index; /* address -> its place in dialogue.rcpts, from 1 */
	struct dialogue dialogue;
	char error[CURL_ERROR_SIZE];
};

/* ---- what can be sent ---- */

/* NULL, or why libcurl must not get an address. */
static const char *
address_refusal(const char *address)
{
	const char *at = strchr(address, '@'); /* libcurl takes the first for the domain's */

	if (strlen(address) > ADDRESS_MAX)
		return "the address is too long";
	for (const unsigned char *p = (const unsigned char *)address; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f || *p == '<' || *p == '>')
			return "the address has a control character or an angle bracket";
		if (*p > 0x7f && at != NULL && (const char *)p > at)
			return "the domain is not ASCII and would be changed";
	}
	return NULL;
}

/* True if lines end with CRLF (the last may have no end) and no CR, LF or NUL stands elsewhere. */
static bool
lines_are_clean(const char *data, size_t len, bool *dots)
{
	const char *end, *p = data;

	if (len == 0)
		return true;
	if (memchr(data, '\0', len) != NULL)
		return false;
	for (end = data + len; p < end;) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *cr = memchr(p, '\r', (size_t)((lf != NULL ? lf : end) - p));

		if (lf != NULL ? cr == NULL || cr + 1 != lf : cr != NULL)
			return false;
		*dots = *dots || *p == '.';
		p = lf != NULL ? lf + 1 : end;
	}
	return true;
}

/* Appends a field in its form on the wire; false if it is none, or a fold would end it. */
static bool
add_field(struct buf *head, const struct field *f)
{
	const char *value = f->value, *end = value + f->value_len, *lf;

	for (size_t i = 0; i < f->name_len; i++)
		if (f->name[i] < 0x21 || f->name[i] > 0x7e || f->name[i] == ':')
			return false;
	buf_add(head, f->name, f->name_len);
	buf_puts(head, ":");
	while ((lf = memchr(value, '\n', (size_t)(end - value))) != NULL) {
		if (lf + 1 == end || (lf[1] != ' ' && lf[1] != '\t'))
			return false;
		buf_add(head, value, (size_t)(lf - value));
		buf_puts(head, "\r\n");
		value = lf + 1;
	}
	buf_add(head, value, (size_t)(end - value));
	buf_puts(head, "\r\n");
	return f->name_len > 0;
}

/* Fields of our own: whole lines, none of them empty. */
static bool
top_is_clean(const char *top)
{
	return top[0] == '\0' ||
	       (top[0] != '\r' && g_str_has_suffix(top, "\r\n") && strstr(top, "\r\n\r\n") == NULL);
}

/* Writes the header and looks through the message: NULL, or why it cannot be sent. */
static const char *
transfer_prepare(struct transfer *t)
{
	const struct message *m = t->injection->message;
	bool fields = top_is_clean(t->injection->top);

	if (!m->sealed || m->damaged || m->too_large)
		return "the message is incomplete";
	buf_reserve(&t->head, strlen(t->injection->top) + m->header.len + 2 * m->fields->len + 3);
	buf_puts(&t->head, t->injection->top);
	for (guint i = 0; fields && i < m->fields->len; i++)
		fields = add_field(&t->head, &g_array_index(m->fields, struct field, i));
	buf_puts(&t->head, "\r\n");
	if (buf_failed(&t->head))
		return "out of memory";
	if (!lines_are_clean(t->head.data, t->head.len, &t->dots) ||
	    !lines_are_clean(m->body.data, m->body.len, &t->dots))
		return "bare CR or LF, or NUL, in the message";
	return fields ? NULL : "malformed header field";
}

/* Chooses the recipients to send, each address once. */
static void
transfer_choose(struct transfer *t)
{
	const GPtrArray *rcpts = t->injection->rcpts;
	struct dialogue *d = &t->dialogue;

	for (guint i = 0; i < rcpts->len; i++) {
		char *rcpt = g_ptr_array_index(rcpts, i);
		const char *refusal = rcpt[0] == '\0' ? "no address" : address_refusal(rcpt);

		if (refusal == NULL && !g_hash_table_contains(t->index, rcpt)) {
			g_ptr_array_add(d->rcpts, rcpt);
			g_hash_table_insert(t->index, rcpt, GUINT_TO_POINTER(d->rcpts->len));
		} else if (refusal != NULL && d->rcpt_failure == NULL) {
			GString *text = g_string_new("RCPT <");

			dialogue_printable(text, rcpt, strlen(rcpt));
			g_string_append_printf(text, ">: not sent: %s", refusal);
			d->rcpt_failure = g_string_free(text, FALSE);
		}
	}
	d->accepted = g_new0(bool, d->rcpts->len + 1);
}

/* ---- libcurl ---- */

static int
on_debug(CURL *curl, curl_infotype type, char *data, size_t len, void *user)
{
	struct dialogue *d = user;

	(void)curl;
	if (type == CURLINFO_HEADER_OUT)
		dialogue_commands(d, data, len);
	if (type == CURLINFO_HEADER_IN) {
		d->octets_seen += len;
		dialogue_replies(d, data, len);
	}
	return 0;
}

static int
on_socket(void *user, curl_socket_t fd, curlsocktype purpose)
{
	struct dialogue *d = user;

	(void)purpose;
	d->socket = d->sockets++ == 0 ? fd : -1; /* several addresses are tried at once */
	return CURL_SOCKOPT_OK;
}

static int
on_close(void *user, curl_socket_t fd)
{
	struct dialogue *d = user;

	d->sockets--;
	if (d->socket == fd)
		d->socket = -1;
	return close(fd);
}

/* Called before each wait and about every second during one; other than 0 ends it. */
static int
on_progress(void *user, curl_off_t in_all, curl_off_t in, curl_off_t out_all, curl_off_t out)
{
	const struct dialogue *d = user;

	(void)in_all, (void)in, (void)out_all, (void)out;
	return d->broken || (d->quit != 0 && g_get_monotonic_time() - d->quit > QUIT_WAIT);
}

/* Copies what is left of a piece of the message behind octet at of it, as far as it fits. */
static size_t
copy_piece(const struct buf *piece, size_t at, char *out, size_t room)
{
	size_t n = MIN(room, piece->len - at);

	if (n > 0)
		memcpy(out, piece->data + at, n);
	return n;
}

static size_t
on_read(char *out, size_t size, size_t items, void *user)
{
	struct transfer *t = user;
	const struct buf *head = &t->head, *body = &t->injection->message->body;
	size_t room = size * items, n = 0;

	if (t->dialogue.broken)
		return CURL_READFUNC_ABORT;
	if (t->sent < head->len)
		n = copy_piece(head, t->sent, out, room);
	if (t->sent + n >= head->len)
		n += copy_piece(body, t->sent + n - head->len, out + n, room - n);
	t->sent += n;
	if (t->sent == head->len + body->len && !dialogue_end(&t->dialogue))
		return CURL_READFUNC_ABORT;
	return n;
}

static bool
set_options(CURL *curl, struct transfer *t, struct curl_slist *rcpts)
{
	size_t size = t->head.len + t->injection->message->body.len;
	int bad = 0;

#define SET(option, value) (bad |= curl_easy_setopt(curl, option, value) != CURLE_OK)
	SET(CURLOPT_URL, t->injection->url);
	SET(CURLOPT_PROXY, ""); /* none from the environment either */
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_USE_SSL, (long)CURLUSESSL_NONE);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, t->limits->connect_ms);
	SET(CURLOPT_TIMEOUT_MS, t->limits->whole_ms);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_VERBOSE, 1L);
	SET(CURLOPT_DEBUGFUNCTION, on_debug);
	SET(CURLOPT_DEBUGDATA, &t->dialogue);
	SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
	SET(CURLOPT_SOCKOPTDATA, &t->dialogue);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
	SET(CURLOPT_CLOSESOCKETDATA, &t->dialogue);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, &t->dialogue);
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_READFUNCTION, on_read);
	SET(CURLOPT_READDATA, t);
	if (!t->dots)
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	if (t->injection->message->sender[0] != '\0') /* without it: MAIL FROM:<> */
		SET(CURLOPT_MAIL_FROM, t->injection->message->sender);
	SET(CURLOPT_MAIL_RCPT, rcpts);
	SET(CURLOPT_MAIL_RCPT_ALLOWFAILS, 1L);
#undef SET
	return bad == 0;
}

/* Holds the dialogue; true if libcurl has nothing to say against its success. */
static bool
transfer_run(struct transfer *t)
{
	struct dialogue *d = &t->dialogue;
	CURL *curl = curl_easy_init();
	CURLcode code = CURLE_FAILED_INIT;
	struct curl_slist *rcpts = NULL;
	bool ok = curl != NULL;

	for (guint i = 0; ok && i < d->rcpts->len; i++) {
		struct curl_slist *more = curl_slist_append(rcpts, g_ptr_array_index(d->rcpts, i));

		ok = more != NULL;
		rcpts = ok ? more : rcpts;
	}
	if (ok && set_options(curl, t, rcpts))
		code = curl_easy_perform(curl);
	/* Where all recipients were refused libcurl says no more than we know. */
	if (code != CURLE_OK && (d->stage != STAGE_RCPT || d->waiting || d->rcpt_failure == NULL))
		dialogue_fail(d, t->error[0] != '\0' ? t->error : curl_easy_strerror(code));
	curl_easy_cleanup(curl); /* may still close the socket */
	curl_slist_free_all(rcpts);
	return code == CURLE_OK;
}

/* What the whole injection, or its sender, must not be; NULL if all is well. */
static char *
transfer_refusal(struct transfer *t)
{
	const char *url = t->injection->url;
	const char *refusal = NULL;

	if (g_ascii_strncasecmp(url, "smtp://", 7) != 0 || strchr(url, '@') != NULL)
		refusal = "not an smtp:// URL";
	else if ((refusal = address_refusal(t->injection->message->sender)) != NULL)
		return g_strdup_printf("MAIL: not sent: %s", refusal);
	else
		refusal = transfer_prepare(t);
	return refusal != NULL ? g_strdup_printf("not sent: %s", refusal) : NULL;
}

/* The line for the log. */
static char *
explain(const struct transfer *t)
{
	const struct dialogue *d = &t->dialogue;
	const char *first = d->rcpt_failure, *second = d->failure;
	GString *out = g_string_new("");

	dialogue_printable(out, t->injection->url, strlen(t->injection->url));
	if (first != NULL)
		g_string_append_printf(out, ": %s", first);
	if (second != NULL)
		g_string_append_printf(out, "%s %s", first != NULL ? ";" : ":", second);
	return g_string_free(out, FALSE);
}

static guint
send_injection(void *context, const struct injection *injection, bool *taken, char **why)
{
	struct transfer t = {.injection = injection, .limits = context, .head = BUF_INIT};
	struct dialogue *d = &t.dialogue;
	bool ok = false;
	guint count = 0;

	t.index = g_hash_table_new(g_str_hash, g_str_equal);
	dialogue_start(d, injection->message->sender);
	transfer_choose(&t);
	d->failure = transfer_refusal(&t);
	if (d->failure == NULL && d->rcpts->len > 0)
		ok = transfer_run(&t) && d->ended && !d->broken && d->failure == NULL;
	for (guint i = 0; i < injection->rcpts->len; i++) {
		guint place = GPOINTER_TO_UINT(
			g_hash_table_lookup(t.index, g_ptr_array_index(injection->rcpts, i)));

		taken[i] = ok && place > 0 && d->accepted[place - 1];
		count += taken[i];
	}
	*why = count < injection->rcpts->len ? explain(&t) : NULL;
	g_hash_table_destroy(t.index);
	dialogue_free(d);
	buf_free(&t.head);
	return count;
}

bool
reinject_init(char **why)
{
	const curl_version_info_data *info;

	*why = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		*why = g_strdup("libcurl cannot be initialised");
		return false;
	}
	info = curl_version_info(CURLVERSION_NOW);
	for (const char *const *p = info->protocols; *p != NULL; p++)
		if (strcmp(*p, "smtp") == 0)
			return true;
	*why = g_strdup_printf("libcurl %s was built without SMTP", info->version);
	return false;
}

struct injector
reinject_injector_limited(const struct reinject_limits *limits)
{
	struct injector injector = {send_injection, (void *)limits};

	return injector;
}

const struct injector *
reinject_injector(void)
{
	static const struct injector usual = {send_injection, (void *)&usual_limits};

	return &usual;
}
