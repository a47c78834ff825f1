/*
 * store_link - one connection to a Redis server; see store_link.h.
 *
 * hiredis forms commands and parses replies.  The socket is ours: hiredis' timeouts are for each
 * read(), so that a server that sends an octet at a time is waited for without end; 0.14 forgets
 * them on a reconnect; and it writes without MSG_NOSIGNAL.  Here every wait ends at the deadline of
 * the command, and a broken connection is an error, never a SIGPIPE.
 *
 * A message pays for each system call: the wait for a reply is recv() itself, which the socket's
 * own timeout ends.
 *
 * A server may be hostile, or no Redis at all.  hiredis buffers no more than it is fed, which is
 * bounded for a reply; but it allocates the elements that an array announces, so those are bounded
 * too.  What comes after a reply, without a command, makes the connection not fresh.
 */
#include "io/store_link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ELEMENTS_MAX 4096 /* of one array; SCAN and HGETALL of ours have far fewer */
#define TEXT_MAX 200      /* octets of foreign text */
#define CHUNK 16384
#define LATE_MAX 1000 /* microseconds that a wait for octets may end after the deadline */

struct store_link {
	int fd;		     /* blocking, once it is connected */
	gint64 recv_timeout; /* SO_RCVTIMEO, microseconds; 0: none yet */
	struct store_tls *tls;
	redisReader *reader;
	char text[128]; /* the place */
};

/* ---- texts ---- */

char *
store_printable(const char *text, size_t len)
{
	size_t n = MIN(len, TEXT_MAX - 3);
	char *out = g_malloc(n + 4);

	for (size_t i = 0; i < n; i++)
		out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	strcpy(out + n, n < len ? "..." : "");
	return out;
}

static char *
reason(const struct store_link *l, const char *text)
{
	return g_strdup_printf("%s: %s", l->text, text);
}

/* ---- hiredis' reader, with bounds ---- */

#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

/* The reader's own functions, all but one. */
static redisReplyObjectFunctions bounded;
static void *(*create_array)(const redisReadTask *task, element_count n);

static void *
create_bounded_array(const redisReadTask *task, element_count n)
{
	return n > ELEMENTS_MAX ? NULL : create_array(task, n); /* NULL: "Out of memory" */
}

/* hiredis shows its functions only in a reader. */
static void
learn_functions(void)
{
	redisReader *r = redisReaderCreate();

	g_assert(r != NULL);
	bounded = *r->fn;
	create_array = bounded.createArray;
	bounded.createArray = create_bounded_array;
	redisReaderFree(r);
}

static redisReader *
reader_new(void)
{
	static pthread_once_t learnt = PTHREAD_ONCE_INIT;

	pthread_once(&learnt, learn_functions);
	return redisReaderCreateWithFunctions(&bounded);
}

/* ---- the socket ---- */

/* Until it can be written to; false at the deadline. Errors count as ready: the next call tells. */
static bool
await_room(int fd, gint64 deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	for (;;) {
		gint64 left = deadline - g_get_monotonic_time();
		struct timespec t = {left / G_USEC_PER_SEC, left % G_USEC_PER_SEC * 1000};
		int n;

		if (left <= 0)
			return false;
		n = ppoll(&p, 1, &t, NULL);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return true;
	}
}

