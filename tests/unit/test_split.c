/*
 * test_split - several ISPs in one message: who treats it, what is injected again, and who stays.
 */
#include "fixture.h"

#include "core/author.h"
#include "core/isp.h"
#include "core/split.h"
#include "daemon/session.h"
#include "daemon/snapshot.h"
#include "base/log.h"

#include <string.h>

#define NOW 1700000000

#define RECORDS                                                                                \
	"isps = ({ name = \"one\"; domains = [\"one.test\", \"uno.test\"];"                    \
	"    add_headers = ({ name = \"X-Isp\"; value = \"${isp}\"; }); },"                    \
	"  { name = \"two\"; domains = [\"two.test\"]; delete_headers = [\"X-Two\"]; },"       \
	"  { name = \"deux\"; domains = [\"deux.test\"]; delete_headers = [\"X-Two\"]; },"     \
	"  { name = \"plain\"; domains = [\"plain.test\"]; });"                                \
	"pools = (" POOL("acme", "example.com", "users = [\"acme\"];") ","                     \
	POOL("other", "other.example", "") ");"

static struct settings *settings;

static struct settings *
settings_for(const char *mixed)
{
	char *text = g_strdup_printf("mixed_isps = \"%s\"; reinject = \"smtp://127.0.0.1:1\"; %s", mixed,
				     RECORDS);
	struct settings *s = fixture_settings(text);

	g_free(text);
	return s;
}

/* A message by "acme" for recipients, "|" between them. */
static struct message *
message_for(const char *rcpts, const char *extra)
{
	char *text = g_strdup_printf("From: a@example.com\nMessage-ID: <1@example.com>\n%s\nHello\n", extra);
	struct message *m = fixture_message(text, "a@example.com", NULL);
	char **list = g_strsplit(rcpts, "|", -1);

	for (char **rcpt = list; *rcpt != NULL; rcpt++)
		message_add_rcpt(m, *rcpt);
	m->login = g_strdup("acme");
	m->queue_id = g_strdup("4F2A3B");
	g_strfreev(list);
	g_free(text);
	return m;
}

static struct job
job_for(const struct settings *s, const struct message *m)
{
	return (struct job){.settings = s, .message = m, .now = NOW};
}

static char *
joined(const GPtrArray *list)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; list != NULL && i < list->len; i++)
		g_string_append_printf(text, "%s%s", i > 0 ? " " : "", (char *)list->pdata[i]);
	return g_string_free(text, FALSE);
}

/* "one: a@x b@x; two: c@x" */
static char *
groups_text(const struct plan *p)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; p->groups != NULL && i < p->groups->len; i++) {
		const struct group *g = p->groups->pdata[i];
		char *rcpts = joined(g->rcpts);

		g_string_append_printf(text, "%s%s: %s", i > 0 ? "; " : "", g->isp->name, rcpts);
		g_free(rcpts);
	}
	return g_string_free(text, FALSE);
}

