/*
 * Events: names, IDs, JSON, where they go, what they count.
 */
#include "core/event.h"
#include "core/event_route.h"
#include "core/event_stats.h"
#include "fixture.h"
#include "io/event_json.h"

#include <string.h>

static struct event *
some_event(void)
{
	struct event *e = event_new(EVENT_BOUNCED, EVENT_FROM_LOG);

	e->time = 1795262400000001;
	e->node = g_strdup("mx1");
	e->queue_id = g_strdup("4XyZ");
	e->message_id = g_strdup("<1@example.com>");
	e->pool = g_strdup("acme");
	e->isp = g_strdup("gmail");
	e->sender = g_strdup("news@example.com");
	e->recipient = g_strdup("b@gmail.com");
	e->relay = g_strdup("mx.google.com[192.0.2.1]:25");
	e->delay_ms = 1250;
	e->code = 550;
	e->dsn = g_strdup("5.1.1");
	e->reply = g_strdup("550 5.1.1 No such user");
	e->category = CATEGORY_BAD_MAILBOX;
	event_identify(e, 0);
	return e;
}

/* ---- names */

static void
test_names(void **state)
{
	(void)state;
	for (enum event_type t = 0; t < EVENT_TYPES; t++)
		check_int(event_type_name(t), event_type_find(event_type_name(t)), t);
	assert_int_equal(event_type_find("lost"), EVENT_TYPES);
	for (enum category c = CATEGORY_NONE + 1; c < CATEGORIES; c++)
		check_int(category_name(c), category_find(category_name(c)), c);
	assert_int_equal(category_find("-"), CATEGORY_NONE);
	assert_int_equal(category_find("bad mailbox"), CATEGORY_NONE);
	assert_string_equal(category_class(CATEGORY_INACTIVE), "hard");
	assert_string_equal(category_class(CATEGORY_FULL), "soft");
	assert_string_equal(category_class(CATEGORY_RATE), "block");
}

/* ---- IDs: the same for the same event, another for each difference */

static void
change(char **text, const char *to)
{
	g_free(*text);
	*text = g_strdup(to);
}

static void
differs(const char *name, const char *id, struct event *e, unsigned nth)
{
	event_identify(e, nth);
	check_true(name, strlen(e->id) == 32 && strcmp(e->id, id) != 0);
	event_free(e);
}

static void
test_id(void **state)
{
	struct event *e = some_event(), *other = some_event();
	char id[EVENT_ID_SIZE];

	(void)state;
	assert_string_equal(e->id, other->id);
	assert_int_equal(strspn(e->id, "0123456789abcdef"), 32);
	memcpy(id, e->id, sizeof id);
	event_free(e);
	differs("nth", id, other, 1);
	other = some_event();
	other->time++;
	differs("time", id, other, 0);
	other = some_event();
	change(&other->recipient, "c@gmail.com");
	differs("recipient", id, other, 0);
	other = some_event();
	other->type = EVENT_DEFERRED;
	differs("type", id, other, 0);
	other = some_event();
	other->code = 551;
	differs("code", id, other, 0);
	other = some_event();
	change(&other->node, "mx14");
	change(&other->queue_id, "XyZ");
	differs("a text that goes over into the next", id, other, 0);
}

/* ---- JSON */

static void
test_json(void **state)
{
	struct event *e = some_event();
	char *json;

	(void)state;
	event_add_header(e, "X-Campaign", "spring");
	json = event_json(e);
	memset(strstr(json, e->id), 'x', 32);
	assert_string_equal(json,
			    "{\"id\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\",\"time\":"
			    "\"2026-11-21T12:00:00.000001Z\",\"type\":\"bounced\",\"source\":\"log\","
			    "\"node\":\"mx1\",\"queue_id\":\"4XyZ\",\"message_id\":\"<1@example.com>\","
			    "\"pool\":\"acme\",\"isp\":\"gmail\",\"sender\":\"news@example.com\","
			    "\"recipient\":\"b@gmail.com\",\"relay\":\"mx.google.com[192.0.2.1]:25\","
			    "\"delay\":1.25,\"code\":550,\"dsn\":\"5.1.1\",\"reply\":\"550 5.1.1 No such "
			    "user\",\"category\":\"bad-mailbox\",\"class\":\"hard\",\"headers\":"
			    "{\"X-Campaign\":\"spring\"}}");
	g_free(json);
	event_free(e);
}

