/*
 * fuzz - what the fuzz targets share; see fuzz.h.
 */
#include "fuzz.h"

#include "io/conf_file.h"
#include "io/keygen.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_OCTETS 998 /* RFC 5322 2.1.1 */

_Noreturn void
fuzz_fail(const char *condition, const char *file, int line, const char *text)
{
	char *shown = text != NULL ? g_strescape(text, NULL) : NULL;

	fprintf(stderr, "%s:%d: not so: %s%s%s\n", file, line, condition, shown != NULL ? ": " : "",
		shown != NULL ? shown : "");
	abort();
}

unsigned
input_octet(struct input *in)
{
	if (in->len == 0)
		return '0';
	in->len--;
	return *in->data++;
}

unsigned
input_choice(struct input *in, unsigned n)
{
	return input_octet(in) % n;
}

char *
input_line(struct input *in)
{
	const uint8_t *lf = in->len > 0 ? memchr(in->data, '\n', in->len) : NULL;
	size_t len = lf != NULL ? (size_t)(lf - in->data) : in->len;
	char *line = len > 0 ? g_strndup((const char *)in->data, len) : g_strdup("");

	if (lf != NULL)
		len++;
	if (len > 0) {
		in->data += len;
		in->len -= len;
	}
	return line;
}

static char *directory;

static void
directory_remove(void)
{
	GDir *d = g_dir_open(directory, 0, NULL);
	const char *name;

	while (d != NULL && (name = g_dir_read_name(d)) != NULL) {
		char *path = g_build_filename(directory, name, NULL);

		g_unlink(path);
		g_free(path);
	}
	if (d != NULL)
		g_dir_close(d);
	g_rmdir(directory);
	g_clear_pointer(&directory, g_free);
}

const char *
fuzz_directory(void)
{
	if (directory == NULL) {
		directory = g_dir_make_tmp("poolmilter-fuzz.XXXXXX", NULL);
		require(directory != NULL);
		atexit(directory_remove);
	}
	return directory;
}

const char *
fuzz_write(const char *name, const void *data, size_t len)
{
	static char path[4096];
	int fd;

	g_snprintf(path, sizeof path, "%s/%s", fuzz_directory(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0);
	require(len == 0 || write(fd, data, len) == (ssize_t)len);
	close(fd);
	return path;
}

static void
make_key(void)
{
	char *why = NULL, *pem;
	void *pkey = keygen_new(KEY_ED25519, 0, &why);

	require(pkey != NULL);
	pem = keygen_pem(pkey);
	require(pem != NULL);
	fuzz_write("key.pem", pem, strlen(pem));
	g_free(pem);
	keygen_free(pkey);
}

static char *
complete(const char *text)
{
	char *all = g_strconcat("listen = \"unix:@D/socket\"; state_dir = \"@D\";\n", text, NULL);
	char **parts = g_strsplit(all, "@D", -1), *result = g_strjoinv(fuzz_directory(), parts);

	g_strfreev(parts);
	g_free(all);
	return result;
}

struct settings *
fuzz_settings(const char *text)
{
	char *config = complete(text);
	struct errors *errors = errors_new();
	struct settings *s;

	make_key();
	fuzz_write("return-path.secret", FUZZ_SECRET, strlen(FUZZ_SECRET));
	s = conf_file_load(fuzz_write("fuzz.conf", config, strlen(config)), 0, errors);
	if (s == NULL)
		for (guint i = 0; i < errors->errors->len; i++)
			fprintf(stderr, "%s\n", (char *)errors->errors->pdata[i]);
	require(s != NULL);
	errors_free(errors);
	g_free(config);
	return s;
}

bool
fuzz_dot_atom(const char *text, size_t len)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~";

	if (len == 0 || text[0] == '.' || text[len - 1] == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.' ? text[i - 1] == '.'
				   : text[i] == '\0' || (!g_ascii_isalnum(text[i]) &&
							 strchr(others, text[i]) == NULL))
			return false;
	}
	return true;
}

void
fuzz_check_value(const char *name, const char *value, size_t len)
{
	size_t line = strlen(name) + 1; /* "Name:" */
	bool words = true; /* on this line; a line of blanks only is none (RFC 5322 3.2.2) */

	require_of(strlen(value) == len, name);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		require_of((c >= 32 && c < 127) || c == '\n' || c == '\t', value);
		if (c == '\n') {
			require_of(words, value);
			require_of(line <= LINE_MAX_OCTETS, value);
			require_of(value[i + 1] == ' ' || value[i + 1] == '\t', value);
			line = 0;
			words = false;
			continue;
		}
		line++;
		words = words || (c != ' ' && c != '\t');
	}
	require_of(words, value);
	require_of(line <= LINE_MAX_OCTETS, value);
}