static void
test_who_treats(void **state)
{
	static const struct {
		const char *name, *mode, *rcpts, *isp, *mixed, *own, *groups;
		bool dsn, marked, no_split;
	} cases[] = {
		{"one recipient", "split", "a@one.test", "one", NULL, "a@one.test", "", 0, 0, 0},
		{"no record", "split", "a@x.test", "default", NULL, "a@x.test", "", 0, 0, 0},
		{"one record, two domains", "split", "a@one.test|b@uno.test", "one", NULL, "a@one.test b@uno.test", "", 0, 0, 0},
		{"alike", "split", "a@two.test|b@deux.test", "two", "alike", "a@two.test b@deux.test", "", 0, 0, 0},
		{"a record that does nothing, and none", "neutral", "a@plain.test|b@x.test", "plain", "alike",
		 "a@plain.test b@x.test", "", 0, 0, 0},
		{"neutral", "neutral", "a@one.test|b@two.test", "default", "neutral", "a@one.test b@two.test", "", 0, 0, 0},
		{"defer, but all came", "defer", "a@one.test|b@two.test", "default", "neutral", "a@one.test b@two.test", "",
		 0, 0, 0},
		{"split", "split", "a@two.test|b@one.test|c@x.test|d@deux.test|e@uno.test", "two", "split",
		 "a@two.test d@deux.test", "one: b@one.test e@uno.test; default: c@x.test", 0, 0, 0},
		{"split, the same recipient twice", "split", "a@two.test|b@one.test|a@two.test", "two", "split",
		 "a@two.test a@two.test", "one: b@one.test", 0, 0, 0},
		{"DSN options", "split", "a@one.test|b@two.test", "default", "neutral", "a@one.test b@two.test", "", 1, 0, 0},
		{"injected before", "split", "a@one.test|b@two.test", "default", "neutral", "a@one.test b@two.test", "", 0, 1, 0},
		{"whole", "split", "a@one.test|b@two.test", "default", "neutral", "a@one.test b@two.test", "", 0, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct settings *s = settings_for(cases[i].mode);
		struct message *m = message_for(cases[i].rcpts, "");
		struct plan *p = plan_new(m);
		struct job job = job_for(s, m);
		char *own, *groups;

		m->dsn = cases[i].dsn;
		p->marked = cases[i].marked;
		job.no_split = cases[i].no_split;
		assert_true(stage_isp(&job, p));
		own = joined(p->rcpts);
		groups = groups_text(p);
		check_string(cases[i].name, p->isp->name, cases[i].isp);
		check_string(cases[i].name, p->mixed, cases[i].mixed);
		check_string(cases[i].name, own, cases[i].own);
		check_string(cases[i].name, groups, cases[i].groups);
		check_int(cases[i].name, p->rcpt_isps->len, p->rcpts->len);
		g_free(own);
		g_free(groups);
		plan_free(p);
		message_free(m);
		settings_unref(s);
	}
}

/* The field as another message would carry it. */
static char *
mark_of(const char *pool, const char *isp, const struct message *m, time_t now)
{
	struct job job = job_for(settings, m);
	GString *line = g_string_new(NULL);
	const struct isp *record = NULL;

	for (guint i = 0; i < settings->isps->len; i++)
		if (strcmp(((struct isp *)settings->isps->pdata[i])->name, isp) == 0)
			record = settings->isps->pdata[i];
	job.now = now;
	assert_non_null(record);
	assert_true(split_mark_write(&job, g_hash_table_lookup(settings->pool_by_name, pool), record, line));
	assert_true(g_str_has_suffix(line->str, "\r\n"));
	g_string_truncate(line, line->len - 2);
	g_string_append_c(line, '\n');
	return g_string_free(line, FALSE);
}

static char *
replaced(const char *text, const char *from, const char *to)
{
	char **parts = g_strsplit(text, from, 2), *whole = g_strjoinv(to, parts);

	assert_int_equal(g_strv_length(parts), 2);
	g_strfreev(parts);
	return whole;
}

static void
test_marks(void **state)
{
	static const struct {
		const char *name, *from, *to;
		int age;
		enum split_mark want;
	} cases[] = {
		{"as written", NULL, NULL, 0, SPLIT_VALID},
		{"minutes old", NULL, NULL, 599, SPLIT_VALID},
		{"a clock behind", NULL, NULL, -59, SPLIT_VALID},
		{"too old", NULL, NULL, 601, SPLIT_INVALID},
		{"from the future", NULL, NULL, -61, SPLIT_INVALID},
		{"another pool", "pool=acme", "pool=other", 0, SPLIT_INVALID},
		{"another record", "isp=one", "isp=two", 0, SPLIT_INVALID},
		{"another time", "t=17", "t=16", 0, SPLIT_INVALID},
		{"another login", "login=.acme", "login=.acm", 0, SPLIT_INVALID},
		{"no login", "login=.acme", "login=", 0, SPLIT_INVALID},
		{"another version", "v=1", "v=2", 0, SPLIT_INVALID},
		{"something behind it", "\n", " x\n", 0, SPLIT_INVALID},
		{"nothing", " v=1", " ", 0, SPLIT_INVALID},
		{"no time", "t=17", "t=x17", 0, SPLIT_INVALID},
	};
	struct message *plain = message_for("a@one.test", "");

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *mark = mark_of("acme", "one", plain, NOW);
		char *line = cases[i].from != NULL ? replaced(mark, cases[i].from, cases[i].to) : g_strdup(mark);
		struct message *m = message_for("a@one.test", line);
		struct job job = job_for(settings, m);
		struct split_found found = {0};

		job.now = NOW + cases[i].age;
		check_int(cases[i].name, split_mark_read(&job, &found), cases[i].want);
		if (cases[i].want == SPLIT_VALID) {
			check_string(cases[i].name, found.pool->name, "acme");
			check_string(cases[i].name, found.isp->name, "one");
			check_string(cases[i].name, found.login, "acme");
			g_free(found.login);
		}
		message_free(m);
		g_free(line);
		g_free(mark);
	}
	message_free(plain);
}

