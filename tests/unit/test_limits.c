/*
 * test_limits - what a message is charged to, once, and what becomes of one that is over a limit.
 */
#include "fixture.h"

#include "base/log.h"
#include "core/author.h"
#include "core/limiter_memory.h"
#include "core/pipeline.h"
#include "core/split.h"
#include "daemon/session.h"
#include "daemon/snapshot.h"

#include <string.h>

#define NOW 1700000000

#define RECORDS                                                                                        \
	"isps = ({ name = \"one\"; domains = [\"one.test\", \"uno.test\"]; limits = [\"3/minute\"];"    \
	"    add_headers = ({ name = \"X-Isp\"; value = \"${isp}\"; }); },"                             \
	"  { name = \"two\"; domains = [\"two.test\"]; limits = [\"50/second\", \"500/hour\"];"         \
	"    total_limits = [\"4/day\"]; },"                                                            \
	"  { name = \"default\"; });"

static int64_t now = 1000000000;

static int64_t
clock_of(void *context)
{
	(void)context;
	return now;
}

/* A limiter that writes down what it is asked, and answers itself or lets another one. */
struct fake {
	struct limiter limiter;
	const struct limiter *real; /* NULL: answer */
	enum limiter_answer answer;
	GString *asked; /* "p/acme 5/second 1; ...\n"; a look begins with "? " */
};

static enum limiter_answer
fake_ask(void *context, const struct limiter_request *request, struct limiter_result *result)
{
	struct fake *f = context;

	g_string_append(f->asked, request->mode == LIMITER_LOOK ? "? " : "");
	for (guint i = 0; i < request->n_charges; i++) {
		const struct charge *c = &request->charges[i];
		char *text = limit_text(c->limit);

		g_string_append_printf(f->asked, "%s%s %s %u", i > 0 ? "; " : "", c->key, text, c->amount);
		g_free(text);
	}
	g_string_append_c(f->asked, '\n');
	if (f->real != NULL)
		return f->real->ask(f->real->context, request, result);
	*result = (struct limiter_result){0};
	if (f->answer == LIMITER_FAILED || f->answer == LIMITER_UNCERTAIN)
		result->why = g_strdup("the test says so");
	return f->answer;
}

static void
fake_init(struct fake *f, const struct limiter *real)
{
	*f = (struct fake){{fake_ask, f}, real, LIMITER_ALLOWED, g_string_new(NULL)};
}

/* What the client's commands come to. */
struct rig {
	struct fake fake;
	struct fake_signer signer;
	struct limiter_memory *memory;
	struct fixture_tools tools;
	struct session *session;
};

static void
rig_init(struct rig *r, const char *mode, const char *pool_keys, const struct injector *injector)
{
	char *text = g_strdup_printf("mixed_isps = \"%s\"; reinject = \"smtp://127.0.0.1:1\"; " RECORDS
				     "pools = ({ name = \"acme\"; sender_domain = \"example.com\"; spf_domain = "
				     "\"b.example.com\"; dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; %s },"
				     POOL("closed", "closed.example", "users = [\"boss\"];") ","
				     POOL("waiting", "waiting.example", "on_limit = \"hold\";") ");",
				     mode, pool_keys);

	snapshot_set(fixture_settings(text));
	g_free(text);
	r->memory = limiter_memory_new(1, clock_of, NULL);
	fake_init(&r->fake, limiter_memory_facade(r->memory));
	fake_signer_init(&r->signer);
	fixture_tools_init(&r->tools, &r->signer.signer, injector, &r->fake.limiter);
	r->session = session_new(&r->tools.tools);
}

static void
rig_clear(struct rig *r)
{
	session_free(r->session);
	fake_signer_clear(&r->signer);
	fixture_tools_clear(&r->tools);
	limiter_memory_free(r->memory);
	g_string_free(r->fake.asked, TRUE);
}

static void
connect_as(struct rig *r, bool local)
{
	struct address client = {.known = false};

	assert_true(address_parse(&client, "192.0.2.9"));
	session_connect(r->session, &client, local);
}

