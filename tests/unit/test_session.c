/*
 * test_session - one connection, many messages: nothing carried over, every count back to zero (FAULTS A7).
 */
#include "fixture.h"

#include "base/log.h"
#include "core/author.h"
#include "daemon/session.h"
#include "daemon/snapshot.h"

#include <string.h>

static struct fake_signer fake;
static struct fixture_tools tools;

#define POOLS                                                                                              \
	"max_message_size = 1024;"                                                                          \
	"pools = (" POOL("one", "one.example", "add_headers = ({ name = \"X-One\"; value = \"1\"; });") "," \
	POOL("two", "two.example", "return_path = \"plain\";") ");"

static int
setup(void **state)
{
	(void)state;
	snapshot_set(fixture_settings(POOLS));
	fake_signer_init(&fake);
	fixture_tools_init(&tools, &fake.signer, NULL, NULL);
	log_set_level(LOG_EMERG);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_tools_clear(&tools);
	fake_signer_clear(&fake);
	snapshot_set(NULL);
	return 0;
}

static struct session *
connected(const char *client, bool local)
{
	struct session *s = session_new(&tools.tools);
	struct address a = {.known = false};

	if (client != NULL)
		assert_true(address_parse(&a, client));
	session_connect(s, &a, local);
	return s;
}

/* A message up to a stage; then what the last one answered. */
enum stage { MAIL, RCPT, DATA, HEADER, BODY, EOM, LOGGED };

static const char *const stage_names[] = {"MAIL", "RCPT", "DATA", "HEADER", "BODY", "EOM", "LOGGED"};

static const struct plan *
send_up_to(struct session *s, enum stage last, const char *domain)
{
	char *sender = g_strconcat("a@", domain, NULL), *from = g_strconcat(" a@", domain, NULL);
	const struct plan *plan = NULL;

	session_mail(s, sender, "login", false);
	if (last >= RCPT)
		assert_int_equal(session_rcpt(s, "u@example.org", false), SESSION_CONTINUE);
	if (last >= DATA)
		assert_int_equal(session_data(s, "4F2A3B"), SESSION_CONTINUE);
	if (last >= HEADER)
		session_header(s, "From", from);
	if (last >= BODY)
		session_body(s, "Hello\r\n", 7);
	if (last >= EOM)
		plan = session_eom(s, "4F2A3B");
	if (last >= LOGGED)
		session_log(s, true);
	g_free(from);
	g_free(sender);
	return plan;
}

static void
check_good(const char *name, const struct plan *plan, const char *pool)
{
	char *image;

	check_true(name, plan != NULL);
	check_int(name, plan->verdict, VERDICT_ACCEPTED);
	check_string(name, plan->pool->name, pool);
	image = fixture_image_text(plan->image);
	if (strcmp(pool, "one") == 0)
		check_string(name, image, "DKIM-Signature: v=1; d=one.example\nFrom: a@one.example\nX-One: 1\n");
	else
		check_string(name, image, "DKIM-Signature: v=1; d=two.example\nFrom: a@two.example\n");
	check_true(name, strcmp(pool, "two") != 0 || strcmp(plan->new_sender, "bounce@b.two.example") == 0);
	check_true(name, strcmp(pool, "one") != 0 || g_str_has_suffix(plan->new_sender, "@b.one.example"));
	g_free(image);
}

/* How each stage can be left, and a new message begun. */
static void
by_abort(struct session *s)
{
	session_end(s);
}

static void
by_new_mail(struct session *s)
{
	session_mail(s, "other@two.example", NULL, false);
	session_end(s);
}

static void
test_abort_at_every_stage(void **state)
{
	static void (*const ways[])(struct session *) = {by_abort, by_new_mail};

	(void)state;
	for (size_t way = 0; way < G_N_ELEMENTS(ways); way++) {
		struct session *s = connected("192.0.2.1", false);

		for (enum stage stage = MAIL; stage <= LOGGED; stage++) {
			const char *name = stage_names[stage];

			(void)send_up_to(s, stage, "one.example");
			check_int(name, session_in_progress(), stage >= DATA ? 1 : 0);
			ways[way](s);
			check_int(name, session_in_progress(), 0);
			check_good(name, send_up_to(s, LOGGED, "two.example"), "two");
			session_end(s);
			session_end(s); /* twice is harmless */
			check_int(name, session_in_progress(), 0);
		}
		session_free(s);
	}
}

