/*
 * process - becoming a daemon; see process.h.
 *
 * What it holds (the pid file, the pipe to the waiting parent) is the process' own, once.
 */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static int ready_pipe = -1; /* to the waiting parent */
static int pid_fd = -1;
static char *pid_path;

/* The first process: waits for the daemon's word. */
static void
wait_for_daemon(int fd)
{
	char message[2048];
	size_t got = 0;
	ssize_t n;

	while (got < sizeof message - 1 &&
	       ((n = read(fd, message + got, sizeof message - 1 - got)) > 0 || (n < 0 && errno == EINTR)))
		got += n > 0 ? (size_t)n : 0;
	message[got] = '\0';
	if (got == 0) {
		fputs("poolmilter: the daemon ended while it started; see the log\n", stderr);
		_exit(EX_SOFTWARE);
	}
	if (got > 1)
		fprintf(stderr, "poolmilter: %s\n", message + 1);
	_exit((unsigned char)message[0]);
}

bool
process_detach(char **why)
{
	int pipe_fds[2];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (null_fd < 0 || pipe2(pipe_fds, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
		*why = g_strdup_printf("cannot go to the background: %s", g_strerror(errno));
		return false;
	}
	if (pid > 0) {
		close(pipe_fds[1]);
		wait_for_daemon(pipe_fds[0]);
	}
	close(pipe_fds[0]);
	ready_pipe = pipe_fds[1];
	setsid();
	if (fork() > 0) /* the session's leader goes: no terminal can ever be ours */
		_exit(0);
	if (chdir("/") != 0)
		_exit(EX_OSERR);
	for (int fd = 0; fd <= 2; fd++)
		dup2(null_fd, fd);
	close(null_fd);
	return true;
}

void
process_ready(int status, const char *message)
{
	unsigned char octet = (unsigned char)status;

	if (ready_pipe < 0)
		return;
	if (write(ready_pipe, &octet, 1) == 1 && message != NULL)
		(void)!write(ready_pipe, message, strlen(message));
	close(ready_pipe);
	ready_pipe = -1;
}

/* Opens and locks the file; the lock ends with the process, so a stale file does no harm. */
static int
pid_file_lock(const char *path, char **why)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0) {
		*why = g_strdup_printf("%s: %s", path, g_strerror(errno));
	} else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		*why = g_strdup_printf("%s: another instance is running", path);
		close(fd);
		fd = -1;
	}
	return fd;
}

bool
process_pid_file(const char *path, char **why)
{
	char text[32];
	int len;

	if (path == NULL)
		return true;
	pid_fd = pid_file_lock(path, why);
	if (pid_fd < 0)
		return false;
	len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(pid_fd, 0) != 0 || write(pid_fd, text, (size_t)len) != len) {
		*why = g_strdup_printf("%s: %s", path, g_strerror(errno));
		return false;
	}
	pid_path = g_strdup(path);
	return true;
}

void
process_pid_file_remove(void)
{
	if (pid_path == NULL)
		return;
	/* The directory may not be ours any more after the rights are dropped: then empty it. */
	if (unlink(pid_path) != 0 && ftruncate(pid_fd, 0) != 0)
		return;
	g_clear_pointer(&pid_path, g_free);
}

static const struct passwd *
user_entry(const struct settings *s, char **why)
{
	const struct passwd *pw = getpwnam(s->user);

	if (pw == NULL)
		*why = g_strdup_printf("user: no user \"%s\"", s->user);
	return pw;
}

bool
process_state_dir(const struct settings *s, char **why)
{
	const struct passwd *pw;

	if (mkdir(s->state_dir, 0700) != 0) {
		if (errno == EEXIST)
			return true;
		*why = g_strdup_printf("state_dir: %s: %s", s->state_dir, g_strerror(errno));
		return false;
	}
	if (geteuid() != 0 || s->user == NULL)
		return true;
	pw = user_entry(s, why);
	if (pw == NULL)
		return false;
	if (chown(s->state_dir, pw->pw_uid, pw->pw_gid) != 0) {
		*why = g_strdup_printf("state_dir: %s: %s", s->state_dir, g_strerror(errno));
		return false;
	}
	return true;
}

static bool
become(const struct passwd *pw, const char *user, char **why)
{
	if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0) {
		*why = g_strdup_printf("user: cannot become \"%s\": %s", user, g_strerror(errno));
		return false;
	}
	if (pw->pw_uid != 0 && setuid(0) == 0) {
		*why = g_strdup("user: rights of root came back after they were dropped");
		return false;
	}
	return true;
}

bool
process_drop(const struct settings *s, char **why)
{
	const struct passwd *pw;

	if (geteuid() != 0)
		return true;
	pw = user_entry(s, why);
	return pw != NULL && become(pw, s->user, why);
}