/* Each flipped digit of the HMAC counts, and so does the sender; two fields are none. */
static void
test_mark_is_of_this_message(void **state)
{
	struct message *plain = message_for("a@one.test", "");
	char *mark = mark_of("acme", "one", plain, NOW), *mac = strstr(mark, "mac=") + 4;
	struct split_found found = {0};

	(void)state;
	for (size_t i = 0; mac[i] != '\n'; i++) {
		char kept = mac[i];
		struct message *m;
		struct job job;

		mac[i] = kept == '0' ? '1' : '0';
		m = message_for("a@one.test", mark);
		job = job_for(settings, m);
		assert_int_equal(split_mark_read(&job, &found), SPLIT_INVALID);
		mac[i] = kept;
		message_free(m);
	}
	for (int i = 0; i < 3; i++) {
		char *twice = g_strconcat(mark, i == 1 ? mark : "", NULL);
		char *text = g_strdup_printf("From: a@example.com\n%s\nHello\n", twice);
		struct message *m = fixture_message(text, i == 2 ? "b@example.com" : "a@example.com", "a@one.test");
		struct job job = job_for(settings, m);

		assert_int_equal(split_mark_read(&job, &found), i == 0 ? SPLIT_VALID : SPLIT_INVALID);
		g_clear_pointer(&found.login, g_free);
		message_free(m);
		g_free(text);
		g_free(twice);
	}
	message_free(plain);
	g_free(mark);
}

/* The mark stands for login, control header and look-ups, and goes; one that is not valid only goes. */
static void
test_marked_message(void **state)
{
	struct message *plain = message_for("a@two.test", "");
	char *mark = mark_of("acme", "one", plain, NOW);
	char *with_control = g_strconcat(mark, "X-Pool: other\n", NULL);
	char *forged = replaced(mark, "isp=one", "isp=two");
	struct message *m = message_for("a@two.test", with_control);
	struct job job = job_for(settings, m);
	struct plan *p = plan_new(m);
	char *image;

	(void)state;
	g_clear_pointer(&m->login, g_free);
	assert_true(stage_pool(&job, p) && stage_isp(&job, p));
	assert_string_equal(p->pool->name, "acme");
	assert_string_equal(p->isp->name, "one");
	assert_string_equal(p->injected_login, "acme");
	assert_string_equal(p->from_domain, "example.com");
	image = fixture_image_text(p->image);
	assert_null(strstr(image, SPLIT_HEADER));
	assert_null(strstr(image, "X-Pool"));
	g_free(image);
	plan_free(p);
	message_free(m);

	m = message_for("a@two.test|b@one.test", forged);
	job = job_for(settings, m);
	p = plan_new(m);
	assert_true(stage_pool(&job, p) && stage_isp(&job, p));
	image = fixture_image_text(p->image);
	assert_null(strstr(image, SPLIT_HEADER));
	assert_string_equal(p->mixed, "neutral");
	g_free(image);
	plan_free(p);
	message_free(m);
	message_free(plain);
	g_free(forged);
	g_free(with_control);
	g_free(mark);
}

/* ---- the session: an injector that takes whom it is told to take */

