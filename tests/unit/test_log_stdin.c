/*
 * test_log_stdin - lines from a pipe come once and whole, again where they could not be kept, and
 * omprog gets the answers that it waits for, when their lines are kept and not before.
 */
#include "fixture.h"

#include "io/log_stdin.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct log_source source;
static int to_source, from_source;

static void
begin(bool confirm)
{
	int in[2], out[2];
	char *why = NULL;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(in[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
	to_source = in[1];
	from_source = out[0];
	source = log_stdin_new(in[0], out[1], confirm);
	assert_true(source.open(source.context, NULL, false, &why));
}

static void
end(void)
{
	source.free(source.context);
	for (int fd = 3; fd < 20; fd++)
		close(fd);
}

static void
put(const char *text)
{
	assert_int_equal(write(to_source, text, strlen(text)), (ssize_t)strlen(text));
}

/* What is read until it stops, and why it stops; checked. */
static void
check_read(const char *name, const char *want)
{
	static const char *const stops[] = {"", "none", "soon", "keep", "end", "failed"};
	GString *all = g_string_new(NULL);
	struct log_entry entry;
	enum log_read got;
	char *why = NULL;

	while ((got = source.read(source.context, &entry, &why)) == LOG_READ_ENTRY) {
		g_string_append_len(all, entry.raw.p, (gssize)entry.raw.len);
		g_string_append_c(all, '|');
	}
	g_string_append(all, stops[got]);
	check_string(name, all->str, want);
	g_string_free(all, TRUE);
	g_free(why);
}

static void
check_answers(const char *name, const char *want)
{
	char got[200];
	ssize_t n = read(from_source, got, sizeof got - 1);

	got[MAX(0, n)] = '\0';
	check_string(name, got, want);
}

static void
keep(void)
{
	char *position = source.position(source.context);

	assert_string_equal(position, "stdin");
	g_free(position);
	source.kept(source.context);
}

static void
again(void)
{
	char *why = NULL;

	assert_true(source.open(source.context, "stdin", false, &why));
}

static void
test_plain(void **state)
{
	(void)state;
	begin(false);
	check_read("nothing", "none");
	put("one\ntwo\nthr");
	check_read("two", "one|two|none");
	again();
	check_read("not kept", "one|two|none");
	keep();
	put("ee\nBEGIN TRANSACTION\n");
	check_read("a mark is a line", "three|BEGIN TRANSACTION|none");
	again();
	put("four\n");
	check_read("not kept, and more", "three|BEGIN TRANSACTION|four|none");
	keep();
	again();
	check_read("all kept", "none");
	put("half");
	close(to_source);
	check_read("the end", "end");
	check_answers("says nothing", "");
	end();
}

static void
test_long(void **state)
{
	char *text = g_strnfill(200001, 'x'), *want;

	(void)state;
	begin(false);
	text[200000] = '\n';
	put("a\n");
	put(text);
	put("b\n");
	want = g_strdup_printf("a|%.*s|b|none", LOG_LINE_READ_MAX, text);
	check_read("cut", want);
	again();
	check_read("cut, again", want);
	keep();
	g_free(want);
	put("12");
	put(text);
	want = g_strdup_printf("12%.*s|none", LOG_LINE_READ_MAX - 2, text);
	check_read("in pieces", want);
	end();
	g_free(want);
	g_free(text);
}

static void
test_confirm(void **state)
{
	(void)state;
	begin(true);
	check_answers("ready", "OK\n");
	put("one\n");
	check_read("one", "one|keep");
	check_answers("not kept yet", "");
	again();
	check_read("could not be kept", "one|keep");
	check_answers("still not", "");
	keep();
	check_answers("kept", "OK\n");
	check_read("nothing more", "none");
	put("two\nthree\n");
	check_read("does not wait for the answer", "two|keep");
	keep();
	check_read("the next", "three|keep");
	keep();
	check_answers("both", "OK\nOK\n");
	end();
}

static void
test_transactions(void **state)
{
	(void)state;
	begin(true);
	check_answers("ready", "OK\n");
	put("BEGIN TRANSACTION\n");
	check_read("begins", "none");
	check_answers("begun", "OK\n");
	put("one\n");
	check_read("a line", "one|none");
	check_answers("put off", "DEFER_COMMIT\n");
	put("two\n");
	check_read("a second", "two|none");
	check_answers("put off too", "DEFER_COMMIT\n");
	again();
	check_read("could not be kept", "one|two|none");
	check_answers("no answers again", "");
	put("COMMIT TRANSACTION\n");
	check_read("commit", "keep");
	again();
	check_read("could not be kept at the commit", "one|two|keep");
	check_answers("not kept yet", "");
	keep();
	check_answers("committed", "OK\n");
	put("BEGIN TRANSACTION\n");
	check_read("begins", "none");
	put("COMMIT TRANSACTION\n");
	check_read("an empty one", "keep");
	keep();
	check_answers("the empty one", "OK\nOK\n");
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_confirm),
		cmocka_unit_test(test_transactions),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
