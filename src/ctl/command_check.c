/*
 * command_check - poolctl check, reload and settings: what needs the configuration alone.
 */
#include "core/setting_table.h"
#include "ctl/command.h"
#include "io/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

int
command_check(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"keys", no_argument, NULL, 'k'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *config = POOLMILTER_CONFIG;
	int flags = CONF_FILE_NO_SECRET;
	struct settings *s;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		if (c == 'c')
			config = optarg;
		else if (c == 'k')
			flags |= CONF_FILE_KEYS;
		else if (c == 'h')
			return command_help("check");
		else
			return command_usage_error("check", "unknown option");
	}
	if (optind < argc)
		return command_usage_error("check", "unexpected argument \"%s\"", argv[optind]);
	s = command_load(config, flags);
	if (s == NULL)
		return EX_CONFIG;
	printf("%s: good, %u pools in %u files\n", config, s->pools->len, s->files->len);
	settings_unref(s);
	return EX_OK;
}

/* Opens the pid file if the daemon holds its lock; -1 with what is wrong on standard error. */
static int
pid_file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "poolctl reload: %s: %s: poolmilter does not run\n", path, g_strerror(errno));
	} else if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
		/* The lock ends with the process, its number in the file does not. */
		fprintf(stderr, "poolctl reload: %s: nobody holds it: poolmilter does not run\n", path);
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The process that holds the pid file, or 0 with what is wrong on standard error. */
static pid_t
daemon_pid(const struct settings *s)
{
	char text[32] = "";
	guint64 pid = 0;
	int fd;

	if (s->pid_file == NULL) {
		fputs("poolctl reload: no pid_file is set; send SIGHUP to the daemon yourself\n", stderr);
		return 0;
	}
	fd = pid_file_open(s->pid_file);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0 ||
	    !g_ascii_string_to_unsigned(g_strstrip(text), 10, 2, G_MAXINT32, &pid, NULL)) {
		pid = 0;
		fprintf(stderr, "poolctl reload: %s: holds no process ID\n", s->pid_file);
	}
	close(fd);
	return (pid_t)pid;
}

int
command_reload(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *config = POOLMILTER_CONFIG;
	struct settings *s;
	pid_t pid;
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		if (c == 'c')
			config = optarg;
		else if (c == 'h')
			return command_help("reload");
		else
			return command_usage_error("reload", "unknown option");
	}
	if (optind < argc)
		return command_usage_error("reload", "unexpected argument \"%s\"", argv[optind]);
	s = command_load(config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	pid = daemon_pid(s);
	settings_unref(s);
	if (pid == 0)
		return EX_UNAVAILABLE;
	if (kill(pid, SIGHUP) != 0) {
		bool denied = errno == EPERM;

		fprintf(stderr, "poolctl reload: process %ld: %s\n", (long)pid, g_strerror(errno));
		return denied ? EX_NOPERM : EX_UNAVAILABLE;
	}
	return EX_OK;
}

int
command_settings(int argc, char **argv)
{
	bool man = argc > 1 && strcmp(argv[1], "--man") == 0;
	GString *text;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return command_help("settings");
	if (argc > 1 + man)
		return command_usage_error("settings", "unexpected argument \"%s\"", argv[1 + man]);
	text = setting_table_text(man);
	fputs(text->str, stdout);
	g_string_free(text, TRUE);
	return EX_OK;
}
