/*
 * test_flight - what is known of a message, and its text.
 */
#include "fixture.h"

#include "core/flight.h"

#include <string.h>

static struct event *
event(enum event_type type, const char *rcpt, const char *reply)
{
	struct event *e = event_new(type, EVENT_FROM_LOG);

	e->time = 1795132800000000;
	e->node = g_strdup("mx1");
	e->recipient = g_strdup(rcpt);
	e->original_recipient = g_strdup("\xff odd\n%");
	e->relay = g_strdup("mx[192.0.2.7]:25");
	e->dsn = g_strdup("4.2.2");
	e->reply = g_strdup(reply);
	e->delay_ms = 350;
	e->code = 452;
	return e;
}

static void
defer(struct flight *f, const char *rcpt, const char *original, const char *reply)
{
	struct event *e = event(EVENT_DEFERRED, rcpt, reply);

	g_free(e->original_recipient);
	e->original_recipient = g_strdup(original);
	flight_defer(f, e);
	event_free(e);
}

static struct flight *
full(void)
{
	struct flight *f = flight_new("4XYZ12", 1795132800000001);

	f->ended = 5;
	f->complete = 2;
	f->parent_born = 7;
	f->removed = 4;
	f->next_look = 3;
	f->message_id = g_strdup("<1 @ % \x01 \xff>");
	f->pool = g_strdup("acme");
	f->isp = g_strdup("gmail");
	f->sender = g_strdup("");
	f->parent = g_strdup("4ABC99");
	f->client = f->local = f->unrelated = f->accepted = f->held = f->relayed = true;
	f->more_recipients = f->more_deferred = true;
	f->events = 4000000000U;
	flight_add_header(f, "X-Campaign", "spring sale\n");
	flight_add_header(f, "X-Empty", "");
	flight_add_recipient(f, "b@x");
	flight_add_recipient(f, "a@x");
	flight_add_told(f, "b@x");
	flight_add_told(f, "a b@x");
	defer(f, "c@x", NULL, NULL);
	defer(f, "a@x", "-", "452 4.2.2 \xff full");
	flight_wait(f, event(EVENT_DEFERRED, "a@x", "452 4.2.2 full"));
	flight_wait(f, event(EVENT_ACCEPTED, NULL, NULL));
	flight_wait_hop(f, event(EVENT_DELIVERED, "", ""), "4DEF77", 1795132800000002);
	flight_wait_hop(f, event(EVENT_DELIVERED, "+", "-"), NULL, -1);
	return f;
}

static char *
text_of(const struct flight *f)
{
	GString *text = g_string_new(NULL);

	flight_write(f, text);
	return g_string_free(text, FALSE);
}

static void
check_event(const struct event *got, const struct event *want)
{
	assert_int_equal(got->type, want->type);
	assert_int_equal(got->time, want->time);
	assert_int_equal(got->delay_ms, want->delay_ms);
	assert_int_equal(got->code, want->code);
	check_string("node", got->node, want->node);
	check_string("recipient", got->recipient, want->recipient);
	check_string("original", got->original_recipient, want->original_recipient);
	check_string("relay", got->relay, want->relay);
	check_string("dsn", got->dsn, want->dsn);
	check_string("reply", got->reply, want->reply);
}

static void
test_text(void **state)
{
	struct flight *f = full(), *again;
	char *text = text_of(f), *text_again;

	(void)state;
	again = flight_read(text, strlen(text));
	assert_non_null(again);
	text_again = text_of(again);
	assert_string_equal(text_again, text);
	check_string("queue ID", again->queue_id, f->queue_id);
	check_string("Message-ID", again->message_id, f->message_id);
	check_string("sender", again->sender, "");
	check_string("parent", again->parent, "4ABC99");
	assert_int_equal(again->born, f->born);
	assert_int_equal(again->ended, 5);
	assert_int_equal(again->complete, 2);
	assert_int_equal(again->parent_born, 7);
	assert_int_equal(again->removed, 4);
	assert_int_equal(again->next_look, 3);
	assert_int_equal(again->events, 4000000000U);
	assert_true(again->client && again->local && again->unrelated && again->accepted &&
		    again->held && again->relayed && again->more_recipients &&
		    again->more_deferred);
	assert_int_equal(again->headers->len, 2);
	check_string("header", ((struct event_header *)again->headers->pdata[0])->value,
		     "spring sale\n");
	check_string("told", again->told->pdata[1], "a b@x");
	check_string("deferred", ((struct flight_recipient *)again->deferred->pdata[0])->original,
		     "-");
	check_string("deferred", ((struct flight_recipient *)again->deferred->pdata[1])->original,
		     NULL);
	check_string("deferred", ((struct flight_recipient *)again->deferred->pdata[0])->reply,
		     "452 4.2.2 \xff full");
	check_string("deferred", ((struct flight_recipient *)again->deferred->pdata[1])->reply,
		     NULL);
	check_string("deferred", ((struct flight_recipient *)again->deferred->pdata[0])->relay,
		     "mx[192.0.2.7]:25");
	check_string("deferred", ((struct flight_recipient *)again->deferred->pdata[0])->dsn,
		     "4.2.2");
	assert_int_equal(((struct flight_recipient *)again->deferred->pdata[0])->code, 452);
	assert_int_equal(again->tries, f->tries);
	check_event(again->pending->pdata[0], f->pending->pdata[0]);
	check_event(again->pending->pdata[1], f->pending->pdata[1]);
	check_event(((struct flight_hop *)again->hops->pdata[0])->e,
		    ((struct flight_hop *)f->hops->pdata[0])->e);
	check_string("hop", ((struct flight_hop *)again->hops->pdata[0])->next_id, "4DEF77");
	check_string("hop", ((struct flight_hop *)again->hops->pdata[1])->next_id, NULL);
	g_free(text);
	g_free(text_again);
	flight_free(f);
	flight_free(again);
}

