/*
 * test_log_file - each line of a log comes once and whole, whatever rotation does to its file, also
 * while nobody reads; what cannot be told from a position is said to be lost.
 */
#include "fixture.h"

#include "io/log_file.h"
#include "io/log_place.h"
#include "io/log_rotated.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *log_path;
static struct log_source source;

/* ---- what the writer of the log does ---- */

static void
append(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static void
add(const char *text)
{
	append(log_path, text, strlen(text));
}

static void
move(const char *from, const char *to)
{
	assert_int_equal(rename(fixture_path(from), fixture_path(to)), 0);
}

/* A file's last change was so many seconds ago: rotations are not milliseconds apart. */
static void
age(const char *name, int seconds)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};

	assert_int_equal(utimensat(AT_FDCWD, fixture_path(name), times, 0), 0);
}

static void
copy_and_truncate(const char *to)
{
	char *data = NULL;
	gsize len;

	assert_true(g_file_get_contents(log_path, &data, &len, NULL));
	append(fixture_path(to), data, len);
	assert_int_equal(truncate(log_path, 0), 0);
	g_free(data);
}

/* ---- what the reader gets ---- */

/* All lines until there are no more, each with "|" behind it; g_free it. */
static char *
lines(void)
{
	GString *all = g_string_new(NULL);
	struct log_entry entry;
	enum log_read got;
	char *why = NULL;

	while ((got = source.read(source.context, &entry, &why)) == LOG_READ_ENTRY ||
	       got == LOG_READ_SOON) {
		if (got == LOG_READ_SOON) {
			source.wait(source.context, -1, 1000);
			continue;
		}
		assert_false(entry.apart);
		g_string_append_len(all, entry.raw.p, (gssize)entry.raw.len);
		g_string_append_c(all, '|');
	}
	if (got == LOG_READ_FAILED)
		g_string_append_printf(all, "failed: %s", why);
	g_free(why);
	return g_string_free(all, FALSE);
}

static void
check_lines(const char *name, const char *want)
{
	char *got = lines();

	check_string(name, got, want);
	g_free(got);
}

/* The process ends and another one begins where it was; position NULL: nothing was kept. */
static void
restart(const char *position, bool from_start)
{
	char *why = NULL;

	if (source.free != NULL)
		source.free(source.context);
	source = log_file_new(log_path);
	if (!source.open(source.context, position, from_start, &why))
		fail_msg("not opened: %s", why);
}

/* The same, having kept the position. */
static void
restart_here(void)
{
	char *position = source.position(source.context);

	restart(position, false);
	g_free(position);
}

/* A directory with no log in it, and nobody who reads. */
static int
setup(void **state)
{
	GDir *dir = g_dir_open(fixture_directory(), 0, NULL);
	const char *name;

	(void)state;
	log_path = fixture_path("mail.log");
	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
		(void)remove(fixture_path(name));
	if (dir != NULL)
		g_dir_close(dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (source.free != NULL)
		source.free(source.context);
	source.free = NULL;
	return 0;
}

/* ---- tests ---- */

static void
test_start(void **state)
{
	(void)state;
	add("old 1\nold 2\nhalf a");
	restart(NULL, false);
	check_lines("begins at the end", "");
	add(" line\nnew\n");
	check_lines("a line that was not whole yet is new", "half a line|new|");
	restart(NULL, true);
	check_lines("from the start", "old 1|old 2|half a line|new|");
	restart_here();
	check_lines("nothing new", "");
	add("newer\n");
	check_lines("where it was", "newer|");
	restart("file 1 2", false);
	check_lines("a position that is none", "");
	restart("journal s=1", true);
	check_lines("a position in something else", "old 1|old 2|half a line|new|newer|");
}

static void
test_missing(void **state)
{
	(void)state;
	restart(NULL, false);
	check_lines("no file", "");
	restart_here();
	check_lines("no file after a restart", "");
	add("one\n");
	check_lines("from its beginning", "one|");
	assert_int_equal(unlink(log_path), 0);
	check_lines("deleted", "");
	add("two\n");
	check_lines("another one", "two|");
}

/* There was no file yet, and when poolevents comes back there are three. */
static void
test_missing_while_away(void **state)
{
	char *position;

	(void)state;
	restart(NULL, false);
	position = source.position(source.context);
	add("one\n");
	move("mail.log", "mail.log.2");
	add("two\n");
	move("mail.log", "mail.log.1");
	add("three\n");
	age("mail.log.2", -1);
	age("mail.log.1", -2);
	restart(position, false);
	g_free(position);
	check_lines("all that came since", "one|two|three|");
}

static void
test_lines(void **state)
{
	static const struct {
		const char *name, *text, *want;
		size_t len;
	} cases[] = {
		{"empty line", "\n", "|", 1},
		{"two", "a\nb\n", "a|b|", 4},
		{"octets", "\xff\x80\x01\r\n", "\xff\x80\x01\r|", 5},
		{"a hole before a line", "\0\0\0a\n", "a|", 5},
		{"a hole before the second line", "a\n\0\0b\n", "a|b|", 6},
	};

	(void)state;
	restart(NULL, true);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		append(log_path, cases[i].text, cases[i].len);
		check_lines(cases[i].name, cases[i].want);
		restart_here();
		check_lines(cases[i].name, "");
	}
}

