/*
 * test_joiner - stories: lines of the log, and the exact events that they make.
 *
 * Each story is told several times: with room for all flights in memory, for one and for none; with
 * a flush after each line; and with a new joiner on the same store after each line, as after kill
 * -9.  The events are the same each time, IDs included.
 */
#include "fixture.h"

#include "core/joiner.h"

#include <string.h>

#undef POOL /* fixture.h has another */
#include "joiner_stories.h"

#define BEGAN ((int64_t)1795132800 * G_USEC_PER_SEC)

/* ---- a store in memory, of texts ---- */

struct row {
	char *queue_id, *message_id, *text;
	int64_t born, ended;
};

struct shelf {
	GPtrArray *rows;
	int fail_in; /* calls until it fails; negative: never */
	guint loads; /* so far */
};

static void
row_free(void *p)
{
	struct row *r = p;

	g_free(r->queue_id);
	g_free(r->message_id);
	g_free(r->text);
	g_free(r);
}

static bool
works(struct shelf *s)
{
	if (s->fail_in < 0)
		return true;
	return s->fail_in-- > 0;
}

static bool
load(void *context, const char *queue_id, struct flight **out)
{
	struct shelf *s = context;
	const struct row *last = NULL;

	*out = NULL;
	s->loads++;
	if (!works(s))
		return false;
	for (guint i = 0; i < s->rows->len; i++) {
		const struct row *r = s->rows->pdata[i];

		if (strcmp(r->queue_id, queue_id) == 0 && (last == NULL || r->born > last->born))
			last = r;
	}
	if (last != NULL) {
		*out = flight_read(last->text, strlen(last->text));
		assert_non_null(*out);
	}
	return true;
}

static bool
find(void *context, const char *message_id, int64_t since, guint max, GPtrArray *queue_ids)
{
	struct shelf *s = context;

	if (!works(s))
		return false;
	for (guint i = 0; i < s->rows->len && queue_ids->len < max; i++) {
		const struct row *r = s->rows->pdata[i];

		if (g_strcmp0(r->message_id, message_id) == 0 && r->ended == 0 && r->born >= since)
			g_ptr_array_add(queue_ids, g_strdup(r->queue_id));
	}
	return true;
}

static bool
forget(void *context, const char *queue_id, int64_t born)
{
	struct shelf *s = context;

	if (!works(s))
		return false;
	for (guint i = 0; i < s->rows->len; i++) {
		const struct row *r = s->rows->pdata[i];

		if (strcmp(r->queue_id, queue_id) == 0 && r->born == born) {
			g_ptr_array_remove_index(s->rows, i);
			break;
		}
	}
	return true;
}

static bool
save(void *context, const struct flight *f)
{
	struct shelf *s = context;
	struct row *r;
	GString *text;

	if (!forget(context, f->queue_id, f->born))
		return false;
	text = g_string_new(NULL);
	flight_write(f, text);
	r = g_new0(struct row, 1);
	r->queue_id = g_strdup(f->queue_id);
	r->message_id = g_strdup(f->message_id);
	r->born = f->born;
	r->ended = f->ended;
	r->text = g_string_free(text, FALSE);
	g_ptr_array_add(s->rows, r);
	return true;
}

/* ---- telling a story ---- */

struct telling {
	GString *events, *ids;
	GHashTable *seen;
};

static const char *
or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

static void
take_event(struct event *e, void *context)
{
	struct telling *t = context;

	check_string("node", e->node, "mx1");
	g_string_append_printf(t->events, "%s %d %s %s %s", event_type_name(e->type),
			       (int)((e->time - BEGAN) / G_USEC_PER_SEC), e->queue_id, e->pool,
			       or_dash(e->recipient));
	if (e->original_recipient != NULL)
		g_string_append_printf(t->events, " (%s)", e->original_recipient);
	if (e->reply != NULL)
		g_string_append_printf(t->events, " %s %d %s %d \"%s\"", or_dash(e->relay), e->code,
				       e->dsn, (int)e->delay_ms, e->reply);
	for (guint i = 0; e->headers != NULL && i < e->headers->len; i++) {
		const struct event_header *h = e->headers->pdata[i];

		g_string_append_printf(t->events, " %s=%s", h->name, h->value);
	}
	g_string_append_c(t->events, '\n');
	g_string_append_printf(t->ids, "%s %s %s %s\n", e->id, or_dash(e->message_id),
			       or_dash(e->isp), or_dash(e->sender));
	assert_true(g_hash_table_add(t->seen, g_strdup(e->id)));
	event_free(e);
}

