/*
 * log_file_find - which file is to be read next; see log_file_private.h.
 *
 * After a start, and where the open file is not the one any more that it was, the file of the last
 * line is looked for under all names that rotation gives.  If it is gone, reading goes on with what
 * has changed since, and the log says what may be lost.
 */
#include "io/log_file_private.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define TRIES_MAX 20

void
log_file_forget(struct log_file *f)
{
	f->start = f->end = 0;
	f->skipped = 0;
	f->next_octet = f->place.offset;
	f->renewed = 0;
}

static void
watch(struct log_file *f)
{
	char path[40];

	if (f->watched >= 0)
		inotify_rm_watch(f->notify, f->watched);
	g_snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
	f->watched = inotify_add_watch(f->notify, path, IN_MODIFY);
}

void
log_file_close(struct log_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int
log_file_open_regular(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		errno = EINVAL;
		fd = -1;
	}
	return fd;
}

void
log_file_take(struct log_file *f, int fd, const struct stat *st, int64_t offset)
{
	log_file_close(f);
	f->fd = fd;
	f->device = st->st_dev;
	f->place.inode = st->st_ino;
	f->place.offset = offset;
	f->place.changed = log_rotated_time(st);
	log_file_forget(f);
	if (pread(fd, f->head, sizeof f->head, 0) < (ssize_t)MIN(offset, LOG_PLACE_HEAD))
		memset(f->head, 0, sizeof f->head); /* truncated now: still_same() sees it */
	watch(f);
}

char *
log_file_cannot(const struct log_file *f, int error)
{
	return g_strdup_printf(
		"events.log: %s: %s%s", f->path,
		error == EINVAL ? "not a regular file" : g_strerror(error),
		error == EACCES ? "; its readers are often the group adm: is the user in it?" : "");
}

/* The text of a time in nanoseconds since 1970, UTC; g_free it. */
static char *
time_text(int64_t ns)
{
	GDateTime *at = g_date_time_new_from_unix_utc(ns / 1000000000);
	char *text = at != NULL ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("?");

	g_clear_pointer(&at, g_date_time_unref);
	return text;
}

/* ---- finding the place ---- */

/*
 * Opens path if place is in it: LOG_READ_ENTRY; LOG_READ_NONE: it is not.  LOG_READ_SOON: path is
 * not that of this inode any more (0: of any).
 */
