/*
 * classifycost - what it costs to classify a reply with the patterns of a configuration
 *
 * Purpose: the price of io/classifier.h as poolevents pays it for each deferred or bounced
 * recipient. The settings are those of a configuration file that includes conf/bounces.conf and
 * conf/isps.conf; the replies those of a file of lines "ISP<tab>CATEGORY<tab>REPLY"
 * (tests/component/replies.txt; ISP "-": none, lines that begin with "#" are left out). Each is
 * classified as often as is needed for the time asked for.
 *
 * A reply that gets another category than the file says ends the program: there are no figures
 * then.
 *
 * Figures: CPU time of a classification, on the average and of the dearest reply, and how many a
 * core does in a second. With --hostile the replies are 4 KB of the patterns' own words instead, in
 * no sense.
 *
 * Build: make tests/bench/classifycost
 */
#include "base/errors.h"
#include "core/mta_line.h"
#include "core/reply_text.h"
#include "io/classifier.h"
#include "io/conf_file.h"
#include "io/keystore.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct reply {
	char *isp, *category, *text, *dsn;
	int code;
};

static struct {
	const char *config, *replies;
	double seconds;
	bool hostile;
} opt = {.seconds = 2};

static void die(const char *, const char *) __attribute__((noreturn));

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "classifycost: %s: %s\n", what, why);
	exit(2);
}

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static GArray *
read_replies(void)
{
	GArray *replies = g_array_new(FALSE, FALSE, sizeof(struct reply));
	char *content, **lines;

	if (!g_file_get_contents(opt.replies, &content, NULL, NULL))
		die(opt.replies, "cannot be read");
	lines = g_strsplit(content, "\n", 0);
	for (char **line = lines; *line != NULL; line++) {
		char **parts = g_strsplit(*line, "\t", 3);
		struct reply r;
		char text[REPLY_TEXT_MAX + 1], dsn[REPLY_DSN_SIZE];

		if (**line != '\0' && **line != '#' && g_strv_length(parts) == 3) {
			r.isp = strcmp(parts[0], "-") == 0 ? NULL : g_strdup(parts[0]);
			r.category = g_strdup(parts[1]);
			r.text = g_strdup(parts[2]);
			r.code = mta_reply_code((struct text_part){r.text, strlen(r.text)});
			reply_text(r.text, text);
			r.dsn = reply_text_dsn(text, dsn) ? g_strdup(dsn) : NULL;
			g_array_append_val(replies, r);
		}
		g_strfreev(parts);
	}
	g_strfreev(lines);
	g_free(content);
	if (replies->len == 0)
		die(opt.replies, "has no replies");
	return replies;
}

/* Each gets words of the others until it has 4 KB. */
static void
make_hostile(GArray *replies)
{
	GString *all = g_string_new(NULL);

	for (guint i = 0; i < replies->len; i++)
		g_string_append_printf(all, "%.12s ",
				       g_array_index(replies, struct reply, i).text + 10);
	for (guint i = 0; i < replies->len; i++) {
		struct reply *r = &g_array_index(replies, struct reply, i);
		size_t at = (size_t)i * 37 % (all->len / 2);

		g_free(r->text);
		r->text = g_strndup(all->str + at, 4096);
	}
	g_string_free(all, TRUE);
}

static double
run(const struct classifier *c, const struct reply *r, long rounds)
{
	double begun = cpu_us();

	for (long i = 0; i < rounds; i++)
		classifier_find(c, r->isp, r->code, r->dsn, r->text);
	return (cpu_us() - begun) / (double)rounds;
}

static void
measure(const struct classifier *c, const GArray *replies)
{
	double sum = 0, most = 0;
	long rounds = opt.hostile ? 20 : 100;
	guint passes = 0, dearest = 0;
	double begun = cpu_us();

	for (guint i = 0; i < replies->len && !opt.hostile; i++) {
		const struct reply *r = &g_array_index(replies, struct reply, i);
		struct classified found = classifier_find(c, r->isp, r->code, r->dsn, r->text);

		if (strcmp(category_name(found.category), r->category) != 0)
			die(r->text, category_name(found.category));
	}
	for (; passes == 0 || cpu_us() - begun < opt.seconds * 1e6; passes++)
		for (guint i = 0; i < replies->len; i++) {
			double us = run(c, &g_array_index(replies, struct reply, i), rounds);

			sum += us;
			if (us > most) {
				most = us;
				dearest = i;
			}
		}
	sum /= (double)passes * replies->len;
	printf("{\"replies\": %u, \"hostile\": %s, \"us\": %.2f, \"dearest_us\": %.2f, "
	       "\"per_second\": %.0f, "
	       "\"dearest\": %u}\n",
	       replies->len, opt.hostile ? "true" : "false", sum, most, 1e6 / sum, dearest);
}

static void
usage(void)
{
	fputs("usage: classifycost --config FILE --replies FILE [--seconds S] [--hostile]\n"
	      "prints one JSON object: us of CPU for a classification\n",
	      stderr);
	exit(2);
}

static void
parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"replies", required_argument, NULL, 'r'},
		{"seconds", required_argument, NULL, 's'},
		{"hostile", no_argument, NULL, 'x'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (option == 'c')
			opt.config = optarg;
		else if (option == 'r')
			opt.replies = optarg;
		else if (option == 's')
			opt.seconds = atof(optarg);
		else if (option == 'x')
			opt.hostile = true;
		else
			usage();
	if (optind != argc || opt.config == NULL || opt.replies == NULL)
		usage();
}

int
main(int argc, char **argv)
{
	struct errors *errors = errors_new();
	struct settings *s;
	struct classifier *c;
	GArray *replies;

	parse(argc, argv);
	keystore_init();
	s = conf_file_load(opt.config, CONF_FILE_NO_SECRET, errors);
	if (s == NULL)
		die(opt.config, errors->errors->pdata[0]);
	c = classifier_new(s, errors);
	if (errors_any(errors))
		die(opt.config, errors->errors->pdata[0]);
	replies = read_replies();
	if (opt.hostile)
		make_hostile(replies);
	measure(c, replies);
	for (guint i = 0; i < replies->len; i++) {
		struct reply *r = &g_array_index(replies, struct reply, i);

		g_free(r->isp);
		g_free(r->category);
		g_free(r->text);
		g_free(r->dsn);
	}
	g_array_unref(replies);
	classifier_free(c);
	errors_free(errors);
	settings_unref(s);
	return 0;
}
