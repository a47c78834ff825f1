/*
 * test_mx_resolver - MX hosts from a DNS server of the tests' own (tests/lib/dnsd.py), well and
 * ill.
 *
 * Each test asks for domains of its own, so that the server's counts are its own as well.  Waits
 * for good news are long and end early; "at once" is much shorter than the deadline that was given.
 */
#include "fixture.h"

#include "io/mx_resolver.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS ((gint64)1000)
#define SECOND ((gint64)G_USEC_PER_SEC)
#define LONG_WAIT (20 * SECOND) /* for what comes, on a slow machine too */
#define SHORT_WAIT (150 * MS)   /* for what does not come */
#define AT_ONCE (2 * SECOND)    /* before libunbound gives up, far from LONG_WAIT */

/* ---- the server ---- */

struct dnsd {
	FILE *in, *out;
	GPid pid;
	char address[32];
};
static struct dnsd server;

static void
dnsd_start(struct dnsd *d, const char *zone)
{
	const char *top = getenv("top_srcdir");
	char *program = g_build_filename(top != NULL ? top : ".", "tests/lib/dnsd.py", NULL);
	char *argv[] = {(char *)"/usr/bin/python3", program, (char *)zone, NULL};
	GError *error = NULL;
	int in, out, port = 0;

	if (!g_spawn_async_with_pipes(NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
				      &d->pid, &in, &out, NULL, &error))
		fail_msg("%s: %s", program, error->message);
	d->in = fdopen(in, "w");
	d->out = fdopen(out, "r");
	if (fscanf(d->out, "%d", &port) != 1 || fgetc(d->out) != '\n')
		fail_msg("%s does not run (environment variable top_srcdir?)", program);
	snprintf(d->address, sizeof d->address, "127.0.0.1@%d", port);
	g_free(program);
}

static void
dnsd_stop(struct dnsd *d)
{
	int status;

	fclose(d->in);
	fclose(d->out);
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	assert_int_equal(status, 0);
	g_spawn_close_pid(d->pid);
}

/* Sends a command; the number in its answer. */
static long G_GNUC_PRINTF(2, 3) tell(struct dnsd *d, const char *format, ...)
{
	char line[100];
	va_list ap;

	va_start(ap, format);
	vfprintf(d->in, format, ap);
	va_end(ap);
	fputc('\n', d->in);
	fflush(d->in);
	if (fgets(line, sizeof line, d->out) == NULL)
		fail_msg("the DNS server does not answer to \"%s\"", format);
	return strtol(line, NULL, 10);
}

static long
asked(const char *domain)
{
	return tell(&server, "count %s MX", domain);
}

#define ONE "{\"MX\": [\"10 mx.one.example.\"]}"

/* "NAME": {"MX": [COUNT hosts]}; hosts have 6 octets and the tail, NUL included */
static char *
many_hosts(const char *name, unsigned count, const char *tail)
{
	GString *s = g_string_new(NULL);

	g_string_printf(s, "\"%s\": {\"MX\": [", name);
	for (unsigned i = 0; i < count; i++)
		g_string_append_printf(s, "%s\"10 m%03u.%s.\"", i > 0 ? ", " : "", i, tail);
	g_string_append(s, "]}");
	return g_string_free(s, FALSE);
}

static char *
zone_new(void)
{
	char *parts[] = {
		g_strdup("{\"\": {\"NS\": [\"a.root.example.\"]}"),
		g_strdup("\"one.example\": " ONE),
		g_strdup("\"several.example\": {\"MX\": [\"10 b.several.example.\", \"10 "
			 "A.Several.Example.\", "
			 "\"20 xn--mnchen-3ya.example.\"]}"),
		g_strdup("\"address.example\": {\"A\": [\"192.0.2.1\"]}"),
		g_strdup("\"null.example\": {\"MX\": [\"0 .\"]}"),
		g_strdup("\"null-and-more.example\": {\"MX\": [\"0 .\", \"10 mx.one.example.\"]}"),
		g_strdup("\"alias.example\": {\"CNAME\": [\"alias2.example.\"]}"),
		g_strdup("\"alias2.example\": {\"CNAME\": [\"one.example.\"]}"),
		g_strdup("\"loop.example\": {\"CNAME\": [\"loop2.example.\"]}"),
		g_strdup("\"loop2.example\": {\"CNAME\": [\"loop.example.\"]}"),
		g_strdup("\"odd.example\": {\"MX\": [\"10 a\\\\.b.example.\", \"10 "
			 "\\\\000.example.\", "
			 "\"10 a\\\\010b.example.\", \"10 a\\\\032b.example.\", \"10 "
			 "\\\\255.example.\", "
			 "\"10 -.example.\", \"10 good.example.\"]}"),
		g_strdup("\"only-odd.example\": {\"MX\": [\"10 a\\\\.b.example.\"]}"),
		g_strdup("\"my.test\": " ONE),
		many_hosts("hosts-100.example", 100, "mx.example"),
		many_hosts("hosts-101.example", 101, "mx.example"),
		many_hosts("hosts-1000.example", 1000, "mx.example"),
		many_hosts("long.example", 60,
			   "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghi."
			   "example"),
		NULL,
	};
	char *zone = g_strjoinv(", ", parts), *text = g_strconcat(zone, "}", NULL);

	for (size_t i = 0; parts[i] != NULL; i++)
		g_free(parts[i]);
	g_free(zone);
	return text;
}