/* NULs within a line stay, and do not end it. */
static void
test_nul(void **state)
{
	struct log_entry entry;
	char *why = NULL;

	(void)state;
	restart(NULL, true);
	append(log_path, "a\0b\0c\nd\n", 8);
	assert_int_equal(source.read(source.context, &entry, &why), LOG_READ_ENTRY);
	assert_int_equal(entry.raw.len, 5);
	assert_memory_equal(entry.raw.p, "a\0b\0c", 5);
	check_lines("the next one", "d|");
}

static void
check_long(const char *name, size_t len, size_t want)
{
	char *text = g_strnfill(len + 1, 'x'), *got;

	text[len] = '\n';
	append(log_path, text, len + 1);
	add("after\n");
	got = lines();
	check_int(name, strlen(got), want + strlen("|after|"));
	check_true(name, g_str_has_suffix(got, "x|after|"));
	g_free(got);
	g_free(text);
	restart_here();
	check_lines(name, "");
}

static void
test_long_lines(void **state)
{
	(void)state;
	restart(NULL, true);
	check_long("almost too long", LOG_LINE_READ_MAX - 1, LOG_LINE_READ_MAX - 1);
	check_long("just", LOG_LINE_READ_MAX, LOG_LINE_READ_MAX);
	check_long("one over", LOG_LINE_READ_MAX + 1, LOG_LINE_READ_MAX);
	check_long("100 kB", 100000, LOG_LINE_READ_MAX);
	check_long("as long as what is read at once", 256 * 1024, LOG_LINE_READ_MAX);
	check_long("3 MB", 3000000, LOG_LINE_READ_MAX);
}

/* A long line that comes in pieces, with restarts between them. */
static void
test_long_line_in_pieces(void **state)
{
	char *piece = g_strnfill(50000, 'y'), *got;

	(void)state;
	restart(NULL, true);
	for (int i = 0; i < 6; i++) {
		add(piece);
		check_lines("not whole", "");
		if (i == 3)
			restart_here();
	}
	add("\nafter\n");
	got = lines();
	assert_int_equal(strlen(got), LOG_LINE_READ_MAX + strlen("|after|"));
	g_free(got);
	g_free(piece);
}

static void
test_rotation(void **state)
{
	int old;

	(void)state;
	add("one\n");
	restart(NULL, true);
	check_lines("before", "one|");
	old = open(log_path, O_WRONLY | O_APPEND);
	move("mail.log", "mail.log.1");
	assert_int_equal(write(old, "late\n", 5), 5);
	check_lines("renamed, and nothing new is there", "late|");
	add("");
	assert_int_equal(write(old, "later\n", 6), 6);
	check_lines("the new one is empty", "later|");
	add("two\n");
	assert_int_equal(write(old, "latest\nhalf a li", 16), 16);
	check_lines("the new one has a line", "latest|two|");
	close(old);
	restart_here();
	add("three\n");
	check_lines("after a restart", "three|");
	move("mail.log.1", "mail.log.2");
	move("mail.log", "mail.log.1");
	add("four\n");
	age("mail.log.2", 3600);
	age("mail.log.1", 60);
	check_lines("again", "four|");
}

/* The file of a position was last changed before all those that age() has made older. */
static void
make_older(char **position)
{
	struct log_place place;

	assert_true(log_place_read(*position, &place));
	place.changed -= (int64_t)4000 * 1000000000;
	g_free(*position);
	*position = log_place_text(&place);
	log_place_clear(&place);
}

/* Rotated several times while nobody was there: all in their order from the kept position on. */
static void
check_away(const char *name, const char *const names[3], const char *gone, const char *want)
{
	char *position;

	setup(NULL);
	add("before\n");
	restart(NULL, true);
	check_lines(name, "before|");
	position = source.position(source.context);
	add("a1\na2\n");
	move("mail.log", names[0]);
	age(names[0], 3000);
	add("b1\n");
	move("mail.log", names[1]);
	age(names[1], 2000);
	add("c1\nc2 is not wh");
	move("mail.log", names[2]);
	age(names[2], 1000);
	add("d1\n");
	if (gone != NULL)
		assert_int_equal(unlink(fixture_path(gone)), 0);
	make_older(&position);
	restart(position, false);
	check_lines(name, want);
	restart_here();
	check_lines(name, "");
	g_free(position);
}

