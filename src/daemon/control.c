/*
 * control - the control socket; see control.h.
 *
 * Nobody is waited for: a client that has sent nothing, or takes nothing, is one descriptor more in
 * the signal thread's poll() until its time is over.  What may take time is to compose an answer, a
 * second for a million keys; so there is one at a time, which also bounds memory, and signals are
 * looked at between two of them.  Who can connect may as well stop the daemon: the bounds are
 * against accidents.
 *
 * The lock is for control_close() of a thread that ends the process.
 */
#include "daemon/control.h"
#include "base/log.h"
#include "core/word.h"
#include "io/control_client.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 128 /* that wait for one of the places */
#define REQUEST_MAX 4096
#define ASK_TIME (2 * (gint64)G_USEC_PER_SEC)     /* to send the line */
#define STALL_TIME (2 * (gint64)G_USEC_PER_SEC)   /* to take some of the answer */
#define ANSWER_TIME (60 * (gint64)G_USEC_PER_SEC) /* to take all of it */
#define PAUSE (G_USEC_PER_SEC / 5)                /* without descriptors */

enum state {
	ASKING,    /* its line has not come yet */
	WAITING,   /* for the answer of another one to be taken */
	ANSWERING, /* at most one */
};

struct client {
	int fd; /* -1: the place is free */
	enum state state;
	gint64 deadline; /* those that wait are served in its order */
	char request[REQUEST_MAX];
	size_t len; /* while it asks: octets there are; later: of the line */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct control_tools tools;
static int listen_fd = -1;
static gint64 accept_from; /* not before this time */
static char *path;
static dev_t device; /* of the socket: a successor's is not ours to remove */
static ino_t inode;
static struct client clients[CONTROL_CLIENTS_MAX];
static struct buf answer; /* of the client that is ANSWERING */
static size_t sent;
static gint64 answer_deadline; /* whatever is taken until then */

/* ---- life ---- */

/* Removes what an earlier daemon left; false: somebody answers there. */
static bool
clear_path(void)
{
	int fd = control_client_connect(path);
	struct stat st;

	if (fd >= 0) {
		close(fd);
		return false;
	}
	if (errno == EAGAIN)
		return false;
	if (errno == ECONNREFUSED && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	return true; /* bind() will say what is wrong */
}

static int
listen_there(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int error;
	mode_t mask = umask(0177);
	struct stat st;

	if (fd >= 0 && control_client_address(path, &address) &&
	    bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
	    lstat(path, &st) == 0 && listen(fd, BACKLOG) == 0) {
		device = st.st_dev;
		inode = st.st_ino;
		umask(mask);
		return fd;
	}
	error = errno;
	umask(mask);
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

bool
control_open(const char *state_dir, const struct control_tools *t, char **why)
{
	tools = *t;
	path = control_client_path(state_dir);
	for (guint i = 0; i < CONTROL_CLIENTS_MAX; i++)
		clients[i].fd = -1;
	if (!clear_path()) {
		*why = g_strdup_printf("state_dir: %s: another poolmilter uses it", state_dir);
		return false;
	}
	listen_fd = listen_there();
	if (listen_fd < 0)
		log_line(LOG_WARNING, "warning: %s: %s: poolctl cannot ask this daemon", path,
			 g_strerror(errno));
	return true;
}

static void
drop(struct client *c)
{
	if (c->state == ANSWERING)
		buf_free(&answer);
	close(c->fd);
	c->fd = -1;
}

void
control_close(void)
{
	struct stat st;

	pthread_mutex_lock(&lock);
	if (listen_fd >= 0) {
		if (lstat(path, &st) == 0 && st.st_dev == device && st.st_ino == inode)
			unlink(path);
		close(listen_fd);
		listen_fd = -1;
		for (guint i = 0; i < CONTROL_CLIENTS_MAX; i++)
			if (clients[i].fd >= 0)
				drop(&clients[i]);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- clients ---- */

static struct client *
free_place(void)
{
	for (guint i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (clients[i].fd < 0)
			return &clients[i];
	return NULL;
}

static void
accept_clients(gint64 now)
{
	struct client *c;
	int fd;

	while ((c = free_place()) != NULL) {
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			accept_from = now + PAUSE; /* or poll() would return at once for ever */
		if (fd < 0)
			return;
		c->fd = fd;
		c->state = ASKING;
		c->deadline = now + ASK_TIME;
		c->len = 0;
	}
}

static void
receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->len, sizeof c->request - c->len, 0);
	const char *end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	end = memchr(c->request + c->len, '\n', (size_t)n);
	c->len += (size_t)n;
	if (end == NULL && c->len < sizeof c->request)
		return;
	c->len = end != NULL ? (size_t)(end - c->request) : 0; /* too long: like an empty one */
	c->state = WAITING;
}

static void
send_answer(struct client *c)
{
	ssize_t n = send(c->fd, answer.data + sent, answer.len - sent, MSG_NOSIGNAL);

	if (n > 0) {
		sent += (size_t)n;
		c->deadline = MIN(answer_deadline, g_get_monotonic_time() + STALL_TIME);
	}
	if (sent == answer.len || (n < 0 && errno != EAGAIN && errno != EINTR))
		drop(c);
}

/* ---- answers ---- */

struct writer {
	GString *line;
	const char *start; /* stats: of the keys that are asked for */
	const char *key;   /* reset: that is asked for */
	guint count;
};

static void
put_line(struct writer *w)
{
	g_string_append_c(w->line, '\n');
	if (answer.len <= CONTROL_ANSWER_MAX)
		buf_add(&answer, w->line->str, w->line->len);
}

static void
write_limit(const struct limiter_use *use, void *context)
{
	struct writer *w = context;

	g_string_assign(w->line, "limit");
	word_put(w->line, use->key);
	word_put_number(w->line, use->limit.most);
	word_put_number(w->line, use->limit.seconds);
	word_put_number(w->line, (int64_t)use->used);
	word_put_number(w->line, use->wait_us);
	word_put_number(w->line, use->most);
	put_line(w);
}

static void
write_tally(const char *key, const char *field, int64_t value, void *context)
{
	struct writer *w = context;

	if (!g_str_has_prefix(key, w->start))
		return;
	g_string_assign(w->line, "tally");
	word_put(w->line, key);
	word_put(w->line, field);
	word_put_number(w->line, value);
	put_line(w);
}

static void
count_windows(const struct limiter_use *use, void *context)
{
	struct writer *w = context;

	w->count += strcmp(use->key, w->key) == 0;
}

static void
reset(struct writer *w)
{
	limiter_memory_each(tools.limiter, count_windows, w);
	/* What came in between the two is forgotten as well. */
	w->count = limiter_memory_reset(tools.limiter, w->key) ? MAX(1, w->count) : 0;
	log_line(LOG_NOTICE, "control: reset: key=%s forgotten=%u", w->key, w->count);
}

static void
write_locks(struct writer *w)
{
	GArray *locks = lock_table_list(tools.locks, g_get_real_time());

	for (guint i = 0; i < locks->len; i++) {
		g_string_truncate(w->line, 0);
		lock_write(&g_array_index(locks, struct lock, i), w->line);
		put_line(w);
	}
	g_array_unref(locks);
}

/* The last line after a lock was set or released, or not. */
static void
tell_done(struct writer *w, bool done, char *why)
{
	g_string_assign(w->line, why != NULL ? ". error " : ". ok");
	if (why != NULL)
		g_string_append(w->line, why);
	else
		word_put_number(w->line, done);
	g_free(why);
}

static void
set_lock(struct word_line request, struct writer *w)
{
	struct lock l;
	char *why = NULL;
	bool set = false;

	if (lock_read(request.p, (size_t)(request.end - request.p), &l))
		set = tools.lock(&l, &why);
	else
		why = g_strdup("no such lock can be");
	tell_done(w, set, why);
	lock_clear(&l);
}

static void
release_lock(const char *pool, const char *isp, struct writer *w)
{
	char *why = NULL;
	bool was = tools.release(pool, isp, &why);

	tell_done(w, was, why);
}

/* Requests about locks; false: it is none. */
static bool
carry_out_locks(struct word_line request, struct writer *w)
{
	const struct word_line whole = request;
	GString *pool = g_string_new(NULL), *isp = g_string_new(NULL);
	bool known = true;

	if (word_begins(&request, "locks") && word_ended(&request)) {
		write_locks(w);
		g_string_assign(w->line, ". ok");
	} else if (word_begins(&request, "lock")) {
		set_lock(whole, w);
	} else if (word_begins(&request, "release") && word_take(&request, pool) &&
		   word_take(&request, isp) && word_ended(&request)) {
		release_lock(pool->str, isp->str, w);
	} else {
		known = false;
	}
	g_string_free(pool, TRUE);
	g_string_free(isp, TRUE);
	return known;
}

/* What the last line says. */
static void
carry_out(struct word_line request, struct writer *w)
{
	GString *word = g_string_new(NULL);

	if (carry_out_locks(request, w)) {
		g_string_free(word, TRUE);
		return;
	}
	if (word_begins(&request, "limits") && word_ended(&request)) {
		limiter_memory_each(tools.limiter, write_limit, w);
		g_string_assign(w->line, ". ok");
	} else if (word_begins(&request, "stats") &&
		   (word_ended(&request) || (word_take(&request, word) && word_ended(&request)))) {
		w->start = word->str;
		tally_table_each(tools.tallies, write_tally, w);
		g_string_assign(w->line, ". ok");
	} else if (word_begins(&request, "reset") && word_take(&request, word) &&
		   word_ended(&request)) {
		w->key = word->str;
		reset(w);
		g_string_assign(w->line, ". ok");
		word_put_number(w->line, w->count);
	} else {
		g_string_assign(w->line, ". error no such request");
	}
	g_string_free(word, TRUE);
}

static void
compose(const struct client *c)
{
	const struct word_line request = {c->request, c->request + c->len};
	struct writer w = {.line = g_string_sized_new(256)};

	sent = 0;
	carry_out(request, &w);
	if (buf_failed(&answer) || answer.len > CONTROL_ANSWER_MAX) {
		buf_free(&answer);
		g_string_assign(w.line, ". error too much to tell");
	}
	put_line(&w);
	g_string_free(w.line, TRUE);
}

/* The one that waits longest; NULL: none, or there is an answer that is not taken yet. */
static struct client *
next_to_answer(void)
{
	struct client *next = NULL;

	for (struct client *c = clients; c < clients + CONTROL_CLIENTS_MAX; c++) {
		if (c->fd < 0)
			continue;
		if (c->state == ANSWERING)
			return NULL;
		if (c->state == WAITING && (next == NULL || c->deadline < next->deadline))
			next = c;
	}
	return next;
}

/* ---- the signal thread's loop ---- */

static void
watch_listening(struct pollfd *p, gint64 now, gint64 *due)
{
	if (now < accept_from)
		*due = MIN(*due, accept_from);
	else if (free_place() != NULL)
		p->fd = listen_fd;
}

static void
watch_client(const struct client *c, struct pollfd *p, gint64 *due)
{
	if (c->fd < 0 || c->state == WAITING)
		return;
	p->fd = c->fd;
	p->events = c->state == ASKING ? POLLIN : POLLOUT;
	*due = MIN(*due, c->deadline);
}

void
control_watch(struct pollfd *fds, gint64 *due)
{
	gint64 now = g_get_monotonic_time();

	for (guint i = 0; i < CONTROL_WATCH; i++)
		fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
	pthread_mutex_lock(&lock);
	if (listen_fd >= 0) {
		watch_listening(&fds[0], now, due);
		for (guint i = 0; i < CONTROL_CLIENTS_MAX; i++)
			watch_client(&clients[i], &fds[1 + i], due);
		if (next_to_answer() != NULL)
			*due = now;
	}
	pthread_mutex_unlock(&lock);
}

static void
serve_client(struct client *c, bool ready, gint64 now)
{
	if (c->fd >= 0 && ready && c->state == ASKING)
		receive(c);
	else if (c->fd >= 0 && ready && c->state == ANSWERING)
		send_answer(c);
	if (c->fd >= 0 && c->state != WAITING && now >= c->deadline)
		drop(c);
}

static void
serve(const struct pollfd *fds, gint64 now)
{
	struct client *next;

	for (guint i = 0; i < CONTROL_CLIENTS_MAX; i++)
		serve_client(&clients[i], fds[1 + i].fd == clients[i].fd && fds[1 + i].revents != 0,
			     now);
	next = next_to_answer();
	if (next != NULL) {
		compose(next);
		next->state = ANSWERING;
		answer_deadline = g_get_monotonic_time() + ANSWER_TIME;
		send_answer(next);
	}
	if (fds[0].revents != 0)
		accept_clients(now);
}

void
control_serve(const struct pollfd *fds)
{
	pthread_mutex_lock(&lock);
	if (listen_fd >= 0)
		serve(fds, g_get_monotonic_time());
	pthread_mutex_unlock(&lock);
}
