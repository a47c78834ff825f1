/*
 * test_bounce_owner - whom a bounce is about, with and without a history of the MTA's log.
 */
#include "fixture.h"

#include "core/bounce_report.h"
#include "core/flight.h"
#include "core/return_path.h"
#include "ctl/bounce_owner.h"

#include <string.h>
#include <unistd.h>

#define NOW ((time_t)1795168925)
#define DAY 86400
#define ONE "ann@one.example"

static struct settings *settings;
static struct event_db *db;
static char *directory;
static unsigned places;

/* ---- a history ---- */

static void
save(const char *queue_id, const char *message_id, const char *pool, time_t born,
     const char *recipients)
{
	const struct joiner_store *store = event_db_store(db);
	struct flight *f = flight_new(queue_id, (int64_t)born * G_USEC_PER_SEC);
	char **each = g_strsplit(recipients, " ", -1), *why = NULL;

	f->ended = f->born + G_USEC_PER_SEC;
	f->message_id = g_strdup(message_id);
	f->pool = g_strdup(pool);
	f->isp = g_strdup("default");
	f->sender = g_strdup("news@example.com");
	flight_add_header(f, "X-Campaign", "autumn");
	for (char **r = each; *r != NULL; r++)
		flight_add_recipient(f, *r);
	assert_true(event_db_begin(db, &why));
	assert_true(store->save(store->context, f));
	assert_true(event_db_commit(db, &why));
	flight_free(f);
	g_strfreev(each);
}

/* One that was injected again under another queue ID. */
static void
save_child(const char *queue_id, const char *parent)
{
	const struct joiner_store *store = event_db_store(db);
	struct flight *f = flight_new(queue_id, (int64_t)NOW * G_USEC_PER_SEC);
	char *why = NULL;

	f->parent = g_strdup(parent);
	assert_true(event_db_begin(db, &why));
	assert_true(store->save(store->context, f));
	assert_true(event_db_commit(db, &why));
	flight_free(f);
}

static int
set_up(void **state)
{
	char *name = g_strdup_printf("state%u", places++), *why = NULL;

	(void)state;
	directory = g_strdup(fixture_path(name));
	assert_int_equal(g_mkdir_with_parents(directory, 0700), 0);
	db = event_db_open(directory, EVENT_DB_CREATE, &why);
	assert_non_null(db);
	g_free(name);
	return 0;
}

static int
tear_down(void **state)
{
	char *path = g_build_filename(directory, EVENT_DB_NAME, NULL);

	(void)state;
	event_db_close(db); /* the last connection: its other files go */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	g_free(path);
	g_clear_pointer(&directory, g_free);
	return 0;
}

static int
set_up_settings(void **state)
{
	(void)state;
	settings = fixture_settings(
		"events: { log = \"stdin\"; }; event_headers = [ \"X-Campaign\" ];"
		"pools = ( " POOL("acme", "example.com", "") ", " POOL(
			"other", "example.org",
			"") ", " POOL("readable", "example.net",
				      "return_path = \"verp\";") ", " POOL("plain", "example.edu",
									   "return_path = "
									   "\"plain\";") " );");
	return 0;
}

static int
tear_down_settings(void **state)
{
	(void)state;
	settings_unref(settings);
	return 0;
}

/* ---- reports ---- */

/* The Return-Path of a pool's message; rcpt NULL: of several. */
static char *
return_path(const char *pool, const char *rcpt, const char *queue_id, time_t made)
{
	const struct pool *p = g_hash_table_lookup(settings->pool_by_name, pool);
	char local[LOCAL_PART_MAX + 1];

	assert_true(return_path_make(settings, p, rcpt, queue_id, made, local));
	return g_strdup_printf("%s@%s", local, p->spf_domain);
}

/* A report that the message did not reach these (with blanks between); queue_id: where it was queued. */
static struct bounce_report *
report(const char *recipients, const char *message_id, const char *queue_id)
{
	GString *s = g_string_new("Content-Type: multipart/report; boundary=b\n\n--b\n"
				  "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx\n");
	char **each = g_strsplit(recipients, " ", -1);
	struct bounce_report *r;

	if (queue_id != NULL)
		g_string_append_printf(s, "X-Postfix-Queue-ID: %s\n", queue_id);
	g_string_append_c(s, '\n');
	for (char **to = each; *to != NULL; to++)
		g_string_append_printf(
			s, "Final-Recipient: rfc822;%s\nAction: failed\nStatus: 5.1.1\n\n", *to);
	g_string_append_printf(s,
			       "--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: "
			       "%s\nX-Campaign: forged\n\n--b--\n",
			       message_id);
	r = bounce_report_read(s->str, s->len, "");
	g_string_free(s, TRUE);
	g_strfreev(each);
	return r;
}

