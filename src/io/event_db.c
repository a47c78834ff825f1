/*
 * event_db - the connection to the events' database, its transactions and facts; see event_db.h.
 *
 * The file belongs to the owner of the directory and has mode 0600, whoever makes it; SQLite gives
 * the files beside it, -wal and -shm, the same owner and mode, also when root opens it (os_unix.c,
 * robustFchown()).  It is made under another name and linked to its own: a file descriptor of ours
 * that is closed would take the locks of all connections of this process with it (fcntl(2)).  For
 * the same reason a connection does not outlive a fork().
 *
 * synchronous=FULL: what is committed outlives a power failure; the log is synced at each commit.
 * The write-ahead log is brought into the file from LOG_PAGES on, and then begins anew.
 */
#include "io/event_db_private.h"
#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_WAIT (10 * G_TIME_SPAN_SECOND)
#define READERS_WAIT (50 * G_TIME_SPAN_MILLISECOND)
#define LOG_PAGES 4000      /* 16 MB */
#define LOG_PAGES_MAX 16000 /* 64 MB */

/* ---- the file ---- */

/* Makes it beside its name and links it there: whoever is first wins. */
static bool
make_linked(const char *path, char *temporary, const struct stat *directory)
{
	int fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600); /* and O_EXCL */
	int error;
	bool ok;

	if (fd < 0)
		return false;
	ok = geteuid() != 0 || fchown(fd, directory->st_uid, directory->st_gid) == 0;
	error = errno;
	close(fd);
	errno = error;
	ok = ok && (link(temporary, path) == 0 || errno == EEXIST);
	error = errno;
	unlink(temporary);
	errno = error;
	return ok && state_file_sync_directory(path);
}

static bool
make_file(const char *directory, const char *path, char **why)
{
	char *temporary = g_strconcat(path, ".XXXXXX", NULL);
	struct stat st, there;
	bool ok = lstat(path, &there) == 0 || (errno == ENOENT && stat(directory, &st) == 0 &&
					       make_linked(path, temporary, &st));

	if (!ok)
		*why = g_strdup_printf("%s: cannot be made: %s", path, g_strerror(errno));
	g_free(temporary);
	return ok;
}

/* ---- the connection ---- */

/* auto_vacuum counts for a new file only, and before anything else. */
#define SET_UP_CREATE "PRAGMA auto_vacuum = INCREMENTAL;"
#define SET_UP_WRITE \
	"PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;" \
	"PRAGMA cache_size = -16000;"
#define SET_UP_ALL \
	"PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;" \
	"PRAGMA trusted_schema = OFF;"

static bool
set_up(struct event_db *db, const char *sql, char **why)
{
	return sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ||
	       event_db_fail(db, why);
}

/*
 * Waits for a lock, in short steps: SQLite's own waits become so long that a writer hardly ever
 * comes between the transactions of another one that is busy.
 */
static int
wait_for_lock(void *context, int times)
{
	struct event_db *db = context;

	if (times == 0)
		db->waited = g_get_monotonic_time();
	else if (g_get_monotonic_time() - db->waited > db->patience)
		return 0;
	g_usleep(g_random_int_range(500, 3000));
	return 1;
}

/*
 * After a commit.  What fails here is not lost, and tried again after the next one.  The log begins
 * anew only when all of it is in the file and nobody reads it: with others that write all the time
 * that may never be so, unless they are kept waiting for it.
 */
static int
after_commit(void *context, sqlite3 *sqlite, const char *name, int pages)
{
	struct event_db *db = context;

	db->patience = READERS_WAIT;
	if (pages >= LOG_PAGES)
		sqlite3_wal_checkpoint_v2(sqlite, name,
					  pages >= LOG_PAGES_MAX ? SQLITE_CHECKPOINT_RESTART
								 : SQLITE_CHECKPOINT_PASSIVE,
					  NULL, NULL);
	db->patience = LOCK_WAIT;
	return SQLITE_OK;
}

/* SQLite does not wait for the lock that this needs: two that make the file at once would fail. */
static bool
use_wal(struct event_db *db, char **why)
{
	gint64 end = g_get_monotonic_time() + LOCK_WAIT;
	char *mode = NULL, *reason = NULL;
	bool ok;

	for (;;) {
		sqlite3_stmt *s = event_db_query(db, "PRAGMA journal_mode = WAL", "");

		mode = event_db_row(s) ? event_db_text(s, 0) : NULL;
		ok = event_db_end(db, s, &reason);
		if (ok || (sqlite3_errcode(db->sqlite) & 0xff) != SQLITE_BUSY ||
		    g_get_monotonic_time() > end)
			break;
		g_clear_pointer(&reason, g_free);
		g_clear_pointer(&mode, g_free);
		g_usleep(5000);
	}
	if (ok && g_strcmp0(mode, "wal") != 0) {
		reason = g_strdup_printf("%s: no write-ahead log is possible there", db->path);
		ok = false;
	}
	if (!ok)
		*why = reason;
	g_free(mode);
	return ok;
}

