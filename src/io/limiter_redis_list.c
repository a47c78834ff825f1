/*
 * limiter_redis_list - reads limits and statistics back from Redis; see limiter_redis.h.
 *
 * For people, not for mail: goes through all keys with SCAN, a small step at a time, so that Redis
 * serves others in between.  SCAN may tell a key twice, so those seen are remembered.
 */
#include "io/limiter_redis_names.h"

#include "io/limiter_name.h"
#include "io/limiter_script.h"
#include "io/store_words.h"

#include <string.h>

#define PATIENCE (2 * (gint64)G_USEC_PER_SEC) /* for one step */
#define REPLY_MAX ((size_t)1 << 20)           /* octets; keys have less than 300 */
#define STEP "500"                            /* keys that Redis looks at in one */

/* What is done with each key; false with *why: stop. name: without the common start. */
typedef bool key_fn(struct limiter_redis *l, const char *key, const char *name, void *context,
		    char **why);

/* A command of words up to a NULL: its reply, of this type; NULL with *why. */
static redisReply *
say(struct limiter_redis *l, int type, char **why, const char *const *words)
{
	struct redisReply *reply = NULL;
	struct store_request r = {.reply_max = REPLY_MAX};
	struct store_words w;

	store_words_init(&w);
	for (; *words != NULL; words++)
		store_words_add(&w, *words);
	r.command = store_words_command(&w);
	if (store_ask(l->store, &r, PATIENCE, &reply, why) == STORE_REPLIED &&
	    reply->type != type && reply->type != REDIS_REPLY_NIL) {
		*why = g_strdup("odd reply");
		freeReplyObject(reply);
		reply = NULL;
	}
	store_words_clear(&w);
	return reply;
}

/* One step of SCAN: keys to seen, the next cursor; false with *why. */
static bool
scan_step(struct limiter_redis *l, const char *pattern, GString *cursor, GHashTable *seen,
	  GPtrArray *keys, char **why)
{
	const char *const words[] = {"SCAN", cursor->str, "MATCH", pattern, "COUNT", STEP, NULL};
	redisReply *r = say(l, REDIS_REPLY_ARRAY, why, words);
	bool ok = r != NULL && r->elements == 2 && r->element[0]->type == REDIS_REPLY_STRING &&
		  r->element[1]->type == REDIS_REPLY_ARRAY;

	if (r != NULL && !ok)
		*why = g_strdup("odd reply to SCAN");
	for (size_t i = 0; ok && i < r->element[1]->elements; i++) {
		const redisReply *k = r->element[1]->element[i];

		if (k->type == REDIS_REPLY_STRING && strlen(k->str) == k->len &&
		    g_hash_table_add(seen, g_strdup(k->str)))
			g_ptr_array_add(keys, g_strdup(k->str));
	}
	if (ok)
		g_string_assign(cursor, r->element[0]->str);
	if (r != NULL)
		freeReplyObject(r);
	return ok;
}

static bool
each_key(struct limiter_redis *l, const char *start, const char *rest, key_fn *each, void *context,
	 char **why)
{
	char *pattern = g_strconcat(start, rest, "*", NULL);
	GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	GString *cursor = g_string_new("0");
	bool ok;

	*why = NULL;
	do {
		GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);

		ok = scan_step(l, pattern, cursor, seen, keys, why);
		for (guint i = 0; ok && i < keys->len; i++) {
			const char *key = g_ptr_array_index(keys, i);

			ok = each(l, key, key + strlen(start), context, why);
		}
		g_ptr_array_free(keys, TRUE);
	} while (ok && strcmp(cursor->str, "0") != 0);
	g_string_free(cursor, TRUE);
	g_hash_table_destroy(seen);
	g_free(pattern);
	return ok;
}

/* ---- limits ---- */

struct limits_visit {
	void (*each)(const struct limiter_use *use, void *context);
	void *context;
	int64_t now; /* by Redis' clock, when the visit began */
};

/* "20/60s:KEY": the limit, and where the key's name begins; NULL: no such name. */
static const char *
parse_name(const char *name, struct limit *limit)
{
	const char *colon = strchr(name, ':');
	char text[32];

	if (colon == NULL || (gsize)(colon - name) >= sizeof text)
		return NULL;
	g_strlcpy(text, name, (gsize)(colon - name) + 1);
	return limit_parse(text, limit) ? colon + 1 : NULL;
}

static guint64
big_endian(const char *octets, gsize n)
{
	guint64 number = 0;

	while (n-- > 0)
		number = number << 8 | (guchar)*octets++;
	return number;
}

/* The window that the script keeps so; false if it is none. */
static bool
parse_window(const redisReply *r, struct limit_window *w)
{
	const char *p = r->str + LIMITER_SCRIPT_HEAD;
	gsize n;

	if (r->type != REDIS_REPLY_STRING || r->len < LIMITER_SCRIPT_HEAD ||
	    (r->len - LIMITER_SCRIPT_HEAD) % LIMITER_SCRIPT_BUCKET != 0 ||
	    !g_str_has_prefix(r->str, LIMITER_SCRIPT_MAGIC))
		return false;
	n = (r->len - LIMITER_SCRIPT_HEAD) / LIMITER_SCRIPT_BUCKET;
	if (n > LIMIT_BUCKETS_MAX)
		return false;
	w->n = w->room = (uint32_t)n;
	w->buckets = g_new(struct limit_bucket, n);
	for (gsize i = 0; i < n; i++, p += LIMITER_SCRIPT_BUCKET) {
		w->buckets[i].last = (int64_t)big_endian(p, 8);
		w->buckets[i].count = big_endian(p + 8, 4);
		w->used += w->buckets[i].count;
	}
	return true;
}