static const struct {
	const char *name;
	guint flights_max;
	bool flush, anew;
} ways[] = {
	{"all in memory", 1000, false, false},
	{"one in memory", 1, false, false},
	{"none in memory", 0, false, false},
	{"a flush after each line", 1000, true, false},
	{"a joiner for each line", 1000, true, true},
	{"a joiner for each line, none in memory", 0, true, true},
};

static struct joiner *
joiner(struct shelf *shelf, guint flights_max, struct telling *t)
{
	const struct joiner_store store = {
		.load = load, .find = find, .save = save, .forget = forget, .context = shelf};

	return joiner_new(&store, "node", flights_max, take_event, t);
}

/* "SECONDS PROGRAM TEXT" */
static bool
feed(struct joiner *j, char *text, int64_t *time)
{
	char *program = strchr(text, ' ') + 1, *rest = strchr(program, ' ') + 1;
	struct log_line line = {.host = {"mx1", 3},
				.program = {program, (size_t)(rest - program) - 1},
				.text = {rest, strlen(rest)}};

	line.time = *time = BEGAN + (int64_t)g_ascii_strtoll(text, NULL, 10) * G_USEC_PER_SEC;
	return joiner_tick(j, line.time) && joiner_line(j, &line);
}

static bool
end(struct joiner *j, int64_t time)
{
	int64_t due;

	while ((due = joiner_due(j)) <= time + (int64_t)130 * G_USEC_PER_SEC) {
		if (!joiner_tick(j, due))
			return false;
		check_true("nothing is due after a tick", joiner_due(j) > due);
	}
	return joiner_flush(j);
}

static bool
tell(const char *log, size_t way, struct shelf *shelf, struct telling *t)
{
	struct joiner *j = joiner(shelf, ways[way].flights_max, t);
	char **lines = g_strsplit(log, "\n", -1);
	int64_t time = BEGAN;
	bool ok = true;

	for (char **line = lines; ok && **line != '\0'; line++) {
		ok = feed(j, *line, &time) && (!ways[way].flush || joiner_flush(j));
		if (ok)
			assert_true(joiner_size(j) <= MAX(ways[way].flights_max, 0));
		if (ok && ways[way].anew) {
			joiner_free(j);
			j = joiner(shelf, ways[way].flights_max, t);
		}
	}
	ok = ok && end(j, time);
	joiner_free(j);
	g_strfreev(lines);
	return ok;
}

static void
telling_new(struct telling *t, struct shelf *shelf)
{
	t->events = g_string_new(NULL);
	t->ids = g_string_new(NULL);
	t->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	shelf->rows = g_ptr_array_new_with_free_func(row_free);
	shelf->fail_in = -1;
	shelf->loads = 0;
}

static void
telling_free(struct telling *t, struct shelf *shelf)
{
	g_string_free(t->events, TRUE);
	g_string_free(t->ids, TRUE);
	g_hash_table_destroy(t->seen);
	g_ptr_array_unref(shelf->rows);
}

/* What is left is a pool's, or nothing; one joiner forgets all that is nobody's. */
static void
check_rest(const char *name, const struct shelf *shelf)
{
	for (guint i = 0; i < shelf->rows->len; i++) {
		const struct row *r = shelf->rows->pdata[i];
		struct flight *f = flight_read(r->text, strlen(r->text));

		if (strcmp(r->queue_id, JOINER_NOTES) == 0) {
			check_string(name, f->sender, "");
		} else {
			check_true(name, f->pool != NULL);
			check_true(name, f->hops == NULL || f->hops->len == 0);
			check_true(name, (f->removed != 0) == (f->ended != 0));
		}
		flight_free(f);
	}
}

static void
test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(stories); i++) {
		char *ids = NULL;

		for (size_t way = 0; way < G_N_ELEMENTS(ways); way++) {
			char *name = g_strdup_printf("%s: %s", stories[i].name, ways[way].name);
			struct telling t;
			struct shelf shelf;

			telling_new(&t, &shelf);
			check_true(name, tell(stories[i].log, way, &shelf, &t));
			check_string(name, t.events->str, stories[i].events);
			if (ids == NULL)
				ids = g_strdup(t.ids->str);
			check_string(name, t.ids->str, ids);
			if (!ways[way].anew)
				check_rest(name, &shelf);
			telling_free(&t, &shelf);
			g_free(name);
		}
		g_free(ids);
	}
}