static void
test_close_at_every_stage(void **state)
{
	(void)state;
	for (enum stage stage = MAIL; stage <= LOGGED; stage++) {
		struct session *s = connected("192.0.2.1", false);

		(void)send_up_to(s, stage, "one.example");
		session_free(s);
		check_int(stage_names[stage], session_in_progress(), 0);
	}
	session_free(NULL);
}

static void
test_thousand_messages_on_one_connection(void **state)
{
	struct session *s = connected("192.0.2.1", false);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const char *pool = i % 2 ? "two" : "one", *domain = i % 2 ? "two.example" : "one.example";

		check_good(pool, send_up_to(s, LOGGED, domain), pool);
		session_end(s);
	}
	assert_int_equal(session_in_progress(), 0);
	session_free(s);
}

static void
test_trust_is_of_the_connection_and_login_of_the_message(void **state)
{
	static const struct {
		const char *name, *client, *login;
		bool local;
		enum session_answer answer;
	} cases[] = {
		{"stranger", "203.0.113.9", NULL, false, SESSION_ACCEPT},
		{"authenticated", "203.0.113.9", "x", false, SESSION_CONTINUE},
		{"empty login is none", "203.0.113.9", "", false, SESSION_ACCEPT},
		{"trusted network", "127.0.0.1", NULL, false, SESSION_CONTINUE},
		{"local submission", NULL, NULL, true, SESSION_CONTINUE},
		{"no address", NULL, NULL, false, SESSION_ACCEPT},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct session *s = connected(cases[i].client, cases[i].local);

		session_mail(s, "a@one.example", cases[i].login, false);
		check_int(cases[i].name, session_rcpt(s, "u@example.org", false), SESSION_CONTINUE);
		check_int(cases[i].name, session_data(s, "4F2A3B"), cases[i].answer);
		check_int(cases[i].name, session_in_progress(), cases[i].answer == SESSION_CONTINUE);
		if (cases[i].answer == SESSION_ACCEPT)
			check_true(cases[i].name, session_eom(s, "4F2A3B") == NULL);
		session_end(s);
		/* The next message of the connection: the login is gone. */
		if (cases[i].login != NULL && *cases[i].login != '\0') {
			session_mail(s, "a@one.example", NULL, false);
			check_int(cases[i].name, session_data(s, "4F2A3B"), SESSION_ACCEPT);
		}
		session_free(s);
		check_int(cases[i].name, session_in_progress(), 0);
	}
}

/* An MTA that sends commands out of order gets no crash and leaves no count. */
static void
test_out_of_order(void **state)
{
	struct session *s = session_new(&tools.tools);

	(void)state;
	session_end(s);
	assert_int_equal(session_rcpt(s, "u@example.org", false), SESSION_CONTINUE);
	assert_int_equal(session_data(s, NULL), SESSION_CONTINUE);
	session_header(s, "From", " a");
	session_body(s, "x", 1);
	assert_null(session_eom(s, NULL));
	assert_int_equal(session_in_progress(), 0);
	session_mail(s, "a@one.example", "login", false);
	assert_int_equal(session_data(s, "1"), SESSION_CONTINUE);
	assert_int_equal(session_data(s, "1"), SESSION_CONTINUE);
	assert_int_equal(session_in_progress(), 1);
	session_end(s);
	assert_int_equal(session_in_progress(), 0);
	session_free(s);
}

/* Without DATA (an MTA may not send it) the message is treated all the same, and a stranger's is not. */
static void
test_end_of_message_without_data(void **state)
{
	struct session *s = connected("203.0.113.9", false);
	const struct plan *plan;

	(void)state;
	session_mail(s, "a@one.example", NULL, false);
	session_header(s, "From", " a@one.example");
	plan = session_eom(s, "1");
	assert_non_null(plan);
	assert_int_equal(plan->verdict, VERDICT_PASSED);
	assert_int_equal(image_edits(plan->image)->len, 0);
	assert_null(plan->new_sender);
	session_free(s);
}

static void
test_bounces(void **state)
{
	struct session *s = connected("203.0.113.9", false);

	(void)state;
	session_mail(s, "", NULL, false);
	assert_int_equal(session_rcpt(s, "b+forged@b.one.example", false), SESSION_REFUSE);
	assert_int_equal(session_rcpt(s, "postmaster@b.one.example", false), SESSION_CONTINUE);
	assert_int_equal(session_rcpt(s, "bounce@b.two.example", false), SESSION_CONTINUE);
	assert_int_equal(session_rcpt(s, "user@elsewhere.example", false), SESSION_CONTINUE);
	session_free(s);
}

