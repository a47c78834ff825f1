/*
 * log_file - follows a log file; see log_file.h.
 *
 * One file is open at a time: the one at the log's path, or one that stood there before and is read
 * to its end.  Behind it are the files of `next`, oldest first, and then the one at the path.
 *
 * Rotation by renaming: who writes the log has the old file open until it is told to open the log
 * again.  So the old one is read on until the new one has a line, and a second more.  Rotation by
 * copying and truncating (copytruncate): the file is not the one that it was (log_place_in()); what
 * was not read yet stands in the copy, if that is there.  After a start the same: the file of the
 * kept position is looked for under all names that rotation gives.
 *
 * A line counts when it has its line end.  One that is the last of a file that nobody writes to any
 * more has none: it was cut, and is dropped, since half a line could say what did not happen.
 * Octets 0 before a line are skipped: truncation leaves such holes where the log is written without
 * O_APPEND, and so do crashes.
 *
 * inotify(7) tells changes; where it does not (network file systems), a look each second.
 */
#include "io/log_file.h"
#include "base/log.h"
#include "io/log_file_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define PIECE ((size_t)256 * 1024)
#define LOOK_MS 1000 /* without inotify */
#define SOON_MS 100
#define LATE_US G_USEC_PER_SEC /* that an old file is read after the new one has a line */
#define QUIET_S 60             /* without a change: it is done with, though the new one be empty */

/* ---- reading ---- */

/* Takes a line out of what has been read. */
static bool
take_line(struct log_file *f, struct text_part *line)
{
	const char *begin, *end;

	while (f->skipped == 0 && f->start < f->end && f->data[f->start] == '\0') {
		f->start++;
		f->place.offset++;
	}
	begin = f->data + f->start;
	end = memchr(begin, '\n', f->end - f->start);
	if (end == NULL)
		return false;
	line->p = begin;
	line->len = MIN((size_t)(end - begin), LOG_LINE_READ_MAX);
	f->start += (size_t)(end - begin) + 1;
	f->place.offset += end - begin + 1 + f->skipped;
	f->skipped = 0;
	return true;
}

/* Makes room behind what has been read: of a line that is too long, the rest is dropped. */
static void
make_room(struct log_file *f)
{
	size_t have = f->end - f->start;

	memmove(f->data, f->data + f->start, have);
	if (have > LOG_LINE_READ_MAX) {
		f->skipped += (int64_t)(have - LOG_LINE_READ_MAX);
		have = LOG_LINE_READ_MAX;
	}
	f->start = 0;
	f->end = have;
}

/* True if the open file is the one that it was: not truncated, and not written anew since. */
static bool
still_same(struct log_file *f, const struct stat *st)
{
	size_t known = (size_t)MIN(f->next_octet, LOG_PLACE_HEAD);
	char head[LOG_PLACE_HEAD];

	return st->st_size >= f->next_octet && pread(f->fd, head, known, 0) == (ssize_t)known &&
	       memcmp(head, f->head, known) == 0;
}

/* Reads a piece more; LOG_READ_NONE: at the end of the file. */
static enum log_read
read_piece(struct log_file *f, char **why)
{
	ssize_t n;

	make_room(f);
	do
		n = pread(f->fd, f->data + f->end, PIECE, f->next_octet);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		*why = log_file_cannot(f, errno);
		return LOG_READ_FAILED;
	}
	if (n > 0 && f->next_octet < LOG_PLACE_HEAD)
		memcpy(f->head + f->next_octet, f->data + f->end,
		       MIN((size_t)n, (size_t)(LOG_PLACE_HEAD - f->next_octet)));
	f->next_octet += n;
	f->end += (size_t)n;
	return n > 0 ? LOG_READ_ENTRY : LOG_READ_NONE;
}

/* Where the open file is no more the log: true if nobody writes to it any longer. */
static bool
done_with(struct log_file *f, const struct stat *open_file, const struct stat *log)
{
	gint64 now = g_get_monotonic_time();
	time_t quiet =
		g_get_real_time() / G_USEC_PER_SEC - MAX(open_file->st_mtime, open_file->st_ctime);

	if (f->next->len > 0 || quiet >= QUIET_S) /* rotated once more since, or long ago */
		return true;
	if (log->st_size == 0)
		return false;
	if (f->renewed == 0)
		f->renewed = now;
	return now - f->renewed >= LATE_US;
}

/* The next file, where nobody writes to the open one any longer; its last line may have no end. */
static enum log_read
go_on(struct log_file *f, char **why)
{
	int64_t rest = f->next_octet - f->place.offset;
	enum log_read got = log_file_open_next(f, why);

	if (got != LOG_READ_ENTRY)
		return got;
	if (rest > 0)
		log_line(LOG_WARNING,
			 "warning: events.log: the last line before a rotation has no end and is "
			 "left out "
			 "(%lld octets)",
			 (long long)rest);
	log_line(LOG_NOTICE, "events.log: %s was rotated: goes on in the next file", f->path);
	return got;
}

