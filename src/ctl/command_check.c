/*
 * command_check - poolctl check, reload and settings: what needs the configuration alone.
 */
#include "core/setting_table.h"
#include "ctl/command.h"
#include "ctl/daemon_pid.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

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

/* Says why a daemon was not told; the exit status. Takes why. */
static int
told_status(enum daemon_told told, char *why)
{
	if (told != DAEMON_TOLD)
		fprintf(stderr, "poolctl reload: %s\n", why);
	g_free(why);
	if (told == DAEMON_TOLD)
		return EX_OK;
	return told == DAEMON_DENIED ? EX_NOPERM : EX_UNAVAILABLE;
}

/* poolmilter must run, poolevents may. */
static int
reload_daemons(const struct settings *s)
{
	char *why = NULL;
	enum daemon_told told = daemon_pid_reload(s, &why);
	int status = told_status(told, why), other;

	why = NULL;
	told = daemon_pid_reload_events(s, &why);
	if (told == DAEMON_ABSENT) {
		g_free(why);
		return status;
	}
	other = told_status(told, why);
	return status != EX_OK ? status : other;
}

int
command_reload(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	const char *config = POOLMILTER_CONFIG;
	struct settings *s;
	int c, status;

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
	status = reload_daemons(s);
	settings_unref(s);
	return status;
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