/* ---- look-ups ---- */

static struct mx_resolver *
resolver_new(guint entries, const struct mx_tuning *tuning)
{
	char *why = NULL;
	struct mx_resolver *r = mx_resolver_new_tuned(server.address, entries, tuning, &why);

	if (r == NULL)
		fail_msg("no resolver: %s", why);
	return r;
}

static bool
collect(const char *host, void *context)
{
	g_ptr_array_add(context, g_strdup(host));
	return true;
}

static gint
compare(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Looks a domain up, waiting for so long; the hosts, sorted, to *hosts if not NULL. */
static enum mx_answer
look_up(struct mx_resolver *r, const char *domain, gint64 wait, char **hosts)
{
	const struct resolver *f = mx_resolver_facade(r);
	GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
	enum mx_answer what =
		f->mx(f->context, domain, g_get_monotonic_time() + wait, collect, found);

	g_ptr_array_sort(found, compare);
	g_ptr_array_add(found, NULL);
	if (hosts != NULL)
		*hosts = g_strjoinv(",", (char **)found->pdata);
	g_ptr_array_free(found, TRUE);
	return what;
}

/* What the cache says; begins a question if that is nothing. */
static enum mx_answer
cached(struct mx_resolver *r, const char *domain)
{
	return look_up(r, domain, 0, NULL);
}

static bool
cached_host_is(struct mx_resolver *r, const char *domain, const char *want)
{
	char *hosts;
	bool same = look_up(r, domain, 0, &hosts) == MX_FOUND && strcmp(hosts, want) == 0;

	g_free(hosts);
	return same;
}

/* Waits until a condition holds. */
#define until(condition) \
	do { \
		gint64 end_ = g_get_monotonic_time() + LONG_WAIT; \
		while (!(condition)) { \
			if (g_get_monotonic_time() > end_) \
				fail_msg("waited in vain for: %s", #condition); \
			g_usleep(5 * MS); \
		} \
	} while (0)

static const struct {
	const char *name, *domain;
	enum mx_answer want;
	const char *hosts; /* NULL: not compared */
} answers[] = {
	{"one host", "one.example", MX_FOUND, "mx.one.example"},
	{"several hosts, upper case, A-label", "several.example", MX_FOUND,
	 "a.several.example,b.several.example,xn--mnchen-3ya.example"},
	{"a domain without MX", "address.example", MX_NONE, ""},
	{"no such domain", "nowhere.example", MX_NONE, ""},
	{"null MX", "null.example", MX_NONE, ""},
	{"null MX among others", "null-and-more.example", MX_FOUND, "mx.one.example"},
	{"CNAME of a CNAME", "alias.example", MX_FOUND, "mx.one.example"},
	{"CNAME loop", "loop.example", MX_FAILED, ""},
	{"odd bytes in names", "odd.example", MX_FOUND, "good.example"},
	{"odd bytes only", "only-odd.example", MX_NONE, ""},
	{"a domain for private use", "my.test", MX_FOUND, "mx.one.example"},
	{"100 hosts, by TCP", "hosts-100.example", MX_FOUND, NULL},
	{"101 hosts", "hosts-101.example", MX_FAILED, ""},
	{"1,000 hosts", "hosts-1000.example", MX_FAILED, ""},
	{"60 hosts of 78 octets", "long.example", MX_FAILED, ""},
};

static void
test_answers(void **state)
{
	struct mx_resolver *r = resolver_new(1000, &mx_tuning_default);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
		char *hosts;

		check_int(answers[i].name, look_up(r, answers[i].domain, LONG_WAIT, &hosts),
			  answers[i].want);
		if (answers[i].hosts != NULL)
			check_string(answers[i].name, hosts, answers[i].hosts);
		g_free(hosts);
	}
	mx_resolver_free(r);
}

/* What was answered once is not asked again. */
static void
test_cached(void **state)
{
	struct mx_resolver *r = resolver_new(1000, &mx_tuning_default);
	long before;

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(answers); i++)
		look_up(r, answers[i].domain, LONG_WAIT, NULL);
	before = tell(&server, "total");
	for (size_t i = 0; i < G_N_ELEMENTS(answers); i++)
		check_int(answers[i].name, cached(r, answers[i].domain), answers[i].want);
	assert_int_equal(tell(&server, "total"), before);
	mx_resolver_free(r);
}

