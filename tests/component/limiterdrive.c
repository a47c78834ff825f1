/*
 * limiterdrive - the limiter's Redis driver under the hands of test_limiter_redis.py.
 *
 *	limiterdrive NAME=VALUE ...	settings, see set()
 *
 * Obeys lines on standard input; each is answered by lines, the last of which begins with a dot.
 * KEYs are "%HH"-encoded.  Log lines go to standard error.
 *
 *	ask CHARGE|look ...		. allowed|over|failed|uncertain WHICH WAIT_US TOOK_US WHY
 *		c:KEY:LIMIT:AMOUNT	LIMIT as "20/second"
 *	burst THREADS MS PAUSE_US CHARGE ...
 *					each thread asks for so long, pausing in between; a line
 *					"BEFORE AFTER" (monotonic us) for each that was allowed, then
 *					. ALLOWED OVER FAILED UNCERTAIN LONGEST_US
 *	measure COUNT CHARGE ...	. US_EACH CPU_US_EACH
 *	limits				KEY LIMIT USED WAIT_US ..., then . ok|error WHY
 *	add NODE SERIAL TALLY ...	. replied|refused|uncertain WHY
 *		KEY:FIELD:BY		NODE and FIELD are encoded too
 *	flow NODE THREADS MS KEYS BATCH	threads add to FIELD of KEYS keys for so long, while batches
 *					are taken and sent until they are replied to, and until none
 *					is left: . ADDED BATCHES REFUSED UNCERTAIN
 *	tallies START			KEY FIELD VALUE ..., then . ok|error WHY
 *	reset KEY			. ok NUMBER|error WHY
 *	up				. 0|1
 *	wait MS				. ok|error WHY
 *	change NAME=VALUE ...		. ok|error WHY
 *	check NAME=VALUE ...		. ok|error WHY
 */
#include "base/log.h"
#include "io/limiter_name.h"
#include "io/limiter_redis.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHARGES_MAX 200
#define FLOW_PAUSE 1000 /* us */

/* ---- settings ---- */

struct setup {
	struct limiter_redis_settings s;
	char **sentinels;
};

static void
set(struct setup *u, const char *name, char *value)
{
	struct limiter_redis_settings *s = &u->s;
	struct {
		const char *name;
		const char **text;
		guint *number;
	} all[] = {
		{"address", &s->store.address, NULL},
		{"master", &s->store.sentinel_master, NULL},
		{"username", &s->store.username, NULL},
		{"password", &s->store.password, NULL},
		{"ca", &s->store.tls_files.ca_file, NULL},
		{"cert", &s->store.tls_files.cert_file, NULL},
		{"key", &s->store.tls_files.key_file, NULL},
		{"prefix", &s->prefix, NULL},
		{"database", NULL, &s->store.database},
		{"connect_ms", NULL, &s->store.connect_timeout_ms},
		{"command_ms", NULL, &s->store.command_timeout_ms},
		{"connections", NULL, &s->store.connections},
		{"stats_days", NULL, &s->stats_days},
	};

	for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
		if (strcmp(name, all[i].name) == 0) {
			if (all[i].text != NULL)
				*all[i].text = value;
			else
				*all[i].number = (guint)strtoul(value, NULL, 10);
			return;
		}
	if (strcmp(name, "tls") == 0) {
		s->store.tls = *value == '1';
	} else if (strcmp(name, "sentinels") == 0) {
		u->sentinels = g_strsplit(value, ",", 0);
		s->store.sentinels = (const char *const *)u->sentinels;
	} else {
		fprintf(stderr, "unknown setting %s\n", name);
		exit(2);
	}
}

/* Settings from words; the words must stay. Free with setup_clear(). */
static void
setup_init(struct setup *u, int n, char **words)
{
	memset(u, 0, sizeof *u);
	u->s.store.connect_timeout_ms = 200;
	u->s.store.command_timeout_ms = 100;
	u->s.store.connections = 8;
	u->s.stats_days = 1;
	for (int i = 0; i < n; i++) {
		char *value = strchr(words[i], '=');

		if (value == NULL)
			continue;
		*value = '\0';
		set(u, words[i], value + 1);
	}
}

static void
setup_clear(struct setup *u)
{
	g_strfreev(u->sentinels);
}

