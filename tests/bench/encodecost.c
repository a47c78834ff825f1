/*
 * encodecost - what the encoding stage alone costs for one message
 *
 * Purpose: the stage's own price, without sockets, threads and signatures around it. stage_encode()
 * of core/pipeline.h runs again and again over the same message (--message, with CRLF), as an ISP
 * record with the given encodings would have it. CPU is this thread's clock.
 *
 * A message of the daemon gets a plan, the stage fills it, and it is freed with the new body in it.
 * So a batch makes, fills and frees plans, and from its CPU is taken what a batch of plans costs
 * that the stage has not seen. The two kinds take turns; the figure is the median of the batches.
 * malloc is set as in the daemon (daemon/main.c).
 *
 * What was done is printed too, and --write keeps the resulting message, so that somebody else can
 * look whether it was the right thing.
 *
 * Build: make tests/bench/encodecost
 */
#include "core/author.h"
#include "core/isp.h"
#include "core/pipeline.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCHES_MAX = 1001 };

static struct {
	const char *message;
	const char *write;
	struct isp isp;
	bool safe;
	long batches, per_batch;
} opt = {.batches = 21, .per_batch = 100};

static void die(const char *, const char *) __attribute__((noreturn));

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "encodecost: %s: %s\n", what, why);
	exit(2);
}

/* ---- the message */

static const char *
line_end(const char *text)
{
	const char *end = strstr(text, "\r\n");

	if (end == NULL)
		die(opt.message, "a header line without CRLF");
	return end;
}

/* Adds the field that begins at text; returns what follows it. */
static const char *
field_add(struct message *m, const char *text)
{
	const char *end = line_end(text), *colon = memchr(text, ':', (size_t)(end - text));

	if (colon == NULL)
		die(opt.message, "a header line without a colon");
	while (end[2] == ' ' || end[2] == '\t')
		end = line_end(end + 2);
	message_add_field(m, text, (size_t)(colon - text), colon + 1, (size_t)(end - colon - 1));
	return end + 2;
}

static struct message *
message_load(void)
{
	struct message *m = message_new("sender@example.com", 1 << 30);
	const char *at;
	char *text;
	gsize len;

	if (!g_file_get_contents(opt.message, &text, &len, NULL))
		die(opt.message, "cannot be read");
	for (at = text; strncmp(at, "\r\n", 2) != 0;)
		at = field_add(m, at);
	at += 2;
	message_add_body(m, at, len - (size_t)(at - text));
	message_add_rcpt(m, "rcpt@example.org");
	message_seal(m);
	g_free(text);
	return m;
}

/* ---- one message, and many */

static struct plan *
plan_fill(const struct job *job)
{
	struct plan *plan = plan_new(job->message);

	plan->isp = &opt.isp;
	if (!stage_encode(job, plan))
		die(opt.message, "the stage refuses it");
	return plan;
}

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* CPU us of a message. */
static double
batch(const struct job *job, bool with_stage)
{
	double begun = cpu_us();

	for (long i = 0; i < opt.per_batch; i++)
		plan_free(with_stage ? plan_fill(job) : plan_new(job->message));
	return (cpu_us() - begun) / (double)opt.per_batch;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
measure(const struct job *job, const struct plan *plan)
{
	double stage[BATCHES_MAX], bare[BATCHES_MAX];
	const char *none = "-";

	batch(job, true);
	for (long i = 0; i < opt.batches; i++) {
		bare[i] = batch(job, false);
		stage[i] = batch(job, true) - bare[i];
	}
	qsort(stage, (size_t)opt.batches, sizeof *stage, compare);
	qsort(bare, (size_t)opt.batches, sizeof *bare, compare);
	printf("{\"stage_us\": %.3f, \"stage_us_min\": %.3f, \"stage_us_max\": %.3f, "
	       "\"plan_us\": %.3f, ",
	       stage[opt.batches / 2], stage[0], stage[opt.batches - 1], bare[opt.batches / 2]);
	printf("\"messages\": %ld, \"body\": %zu, \"new_body\": %zu, \"encoded\": \"%s\", "
	       "\"not_encoded\": \"%s\"}\n",
	       opt.batches * opt.per_batch, job->message->body.len,
	       plan->new_body ? plan->body.len : 0, plan->encoded ? plan->encoded->str : none,
	       plan->not_encoded ? plan->not_encoded->str : none);
}

/* ---- the result */

static void
field_write(const struct field *field, void *file)
{
	fprintf(file, "%.*s:", (int)field->name_len, field->name);
	for (size_t i = 0; i < field->value_len; i++)
		fprintf(file, "%s%c", field->value[i] == '\n' ? "\r" : "", field->value[i]);
	fputs("\r\n", file);
}

static void
result_write(const struct message *m, const struct plan *plan)
{
	FILE *file = fopen(opt.write, "w");
	const char *body;
	size_t len;

	if (file == NULL)
		die(opt.write, "cannot be written");
	image_each(plan->image, field_write, file);
	fputs("\r\n", file);
	body = plan_body(plan, m, &len);
	fwrite(body, 1, len, file);
	if (fclose(file) != 0)
		die(opt.write, "cannot be written");
}

/* ---- command line */

static void
usage(void)
{
	fputs("usage: encodecost --message FILE [--global E] [--html E] [--text E] [--safe]\n"
	      "                  [--batches N] [--per-batch N] [--write FILE]\n"
	      "E: keep, 8bit, quoted-printable, base64.  Prints one JSON object: CPU us per "
	      "message\n",
	      stderr);
	exit(2);
}

static int
encoding_option(const char *word)
{
	static const char *const words[] = {"", "keep", "8bit", "quoted-printable", "base64"};

	for (size_t i = ENCODING_KEEP; i < G_N_ELEMENTS(words); i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	usage();
	return ENCODING_UNSET;
}

static void
option_take(int option, const char *value)
{
	switch (option) {
	case 'm':
		opt.message = value;
		break;
	case 'g':
		opt.isp.encoding.global = encoding_option(value);
		break;
	case 'h':
		opt.isp.encoding.html = encoding_option(value);
		break;
	case 't':
		opt.isp.encoding.text = encoding_option(value);
		break;
	case 's':
		opt.safe = true;
		break;
	case 'b':
		opt.batches = atol(value);
		break;
	case 'p':
		opt.per_batch = atol(value);
		break;
	case 'w':
		opt.write = value;
		break;
	default:
		usage();
	}
}

static void
take_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"message", required_argument, NULL, 'm'},
		{"global", required_argument, NULL, 'g'},
		{"html", required_argument, NULL, 'h'},
		{"text", required_argument, NULL, 't'},
		{"safe", no_argument, NULL, 's'},
		{"batches", required_argument, NULL, 'b'},
		{"per-batch", required_argument, NULL, 'p'},
		{"write", required_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		option_take(option, optarg);
	if (optind != argc || opt.message == NULL || opt.batches < 1 || opt.batches > BATCHES_MAX ||
	    opt.per_batch < 1)
		usage();
}

int
main(int argc, char **argv)
{
	struct settings *settings;
	struct job job = {0};
	struct plan *plan;

	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
	take_options(argc, argv);
	author_init();
	settings = settings_new();
	settings->safe_encoding = opt.safe;
	isp_settle_encoding(&opt.isp);
	job.settings = settings;
	job.message = message_load();
	plan = plan_fill(&job);
	measure(&job, plan);
	if (opt.write != NULL)
		result_write(job.message, plan);
	plan_free(plan);
	message_free((struct message *)job.message);
	settings_unref(settings);
	return 0;
}