static void
test_odd_ttl(void **state)
{
	static const char *const ttls[] = {"0", "2147483647", "2147483648", "4294967295"};
	struct mx_resolver *r = resolver_new(1000, &mx_tuning_default);

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(ttls); i++) {
		char *domain = g_strdup_printf("ttl%zu.example", i);
		long before;

		tell(&server, "ttl %s", ttls[i]);
		tell(&server, "records %s " ONE, domain);
		check_int(ttls[i], look_up(r, domain, LONG_WAIT, NULL), MX_FOUND);
		before = asked(domain);
		check_int(ttls[i], cached(r, domain), MX_FOUND);
		check_int(ttls[i], asked(domain), before);
		g_free(domain);
	}
	tell(&server, "ttl 60");
	mx_resolver_free(r);
}

static bool
first_only(const char *host, void *context)
{
	(void)host;
	++*(unsigned *)context;
	return false;
}

static void
test_each_ends_the_calls(void **state)
{
	struct mx_resolver *r = resolver_new(10, &mx_tuning_default);
	const struct resolver *f = mx_resolver_facade(r);
	unsigned calls = 0;

	(void)state;
	assert_int_equal(f->mx(f->context, "several.example", g_get_monotonic_time() + LONG_WAIT,
			       first_only, &calls),
			 MX_FOUND);
	assert_int_equal(calls, 1);
	mx_resolver_free(r);
}

/* ---- time ---- */

/* An answer that has expired is used while the server is asked again. */
static void
test_expired_and_refreshed(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	char *hosts;

	(void)state;
	t.ttl_min = t.ttl_max = 50 * MS;
	r = resolver_new(10, &t);
	tell(&server, "ttl 0"); /* libunbound keeps nothing */
	tell(&server, "records expires.example " ONE);
	assert_int_equal(look_up(r, "expires.example", LONG_WAIT, NULL), MX_FOUND);
	tell(&server, "records expires.example {\"MX\": [\"10 new.example.\"]}");
	tell(&server, "trouble expires.example 0.3");
	g_usleep(100 * MS);
	assert_int_equal(look_up(r, "expires.example", LONG_WAIT, &hosts), MX_FOUND);
	assert_string_equal(hosts, "mx.one.example"); /* it did not wait for: */
	g_free(hosts);
	until(cached_host_is(r, "expires.example", "new.example"));
	tell(&server, "ttl 60");
	mx_resolver_free(r);
}

/* One that expired long ago is asked again, and used if that fails. */
static void
test_stale_at_last(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	gint64 start;
	long before;

	(void)state;
	t.ttl_min = t.ttl_max = 20 * MS;
	t.stale_now = 0;
	r = resolver_new(10, &t);
	tell(&server, "ttl 0");
	tell(&server, "records stale.example " ONE);
	until(cached(r, "stale.example") == MX_FOUND);
	g_usleep(50 * MS);
	tell(&server, "trouble stale.example drop");
	before = asked("stale.example");
	assert_int_equal(look_up(r, "stale.example", SHORT_WAIT, NULL), MX_FOUND);
	assert_true(asked("stale.example") > before);
	start = g_get_monotonic_time();
	assert_int_equal(look_up(r, "stale.example", LONG_WAIT, NULL), MX_FOUND);
	assert_true(g_get_monotonic_time() - start < AT_ONCE);

	tell(&server, "records stale2.example " ONE);
	assert_int_equal(look_up(r, "stale2.example", LONG_WAIT, NULL), MX_FOUND);
	tell(&server, "trouble stale2.example servfail");
	g_usleep(50 * MS);
	assert_int_equal(look_up(r, "stale2.example", LONG_WAIT, NULL), MX_FOUND);
	before = asked("stale2.example");
	assert_true(before > 1);
	assert_int_equal(look_up(r, "stale2.example", LONG_WAIT, NULL), MX_FOUND); /* held */
	assert_int_equal(asked("stale2.example"), before);
	tell(&server, "ttl 60");
	mx_resolver_free(r);
}

