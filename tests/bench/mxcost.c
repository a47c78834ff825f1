/*
 * mxcost - what a look-up of an ISP record by MX hosts costs when the answer is in the cache
 *
 * Purpose: the price of the cache of io/mx_resolver.h as the pipeline sees it. The settings are
 * those of a configuration file, its `resolver` a DNS server that knows the domains of --domain
 * ("%d" is a number from 0 to --domains - 1). All are asked once; then threads call isp_find() for
 * them in an order of their own, all at the same time.
 *
 * Every domain must lead to the record of --isp by its MX hosts; one look-up that does not, and
 * there are no figures. The DNS server is told (by who starts it) how often it was asked: a look-up
 * that left the cache would show there.
 *
 * Figures: CPU of the whole process (user + system, all threads) for each look-up, and the time
 * that a thread needs for one. "find" is isp_find(); "message" is isp_prefetch() and isp_find(), as
 * a message has both.
 *
 * Build: make tests/bench/mxcost
 */
#include "base/errors.h"
#include "core/isp.h"
#include "io/conf_file.h"
#include "io/keystore.h"
#include "io/mx_resolver.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 64, WAIT_US = 60 * G_USEC_PER_SEC, AT_ONCE = 200 };

static struct {
	const char *config, *domain, *isp;
	long domains, lookups;
	int threads;
	bool prefetch;
} opt = {.domains = 1, .lookups = 1000000, .threads = 1};

static struct settings *settings;
static const struct resolver *resolver;
static char **domains; /* shared, read only */
static gint wrong;     /* atomic: look-ups with another result */
static pthread_barrier_t start_line;

static void die(const char *, const char *) __attribute__((noreturn));

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "mxcost: %s: %s\n", what, why);
	exit(2);
}

static double
clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static bool
find(const char *domain, gint64 deadline)
{
	struct isp_match match = isp_find(settings, resolver, domain, deadline);

	return match.how == ISP_BY_MX && strcmp(match.isp->name, opt.isp) == 0;
}

/* Fills the cache, some domains at a time: the resolver asks only so many at once. */
static void
warm_up(void)
{
	gint64 deadline = g_get_monotonic_time() + WAIT_US;

	for (long first = 0; first < opt.domains; first += AT_ONCE) {
		long end = MIN(first + AT_ONCE, opt.domains);

		for (long i = first; i < end; i++)
			isp_prefetch(settings, resolver, domains[i]);
		for (long i = first; i < end; i++)
			if (!find(domains[i], deadline))
				die(domains[i], "its MX hosts do not lead to the record");
	}
}

static void *
worker(void *number)
{
	/* Far from its neighbours, and from the order in which the domains were asked. */
	unsigned long state = 88172645463325252UL + (unsigned long)(uintptr_t)number;
	gint bad = 0;

	pthread_barrier_wait(&start_line);
	pthread_barrier_wait(&start_line); /* the clocks are read between the two */
	for (long i = 0; i < opt.lookups; i++) {
		const char *domain;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		domain = domains[state % (unsigned long)opt.domains];
		if (opt.prefetch)
			isp_prefetch(settings, resolver, domain);
		bad += !find(domain, 0); /* no time to wait: from the cache, or wrong */
	}
	g_atomic_int_add(&wrong, bad);
	pthread_barrier_wait(&start_line);
	return NULL;
}

static void
measure(void)
{
	pthread_t thread[THREADS_MAX];
	double cpu, wall, total = (double)opt.lookups * opt.threads;

	pthread_barrier_init(&start_line, NULL, (unsigned)opt.threads + 1);
	for (int i = 0; i < opt.threads; i++)
		if (pthread_create(&thread[i], NULL, worker, (void *)(uintptr_t)(i + 1)) != 0)
			die("pthread_create", "failed");
	pthread_barrier_wait(&start_line);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
	wall = clock_us(CLOCK_MONOTONIC);
	pthread_barrier_wait(&start_line);
	pthread_barrier_wait(&start_line);
	cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = clock_us(CLOCK_MONOTONIC) - wall;
	for (int i = 0; i < opt.threads; i++)
		pthread_join(thread[i], NULL);
	if (wrong != 0)
		die(opt.domain, "look-ups did not find the record in the cache");
	printf("{\"what\": \"%s\", \"threads\": %d, \"domains\": %ld, \"lookups\": %.0f, "
	       "\"cpu_us\": %.4f, \"wall_us\": %.4f}\n",
	       opt.prefetch ? "message" : "find", opt.threads, opt.domains, total, cpu / total,
	       wall / (double)opt.lookups);
}

static void
load(void)
{
	struct errors *errors = errors_new();
	char *mark = strstr(opt.domain, "%d");

	keystore_init();
	settings = conf_file_load(opt.config, CONF_FILE_NO_SECRET, errors);
	if (settings == NULL)
		die(opt.config, errors->errors->pdata[0]);
	errors_free(errors);
	domains = g_new(char *, (gsize)opt.domains);
	for (long i = 0; i < opt.domains; i++)
		domains[i] = mark == NULL ? g_strdup(opt.domain)
					  : g_strdup_printf("%.*s%ld%s", (int)(mark - opt.domain),
							    opt.domain, i, mark + 2);
}

static void
usage(void)
{
	fputs("usage: mxcost --config FILE --domain NAME --isp RECORD [--domains N] [--threads T]\n"
	      "              [--lookups N] [--prefetch]\n"
	      "prints one JSON object: us for a look-up (N for each thread)\n",
	      stderr);
	exit(2);
}

static void
option_take(int option, const char *value)
{
	switch (option) {
	case 'c':
		opt.config = value;
		break;
	case 'd':
		opt.domain = value;
		break;
	case 'i':
		opt.isp = value;
		break;
	case 'n':
		opt.domains = atol(value);
		break;
	case 't':
		opt.threads = atoi(value);
		break;
	case 'l':
		opt.lookups = atol(value);
		break;
	case 'p':
		opt.prefetch = true;
		break;
	default:
		usage();
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"domain", required_argument, NULL, 'd'},
		{"isp", required_argument, NULL, 'i'},
		{"domains", required_argument, NULL, 'n'},
		{"threads", required_argument, NULL, 't'},
		{"lookups", required_argument, NULL, 'l'},
		{"prefetch", no_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	struct mx_resolver *mx;
	char *why = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		option_take(option, optarg);
	if (optind != argc || opt.config == NULL || opt.domain == NULL || opt.isp == NULL ||
	    opt.domains < 1 || opt.lookups < 1 || opt.threads < 1 || opt.threads > THREADS_MAX)
		usage();
	load();
	mx = mx_resolver_new(settings->resolver, (guint)settings->dns.cache_entries, &why);
	if (mx == NULL)
		die("resolver", why);
	resolver = mx_resolver_facade(mx);
	warm_up();
	measure();
	mx_resolver_free(mx);
	for (long i = 0; i < opt.domains; i++)
		g_free(domains[i]);
	g_free(domains);
	settings_unref(settings);
	return 0;
}
