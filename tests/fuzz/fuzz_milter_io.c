/*
 * fuzz_milter_io - buffered input and output under libmilter: no octet lost, doubled or out of
 * order.
 *
 * Linked with -Wl,--wrap as the daemon is, so that read(), poll(), writev() and close() here are
 * those that libmilter calls; the peer's end of the socket pair uses the real ones.  Input:
 * operations, one octet each with an octet that says how much; a model knows what must come of
 * each.
 */
#include "fuzz.h"

#include "daemon/milter_io.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_SIZE 4
#define INPUT_SIZE 16384 /* of the buffer: a larger packet counts as there when it is full */
#define LONG_MS 2000
#define SHORT_MS 0

int __real_close(int fd);

struct model {
	int fd, peer;
	GByteArray *sent; /* by the peer; octets before consumed have been read */
	size_t consumed;
	bool ended;          /* the peer sends no more */
	GByteArray *written; /* to the peer; octets before received have come */
	size_t received;
	unsigned char next; /* content: counted up, so that order shows */
};

static size_t
available(const struct model *m)
{
	return m->sent->len - m->consumed;
}

/* As much as the socket takes: one thread plays both sides and must not wait. */
static void
peer_write(struct model *m, const void *data, size_t len)
{
	ssize_t n = m->ended ? 0 : send(m->peer, data, len, MSG_DONTWAIT);

	if (n > 0)
		g_byte_array_append(m->sent, data, (guint)n);
}

/* A packet's head and as much of its rest as part (of 16) says. */
static void
peer_packet(struct model *m, size_t len, unsigned part)
{
	unsigned char head[HEAD_SIZE] = {0, (unsigned char)(len >> 16), (unsigned char)(len >> 8),
					 (unsigned char)len};
	size_t now = len * part / 16;
	unsigned char *rest = g_malloc(now + 1);

	for (size_t i = 0; i < now; i++)
		rest[i] = m->next++;
	peer_write(m, head, sizeof head);
	if (now > 0)
		peer_write(m, rest, now);
	g_free(rest);
}

/* What the peer has got so far is the begin of what was written. */
static void
peer_read(struct model *m)
{
	unsigned char chunk[4096];
	ssize_t n;

	while ((n = recv(m->peer, chunk, sizeof chunk, MSG_DONTWAIT)) > 0) {
		require(m->received + (size_t)n <= m->written->len);
		require(memcmp(chunk, m->written->data + m->received, (size_t)n) == 0);
		m->received += (size_t)n;
	}
}

static bool
packet_there(const struct model *m)
{
	const unsigned char *p = m->sent->data != NULL ? m->sent->data + m->consumed : NULL;
	size_t have = available(m);

	if (m->ended || have >= INPUT_SIZE)
		return true;
	return have >= HEAD_SIZE && have - HEAD_SIZE >= ((size_t)p[0] << 24 | (size_t)p[1] << 16 |
							 (size_t)p[2] << 8 | p[3]);
}

/* Between packets: yes only for a whole one.  Whatever was written has left by then. */
static void
poll_short(struct model *m)
{
	struct pollfd p = {.fd = m->fd, .events = POLLIN};

	require(poll(&p, 1, SHORT_MS) == (packet_there(m) ? 1 : 0));
	peer_read(m);
	require(m->received == m->written->len);
}

/* Within a packet: any octet will do. Never asked when none can come, it would wait. */
static void
poll_long(struct model *m)
{
	struct pollfd p = {.fd = m->fd, .events = POLLIN};

	if (available(m) == 0 && !m->ended)
		return;
	require(poll(&p, 1, LONG_MS) == 1);
	require(p.revents & POLLIN);
	peer_read(m);
	require(m->received == m->written->len);
}

static void
read_some(struct model *m, size_t len)
{
	unsigned char *data = g_malloc(len);
	ssize_t n;

	if (available(m) > 0 || m->ended) {
		n = read(m->fd, data, len);
		require(n >= 0 && (n > 0 || available(m) == 0));
		require((size_t)n <= available(m));
		require(n == 0 || memcmp(data, m->sent->data + m->consumed, (size_t)n) == 0);
		m->consumed += (size_t)n;
	}
	g_free(data);
}