/* A refused recipient is none of the message's: the token is for the one that is left. */
static void
test_refused_recipient_does_not_count(void **state)
{
	struct session *s = connected("192.0.2.1", false);

	(void)state;
	session_mail(s, "a@one.example", "login", false);
	assert_int_equal(session_rcpt(s, "b+forged@b.one.example", false), SESSION_REFUSE);
	assert_int_equal(session_rcpt(s, "u@example.org", false), SESSION_CONTINUE);
	assert_int_equal(session_data(s, "4F2A3B"), SESSION_CONTINUE);
	session_header(s, "From", " a@one.example");
	assert_non_null(session_eom(s, NULL));
	session_log(s, true);
	session_free(s);
}

static void
test_too_large(void **state)
{
	struct session *s = connected("192.0.2.1", false);
	const struct plan *plan;

	(void)state;
	session_mail(s, "a@one.example", "login", false);
	assert_int_equal(session_data(s, "1"), SESSION_CONTINUE);
	session_header(s, "From", " a@one.example");
	for (int i = 0; i < 2000; i++)
		session_body(s, "x", 1);
	plan = session_eom(s, "1");
	assert_int_equal(plan->verdict, VERDICT_REJECTED);
	assert_string_equal(plan->reply_code, "552");
	assert_string_equal(plan->reply_status, "5.3.4");
	session_log(s, true);
	session_free(s);
}

static void
test_edits_that_the_mta_refuses(void **state)
{
	struct session *s = connected("192.0.2.1", false);
	const struct plan *plan = send_up_to(s, EOM, "one.example");

	(void)state;
	assert_int_equal(plan->verdict, VERDICT_ACCEPTED);
	session_log(s, false);
	assert_int_equal(plan->verdict, VERDICT_DEFERRED);
	assert_string_equal(plan->reason, "mta");
	session_free(s);
}

/* A reload in the middle of a message: it keeps what it began with, the next has the new. */
static void
test_reload_in_the_middle(void **state)
{
	struct session *s = connected("192.0.2.1", false);
	const struct plan *plan;

	(void)state;
	session_mail(s, "a@one.example", "login", false);
	snapshot_set(fixture_settings("pools = (" POOL("new", "one.example", "return_path = \"plain\";") ");"));
	assert_int_equal(session_rcpt(s, "u@example.org", false), SESSION_CONTINUE);
	assert_int_equal(session_data(s, "1"), SESSION_CONTINUE);
	session_header(s, "From", " a@one.example");
	plan = session_eom(s, "1");
	assert_string_equal(plan->pool->name, "one");
	session_log(s, true);
	session_end(s);
	plan = send_up_to(s, EOM, "one.example");
	assert_string_equal(plan->pool->name, "new");
	session_free(s);
	snapshot_set(fixture_settings(POOLS));
}

/* Last: there is no way back. Messages in progress end well, new ones are deferred at DATA. */
static void
test_stop(void **state)
{
	struct session *busy = connected("192.0.2.1", false), *s = connected("192.0.2.1", false);
	const struct plan *plan;

	(void)state;
	(void)send_up_to(busy, DATA, "one.example");
	session_stop_all();
	session_header(busy, "From", " a@one.example");
	plan = session_eom(busy, "1");
	assert_int_equal(plan->verdict, VERDICT_ACCEPTED);
	session_log(busy, true);
	session_free(busy);
	session_mail(s, "a@one.example", "login", false);
	assert_int_equal(session_rcpt(s, "u@example.org", false), SESSION_CONTINUE);
	assert_int_equal(session_data(s, "2"), SESSION_DEFER);
	assert_int_equal(session_in_progress(), 0);
	assert_null(session_eom(s, "2"));
	session_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abort_at_every_stage),
		cmocka_unit_test(test_close_at_every_stage),
		cmocka_unit_test(test_thousand_messages_on_one_connection),
		cmocka_unit_test(test_trust_is_of_the_connection_and_login_of_the_message),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_end_of_message_without_data),
		cmocka_unit_test(test_bounces),
		cmocka_unit_test(test_refused_recipient_does_not_count),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_edits_that_the_mta_refuses),
		cmocka_unit_test(test_reload_in_the_middle),
		cmocka_unit_test(test_stop),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
