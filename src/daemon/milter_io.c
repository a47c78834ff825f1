/*
 * milter_io - buffered input and output under libmilter; see milter_io.h.
 *
 * How libmilter uses a connection: it polls for input, reads the five octets of a packet's head, polls,
 * reads the rest; it polls for output and writes each reply or edit with writev().  It never does two of
 * these at once for one connection.  So:
 *
 *	poll for input	sends what waits to be sent, then answers from the buffer; waits for the socket
 *			only if that is empty, and then reads all there is in one go.  Where libmilter
 *			asks, between packets, whether a worker should go on (the short timeout), the
 *			answer is yes only when a whole packet is there, or the buffer is full: an MTA
 *			that stops within a packet does not hold a worker, and the daemon is never deaf
 *	read		takes from the buffer; large rests of body chunks go straight to libmilter
 *	poll for output	is always ready
 *	writev		appends to the output, which leaves with the next poll for input, or when it is
 *			large: the edits of a message and its verdict are one write, one TCP packet
 *	close		sends the rest and forgets the connection
 *
 * A connection whose output cannot be sent is broken: reading it fails, and libmilter ends the session.
 * The wrapped functions serve the whole program; other descriptors pass through.
 */
#include "daemon/milter_io.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 65536 /* higher ones are not buffered */
#define INPUT_SIZE 16384
#define HEAD_SIZE 4		/* length of a packet, in network order, before its octets */
#define BETWEEN_PACKETS_MS 1000 /* libmilter's timeouts are 10 ms between packets, hours within */
#define OUTPUT_MAX 65536	/* octets that wait before they are sent anyway */
#define SEND_TIMEOUT_MS 60000	/* an MTA that takes nothing for so long is gone */

struct connection {
	int fd;
	bool eof;
	int error; /* errno of a broken connection, else 0 */
	size_t start, end;
	char *output;
	size_t output_len, output_size;
	unsigned char input[INPUT_SIZE];
};

static struct connection *connections[DESCRIPTORS]; /* atomic pointers */

ssize_t __real_read(int fd, void *data, size_t len);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
ssize_t __real_writev(int fd, const struct iovec *iov, int count);
int __real_close(int fd);
ssize_t __wrap_read(int fd, void *data, size_t len);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
int __wrap_close(int fd);

static struct connection *
connection_of(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? __atomic_load_n(&connections[fd], __ATOMIC_ACQUIRE) : NULL;
}

void
milter_io_register(int fd)
{
	struct connection *c;

	if (fd < 0 || fd >= DESCRIPTORS)
		return;
	c = malloc(sizeof *c);
	if (c == NULL)
		return; /* unbuffered works as well */
	memset(c, 0, offsetof(struct connection, input));
	c->fd = fd;
	__atomic_store_n(&connections[fd], c, __ATOMIC_RELEASE);
}

bool
milter_io_buffered(void)
{
	return true;
}

static bool
wait_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int n;

	do
		n = __real_poll(&p, 1, SEND_TIMEOUT_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0;
}

/* Sends octets, all of them; false with c->error. */
static bool
send_all(struct connection *c, const char *data, size_t len)
{
	while (len > 0 && c->error == 0) {
		struct iovec iov = {(void *)data, len};
		ssize_t n;

		if (!wait_writable(c->fd) || (n = __real_writev(c->fd, &iov, 1)) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				c->error = errno;
			continue;
		}
		data += n;
		len -= (size_t)n;
	}
	return c->error == 0;
}

static bool
flush(struct connection *c)
{
	size_t len = c->output_len;

	c->output_len = 0;
	return len == 0 || send_all(c, c->output, len);
}

static bool
reserve(struct connection *c, size_t len)
{
	size_t size = c->output_size != 0 ? c->output_size : 4096;
	char *output;

	while (size < c->output_len + len)
		size *= 2;
	if (size == c->output_size)
		return true;
	output = realloc(c->output, size);
	if (output == NULL)
		return false;
	c->output = output;
	c->output_size = size;
	return true;
}

/* Takes what the socket has, behind what is left. */
static void
fill(struct connection *c)
{
	ssize_t n;

	memmove(c->input, c->input + c->start, c->end - c->start);
	c->end -= c->start;
	c->start = 0;
	do
		n = __real_read(c->fd, c->input + c->end, sizeof c->input - c->end);
	while (n < 0 && errno == EINTR);
	c->end += n > 0 ? (size_t)n : 0;
	c->eof = n == 0;
	if (n < 0)
		c->error = errno;
}

static bool
has_input(const struct connection *c)
{
	return c->end > c->start || c->eof || c->error != 0;
}

/* True if reading a packet would not have to wait, or the buffer can hold no more of it. */
static bool
has_packet(const struct connection *c)
{
	const unsigned char *p = c->input + c->start;
	size_t have = c->end - c->start;

	if (c->eof || c->error != 0 || have == sizeof c->input)
		return true;
	return have >= HEAD_SIZE &&
	       have - HEAD_SIZE >= ((size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
}

static int
poll_input(struct connection *c, struct pollfd *p, int timeout)
{
	bool (*ready)(const struct connection *) = timeout < BETWEEN_PACKETS_MS ? has_packet : has_input;

	(void)flush(c); /* a failure is an error, which is ready to be read */
	while (!ready(c)) {
		int n = __real_poll(p, 1, timeout);

		if (n <= 0 || !(p->revents & POLLIN))
			return n;
		fill(c);
	}
	p->revents = POLLIN; /* end and errors are told by read() */
	return 1;
}

int
__wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct connection *c = count == 1 ? connection_of(fds->fd) : NULL;

	if (c == NULL)
		return __real_poll(fds, count, timeout);
	if (fds->events & POLLOUT) {
		fds->revents = POLLOUT;
		return 1;
	}
	return poll_input(c, fds, timeout);
}

ssize_t
__wrap_read(int fd, void *data, size_t len)
{
	struct connection *c = connection_of(fd);
	size_t n;

	if (c == NULL)
		return __real_read(fd, data, len);
	if (!has_input(c)) {
		if (len >= sizeof c->input)
			return __real_read(fd, data, len);
		fill(c);
	}
	if (c->error != 0) {
		errno = c->error;
		return -1;
	}
	n = c->end - c->start;
	if (n > len)
		n = len;
	memcpy(data, c->input + c->start, n);
	c->start += n;
	return (ssize_t)n;
}

ssize_t
__wrap_writev(int fd, const struct iovec *iov, int count)
{
	struct connection *c = connection_of(fd);
	size_t len = 0;

	if (c == NULL)
		return __real_writev(fd, iov, count);
	for (int i = 0; i < count; i++)
		len += iov[i].iov_len;
	if (c->output_len + len > OUTPUT_MAX && !flush(c)) {
		errno = c->error;
		return -1;
	}
	if (c->error != 0 || !reserve(c, len)) {
		errno = c->error != 0 ? c->error : ENOMEM;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		memcpy(c->output + c->output_len, iov[i].iov_base, iov[i].iov_len);
		c->output_len += iov[i].iov_len;
	}
	return (ssize_t)len;
}

int
__wrap_close(int fd)
{
	struct connection *c = connection_of(fd);

	if (c != NULL) {
		__atomic_store_n(&connections[fd], NULL, __ATOMIC_RELEASE);
		(void)flush(c); /* the session is over: nobody is left to tell */
		free(c->output);
		free(c);
	}
	return __real_close(fd);
}