/* A message for recipients, "|" between, with more header fields or NULL. */
static const struct plan *
send_with(struct rig *r, const char *rcpts, const char *name, const char *value)
{
	char **list = g_strsplit(rcpts, "|", -1);
	struct session *s = r->session;

	session_mail(s, "a@example.com", "acme", false);
	for (char **rcpt = list; *rcpt != NULL; rcpt++)
		assert_int_equal(session_rcpt(s, *rcpt, false), SESSION_CONTINUE);
	g_strfreev(list);
	g_string_truncate(r->fake.asked, 0); /* looks at RCPT are no matter here */
	assert_int_equal(session_data(s, "4F2A3B"), SESSION_CONTINUE);
	if (name != NULL)
		session_header(s, name, value);
	session_header(s, "From", " a@example.com");
	session_body(s, "Hello\r\n", 7);
	return session_eom(s, "4F2A3B");
}

static const struct plan *
send_to(struct rig *r, const char *rcpts)
{
	return send_with(r, rcpts, NULL, NULL);
}

/* ---- what is charged */

static void
test_charges(void **state)
{
	static const struct {
		const char *name, *keys, *rcpts, *asked;
	} cases[] = {
		{"no limits", "", "a@x.test", ""},
		{"pool", "limits = [\"5/second\", \"9/day\"];", "a@x.test|b@x.test", "p/acme 5/second 2; p/acme 9/day 2\n"},
		{"ISP", "", "a@one.test|b@uno.test|c@x.test", "pi/acme/one 3/minute 2\n"},
		{"ISP and all pools", "", "a@two.test", "pi/acme/two 50/second 1; pi/acme/two 500/hour 1; i/two 4/day 1\n"},
		{"several ISPs, each recipient under its own", "limits = [\"5/second\"];", "a@two.test|b@one.test|c@two.test",
		 "p/acme 5/second 3; pi/acme/two 50/second 2; pi/acme/two 500/hour 2; i/two 4/day 2; pi/acme/one 3/minute 1\n"},
		{"instead of the record's", "isp_limits = ({ isp = \"TWO\"; limits = [\"7/hour\"]; });", "a@two.test|b@one.test",
		 "pi/acme/two 7/hour 1; i/two 4/day 1; pi/acme/one 3/minute 1\n"},
		{"lifted", "isp_limits = ({ isp = \"two\"; limits = []; }, { isp = \"one\"; });", "a@two.test|b@one.test",
		 "i/two 4/day 1\n"},
		{"of the rest", "isp_limits = ({ isp = \"default\"; limits = [\"7/hour\"]; });", "a@x.test|b@one.test",
		 "pi/acme/default 7/hour 1; pi/acme/one 3/minute 1\n"},
		{"messages", "limits = [\"5/second\"]; count = \"messages\";", "a@two.test|b@one.test|c@two.test|d@x.test",
		 "p/acme 5/second 1; pi/acme/two 50/second 1; pi/acme/two 500/hour 1; i/two 4/day 1; pi/acme/one 3/minute 1\n"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct rig r;
		const struct plan *p;

		rig_init(&r, "neutral", cases[i].keys, NULL);
		connect_as(&r, false);
		p = send_to(&r, cases[i].rcpts);
		check_string(cases[i].name, r.fake.asked->str, cases[i].asked);
		check_int(cases[i].name, p->verdict, VERDICT_ACCEPTED);
		check_int(cases[i].name, p->limit, *cases[i].asked != '\0' ? LIMIT_OK : LIMIT_NONE);
		rig_clear(&r);
	}
}

/* What ends before costs nothing; the pipeline by itself, which poolctl runs, never does. */
static void
test_nothing_is_asked(void **state)
{
	struct rig r;
	struct message *m = fixture_message("From: a@example.com\n\nx\n", "a@example.com", "u@one.test");
	struct plan *p = plan_new(m);
	struct job job = {.message = m, .now = NOW};

	(void)state;
	rig_init(&r, "neutral", "", NULL);
	connect_as(&r, false);
	r.signer.fail_at = 1;
	assert_int_equal(send_to(&r, "a@one.test")->verdict, VERDICT_DEFERRED);
	assert_int_equal(send_with(&r, "a@one.test", "X-Pool", " none")->verdict, VERDICT_REJECTED);
	m->local = true;
	job.settings = snapshot_get();
	job.signer = &r.signer.signer;
	job.limiter = &r.fake.limiter;
	p->explanations = g_ptr_array_new_with_free_func(g_free);
	pipeline_run(&job, p);
	assert_int_equal(p->verdict, VERDICT_ACCEPTED);
	assert_string_equal(p->explanations->pdata[p->explanations->len - 1],
			    "limits: pi/acme/one: 3/minute, this message: 1");
	assert_string_equal(r.fake.asked->str, "");
	job.limiter = NULL;
	pipeline_charge(&job, p);
	assert_int_equal(p->limit, LIMIT_NONE);
	settings_unref((struct settings *)job.settings);
	plan_free(p);
	message_free(m);
	rig_clear(&r);
}

/* ---- over a limit */

static void
test_over(void **state)
{
	static const struct {
		const char *name, *keys, *rcpts;
		bool local;
		enum verdict verdict;
		const char *code, *status, *reply, *hold, *over;
		bool treated;
	} cases[] = {
		{"defer", "", "a@one.test", false, VERDICT_DEFERRED, "451", "4.7.1",
		 "Sending limit 3/minute of pool acme to one is reached, try again in 60 seconds", NULL,
		 "pi/acme/one/3/minute", false},
		{"hold", "on_limit = \"hold\";", "a@one.test", false, VERDICT_HELD, NULL, NULL, NULL,
		 "poolmilter: over the limit 3/minute of pool acme to one", "pi/acme/one/3/minute", true},
		{"warn", "on_limit = \"warn\";", "a@one.test", false, VERDICT_ACCEPTED, NULL, NULL, NULL, NULL,
		 "pi/acme/one/3/minute", true},
		{"defer, local", "", "a@one.test", true, VERDICT_HELD, NULL, NULL, NULL,
		 "poolmilter: over the limit 3/minute of pool acme to one", "pi/acme/one/3/minute", true},
		{"warn, local", "on_limit = \"warn\";", "a@one.test", true, VERDICT_ACCEPTED, NULL, NULL, NULL, NULL,
		 "pi/acme/one/3/minute", true},
		{"never", "", "a@one.test|b@one.test|c@one.test|d@one.test", false, VERDICT_REJECTED, "554", "5.7.1",
		 "More recipients (4) than the sending limit 3/minute of pool acme to one ever allows: send to fewer at a time",
		 NULL, "pi/acme/one/3/minute", false},
		{"never, local", "", "a@one.test|b@one.test|c@one.test|d@one.test", true, VERDICT_HELD, NULL, NULL, NULL,
		 "poolmilter: over the limit 3/minute of pool acme to one", "pi/acme/one/3/minute", true},
		{"never, hold", "on_limit = \"hold\";", "a@one.test|b@one.test|c@one.test|d@one.test", false, VERDICT_HELD, NULL,
		 NULL, NULL, "poolmilter: over the limit 3/minute of pool acme to one", "pi/acme/one/3/minute", true},
		{"pool", "limits = [\"3/day\"];", "a@x.test", false, VERDICT_DEFERRED, "451", "4.7.1",
		 "Sending limit 3/day of pool acme is reached, try again in 86400 seconds", NULL, "p/acme/3/day", false},
		{"the longest wait of two", "limits = [\"3/second\", \"3/hour\"];", "a@one.test", false, VERDICT_DEFERRED, "451",
		 "4.7.1", "Sending limit 3/hour of pool acme is reached, try again in 3600 seconds", NULL, "p/acme/3/hour", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct rig r;
		const struct plan *p;
		guint before;

		rig_init(&r, "neutral", cases[i].keys, NULL);
		connect_as(&r, cases[i].local);
		check_int(cases[i].name, send_to(&r, "a@one.test|b@one.test|c@one.test")->limit, LIMIT_OK);
		before = limiter_memory_size(r.memory);
		p = send_to(&r, cases[i].rcpts);
		check_int(cases[i].name, p->verdict, cases[i].verdict);
		check_string(cases[i].name, p->reason, p->verdict == VERDICT_ACCEPTED ? NULL : "limit");
		check_string(cases[i].name, p->reply_code, cases[i].code);
		check_string(cases[i].name, p->reply_status, cases[i].status);
		check_string(cases[i].name, p->reply, cases[i].reply);
		check_string(cases[i].name, p->hold, cases[i].hold);
		check_int(cases[i].name, p->limit, LIMIT_OVER);
		check_string(cases[i].name, p->over.name, cases[i].over);
		check_int(cases[i].name, image_edits(p->image)->len > 0, cases[i].treated);
		check_int(cases[i].name, p->new_sender != NULL, cases[i].treated);
		check_int(cases[i].name, p->dkim->len > 0, cases[i].treated);
		check_int(cases[i].name, limiter_memory_size(r.memory), before);
		rig_clear(&r);
	}
}

/* All or none: a limit that has room is not charged for a message that is over another one. */
static void
test_all_or_none(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r, "neutral", "limits = [\"5/day\"];", NULL);
	connect_as(&r, false);
	assert_int_equal(send_to(&r, "a@one.test|b@one.test|c@one.test")->limit, LIMIT_OK);
	for (int i = 0; i < 20; i++)
		assert_int_equal(send_to(&r, "a@one.test|b@x.test")->verdict, VERDICT_DEFERRED);
	assert_int_equal(send_to(&r, "a@x.test|b@x.test")->verdict, VERDICT_ACCEPTED);
	assert_int_equal(send_to(&r, "a@x.test")->verdict, VERDICT_DEFERRED);
	now += 60 * G_USEC_PER_SEC; /* the window of "one" is over, that of the pool is not */
	assert_int_equal(send_to(&r, "a@one.test")->verdict, VERDICT_DEFERRED);
	now += (int64_t)86400 * G_USEC_PER_SEC;
	assert_int_equal(send_to(&r, "a@one.test")->verdict, VERDICT_ACCEPTED);
	rig_clear(&r);
}

static void
test_no_answer(void **state)
{
	static const enum limiter_answer answers[] = {LIMITER_FAILED, LIMITER_UNCERTAIN};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
		struct rig r;
		const struct plan *p;

		rig_init(&r, "neutral", "", NULL);
		connect_as(&r, false);
		r.fake.real = NULL;
		r.fake.answer = answers[i];
		p = send_to(&r, "a@one.test");
		assert_int_equal(p->verdict, VERDICT_ACCEPTED);
		assert_int_equal(p->limit, LIMIT_UNKNOWN);
		assert_string_equal(p->limit_problem, "the test says so");
		assert_string_equal(r.fake.asked->str, "pi/acme/one 3/minute 1\n"); /* not twice */
		session_log(r.session, true);
		rig_clear(&r);
	}
}