static void
finalize(void *statement)
{
	sqlite3_finalize(statement);
}

static bool
connect_to(struct event_db *db, enum event_db_mode mode, char **why)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
		    (mode == EVENT_DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);

	if (sqlite3_open_v2(db->path, &db->sqlite, flags, NULL) != SQLITE_OK)
		return event_db_fail(db, why);
	sqlite3_extended_result_codes(db->sqlite, 1);
	sqlite3_busy_handler(db->sqlite, wait_for_lock, db);
	sqlite3_wal_hook(db->sqlite, after_commit, db);
	db->patience = LOCK_WAIT;
	return set_up(db, SET_UP_ALL, why) &&
	       (mode == EVENT_DB_READ || set_up(db, SET_UP_WRITE, why)) &&
	       (mode != EVENT_DB_CREATE || (set_up(db, SET_UP_CREATE, why) && use_wal(db, why))) &&
	       event_db_schema(db, mode == EVENT_DB_CREATE, why);
}

/*
 * The directory as it is: SQLite follows no links (SQLITE_OPEN_NOFOLLOW), not even on the way
 * there.
 */
static char *
directory_of(const char *state_dir, char **why)
{
	char *real = realpath(state_dir, NULL);

	if (real == NULL)
		*why = g_strdup_printf("%s: %s", state_dir, g_strerror(errno));
	return real;
}

struct event_db *
event_db_open(const char *state_dir, enum event_db_mode mode, char **why)
{
	char *directory = directory_of(state_dir, why);
	struct event_db *db;

	if (directory == NULL)
		return NULL;
	db = g_new0(struct event_db, 1);
	db->path = g_build_filename(directory, EVENT_DB_NAME, NULL);
	db->statements = g_hash_table_new_full(NULL, NULL, NULL, finalize);
	db->tallies = tally_table_new(TALLY_KEYS_MAX);
	event_db_store_init(db);
	if ((mode == EVENT_DB_CREATE && !make_file(directory, db->path, why)) ||
	    !connect_to(db, mode, why)) {
		event_db_close(db);
		db = NULL;
	}
	free(directory);
	return db;
}

void
event_db_close(struct event_db *db)
{
	if (db == NULL)
		return;
	event_db_rollback(db);
	g_hash_table_destroy(db->statements);
	sqlite3_close(db->sqlite);
	tally_table_free(db->tallies);
	g_free(db->store_error);
	g_free(db->path);
	g_free(db);
}

bool
event_db_changes(struct event_db *db, int64_t *number, char **why)
{
	return event_db_number(db, number, 0, why, "PRAGMA data_version", "");
}

/* ---- transactions ---- */

static bool
run(struct event_db *db, const char *sql, char **why)
{
	sqlite3_stmt *s = event_db_query(db, sql, "");

	event_db_row(s);
	return event_db_end(db, s, why);
}

bool
event_db_begin(struct event_db *db, char **why)
{
	if (db->state != EVENT_DB_IDLE) {
		*why = g_strdup_printf("%s: there is a transaction already", db->path);
		return false;
	}
	if (!run(db, "BEGIN IMMEDIATE", why))
		return false;
	db->state = EVENT_DB_IN_TRANSACTION;
	return true;
}

bool
event_db_commit(struct event_db *db, char **why)
{
	if (db->state != EVENT_DB_IN_TRANSACTION) {
		*why = g_strdup_printf("%s: there is no transaction that could be committed",
				       db->path);
		return false;
	}
	if (!event_db_write_tallies(db, why) || !run(db, "COMMIT", why))
		return false;
	db->state = EVENT_DB_IDLE;
	return true;
}

void
event_db_rollback(struct event_db *db)
{
	char *why = NULL;

	/* After some errors SQLite has done it already. */
	if (db->state != EVENT_DB_IDLE && !sqlite3_get_autocommit(db->sqlite))
		run(db, "ROLLBACK", &why);
	g_free(why);
	tally_table_clear(db->tallies);
	db->state = EVENT_DB_IDLE;
}

/* ---- facts ---- */

bool
event_db_fact(struct event_db *db, const char *name, char **value, char **why)
{
	sqlite3_stmt *s = event_db_query(db, "SELECT value FROM facts WHERE name = ?", "s", name);

	*value = event_db_row(s) ? event_db_text(s, 0) : NULL;
	return event_db_end(db, s, why);
}

bool
event_db_set_fact(struct event_db *db, const char *name, const char *value, char **why)
{
	return event_db_write(db, why,
			      "INSERT INTO facts(name, value) VALUES(?, ?)"
			      " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
			      "ss", name, value);
}
