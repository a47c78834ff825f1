/*
 * listener - the sockets that the MTA connects to; see listener.h.
 */
#include "daemon/listener.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096
#define LISTENERS_MAX 32
#define PAUSE_MS 50 /* without descriptors: long enough not to spin, short enough not to be felt */

struct listening {
	int fd;
	char *path; /* of a UNIX socket, to be removed; NULL: inet */
	dev_t dev;  /* of that file: a successor's socket is not ours to remove */
	ino_t ino;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct listening listening[LISTENERS_MAX];
static int listening_count; /* under lock once threads run */
static int epoll_fd = -1;
static int wake_fd = -1;

static char *
failure(const char *address, const char *what)
{
	return g_strdup_printf("%s: %s: %s", address, what, g_strerror(errno));
}

static void
unix_address(struct sockaddr_un *sun, const char *path)
{
	memset(sun, 0, sizeof *sun);
	sun->sun_family = AF_UNIX;
	g_strlcpy(sun->sun_path, path, sizeof sun->sun_path);
}

/* True if somebody answers at the socket. */
static bool
unix_alive(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive;

	if (fd < 0)
		return true; /* not known: leave it alone */
	/* A full backlog (EAGAIN) is a sign of life as well; a refusal or no socket is none. */
	alive = connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno == EAGAIN ||
		errno == EACCES;
	close(fd);
	return alive;
}

/* Removes a stale socket; false with *why if the path is taken. */
static bool
unix_clear(const struct sockaddr_un *sun, const char *address, char **why)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) != 0)
		return true; /* bind() will say what is wrong */
	if (!S_ISSOCK(st.st_mode)) {
		*why = g_strdup_printf("%s: exists and is no socket", address);
		return false;
	}
	if (unix_alive(sun)) {
		*why = g_strdup_printf("%s: another process listens there", address);
		return false;
	}
	if (unlink(sun->sun_path) != 0) {
		*why = failure(address, "cannot remove the stale socket");
		return false;
	}
	return true;
}

/* The socket belongs to the user that we are about to become, and to socket_group or that user's group. */
static bool
unix_permissions(const struct settings *s, const char *path, const char *address, char **why)
{
	const struct group *gr = s->socket_group != NULL ? getgrnam(s->socket_group) : NULL;
	const struct passwd *pw = geteuid() == 0 && s->user != NULL ? getpwnam(s->user) : NULL;
	uid_t uid = pw != NULL ? pw->pw_uid : (uid_t)-1;
	gid_t gid = gr != NULL ? gr->gr_gid : pw != NULL ? pw->pw_gid : (gid_t)-1;

	if (s->socket_group != NULL && gr == NULL) {
		*why = g_strdup_printf("socket_group: no group \"%s\"", s->socket_group);
		return false;
	}
	/* In this order: without CAP_FOWNER (the systemd unit) root has no say in others' modes. */
	if (chmod(path, (mode_t)s->socket_mode) != 0) {
		*why = failure(address, "cannot change the socket's mode");
		return false;
	}
	if (chown(path, uid, gid) != 0) {
		*why = failure(address, "cannot change the socket's owner and group");
		return false;
	}
	return true;
}

static int
unix_open(const struct settings *s, const char *address, const char *path, char **why)
{
	struct sockaddr_un sun;
	mode_t mask;
	int fd;

	unix_address(&sun, path);
	if (!unix_clear(&sun, address, why))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177); /* nobody else may connect before mode and group are set */
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof sun) != 0)
		*why = failure(address, "cannot bind");
	umask(mask);
	if (*why == NULL && unix_permissions(s, path, address, why) && listen(fd, BACKLOG) != 0)
		*why = failure(address, "cannot listen");
	if (*why != NULL && fd >= 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int
inet_bind(const struct addrinfo *ai, const char *address, char **why)
{
	int one = 1;
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		*why = failure(address, "cannot open a socket");
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	/* libmilter writes each edit as a packet of its own: without this, 40 ms a message (Nagle). */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		*why = failure(address, "cannot bind");
		close(fd);
		return -1;
	}
	return fd;
}