struct fake_injector {
	struct injector injector;
	const char *refuse; /* recipients that contain it stay */
	GString *calls;	    /* "one: a@x b@x\n" by the mark's record */
};

static guint
fake_send(void *context, const struct injection *in, bool *taken, char **why)
{
	struct fake_injector *f = context;
	const char *isp = strstr(in->top, "isp=");
	guint n = 0;

	assert_true(g_str_has_prefix(in->top, SPLIT_HEADER ": v=1;"));
	assert_non_null(strstr(in->top, "\r\nReceived: by "));
	assert_true(g_str_has_suffix(in->top, "\r\n"));
	assert_string_equal(in->url, "smtp://127.0.0.1:1");
	g_string_append_printf(f->calls, "%.*s:", (int)strcspn(isp + 4, ";"), isp + 4);
	for (guint i = 0; i < in->rcpts->len; i++) {
		const char *rcpt = in->rcpts->pdata[i];

		g_string_append_printf(f->calls, " %s", rcpt);
		taken[i] = f->refuse == NULL || strstr(rcpt, f->refuse) == NULL;
		n += taken[i];
	}
	g_string_append_c(f->calls, '\n');
	if (n < in->rcpts->len)
		*why = g_strdup("refused");
	return n;
}

static const struct plan *
send_one(struct session *s, const char *rcpts)
{
	char **list = g_strsplit(rcpts, "|", -1);

	session_mail(s, "a@example.com", "acme", false);
	for (char **rcpt = list; *rcpt != NULL; rcpt++)
		assert_int_equal(session_rcpt(s, *rcpt, false), SESSION_CONTINUE);
	g_strfreev(list);
	assert_int_equal(session_data(s, "4F2A3B"), SESSION_CONTINUE);
	session_header(s, "From", " a@example.com");
	session_header(s, "X-Two", " x");
	session_body(s, "Hello\r\n", 7);
	return session_eom(s, "4F2A3B");
}

static void
test_session_splits(void **state)
{
	static const struct {
		const char *name, *rcpts, *refuse, *calls, *isp, *gone, *left;
		guint signatures;
	} cases[] = {
		{"one kind", "a@one.test", NULL, "", "one", "", "a@one.test", 1},
		{"all taken", "a@one.test|b@two.test|c@x.test", NULL, "two: b@two.test\ndefault: c@x.test\n", "one",
		 "b@two.test c@x.test", "a@one.test", 1},
		{"one of a group refused", "a@one.test|b@two.test|c@two.test", "c@", "two: b@two.test c@two.test\n",
		 "default", "b@two.test", "c@two.test a@one.test", 2},
		{"all refused", "a@one.test|b@two.test", "@", "two: b@two.test\n", "default", "", "b@two.test a@one.test", 2},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct fake_injector fake = {{fake_send, &fake}, cases[i].refuse, g_string_new(NULL)};
		struct fake_signer signer;
		struct fixture_tools tools;
		struct session *s = session_new(&tools.tools);
		struct address client = {.known = false};
		const struct plan *p;
		char *gone, *left;

		fake_signer_init(&signer);
		fixture_tools_init(&tools, &signer.signer, &fake.injector, NULL);
		session_connect(s, &client, false);
		p = send_one(s, cases[i].rcpts);
		gone = joined(p->gone);
		left = joined(p->rcpts);
		check_string(cases[i].name, fake.calls->str, cases[i].calls);
		check_int(cases[i].name, p->verdict, VERDICT_ACCEPTED);
		check_string(cases[i].name, p->isp->name, cases[i].isp);
		check_string(cases[i].name, gone, cases[i].gone);
		check_string(cases[i].name, left, cases[i].left);
		check_int(cases[i].name, signer.requests->len, cases[i].signatures);
		session_log(s, true);
		session_free(s);
		fixture_tools_clear(&tools);
		fake_signer_clear(&signer);
		g_string_free(fake.calls, TRUE);
		g_free(gone);
		g_free(left);
	}
}

