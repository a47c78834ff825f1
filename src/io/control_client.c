/*
 * control_client - asks the daemon through its control socket; see control_client.h.
 *
 * The whole answer is read before a line of it is believed: an answer that was cut has no last
 * line.  Its lines are checked as if they came from a stranger.
 */
#include "io/control_client.h"
#include "core/word.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 15000 /* without any progress; others may be served before */
#define PIECE 65536

char *
control_client_path(const char *state_dir)
{
	return g_strconcat(state_dir, "/control.sock", NULL);
}

bool
control_client_address(const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	errno = ENAMETOOLONG;
	return g_strlcpy(address->sun_path, path, sizeof address->sun_path) <
	       sizeof address->sun_path;
}

int
control_client_connect(const char *path)
{
	struct sockaddr_un address;
	int fd, error;

	if (!control_client_address(path, &address))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

/* ---- question and answer ---- */

/* NULL when the socket is ready; else why it will not be. */
static const char *
await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	do
		n = poll(&p, 1, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	return n > 0 ? NULL : n == 0 ? "no answer" : g_strerror(errno);
}

static const char *
send_all(int fd, const char *text, size_t len)
{
	const char *problem = NULL;

	while (len > 0 && (problem = await(fd, POLLOUT)) == NULL) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return g_strerror(errno);
		text += MAX(0, n);
		len -= (size_t)MAX(0, n);
	}
	return problem;
}