/* rest: "PORT@HOST" or "PORT". */
static int
inet_open(const char *address, const char *rest, int family, char **why)
{
	const struct addrinfo hints = {
		.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	const char *at = strchr(rest, '@');
	char *port = at != NULL ? g_strndup(rest, (gsize)(at - rest)) : g_strdup(rest);
	char *host = at != NULL ? g_strdup(at + 1) : NULL;
	struct addrinfo *ai = NULL;
	size_t len = host != NULL ? strlen(host) : 0;
	int fd = -1, e;

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
	}
	e = getaddrinfo(host, port, &hints, &ai);
	if (e != 0)
		*why = g_strdup_printf("%s: %s", address, gai_strerror(e));
	else
		fd = inet_bind(ai, address, why);
	if (ai != NULL)
		freeaddrinfo(ai);
	g_free(host);
	g_free(port);
	return fd;
}

static void
remember(int fd, const char *path)
{
	struct listening *l = &listening[listening_count++];
	struct stat st;

	l->fd = fd;
	l->path = g_strdup(path);
	if (path != NULL && lstat(path, &st) == 0) {
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
}

static bool
open_one(const struct settings *s, const char *address, char **why)
{
	const char *rest = strchr(address, ':') + 1; /* the settings' check saw to the form */
	struct epoll_event ev = {.events = EPOLLIN};
	const char *path = NULL;
	int fd;

	if (g_str_has_prefix(address, "inet6:"))
		fd = inet_open(address, rest, AF_INET6, why);
	else if (g_str_has_prefix(address, "inet:"))
		fd = inet_open(address, rest, AF_INET, why);
	else
		fd = unix_open(s, address, path = rest, why);
	if (fd < 0)
		return false;
	remember(fd, path);
	ev.data.fd = fd;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		*why = failure(address, "epoll_ctl");
		return false;
	}
	return true;
}

static bool
open_set(char **why)
{
	struct epoll_event ev = {.events = EPOLLIN};

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ev.data.fd = wake_fd;
	if (epoll_fd >= 0 && wake_fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &ev) == 0)
		return true;
	*why = failure("listen", "epoll");
	return false;
}

bool
listener_open(const struct settings *s, char **why)
{
	*why = NULL;
	if (s->listen->len > LISTENERS_MAX) {
		*why = g_strdup_printf("listen: at most %d sockets", LISTENERS_MAX);
		return false;
	}
	if (!open_set(why))
		return false;
	for (guint i = 0; i < s->listen->len; i++) {
		if (!open_one(s, g_ptr_array_index(s->listen, i), why)) {
			listener_close();
			return false;
		}
	}
	return true;
}

int
listener_fd(void)
{
	return epoll_fd;
}

static bool
out_of_resources(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* libmilter tries again at once: give other connections time to end. */
static void
pause_accepting(int error)
{
	static struct log_limit limit;
	const struct timespec pause = {0, PAUSE_MS * 1000000L};

	log_limited(&limit, LOG_ERR, "cannot accept a connection: %s; waiting for others to end",
		    g_strerror(error));
	nanosleep(&pause, NULL);
}

static int
accept_ready(const struct epoll_event *events, int count)
{
	int error = EAGAIN;

	for (int i = 0; i < count; i++) {
		int fd;

		if (events[i].data.fd == wake_fd)
			continue;
		fd = accept4(events[i].data.fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			return fd;
		error = errno;
	}
	errno = error;
	return -1;
}

int
listener_accept(void)
{
	struct epoll_event events[LISTENERS_MAX + 1];
	int count, fd, error;

	pthread_mutex_lock(&lock);
	count = listening_count > 0 ? epoll_wait(epoll_fd, events, LISTENERS_MAX + 1, 0) : 0;
	fd = accept_ready(events, count);
	error = errno;
	pthread_mutex_unlock(&lock);
	if (fd < 0 && out_of_resources(error)) {
		pause_accepting(error);
	} else if (fd < 0 && count <= 1) {
		const struct timespec moment = {0, 10000000};

		nanosleep(&moment, NULL); /* stopping: libmilter asks until it is told that it must */
	}
	errno = error;
	return fd;
}

static void
remove_socket(const struct listening *l)
{
	struct stat st;

	if (l->path != NULL && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
}

void
listener_close(void)
{
	uint64_t one = 1;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < listening_count; i++) {
		remove_socket(&listening[i]);
		close(listening[i].fd);
		g_free(listening[i].path);
	}
	listening_count = 0;
	if (wake_fd >= 0 && write(wake_fd, &one, sizeof one) < 0)
		log_line(LOG_ERR, "eventfd: %s", g_strerror(errno));
	pthread_mutex_unlock(&lock);
}