static void
test_too_stale(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;

	(void)state;
	t.ttl_min = t.ttl_max = 20 * MS;
	t.stale_now = t.stale_last = 0;
	r = resolver_new(10, &t);
	tell(&server, "ttl 0");
	tell(&server, "records too-stale.example " ONE);
	assert_int_equal(look_up(r, "too-stale.example", LONG_WAIT, NULL), MX_FOUND);
	tell(&server, "trouble too-stale.example servfail");
	g_usleep(50 * MS);
	assert_int_equal(look_up(r, "too-stale.example", LONG_WAIT, NULL), MX_FAILED);
	tell(&server, "ttl 60");
	mx_resolver_free(r);
}

/* ---- waiting ---- */

struct caller {
	struct mx_resolver *resolver;
	const char *domain;
	enum mx_answer what;
	pthread_t thread;
};

static void *
call(void *context)
{
	struct caller *c = context;

	c->what = look_up(c->resolver, c->domain, LONG_WAIT, NULL);
	return NULL;
}

static void
callers_start(struct caller *c, size_t n, struct mx_resolver *r, const char *domain)
{
	for (size_t i = 0; i < n; i++) {
		c[i] = (struct caller){.resolver = r, .domain = domain};
		assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
	}
}

static void
callers_join(struct caller *c, size_t n, enum mx_answer want)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pthread_join(c[i].thread, NULL), 0);
		assert_int_equal(c[i].what, want);
	}
}

static void
test_single_flight(void **state)
{
	struct mx_resolver *r = resolver_new(10, &mx_tuning_default);
	struct caller callers[16];

	(void)state;
	tell(&server, "records flight.example " ONE);
	tell(&server, "trouble flight.example 0.2");
	callers_start(callers, G_N_ELEMENTS(callers), r, "flight.example");
	callers_join(callers, G_N_ELEMENTS(callers), MX_FOUND);
	assert_in_range(asked("flight.example"), 1,
			4); /* libunbound repeats itself if nobody answers */
	mx_resolver_free(r);
}

static void
test_no_answer(void **state)
{
	struct mx_resolver *r = resolver_new(10, &mx_tuning_default);
	gint64 begin = g_get_monotonic_time(), passed;

	(void)state;
	tell(&server, "trouble dropped.example drop");
	assert_int_equal(look_up(r, "dropped.example", SHORT_WAIT, NULL), MX_FAILED);
	passed = g_get_monotonic_time() - begin;
	assert_true(passed >= SHORT_WAIT && passed < AT_ONCE);
	begin = g_get_monotonic_time(); /* the next one does not wait again */
	assert_int_equal(look_up(r, "dropped.example", LONG_WAIT, NULL), MX_FAILED);
	assert_true(g_get_monotonic_time() - begin < AT_ONCE);
	assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
	mx_resolver_free(r);
}

/* Who has little time left leaves the question to those who have more. */
static void
test_caller_in_a_hurry(void **state)
{
	struct mx_resolver *r = resolver_new(10, &mx_tuning_default);

	(void)state;
	tell(&server, "records hurry.example " ONE);
	tell(&server, "trouble hurry.example 0.3");
	assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
	assert_int_equal(look_up(r, "hurry.example", 1 * MS, NULL), MX_FAILED);
	assert_int_equal(look_up(r, "hurry.example", LONG_WAIT, NULL), MX_FOUND);
	mx_resolver_free(r);
}

static void
test_failure_is_held(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	long before;

	(void)state;
	r = resolver_new(10, &t);
	tell(&server, "trouble servfail.example servfail");
	assert_int_equal(look_up(r, "servfail.example", LONG_WAIT, NULL), MX_FAILED);
	before = asked("servfail.example");
	assert_int_equal(look_up(r, "servfail.example", LONG_WAIT, NULL), MX_FAILED);
	assert_int_equal(asked("servfail.example"), before);
	mx_resolver_free(r);

	t.question_max = 100 * MS;
	r = resolver_new(10, &t);
	tell(&server, "records longer.example " ONE);
	tell(&server, "trouble longer.example drop");
	assert_int_equal(look_up(r, "longer.example", LONG_WAIT, NULL), MX_FAILED);
	tell(&server, "trouble longer.example none"); /* too late: */
	before = asked("longer.example");
	until(asked("longer.example") > before); /* now libunbound would know */
	g_usleep(100 * MS);
	assert_int_equal(look_up(r, "longer.example", LONG_WAIT, NULL), MX_FAILED);
	mx_resolver_free(r);

	t.failure_hold = 100 * MS;
	r = resolver_new(10, &t);
	tell(&server, "trouble held.example drop");
	assert_int_equal(look_up(r, "held.example", LONG_WAIT, NULL), MX_FAILED);
	tell(&server, "trouble held.example none");
	tell(&server, "records held.example " ONE);
	until(look_up(r, "held.example", LONG_WAIT, NULL) == MX_FOUND);
	mx_resolver_free(r);
}

