/*
 * command_classify - poolctl classify: of what category a reply is, and what says so.
 *
 * Replies come as arguments or as lines of standard input.  The reply code and the enhanced status
 * code are taken out of the text, as they stand in Postfix' log or in a bounce.
 */
#include "core/domain.h"
#include "core/isp.h"
#include "core/mta_line.h"
#include "core/reply_text.h"
#include "ctl/command.h"
#include "ctl/report.h"
#include "io/classifier.h"
#include "io/conf_file.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct options {
	const char *config;
	const char *isp, *domain; /* NULL: not told */
	bool json;
	bool help;
	char **reply; /* its words, NULL at the end; none: standard input */
};

/* A reply and what was found. */
struct result {
	const char *reply;
	int code;
	char dsn[REPLY_DSN_SIZE]; /* "": none */
	struct classified found;
};

static struct result
classify(const struct classifier *c, const char *isp, const char *reply)
{
	struct result r = {.reply = reply};
	char text[REPLY_TEXT_MAX + 1];

	reply_text(reply, text);
	r.code = mta_reply_code((struct text_part){reply, strlen(reply)});
	reply_text_dsn(text, r.dsn);
	r.found = classifier_find(c, isp, r.code, r.dsn[0] != '\0' ? r.dsn : NULL, reply);
	return r;
}

static const char *
by_words(const struct result *r)
{
	switch (r->found.by) {
	case CLASSIFIED_BY_CUSTOM:
		return "custom pattern";
	case CLASSIFIED_BY_SHIPPED:
		return "shipped pattern";
	case CLASSIFIED_BY_DSN:
		return "enhanced status code";
	case CLASSIFIED_BY_CODE:
		return "reply code";
	case CLASSIFIED_BY_NOTHING:
		break;
	}
	return r->found.category == CATEGORY_NONE ? "success" : "nothing known";
}

static void
print_pattern(const struct bounce_pattern *p)
{
	printf("place     %s:%u\n", p->origin.file, p->origin.line);
	if (p->isp != NULL)
		printf("isp       %s\n", p->isp);
	if (p->code != NULL)
		printf("code      %s\n", p->code);
	if (p->pattern != NULL)
		printf("pattern   %s\n", p->pattern);
	if (p->source != NULL)
		printf("source    %s\n", p->source);
}

static void
print_result(const struct result *r)
{
	enum category category = r->found.category;

	printf("category  %s\nclass     %s\nby        %s", category_name(category),
	       category_class(category), by_words(r));
	if (r->found.by == CLASSIFIED_BY_DSN)
		printf(" %s", r->dsn);
	if (r->found.by == CLASSIFIED_BY_CODE)
		printf(" %d", r->code);
	putchar('\n');
	if (r->found.pattern != NULL)
		print_pattern(r->found.pattern);
}

/* One line, for many replies; the reply itself is foreign text. */
static void
print_line(const struct result *r)
{
	const struct bounce_pattern *p = r->found.pattern;
	char *reply = g_strescape(r->reply, NULL);

	printf("%-14s  ", category_name(r->found.category));
	if (p != NULL)
		printf("%s:%u  %s\n", p->origin.file, p->origin.line, reply);
	else
		printf("%s  %s\n", by_words(r), reply);
	g_free(reply);
}

static json_t *
result_json(const struct result *r)
{
	const struct bounce_pattern *p = r->found.pattern;
	json_t *j = json_object();

	json_object_set_new(j, "reply", report_text(r->reply));
	json_object_set_new(j, "code", r->code != 0 ? json_integer(r->code) : json_null());
	json_object_set_new(j, "dsn", report_text(r->dsn[0] != '\0' ? r->dsn : NULL));
	json_object_set_new(j, "category", json_string(category_name(r->found.category)));
	json_object_set_new(j, "class", json_string(category_class(r->found.category)));
	json_object_set_new(j, "by", json_string(by_words(r)));
	json_object_set_new(j, "file", report_text(p != NULL ? p->origin.file : NULL));
	json_object_set_new(j, "line", p != NULL ? json_integer(p->origin.line) : json_null());
	json_object_set_new(j, "pattern", report_text(p != NULL ? p->pattern : NULL));
	json_object_set_new(j, "source", report_text(p != NULL ? p->source : NULL));
	return j;
}

static int
classify_argument(const struct options *o, const struct classifier *c, const char *isp)
{
	char *reply = g_strjoinv(" ", o->reply);
	struct result r = classify(c, isp, reply);

	if (o->json)
		report_write(result_json(&r), stdout);
	else
		print_result(&r);
	g_free(reply);
	return EX_OK;
}

static int
classify_lines(const struct options *o, const struct classifier *c, const char *isp)
{
	json_t *list = o->json ? json_array() : NULL;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		struct result r;

		line[strcspn(line, "\r\n")] = '\0';
		if (*line == '\0')
			continue;
		r = classify(c, isp, line);
		if (o->json)
			json_array_append_new(list, result_json(&r));
		else
			print_line(&r);
	}
	free(line);
	if (o->json)
		report_write(list, stdout);
	return ferror(stdin) ? EX_IOERR : EX_OK;
}

/* The record whose patterns count: by name, or by the recipient's domain; false: there is none. */
static bool
find_isp(const struct options *o, const struct settings *s, const char **isp)
{
	const struct isp *record = NULL;

	*isp = NULL;
	if (o->isp != NULL) {
		record = isp_named(s, o->isp);
		if (record == NULL)
			fprintf(stderr, "poolctl classify: no record \"%s\"\n", o->isp);
	} else if (o->domain != NULL) {
		record = isp_find(s, NULL, o->domain, 0).isp;
	} else {
		return true;
	}
	*isp = record != NULL ? record->name : NULL;
	return record != NULL;
}

static int
run(const struct options *o, const struct settings *s)
{
	struct errors *errors = errors_new();
	struct classifier *c = classifier_new(s, errors);
	const char *isp;
	int status = EX_OK;

	for (guint i = 0; i < errors->errors->len; i++)
		fprintf(stderr, "%s\n", (char *)errors->errors->pdata[i]);
	if (errors_any(errors))
		status = EX_CONFIG;
	else if (!find_isp(o, s, &isp))
		status = EX_UNAVAILABLE;
	else if (o->reply[0] != NULL)
		status = classify_argument(o, c, isp);
	else
		status = classify_lines(o, c, isp);
	classifier_free(c);
	errors_free(errors);
	return status;
}

static int
parse_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"isp", required_argument, NULL, 'i'},
		{"domain", required_argument, NULL, 'd'}, {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "+c:i:d:h", longs, NULL)) != -1) {
		if (c == 'c')
			o->config = optarg;
		else if (c == 'i')
			o->isp = optarg;
		else if (c == 'd')
			o->domain = optarg;
		else if (c == 'j')
			o->json = true;
		else if (c == 'h')
			o->help = true;
		else
			return command_usage_error("classify", "unknown option");
	}
	if (o->isp != NULL && o->domain != NULL)
		return command_usage_error("classify", "--isp or --domain: not both");
	o->reply = argv + optind;
	return EX_OK;
}

int
command_classify(int argc, char **argv)
{
	struct options o = {.config = POOLMILTER_CONFIG};
	struct settings *s;
	int status = parse_options(&o, argc, argv);

	if (status != EX_OK)
		return status;
	if (o.help)
		return command_help("classify");
	s = command_load(o.config, CONF_FILE_NO_SECRET);
	if (s == NULL)
		return EX_CONFIG;
	status = run(&o, s);
	settings_unref(s);
	return status;
}