static void
append_event(GString *out, const struct event *e)
{
	const struct event_header *h = e->headers != NULL ? e->headers->pdata[0] : NULL;

	g_string_append_printf(out, "%s%s%s by %s in %s, %s", out->len > 0 ? "; " : "",
			       e->recipient != NULL ? e->recipient : "nobody",
			       e->unsure ? " (unsure)" : "", e->sender != NULL ? e->sender : "-",
			       e->pool != NULL ? e->pool : "-", h != NULL ? h->value : "-");
}

/* The events of it as text; g_free it. */
static char *
told(const char *address, const struct bounce_report *r, bool history)
{
	struct bounce_case c = {settings, r, history ? db : NULL, 42, NOW};
	GString *out = g_string_new(NULL);
	struct bounce_owner o;
	const char *why_not, *doubt;
	char *why = NULL;
	GPtrArray *events;

	assert_int_equal(bounce_owner_find(settings, address, NOW, &o, &why_not), OWNED);
	events = bounce_owner_events(&o, &c, &doubt, &why);
	assert_non_null(events);
	for (guint i = 0; i < events->len; i++)
		append_event(out, events->pdata[i]);
	g_ptr_array_unref(events);
	bounce_owner_clear(&o);
	return g_string_free(out, FALSE);
}

/* ---- tests ---- */

static void
test_whom(void **state)
{
	static const struct {
		const char *name, *pool, *rcpt, *queue_id, *named, *message_id, *want;
	} cases[] = {
		{"the one recipient", "acme", ONE, "4ONE", ONE, "<x@y>",
		 ONE " by news@example.com in acme, autumn"},
		{"not in the history", "acme", ONE, "4NONE", ONE, "<x@y>",
		 ONE " by - in acme, forged"},
		{"forwarded", "acme", ONE, "4ONE", "home@x.example", "<x@y>",
		 ONE " by news@example.com in acme, autumn"},
		{"forwarded, not in the history", "acme", ONE, "4NONE", "home@x.example", "<x@y>",
		 "nobody by - in acme, forged"},
		{"one of several", "acme", NULL, "4TWO", "bob@two.example", "<x@y>",
		 "bob@two.example by news@example.com in acme, autumn"},
		{"several", "acme", NULL, "4TWO",
		 "bob@two.example victim@x.example ann@two.example", "<x@y>",
		 "bob@two.example by news@example.com in acme, autumn; "
		 "ann@two.example by news@example.com in acme, autumn"},
		{"none of several", "acme", NULL, "4TWO", "victim@x.example", "<x@y>", ""},
		{"several, not in the history", "acme", NULL, "4NONE", "a@x.example b@x.example",
		 "<x@y>",
		 "a@x.example (unsure) by - in acme, forged; b@x.example (unsure) by - in acme, "
		 "forged"},
		{"for all, but it had one", "acme", NULL, "4ONE", "home@x.example", "<x@y>",
		 ONE " by news@example.com in acme, autumn"},
		{"queue ID of another pool", "acme", ONE, "4OTHER", ONE, "<x@y>",
		 ONE " by - in acme, forged"},
		{"queue ID given before", "acme", ONE, "4OLD", ONE, "<x@y>",
		 ONE " by - in acme, forged"},
		{"queue ID given again", "acme", ONE, "4NEW", ONE, "<x@y>",
		 ONE " by - in acme, forged"},
		{"Message-ID of another message", "acme", ONE, "4NONE", ONE, "<two@example.com>",
		 ONE " by - in acme, forged"},
		{"a queue ID that is hashed", "acme", ONE, "4LONGLONGLONGLONGLONGLONG", ONE,
		 "<long@example.com>", ONE " by news@example.com in acme, autumn"},
		{"a hash and another Message-ID", "acme", ONE, "4LONGLONGLONGLONGLONGLONG", ONE,
		 "<two@example.com>", ONE " by - in acme, forged"},
		{"readable and known", "readable", "ann@two.example", "-", "ann@two.example",
		 "<readable@example.net>",
		 "ann@two.example by news@example.com in readable, autumn"},
		{"readable, forwarded", "readable", "ann@two.example", "-", "home@x.example",
		 "<readable@example.net>",
		 "ann@two.example by news@example.com in readable, autumn"},
		{"readable, no recipient of it", "readable", "victim@x.example", "-",
		 "victim@x.example", "<readable@example.net>", ""},
		{"readable, of another pool", "readable", "ann@two.example", "-", "ann@two.example",
		 "<two@example.com>", ""},
		{"readable and unknown", "readable", "ann@two.example", "-", "ann@two.example",
		 "<x@y>", ""},
		{"plain and known", "plain", NULL, "-", "bob@two.example victim@x.example",
		 "<plain@example.edu>", "bob@two.example by news@example.com in plain, autumn"},
		{"plain and unknown", "plain", NULL, "-", "bob@two.example", "<x@y>", ""},
	};

	(void)state;
	save("4ONE", "<one@example.com>", "acme", NOW, ONE);
	save("4TWO", "<two@example.com>", "acme", NOW, "ann@two.example bob@two.example");
	save("4OTHER", "<other@example.org>", "other", NOW, ONE);
	save("4OLD", "<old@example.com>", "acme", NOW - 9 * DAY, ONE);
	save("4NEW", "<new@example.com>", "acme", NOW + 9 * DAY, ONE);
	save("4LONGLONGLONGLONGLONGLONG", "<long@example.com>", "acme", NOW, ONE);
	save("4READ", "<readable@example.net>", "readable", NOW, "ann@two.example bob@two.example");
	save("4PLAIN", "<plain@example.edu>", "plain", NOW, "ann@two.example bob@two.example");
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *address = return_path(cases[i].pool, cases[i].rcpt, cases[i].queue_id, NOW);
		struct bounce_report *r = report(cases[i].named, cases[i].message_id, NULL);
		char *got = told(address, r, true);

		check_string(cases[i].name, got, cases[i].want);
		g_free(got);
		g_free(address);
		bounce_report_free(r);
	}
}