static const char *
receive_all(int fd, struct buf *answer)
{
	char *piece = g_malloc(PIECE);
	const char *problem;
	ssize_t n = 1;

	while ((problem = await(fd, POLLIN)) == NULL && n != 0) {
		n = recv(fd, piece, PIECE, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			problem = g_strerror(errno);
		else if (n > 0)
			buf_add(answer, piece, (size_t)n);
		if (problem == NULL && (buf_failed(answer) || answer->len > 2 * CONTROL_ANSWER_MAX))
			problem = "the answer is too large";
		if (problem != NULL)
			break;
	}
	g_free(piece);
	return problem;
}

/* The last line, without its end; NULL: the answer is cut. */
static const char *
last_line(struct buf *answer)
{
	const char *newline;

	if (answer->len == 0 || answer->data[answer->len - 1] != '\n')
		return NULL;
	answer->data[answer->len - 1] = '\0';
	newline = memrchr(answer->data, '\n', answer->len - 1);
	return newline != NULL ? newline + 1 : answer->data;
}

/* What is wrong (g_free it), or NULL: answer is good; its last line follows behind its end. */
static char *
ask(int fd, const char *question, struct buf *answer)
{
	const char *problem = send_all(fd, question, strlen(question)), *last;

	if (problem == NULL)
		problem = receive_all(fd, answer);
	if (problem != NULL)
		return g_strdup(problem);
	last = last_line(answer);
	if (last != NULL && g_str_has_prefix(last, ". error "))
		return g_strdup(last + strlen(". error "));
	if (last == NULL || !g_str_has_prefix(last, ". ok"))
		return g_strdup("the answer is cut");
	answer->len = (size_t)(last - answer->data);
	return NULL;
}

typedef bool line_fn(struct word_line *line, void *context);

/* Asks, and hands on each line but the last. */
static bool
each_line(int fd, const char *question, line_fn *take, void *context, char **why)
{
	struct buf answer = BUF_INIT;
	const char *p, *end;

	*why = ask(fd, question, &answer);
	for (p = answer.data; *why == NULL && p < answer.data + answer.len; p = end + 1) {
		struct word_line line = {p, p};

		end = memchr(p, '\n', answer.len - (size_t)(p - answer.data)); /* each has one */
		line.end = end;
		if (!take(&line, context))
			*why = g_strdup_printf("an odd answer: %.*s", (int)MIN(end - p, 200), p);
	}
	buf_free(&answer);
	return *why == NULL;
}

/* ---- limits ---- */

struct limits_visit {
	GString *key;
	void (*each)(const struct limiter_use *use, void *context);
	void *context;
};

static bool
take_limit(struct word_line *line, void *context)
{
	const struct limits_visit *v = context;
	int64_t most, seconds, used, wait, share;

	if (!word_begins(line, "limit") || !word_take(line, v->key) ||
	    !word_take_number(line, 1, LIMIT_MOST_MAX, &most) ||
	    !word_take_number(line, 1, LIMIT_SECONDS_MAX, &seconds) ||
	    !word_take_number(line, 0, INT64_MAX, &used) ||
	    !word_take_number(line, 0, INT64_MAX, &wait) ||
	    !word_take_number(line, 1, LIMIT_MOST_MAX, &share) || !word_ended(line))
		return false;
	v->each(&(struct limiter_use){v->key->str,
				      {(uint32_t)most, (uint32_t)seconds},
				      (uint32_t)share,
				      (uint64_t)used,
				      wait},
		v->context);
	return true;
}

bool
control_client_limits(int fd, void (*each)(const struct limiter_use *use, void *context),
		      void *context, char **why)
{
	struct limits_visit v = {g_string_new(NULL), each, context};
	bool ok = each_line(fd, "limits\n", take_limit, &v, why);

	g_string_free(v.key, TRUE);
	return ok;
}

/* ---- tallies ---- */

struct tallies_visit {
	GString *key, *field;
	void (*each)(const char *key, const char *field, int64_t value, void *context);
	void *context;
};

static bool
take_tally(struct word_line *line, void *context)
{
	const struct tallies_visit *v = context;
	int64_t value;

	if (!word_begins(line, "tally") || !word_take(line, v->key) || !word_take(line, v->field) ||
	    !word_take_number(line, INT64_MIN, INT64_MAX, &value) || !word_ended(line))
		return false;
	v->each(v->key->str, v->field->str, value, v->context);
	return true;
}

bool
control_client_tallies(int fd, const char *start,
		       void (*each)(const char *key, const char *field, int64_t value,
				    void *context),
		       void *context, char **why)
{
	struct tallies_visit v = {g_string_new(NULL), g_string_new(NULL), each, context};
	GString *question = g_string_new("stats");
	bool ok;

	word_put(question, start);
	g_string_append_c(question, '\n');
	ok = each_line(fd, question->str, take_tally, &v, why);
	g_string_free(question, TRUE);
	g_string_free(v.key, TRUE);
	g_string_free(v.field, TRUE);
	return ok;
}

/* ---- what has a number as its answer ---- */

/* Asks the question, which is freed. */
static bool
ask_number(int fd, GString *question, guint *number, char **why)
{
	struct buf answer = BUF_INIT;
	struct word_line rest;
	int64_t n = 0;

	g_string_append_c(question, '\n');
	*why = ask(fd, question->str, &answer);
	if (*why == NULL) {
		rest.p = answer.data + answer.len + strlen(". ok");
		rest.end = rest.p + strlen(rest.p);
		if (answer.len > 0 || !word_take_number(&rest, 0, G_MAXUINT, &n) ||
		    !word_ended(&rest))
			*why = g_strdup("an odd answer");
	}
	*number = (guint)n;
	g_string_free(question, TRUE);
	buf_free(&answer);
	return *why == NULL;
}

bool
control_client_reset(int fd, const char *key, guint *forgotten, char **why)
{
	GString *question = g_string_new("reset");

	word_put(question, key);
	return ask_number(fd, question, forgotten, why);
}

/* ---- locks ---- */

static bool
take_lock(struct word_line *line, void *context)
{
	struct lock l;

	if (!lock_read(line->p, (size_t)(line->end - line->p), &l))
		return false;
	g_array_append_val((GArray *)context, l);
	return true;
}

GArray *
control_client_locks(int fd, char **why)
{
	GArray *locks = lock_array_new();

	if (!each_line(fd, "locks\n", take_lock, locks, why))
		g_clear_pointer(&locks, g_array_unref);
	return locks;
}

bool
control_client_lock(int fd, const struct lock *l, bool *set, char **why)
{
	GString *question = g_string_new(NULL);
	guint n;
	bool ok;

	lock_write(l, question);
	ok = ask_number(fd, question, &n, why);
	*set = n > 0;
	return ok;
}

bool
control_client_release(int fd, const char *pool, const char *isp, bool *was, char **why)
{
	GString *question = g_string_new("release");
	guint n;
	bool ok;

	word_put(question, pool);
	word_put(question, isp);
	ok = ask_number(fd, question, &n, why);
	*was = n > 0;
	return ok;
}