static void
test_started_before(void **state)
{
	struct mx_resolver *r = resolver_new(10, &mx_tuning_default);
	const struct resolver *f = mx_resolver_facade(r);
	long before;

	(void)state;
	tell(&server, "records started.example " ONE);
	tell(&server, "records past.example " ONE);
	f->start(f->context, "started.example");
	f->start(f->context, "started.example");
	assert_int_equal(cached(r, "past.example"), MX_FAILED);
	until(cached(r, "started.example") == MX_FOUND);
	until(cached(r, "past.example") == MX_FOUND);
	before = asked("started.example");
	f->start(f->context, "started.example");
	assert_int_equal(asked("started.example"), before);
	mx_resolver_free(r);
}

/* ---- bounds ---- */

static void
test_full_cache(void **state)
{
	static const guint sizes[] = {1, 5, 8, 20};
	unsigned round = 0;

	(void)state;
	for (size_t s = 0; s < G_N_ELEMENTS(sizes); s++) {
		struct mx_resolver *r = resolver_new(sizes[s], &mx_tuning_default);
		guint kept = 0;

		for (int i = 0; i < 40; i++) {
			char *domain = g_strdup_printf("full%u.example", round * 40 + (unsigned)i);

			check_int("any", look_up(r, domain, LONG_WAIT, NULL), MX_NONE);
			g_free(domain);
		}
		for (int i = 39; i >= 0;
		     i--) { /* the last first: the others' questions push it out */
			char *domain = g_strdup_printf("full%u.example", round * 40 + (unsigned)i);

			kept += cached(r, domain) == MX_NONE;
			g_free(domain);
		}
		check_true("at most what was asked for, and not nothing",
			   kept > 0 && kept <= sizes[s]);
		mx_resolver_free(r);
		round++;
	}
}

/* A domain in use is not pushed out by many that are asked for once. */
static void
test_popular_domain_stays(void **state)
{
	struct mx_resolver *r = resolver_new(16, &mx_tuning_default);
	long before;

	(void)state;
	tell(&server, "ttl 0"); /* libunbound keeps nothing */
	tell(&server, "records popular.example " ONE);
	assert_int_equal(look_up(r, "popular.example", LONG_WAIT, NULL), MX_FOUND);
	before = asked("popular.example");
	for (int i = 0; i < 200; i++) {
		char *domain = g_strdup_printf("seldom%d.example", i);

		assert_int_equal(look_up(r, "popular.example", LONG_WAIT, NULL), MX_FOUND);
		assert_int_equal(look_up(r, domain, LONG_WAIT, NULL), MX_NONE);
		g_free(domain);
	}
	assert_int_equal(asked("popular.example"), before);
	tell(&server, "ttl 60");
	mx_resolver_free(r);
}

static void
test_too_many_questions(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	gint64 begin;

	(void)state;
	t.questions = 2;
	t.question_max = 500 * MS;
	r = resolver_new(10, &t);
	tell(&server, "trouble q1.example drop");
	tell(&server, "trouble q2.example drop");
	tell(&server, "records q3.example " ONE);
	cached(r, "q1.example");
	cached(r, "q2.example");
	begin = g_get_monotonic_time();
	assert_int_equal(look_up(r, "q3.example", LONG_WAIT, NULL), MX_FAILED);
	assert_true(g_get_monotonic_time() - begin < AT_ONCE);
	assert_int_equal(asked("q3.example"), 0);
	until(look_up(r, "q3.example", LONG_WAIT, NULL) == MX_FOUND); /* when they are given up */
	mx_resolver_free(r);
}

/* ---- breaker ---- */

static int saved_stderr = -1;

/* Standard error goes to a file until the end of the test. */
static void
stderr_to_file(void)
{
	int file = open(fixture_path("stderr"), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);

	saved_stderr = dup(STDERR_FILENO);
	assert_true(file >= 0 && saved_stderr >= 0);
	fflush(stderr);
	dup2(file, STDERR_FILENO);
	close(file);
}

/* Teardown: what went there is shown if the test failed. */
static int
stderr_back(void **state)
{
	char *text = NULL;

	(void)state;
	fflush(stderr);
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	if (g_file_get_contents(fixture_path("stderr"), &text, NULL, NULL))
		fputs(text, stderr);
	g_free(text);
	return 0;
}