/* Nothing is injected for a message that is refused. */
static void
test_refused_is_not_split(void **state)
{
	struct fake_injector fake = {{fake_send, &fake}, NULL, g_string_new(NULL)};
	struct fake_signer signer;
	struct fixture_tools tools;
	struct session *s = session_new(&tools.tools);
	struct address client = {.known = false};
	const struct plan *p;

	(void)state;
	fake_signer_init(&signer);
	fixture_tools_init(&tools, &signer.signer, &fake.injector, NULL);
	signer.fail_at = 1;
	session_connect(s, &client, false);
	p = send_one(s, "a@one.test|b@two.test");
	assert_int_equal(p->verdict, VERDICT_DEFERRED);
	assert_string_equal(fake.calls->str, "");
	session_free(s);
	fixture_tools_clear(&tools);
	fake_signer_clear(&signer);
	g_string_free(fake.calls, TRUE);
}

static void
test_defer_at_rcpt(void **state)
{
	static const struct {
		const char *name, *login, *second;
		bool local;
		enum session_answer want;
	} cases[] = {
		{"another kind", "acme", "b@two.test", false, SESSION_LATER},
		{"the same record", "acme", "b@uno.test", false, SESSION_CONTINUE},
		{"no record", "acme", "b@x.test", false, SESSION_LATER},
		{"local submission", NULL, "b@two.test", true, SESSION_CONTINUE},
		{"a stranger", NULL, "b@two.test", false, SESSION_CONTINUE},
	};
	struct fake_signer signer;
	struct fixture_tools tools;

	(void)state;
	fake_signer_init(&signer);
	fixture_tools_init(&tools, &signer.signer, NULL, NULL);
	snapshot_set(settings_for("defer"));
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct session *s = session_new(&tools.tools);
		struct address client = {.known = false};

		assert_true(address_parse(&client, "192.0.2.9"));
		session_connect(s, &client, cases[i].local);
		session_mail(s, "a@example.com", cases[i].login, false);
		check_int(cases[i].name, session_rcpt(s, "a@one.test", false), SESSION_CONTINUE);
		check_int(cases[i].name, session_rcpt(s, cases[i].second, false), cases[i].want);
		check_int(cases[i].name, session_rcpt(s, "c@one.test", false), SESSION_CONTINUE);
		session_free(s);
	}
	snapshot_set(settings_ref(settings));
	fixture_tools_clear(&tools);
	fake_signer_clear(&signer);
}

/* Logins of any kind come through; one that is too long keeps the message whole. */
static void
test_logins(void **state)
{
	static const char *const logins[] = {"a b;c=d%41\xc3\xbc\r\n", ".", "-", "user@example.com", NULL};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(logins); i++) {
		struct message *plain = message_for("a@one.test", ""), *m;
		struct split_found found = {0};
		struct job job;
		char *mark;

		g_free(plain->login);
		plain->login = g_strdup(logins[i]);
		mark = mark_of("acme", "one", plain, NOW);
		m = message_for("a@one.test", mark);
		job = job_for(settings, m);
		assert_int_equal(split_mark_read(&job, &found), SPLIT_VALID);
		check_string(mark, found.login, logins[i]);
		g_free(found.login);
		g_free(mark);
		message_free(plain);
		message_free(m);
	}
}

static void
test_long_login(void **state)
{
	struct message *m = message_for("a@one.test|b@two.test", "");
	struct plan *p = plan_new(m);
	struct job job = job_for(settings, m);

	(void)state;
	g_free(m->login);
	m->login = g_strnfill(601, 'x');
	assert_true(stage_isp(&job, p));
	assert_string_equal(p->mixed, "neutral");
	plan_free(p);
	message_free(m);
}

static int
setup(void **state)
{
	(void)state;
	author_init();
	log_set_level(LOG_EMERG);
	settings = settings_for("split");
	snapshot_set(settings_ref(settings));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	snapshot_set(NULL);
	settings_unref(settings);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_treats),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_mark_is_of_this_message),
		cmocka_unit_test(test_marked_message),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_long_login),
		cmocka_unit_test(test_session_splits),
		cmocka_unit_test(test_refused_is_not_split),
		cmocka_unit_test(test_defer_at_rcpt),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
