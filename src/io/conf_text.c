/*
 * conf_text - the text of a configuration; see conf_text.h.
 *
 * libconfig does the parsing.  This file only puts included files in their places beforehand, and
 *takes care of what libconfig 1.5 does wrong or without a word:
 *
 *	- with an include directory set, it puts that in front of absolute paths too;
 *	- settings of included files carry the name as written, not the path;
 *	- an include of a directory makes its scanner call exit();
 *	- 4294967297 becomes 1, since it reads numbers with atoi(): longer ones get their L here;
 *	- NUL octets cut a string, an unclosed string or comment at the end is nothing at all;
 *	- a comment in a last line without newline is a syntax error;
 *	- the line noted for a string in an array is that of the next token, often the line after:
 *the comma or bracket is moved up to the string.
 *
 * The scanner here knows as much of the language as that needs: strings, comments, numbers,
 *@include.
 */
#include "io/conf_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 16
#define FILE_SIZE_MAX (1 << 30)

/* From this line of the whole text on, lines are those of file, from line on. */
struct segment {
	unsigned from;
	struct origin at;
};

struct conf_text {
	GString *out;
	GArray *segments; /* of struct segment, rising */
	unsigned lines;   /* newlines in out */
	gssize closed; /* where a string just ended, with only blanks and comments since; or -1 */
	bool empty;
};

/* A file while it is being copied; they form a stack by parent. */
struct source {
	const struct source *parent;
	unsigned depth;
	dev_t device;
	ino_t inode;
	struct origin at; /* where we are in it */
	char *data;
	size_t len;
	size_t pos;
};

struct reader {
	struct conf_text *text;
	GPtrArray *files;
	struct errors *errors;
};

static bool copy_file(struct reader *r, const char *path, const struct source *parent);

/* The rest of the file, NUL-terminated by read_file(). */
static const char *
rest(const struct source *s)
{
	return s->data + s->pos;
}

static void
begin_segment(struct reader *r, const struct source *s)
{
	struct segment segment = {r->text->lines + 1, s->at};

	g_array_append_val(r->text->segments, segment);
}

/* Copies len octets and counts their lines. */
static void
copy(struct reader *r, struct source *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s->data[s->pos + i] == '\n') {
			s->at.line++;
			r->text->lines++;
		}
	g_string_append_len(r->text->out, rest(s), (gssize)len);
	s->pos += len;
}

static bool
copy_comment(struct reader *r, struct source *s)
{
	const char *end;

	if (s->data[s->pos] == '#' || s->data[s->pos + 1] == '/') {
		copy(r, s, strcspn(rest(s), "\n"));
		return true;
	}
	end = strstr(rest(s) + 2, "*/");
	if (end == NULL) {
		errors_add(r->errors, s->at, NULL, "comment without its end: expected \"*/\"");
		return false;
	}
	copy(r, s, (size_t)(end + 2 - rest(s)));
	return true;
}

/* The length of the string with its quotes, 0 if it is not closed. */
static size_t
string_length(const char *text)
{
	size_t i = 1;

	while (text[i] != '"') {
		if (text[i] == '\\' && text[i + 1] != '\0')
			i++;
		if (text[i] == '\0')
			return 0;
		i++;
	}
	return i + 1;
}

static bool
holds_nul_escape(const char *text, size_t len)
{
	for (size_t i = 0; i + 3 < len; i++)
		if (text[i] == '\\') {
			if (g_ascii_tolower(text[i + 1]) == 'x' && text[i + 2] == '0' &&
			    text[i + 3] == '0')
				return true;
			i++;
		}
	return false;
}

static bool
copy_string(struct reader *r, struct source *s)
{
	size_t len = string_length(rest(s));

	if (len == 0) {
		errors_add(r->errors, s->at, NULL, "string without its end: expected '\"'");
		return false;
	}
	if (holds_nul_escape(rest(s), len)) {
		errors_add(r->errors, s->at, NULL, "\\x00 in a string: expected text without NUL");
		return false;
	}
	copy(r, s, len);
	r->text->closed = (gssize)r->text->out->len;
	return true;
}

/* True if the digits fit int64_t; *wide tells that they do not fit int. */
static bool
number_fits(const char *digits, size_t len, bool hex, bool *wide)
{
	char *text = g_strndup(digits, len);
	gint64 n;

	errno = 0;
	n = hex ? (gint64)g_ascii_strtoull(text, NULL, 16) : g_ascii_strtoll(text, NULL, 10);
	g_free(text);
	*wide = n > G_MAXINT32 || n < G_MININT32;
	return errno == 0 && !(hex && n < 0);
}

