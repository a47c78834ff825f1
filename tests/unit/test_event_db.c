/*
 * test_event_db - the file of the events' database, its transactions, what several processes do
 * with it, facts, flights and tallies.  test_event_db_queue.c has events and the queue.
 */
#include "event_db_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS 100

/* ---- the file ---- */

/* Owner and mode of the three files; the directory's owner has them, whoever opens the database. */
static void
check_files(const char *name)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct stat directory, st;

	assert_int_equal(stat(event_db_directory(name), &directory), 0);
	for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
		assert_int_equal(stat(event_db_file(name, suffixes[i]), &st), 0);
		check_int(suffixes[i], st.st_mode & 07777, 0600);
		check_int(suffixes[i], st.st_uid, directory.st_uid);
		check_int(suffixes[i], st.st_gid, directory.st_gid);
	}
}

/* Runs f in a child; its status. Nothing may be open: locks do not outlive a fork(). */
static int
in_child(void (*f)(void))
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		f();
		_exit(0);
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Root makes it and keeps it open, the owner of the directory writes: as poolctl and poolevents
 * do.
 */
static void
test_owner(void **state)
{
	struct passwd *nobody = getpwnam("nobody");
	const char *directory = event_db_directory("owner");
	bool root = geteuid() == 0;
	struct event_db *db;
	int ready[2];
	pid_t child;
	int status;
	char octet;

	(void)state;
	umask(0);
	assert_int_equal(chmod(fixture_directory(), 0711), 0);
	if (root)
		assert_int_equal(chown(directory, nobody->pw_uid, nobody->pw_gid), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (root && (setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0))
			_exit(1);
		close(ready[1]);
		if (read(ready[0], &octet, 1) != 1)
			_exit(2);
		db = event_db_opened("owner", EVENT_DB_CREATE);
		event_db_put_many(db, "owner", EVENTS, "acme", event_db_names("file", NULL));
		event_db_close(db);
		_exit(0);
	}
	db = event_db_opened("owner", EVENT_DB_CREATE);
	event_db_put_many(db, "root", 1, "acme", event_db_names("file", NULL));
	check_files("owner");
	assert_int_equal(write(ready[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	check_files("owner");
	event_db_close(db);
	close(ready[0]);
	close(ready[1]);
	umask(022);
}

static void
test_open(void **state)
{
	struct event_db *db, *reader;
	struct stat st;

	(void)state;
	event_db_refused("missing", EVENT_DB_READ, "cannot be opened: No such file or directory");
	event_db_refused("missing", EVENT_DB_WRITE, "cannot be opened: No such file or directory");
	db = event_db_opened("open", EVENT_DB_CREATE);
	event_db_put_many(db, "open", 3, "acme", event_db_names("file", NULL));
	check_files("open");
	event_db_close(db);
	assert_int_not_equal(stat(event_db_file("open", "-wal"), &st), 0);
	reader = event_db_opened("open", EVENT_DB_READ); /* that nobody else has open */
	event_db_check_counts("alone", reader, "file 3/0");
	db = event_db_opened("open", EVENT_DB_WRITE);
	event_db_put_many(db, "more", 2, "acme", event_db_names("file", NULL));
	event_db_check_counts("beside a writer", reader, "file 5/0");
	check_db("in a transaction", event_db_begin(db, &why));
	event_db_put(db, "late", 1, "acme", event_db_names("file", NULL));
	event_db_check_counts("not committed", reader, "file 5/0");
	check_db("in a transaction", event_db_commit(db, &why));
	event_db_check_counts("committed", reader, "file 6/0");
	event_db_close(db);
	event_db_close(reader);
}

static void
test_refused(void **state)
{
	struct event_db *db = event_db_opened("newer", EVENT_DB_CREATE);
	char *why = NULL;

	(void)state;
	event_db_sql(db, "PRAGMA user_version = 99");
	event_db_close(db);
	event_db_refused("newer", EVENT_DB_READ, "made by a newer poolmilter");
	event_db_refused("newer", EVENT_DB_CREATE, "made by a newer poolmilter");

	db = event_db_opened("other", EVENT_DB_CREATE);
	event_db_sql(db, "PRAGMA application_id = 7");
	event_db_close(db);
	event_db_refused("other", EVENT_DB_CREATE, "not a database of events");

	event_db_directory("text");
	fixture_write("text/" EVENT_DB_NAME, "This is no database, but it is long enough.\n", 44,
		      0600);
	event_db_refused("text", EVENT_DB_CREATE, "not a database");

	event_db_directory("empty");
	fixture_write("empty/" EVENT_DB_NAME, "", 0, 0600);
	event_db_refused("empty", EVENT_DB_READ, "of an older poolmilter");
	event_db_refused("empty", EVENT_DB_WRITE, "of an older poolmilter");
	event_db_close(event_db_opened("empty", EVENT_DB_CREATE));
	event_db_close(event_db_opened("empty", EVENT_DB_READ));

	event_db_directory("link");
	assert_int_equal(symlink(event_db_file("empty", ""), event_db_file("link", "")), 0);
	event_db_refused("link", EVENT_DB_CREATE, "cannot be opened");

	assert_null(event_db_open(fixture_path("nowhere"), EVENT_DB_CREATE, &why));
	assert_non_null(strstr(why, "nowhere: No such file or directory"));
	g_free(why);
}

/* A part of it is gone, or rubbish: what is read tells, and nothing crashes. */
static void
test_damaged(void **state)
{
	struct event_db *db = event_db_opened("damaged", EVENT_DB_CREATE);
	const char *path = event_db_file("damaged", "");
	GPtrArray *rows;
	char *content, *reason = NULL;
	gsize len;

	(void)state;
	event_db_put_many(db, "damaged", 2000, "acme", event_db_names("file", NULL));
	event_db_close(db);
	assert_true(g_file_get_contents(path, &content, &len, NULL));
	assert_int_equal(truncate(path, (off_t)len / 2), 0);
	event_db_refused("damaged", EVENT_DB_CREATE, "damaged (SQLite 11");
	memset(content + len / 4, 0xa5, len - len / 4);
	fixture_write("damaged/" EVENT_DB_NAME, content, len, 0600);
	db = event_db_opened("damaged", EVENT_DB_CREATE);
	assert_false(event_db_waiting(db, "file", 5000, G_MAXSIZE, &rows, &reason));
	assert_null(rows);
	assert_non_null(strstr(reason, EVENT_DB_NAME ": damaged (SQLite 11"));
	g_free(reason);
	event_db_close(db);
	g_free(content);
}

static void
as_nobody_in_a_closed_directory(void)
{
	struct passwd *nobody = getpwnam("nobody");
	char *why = NULL;

	if (geteuid() == 0 && setuid(nobody->pw_uid) != 0)
		_exit(1);
	if (event_db_open(fixture_path("closed"), EVENT_DB_CREATE, &why) != NULL ||
	    strstr(why, EVENT_DB_NAME ": cannot be made: Permission denied") == NULL)
		_exit(2);
}

static void
test_closed_directory(void **state)
{
	(void)state;
	event_db_directory("closed");
	assert_int_equal(chmod(fixture_path("closed"), 0555), 0);
	assert_int_equal(in_child(as_nobody_in_a_closed_directory), 0);
}

/* ---- transactions ---- */

static void
check_refused(const char *name, bool ok, char *why, const char *words)
{
	check_true(name, !ok);
	if (strstr(why, words) == NULL)
		fail_msg("case \"%s\": \"%s\" has no \"%s\"", name, why, words);
	g_free(why);
}

static void
test_transactions(void **state)
{
	struct event_db *db = event_db_opened("transactions", EVENT_DB_CREATE);
	char *reason = NULL, *value;
	bool ok;

	(void)state;
	ok = event_db_set_fact(db, "a", "1", &reason);
	check_refused("outside", ok, reason, "outside of a transaction");
	ok = event_db_commit(db, &reason);
	check_refused("commit of nothing", ok, reason, "no transaction");
	event_db_rollback(db); /* of nothing */
	check_db("begin", event_db_begin(db, &why));
	ok = event_db_begin(db, &reason);
	check_refused("twice", ok, reason, "a transaction already");
	check_db("set", event_db_set_fact(db, "a", "1", &why));
	event_db_rollback(db);
	check_db("rolled back", event_db_fact(db, "a", &value, &why));
	assert_null(value);
	check_db("begin", event_db_begin(db, &why));
	check_db("set", event_db_set_fact(db, "a", "1", &why));
	event_db_close(db); /* in its midst */
	db = event_db_opened("transactions", EVENT_DB_WRITE);
	check_db("closed", event_db_fact(db, "a", &value, &why));
	assert_null(value);
	check_db("begin", event_db_begin(db, &why));
	check_db("set", event_db_set_fact(db, "a", "1", &why));
	check_db("set again", event_db_set_fact(db, "a", "two\n%\xff", &why));
	check_db("commit", event_db_commit(db, &why));
	check_db("committed", event_db_fact(db, "a", &value, &why));
	check_string("committed", value, "two\n%\xff");
	g_free(value);
	event_db_close(db);
}

/*
 * The disk is full: nothing of the transaction stays, not even what would be written after it
 * failed.
 */
static void
test_full(void **state)
{
	struct event_db *db = event_db_opened("full", EVENT_DB_CREATE);
	char *large = g_strnfill(1000000, 'x'), *reason = NULL, *value;
	bool ok;

	(void)state;
	event_db_put_many(db, "full", 5, "acme", event_db_names("file", NULL));
	event_db_sql(db, "PRAGMA max_page_count = 60");
	check_db("begin", event_db_begin(db, &why));
	check_db("small", event_db_set_fact(db, "small", "1", &why));
	ok = event_db_set_fact(db, "large", large, &reason);
	check_refused("large", ok, reason, "no room on the disk");
	reason = NULL;
	ok = event_db_set_fact(db, "late", "1", &reason);
	check_refused("after it failed", ok, reason, "has failed before");
	reason = NULL;
	ok = event_db_commit(db, &reason);
	check_refused("commit", ok, reason, "no transaction that could be committed");
	event_db_rollback(db);
	check_db("small", event_db_fact(db, "small", &value, &why));
	assert_null(value);
	check_db("late", event_db_fact(db, "late", &value, &why));
	assert_null(value);
	event_db_sql(db, "PRAGMA max_page_count = 1000000");
	event_db_put_many(db, "room", 5, "acme", event_db_names("file", NULL));
	event_db_check_counts("room again", db, "file 10/0");
	event_db_close(db);
	g_free(large);
}

static void
test_locked(void **state)
{
	struct event_db *db = event_db_opened("locked", EVENT_DB_CREATE);
	struct event_db *other = event_db_opened("locked", EVENT_DB_WRITE);
	char *reason = NULL;
	bool ok;

	(void)state;
	check_db("begin", event_db_begin(db, &why));
	other->patience = 100 * G_TIME_SPAN_MILLISECOND;
	ok = event_db_begin(other, &reason);
	check_refused("locked", ok, reason, "locked for too long");
	check_db("commit", event_db_commit(db, &why));
	check_db("free", event_db_begin(other, &why));
	event_db_close(other);
	event_db_close(db);
}

/* ---- several processes ---- */

#define WRITERS 4

/* All make it at once, and then write at once: each a series. */
static void
test_writers(void **state)
{
	pid_t child[WRITERS];
	struct event_db *db;
	int status;

	(void)state;
	event_db_directory("writers");
	for (int i = 0; i < WRITERS; i++) {
		child[i] = fork();
		if (child[i] == 0) {
			char *series = g_strdup_printf("writer%d", i);

			for (int k = 0; k < 10; k++) {
				char *part = g_strdup_printf("%s.%d", series, k);

				db = event_db_opened("writers", EVENT_DB_CREATE);
				event_db_put_many(db, part, EVENTS / 10, "acme",
						  event_db_names("file", "stream", NULL));
				event_db_close(db);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(child[i], &status, 0), child[i]);
		assert_int_equal(status, 0);
	}
	db = event_db_opened("writers", EVENT_DB_READ);
	event_db_check_counts("all of all", db, "file 400/0 stream 400/0");
	event_db_close(db);
}

/* A child writes, says when, and is killed. */
static void
write_until_killed(bool commit)
{
	int said[2];
	pid_t child;
	char octet;

	assert_int_equal(pipe(said), 0);
	child = fork();
	if (child == 0) {
		struct event_db *db = event_db_opened("killed", EVENT_DB_CREATE);

		check_db("begin", event_db_begin(db, &why));
		for (unsigned i = 1; i <= 5000; i++)
			event_db_put(db, "killed", i, "acme", event_db_names("file", NULL));
		if (commit)
			check_db("commit", event_db_commit(db, &why));
		if (write(said[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(said[0], &octet, 1), 1);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(said[0]);
	close(said[1]);
}

static void
check_killed(const char *name, const char *want)
{
	struct event_db *db = event_db_opened("killed", EVENT_DB_READ);

	event_db_check_counts(name, db, want);
	event_db_close(db);
}

static void
test_killed(void **state)
{
	(void)state;
	write_until_killed(false);
	check_killed("before the commit", "");
	write_until_killed(true);
	check_killed("after the commit", "file 5000/0");
	write_until_killed(false); /* the same again */
	check_killed("again", "file 5000/0");
}

static void
test_changes(void **state)
{
	struct event_db *writer = event_db_opened("changes", EVENT_DB_CREATE);
	struct event_db *db = event_db_opened("changes", EVENT_DB_READ);
	int64_t before, same, after;

	(void)state;
	check_db("before", event_db_changes(db, &before, &why));
	check_db("begin", event_db_begin(writer, &why));
	check_db("set", event_db_set_fact(writer, "a", "1", &why));
	check_db("not committed", event_db_changes(db, &same, &why));
	check_int("not committed", same, before);
	check_db("commit", event_db_commit(writer, &why));
	check_db("after", event_db_changes(db, &after, &why));
	check_true("after", after != before);
	event_db_close(db);
	event_db_close(writer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_closed_directory),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_writers),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_changes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
