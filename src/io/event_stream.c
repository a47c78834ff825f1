/*
 * event_stream - events as entries of a Redis Stream; see event_stream.h.
 *
 * A script adds all events of a batch.  Without any it cuts the stream: that is the store's
 * probe, which a replica, a key that is something else, or a server without streams does not
 * pass.  When the script fails in the middle, some events are there: they are added again with
 * the others.
 *
 *	KEYS	the stream
 *	ARGV	about how many entries stay; for each event: id, type, pool, JSON
 *	reply	how many events were added
 */
#include "io/event_stream.h"

#include "io/event_db.h"
#include "io/event_member.h"
#include "io/limiter_redis_settings.h"
#include "io/store.h"
#include "io/store_words.h"

#include <string.h>

#define PATIENCE (2 * G_USEC_PER_SEC) /* at least, for a batch */

/* clang-format off */
static const char script[] =
"local max = ARGV[1]\n"
"for i = 2, #ARGV, 4 do\n"
"  redis.call('XADD', KEYS[1], 'MAXLEN', '~', max, '*', 'id', ARGV[i], 'type', ARGV[i + 1],\n"
"    'pool', ARGV[i + 2], 'event', ARGV[i + 3])\n"
"end\n"
"if #ARGV == 1 then redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', max) end\n"
"return (#ARGV - 1) / 4\n";
/* clang-format on */

struct event_stream {
	struct store *store;
	char *digest; /* of the script */
	char *key;
	int64_t max; /* entries */
	gint64 patience;
};

/* The script's reply to so many events. */
static bool
is_answer(const redisReply *reply, guint64 events)
{
	return reply->type == REDIS_REPLY_INTEGER && reply->integer == (long long)events;
}

static void
begin_words(struct store_words *w, const char *digest, const char *key, int64_t max)
{
	store_words_init(w);
	store_words_add(w, "EVALSHA");
	store_words_add(w, digest);
	store_words_add_number(w, 1);
	store_words_add(w, key);
	store_words_add_number(w, max);
}

static struct store_request
request_of(struct store_words *w, guint events)
{
	return (struct store_request){store_words_command(w), script, is_answer, events, 0};
}

static void
take(struct event_stream *e, const struct settings *s)
{
	g_free(e->key);
	e->key = g_strdup(s->events.stream);
	e->max = s->events.stream_max;
	e->patience = MAX(s->redis.command_timeout_ms * 1000, PATIENCE);
}

/* Makes the store, or changes it. */
static bool
set_store(struct event_stream *e, const struct settings *s, char **why)
{
	struct limiter_redis_settings redis;
	struct store_request probe;
	struct store_words words;
	bool ok;

	limiter_redis_settings_from(s, &redis);
	redis.store.connections = 1;
	begin_words(&words, e->digest, s->events.stream, s->events.stream_max);
	probe = request_of(&words, 0);
	if (e->store != NULL)
		ok = store_change(e->store, &redis.store, &probe, why);
	else
		ok = (e->store = store_new(&redis.store, &probe, why)) != NULL;
	store_words_clear(&words);
	limiter_redis_settings_clear(&redis);
	if (ok)
		take(e, s);
	return ok;
}

struct event_stream *
event_stream_new(const struct settings *s, char **why)
{
	struct event_stream *e = g_new0(struct event_stream, 1);

	e->digest = g_compute_checksum_for_string(G_CHECKSUM_SHA1, script, -1);
	if (set_store(e, s, why))
		return e;
	event_stream_free(e);
	return NULL;
}

bool
event_stream_change(struct event_stream *e, const struct settings *s, char **why)
{
	return set_store(e, s, why);
}

void
event_stream_free(struct event_stream *e)
{
	if (e == NULL)
		return;
	store_free(e->store);
	g_free(e->digest);
	g_free(e->key);
	g_free(e);
}

bool
event_stream_up(struct event_stream *e)
{
	return store_up(e->store);
}

static void
add_event(struct store_words *w, const struct event_row *row)
{
	char *type = event_member(row->json, "type");

	store_words_add(w, row->id);
	store_words_add(w, type);
	store_words_add(w, row->pool != NULL ? row->pool : "");
	store_words_add(w, row->json);
	g_free(type);
}

struct delivery
event_stream_add(struct event_stream *e, const GPtrArray *events)
{
	struct delivery d = {DELIVERY_DONE, 0, NULL};
	struct redisReply *reply;
	struct store_request request;
	struct store_words words;

	begin_words(&words, e->digest, e->key, e->max);
	for (guint i = 0; i < events->len; i++)
		add_event(&words, events->pdata[i]);
	request = request_of(&words, events->len);
	if (store_ask(e->store, &request, e->patience, &reply, &d.why) == STORE_REPLIED)
		freeReplyObject(reply);
	else
		d.result = DELIVERY_FAILED;
	store_words_clear(&words);
	return d;
}