static bool
tell_limit(struct limiter_redis *l, const char *key, const char *name, void *context, char **why)
{
	const struct limits_visit *v = context;
	const char *const words[] = {"GET", key, NULL};
	struct limiter_use use = {0};
	struct limit_window w = {0};
	redisReply *r;
	char *shown;

	name = parse_name(name, &use.limit);
	if (name == NULL)
		return true; /* not ours */
	r = say(l, REDIS_REPLY_STRING, why, words);
	if (r == NULL)
		return false;
	if (r->type == REDIS_REPLY_STRING && parse_window(r, &w)) {
		use.most = use.limit.most;
		use.used = limit_window_used(&w, use.limit, v->now);
		use.wait_us = limit_window_wait(&w, use.limit, 1, v->now);
		use.key = shown = limiter_name_key(name);
		if (use.used > 0)
			v->each(&use, v->context);
		g_free(shown);
	}
	limit_window_clear(&w);
	freeReplyObject(r);
	return true;
}

/* Redis' clock, microseconds since 1970; negative with *why. */
static int64_t
time_there(struct limiter_redis *l, char **why)
{
	static const char *const words[] = {"TIME", NULL};
	redisReply *r = say(l, REDIS_REPLY_ARRAY, why, words);
	int64_t now = -1;

	if (r == NULL)
		return -1;
	if (r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
	    r->element[0]->type == REDIS_REPLY_STRING && r->element[1]->type == REDIS_REPLY_STRING)
		now = g_ascii_strtoll(r->element[0]->str, NULL, 10) * G_USEC_PER_SEC +
		      g_ascii_strtoll(r->element[1]->str, NULL, 10);
	else
		*why = g_strdup("odd reply to TIME");
	freeReplyObject(r);
	return now;
}

bool
limiter_redis_each(struct limiter_redis *l,
		   void (*each)(const struct limiter_use *use, void *context), void *context,
		   char **why)
{
	struct limits_visit v = {each, context, time_there(l, why)};
	struct limiter_names *names;
	bool ok;

	if (v.now < 0)
		return false;
	names = limiter_names_get(l);
	ok = each_key(l, names->limits, "", tell_limit, &v, why);
	limiter_names_unref(names);
	return ok;
}

/* ---- tallies ---- */

struct tallies_visit {
	void (*each)(const char *key, const char *field, int64_t value, void *context);
	void *context;
};

static bool
tell_tallies(struct limiter_redis *l, const char *key, const char *name, void *context, char **why)
{
	const struct tallies_visit *v = context;
	const char *const words[] = {"HGETALL", key, NULL};
	redisReply *r = say(l, REDIS_REPLY_ARRAY, why, words);
	char *shown;

	if (r == NULL && strstr(*why, "WRONGTYPE") == NULL)
		return false;
	if (r == NULL) { /* not ours */
		g_clear_pointer(why, g_free);
		return true;
	}
	shown = limiter_name_key(name);
	for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2) {
		const redisReply *field = r->element[i], *value = r->element[i + 1];
		char *text;

		if (field->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
			continue;
		text = limiter_name_key(field->str);
		v->each(shown, text, g_ascii_strtoll(value->str, NULL, 10), v->context);
		g_free(text);
	}
	g_free(shown);
	freeReplyObject(r);
	return true;
}

bool
limiter_redis_each_tally(struct limiter_redis *l, const char *start,
			 void (*each)(const char *key, const char *field, int64_t value,
				      void *context),
			 void *context, char **why)
{
	struct tallies_visit v = {each, context};
	struct limiter_names *names = limiter_names_get(l);
	GString *rest = g_string_new(NULL);
	bool ok;

	limiter_name_add(rest, start);
	ok = each_key(l, names->tallies, rest->str, tell_tallies, &v, why);
	g_string_free(rest, TRUE);
	limiter_names_unref(names);
	return ok;
}

/* ---- reset ---- */

struct reset_visit {
	const char *key; /* as a person names it */
	char *name;      /* its name in Redis */
	guint forgotten;
};

static bool
reset_key(struct limiter_redis *l, const char *key, const char *name, void *context, char **why)
{
	struct reset_visit *v = context;
	const char *const words[] = {"DEL", key, NULL};
	struct limit limit;
	redisReply *r;
	char *shown;
	bool same;

	name = parse_name(name, &limit);
	if (name == NULL)
		return true;
	shown = limiter_name_key(name); /* of a long key only this is known to people */
	same = strcmp(name, v->name) == 0 || strcmp(shown, v->key) == 0;
	g_free(shown);
	if (!same)
		return true;
	r = say(l, REDIS_REPLY_INTEGER, why, words);
	if (r == NULL)
		return false;
	v->forgotten += r->type == REDIS_REPLY_INTEGER && r->integer > 0;
	freeReplyObject(r);
	return true;
}

bool
limiter_redis_reset(struct limiter_redis *l, const char *key, guint *forgotten, char **why)
{
	struct limiter_names *names = limiter_names_get(l);
	GString *name = g_string_new(NULL);
	struct reset_visit v = {key, NULL, 0};
	bool ok;

	limiter_name_add(name, key);
	v.name = name->str;
	ok = each_key(l, names->limits, "", reset_key, &v, why);
	*forgotten = v.forgotten;
	g_string_free(name, TRUE);
	limiter_names_unref(names);
	return ok;
}