/* What our own MTA reports its log has told already; another one's queue IDs say nothing. */
static void
test_own_report(void **state)
{
	static const struct {
		const char *name, *rcpt, *token_queue_id, *queue_id;
		bool history, own;
	} cases[] = {
		{"the same", ONE, "4ONE", "4ONE", true, true},
		{"the same, without history", ONE, "4ONE", "4ONE", false, true},
		{"injected again", ONE, "4ONE", "4CHILD", true, true},
		{"another message's", ONE, "4ONE", "4TWO", true, false},
		{"another host's", ONE, "4ONE", "4FAR", true, false},
		{"a part of it", ONE, "4ONE", "4ON", true, false},
		{"a hash", ONE, "4LONGLONGLONGLONGLONGLONG", "4LONGLONGLONGLONGLONGLONG", true, true},
	};

	(void)state;
	save("4ONE", "<one@example.com>", "acme", NOW, ONE);
	save("4TWO", "<two@example.com>", "acme", NOW, ONE);
	save("4LONGLONGLONGLONGLONGLONG", "<long@example.com>", "acme", NOW, ONE);
	save_child("4CHILD", "4ONE");
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *address = return_path("acme", cases[i].rcpt, cases[i].token_queue_id, NOW);
		struct bounce_report *r = report(ONE, "<long@example.com>", cases[i].queue_id);
		char *got = told(address, r, cases[i].history);

		check_true(cases[i].name, (*got == '\0') == cases[i].own);
		g_free(got);
		g_free(address);
		bounce_report_free(r);
	}
}

/* What the history adds is in no ID: the event is the same when it has been forgotten meanwhile. */
static void
test_same_id(void **state)
{
	char *address = return_path("acme", ONE, "4ONE", NOW), ids[3][EVENT_ID_SIZE], *why = NULL;
	struct bounce_report *r = report(ONE, "<x@y>", NULL);

	(void)state;
	save("4ONE", "<one@example.com>", "acme", NOW, ONE);
	for (int i = 0; i < 3; i++) {
		struct bounce_case c = {settings, r, i == 0 ? db : NULL, i < 2 ? 42 : 43, NOW};
		struct bounce_owner o;
		const char *word;
		GPtrArray *events;

		assert_int_equal(bounce_owner_find(settings, address, NOW, &o, &word), OWNED);
		events = bounce_owner_events(&o, &c, &word, &why);
		assert_non_null(events);
		check_int("events", events->len, 1);
		g_strlcpy(ids[i], ((struct event *)events->pdata[0])->id, EVENT_ID_SIZE);
		g_ptr_array_unref(events);
		bounce_owner_clear(&o);
	}
	check_string("without history", ids[1], ids[0]);
	check_true("another content", strcmp(ids[2], ids[0]) != 0);
	g_free(address);
	bounce_report_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whom, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_report, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_same_id, set_up, tear_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up_settings, tear_down_settings);
}
