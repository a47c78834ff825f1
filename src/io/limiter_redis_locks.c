/*
 * limiter_redis_locks - locks of pools to ISPs in Redis; see limiter_redis_locks.h.
 *
 * Each script is one atomic step.  The version is Redis' time at the change, so it is another one
 * also after the hash was lost and made anew.  A look goes through the hash with HSCAN: a lock that
 * comes or goes meanwhile may be told or not, but then the version, which was read first, is not
 * the hash's any more, and the next look reads again.
 *
 * What stands in the hash may be anybody's: sizes are looked at before it leaves Redis, words when
 * it is here.  A lock at another's field is none: nobody could release it.
 */
#include "io/limiter_redis_locks.h"

#include "base/log.h"
#include "io/limiter_name.h"
#include "io/limiter_redis_names.h"
#include "io/store_words.h"

#include <string.h>

#define REPLY_MAX ((size_t)16 << 20) /* octets; a step of 500 is some 100 kB */
#define LOOK_TIME (5 * (gint64)G_USEC_PER_SEC)

/* clang-format off */

/* What the next two scripts do when they have changed something. */
#define CHANGE \
"local function change()\n" \
"  local clock = redis.call('TIME')\n" \
"  local version = clock[1] .. '.' .. clock[2]\n" \
"  if version == redis.call('HGET', KEYS[1], '') then version = version .. '+' end\n" \
"  redis.call('HSET', KEYS[1], '', version)\n" \
"end\n"

/* ARGV: field, value, rule, "paused" or "slowed", until, now, how many at most.  1: set, 0: one there
   holds, which is lock_holds() once more; -1: no room. */
static const char script_set[] =
CHANGE
"local was = redis.call('HGET', KEYS[1], ARGV[1])\n"
"local rule, kind, til, now = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])\n"
"if was and rule ~= '-' then\n"
"  local r, e, k = string.match(was, '^lock %S+ %S+ (%S+) %d+ (%d+) (%a+)')\n"
"  if r and tonumber(e) > now and (r == '-' or r == rule\n"
"      or (k ~= kind and k == 'paused') or (k == kind and tonumber(e) >= til)) then return 0 end\n"
"end\n"
"if not was and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[7]) then return -1 end\n"
"local ttl = math.max(redis.call('PTTL', KEYS[1]), math.floor((til - now) / 1000) + 60000)\n"
"redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
"redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))\n"
"change()\n"
"return 1\n";

/* ARGV: field.  1: released, 0: there was none. */
static const char script_release[] =
CHANGE
"local was = redis.call('HDEL', KEYS[1], ARGV[1])\n"
"if was > 0 then change() end\n"
"return was\n";

/* ARGV: known version, cursor.  Version, next cursor, how many were too large, fields and values. */
static const char script_look[] =
"local version = redis.call('HGET', KEYS[1], '') or ''\n"
"if #version > 100 then version = '' end\n"
"if version == ARGV[1] then return {version, '0', 0, {}} end\n"
"local step = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', 500)\n"
"local kept, odd = {}, 0\n"
"for i = 1, #step[2], 2 do\n"
"  local field, value = step[2][i], step[2][i + 1]\n"
"  if #field > 200 or #value > 2000 then\n"
"    odd = odd + 1\n"
"  elseif field ~= '' then\n"
"    kept[#kept + 1] = field\n"
"    kept[#kept + 1] = value\n"
"  end\n"
"end\n"
"return {version, step[1], odd, kept}\n";

/* ARGV: fields and values.  Removes those that are still so; who knows the version knows of their end. */
static const char script_drop[] =
"for i = 1, #ARGV, 2 do\n"
"  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end\n"
"end\n"
"return 1\n";
/* clang-format on */

/* ---- commands ---- */

static bool
is_number(const redisReply *r, guint64 serial)
{
	(void)serial;
	return r->type == REDIS_REPLY_INTEGER;
}

