/*
 * test_state_file - written whole or not at all, and what is no such file is told.
 */
#include "fixture.h"

#include "io/state_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OCTETS_MAX ((size_t)1024 * 1024)

static void
check_content(const char *name, const char *path, const char *want, size_t len)
{
	struct buf b = BUF_INIT;
	char *why = NULL;

	check_true(name, state_file_read(path, OCTETS_MAX, &b, &why));
	check_int(name, b.len, len);
	check_true(name, len == 0 || memcmp(b.data, want, len) == 0);
	buf_free(&b);
}

static void
test_write_and_read(void **state)
{
	const char *path = fixture_path("limits.state");
	char *large = g_strnfill(700000, 'x'), *why = NULL;
	struct stat st;

	(void)state;
	check_content("missing", path, "", 0);
	assert_true(state_file_write(path, 0600, "one\0two", 7, &why));
	check_content("first", path, "one\0two", 7);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(state_file_write(path, 0600, large, 700000, &why));
	check_content("large", path, large, 700000);
	assert_true(state_file_write(path, 0600, "", 0, &why));
	check_content("empty", path, "", 0);
	assert_int_not_equal(access(fixture_path("limits.state.new"), F_OK), 0);
	g_free(large);
}

static void
check_unreadable(const char *name, const char *path, size_t max, const char *what)
{
	struct buf b = BUF_INIT;
	char *why = NULL;

	check_true(name, !state_file_read(path, max, &b, &why));
	check_true(name, strstr(why, path) != NULL && strstr(why, what) != NULL);
	g_free(why);
	buf_free(&b);
}

static void
test_unreadable(void **state)
{
	const char *directory = fixture_path("directory"), *fifo = fixture_path("fifo");
	const char *shortcut = fixture_path("link");

	(void)state;
	fixture_write("file", "12345", 5, 0600);
	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(symlink(fixture_path("file"), shortcut), 0);
	check_content("just as large", fixture_path("file"), "12345", 5);
	check_unreadable("larger", fixture_path("file"), 4, "too large");
	check_unreadable("directory", directory, OCTETS_MAX, "not a regular file");
	check_unreadable("fifo", fifo, OCTETS_MAX, "not a regular file");
	check_unreadable("link", shortcut, OCTETS_MAX, "symbolic link");
	assert_int_equal(unlink(shortcut), 0);
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(rmdir(directory), 0);
}

/* Whatever goes wrong: what was there is still there. */
static void
test_unwritable(void **state)
{
	const char *path = fixture_path("keep"), *new = fixture_path("keep.new");
	char *why = NULL;

	(void)state;
	assert_true(state_file_write(path, 0600, "good", 4, &why));
	assert_int_equal(mkdir(new, 0700), 0); /* cannot be unlinked */
	assert_false(state_file_write(path, 0600, "bad", 3, &why));
	assert_non_null(strstr(why, "cannot be written"));
	g_clear_pointer(&why, g_free);
	check_content("a directory in the way", path, "good", 4);
	assert_int_equal(rmdir(new), 0);
	fixture_write("keep.new", "left by a crash", 15, 0600);
	assert_true(state_file_write(path, 0600, "new", 3, &why));
	check_content("after a crash", path, "new", 3);
	fixture_write("elsewhere", "untouched", 9, 0600);
	assert_int_equal(symlink(fixture_path("elsewhere"), new), 0);
	assert_true(state_file_write(path, 0600, "newer", 5, &why));
	check_content("a link in the way", fixture_path("elsewhere"), "untouched", 9);
	check_content("after the link", path, "newer", 5);
	assert_false(state_file_write(fixture_path("none/file"), 0600, "x", 1, &why));
	g_clear_pointer(&why, g_free);
	assert_false(state_file_write("/dev/full/x", 0600, "x", 1, &why));
	g_clear_pointer(&why, g_free);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_and_read),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_unwritable),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
