/*
 * store_reach - finds the server of the store; see store_reach.h.
 *
 * Sentinels are asked as the Redis documentation says ("Guidelines for Redis clients with support
 * for Redis Sentinel"): the first that answers names the master, and the master must confirm that
 * with ROLE, since a sentinel may not know yet of a failover.
 */
#include "io/store_reach.h"

#include <string.h>

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379
#define ARGS_MAX 4

/* A command of a few words. */
static enum store_answer
say(struct store_link *l, gint64 deadline, redisReply **reply, char **why, const char *const *words)
{
	size_t lengths[ARGS_MAX];
	struct store_command c = {0, (const char **)words, lengths};

	while (c.argc < ARGS_MAX && words[c.argc] != NULL) {
		lengths[c.argc] = strlen(words[c.argc]);
		c.argc++;
	}
	return store_link_ask(l, &c, STORE_REPLY_MAX, deadline, reply, why);
}

static bool
is_status(const redisReply *r, const char *text)
{
	return r->type == REDIS_REPLY_STATUS && strcmp(r->str, text) == 0;
}

/* A command whose answer must be OK. */
static enum store_answer
say_ok(struct store_link *l, gint64 deadline, char **why, const char *const *words)
{
	redisReply *reply = NULL;
	enum store_answer answer = say(l, deadline, &reply, why, words);

	if (answer != STORE_DONE)
		return answer;
	if (!is_status(reply, "OK")) {
		*why = g_strdup_printf("odd answer to %s", words[0]);
		answer = STORE_LOST;
	}
	freeReplyObject(reply);
	return answer;
}

/*
 * Takes the password out of what the server says of it: "unknown command `AUTH`, with args
 * beginning with ..." repeats it.  Only an error code is left.
 */
