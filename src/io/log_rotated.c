/*
 * log_rotated - the files that a log has been; see log_rotated.h.
 *
 * Their order is that of their last change: what rotates them keeps it, and gives names by rules
 * that everybody may set (dateformat of logrotate.conf).  A directory that cannot be read has no
 * such files.
 *
 * Who rotates may be at it: names move on while they are looked at, and a file can be missed.  So
 * the directory is looked at until it was the same twice.
 */
#include "io/log_rotated.h"

#include <string.h>

#define SCANS_MAX 20

void
log_rotated_free(void *r)
{
	g_free(((struct log_rotated *)r)->path);
	g_free(r);
}

int64_t
log_rotated_time(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* What rotation puts between or behind: a sign and a number or date. */
static bool
is_mark(const char *text, size_t len)
{
	if (len < 2 || strchr(".-_", text[0]) == NULL || !g_ascii_isdigit(text[1]))
		return false;
	for (size_t i = 2; i < len; i++)
		if (!g_ascii_isdigit(text[i]) && strchr(".-_:+TZ", text[i]) == NULL)
			return false;
	return true;
}

bool
log_rotated_is(const char *base, const char *name)
{
	const char *dot = strrchr(base, '.');
	size_t len = strlen(name), stem, tail;

	if (g_str_has_prefix(name, base)) {
		const char *rest = name + strlen(base);

		return strcmp(rest, ".old") == 0 || is_mark(rest, strlen(rest));
	}
	if (dot == NULL)
		return false;
	stem = (size_t)(dot - base);
	tail = strlen(dot);
	return len > stem + tail && strncmp(name, base, stem) == 0 &&
	       strcmp(name + len - tail, dot) == 0 && is_mark(name + stem, len - stem - tail);
}

static void
add(GPtrArray *list, const char *directory, const char *name)
{
	char *path = g_build_filename(directory, name, NULL);
	struct log_rotated *r;
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
		g_free(path);
		return;
	}
	r = g_new(struct log_rotated, 1);
	r->path = path;
	r->inode = st.st_ino;
	r->size = st.st_size;
	r->changed = log_rotated_time(&st);
	g_ptr_array_add(list, r);
}

static int
by_time(const void *a, const void *b)
{
	const struct log_rotated *x = *(struct log_rotated *const *)a;
	const struct log_rotated *y = *(struct log_rotated *const *)b;

	return x->changed < y->changed ? -1 : x->changed > y->changed;
}

static GPtrArray *
scan(const char *directory, const char *base)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(log_rotated_free);
	GDir *dir = g_dir_open(directory, 0, NULL);
	const char *name;

	while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
		if (log_rotated_is(base, name))
			add(list, directory, name);
	if (dir != NULL)
		g_dir_close(dir);
	g_ptr_array_sort(list, by_time);
	return list;
}

static bool
same(const GPtrArray *a, const GPtrArray *b)
{
	if (a->len != b->len)
		return false;
	for (guint i = 0; i < a->len; i++) {
		const struct log_rotated *x = a->pdata[i], *y = b->pdata[i];

		if (x->inode != y->inode || strcmp(x->path, y->path) != 0)
			return false;
	}
	return true;
}

GPtrArray *
log_rotated_list(const char *path)
{
	char *directory = g_path_get_dirname(path), *base = g_path_get_basename(path);
	GPtrArray *list = scan(directory, base), *before = NULL;

	for (int i = 0; i < SCANS_MAX && (before == NULL || !same(before, list)); i++) {
		g_clear_pointer(&before, g_ptr_array_unref);
		before = list;
		list = scan(directory, base);
	}
	g_clear_pointer(&before, g_ptr_array_unref);
	g_free(directory);
	g_free(base);
	return list;
}
