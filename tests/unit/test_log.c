/*
 * test_log - the sink: cleaning, cutting, levels, limits, and a reader that does not read.
 *
 * Each test runs in a child process, since the sink is one for the program and closes for good.
 */
#include "fixture.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *text_to_log;

static void
log_text(void)
{
	log_line(LOG_INFO, "%s", text_to_log);
}

/* What a line looks like without "poolmilter[PID]: " and its end. */
static char *
logged(const char *text)
{
	char *all, *line;

	text_to_log = text;
	all = fixture_stderr_of(log_text);
	line = strstr(all, "]: ");
	assert_true(g_str_has_prefix(all, "poolmilter["));
	assert_non_null(line);
	line = g_strdup(line + 3);
	assert_true(g_str_has_suffix(line, "\n"));
	line[strlen(line) - 1] = '\0';
	g_free(all);
	return line;
}

static void
test_cleaning(void **state)
{
	static const struct {
		const char *name, *text, *want;
	} cases[] = {
		{"plain", "from=<a@example.com>", "from=<a@example.com>"},
		{"empty", "", ""},
		{"line ends", "a\r\nb: forged\n", "a\\x0D\\x0Ab: forged\\x0A"},
		{"tab, escape, delete", "a\tb\033[2Jc\177", "a\\x09b\\x1B[2Jc\\x7F"},
		{"UTF-8 stays", "b\xc3\xbc" "cher", "b\xc3\xbc" "cher"},
		{"C1 control character", "a\xc2\x85z", "a\\xC2\\x85z"},
		{"not UTF-8", "b\xfc" "cher", "b\\xFCcher"},
		{"cut UTF-8 at the end", "b\xc3", "b\\xC3"},
		{"overlong form", "\xc0\xaf", "\\xC0\\xAF"},
		{"surrogate", "\xed\xa0\x80", "\\xED\\xA0\\x80"},
		{"percent signs", "%s%n%d", "%s%n%d"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *line = logged(cases[i].text);

		check_string(cases[i].name, line, cases[i].want);
		g_free(line);
	}
}

static void
test_cutting(void **state)
{
	static const struct {
		const char *name, *unit;
		size_t count;
		bool cut;
	} cases[] = {
		{"longest", "x", LOG_LINE_MAX, false},
		{"one more", "x", LOG_LINE_MAX + 1, true},
		{"very long", "x", 1000000, true},
		{"UTF-8", "\xc3\xbc", 5000, true},
		{"four octets each", "\xf0\x9f\x93\xa7", 3000, true},
		{"escapes", "\x01", 3000, true},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		GString *text = g_string_new(NULL);
		char *line;

		for (size_t n = 0; n < cases[i].count; n++)
			g_string_append(text, cases[i].unit);
		line = logged(text->str);
		check_true(cases[i].name, strlen(line) <= LOG_LINE_MAX);
		check_true(cases[i].name, strlen(line) > LOG_LINE_MAX - 16);
		check_true(cases[i].name, g_utf8_validate(line, -1, NULL));
		check_int(cases[i].name, g_str_has_suffix(line, "..."), cases[i].cut);
		g_free(line);
		g_string_free(text, TRUE);
	}
}

static void
log_all_levels(void)
{
	log_set_level(LOG_NOTICE);
	log_line(LOG_ERR, "error");
	log_line(LOG_NOTICE, "notice");
	log_line(LOG_INFO, "info");
	if (log_enabled(LOG_INFO) || !log_enabled(LOG_NOTICE))
		log_line(LOG_ERR, "log_enabled is wrong");
	log_set_level(LOG_DEBUG);
	log_line(LOG_DEBUG, "debug");
}

static void
keep_errno(void)
{
	errno = ENOENT;
	log_line(LOG_INFO, "one");
	log_line(LOG_INFO, "%s", errno == ENOENT ? "kept" : "lost");
}

static void
log_with_limit(void)
{
	struct log_limit limit = {0, 0}, other = {0, 0};

	for (int i = 0; i < 5; i++)
		log_limited(&limit, LOG_ERR, "line %d", i);
	log_limited(&other, LOG_ERR, "other");
	limit.next = 0; /* as if a minute had passed */
	log_limited(&limit, LOG_ERR, "line 5");
}

static void
log_queued(void)
{
	log_open("ident", LOG_MAIL, true);
	for (int i = 0; i < 1000; i++)
		log_line(LOG_INFO, "line %d", i);
	log_close(10);
	log_line(LOG_INFO, "after close");
}

/* The lines without what stands before "]: ", joined by '|'. */
static char *
lines_of(void (*f)(void), const char *ident)
{
	char *all = fixture_stderr_of(f), **lines = g_strsplit(all, "\n", -1);
	GString *joined = g_string_new(NULL);

	for (char **line = lines; *line != NULL && **line != '\0'; line++) {
		char *text = strstr(*line, "]: ");

		assert_non_null(text);
		assert_true(g_str_has_prefix(*line, ident));
		g_string_append_printf(joined, "%s|", text + 3);
	}
	g_strfreev(lines);
	g_free(all);
	return g_string_free(joined, FALSE);
}

static void
test_lines(void **state)
{
	static const struct {
		const char *name;
		void (*f)(void);
		const char *want;
	} cases[] = {
		{"levels", log_all_levels, "error|notice|debug|"},
		{"errno is kept", keep_errno, "one|kept|"},
		{"once a minute and place", log_with_limit,
		 "line 0|other|the following line stood for 4 more in the last while|line 5|"},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *got = lines_of(cases[i].f, "poolmilter[");

		check_string(cases[i].name, got, cases[i].want);
		g_free(got);
	}
}

static void
test_queue_keeps_order(void **state)
{
	char *got = lines_of(log_queued, "ident["), **lines = g_strsplit(got, "|", -1);

	(void)state;
	assert_int_equal(g_strv_length(lines), 1001);
	for (int i = 0; i < 1000; i++) {
		char want[32];

		g_snprintf(want, sizeof want, "line %d", i);
		check_string("order", lines[i], want);
	}
	g_strfreev(lines);
	g_free(got);
}

#define FLOOD 30000 /* lines; the queue holds 10,000 */

/*
 * A child that logs into a pipe: it floods the log while nobody reads, says so by one octet ('y': it
 * did not have to wait), is told to go on, and closes the log with a time limit.
 */
struct flood {
	pid_t child;
	int err, done, go_on; /* the parent's ends */
};

static void
flood_run(int done, int go_on, unsigned close_seconds)
{
	gint64 begin = g_get_monotonic_time();
	char c;

	log_open("flood", LOG_MAIL, true);
	for (int i = 0; i < FLOOD; i++)
		log_line(LOG_INFO, "line %d of a flood that nobody reads", i);
	c = g_get_monotonic_time() - begin < 20 * G_USEC_PER_SEC ? 'y' : 'n';
	if (write(done, &c, 1) != 1 || read(go_on, &c, 1) != 1)
		_exit(2);
	begin = g_get_monotonic_time();
	log_close(close_seconds);
	c = g_get_monotonic_time() - begin < (close_seconds + 10) * G_USEC_PER_SEC ? 'y' : 'n';
	_exit(write(done, &c, 1) == 1 ? 0 : 3);
}

static void
flood_start(struct flood *f, unsigned close_seconds)
{
	int err[2], done[2], go_on[2];

	assert_int_equal(pipe(err) | pipe(done) | pipe(go_on), 0);
	(void)fflush(NULL);
	f->child = fork();
	if (f->child == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		(void)dup2(err[1], STDERR_FILENO);
		close(err[0]);
		close(err[1]);
		close(go_on[1]);
		flood_run(done[1], go_on[0], close_seconds);
	}
	close(err[1]);
	close(done[1]);
	close(go_on[0]);
	f->err = err[0];
	f->done = done[0];
	f->go_on = go_on[1];
}

/* The child says that it did not have to wait. */
static void
expect_done(struct flood *f)
{
	char c = '-';

	assert_int_equal(read(f->done, &c, 1), 1);
	assert_int_equal(c, 'y');
}

/* Waits until the flood is over and lets the child go on. */
static void
flood_over(struct flood *f)
{
	expect_done(f);
	assert_int_equal(write(f->go_on, "x", 1), 1);
}

static void
flood_end(struct flood *f)
{
	int status = -1;

	close(f->err); /* ThreadSanitizer's exit waits for the writer, which waits for a reader */
	assert_int_equal(waitpid(f->child, &status, 0), f->child);
	assert_int_equal(status, 0);
	close(f->done);
	close(f->go_on);
}

static void
test_close_is_bounded(void **state)
{
	struct flood f;

	(void)state;
	flood_start(&f, 1);
	flood_over(&f);
	expect_done(&f); /* and nobody has read a line */
	flood_end(&f);
}

static GString *
read_all(int fd)
{
	GString *all = g_string_new(NULL);
	char chunk[65536];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		g_string_append_len(all, chunk, n);
	return all;
}

/* Every line is either written, in order, or counted as dropped, and the log tells the count. */
static void
test_never_blocks_and_counts_what_it_drops(void **state)
{
	unsigned written = 0, dropped = 0, n;
	int last = -1, number;
	struct flood f;
	GString *all;

	(void)state;
	flood_start(&f, 60);
	flood_over(&f);
	all = read_all(f.err);
	expect_done(&f);
	flood_end(&f);
	for (char *line = all->str, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		char *text;

		*end = '\0';
		text = strstr(line, "]: ");
		assert_non_null(text);
		if (sscanf(text, "]: warning: %u log lines dropped", &n) == 1) {
			dropped += n;
			continue;
		}
		assert_int_equal(sscanf(text, "]: line %d", &number), 1);
		assert_true(number > last);
		last = number;
		written++;
	}
	assert_true(dropped > 0);
	assert_int_equal(written + dropped, FLOOD);
	g_string_free(all, TRUE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cleaning),
		cmocka_unit_test(test_cutting),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_queue_keeps_order),
		cmocka_unit_test(test_close_is_bounded),
		cmocka_unit_test(test_never_blocks_and_counts_what_it_drops),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