static void
test_empty(void **state)
{
	struct flight *f = flight_new("4XYZ12", 0), *again;
	char *text = text_of(f);

	(void)state;
	assert_string_equal(text, "flight 4XYZ12 0 0 0 0 0 0 0 0\nend\n");
	again = flight_read(text, strlen(text));
	assert_non_null(again);
	assert_null(again->pool);
	assert_null(again->sender);
	assert_null(again->recipients);
	assert_false(again->client || again->local || again->accepted);
	g_free(text);
	flight_free(f);
	flight_free(again);
}

/* Cut anywhere it is refused, and with an octet changed it is refused or another flight. */
static void
test_damaged(void **state)
{
	struct flight *f = full();
	char *text = text_of(f);
	size_t len = strlen(text);

	(void)state;
	for (size_t i = 0; i < len; i++) {
		char *block = g_memdup2(text, i);

		assert_null(flight_read(block != NULL ? block : "", i));
		g_free(block);
	}
	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct flight *other;

			text[i] ^= (char)(1 << bit);
			other = flight_read(text, len);
			flight_free(other);
			text[i] ^= (char)(1 << bit);
		}
	g_free(text);
	flight_free(f);
}

static const struct {
	const char *name, *text;
} damaged[] = {
	{"empty", ""},
	{"no flight", "end\n"},
	{"another first line", "flights 4XYZ12 0 0 0 0 0 0 0 0\nend\n"},
	{"too few numbers", "flight 4XYZ12 0 0 0 0 0 0 0\nend\n"},
	{"too many numbers", "flight 4XYZ12 0 0 0 0 0 0 0 0 0\nend\n"},
	{"unknown flag", "flight 4XYZ12 0 0 0 0 0 0 0 256\nend\n"},
	{"negative count", "flight 4XYZ12 0 0 0 0 0 0 -1 0\nend\n"},
	{"unknown line", "flight 4XYZ12 0 0 0 0 0 0 0 0\nnoise x\nend\n"},
	{"a word too many", "flight 4XYZ12 0 0 0 0 0 0 0 0\npool a b\nend\n"},
	{"something behind the end", "flight 4XYZ12 0 0 0 0 0 0 0 0\nend\nend\n"},
	{"an unknown event", "flight 4XYZ12 0 0 0 0 0 0 0 0\npending lost 0 0 0 - - - - - -\nend\n"},
	{"an option of another form", "flight 4XYZ12 0 0 0 0 0 0 0 0\ndeferred a@x 0 b - - -\nend\n"},
	{"a NUL", "flight 4XYZ12 0 0 0 0 0 0 0 0\npool a%00\nend\n"},
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(damaged); i++) {
		struct flight *f = flight_read(damaged[i].text, strlen(damaged[i].text));

		check_true(damaged[i].name, f == NULL);
	}
}

static void
test_recipients(void **state)
{
	struct flight *f = flight_new("4XYZ12", 0);

	(void)state;
	assert_false(flight_has_recipient(f, "a@example.org"));
	flight_add_recipient(f, "b@example.org");
	flight_add_recipient(f, "a@Example.org");
	flight_add_recipient(f, "a@example.ORG");
	flight_add_recipient(f, "\"x@y\"@example.org");
	flight_add_recipient(f, "local");
	assert_int_equal(f->recipients->len, 4);
	assert_true(flight_has_recipient(f, "a@EXAMPLE.org"));
	assert_true(flight_has_recipient(f, "b@example.org"));
	assert_true(flight_has_recipient(f, "\"x@y\"@example.org"));
	assert_true(flight_has_recipient(f, "local"));
	assert_false(flight_has_recipient(f, "A@example.org"));
	assert_false(flight_has_recipient(f, "a@example.com"));
	assert_false(flight_has_recipient(f, "a"));
	assert_false(flight_has_recipient(f, ""));
	flight_free(f);
}

