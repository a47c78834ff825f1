/*
 * daemon_pid - tells a daemon to reload; see daemon_pid.h.
 */
#include "ctl/daemon_pid.h"
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

/* Opens the pid file if the daemon holds its lock; -1 with *why. */
static int
pid_file_open(const char *path, const char *who, char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		*why = g_strdup_printf("%s: %s: %s does not run", path, g_strerror(errno), who);
	} else if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
		/* The lock ends with the process, its number in the file does not. */
		*why = g_strdup_printf("%s: nobody holds it: %s does not run", path, who);
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The process that holds the pid file. */
static enum daemon_told
find(const char *path, const char *who, pid_t *pid, char **why)
{
	char text[32] = "";
	guint64 number = 0;
	bool good;
	int fd = pid_file_open(path, who, why);

	if (fd < 0)
		return DAEMON_ABSENT;
	good = read(fd, text, sizeof text - 1) >= 0 &&
	       g_ascii_string_to_unsigned(g_strstrip(text), 10, 2, G_MAXINT32, &number, NULL);
	close(fd);
	if (!good)
		*why = g_strdup_printf("%s: holds no process ID", path);
	*pid = (pid_t)number;
	return good ? DAEMON_TOLD : DAEMON_UNKNOWN;
}

static enum daemon_told
tell(const char *path, const char *who, char **why)
{
	pid_t pid = 0;
	enum daemon_told told = find(path, who, &pid, why);

	if (told == DAEMON_TOLD && kill(pid, SIGHUP) != 0) {
		told = errno == EPERM ? DAEMON_DENIED : DAEMON_ABSENT;
		*why = g_strdup_printf("%s, process %ld: %s", who, (long)pid, g_strerror(errno));
	}
	return told;
}

enum daemon_told
daemon_pid_reload(const struct settings *s, char **why)
{
	if (s->pid_file != NULL)
		return tell(s->pid_file, "poolmilter", why);
	*why = g_strdup("no pid_file is set; send SIGHUP to the daemon yourself");
	return DAEMON_UNKNOWN;
}

enum daemon_told
daemon_pid_reload_events(const struct settings *s, char **why)
{
	char *path = g_build_filename(s->state_dir, PROCESS_EVENTS_PID_NAME, NULL);
	enum daemon_told told = tell(path, "poolevents", why);

	g_free(path);
	return told;
}