static void
hide(char **why, const char *password)
{
	gsize len = strspn(*why, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	char *code = g_strndup(*why, len);

	g_free(*why);
	*why = strstr(password, code) == NULL ? g_strconcat("AUTH refused: ", code, NULL)
					      : g_strdup("AUTH refused");
	g_free(code);
}

static bool
authenticate(struct store_link *l, const struct store_config *c, gint64 deadline, char **why)
{
	const char *with_user[ARGS_MAX] = {"AUTH", c->username, c->password};
	const char *without[ARGS_MAX] = {"AUTH", c->password};
	enum store_answer answer;

	if (c->password == NULL)
		return true;
	answer = say_ok(l, deadline, why, c->username != NULL ? with_user : without);
	if (answer == STORE_ERROR)
		hide(why, c->password);
	return answer == STORE_DONE;
}

static bool
choose_database(struct store_link *l, const struct store_config *c, gint64 deadline, char **why)
{
	char number[16];
	const char *words[ARGS_MAX] = {"SELECT", number};

	g_snprintf(number, sizeof number, "%u", c->database);
	return c->database == 0 || say_ok(l, deadline, why, words) == STORE_DONE;
}

static bool
is_master(struct store_link *l, gint64 deadline, char **why)
{
	static const char *const words[ARGS_MAX] = {"ROLE"};
	redisReply *r = NULL;
	bool master;

	if (say(l, deadline, &r, why, words) != STORE_DONE)
		return false;
	master = r->type == REDIS_REPLY_ARRAY && r->elements > 0 &&
		 r->element[0]->type == REDIS_REPLY_STRING &&
		 strcmp(r->element[0]->str, "master") == 0;
	if (!master)
		*why = g_strdup("is no master");
	freeReplyObject(r);
	return master;
}

/* Puts the place before a reason that does not have it yet. */
static void
add_place(char **why, const struct store_place *place)
{
	char *text = *why;

	if (g_str_has_prefix(text, place->text))
		return;
	*why = g_strconcat(place->text, ": ", text, NULL);
	g_free(text);
}

struct store_link *
store_reach_place(const struct store_config *c, const struct store_place *place, gint64 deadline,
		  char **why)
{
	struct store_link *l = store_link_open(place, c->tls, deadline, why);

	if (l == NULL)
		return NULL;
	if (authenticate(l, c, deadline, why) && choose_database(l, c, deadline, why) &&
	    (c->sentinels[0] == NULL || is_master(l, deadline, why)))
		return l;
	add_place(why, place);
	store_link_close(l);
	return NULL;
}

bool
store_reach_moved(const char *error, struct store_place *place)
{
	char **words;
	char *colon;
	bool ok = false;

	if (!g_str_has_prefix(error, "MOVED "))
		return false;
	words = g_strsplit(error, " ", 4);
	if (g_strv_length(words) >= 3 && (colon = strrchr(words[2], ':')) != NULL) {
		*colon = '\0';
		ok = store_address_numeric(words[2], colon + 1, place);
	}
	g_strfreev(words);
	return ok;
}

/* Connects to a place and tries the probe there. moved: where to go instead, if that was told. */
static struct store_link *
try_place(const struct store_config *c, const struct store_place *place, struct store_place *moved,
	  char **why)
{
	struct store_link *l =
		store_reach_place(c, place, g_get_monotonic_time() + c->connect_timeout, why);
	redisReply *reply = NULL;
	enum store_answer answer;

	moved->len = 0;
	if (l == NULL)
		return NULL;
	answer = store_link_run(l, &c->probe, g_get_monotonic_time() + c->command_timeout, &reply,
				why);
	if (answer == STORE_DONE) {
		freeReplyObject(reply);
		return l;
	}
	if (answer != STORE_ERROR || !store_reach_moved(*why, moved))
		moved->len = 0;
	add_place(why, place);
	store_link_close(l);
	return NULL;
}

/* Tries places in turn. */
static struct store_link *
try_places(const struct store_config *c, const GArray *places, struct store_place *place,
	   char **why)
{
	struct store_link *l = NULL;
	struct store_place moved;

	for (guint i = 0; i < places->len && l == NULL; i++) {
		g_clear_pointer(why, g_free);
		*place = g_array_index(places, struct store_place, i);
		l = try_place(c, place, &moved, why);
		if (l == NULL && moved.len > 0) {
			g_clear_pointer(why, g_free);
			*place = moved;
			l = try_place(c, place, &moved, why);
		}
	}
	return l;
}

/* What a sentinel at a place says of the master: its places are appended. */
static bool
ask_sentinel(const struct store_config *c, const struct store_place *place, GArray *masters,
	     char **why)
{
	const char *words[ARGS_MAX] = {"SENTINEL", "get-master-addr-by-name", c->sentinel_master};
	gint64 now = g_get_monotonic_time();
	struct store_link *l = store_link_open(place, c->tls, now + c->connect_timeout, why);
	redisReply *r = NULL;
	bool ok = false;

	if (l == NULL)
		return false;
	if (say(l, g_get_monotonic_time() + c->command_timeout, &r, why, words) == STORE_DONE) {
		if (r->type == REDIS_REPLY_ARRAY && r->elements == 2 &&
		    r->element[0]->type == REDIS_REPLY_STRING &&
		    r->element[1]->type == REDIS_REPLY_STRING) {
			char *text =
				g_strdup_printf("[%s]:%s", r->element[0]->str, r->element[1]->str);

			ok = store_address_places(text, 0, masters, why);
			g_free(text);
		} else {
			*why = g_strdup_printf("knows no master \"%s\"", c->sentinel_master);
		}
		freeReplyObject(r);
	}
	if (!ok)
		add_place(why, place);
	store_link_close(l);
	return ok;
}

/* The places of the master that one sentinel names; false with *why. */
static bool
ask_sentinel_at(const struct store_config *c, const char *address, GArray *masters, char **why)
{
	GArray *places = g_array_new(FALSE, FALSE, sizeof(struct store_place));
	bool told = false;

	if (store_address_places(address, SENTINEL_PORT, places, why))
		for (guint i = 0; i < places->len && !told; i++) {
			g_clear_pointer(why, g_free);
			told = ask_sentinel(c, &g_array_index(places, struct store_place, i),
					    masters, why);
		}
	g_array_free(places, TRUE);
	return told;
}

/* The server that the configuration names, or one sentinel. */
static struct store_link *
reach_by(const struct store_config *c, const char *sentinel, struct store_place *place, char **why)
{
	GArray *places = g_array_new(FALSE, FALSE, sizeof(struct store_place));
	struct store_link *l = NULL;
	bool told = sentinel != NULL ? ask_sentinel_at(c, sentinel, places, why)
				     : store_address_places(c->address, REDIS_PORT, places, why);

	if (told)
		l = try_places(c, places, place, why);
	g_array_free(places, TRUE);
	return l;
}

struct store_link *
store_reach(const struct store_config *c, struct store_place *place, char **why)
{
	struct store_link *l = NULL;

	*why = NULL;
	if (c->sentinels[0] == NULL)
		return reach_by(c, NULL, place, why);
	for (gsize i = 0; c->sentinels[i] != NULL && l == NULL; i++) {
		g_clear_pointer(why, g_free);
		l = reach_by(c, c->sentinels[i], place, why);
	}
	return l;
}

static bool
same_place(const struct store_place *a, const struct store_place *b)
{
	return a->len == b->len && memcmp(&a->address, &b->address, a->len) == 0;
}

bool
store_reach_elsewhere(const struct store_config *c, const struct store_place *place)
{
	GArray *masters = g_array_new(FALSE, FALSE, sizeof(struct store_place));
	bool told = false, here = false;

	for (gsize i = 0; c->sentinels[i] != NULL && !told; i++) {
		char *why = NULL;

		told = ask_sentinel_at(c, c->sentinels[i], masters, &why);
		g_free(why);
	}
	for (guint i = 0; i < masters->len; i++)
		here = here || same_place(&g_array_index(masters, struct store_place, i), place);
	g_array_free(masters, TRUE);
	return told && !here;
}
