/*
 * state_file - a file that outlives the process; see state_file.h.
 */
#include "io/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)256 * 1024)

/* What is wrong, or NULL. */
static const char *
read_open(int fd, size_t max, struct buf *out)
{
	char *piece = g_malloc(PIECE);
	const char *problem = NULL;
	size_t len = 0;
	ssize_t n = 0;
	struct stat st;

	if (fstat(fd, &st) != 0)
		problem = g_strerror(errno);
	else if (!S_ISREG(st.st_mode))
		problem = "not a regular file";
	while (problem == NULL && ((n = read(fd, piece, PIECE)) > 0 || (n < 0 && errno == EINTR))) {
		if (n < 0)
			continue;
		len += (size_t)n;
		if (len > max)
			problem = "too large";
		else
			buf_add(out, piece, (size_t)n);
	}
	if (problem == NULL && n < 0)
		problem = g_strerror(errno);
	if (problem == NULL && buf_failed(out))
		problem = g_strerror(ENOMEM);
	g_free(piece);
	return problem;
}

bool
state_file_read(const char *path, size_t max, struct buf *out, char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	const char *problem;

	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0) {
		problem = g_strerror(errno);
	} else {
		problem = read_open(fd, max, out);
		close(fd);
	}
	if (problem != NULL)
		*why = g_strdup_printf("%s: %s", path, problem);
	return problem == NULL;
}

static bool
write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

bool
state_file_sync_directory(const char *path)
{
	char *directory = g_path_get_dirname(path);
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	g_free(directory);
	return ok;
}

static bool
write_new(const char *temporary, mode_t mode, const void *data, size_t len)
{
	int fd, error;
	bool ok;

	/* What a crash left there, or a link that somebody put there, is not written into. */
	if (unlink(temporary) != 0 && errno != ENOENT)
		return false;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	ok = fchmod(fd, mode) == 0 && write_all(fd, data, len) && fsync(fd) == 0;
	error = errno;
	ok = close(fd) == 0 && ok;
	if (!ok) {
		unlink(temporary);
		errno = error;
	}
	return ok;
}

bool
state_file_write(const char *path, mode_t mode, const void *data, size_t len, char **why)
{
	char *temporary = g_strconcat(path, ".new", NULL);
	bool ok = write_new(temporary, mode, data, len) && rename(temporary, path) == 0 &&
		  state_file_sync_directory(path);

	if (!ok)
		*why = g_strdup_printf("%s: cannot be written: %s", path, g_strerror(errno));
	g_free(temporary);
	return ok;
}