/* How often words stand in it. */
static int
stderr_count(const char *words)
{
	char *text = NULL;
	int n = 0;

	assert_true(g_file_get_contents(fixture_path("stderr"), &text, NULL, NULL));
	for (const char *p = text; (p = strstr(p, words)) != NULL; p++)
		n++;
	g_free(text);
	return n;
}

static void
test_dead_server(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	gint64 begin;
	long control;

	(void)state;
	t.probe_min = 50 * MS;
	t.probe_max = 400 * MS;
	t.control_max = 300 * MS;
	r = resolver_new(10, &t);
	until(cached(r, "one.example") == MX_FOUND);
	stderr_to_file();
	control = tell(&server, "count . NS");
	tell(&server, "trouble * drop");
	assert_int_equal(look_up(r, "dead1.example", SHORT_WAIT, NULL), MX_FAILED);
	assert_int_equal(look_up(r, "dead2.example", SHORT_WAIT, NULL), MX_FAILED);
	assert_int_equal(tell(&server, "count . NS"), control);
	assert_int_equal(look_up(r, "dead3.example", SHORT_WAIT, NULL), MX_FAILED);
	until(stderr_count("dns: no answer from") == 1);

	begin = g_get_monotonic_time();
	assert_int_equal(look_up(r, "dead4.example", LONG_WAIT, NULL), MX_FAILED);
	assert_int_equal(look_up(r, "dead1.example", LONG_WAIT, NULL), MX_FAILED);
	assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
	assert_true(g_get_monotonic_time() - begin < AT_ONCE);
	until(tell(&server, "count . NS") > control + 4); /* probes */

	tell(&server, "records dead1.example " ONE);
	tell(&server, "trouble * none");
	until(stderr_count("answers again") == 1);
	assert_int_equal(look_up(r, "dead1.example", LONG_WAIT, NULL), MX_FOUND);
	assert_int_equal(look_up(r, "dead2.example", LONG_WAIT, NULL), MX_NONE);
	mx_resolver_free(r);
	assert_int_equal(stderr_count("\n"), 2); /* nothing else, of libunbound's neither */
}

static void
fail_domains(struct mx_resolver *r, const char *name, int n)
{
	for (int i = 0; i < n; i++) {
		char *domain = g_strdup_printf("%s%d.example", name, i);

		assert_int_equal(look_up(r, domain, LONG_WAIT, NULL), MX_FAILED);
		g_free(domain);
	}
}

/* Bad zones, however many at one time, do not make a bad server; a bad server does. */
static void
test_bad_zones(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	long control = tell(&server, "count . NS");

	(void)state;
	stderr_to_file();
	t.probe_min = t.probe_max = 50 * MS;
	r = resolver_new(100, &t);
	for (int i = 0; i < 9; i++)
		tell(&server, "trouble bad%d.example servfail", i);
	fail_domains(r, "bad", 9);
	until(tell(&server, "count . NS") > control);
	g_usleep(100 * MS);
	assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
	assert_int_equal(stderr_count("\n"), 0);

	tell(&server,
	     "trouble * servfail"); /* the answer about the root is not taken from a cache */
	fail_domains(r, "worse", 3);
	until(stderr_count("dns: no answer from") == 1);

	tell(&server, "records worse0.example " ONE);
	tell(&server, "trouble * none");
	until(stderr_count("answers again") == 1);
	assert_int_equal(look_up(r, "worse0.example", LONG_WAIT, NULL), MX_FOUND); /* forgotten */
	mx_resolver_free(r);
}

/* A server that knows the root and nothing else: only an answer about a domain helps. */
static void
test_server_cut_off(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;

	(void)state;
	stderr_to_file();
	t.probe_min = t.probe_max = 20 * MS;
	r = resolver_new(100, &t);
	tell(&server, "records cut.example " ONE);
	tell(&server, "trouble * servfail");
	tell(&server, "trouble . well");
	for (int i = 0; stderr_count("no answer about any domain") == 0; i++) {
		char *domain = g_strdup_printf("cut%d.example", i);

		assert_int_equal(look_up(r, domain, LONG_WAIT, NULL), MX_FAILED);
		assert_true(i < 60);
		g_usleep(10 * MS);
		g_free(domain);
	}
	g_usleep(200 * MS);
	assert_int_equal(look_up(r, "cut.example", LONG_WAIT, NULL), MX_FAILED);
	assert_int_equal(stderr_count("\n"), 1);
	tell(&server, "trouble * none");
	until(cached(r, "cut.example") == MX_FOUND);
	mx_resolver_free(r);
	assert_int_equal(stderr_count("answers again"), 1);
	assert_int_equal(stderr_count("\n"), 2);
}