static void
test_many_recipients(void **state)
{
	struct flight *f = flight_new("4XYZ12", 0);

	(void)state;
	for (int i = 0; i < FLIGHT_RECIPIENTS_MAX + 10; i++) {
		char address[32];

		g_snprintf(address, sizeof address, "%d@x",
			   i * 7919 % (FLIGHT_RECIPIENTS_MAX + 10));
		flight_add_recipient(f, address);
		defer(f, address, NULL, NULL);
		assert_int_equal(f->more_recipients, i >= FLIGHT_RECIPIENTS_MAX);
	}
	assert_int_equal(f->recipients->len, FLIGHT_RECIPIENTS_MAX);
	for (guint i = 0; i < f->recipients->len; i++)
		assert_true(flight_has_recipient(f, f->recipients->pdata[i]));
	assert_int_equal(f->deferred->len, FLIGHT_RECIPIENTS_MAX + 10);
	flight_settle(f, "7@X");
	flight_settle(f, "7@x");
	flight_settle(f, "nobody@x");
	assert_int_equal(f->deferred->len, FLIGHT_RECIPIENTS_MAX + 9);
	for (int i = 0; i < FLIGHT_DEFERRED_MAX; i++) {
		char address[32];

		g_snprintf(address, sizeof address, "%d@y", i);
		defer(f, address, NULL, NULL);
	}
	assert_int_equal(f->deferred->len, FLIGHT_DEFERRED_MAX);
	assert_true(f->more_deferred);
	flight_free(f);
}

/* The last try counts, cut; what is told of all together is bounded, and settled is given back. */
static void
test_last_tries(void **state)
{
	struct flight *f = flight_new("4XYZ12", 0);
	char *reply = g_strnfill(2 * FLIGHT_REPLY_MAX, 'x');
	const struct flight_recipient *r;
	size_t one;

	(void)state;
	defer(f, "a@x", NULL, "452 first");
	defer(f, "a@x", NULL, reply);
	r = f->deferred->pdata[0];
	assert_int_equal(f->deferred->len, 1);
	assert_int_equal(strlen(r->reply), FLIGHT_REPLY_MAX);
	one = FLIGHT_REPLY_MAX + strlen("mx[192.0.2.7]:25") + strlen("4.2.2");
	assert_int_equal(f->tries, one);
	for (size_t i = 0; i < FLIGHT_TRIES_MAX / one + 10; i++) {
		char address[32];

		g_snprintf(address, sizeof address, "%zu@y", i);
		defer(f, address, NULL, reply);
	}
	assert_int_equal(f->deferred->len, FLIGHT_TRIES_MAX / one + 11);
	assert_int_equal(f->tries, FLIGHT_TRIES_MAX / one * one);
	flight_settle(f, "a@x");
	assert_int_equal(f->tries, (FLIGHT_TRIES_MAX / one - 1) * one);
	defer(f, "z@z", NULL, reply);
	assert_int_equal(f->tries, FLIGHT_TRIES_MAX / one * one);
	defer(f, "z@zz", NULL, reply);
	r = f->deferred->pdata[f->deferred->len - 1];
	check_string("no room", r->address, "z@zz");
	check_string("no room", r->reply, NULL);
	assert_int_equal(r->code, 452);
	flight_settle_all(f);
	assert_int_equal(f->tries, 0);
	memcpy(reply + FLIGHT_REPLY_MAX - 2, "\xe2\x82\xac", 3);
	defer(f, "a@x", NULL, reply);
	r = f->deferred->pdata[0];
	assert_int_equal(strlen(r->reply), FLIGHT_REPLY_MAX - 2);
	g_free(reply);
	flight_free(f);
}

static void
test_waiting_is_bounded(void **state)
{
	struct flight *f = flight_new("4XYZ12", 0);

	(void)state;
	for (int i = 0; i < FLIGHT_WAITING_MAX + 10; i++)
		if (i % 2 == 0)
			flight_wait(f, event_new(EVENT_DEFERRED, EVENT_FROM_LOG));
		else
			flight_wait_hop(f, event_new(EVENT_DELIVERED, EVENT_FROM_LOG), NULL, 0);
	assert_int_equal(f->pending->len + f->hops->len, FLIGHT_WAITING_MAX);
	flight_free(f);
}

static void
test_inherit(void **state)
{
	struct flight *root = full(), *f = flight_new("4DEF77", 9), *g = flight_new("4GHJ55", 10);

	(void)state;
	assert_string_equal(flight_series(f), "4DEF77");
	assert_string_equal(flight_series(root), "4ABC99");
	flight_inherit(f, root);
	assert_string_equal(flight_series(f), "4ABC99");
	check_string("pool", f->pool, "acme");
	check_string("sender", f->sender, "");
	assert_true(f->accepted);
	flight_free(root);
	assert_int_equal(f->headers->len, 2);
	flight_inherit(g, f);
	assert_string_equal(flight_series(g), "4ABC99");
	flight_free(f);
	flight_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_last_tries),
		cmocka_unit_test(test_waiting_is_bounded),
		cmocka_unit_test(test_inherit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