/* Whichever call of the store fails, that is told, and nothing but the first events has been. */
static void
test_store_fails(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(stories); i++)
		for (int calls = 0;; calls++) {
			struct telling t;
			struct shelf shelf;
			bool ok;

			telling_new(&t, &shelf);
			shelf.fail_in = calls;
			ok = tell(stories[i].log, 2, &shelf, &t);
			check_int(stories[i].name, ok, shelf.fail_in >= 0);
			check_true(stories[i].name,
				   g_str_has_prefix(stories[i].events, t.events->str));
			telling_free(&t, &shelf);
			if (ok)
				break;
		}
}

/* Sender, ISP record and Message-ID, of a message that takes its time to come in. */
static void
test_fields(void **state)
{
	static const char log[] = CLIENT("1", "4AAA1", APP) MID("300", "4AAA1", "m@example.com")
		EVENT("900", "4AAA1", "rcpt:a@x")
			OURS("900", "4AAA1", "acme", "<a%20%25b@example.com>", "accepted")
				QUEUED("900", "4AAA1");
	struct telling t;
	struct shelf shelf;

	(void)state;
	telling_new(&t, &shelf);
	assert_true(tell(log, 1, &shelf, &t));
	assert_string_equal(t.ids->str + 32, " <m@example.com> gmail a %b@example.com\n");
	telling_free(&t, &shelf);
}

/* 3,000 recipients, half of them deferred, then expired: each once. */
static void
test_many_recipients(void **state)
{
	GString *log = g_string_new(CLIENT("1", "4AAA1", APP) MID("1", "4AAA1", "m"));
	struct telling t;
	struct shelf shelf;
	guint expired = 0;
	char **lines;

	(void)state;
	for (int i = 0; i < 3000; i++)
		g_string_append_printf(log, EVENT("1", "4AAA1", "rcpt:%d@x"), i);
	g_string_append(log, POOL("1", "4AAA1") QUEUED("1", "4AAA1"));
	for (int i = 0; i < 3000; i++)
		g_string_append_printf(
			log,
			"2 postfix/smtp 4AAA1: to=<%d@x>, relay=none, delay=1, delays=0/0/0/1, "
			"dsn=%d.0.0, status=%s (x)\n",
			i, i % 2 == 0 ? 2 : 4, i % 2 == 0 ? "sent" : "deferred");
	g_string_append(log, EXPIRED("9", "4AAA1") REMOVED("9", "4AAA1"));
	telling_new(&t, &shelf);
	assert_true(tell(log->str, 0, &shelf, &t));
	lines = g_strsplit(t.events->str, "\n", -1);
	for (guint i = 0; lines[i] != NULL; i++)
		expired += g_str_has_prefix(lines[i], "expired ");
	assert_int_equal(g_strv_length(lines) - 1, 3000 + 3000 + 1500);
	assert_int_equal(expired, 1500);
	g_strfreev(lines);
	telling_free(&t, &shelf);
	g_string_free(log, TRUE);
}

/* 3,000 deliveries to this host, each at a time of its own: what each costs stays the same. */
static void
test_many_hops(void **state)
{
	char begin[] = BEGIN("1", "4AAA1", "m", "rcpt:a@x");
	char **lines = g_strsplit(begin, "\n", -1);
	struct telling t;
	struct shelf shelf;
	struct joiner *j;
	int64_t time;
	guint delivered;

	(void)state;
	telling_new(&t, &shelf);
	j = joiner(&shelf, 1000, &t);
	for (guint i = 0; *lines[i] != '\0'; i++)
		assert_true(feed(j, lines[i], &time));
	for (int i = 0; i < 3000; i++) {
		char *text = g_strdup_printf("4AAA1: to=<%d@x>, relay=" FILTER
					     ", delay=0.5, delays=0/0/0/0.5, dsn=2.0.0, "
					     "status=sent (250 2.0.0 Ok: queued as 4ZZZ9)",
					     i);
		struct log_line line = {.time = time + (int64_t)i * 500,
					.host = {"mx1", 3},
					.program = {"postfix/smtp", 12},
					.text = {text, strlen(text)}};

		assert_true(joiner_tick(j, line.time) && joiner_line(j, &line));
		g_free(text);
	}
	assert_true(end(j, time + (int64_t)2 * G_USEC_PER_SEC));
	delivered = g_hash_table_size(t.seen) - 1;
	check_int("delivered", delivered, 3000);
	check_true("looked for now and then", shelf.loads < 5 * 3000);
	joiner_free(j);
	g_strfreev(lines);
	telling_free(&t, &shelf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_many_hops),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