static void
test_json_hostile(void **state)
{
	static const struct {
		const char *reply, *in_json;
	} cases[] = {
		{"\",\"type\":\"delivered", "\"reply\":\"\\\",\\\"type\\\":\\\"delivered\""},
		{"a\nb\r\x01\x7f", "\"reply\":\"a\\nb\\r\\u0001\x7f\""},
		{"\xff\xfe 1", "\"reply\":\"\xef\xbf\xbd\xef\xbf\xbd 1\""},
		{"caf\xc3\xa9", "\"reply\":\"caf\xc3\xa9\""},
		{"\xed\xa0\x80", "\"reply\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};

	(void)state;
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct event *e = some_event();
		char *json;

		change(&e->reply, cases[i].reply);
		json = event_json(e);
		check_true(cases[i].in_json, strstr(json, cases[i].in_json) != NULL);
		check_true("one line", strchr(json, '\n') == NULL);
		g_free(json);
		event_free(e);
	}
}

static void
test_json_long(void **state)
{
	struct event *e = some_event();
	char *long_text = g_strnfill(100000, 'x'), *json;

	(void)state;
	memcpy(long_text + EVENT_REPLY_MAX - 1, "\xc3\xa9", 2); /* the cut is in a character */
	change(&e->reply, long_text);
	change(&e->recipient, long_text);
	json = event_json(e);
	assert_true(strlen(json) < 6000);
	assert_true(g_utf8_validate(json, -1, NULL));
	assert_null(strstr(json, "\xef\xbf\xbd"));
	g_free(json);
	g_free(long_text);
	event_free(e);
}

/* ---- statistics */

struct counted {
	GString *text;
	guint left; /* calls until it fails */
};

static bool
take(void *context, const char *key, const struct tally *tallies, guint n, char **why)
{
	struct counted *c = context;

	g_string_append_printf(c->text, "%s:", key);
	for (guint i = 0; i < n; i++)
		g_string_append_printf(c->text, " %s=%d", tallies[i].field, (int)tallies[i].by);
	g_string_append(c->text, "\n");
	if (--c->left == 0) {
		*why = g_strdup("full");
		return false;
	}
	return true;
}

static void
test_stats(void **state)
{
	struct counted c = {g_string_new(NULL), 100};
	struct event *e = some_event();
	char *why = NULL;

	(void)state;
	assert_true(event_stats(e, take, &c, &why));
	assert_string_equal(c.text->str, "t/p/acme: bounced=1 bounced_bad_mailbox=1\n"
					 "t/pi/acme/gmail: bounced=1 bounced_bad_mailbox=1\n"
					 "p/acme/2026112112: bounced=1 bounced_bad_mailbox=1\n"
					 "pi/acme/gmail/2026112112: bounced=1 bounced_bad_mailbox=1\n");
	g_string_truncate(c.text, 0);
	e->type = EVENT_COMPLAINT;
	change(&e->isp, NULL);
	assert_true(event_stats(e, take, &c, &why));
	assert_non_null(strstr(c.text->str, "pi/acme/-/2026112112: complaints=1\n"));
	g_string_truncate(c.text, 0);
	e->type = EVENT_ACCEPTED;
	assert_true(event_stats(e, take, &c, &why));
	assert_string_equal(c.text->str, "");
	e->type = EVENT_DELIVERED;
	c.left = 2;
	assert_false(event_stats(e, take, &c, &why));
	assert_string_equal(why, "full");
	g_free(why);
	g_string_free(c.text, TRUE);
	event_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_id),
		cmocka_unit_test(test_json),  cmocka_unit_test(test_json_hostile),
		cmocka_unit_test(test_json_long), cmocka_unit_test(test_stats),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