/* ---- split: asked once, before the first copy, for all recipients */

struct fake_injector {
	struct injector injector;
	const char *refuse; /* recipients that contain it stay */
	guint calls;
};

static guint
fake_send(void *context, const struct injection *in, bool *taken, char **why)
{
	struct fake_injector *f = context;
	guint n = 0;

	f->calls++;
	for (guint i = 0; i < in->rcpts->len; i++) {
		taken[i] = f->refuse == NULL || strstr(in->rcpts->pdata[i], f->refuse) == NULL;
		n += taken[i];
	}
	if (n < in->rcpts->len)
		*why = g_strdup("refused");
	return n;
}

static void
test_split_is_charged_once(void **state)
{
	static const struct {
		const char *name, *keys, *refuse;
		guint before; /* recipients of "one" sent to already */
		enum verdict verdict;
		guint injected;
		const char *isp;
		guint left;
	} cases[] = {
		{"taken", "", NULL, 0, VERDICT_ACCEPTED, 1, "one", 2},
		{"one refused", "", "d@", 0, VERDICT_ACCEPTED, 1, "default", 3},
		{"all refused", "", "@", 0, VERDICT_ACCEPTED, 1, "default", 4},
		{"over", "", NULL, 2, VERDICT_DEFERRED, 0, "one", 2},
		{"over, held whole", "on_limit = \"hold\";", NULL, 2, VERDICT_HELD, 0, "default", 4},
		{"over, let go", "on_limit = \"warn\";", NULL, 2, VERDICT_ACCEPTED, 1, "one", 2},
	};
	static const char asked[] = "pi/acme/one 3/minute 2; pi/acme/two 50/second 2; pi/acme/two 500/hour 2; "
				    "i/two 4/day 2\n";

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fake_injector injector = {{fake_send, &injector}, cases[i].refuse, 0};
		const struct plan *p;
		struct rig r;

		rig_init(&r, "split", cases[i].keys, &injector.injector);
		connect_as(&r, false);
		for (guint n = 0; n < cases[i].before; n++)
			check_int(cases[i].name, send_to(&r, "x@one.test")->limit, LIMIT_OK);
		g_string_truncate(r.fake.asked, 0);
		p = send_to(&r, "a@one.test|b@two.test|c@uno.test|d@two.test");
		check_string(cases[i].name, r.fake.asked->str, asked);
		check_int(cases[i].name, p->verdict, cases[i].verdict);
		check_int(cases[i].name, p->limit, cases[i].before > 0 ? LIMIT_OVER : LIMIT_OK);
		check_int(cases[i].name, injector.calls, cases[i].injected);
		check_string(cases[i].name, p->isp->name, cases[i].isp);
		check_int(cases[i].name, p->rcpts->len, cases[i].left);
		check_string(cases[i].name, p->reason, p->verdict == VERDICT_ACCEPTED ? NULL : "limit");
		check_true(cases[i].name, (p->verdict == VERDICT_HELD) == (p->hold != NULL));
		session_log(r.session, true);
		rig_clear(&r);
	}
}