/* Sends all octets; false with errno, ETIMEDOUT at the deadline. */
static bool
send_octets(int fd, const char *data, size_t len, gint64 deadline)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0) {
			if (!await_room(fd, deadline)) {
				errno = ETIMEDOUT;
				return false;
			}
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* Makes recv() wait until the deadline, and hardly longer; false with errno. */
static bool
limit_wait(struct store_link *l, gint64 deadline)
{
	gint64 left = deadline - g_get_monotonic_time();
	struct timeval t = {left / G_USEC_PER_SEC, left % G_USEC_PER_SEC};

	if (left <= 0) {
		errno = ETIMEDOUT;
		return false;
	}
	if (left <= l->recv_timeout && l->recv_timeout - left <= LATE_MAX)
		return true;
	l->recv_timeout = left;
	return setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0;
}

/* Octets of the socket; 0: its end; -1 with errno, ETIMEDOUT at the deadline. */
static ssize_t
receive(struct store_link *l, char *data, size_t size, gint64 deadline)
{
	ssize_t n;

	do {
		if (!limit_wait(l, deadline))
			return -1;
		n = recv(l->fd, data, size, 0);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	return n;
}

/* ---- with TLS or without ---- */

static bool
flush_tls(struct store_link *l, gint64 deadline)
{
	char chunk[CHUNK];
	size_t n;

	while ((n = store_tls_output(l->tls, chunk, sizeof chunk)) > 0)
		if (!send_octets(l->fd, chunk, n, deadline))
			return false;
	return true;
}

static bool
link_send(struct store_link *l, const char *data, size_t len, gint64 deadline)
{
	if (l->tls == NULL)
		return send_octets(l->fd, data, len, deadline);
	if (!store_tls_write(l->tls, data, len)) {
		errno = EPROTO;
		return false;
	}
	return flush_tls(l, deadline);
}

/* Plain octets, see receive(). */
static ssize_t
link_receive(struct store_link *l, char *data, size_t size, gint64 deadline)
{
	if (l->tls == NULL)
		return receive(l, data, size, deadline);
	for (;;) {
		char chunk[CHUNK];
		ssize_t n = store_tls_read(l->tls, data, size);

		if (n < 0)
			errno = EPROTO;
		if (n != 0)
			return n;
		n = receive(l, chunk, sizeof chunk, deadline);
		if (n <= 0)
			return n;
		store_tls_input(l->tls, chunk, (size_t)n);
	}
}

/* ---- opening ---- */

static struct store_link *
open_failed(struct store_link *l, const char *text, char **why)
{
	*why = reason(l, text);
	store_link_close(l);
	return NULL;
}

/* Begins and awaits the connection; false with errno. */
static bool
link_connect(struct store_link *l, const struct store_place *place, gint64 deadline)
{
	int one = 1, error = 0;
	socklen_t len = sizeof error;

	l->fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return false;
	if (place->address.ss_family != AF_UNIX) {
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		setsockopt(l->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	}
	if (connect(l->fd, (const struct sockaddr *)&place->address, place->len) == 0)
		return true;
	/* EAGAIN: the queue of a unix socket is full, and nothing tells when it no longer is. */
	if (errno != EINPROGRESS)
		return false;
	if (!await_room(l->fd, deadline)) {
		errno = ETIMEDOUT;
		return false;
	}
	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return false;
	errno = error;
	return error == 0;
}

static bool
make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

static bool
link_start_tls(struct store_link *l, struct store_tls_context *tls, const char *host,
	       gint64 deadline, char **why)
{
	int done;

	l->tls = store_tls_new(tls, host);
	if (l->tls == NULL) {
		*why = g_strdup("no TLS for this host");
		return false;
	}
	while ((done = store_tls_handshake(l->tls, why)) == 0) {
		char chunk[CHUNK];
		ssize_t n = -1;

		if (flush_tls(l, deadline))
			n = receive(l, chunk, sizeof chunk, deadline);
		if (n <= 0) {
			*why = g_strdup_printf("TLS: %s",
					       n == 0 ? "connection closed" : g_strerror(errno));
			return false;
		}
		store_tls_input(l->tls, chunk, (size_t)n);
	}
	/* An alert, or the last flight of the handshake. */
	return flush_tls(l, deadline) && done == 1;
}

struct store_link *
store_link_open(const struct store_place *place, struct store_tls_context *tls, gint64 deadline,
		char **why)
{
	struct store_link *l = g_new0(struct store_link, 1);
	char *tls_why = NULL;

	g_strlcpy(l->text, place->text, sizeof l->text);
	l->reader = reader_new();
	if (!link_connect(l, place, deadline) || !make_blocking(l->fd))
		return open_failed(l, g_strerror(errno), why);
	if (l->reader == NULL)
		return open_failed(l, g_strerror(ENOMEM), why);
	if (tls != NULL && !link_start_tls(l, tls, place->host, deadline, &tls_why)) {
		struct store_link *none =
			open_failed(l, tls_why != NULL ? tls_why : g_strerror(errno), why);

		g_free(tls_why);
		return none;
	}
	return l;
}

void
store_link_close(struct store_link *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	store_tls_free(l->tls);
	if (l->reader != NULL)
		redisReaderFree(l->reader);
	g_free(l);
}

bool
store_link_clean(const struct store_link *l)
{
	return l->reader->len == l->reader->pos;
}

bool
store_link_fresh(struct store_link *l)
{
	char octet;
	ssize_t n;

	if (!store_link_clean(l))
		return false;
	do
		n = recv(l->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno == EAGAIN;
}

/* ---- commands ---- */

static enum store_answer
broken(const struct store_link *l, const char *text, char **why)
{
	*why = reason(l, text);
	return STORE_LOST;
}

/* Reads until a reply is whole. */
static enum store_answer
take_reply(struct store_link *l, size_t reply_max, gint64 deadline, redisReply **reply, char **why)
{
	char chunk[CHUNK];
	size_t taken = 0;
	void *whole = NULL;

	for (;;) {
		ssize_t n;

		if (redisReaderGetReply(l->reader, &whole) != REDIS_OK)
			return broken(l,
				      l->reader->err == REDIS_ERR_OOM ? "reply too large"
								      : l->reader->errstr,
				      why);
		if (whole != NULL)
			break;
		if (taken >= reply_max)
			return broken(l, "reply too large", why);
		n = link_receive(l, chunk, sizeof chunk, deadline);
		if (n < 0 && errno == ETIMEDOUT) {
			*why = reason(l, taken > 0 ? "no whole reply in time" : "no reply in time");
			return STORE_TIMEOUT;
		}
		if (n <= 0)
			return broken(l, n == 0 ? "connection closed" : g_strerror(errno), why);
		taken += (size_t)n;
		if (redisReaderFeed(l->reader, chunk, (size_t)n) != REDIS_OK)
			return broken(l, l->reader->errstr, why);
	}
	*reply = whole;
	return STORE_DONE;
}

/* Sends the command; false with *why if not all of it went. */
static bool
send_command(struct store_link *l, const struct store_command *c, gint64 deadline, char **why)
{
	char *text = NULL;
	int len = (int)redisFormatCommandArgv(&text, c->argc, c->argv, c->lengths);
	bool sent;

	if (len < 0) {
		*why = reason(l, "command too large");
		return false;
	}
	sent = link_send(l, text, (size_t)len, deadline);
	if (!sent)
		*why = reason(l, g_strerror(errno));
	redisFreeCommand(text);
	return sent;
}

enum store_answer
store_link_ask(struct store_link *l, const struct store_command *command, size_t reply_max,
	       gint64 deadline, redisReply **reply, char **why)
{
	enum store_answer answer;

	*reply = NULL;
	*why = NULL;
	if (!send_command(l, command, deadline, why))
		return STORE_NOT_SENT;
	answer = take_reply(l, reply_max, deadline, reply, why);
	if (answer == STORE_DONE && (*reply)->type == REDIS_REPLY_ERROR) {
		*why = store_printable((*reply)->str, (*reply)->len);
		freeReplyObject(*reply);
		*reply = NULL;
		return STORE_ERROR;
	}
	return answer;
}

/* EVALSHA as EVAL, with the text instead of the digest. */
static enum store_answer
ask_with_text(struct store_link *l, const struct store_request *request, size_t reply_max,
	      gint64 deadline, redisReply **reply, char **why)
{
	const struct store_command *c = &request->command;
	const char **argv = g_memdup2(c->argv, (gsize)c->argc * sizeof *argv);
	size_t *lengths = g_memdup2(c->lengths, (gsize)c->argc * sizeof *lengths);
	struct store_command eval = {c->argc, argv, lengths};
	enum store_answer answer;

	argv[0] = "EVAL";
	lengths[0] = strlen(argv[0]);
	argv[1] = request->script;
	lengths[1] = strlen(argv[1]);
	answer = store_link_ask(l, &eval, reply_max, deadline, reply, why);
	g_free(argv);
	g_free(lengths);
	return answer;
}

enum store_answer
store_link_run(struct store_link *l, const struct store_request *request, gint64 deadline,
	       redisReply **reply, char **why)
{
	size_t reply_max = request->reply_max != 0 ? request->reply_max : STORE_REPLY_MAX;
	enum store_answer answer =
		store_link_ask(l, &request->command, reply_max, deadline, reply, why);

	if (answer == STORE_ERROR && request->script != NULL &&
	    g_str_has_prefix(*why, "NOSCRIPT")) {
		g_clear_pointer(why, g_free);
		answer = ask_with_text(l, request, reply_max, deadline, reply, why);
	}
	if (answer == STORE_DONE && request->accept != NULL &&
	    !request->accept(*reply, request->serial)) {
		freeReplyObject(*reply);
		*reply = NULL;
		return broken(l, "odd reply", why);
	}
	return answer;
}