/* ---- requests ---- */

struct request {
	struct limiter_request r;
	struct charge charges[CHARGES_MAX];
};

static char *
take(char **at)
{
	char *word = strsep(at, ":");

	return word != NULL ? word : (char *)"";
}

/* A request from words, which are cut into pieces. Free with request_clear(). */
static void
request_init(struct request *q, int n, char **words)
{
	memset(&q->r, 0, sizeof q->r);
	q->r.charges = q->charges;
	for (int i = 0; i < n; i++) {
		char *at = words[i];
		struct charge *c = &q->charges[q->r.n_charges];

		if (strcmp(at, "look") == 0 || strcmp(at, "record") == 0) {
			q->r.mode = *at == 'l' ? LIMITER_LOOK : LIMITER_RECORD;
			continue;
		}
		if (q->r.n_charges++ == CHARGES_MAX)
			exit(2);
		(void)take(&at); /* "c" */
		c->key = limiter_name_key(take(&at));
		if (!limit_parse(take(&at), &c->limit))
			exit(2);
		c->amount = (uint32_t)strtoul(take(&at), NULL, 10);
	}
}

static void
request_clear(struct request *q)
{
	for (guint i = 0; i < q->r.n_charges; i++)
		g_free((char *)q->charges[i].key);
}

/* ---- commands ---- */

static const char *const answers[] = {"allowed", "over", "failed", "uncertain"};

static void
do_ask(struct limiter_redis *l, int n, char **words)
{
	const struct limiter *f = limiter_redis_facade(l);
	struct limiter_result result;
	enum limiter_answer answer;
	struct request q;
	gint64 begin;

	request_init(&q, n, words);
	begin = g_get_monotonic_time();
	answer = f->ask(f->context, &q.r, &result);
	printf(". %s %u %lld %lld %s\n", answers[answer], result.which, (long long)result.wait_us,
	       (long long)(g_get_monotonic_time() - begin), result.why != NULL ? result.why : "");
	g_free(result.why);
	request_clear(&q);
}

struct burst {
	const struct limiter *f;
	const struct limiter_request *request;
	gint64 end;
	unsigned long pause_us;
	GArray *times; /* of gint64, two for each allowed */
	guint counts[4];
	gint64 longest;
};

static void *
burst_thread(void *context)
{
	struct burst *b = context;
	gint64 before, after;

	while ((before = g_get_monotonic_time()) < b->end) {
		struct limiter_result result;
		enum limiter_answer answer = b->f->ask(b->f->context, b->request, &result);

		after = g_get_monotonic_time();
		g_free(result.why);
		b->counts[answer]++;
		b->longest = MAX(b->longest, after - before);
		if (answer == LIMITER_ALLOWED) {
			g_array_append_val(b->times, before);
			g_array_append_val(b->times, after);
		}
		if (b->pause_us > 0)
			g_usleep(b->pause_us);
	}
	return NULL;
}

static void
burst_print(const struct burst *bursts, int threads)
{
	struct burst all = {0};

	for (int t = 0; t < threads; t++) {
		const struct burst *b = &bursts[t];

		for (guint i = 0; i < b->times->len; i += 2)
			printf("%lld %lld\n", (long long)g_array_index(b->times, gint64, i),
			       (long long)g_array_index(b->times, gint64, i + 1));
		for (int i = 0; i < 4; i++)
			all.counts[i] += b->counts[i];
		all.longest = MAX(all.longest, b->longest);
		g_array_free(b->times, TRUE);
	}
	printf(". %u %u %u %u %lld\n", all.counts[0], all.counts[1], all.counts[2], all.counts[3],
	       (long long)all.longest);
}

