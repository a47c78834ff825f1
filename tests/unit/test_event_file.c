/*
 * test_event_file - lines of events in a file, also on a disk that is full.
 */
#include "fixture.h"

#include "io/event_db.h"
#include "io/event_file.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Appends one line for each text up to a NULL. */
static struct delivery
append(struct event_file *f, const char *const *texts)
{
	GPtrArray *rows = g_ptr_array_new_with_free_func(g_free);
	struct delivery d;

	for (; *texts != NULL; texts++) {
		struct event_row *row = g_new0(struct event_row, 1);

		row->json = (char *)*texts;
		g_ptr_array_add(rows, row);
	}
	d = event_file_append(f, rows);
	g_ptr_array_unref(rows);
	return d;
}

static void
check_content(const char *name, const char *path, const char *want)
{
	char *text = NULL;

	check_true(name, g_file_get_contents(path, &text, NULL, NULL));
	check_string(name, text, want);
	g_free(text);
}

static void
test_append(void **state)
{
	static const struct {
		const char *name, *before, *want; /* before NULL: no such file */
	} cases[] = {
		{"new", NULL, "{1}\n{2}\n"},
		{"empty", "", "{1}\n{2}\n"},
		{"with lines", "{0}\n", "{0}\n{1}\n{2}\n"},
		{"with a line that has no end", "{0}\n{1", "{0}\n{1\n{1}\n{2}\n"},
	};
	const char *const texts[] = {"{1}", "{2}", NULL};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		const char *path = fixture_path("append.json");
		struct event_file *f = event_file_new(path);
		struct delivery d;

		unlink(path);
		if (cases[i].before != NULL)
			fixture_write("append.json", cases[i].before, strlen(cases[i].before),
				      0640);
		d = append(f, texts);
		check_int(cases[i].name, d.result, DELIVERY_DONE);
		check_content(cases[i].name, path, cases[i].want);
		event_file_free(f);
	}
}

static void
test_renamed_and_deleted(void **state)
{
	const char *path = fixture_path("rotated.json"), *old = fixture_path("rotated.json.1");
	const char *const one[] = {"1", NULL}, *const two[] = {"2", NULL},
			  *const three[] = {"3", NULL};
	struct event_file *f = event_file_new(path);

	(void)state;
	assert_int_equal(append(f, one).result, DELIVERY_DONE);
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(append(f, two).result, DELIVERY_DONE);
	check_content("renamed", old, "1\n");
	check_content("new", path, "2\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(append(f, three).result, DELIVERY_DONE);
	check_content("after it was deleted", path, "3\n");
	event_file_free(f);
}

static void
set_file_size(rlim_t octets)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = octets == RLIM_INFINITY ? limit.rlim_max : octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A write that ends in the middle of a line is taken back, as on a disk that is full. */
static void
test_no_room(void **state)
{
	const char *path = fixture_path("full.json");
	const char *const one[] = {"{\"first\"}", NULL}, *const two[] = {"{\"second\"}",
									 "{\"third\"}", NULL};
	struct event_file *f = event_file_new(path);
	struct delivery d;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(append(f, one).result, DELIVERY_DONE);
	set_file_size(15);
	d = append(f, two);
	set_file_size(RLIM_INFINITY);
	assert_int_equal(d.result, DELIVERY_FAILED);
	assert_true(g_str_has_prefix(d.why, path));
	g_free(d.why);
	check_content("what did not fit is gone", path, "{\"first\"}\n");
	assert_int_equal(append(f, two).result, DELIVERY_DONE);
	check_content("when there is room", path, "{\"first\"}\n{\"second\"}\n{\"third\"}\n");
	event_file_free(f);
}

static void
test_impossible(void **state)
{
	static const struct {
		const char *name, *path, *what;
	} cases[] = {
		{"no directory", "nothing/events.json", "No such file or directory"},
		{"a directory", "", "Is a directory"},
		{"a pipe", "pipe", "not a regular file"},
	};
	const char *const one[] = {"{}", NULL};

	(void)state;
	assert_int_equal(mkfifo(fixture_path("pipe"), 0600), 0);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		char *path = g_build_filename(fixture_directory(), cases[i].path, NULL);
		struct event_file *f = event_file_new(path);
		struct delivery d = append(f, one);

		check_int(cases[i].name, d.result, DELIVERY_FAILED);
		check_true(cases[i].name, strstr(d.why, cases[i].what) != NULL);
		g_free(d.why);
		event_file_free(f);
		g_free(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_renamed_and_deleted),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_impossible),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