/* At the end of the open file. */
static enum log_read
at_end(struct log_file *f, const struct stat *open_file, char **why)
{
	struct stat log = {0};
	bool there;
	GPtrArray *list;

	if (f->next->len == 0) {
		there = stat(f->path, &log) == 0;
		if (there && log.st_dev == f->device && log.st_ino == f->place.inode) {
			f->renewed = 0;
			return LOG_READ_NONE;
		}
		list = log_rotated_list(f->path);
		log_file_read_after(f, list, 0, f->place.changed);
		g_ptr_array_unref(list);
		if (f->next->len == 0 && !there)
			return LOG_READ_NONE;
	}
	if (done_with(f, open_file, &log))
		return go_on(f, why);
	return f->renewed != 0 ? LOG_READ_SOON : LOG_READ_NONE;
}

/* More data, or what there is instead; LOG_READ_ENTRY: look again for a line. */
static enum log_read
fill(struct log_file *f, char **why)
{
	enum log_read got;
	struct stat st;

	if (f->fd < 0)
		return log_file_resume(f, why);
	if (fstat(f->fd, &st) != 0) {
		*why = log_file_cannot(f, errno);
		return LOG_READ_FAILED;
	}
	if (!still_same(f, &st)) {
		log_place_set_head(&f->place, f->head);
		return log_file_resume(f, why);
	}
	f->place.changed = log_rotated_time(&st);
	got = read_piece(f, why);
	return got == LOG_READ_NONE ? at_end(f, &st, why) : got;
}

/* ---- the source ---- */

static enum log_read
file_read(void *context, struct log_entry *entry, char **why)
{
	struct log_file *f = context;
	enum log_read got;

	entry->apart = false;
	while (!take_line(f, &entry->raw))
		if ((got = fill(f, why)) != LOG_READ_ENTRY)
			return got;
	return LOG_READ_ENTRY;
}

/* The offset behind the last line end of a file. */
static int64_t
end_of_lines(int fd, int64_t size)
{
	char *data = g_malloc(PIECE);
	int64_t begin = MAX(0, size - (int64_t)PIECE);
	ssize_t n = pread(fd, data, (size_t)(size - begin), begin);
	const char *end = n > 0 ? memrchr(data, '\n', (size_t)n) : NULL;
	int64_t offset = end != NULL ? begin + (end - data) + 1 : begin;

	g_free(data);
	return offset;
}

static bool
open_first(struct log_file *f, bool from_start, char **why)
{
	struct stat st;
	int fd = log_file_open_regular(f->path, &st);

	if (fd >= 0) {
		log_file_take(f, fd, &st, from_start ? 0 : end_of_lines(fd, st.st_size));
		return true;
	}
	if (errno != ENOENT) {
		*why = log_file_cannot(f, errno);
		return false;
	}
	log_line(LOG_NOTICE, "events.log: %s is not there yet: waiting for it", f->path);
	f->place.changed = g_get_real_time() * 1000;
	return true;
}

static bool
file_open(void *context, const char *position, bool from_start, char **why)
{
	struct log_file *f = context;
	struct log_place kept = {0};
	bool good = position != NULL && log_place_read(position, &kept) &&
		    strcmp(kept.path, f->path) == 0;

	log_file_close(f);
	g_ptr_array_set_size(f->next, 0);
	log_place_clear(&f->place);
	if (!good) {
		log_place_clear(&kept);
		kept = (struct log_place){.path = g_strdup(f->path)};
	}
	f->place = kept;
	log_file_forget(f);
	if (good)
		return log_file_resume(f, why) != LOG_READ_FAILED;
	if (position != NULL)
		log_line(LOG_NOTICE,
			 "events.log: the kept position is not one in %s: begins at its %s",
			 f->path, from_start ? "beginning" : "end");
	return open_first(f, from_start, why);
}

static char *
file_position(void *context)
{
	struct log_file *f = context;

	if (f->fd >= 0)
		log_place_set_head(&f->place, f->head);
	return log_place_text(&f->place);
}

static void
file_kept(void *context)
{
	(void)context;
}

static void
file_wait(void *context, int wake_fd, int timeout_ms)
{
	struct log_file *f = context;
	struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN},
			       {.fd = f->notify, .events = POLLIN}};
	char events[4096];

	(void)poll(fds, G_N_ELEMENTS(fds), MIN(timeout_ms, f->renewed != 0 ? SOON_MS : LOOK_MS));
	while (f->notify >= 0 && read(f->notify, events, sizeof events) > 0)
		;
}

static void
file_free(void *context)
{
	struct log_file *f = context;

	log_file_close(f);
	if (f->notify >= 0)
		close(f->notify);
	g_ptr_array_unref(f->next);
	log_place_clear(&f->place);
	g_free(f->path);
	g_free(f->data);
	g_free(f);
}

struct log_source
log_file_new(const char *path)
{
	struct log_file *f = g_new0(struct log_file, 1);
	char *directory = g_path_get_dirname(path);

	f->fd = f->watched = -1;
	f->path = g_strdup(path);
	f->place.path = g_strdup(path);
	f->data = g_malloc(LOG_LINE_READ_MAX + PIECE);
	f->next = g_ptr_array_new_with_free_func(log_rotated_free);
	f->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	(void)inotify_add_watch(f->notify, directory, IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM);
	g_free(directory);
	return (struct log_source){
		.open = file_open,
		.read = file_read,
		.position = file_position,
		.kept = file_kept,
		.wait = file_wait,
		.free = file_free,
		.context = f,
	};
}