static enum log_read
try_file(struct log_file *f, const struct log_place *place, const char *path, ino_t inode,
	 char **why)
{
	enum log_read found = LOG_READ_NONE;
	struct stat st;
	int fd = log_file_open_regular(path, &st);

	if (fd < 0 && errno != ENOENT && errno != EINVAL) {
		*why = log_file_cannot(f, errno);
		return LOG_READ_FAILED;
	}
	if (inode != 0 && (fd < 0 || st.st_ino != inode)) {
		found = LOG_READ_SOON;
	} else if (fd >= 0 && log_place_in(place, fd, &st)) {
		log_file_take(f, fd, &st, place->offset);
		return LOG_READ_ENTRY;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* Opens the file that place is in; what is behind it is read next. */
static enum log_read
find_place(struct log_file *f, const struct log_place *place, GPtrArray *list, char **why)
{
	enum log_read found = try_file(f, place, f->path, 0, why);
	guint older = found == LOG_READ_ENTRY ? list->len : 0;

	while (found == LOG_READ_NONE && older < list->len) {
		const struct log_rotated *r = g_ptr_array_index(list, older++);

		found = try_file(f, place, r->path, r->inode, why);
		if (found == LOG_READ_FAILED && r->inode != place->inode) {
			g_clear_pointer(why, g_free);
			found = LOG_READ_NONE;
		}
	}
	if (found == LOG_READ_ENTRY)
		log_file_read_after(f, list, older, G_MININT64);
	return found;
}

void
log_file_read_after(struct log_file *f, GPtrArray *list, guint from, int64_t since)
{
	g_ptr_array_set_size(f->next, 0);
	while (from < list->len) {
		const struct log_rotated *r = g_ptr_array_index(list, from);

		if (r->changed > since && r->inode != f->place.inode)
			g_ptr_array_add(f->next, g_ptr_array_steal_index(list, from));
		else
			from++;
	}
}

/* Says what is missing between a place whose file is gone and what is read instead. */
static void
tell_lost(const struct log_file *f, const struct log_place *place)
{
	const struct log_rotated *r = f->next->len > 0 ? g_ptr_array_index(f->next, 0) : NULL;
	struct stat st;
	char *from;

	if (r == NULL && stat(f->path, &st) == 0 && st.st_ino == place->inode) {
		log_line(LOG_NOTICE, "events.log: %s was truncated: it is read from its beginning",
			 f->path);
		return;
	}
	from = time_text(place->changed);
	log_line(LOG_WARNING,
		 "warning: events.log: the file that was read until %s (inode %llu, offset %lld) "
		 "is gone: "
		 "lines from then until those of %s are lost, if there were any",
		 from, (unsigned long long)place->inode, (long long)place->offset,
		 r != NULL ? r->path : f->path);
	g_free(from);
}

/* Looks again for what comes after the open file. */
static void
look_again(struct log_file *f)
{
	GPtrArray *list = log_rotated_list(f->path);

	log_file_read_after(f, list, 0, f->place.changed);
	g_ptr_array_unref(list);
}

/*
 * Opens the first of f->next, or else the log.  LOG_READ_SOON: names have moved on meanwhile,
 * f->next is what there is now.
 */
static enum log_read
try_next(struct log_file *f, char **why)
{
	const struct log_rotated *r = f->next->len > 0 ? g_ptr_array_index(f->next, 0) : NULL;
	ino_t wanted = r != NULL ? r->inode : 0;
	struct stat st;
	int fd = log_file_open_regular(r != NULL ? r->path : f->path, &st);

	if (fd < 0 && errno != ENOENT) {
		*why = log_file_cannot(f, errno);
		return LOG_READ_FAILED;
	}
	if (fd < 0 && r == NULL)
		return LOG_READ_NONE;
	if (fd < 0 || r == NULL || st.st_ino != wanted)
		look_again(f);
	r = f->next->len > 0 ? g_ptr_array_index(f->next, 0) : NULL;
	if (fd < 0 || (r != NULL ? r->inode != st.st_ino : wanted != 0)) {
		if (fd >= 0)
			close(fd);
		return LOG_READ_SOON;
	}
	log_file_take(f, fd, &st, 0);
	if (r != NULL)
		g_ptr_array_remove_index(f->next, 0);
	return LOG_READ_ENTRY;
}

enum log_read
log_file_open_next(struct log_file *f, char **why)
{
	enum log_read got = LOG_READ_SOON;

	for (int i = 0; i < TRIES_MAX && got == LOG_READ_SOON; i++)
		got = try_next(f, why);
	return got;
}

/* The file of a place is gone: from here on only newer ones count. */
static enum log_read
go_without(struct log_file *f, const struct log_place *place, char **why)
{
	log_file_close(f);
	f->place.inode = 0;
	f->place.offset = f->place.head = 0;
	log_file_forget(f);
	look_again(f);
	if (place->head > 0)
		tell_lost(f, place);
	return log_file_open_next(f, why);
}

/* Looks for the file of a place; LOG_READ_SOON: somebody gives files other names meanwhile. */
static enum log_read
look_for(struct log_file *f, const struct log_place *place, char **why)
{
	struct stat before = {0}, after = {0};
	enum log_read found;
	GPtrArray *list;

	(void)stat(f->path, &before);
	list = log_rotated_list(f->path);
	found = find_place(f, place, list, why);
	g_ptr_array_unref(list);
	(void)stat(f->path, &after);
	return found == LOG_READ_NONE && before.st_ino != after.st_ino ? LOG_READ_SOON : found;
}

enum log_read
log_file_resume(struct log_file *f, char **why)
{
	struct log_place place = f->place;
	enum log_read found = LOG_READ_SOON;

	for (int i = 0; i < TRIES_MAX && found == LOG_READ_SOON; i++)
		found = look_for(f, &place, why);
	return found == LOG_READ_NONE ? go_without(f, &place, why) : found;
}