/* libunbound's own back-off does not outlast a short outage. */
static void
test_back_after_short_outage(void **state)
{
	struct mx_resolver *r = resolver_new(10, &mx_tuning_default);
	gint64 begin;

	(void)state;
	tell(&server, "records back.example " ONE);
	tell(&server, "trouble * drop");
	cached(r, "short1.example");
	g_usleep(2 * SECOND);
	cached(r, "short2.example");
	g_usleep(1 * SECOND);
	tell(&server, "trouble * none");
	begin = g_get_monotonic_time();
	assert_int_equal(look_up(r, "back.example", LONG_WAIT, NULL), MX_FOUND);
	assert_true(g_get_monotonic_time() - begin < AT_ONCE);
	mx_resolver_free(r);
}

/* ---- making, changing, freeing ---- */

static void
test_bad_servers(void **state)
{
	static const struct {
		const char *name, *server, *resolv_conf, *why;
	} cases[] = {
		{"no address", "dns.example", NULL, "no address of a DNS server"},
		{"empty", "", NULL, "no address of a DNS server"},
		{"no resolv.conf", NULL, "missing", "missing: No such file"},
		{"a bad line", NULL, "bad", "bad: a nameserver line without an address"},
		{"none named", NULL, "empty", NULL},
		{"some named", NULL, "good", NULL},
	};

	(void)state;
	fixture_write("bad", "nameserver\n", 11, 0600);
	fixture_write("empty", "search example\n", 15, 0600);
	fixture_write("good", "nameserver 192.0.2.1\nnameserver 2001:db8::1\n", 44, 0600);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct mx_tuning t = mx_tuning_default;
		char *why = NULL;
		struct mx_resolver *r;

		t.resolv_conf =
			cases[i].resolv_conf != NULL ? fixture_path(cases[i].resolv_conf) : NULL;
		r = mx_resolver_new_tuned(cases[i].server, 10, &t, &why);
		check_int(cases[i].name, r == NULL, cases[i].why != NULL);
		if (r == NULL)
			check_true(cases[i].name, strstr(why, cases[i].why) != NULL);
		mx_resolver_free(r);
		g_free(why);
	}
}

static void
test_change(void **state)
{
	struct mx_resolver *r = resolver_new(100, &mx_tuning_default);
	struct caller callers[4];
	struct dnsd other;
	char *hosts, *why = NULL;
	long before;

	(void)state;
	dnsd_start(&other,
		   "{\"moves.example\": {\"MX\": [\"10 other.example.\"]}, \"one.example\": " ONE
		   "}");
	tell(&server, "records moves.example " ONE);
	assert_int_equal(look_up(r, "moves.example", LONG_WAIT, NULL), MX_FOUND);
	assert_false(mx_resolver_change(r, "nonsense", 100, &why));
	assert_non_null(why);
	g_free(why);
	before = asked("moves.example");
	assert_true(mx_resolver_change(r, server.address, 100, &why));
	assert_int_equal(cached(r, "moves.example"), MX_FOUND);
	assert_int_equal(asked("moves.example"), before);
	assert_true(mx_resolver_change(r, server.address, 50, &why));
	assert_int_equal(look_up(r, "moves.example", LONG_WAIT, NULL), MX_FOUND);

	tell(&server, "trouble waiting.example drop");
	tell(&other, "records waiting.example " ONE);
	callers_start(callers, G_N_ELEMENTS(callers), r, "waiting.example");
	until(asked("waiting.example") > 0);
	assert_true(mx_resolver_change(r, other.address, 50, &why));
	callers_join(callers, G_N_ELEMENTS(callers), MX_FOUND); /* it is asked again, there */
	assert_int_equal(look_up(r, "moves.example", LONG_WAIT, &hosts), MX_FOUND);
	assert_string_equal(hosts, "other.example");
	g_free(hosts);
	mx_resolver_free(r);
	dnsd_stop(&other);
}

static void
test_change_while_dead(void **state)
{
	struct mx_tuning t = mx_tuning_default;
	struct mx_resolver *r;
	char *why = NULL;
	struct dnsd dead;

	(void)state;
	stderr_to_file();
	t.control_max = 100 * MS;
	t.probe_min = t.probe_max = 60 * SECOND;
	dnsd_start(&dead, "{}");
	tell(&dead, "trouble * drop");
	r = mx_resolver_new_tuned(dead.address, 10, &t, &why);
	assert_non_null(r);
	for (int i = 0; i < 3; i++) {
		char *domain = g_strdup_printf("dead%d.example", i);

		assert_int_equal(look_up(r, domain, SHORT_WAIT, NULL), MX_FAILED);
		g_free(domain);
	}
	until(stderr_count("dns: no answer from") == 1);
	assert_true(mx_resolver_change(r, server.address, 10, &why));
	until(stderr_count("answers again") == 1);
	assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
	mx_resolver_free(r);
	dnsd_stop(&dead);
}