/* A number or what begins like one, as libconfig's scanner takes it. */
static bool
copy_number(struct reader *r, struct source *s)
{
	const char *text = rest(s);
	bool hex = text[0] == '0' && g_ascii_tolower(text[1]) == 'x' && g_ascii_isxdigit(text[2]);
	size_t len = hex ? 2 : strspn(text, "+-") > 0;
	bool wide;

	len += strspn(text + len, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (!hex && strchr(".eE", text[len]) != NULL && text[len] != '\0') {
		copy(r, s, len + strspn(text + len, "0123456789.eE+-"));
		return true;
	}
	if (!number_fits(text, len, hex, &wide)) {
		errors_add(r->errors, s->at, NULL, "%.*s: expected a number of at most 64 bits",
			   (int)MIN(len, 40), text);
		return false;
	}
	copy(r, s, len);
	if (*rest(s) == 'L')
		copy(r, s, strspn(rest(s), "L"));
	else if (wide)
		g_string_append_c(r->text->out, 'L');
	return true;
}

/* The length of `@include "` at the begin of a line (blanks may stand before), or 0. */
static size_t
include_length(const struct source *s)
{
	static const char word[] = "@include";
	const char *text = rest(s);
	size_t len = sizeof word - 1, back = s->pos;

	while (back > 0 && (s->data[back - 1] == ' ' || s->data[back - 1] == '\t'))
		back--;
	if (strncmp(text, word, len) != 0 || (back > 0 && s->data[back - 1] != '\n'))
		return 0;
	len += strspn(text + len, " \t");
	return text[len] == '"' ? len + 1 : 0;
}

/* The file that `@include "NAME"` means: relative to the directory of the file that it stands in.
 */
static char *
include_path(const struct source *s, const char *name, size_t len)
{
	GString *plain = g_string_new(NULL);
	char *directory, *path;

	for (size_t i = 0; i < len; i++) {
		if (name[i] == '\\' && i + 1 < len && (name[i + 1] == '\\' || name[i + 1] == '"'))
			i++;
		g_string_append_c(plain, name[i]);
	}
	directory = g_path_get_dirname(s->at.file);
	path = g_path_is_absolute(plain->str) ? g_strdup(plain->str)
					      : g_build_filename(directory, plain->str, NULL);
	g_free(directory);
	g_string_free(plain, TRUE);
	return path;
}

static bool
copy_include(struct reader *r, struct source *s, size_t start)
{
	size_t len = string_length(rest(s) + start - 1);
	char *path;
	bool ok;

	if (len == 0) {
		errors_add(r->errors, s->at, NULL, "@include without the end of its string");
		return false;
	}
	path = include_path(s, rest(s) + start, len - 2);
	ok = copy_file(r, path, s);
	g_free(path);
	s->pos += start - 1 + len;
	begin_segment(r, s);
	return ok;
}

/* A comma or bracket after a string goes right behind it: see the top. */
static void
copy_closing(struct reader *r, struct source *s)
{
	g_string_insert_c(r->text->out, r->text->closed, s->data[s->pos++]);
	r->text->closed = -1;
}

/* The length of a name of libconfig's at the begin of text, or 0: digits in it are no numbers. */
static size_t
name_length(const char *text)
{
	if (!g_ascii_isalpha(text[0]) && text[0] != '*')
		return 0;
	return strspn(text, "-_*0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static bool
copy_token(struct reader *r, struct source *s)
{
	const char *text = rest(s);
	size_t include;

	if (g_ascii_isspace(text[0])) {
		copy(r, s, strspn(text, " \t\r\n\f\v"));
		return true;
	}
	if (text[0] == '#' || (text[0] == '/' && (text[1] == '/' || text[1] == '*')))
		return copy_comment(r, s);
	if (r->text->closed >= 0 && strchr(",])", text[0]) != NULL) {
		copy_closing(r, s);
		return true;
	}
	r->text->closed = -1;
	include = include_length(s);
	if (include > 0)
		return copy_include(r, s, include);
	r->text->empty = false;
	if (text[0] == '@') {
		/* libconfig must not see it: it would read the file itself, and exit() if it is a directory. */
		errors_add(r->errors, s->at, NULL, "\"@\": expected @include \"FILE\" at the begin of a line");
		return false;
	}
	if (text[0] == '"')
		return copy_string(r, s);
	if (g_ascii_isdigit(text[0]) ||
	    ((text[0] == '-' || text[0] == '+') && g_ascii_isdigit(text[1])))
		return copy_number(r, s);
	copy(r, s, MAX(1, name_length(text)));
	return true;
}

static bool
copy_source(struct reader *r, struct source *s)
{
	bool ok = true;

	begin_segment(r, s);
	while (ok && s->pos < s->len)
		ok = copy_token(r, s);
	if (r->text->out->len > 0 && r->text->out->str[r->text->out->len - 1] != '\n') {
		g_string_append_c(r->text->out, '\n');
		r->text->lines++;
	}
	return ok;
}

/* Tells why path cannot be read: at the @include that names it, or for the file itself. */
static bool
refuse(struct reader *r, const char *path, const struct source *parent, const char *why)
{
	struct origin at = {path, 0};

	if (parent != NULL)
		errors_add(r->errors, parent->at, "@include", "%s: %s", path, why);
	else
		errors_add(r->errors, at, NULL, "%s", why);
	return false;
}

static const char *
read_all(int fd, struct source *s, off_t size)
{
	ssize_t n = 1;

	s->data = g_malloc((size_t)size + 1);
	while (n > 0 && s->len < (size_t)size) {
		n = read(fd, s->data + s->len, (size_t)size - s->len);
		if (n > 0)
			s->len += (size_t)n;
	}
	s->data[s->len] = '\0';
	if (n < 0)
		return g_strerror(errno);
	return memchr(s->data, '\0', s->len) != NULL ? "holds NUL octets: expected text" : NULL;
}

/* Reads the file into s; returns what is wrong, or NULL. */
static const char *
read_file(const char *path, struct source *s)
{
	/* O_NONBLOCK: a FIFO must not hang us before we see that it is one. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	const char *why = NULL;

	if (fd < 0 || fstat(fd, &st) < 0)
		why = g_strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "not a regular file";
	else if (st.st_size > FILE_SIZE_MAX)
		why = "larger than 1 GiB";
	if (why == NULL) {
		s->device = st.st_dev;
		s->inode = st.st_ino;
		for (const struct source *p = s->parent; p != NULL; p = p->parent)
			if (p->device == st.st_dev && p->inode == st.st_ino)
				why = "includes itself";
	}
	if (why == NULL)
		why = read_all(fd, s, st.st_size);
	if (fd >= 0)
		close(fd);
	return why;
}

static bool
copy_file(struct reader *r, const char *path, const struct source *parent)
{
	struct source s = {.parent = parent, .depth = parent != NULL ? parent->depth + 1 : 0};
	const char *why;
	bool ok;

	if (s.depth > DEPTH_MAX)
		return refuse(r, path, parent, "included too deep: expected at most 16 levels");
	why = read_file(path, &s);
	if (why != NULL) {
		ok = refuse(r, path, parent, why);
	} else {
		s.at = (struct origin){g_strdup(path), 1};
		g_ptr_array_add(r->files, (char *)s.at.file);
		ok = copy_source(r, &s);
	}
	g_free(s.data);
	return ok;
}

struct conf_text *
conf_text_read(const char *path, GPtrArray *files, struct errors *errors)
{
	struct conf_text *t = g_new0(struct conf_text, 1);
	struct reader r = {t, files, errors};

	t->out = g_string_new(NULL);
	t->segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	t->closed = -1;
	t->empty = true;
	if (!copy_file(&r, path, NULL)) {
		conf_text_free(t);
		return NULL;
	}
	return t;
}

void
conf_text_free(struct conf_text *t)
{
	if (t == NULL)
		return;
	conf_text_drop(t);
	g_array_free(t->segments, TRUE);
	g_free(t);
}

void
conf_text_drop(struct conf_text *t)
{
	if (t->out != NULL)
		g_string_free(t->out, TRUE);
	t->out = NULL;
}

const char *
conf_text_string(const struct conf_text *t)
{
	return t->out->str;
}

bool
conf_text_empty(const struct conf_text *t)
{
	return t->empty;
}

struct origin
conf_text_origin(const struct conf_text *t, unsigned line)
{
	const struct segment *segments = (const struct segment *)(const void *)t->segments->data;
	unsigned low = 0, high = t->segments->len;
	struct origin at = segments[0].at;

	if (line == 0) {
		at.line = 0;
		return at;
	}
	while (high - low > 1) {
		unsigned middle = (low + high) / 2;

		if (segments[middle].from <= line)
			low = middle;
		else
			high = middle;
	}
	at = segments[low].at;
	at.line += line - segments[low].from;
	return at;
}
