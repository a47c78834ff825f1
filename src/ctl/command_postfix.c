/*
 * command_postfix - poolctl postfix: what the MTA needs, and what in its settings endangers mail.
 */
#include "ctl/command.h"
#include "ctl/postfix_check.h"
#include "ctl/postfix_files.h"
#include "ctl/postfix_plan.h"
#include "ctl/sendmail_lines.h"
#include "io/conf_file.h"
#include "io/state_file.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* Where the tables are thought to be when all goes to standard output. */
#define DIRECTORY "$config_directory/poolmilter"

struct options {
	const char *config;
	char *source;           /* its name, fit for a comment */
	const char *output;     /* NULL: standard output */
	const char *config_dir; /* Postfix' own; NULL: that of postconf */
	const char *bounces;
	bool any_address, check, json, sendmail, help;
};

/* True if text means the same to a shell, to Postfix and to us. */
static bool
is_plain(const char *text, const char *others)
{
	for (; *text != '\0'; text++)
		if (!g_ascii_isalnum(*text) && strchr(others, *text) == NULL)
			return false;
	return true;
}

static bool
is_address(const char *text)
{
	const char *at = strchr(text, '@');

	return at != NULL && at != text && at[1] != '\0' && strchr(at + 1, '@') == NULL &&
	       is_plain(text, "._+=@-");
}

static char *
one_line(const char *text)
{
	char *line = g_strdup(text);

	for (char *c = line; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	return line;
}

/* ---- generation ---- */

static void
print_warnings(const struct postfix_plan *p)
{
	for (guint i = 0; i < p->warnings->len; i++)
		fprintf(stderr, "warning: %s\n", (char *)p->warnings->pdata[i]);
}

static void
print_files(const GPtrArray *files)
{
	for (guint i = 0; i < files->len; i++) {
		const struct postfix_file *f = files->pdata[i];

		printf("%s#### %s\n%s", i > 0 ? "\n" : "", f->name, f->text->str);
	}
}

static int
write_files(const GPtrArray *files, const char *directory)
{
	char *why = NULL;

	if (mkdir(directory, 0755) != 0 && errno != EEXIST)
		why = g_strdup_printf("%s: cannot be made: %s", directory, g_strerror(errno));
	for (guint i = 0; why == NULL && i < files->len; i++) {
		const struct postfix_file *f = files->pdata[i];
		char *path = g_build_filename(directory, f->name, NULL);

		if (state_file_write(path, f->mode, f->text->str, f->text->len, &why))
			printf("%s\n", path);
		g_free(path);
	}
	if (why == NULL)
		return EX_OK;
	fprintf(stderr, "poolctl postfix: %s\n", why);
	g_free(why);
	return EX_CANTCREAT;
}

static uid_t
owner_of_secrets(const struct settings *s)
{
	const struct passwd *pw = s->user != NULL ? getpwnam(s->user) : NULL;

	return pw != NULL ? pw->pw_uid : geteuid();
}

/* The configuration's path as Postfix can name it; g_free it, NULL: it cannot. */
static char *
readable_config(const struct options *o, struct postfix_plan *p)
{
	char *path = g_canonicalize_filename(o->config, NULL);

	if (is_plain(path, "/._+-"))
		return path;
	if (p->settings->events.used)
		postfix_plan_warn(p, "bounces become no events: master.cf cannot name %s", o->source);
	g_free(path);
	return NULL;
}

static int
generate(const struct options *o, struct postfix_plan *p)
{
	char *config = readable_config(o, p), *why = NULL;
	struct postfix_texts t = {
		o->source,  o->output != NULL ? o->output : DIRECTORY, config,
		o->bounces, o->output != NULL,			       owner_of_secrets(p->settings)};
	GPtrArray *files = postfix_files_new(p, &t, &why);
	int status = EX_OK;

	g_free(config);

	if (files == NULL) {
		fprintf(stderr, "poolctl postfix: %s\n", why);
		g_free(why);
		return EX_NOINPUT;
	}
	print_warnings(p);
	if (o->output != NULL)
		status = write_files(files, o->output);
	else
		print_files(files);
	g_ptr_array_free(files, TRUE);
	return status;
}

static int
print_sendmail(const struct options *o, const struct settings *s)
{
	char *text = sendmail_lines(s, o->source);

	fputs(text, stdout);
	g_free(text);
	return EX_OK;
}

static int
run(const struct options *o, const struct settings *s)
{
	struct postfix_plan *p;
	int status;

	if (o->sendmail)
		return print_sendmail(o, s);
	p = postfix_plan_new(s, o->any_address);
	status = o->check ? postfix_check(p, o->config_dir, o->json) : generate(o, p);
	postfix_plan_free(p);
	return status;
}

/* ---- the command ---- */

static int
check_options(struct options *o, char **output)
{
	if (o->check + o->sendmail + (o->output != NULL) > 1)
		return command_usage_error("postfix",
					   "one of --output, --check and --sendmail, not several");
	if (!o->check && (o->json || o->config_dir != NULL))
		return command_usage_error("postfix", "--json and --config-dir go with --check");
	if (o->bounces != NULL && !is_address(o->bounces))
		return command_usage_error("postfix", "--bounces: \"%s\" is no plain address",
					   o->bounces);
	if (o->output == NULL)
		return EX_OK;
	*output = g_canonicalize_filename(o->output, NULL);
	o->output = *output;
	if (!is_plain(*output, "/._+-"))
		return command_usage_error(
			"postfix",
			"--output: \"%s\": expected letters, digits, '.', '_', '+', "
			"'-' and '/' in the path",
			*output);
	return EX_OK;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"output", required_argument, NULL, 'o'},
		{"config-dir", required_argument, NULL, 'd'},
		{"bounces", required_argument, NULL, 'b'},
		{"any-address", no_argument, NULL, 'a'},
		{"check", no_argument, NULL, 'k'},
		{"json", no_argument, NULL, 'j'},
		{"sendmail", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:o:h", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'o')
			o->output = optarg;
		else if (c == 'd')
			o->config_dir = optarg;
		else if (c == 'b')
			o->bounces = optarg;
		else if (c == 'a')
			o->any_address = true;
		else if (c == 'k')
			o->check = true;
		else if (c == 'j')
			o->json = true;
		else if (c == 's')
			o->sendmail = true;
		else if (c == 'h')
			o->help = true;
		else
			return command_usage_error("postfix", "unknown option");
	}
	if (optind < argc)
		return command_usage_error("postfix", "unexpected argument \"%s\"", argv[optind]);
	return EX_OK;
}

int
command_postfix(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	char *output = NULL;
	struct settings *s;
	int status = parse_options(&o, argc, argv);

	if (status == EX_OK && o.help)
		return command_help("postfix");
	if (status == EX_OK)
		status = check_options(&o, &output);
	if (status == EX_OK) {
		o.source = one_line(o.config);
		s = command_load(o.config, CONF_FILE_NO_SECRET);
		status = s != NULL ? run(&o, s) : EX_CONFIG;
		settings_unref(s);
	}
	g_free(o.source);
	g_free(output);
	return status;
}