static void
test_free_with_questions(void **state)
{
	struct mx_resolver *r = resolver_new(100, &mx_tuning_default);
	struct caller callers[4];
	gint64 begin;

	(void)state;
	mx_resolver_free(r); /* never used */
	mx_resolver_free(NULL);
	r = resolver_new(100, &mx_tuning_default);
	tell(&server, "trouble * drop");
	for (int i = 0; i < 50; i++) {
		char *domain = g_strdup_printf("outstanding%d.example", i);

		cached(r, domain);
		g_free(domain);
	}
	mx_resolver_free(r); /* perhaps before they are asked */

	r = resolver_new(100, &mx_tuning_default);
	callers_start(callers, G_N_ELEMENTS(callers), r, "outstanding.example");
	until(asked("outstanding.example") > 0);
	g_usleep(50 * MS); /* the callers wait */
	begin = g_get_monotonic_time();
	mx_resolver_free(r);
	assert_true(g_get_monotonic_time() - begin < AT_ONCE);
	callers_join(callers, G_N_ELEMENTS(callers), MX_FAILED);
	tell(&server, "trouble * none");
}

/* Counts what a directory of /proc has. */
static int
entries_of(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void
test_descriptors_and_threads(void **state)
{
	int descriptors = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
	struct mx_resolver *r;

	(void)state;
	for (int i = 0; i < 10; i++) {
		char *why = NULL;

		r = resolver_new(100, &mx_tuning_default);
		assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
		assert_true(mx_resolver_change(r, "127.0.0.1@1", 10, &why));
		assert_true(mx_resolver_change(r, server.address, 10, &why));
		assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
		mx_resolver_free(r);
	}
	assert_int_equal(entries_of("/proc/self/fd"), descriptors);
	until(entries_of("/proc/self/task") == threads);
}

/* A signal for the process never runs in a thread of the resolver, libunbound's included. */
static void
test_signals_are_blocked(void **state)
{
	struct mx_resolver *r = resolver_new(100, &mx_tuning_default);
	int seen = 0;
	GDir *d = g_dir_open("/proc/self/task", 0, NULL);
	const char *name;

	(void)state;
	assert_int_equal(look_up(r, "one.example", LONG_WAIT, NULL), MX_FOUND);
	while ((name = g_dir_read_name(d)) != NULL) {
		char *path = g_strdup_printf("/proc/self/task/%s/status", name), *text = NULL;
		const char *line;

		assert_true(g_file_get_contents(path, &text, NULL, NULL));
		line = strstr(text, "\nSigBlk:");
		assert_non_null(line);
		seen += (strtoull(line + 8, NULL, 16) >> (SIGTERM - 1) & 1) != 0;
		g_free(text);
		g_free(path);
	}
	g_dir_close(d);
	assert_true(seen >= 2);
	mx_resolver_free(r);
}

static int
setup(void **state)
{
	char *zone = zone_new();

	(void)state;
	dnsd_start(&server, zone);
	g_free(zone);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dnsd_stop(&server);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_odd_ttl),
		cmocka_unit_test(test_each_ends_the_calls),
		cmocka_unit_test(test_expired_and_refreshed),
		cmocka_unit_test(test_stale_at_last),
		cmocka_unit_test(test_too_stale),
		cmocka_unit_test(test_single_flight),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_caller_in_a_hurry),
		cmocka_unit_test(test_failure_is_held),
		cmocka_unit_test(test_started_before),
		cmocka_unit_test(test_full_cache),
		cmocka_unit_test(test_popular_domain_stays),
		cmocka_unit_test(test_too_many_questions),
		cmocka_unit_test_teardown(test_dead_server, stderr_back),
		cmocka_unit_test_teardown(test_bad_zones, stderr_back),
		cmocka_unit_test_teardown(test_server_cut_off, stderr_back),
		cmocka_unit_test(test_back_after_short_outage),
		cmocka_unit_test(test_bad_servers),
		cmocka_unit_test(test_change),
		cmocka_unit_test_teardown(test_change_while_dead, stderr_back),
		cmocka_unit_test(test_free_with_questions),
		cmocka_unit_test(test_descriptors_and_threads),
		cmocka_unit_test(test_signals_are_blocked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
