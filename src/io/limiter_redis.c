/*
 * limiter_redis - the limiter's driver in Redis; see limiter_redis.h.
 *
 * A request becomes one EVALSHA (limiter_script.c): charges of the same key and limit are added up
 * here, as limiter.h wants it, and every number is checked again when it comes back.  Each request
 * has a serial number that the reply repeats, so that whatever a proxy or a confused server sends,
 * the answer to another request is never taken for this one's.
 *
 * What went wrong, and whether it may have been charged, is store.c's to know and to log.  Only
 * what is the fault of single keys (somebody else writes to ours) is logged here, once a minute at
 * most.
 */
#include "io/limiter_redis.h"

#include "base/log.h"
#include "io/limiter_name.h"
#include "io/limiter_redis_names.h"
#include "io/limiter_script.h"
#include "io/store_words.h"

#include <string.h>

#define DAY 86400
#define REPLY_LEN 4

/* A window that a request is charged to. */
struct place {
	const struct charge *charge; /* the first that goes there */
	gint64 amount;
};

/* A request as it goes to Redis. */
struct question {
	struct place *places;
	guint n_places;
	guint32 serial;
	struct store_words words;
};

/* ---- names ---- */

struct limiter_names *
limiter_names_get(struct limiter_redis *l)
{
	struct limiter_names *n;

	pthread_mutex_lock(&l->lock);
	n = l->names;
	__atomic_add_fetch(&n->references, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&l->lock);
	return n;
}