static void
test_away(void **state)
{
	static const char *const numbers[] = {"mail.log.3", "mail.log.2", "mail.log.1"};
	static const char *const dates[] = {"mail.log-20261118", "mail.log-20261119",
					    "mail.log-20261120"};
	static const char *const extension[] = {"mail-20261118.log", "mail-20261119.log",
						"mail.1.log"};
	static const char *const compressed[] = {"mail.log.3.gz", "mail.log.2", "mail.log.1"};

	(void)state;
	check_away("numbers", numbers, NULL, "a1|a2|b1|c1|d1|");
	check_away("dates", dates, NULL, "a1|a2|b1|c1|d1|");
	check_away("before the extension", extension, NULL, "a1|a2|b1|c1|d1|");
	check_away("the one that was read is gone", numbers, "mail.log.3", "b1|c1|d1|");
	check_away("the one that was read is compressed", compressed, NULL, "b1|c1|d1|");
	check_away("one in between is gone", numbers, "mail.log.2", "a1|a2|c1|d1|");
	check_away("the last one is gone", numbers, "mail.log.1", "a1|a2|b1|d1|");
}

/* Files beside the log that are not its own are never read. */
static void
test_strangers(void **state)
{
	static const char *const names[] = {"mail.log.1.gz", "mail.log.err", "mail.log.save",
					    "mail.err",      "mail.info",    "mail.log-backup",
					    "other.log.1"};

	(void)state;
	add("one\n");
	restart(NULL, true);
	check_lines("before", "one|");
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		append(fixture_path(names[i]), "stranger\n", 9);
		age(names[i], -100);
	}
	assert_int_equal(mkdir(fixture_path("mail.log.7"), 0700), 0);
	assert_int_equal(symlink(fixture_path("mail.err"), fixture_path("mail.log.8")), 0);
	move("mail.log", "mail.log.old");
	add("two\n");
	check_lines("after a rotation", "two|");
	restart("file 5 100 1 64 00 none", false);
	check_lines("at a position of another file", "");
}

static void
test_truncation(void **state)
{
	(void)state;
	add("one\ntwo\n");
	restart(NULL, true);
	check_lines("before", "one|two|");
	assert_int_equal(truncate(log_path, 0), 0);
	check_lines("truncated", "");
	add("three\n");
	check_lines("after", "three|");
	assert_int_equal(truncate(log_path, 0), 0);
	add("four, which is longer than what was there\n");
	check_lines("truncated and longer than before",
		    "four, which is longer than what was there|");
	restart_here();
	assert_int_equal(truncate(log_path, 0), 0);
	add("five\n");
	check_lines("while nobody looked", "five|");
}

/* copytruncate: what was not read yet stands in the copy. */
static void
test_copied(void **state)
{
	(void)state;
	add("one\n");
	restart(NULL, true);
	check_lines("before", "one|");
	add("two\n");
	copy_and_truncate("mail.log.1");
	add("three\n");
	check_lines("the rest from the copy", "two|three|");
	restart_here();
	add("four\n");
	copy_and_truncate("mail.log-20261120");
	check_lines("the same after a restart", "four|");
	add("five\n");
	check_lines("and on", "five|");
}

/* Written on at the old offset, the new file begins with a hole. */
static void
test_hole(void **state)
{
	int fd;

	(void)state;
	add("one\ntwo\n");
	restart(NULL, true);
	check_lines("before", "one|two|");
	assert_int_equal(truncate(log_path, 0), 0);
	fd = open(log_path, O_WRONLY);
	assert_int_equal(pwrite(fd, "three\n", 6, 3000000), 6);
	close(fd);
	check_lines("after the hole", "three|");
}

#define ROTATIONS 120

/* Numbers, one a line, in files that move on all the time as logrotate moves them. */
static _Noreturn void
write_and_rotate(void)
{
	char text[32], from[40], to[40];

	for (int n = 0; n < 5 * ROTATIONS; n++) {
		append(log_path, text, (size_t)g_snprintf(text, sizeof text, "%d\n", n));
		if (n % 5 != 4)
			continue;
		g_usleep(10000); /* file systems tell times in steps of 4 ms */
		for (int i = n / 5; i > 0; i--) {
			g_snprintf(from, sizeof from, "mail.log.%d", i);
			g_snprintf(to, sizeof to, "mail.log.%d", i + 1);
			(void)rename(fixture_path(from), fixture_path(to));
		}
		move("mail.log", "mail.log.1");
	}
	add("end\n");
	_exit(0);
}

