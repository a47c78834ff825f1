/*
 * event_file - events as lines of JSON in a file; see event_file.h.
 *
 * One write() with O_APPEND: lines of others, and of us before a crash, stay whole.  What a full
 * disk has cut is taken back if nobody has written behind it, and else, or after a crash, ended
 * with a newline before the next line.  The file is synced before the caller forgets the events,
 * and so is its directory when it is new.
 */
#include "io/event_file.h"

#include "base/buf.h"
#include "base/log.h"
#include "io/event_db.h"
#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE 0640

struct event_file {
	char *path;
	int fd; /* -1: not open */
};

struct event_file *
event_file_new(const char *path)
{
	struct event_file *f = g_new(struct event_file, 1);

	f->path = g_strdup(path);
	f->fd = -1;
	return f;
}

static void
close_file(struct event_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void
event_file_free(struct event_file *f)
{
	if (f == NULL)
		return;
	close_file(f);
	g_free(f->path);
	g_free(f);
}

/* True if the path still names the open file. */
static bool
is_current(const struct event_file *f)
{
	struct stat open_one, named;

	return f->fd >= 0 && fstat(f->fd, &open_one) == 0 && stat(f->path, &named) == 0 &&
	       open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/* Opens the file that has the name now; NULL, or what is wrong. */
static const char *
open_file(struct event_file *f)
{
	struct stat st;

	close_file(f);
	f->fd = open(f->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		     FILE_MODE);
	if (f->fd < 0 || fstat(f->fd, &st) != 0)
		return g_strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "not a regular file";
	return st.st_size > 0 || state_file_sync_directory(f->path) ? NULL : g_strerror(errno);
}

/* The file's size, and whether its last line has an end; false with errno. */
static bool
look_at_end(const struct event_file *f, off_t *size, bool *ended)
{
	char last = '\n';
	struct stat st;

	if (fstat(f->fd, &st) != 0 ||
	    (st.st_size > 0 && pread(f->fd, &last, 1, st.st_size - 1) < 0))
		return false;
	*size = st.st_size;
	*ended = last == '\n';
	return true;
}

/* Takes back what was written of lines that are not whole, if it still is the end of the file. */
static void
take_back(const struct event_file *f, off_t before, ssize_t written)
{
	struct stat st;

	if (fstat(f->fd, &st) != 0 || st.st_size != before + written ||
	    ftruncate(f->fd, before) != 0)
		log_line(LOG_WARNING, "warning: events: %s: has a line that is not whole", f->path);
}

/* Writes lines behind so many octets; NULL, or what is wrong. */
static const char *
write_lines(const struct event_file *f, const struct buf *lines, off_t before)
{
	ssize_t n = write(f->fd, lines->data, lines->len);

	if (n == (ssize_t)lines->len)
		return fsync(f->fd) == 0 ? NULL : g_strerror(errno);
	if (n < 0)
		return g_strerror(errno);
	take_back(f, before, n);
	return g_strerror(ENOSPC);
}

/* NULL, or what is wrong. */
static const char *
append(struct event_file *f, const GPtrArray *events, struct buf *lines)
{
	const char *problem = is_current(f) ? NULL : open_file(f);
	bool ended;
	off_t size;

	if (problem != NULL)
		return problem;
	if (!look_at_end(f, &size, &ended))
		return g_strerror(errno);
	if (!ended)
		buf_puts(lines, "\n");
	for (guint i = 0; i < events->len; i++) {
		buf_puts(lines, ((const struct event_row *)events->pdata[i])->json);
		buf_puts(lines, "\n");
	}
	return buf_failed(lines) ? g_strerror(ENOMEM) : write_lines(f, lines, size);
}

struct delivery
event_file_append(struct event_file *f, const GPtrArray *events)
{
	struct delivery d = {DELIVERY_DONE, 0, NULL};
	struct buf lines = BUF_INIT;
	const char *problem = append(f, events, &lines);

	buf_free(&lines);
	if (problem != NULL) {
		d.result = DELIVERY_FAILED;
		d.why = g_strdup_printf("%s: %s", f->path, problem);
		close_file(f);
	}
	return d;
}