void
limiter_names_unref(struct limiter_names *n)
{
	if (__atomic_sub_fetch(&n->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	g_free(n->limits);
	g_free(n->tallies);
	g_free(n->nodes);
	g_free(n->probe);
	g_free(n->locks);
	g_free(n);
}

static struct limiter_names *
names_new(const struct limiter_redis_settings *settings)
{
	struct limiter_names *n = g_new0(struct limiter_names, 1);
	bool given = settings->prefix != NULL && *settings->prefix != '\0';
	GString *prefix = g_string_new("{");

	limiter_name_add(prefix, given ? settings->prefix : "poolmilter");
	n->references = 1;
	n->limits = g_strconcat(prefix->str, "}:l:", NULL);
	n->tallies = g_strconcat(prefix->str, "}:t:", NULL);
	n->nodes = g_strconcat(prefix->str, "}:n:", NULL);
	n->probe = g_strconcat(prefix->str, "}:probe", NULL);
	n->locks = g_strconcat(prefix->str, "}:k", NULL);
	n->tally_ttl = MAX(1, settings->stats_days) * DAY;
	g_string_free(prefix, TRUE);
	return n;
}

void
limiter_names_window(const struct limiter_names *n, GString *out, const char *key, struct limit limit)
{
	g_string_append(out, n->limits);
	g_string_append_printf(out, "%u/%us:", limit.most, limit.seconds);
	limiter_name_add(out, key);
}

/* ---- question ---- */

static void
question_add_charge(struct question *q, const struct charge *charge)
{
	if (charge->amount == 0)
		return;
	for (guint i = 0; i < q->n_places; i++) {
		const struct charge *c = q->places[i].charge;

		if (c->limit.most == charge->limit.most &&
		    c->limit.seconds == charge->limit.seconds && strcmp(c->key, charge->key) == 0) {
			q->places[i].amount += charge->amount;
			return;
		}
	}
	q->places[q->n_places++] = (struct place){charge, charge->amount};
}

static void
question_init(struct question *q, const struct limiter_request *request, guint32 serial)
{
	q->places = g_new(struct place, request->n_charges);
	q->n_places = 0;
	q->serial = serial;
	store_words_init(&q->words);
	for (guint i = 0; i < request->n_charges; i++)
		question_add_charge(q, &request->charges[i]);
}

static void
question_clear(struct question *q)
{
	g_free(q->places);
	store_words_clear(&q->words);
}

/* ---- words, in the order that limiter_script.c tells ---- */

static void
add_keys(struct question *q, const struct limiter_names *names)
{
	struct store_words *w = &q->words;

	for (guint i = 0; i < q->n_places; i++) {
		const struct charge *c = q->places[i].charge;

		limiter_names_window(names, w->text, c->key, c->limit);
		store_words_end(w);
	}
}

static void
add_numbers(struct question *q)
{
	struct store_words *w = &q->words;

	for (guint i = 0; i < q->n_places; i++) {
		const struct place *p = &q->places[i];

		store_words_add_number(w, p->charge->limit.most);
		store_words_add_number(w, p->charge->limit.seconds);
		store_words_add_number(w, p->amount);
	}
}

static const char *const modes[] = {
	[LIMITER_CHARGE] = "charge", [LIMITER_LOOK] = "look", [LIMITER_RECORD] = "record"};

static void
question_write(struct question *q, const struct limiter_redis *l, const struct limiter_names *names,
	       enum limiter_mode mode)
{
	struct store_words *w = &q->words;

	store_words_add(w, "EVALSHA");
	store_words_add(w, l->charge_digest);
	store_words_add_number(w, q->n_places);
	add_keys(q, names);
	store_words_add_number(w, q->serial);
	store_words_add(w, modes[mode]);
	add_numbers(q);
}

/* ---- the answer ---- */

/* The script's reply to the request with this serial number. */
static bool
is_answer(const redisReply *r, guint64 serial)
{
	if (r->type != REDIS_REPLY_ARRAY || r->elements != REPLY_LEN)
		return false;
	for (guint i = 0; i < REPLY_LEN; i++)
		if (r->element[i]->type != REDIS_REPLY_INTEGER)
			return false;
	return r->element[0]->integer == (long long)serial &&
	       (r->element[1]->integer == 0 || r->element[1]->integer == 1);
}

/* What a reply says; what it cannot say is not known to be refused. */
static enum limiter_answer
read_answer(const struct question *q, const struct limiter_request *request, const redisReply *r,
	    struct limiter_result *result)
{
	long long which = r->element[2]->integer, wait = r->element[3]->integer;

	if (r->element[1]->integer == 0)
		return LIMITER_ALLOWED;
	if (which < 0 || which >= q->n_places || wait < -1 || wait == 0) {
		result->why = g_strdup("odd reply of the script");
		return LIMITER_UNCERTAIN;
	}
	result->which = (guint)(q->places[which].charge - request->charges);
	result->wait_us = wait;
	return LIMITER_OVER;
}

void
limiter_redis_report(const char *why)
{
	static struct log_limit limit;

	if (strstr(why, "WRONGTYPE") != NULL || strstr(why, "poolmilter: damaged") != NULL)
		log_limited(&limit, LOG_WARNING, "redis: %s", why);
}

static enum limiter_answer
question_ask(struct limiter_redis *l, struct question *q, const struct limiter_request *request,
	     struct limiter_result *result)
{
	struct store_request r = {store_words_command(&q->words), limiter_script_charge,
				  is_answer, q->serial, 0};
	enum limiter_answer answer;
	struct redisReply *reply;

	switch (store_ask(l->store, &r, 0, &reply, &result->why)) {
	case STORE_REPLIED:
		answer = read_answer(q, request, reply, result);
		freeReplyObject(reply);
		return answer;
	case STORE_REFUSED:
		limiter_redis_report(result->why);
		return LIMITER_FAILED;
	case STORE_UNCERTAIN:
		break;
	}
	return LIMITER_UNCERTAIN;
}

static enum limiter_answer
ask(void *context, const struct limiter_request *request, struct limiter_result *result)
{
	struct limiter_redis *l = context;
	enum limiter_answer answer = LIMITER_ALLOWED;
	struct limiter_names *names;
	struct question q;

	*result = (struct limiter_result){0};
	question_init(&q, request, __atomic_add_fetch(&l->serial, 1, __ATOMIC_RELAXED));
	if (q.n_places > 0) {
		names = limiter_names_get(l);
		question_write(&q, l, names, request->mode);
		limiter_names_unref(names);
		answer = question_ask(l, &q, request, result);
	}
	question_clear(&q);
	return answer;
}

/* ---- life ---- */

/* A charge that nobody asks for: it reads, writes, and makes the script known. */
static void
probe_words(struct store_words *w, const struct limiter_redis *l,
	    const struct limiter_names *names)
{
	static const char *const numbers[] = {"0", "charge", "1000000000", "60", "1"};

	store_words_init(w);
	store_words_add(w, "EVALSHA");
	store_words_add(w, l->charge_digest);
	store_words_add(w, "1");
	store_words_add(w, names->probe);
	for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
		store_words_add(w, numbers[i]);
}

static struct store_request
probe_request(struct store_words *w)
{
	return (struct store_request){store_words_command(w), limiter_script_charge, is_answer, 0,
				      0};
}

struct limiter_redis *
limiter_redis_new(const struct limiter_redis_settings *settings, char **why)
{
	struct limiter_redis *l = g_new0(struct limiter_redis, 1);
	struct store_request probe;
	struct store_words words;

	l->facade.ask = ask;
	l->facade.context = l;
	l->names = names_new(settings);
	l->charge_digest = g_compute_checksum_for_string(G_CHECKSUM_SHA1, limiter_script_charge, -1);
	l->add_digest = g_compute_checksum_for_string(G_CHECKSUM_SHA1, limiter_script_add, -1);
	pthread_mutex_init(&l->lock, NULL);
	probe_words(&words, l, l->names);
	probe = probe_request(&words);
	l->store = store_new(&settings->store, &probe, why);
	store_words_clear(&words);
	if (l->store == NULL) {
		limiter_redis_free(l);
		return NULL;
	}
	return l;
}

void
limiter_redis_free(struct limiter_redis *l)
{
	if (l == NULL)
		return;
	store_free(l->store);
	limiter_names_unref(l->names);
	g_free(l->charge_digest);
	g_free(l->add_digest);
	pthread_mutex_destroy(&l->lock);
	g_free(l);
}

char *
limiter_redis_check(const struct limiter_redis_settings *settings)
{
	return store_settings_check(&settings->store);
}

bool
limiter_redis_change(struct limiter_redis *l, const struct limiter_redis_settings *settings,
		     char **why)
{
	struct limiter_names *names = names_new(settings), *old;
	struct store_request probe;
	struct store_words words;
	bool ok;

	probe_words(&words, l, names);
	probe = probe_request(&words);
	ok = store_change(l->store, &settings->store, &probe, why);
	store_words_clear(&words);
	if (!ok) {
		limiter_names_unref(names);
		return false;
	}
	pthread_mutex_lock(&l->lock);
	old = l->names;
	l->names = names;
	pthread_mutex_unlock(&l->lock);
	limiter_names_unref(old);
	return true;
}

const struct limiter *
limiter_redis_facade(struct limiter_redis *l)
{
	return &l->facade;
}

bool
limiter_redis_up(struct limiter_redis *l)
{
	return store_up(l->store);
}

bool
limiter_redis_wait_up(struct limiter_redis *l, guint timeout_ms, char **why)
{
	return store_wait_up(l->store, (gint64)timeout_ms * 1000, why);
}