/* A copy of ours is paid for; one with a forged mark pays. Its recipients have their own records. */
static void
test_copy_is_not_charged(void **state)
{
	static const char *const asked[] = {"", "pi/acme/two 50/second 1; pi/acme/two 500/hour 1; i/two 4/day 1\n"};

	(void)state;
	for (guint forged = 0; forged < 2; forged++) {
		struct message *m;
		GString *mark = g_string_new(NULL);
		struct job job = {.now = time(NULL)};
		const struct plan *p;
		struct rig r;

		rig_init(&r, "split", "", NULL);
		m = fixture_message("From: a@example.com\n\nx\n", "a@example.com", NULL);
		job.settings = snapshot_get();
		job.message = m;
		assert_true(split_mark_write(&job, g_hash_table_lookup(job.settings->pool_by_name, "acme"),
					     job.settings->isps->pdata[0], mark));
		g_string_truncate(mark, mark->len - 2); /* CRLF */
		if (forged)
			mark->str[mark->len - 1] = mark->str[mark->len - 1] == '0' ? '1' : '0';
		connect_as(&r, false);
		p = send_with(&r, "b@two.test", SPLIT_HEADER, strchr(mark->str, ':') + 1);
		assert_int_equal(p->verdict, VERDICT_ACCEPTED);
		assert_string_equal(r.fake.asked->str, asked[forged]);
		assert_int_equal(p->limit, forged ? LIMIT_OK : LIMIT_NONE);
		assert_string_equal(p->isp->name, forged ? "two" : "one");
		assert_string_equal(((const struct isp *)p->rcpt_isps->pdata[0])->name, "two");
		settings_unref((struct settings *)job.settings);
		message_free(m);
		g_string_free(mark, TRUE);
		rig_clear(&r);
	}
}