static bool
is_step(const redisReply *r, guint64 serial)
{
	(void)serial;
	return r->type == REDIS_REPLY_ARRAY && r->elements == 4 &&
	       r->element[0]->type == REDIS_REPLY_STRING &&
	       r->element[1]->type == REDIS_REPLY_STRING &&
	       r->element[2]->type == REDIS_REPLY_INTEGER &&
	       r->element[3]->type == REDIS_REPLY_ARRAY && r->element[3]->elements % 2 == 0;
}

/* Begins EVALSHA of a script on the hash. */
static void
begin(struct store_words *w, struct limiter_redis *l, const char *script)
{
	char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA1, script, -1);
	struct limiter_names *names = limiter_names_get(l);

	store_words_init(w);
	store_words_add(w, "EVALSHA");
	store_words_add(w, digest);
	store_words_add(w, "1");
	store_words_add(w, names->locks);
	limiter_names_unref(names);
	g_free(digest);
}

/* Sends the words, which are cleared: the reply, or NULL with *why. */
static redisReply *
run(struct limiter_redis *l, struct store_words *w, const char *script,
    bool (*accept)(const redisReply *reply, guint64 serial), char **why)
{
	struct store_request r = {.command = store_words_command(w),
				  .script = script,
				  .accept = accept,
				  .reply_max = REPLY_MAX};
	redisReply *reply = NULL;
	enum store_result result = store_ask(l->store, &r, 0, &reply, why);

	store_words_clear(w);
	if (result == STORE_REFUSED)
		limiter_redis_report(*why);
	return result == STORE_REPLIED ? reply : NULL;
}

/* The same where the reply is a number. */
static bool
run_number(struct limiter_redis *l, struct store_words *w, const char *script, long long *n,
	   char **why)
{
	redisReply *reply = run(l, w, script, is_number, why);

	if (reply == NULL)
		return false;
	*n = reply->integer;
	freeReplyObject(reply);
	return true;
}

static void
add_field(GString *out, const char *pool, const char *isp)
{
	char *field = g_strdup_printf("%s/%s", pool, isp);

	limiter_name_add(out, field);
	g_free(field);
}

/* ---- set, release, forget ---- */

bool
limiter_redis_lock_set(struct limiter_redis *l, const struct lock *lock, int64_t now, bool *set,
		       char **why)
{
	struct store_words w;
	long long answer;

	begin(&w, l, script_set);
	add_field(w.text, lock->pool, lock->isp);
	store_words_end(&w);
	lock_write(lock, w.text);
	store_words_end(&w);
	store_words_add(&w, lock->rule);
	store_words_add(&w, lock->paused ? "paused" : "slowed");
	store_words_add_number(&w, lock->until);
	store_words_add_number(&w, now);
	store_words_add_number(&w, LOCKS_MAX);
	if (!run_number(l, &w, script_set, &answer, why))
		return false;
	if (answer < 0)
		*why = g_strdup("there are too many locks");
	*set = answer > 0;
	return answer >= 0;
}

bool
limiter_redis_lock_release(struct limiter_redis *l, const char *pool, const char *isp, bool *was,
			   char **why)
{
	struct store_words w;
	long long answer;

	begin(&w, l, script_release);
	add_field(w.text, pool, isp);
	store_words_end(&w);
	if (!run_number(l, &w, script_release, &answer, why))
		return false;
	*was = answer > 0;
	return true;
}

bool
limiter_redis_forget(struct limiter_redis *l, const char *key, struct limit limit, char **why)
{
	struct limiter_names *names = limiter_names_get(l);
	struct store_words w;
	long long answer;

	store_words_init(&w);
	store_words_add(&w, "DEL");
	limiter_names_window(names, w.text, key, limit);
	store_words_end(&w);
	limiter_names_unref(names);
	return run_number(l, &w, NULL, &answer, why);
}

/* ---- look ---- */

struct look {
	struct limiter_redis *l;
	int64_t now;
	GArray *locks;    /* so far */
	GPtrArray *ended; /* of char *: field, value, field, value ...; of this step */
	guint odd;
};

