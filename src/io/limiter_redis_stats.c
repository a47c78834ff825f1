/*
 * limiter_redis_stats - brings a node's statistics to Redis, in batches; see limiter_redis.h.
 *
 * Nothing of a batch is kept here: who sends it keeps it until it is known to be counted.  That it
 * counts once is limiter_script.c's.
 */
#include "io/limiter_redis_names.h"

#include "base/log.h"
#include "io/limiter_name.h"
#include "io/limiter_script.h"
#include "io/store_words.h"

#include <string.h>

#define SERIAL_DIGITS 20
#define REPLY_LEN 4

static void
add_keys(struct store_words *w, const struct limiter_names *names, const char *node,
	 const struct tally_batch *batch)
{
	g_string_append(w->text, names->nodes);
	limiter_name_add(w->text, node);
	store_words_end(w);
	for (guint i = 0; i < batch->n; i++) {
		g_string_append(w->text, names->tallies);
		limiter_name_add(w->text, batch->rows[i]->key);
		store_words_end(w);
	}
}

static void
add_row(struct store_words *w, const struct tally_row *row)
{
	store_words_add_number(w, row->n);
	for (guint i = 0; i < row->n; i++) {
		limiter_name_add(w->text, row->tallies[i].field);
		store_words_end(w);
		store_words_add_number(w, row->tallies[i].by);
	}
}

/* The words of the script, in the order that limiter_script.c tells. */
static void
add_words(struct store_words *w, struct limiter_redis *l, const char *node, uint64_t serial,
	  const struct tally_batch *batch)
{
	struct limiter_names *names = limiter_names_get(l);

	store_words_add(w, "EVALSHA");
	store_words_add(w, l->add_digest);
	store_words_add_number(w, 1 + (gint64)batch->n);
	add_keys(w, names, node, batch);
	g_string_append_printf(w->text, "%0*" G_GUINT64_FORMAT, SERIAL_DIGITS, serial);
	store_words_end(w);
	store_words_add_number(w, names->tally_ttl);
	for (guint i = 0; i < batch->n; i++)
		add_row(w, batch->rows[i]);
	limiter_names_unref(names);
}

/* The script's reply to the batch with this serial. */
static bool
is_reply(const redisReply *r, guint64 serial)
{
	char text[SERIAL_DIGITS + 1];

	if (r->type != REDIS_REPLY_ARRAY || r->elements != REPLY_LEN ||
	    r->element[0]->type != REDIS_REPLY_STRING)
		return false;
	for (guint i = 1; i < REPLY_LEN; i++)
		if (r->element[i]->type != REDIS_REPLY_INTEGER || r->element[i]->integer < 0)
			return false;
	g_snprintf(text, sizeof text, "%0*" G_GUINT64_FORMAT, SERIAL_DIGITS, serial);
	return strcmp(r->element[0]->str, text) == 0 && r->element[1]->integer <= 1;
}

static void
report(const struct tally_batch *batch, const redisReply *r)
{
	static struct log_limit limit;
	long long failed = r->element[2]->integer, first = r->element[3]->integer;

	if (failed > 0)
		log_limited(&limit, LOG_WARNING,
			    "redis: %lld numbers of the statistics could not be counted, for "
			    "example of \"%s\"",
			    failed, first < batch->n ? batch->rows[first]->key : "");
}

enum store_result
limiter_redis_add(struct limiter_redis *l, const char *node, uint64_t serial,
		  const struct tally_batch *batch, char **why)
{
	struct store_request r = {
		.script = limiter_script_add, .accept = is_reply, .serial = serial};
	struct redisReply *reply;
	enum store_result result;
	struct store_words w;

	store_words_init(&w);
	add_words(&w, l, node, serial, batch);
	r.command = store_words_command(&w);
	result = store_ask(l->store, &r, 0, &reply, why);
	store_words_clear(&w);
	if (result == STORE_REPLIED) {
		report(batch, reply);
		freeReplyObject(reply);
	} else if (result == STORE_REFUSED) {
		limiter_redis_report(*why);
	}
	return result;
}