/* ---- at RCPT */

static void
test_at_rcpt(void **state)
{
	static const struct {
		const char *name, *mode, *sender, *login, *rcpt;
		bool local, reached;
		enum session_answer want;
		bool looked;
	} cases[] = {
		{"room", "neutral", "a@example.com", "x", "z@two.test", false, false, SESSION_CONTINUE, true},
		{"reached", "neutral", "a@example.com", "x", "z@two.test", false, true, SESSION_LIMIT, true},
		{"reached, another provider", "neutral", "a@example.com", "x", "z@one.test", false, true, SESSION_CONTINUE, false},
		{"no record", "neutral", "a@example.com", "x", "z@x.test", false, true, SESSION_CONTINUE, false},
		{"local", "neutral", "a@example.com", NULL, "z@two.test", true, true, SESSION_CONTINUE, false},
		{"a stranger", "neutral", "a@example.com", NULL, "z@two.test", false, true, SESSION_CONTINUE, false},
		{"a sender of no pool", "neutral", "a@else.example", "x", "z@two.test", false, true, SESSION_CONTINUE, false},
		{"the null sender", "neutral", "", "x", "z@two.test", false, true, SESSION_CONTINUE, false},
		{"of a pool that may not be used", "neutral", "a@closed.example", "x", "z@two.test", false, true,
		 SESSION_CONTINUE, false},
		{"of a pool that may be used", "neutral", "a@closed.example", "boss", "z@two.test", false, true, SESSION_LIMIT,
		 true},
		{"of a pool that holds", "neutral", "a@waiting.example", "x", "z@two.test", false, true, SESSION_CONTINUE, false},
		{"split, with a login", "split", "a@example.com", "x", "z@two.test", false, true, SESSION_LIMIT, true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct rig r;

		rig_init(&r, cases[i].mode, "", NULL);
		connect_as(&r, false);
		send_to(&r, cases[i].reached ? "a@two.test|b@two.test|c@two.test|d@two.test" : "a@two.test");
		g_string_truncate(r.fake.asked, 0);
		connect_as(&r, cases[i].local);
		session_mail(r.session, cases[i].sender, cases[i].login, false);
		check_int(cases[i].name, session_rcpt(r.session, cases[i].rcpt, false), cases[i].want);
		check_string(cases[i].name, r.fake.asked->str, cases[i].looked ? "? i/two 4/day 1\n" : "");
		check_string(cases[i].name, session_reply(r.session),
			     cases[i].want == SESSION_LIMIT
				     ? "Sending limit 4/day to two is reached, try again in 86400 seconds"
				     : NULL);
		rig_clear(&r);
	}
}

/* Copies come from a trusted network without a login, and are paid for. */
static void
test_at_rcpt_of_a_copy(void **state)
{
	static const struct {
		const char *mode;
		enum session_answer want;
	} cases[] = {{"split", SESSION_CONTINUE}, {"neutral", SESSION_LIMIT}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct address client = {.known = false};
		struct rig r;

		rig_init(&r, cases[i].mode, "", NULL);
		connect_as(&r, false);
		send_to(&r, "a@two.test|b@two.test|c@two.test|d@two.test");
		assert_true(address_parse(&client, "127.0.0.1"));
		session_connect(r.session, &client, false);
		session_mail(r.session, "a@example.com", NULL, false);
		check_int(cases[i].mode, session_rcpt(r.session, "z@two.test", false), cases[i].want);
		rig_clear(&r);
	}
}

static void
test_reply(void **state)
{
	static const struct {
		int64_t us;
		bool paused;
		const char *want;
	} cases[] = {{0, false, "Sending limit sending of it is reached, try again in 1 second"},
		     {1, false, "Sending limit sending of it is reached, try again in 1 second"},
		     {1000000, true, "Sending of it, try again in 1 second"},
		     {1000001, false, "Sending limit sending of it is reached, try again in 2 seconds"},
		     {86400000000, true, "Sending of it, try again in 86400 seconds"},
		     {-1, true, "Sending of it, try again in 1 second"}};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const struct limit_over over = {
			.words = (char *)"sending of it", .wait_us = cases[i].us, .paused = cases[i].paused};
		char *text = limits_over_reply(&over);

		check_string(cases[i].want, text, cases[i].want);
		g_free(text);
	}
}

static int
setup(void **state)
{
	(void)state;
	log_set_level(LOG_EMERG);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	snapshot_set(NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_charges),
		cmocka_unit_test(test_nothing_is_asked),
		cmocka_unit_test(test_over),
		cmocka_unit_test(test_all_or_none),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_split_is_charged_once),
		cmocka_unit_test(test_copy_is_not_charged),
		cmocka_unit_test(test_at_rcpt),
		cmocka_unit_test(test_at_rcpt_of_a_copy),
		cmocka_unit_test(test_reply),
	};

	author_init();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