/* The lock of a field; false: it is none. */
static bool
read_lock(const redisReply *field, const redisReply *value, struct lock *lock)
{
	GString *name;
	bool same;

	if (field->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING ||
	    !lock_read(value->str, value->len, lock))
		return false;
	name = g_string_new(NULL);
	add_field(name, lock->pool, lock->isp);
	same = name->len == field->len && memcmp(name->str, field->str, field->len) == 0;
	g_string_free(name, TRUE);
	if (!same)
		lock_clear(lock);
	return same;
}

static void
take_lock(struct look *k, const redisReply *field, const redisReply *value)
{
	struct lock lock;

	if (!read_lock(field, value, &lock)) {
		k->odd++;
	} else if (lock.until <= k->now) {
		g_ptr_array_add(k->ended, g_strdup(field->str));
		g_ptr_array_add(k->ended, g_strdup(value->str));
		lock_clear(&lock);
	} else if (k->locks->len < LOCKS_MAX) {
		g_array_append_val(k->locks, lock);
	} else {
		k->odd++;
		lock_clear(&lock);
	}
}

/* What cannot be removed now goes another time. */
static void
drop_ended(struct look *k)
{
	struct store_words w;
	long long answer;
	char *why = NULL;

	if (k->ended->len == 0)
		return;
	begin(&w, k->l, script_drop);
	for (guint i = 0; i < k->ended->len; i++)
		store_words_add(&w, k->ended->pdata[i]);
	(void)run_number(k->l, &w, script_drop, &answer, &why);
	g_free(why);
	g_ptr_array_set_size(k->ended, 0);
}

/* One step: false with *why.  *version: the known one, then theirs; cursor: the next one. */
static bool
step(struct look *k, const char *known, char **version, GString *cursor, char **why)
{
	const redisReply *list;
	struct store_words w;
	redisReply *r;

	begin(&w, k->l, script_look);
	store_words_add(&w, known);
	store_words_add(&w, cursor->str);
	r = run(k->l, &w, script_look, is_step, why);
	if (r == NULL)
		return false;
	if (*version == NULL)
		*version = g_strdup(r->element[0]->str);
	g_string_assign(cursor, r->element[1]->str);
	k->odd += (guint)CLAMP(r->element[2]->integer, 0, LOCKS_MAX);
	list = r->element[3];
	for (size_t i = 0; i < list->elements; i += 2)
		take_lock(k, list->element[i], list->element[i + 1]);
	freeReplyObject(r);
	drop_ended(k);
	return true;
}

/* All steps; a hostile server may have no end of them. */
static bool
steps(struct look *k, const char *known, char **version, char **why)
{
	gint64 end = g_get_monotonic_time() + LOOK_TIME;
	GString *cursor = g_string_new("0");
	bool ok;

	do {
		ok = step(k, known, version, cursor, why);
		if (ok && g_get_monotonic_time() > end) {
			*why = g_strdup("the locks take too long to read");
			ok = false;
		}
	} while (ok && strcmp(cursor->str, "0") != 0);
	g_string_free(cursor, TRUE);
	return ok;
}

bool
limiter_redis_lock_look(struct limiter_redis *l, int64_t now, char **version, GArray **locks,
			char **why)
{
	static struct log_limit often;
	struct look k = {l, now, lock_array_new(), g_ptr_array_new_with_free_func(g_free), 0};
	char *theirs = NULL;
	bool ok = steps(&k, *version != NULL ? *version : "-", &theirs, why);

	if (k.odd > 0)
		log_limited(&often, LOG_WARNING,
			    "redis: %u fields among the locks are no locks: ignored", k.odd);
	g_ptr_array_unref(k.ended);
	*locks = NULL;
	if (ok && g_strcmp0(theirs, *version) != 0) {
		*locks = g_steal_pointer(&k.locks);
		g_free(*version);
		*version = g_steal_pointer(&theirs);
	}
	g_clear_pointer(&k.locks, g_array_unref);
	g_free(theirs);
	return ok;
}