static void
write_some(struct model *m, size_t len)
{
	struct pollfd p = {.fd = m->fd, .events = POLLOUT};
	unsigned char *data = g_malloc(len);
	struct iovec iov[2] = {{data, len / 3}, {data + len / 3, len - len / 3}};

	for (size_t i = 0; i < len; i++)
		data[i] = m->next++;
	g_byte_array_append(m->written, data, (guint)len);
	require(poll(&p, 1, LONG_MS) == 1 && (p.revents & POLLOUT));
	require(writev(m->fd, iov, 2) == (ssize_t)len);
	peer_read(m);
	g_free(data);
}

/* Other descriptors of the program pass through, two at a time as well. */
static void
others(void)
{
	struct iovec iov = {(void *)"abc", 3};
	int fds[2];
	char data[8];
	struct pollfd p[2];

	require(pipe(fds) == 0);
	p[0] = (struct pollfd){.fd = fds[0], .events = POLLIN};
	p[1] = (struct pollfd){.fd = fds[1], .events = POLLOUT};
	require(poll(p, 1, SHORT_MS) == 0);
	require(writev(fds[1], &iov, 1) == 3);
	require(poll(p, 2, SHORT_MS) == 2);
	require(read(fds[0], data, sizeof data) == 3 && memcmp(data, "abc", 3) == 0);
	require(close(fds[0]) == 0 && close(fds[1]) == 0);
}

static void
operation(struct model *m, unsigned op, unsigned n)
{
	switch (op) {
	case 0:
		peer_packet(m, n, 16);
		break;
	case 1:
		peer_packet(m, (size_t)n * 97, 16);
		break;
	case 2:
		peer_packet(m, (size_t)n * 31,
			    n % 16); /* the rest never comes: what follows is it */
		break;
	case 3:
		peer_write(m, "\0\0\0\1\0\0", 1 + n % 6);
		break;
	case 4:
		poll_short(m);
		break;
	case 5:
		poll_long(m);
		break;
	case 6:
		read_some(m, 1 + n % 8);
		break;
	case 7:
		read_some(m, 1 + (size_t)n * 16);
		break;
	case 8:
		read_some(m, INPUT_SIZE - 8 + n % 16);
		break;
	case 9:
		write_some(m, 1 + n);
		break;
	case 10:
		write_some(m, 1 + (size_t)n * 257);
		break;
	case 11:
		others();
		break;
	default:
		require(shutdown(m->peer, SHUT_WR) == 0);
		m->ended = true;
		break;
	}
}

static void
open_model(struct model *m)
{
	int fds[2];

	memset(m, 0, sizeof *m);
	require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	m->fd = fds[0];
	m->peer = fds[1];
	m->sent = g_byte_array_new();
	m->written = g_byte_array_new();
	milter_io_register(m->fd);
}

/* Reads what is left, then closes: what was written before has come then. */
static void
close_model(struct model *m)
{
	while (available(m) > 0)
		read_some(m, 4000);
	require(close(m->fd) == 0);
	peer_read(m);
	require(m->received == m->written->len);
	require(__real_close(m->peer) == 0);
	g_byte_array_free(m->sent, TRUE);
	g_byte_array_free(m->written, TRUE);
}

/* A peer that is gone: nothing may hang, reading says so. */
static void
peer_gone(void)
{
	struct iovec iov = {(void *)"abc", 3};
	struct pollfd p;
	struct model m;
	char data[8];

	open_model(&m);
	require(writev(m.fd, &iov, 1) == 3);
	require(__real_close(m.peer) == 0);
	p = (struct pollfd){.fd = m.fd, .events = POLLIN};
	require(poll(&p, 1, LONG_MS) == 1);
	require(read(m.fd, data, sizeof data) == -1 && errno == EPIPE);
	require(writev(m.fd, &iov, 1) == -1);
	require(close(m.fd) == 0);
	g_byte_array_free(m.sent, TRUE);
	g_byte_array_free(m.written, TRUE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct model m;

	signal(SIGPIPE, SIG_IGN); /* as libmilter does */
	require(milter_io_buffered());
	open_model(&m);
	while (in.len >= 2) {
		unsigned op = input_octet(&in) % 16, n = input_octet(&in);

		/* The end is the last of 16, so that most inputs get far. */
		operation(&m, op > 11 && op < 15 ? op - 12 : op, n);
	}
	close_model(&m);
	if (size % 64 == 1)
		peer_gone();
	return 0;
}