static void
do_burst(struct limiter_redis *l, int n, char **words)
{
	int threads = atoi(words[0]);
	pthread_t *ids = g_new(pthread_t, threads);
	struct burst *bursts = g_new0(struct burst, threads);
	struct request q;

	request_init(&q, n - 3, words + 3);
	for (int t = 0; t < threads; t++) {
		struct burst *b = &bursts[t];

		b->f = limiter_redis_facade(l);
		b->request = &q.r;
		b->end = g_get_monotonic_time() + atol(words[1]) * 1000;
		b->pause_us = strtoul(words[2], NULL, 10);
		b->times = g_array_new(FALSE, FALSE, sizeof(gint64));
		pthread_create(&ids[t], NULL, burst_thread, b);
	}
	for (int t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	burst_print(bursts, threads);
	request_clear(&q);
	g_free(ids);
	g_free(bursts);
}

static double
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
do_measure(struct limiter_redis *l, int n, char **words)
{
	const struct limiter *f = limiter_redis_facade(l);
	int count = atoi(words[0]);
	struct limiter_result result;
	gint64 begin = g_get_monotonic_time();
	double cpu = cpu_us();
	struct request q;

	request_init(&q, n - 1, words + 1);
	for (int i = 0; i < count; i++) {
		if (f->ask(f->context, &q.r, &result) > LIMITER_OVER)
			fprintf(stderr, "%s\n", result.why);
		g_free(result.why);
	}
	printf(". %.2f %.2f\n", (double)(g_get_monotonic_time() - begin) / count,
	       (cpu_us() - cpu) / count);
	request_clear(&q);
}

/* ---- statistics ---- */

static const char *const results[] = {"replied", "refused", "uncertain"};

/* A batch of the words' tallies. */
static struct tally_batch *
batch_of(struct tally_table *t, int n, char **words)
{
	for (int i = 0; i < n; i++) {
		char *at = words[i], *key = limiter_name_key(take(&at));
		char *field = limiter_name_key(take(&at));

		tally_table_add(t, key, field, strtoll(take(&at), NULL, 10));
		g_free(key);
		g_free(field);
	}
	return tally_table_take(t, (guint)n);
}

static void
do_add(struct limiter_redis *l, int n, char **words)
{
	struct tally_table *t = tally_table_new(TALLY_KEYS_MAX);
	struct tally_batch *b = batch_of(t, n - 2, words + 2);
	char *node = limiter_name_key(words[0]), *why;
	enum store_result result =
		limiter_redis_add(l, node, g_ascii_strtoull(words[1], NULL, 10), b, &why);

	printf(". %s %s\n", results[result], why != NULL ? why : "");
	g_free(node);
	g_free(why);
	tally_batch_free(b);
	tally_table_free(t);
}

struct flow {
	struct tally_table *table;
	gint64 end;
	int keys;
	_Atomic long long added;
	_Atomic int adding; /* threads */
};

static void *
flow_thread(void *context)
{
	struct flow *f = context;
	long long added = 0;

	for (int i = 0; g_get_monotonic_time() < f->end; i++) {
		char key[32];

		g_snprintf(key, sizeof key, "pool/%d", i % f->keys);
		tally_table_add(f->table, key, "FIELD", 1 + i % 3);
		added += 1 + i % 3;
		if (i % 100 == 0)
			g_usleep(FLOW_PAUSE);
	}
	f->added += added;
	f->adding--;
	return NULL;
}

/* Sends until nobody adds and nothing is left; counts[]: batches, refused, uncertain. */
static void
flow_send(struct limiter_redis *l, struct flow *f, const char *node, guint keys_max,
	  guint counts[3])
{
	struct tally_batch *b;
	uint64_t serial = 0;
	bool last;

	do {
		last = f->adding == 0;
		while ((b = tally_table_take(f->table, keys_max)) != NULL) {
			enum store_result result;
			char *why;

			serial++;
			while ((result = limiter_redis_add(l, node, serial, b, &why)) !=
			       STORE_REPLIED) {
				counts[result]++;
				g_free(why);
				g_usleep(FLOW_PAUSE);
			}
			counts[0]++;
			tally_batch_free(b);
		}
	} while (!last);
}

static void
do_flow(struct limiter_redis *l, char **words)
{
	int threads = atoi(words[1]);
	pthread_t *ids = g_new(pthread_t, threads);
	struct flow f = {.table = tally_table_new(TALLY_KEYS_MAX),
			 .end = g_get_monotonic_time() + atol(words[2]) * 1000,
			 .keys = atoi(words[3]),
			 .adding = threads};
	guint counts[3] = {0};

	for (int t = 0; t < threads; t++)
		pthread_create(&ids[t], NULL, flow_thread, &f);
	flow_send(l, &f, words[0], (guint)atoi(words[4]), counts);
	for (int t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	printf(". %lld %u %u %u\n", f.added, counts[STORE_REPLIED], counts[STORE_REFUSED],
	       counts[STORE_UNCERTAIN]);
	tally_table_free(f.table);
	g_free(ids);
}

/* ---- what is read back, and the rest ---- */

static void
print_name(const char *key)
{
	GString *name = g_string_new(NULL);

	limiter_name_add(name, key);
	printf("%s ", name->str);
	g_string_free(name, TRUE);
}

static void
print_limit(const struct limiter_use *use, void *context)
{
	char *limit = limit_text(use->limit);

	(void)context;
	print_name(use->key);
	printf("%s %lld %lld\n", limit, (long long)use->used, (long long)use->wait_us);
	g_free(limit);
}

static void
print_tally(const char *key, const char *field, int64_t value, void *context)
{
	(void)context;
	print_name(key);
	print_name(field);
	printf("%lld\n", (long long)value);
}

/* why: of what gave ok, which may be among the same arguments. */
static void
done(bool ok, char **why)
{
	printf(". %s %s\n", ok ? "ok" : "error", *why != NULL ? *why : "");
	g_free(*why);
}

static void
do_reset(struct limiter_redis *l, const char *word)
{
	char *key = limiter_name_key(word), *why = NULL;
	guint n = 0;

	if (limiter_redis_reset(l, key, &n, &why))
		why = g_strdup_printf("%u", n);
	else
		n = G_MAXUINT;
	done(n != G_MAXUINT, &why);
	g_free(key);
}

static void
do_change(struct limiter_redis *l, int n, char **words)
{
	char *why = NULL;
	struct setup u;
	bool ok;

	setup_init(&u, n, words);
	ok = limiter_redis_change(l, &u.s, &why);
	done(ok, &why);
	setup_clear(&u);
}

static void
do_check(int n, char **words)
{
	struct setup u;
	char *why;

	setup_init(&u, n, words);
	why = limiter_redis_check(&u.s);
	done(why == NULL, &why);
	setup_clear(&u);
}

static void
obey(struct limiter_redis *l, int n, char **words)
{
	char *why = NULL;

	if (strcmp(words[0], "ask") == 0)
		do_ask(l, n - 1, words + 1);
	else if (strcmp(words[0], "burst") == 0)
		do_burst(l, n - 1, words + 1);
	else if (strcmp(words[0], "measure") == 0)
		do_measure(l, n - 1, words + 1);
	else if (strcmp(words[0], "limits") == 0)
		done(limiter_redis_each(l, print_limit, NULL, &why), &why);
	else if (strcmp(words[0], "tallies") == 0)
		done(limiter_redis_each_tally(l, n > 1 ? words[1] : "", print_tally, NULL, &why),
		     &why);
	else if (strcmp(words[0], "add") == 0)
		do_add(l, n - 1, words + 1);
	else if (strcmp(words[0], "flow") == 0)
		do_flow(l, words + 1);
	else if (strcmp(words[0], "reset") == 0)
		do_reset(l, words[1]);
	else if (strcmp(words[0], "up") == 0)
		printf(". %d\n", limiter_redis_up(l));
	else if (strcmp(words[0], "wait") == 0)
		done(limiter_redis_wait_up(l, (guint)atoi(words[1]), &why), &why);
	else if (strcmp(words[0], "change") == 0)
		do_change(l, n - 1, words + 1);
	else if (strcmp(words[0], "check") == 0)
		do_check(n - 1, words + 1);
	else
		printf(". error unknown command\n");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	char *line = NULL, *why = NULL;
	struct limiter_redis *l;
	size_t size = 0;
	struct setup u;

	setup_init(&u, argc - 1, argv + 1);
	l = limiter_redis_new(&u.s, &why);
	setup_clear(&u);
	if (l == NULL) {
		fprintf(stderr, "%s\n", why);
		g_free(why);
		return 1;
	}
	while (getline(&line, &size, stdin) > 0) {
		char **words = g_strsplit_set(g_strchomp(line), " ", 0);

		if (words[0] != NULL)
			obey(l, (int)g_strv_length(words), words);
		g_strfreev(words);
	}
	free(line);
	limiter_redis_free(l);
	return 0;
}