/* Files get other names at any moment, also while they are looked for. */
static void
test_rotation_all_the_time(void **state)
{
	struct log_entry entry = {0};
	enum log_read got;
	char *why = NULL, want[32];
	int status, n = 0;
	pid_t child;

	(void)state;
	restart(NULL, true);
	child = fork();
	if (child == 0)
		write_and_rotate();
	for (bool ended = false; !ended;) {
		got = source.read(source.context, &entry, &why);
		if (got != LOG_READ_ENTRY) {
			assert_int_not_equal(got, LOG_READ_FAILED);
			source.wait(source.context, -1, 100);
			if (g_random_int_range(0, 20) == 0)
				restart_here();
			continue;
		}
		g_usleep(1000); /* the writer is quicker: there is always a file to go on with */
		g_snprintf(want, sizeof want, n < 5 * ROTATIONS ? "%d" : "end", n);
		if (entry.raw.len != strlen(want) || memcmp(entry.raw.p, want, entry.raw.len) != 0)
			fail_msg("\"%.*s\" instead of \"%s\"", (int)entry.raw.len, entry.raw.p,
				 want);
		ended = n++ == 5 * ROTATIONS;
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
test_unreadable(void **state)
{
	char *why = NULL, *position, *got;

	(void)state;
	assert_int_equal(mkdir(log_path, 0700), 0);
	source = log_file_new(log_path);
	assert_false(source.open(source.context, NULL, false, &why));
	assert_non_null(strstr(why, "mail.log: not a regular file"));
	g_clear_pointer(&why, g_free);
	assert_int_equal(rmdir(log_path), 0);
	add("one\n");
	restart(NULL, true);
	check_lines("readable", "one|");
	position = source.position(source.context);
	move("mail.log", "mail.log.1");
	age("mail.log.1", 3600);
	assert_int_equal(symlink(log_path, log_path), 0); /* ELOOP: also for root */
	assert_false(source.open(source.context, position, false, &why));
	assert_non_null(strstr(why, "mail.log: Too many levels"));
	g_clear_pointer(&why, g_free);
	got = lines();
	assert_non_null(strstr(got, "failed: events.log: "));
	g_free(got);
	assert_int_equal(unlink(log_path), 0);
	add("two\n");
	assert_true(source.open(source.context, position, false, &why));
	check_lines("again", "two|");
	g_free(position);
}

static void
test_rotated_names(void **state)
{
	static const struct {
		const char *base, *name;
		bool is;
	} cases[] = {
		{"mail.log", "mail.log", false},
		{"mail.log", "mail.log.1", true},
		{"mail.log", "mail.log.12", true},
		{"mail.log", "mail.log-20261120", true},
		{"mail.log", "mail.log-20261120-1732123456", true},
		{"mail.log", "mail.log.2026-11-20T12:00:00Z", true},
		{"mail.log", "mail.log_1", true},
		{"mail.log", "mail.log.old", true},
		{"mail.log", "mail.log.1.gz", false},
		{"mail.log", "mail.log-20261120.xz", false},
		{"mail.log", "mail.log~", false},
		{"mail.log", "mail.log.", false},
		{"mail.log", "mail-20261120.log", true},
		{"mail.log", "mail.1.log", true},
		{"mail.log", "mail-20261120.log.gz", false},
		{"mail.log", "mail.log.log", false},
		{"mail.log", "mail..log", false},
		{"mail", "mail.1", true},
		{"mail", "mail.err", false},
		{"mail", "mail-20261120", true},
		{"mail", "mailman.1", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_int(cases[i].name, log_rotated_is(cases[i].base, cases[i].name), cases[i].is);
}

static void
test_places(void **state)
{
	static const char *const wrong[] = {
		"",
		"file",
		"journal 1 2 3 4 5 6",
		"file 1 -2 3 4 00 /p",
		"file 1 2 3 513 00 /p",
		"file 1 2 3 4 00",
		"file 1 2 3 4 00 /p more",
		("file 1 2 3 4 0000000000000000000000000000000000000000000000000000000000000000000 "
		 "/p"),
		"file x 2 3 4 00 /p",
	};
	struct log_place p = {.path = g_strdup("/var/log/a b%"),
			      .inode = ~(uint64_t)0,
			      .offset = 700,
			      .changed = 5};
	char head[LOG_PLACE_HEAD] = "head", *text;
	struct log_place again;

	(void)state;
	log_place_set_head(&p, head);
	assert_int_equal(p.head, LOG_PLACE_HEAD);
	text = log_place_text(&p);
	assert_true(log_place_read(text, &again));
	assert_string_equal(again.path, p.path);
	assert_string_equal(again.hash, p.hash);
	assert_true(again.inode == p.inode && again.offset == 700 && again.changed == 5);
	log_place_clear(&again);
	log_place_clear(&p);
	g_free(text);
	for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++)
		check_true(wrong[i], !log_place_read(wrong[i], &again));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_while_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nul, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_line_in_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation_all_the_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test(test_rotated_names),
		cmocka_unit_test(test_places),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
