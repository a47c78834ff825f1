/*
 * fixture - what unit tests share; see fixture.h.
 */
#include "fixture.h"

#include "io/conf_file.h"
#include "io/keygen.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *directory;
static GPtrArray *paths; /* of char *: every name asked for, to be removed */

static void
remove_all(void)
{
	for (guint i = 0; i < paths->len; i++)
		(void)remove(paths->pdata[i]);
	(void)rmdir(directory);
	g_ptr_array_free(paths, TRUE);
	g_free(directory);
}

const char *
fixture_directory(void)
{
	GError *error = NULL;

	if (directory == NULL) {
		directory = g_dir_make_tmp("poolmilter-unit-XXXXXX", &error);
		if (directory == NULL)
			g_error("no temporary directory: %s", error->message);
		paths = g_ptr_array_new_with_free_func(g_free);
		atexit(remove_all);
	}
	return directory;
}

const char *
fixture_path(const char *name)
{
	char *path = g_build_filename(fixture_directory(), name, NULL);

	for (guint i = 0; i < paths->len; i++) {
		if (strcmp(paths->pdata[i], path) == 0) {
			g_free(path);
			return paths->pdata[i];
		}
	}
	g_ptr_array_add(paths, path);
	return path;
}

void
fixture_write(const char *name, const void *data, size_t len, mode_t mode)
{
	const char *path = fixture_path(name);

	if (!g_file_set_contents(path, data, (gssize)len, NULL) || chmod(path, mode) != 0)
		fail_msg("cannot write %s", path);
}

void
fixture_key(const char *name, enum key_type type, unsigned bits)
{
	char *why = NULL, *pem;
	void *key = keygen_new(type, bits, &why);

	assert_non_null(key);
	pem = keygen_pem(key);
	fixture_write(name, pem, strlen(pem), 0600);
	g_free(pem);
	keygen_free(key);
}

static void
fail_with(const struct errors *errors)
{
	GString *all = g_string_new("settings are wrong:");

	for (guint i = 0; i < errors->errors->len; i++)
		g_string_append_printf(all, "\n%s", (char *)errors->errors->pdata[i]);
	print_error("%s\n", all->str);
	g_string_free(all, TRUE);
	fail();
}

struct settings *
fixture_settings(const char *text)
{
	static bool made;
	struct errors *errors = errors_new();
	char *whole = g_strconcat("listen = \"unix:@D/s\"; state_dir = \"@D\";\n", text, NULL);
	char **parts = g_strsplit(whole, "@D", -1), *config = g_strjoinv(fixture_directory(), parts);
	struct settings *s;

	if (!made) {
		fixture_key("key.pem", KEY_ED25519, 0);
		fixture_write("return-path.secret", FIXTURE_SECRET, strlen(FIXTURE_SECRET), 0600);
		made = true;
	}
	fixture_write("poolmilter.conf", config, strlen(config), 0600);
	s = conf_file_load(fixture_path("poolmilter.conf"), 0, errors);
	if (s == NULL)
		fail_with(errors);
	errors_free(errors);
	g_strfreev(parts);
	g_free(config);
	g_free(whole);
	return s;
}

/* Adds the field that begins at text; returns what follows it. */
static const char *
add_field(struct message *m, const char *text)
{
	const char *colon = strchr(text, ':'), *end = strchr(text, '\n');

	while (end[1] == ' ' || end[1] == '\t')
		end = strchr(end + 1, '\n');
	message_add_field(m, text, (size_t)(colon - text), colon + 1, (size_t)(end - colon - 1));
	return end + 1;
}

struct message *
fixture_message(const char *text, const char *sender, const char *rcpt)
{
	struct message *m = message_new(sender, 1 << 30);
	char **lines, *body;

	while (*text != '\0' && *text != '\n')
		text = add_field(m, text);
	if (*text == '\n' && text[1] != '\0') {
		lines = g_strsplit(text + 1, "\n", -1);
		body = g_strjoinv("\r\n", lines);
		message_add_body(m, body, strlen(body));
		g_free(body);
		g_strfreev(lines);
	}
	if (rcpt != NULL)
		message_add_rcpt(m, rcpt);
	message_seal(m);
	return m;
}

static void
append_field(const struct field *f, void *text)
{
	g_string_append_len(text, f->name, (gssize)f->name_len);
	g_string_append_c(text, ':');
	g_string_append_len(text, f->value, (gssize)f->value_len);
	g_string_append_c(text, '\n');
}

char *
fixture_image_text(const struct image *image)
{
	GString *text = g_string_new(NULL);

	image_each(image, append_field, text);
	return g_string_free(text, FALSE);
}

static bool
fake_sign(void *context, const struct sign_request *r, struct buf *out, const char **algorithm,
	  char **why)
{
	struct fake_signer *f = context;
	GString *line = g_string_new(NULL);

	g_string_append_printf(line, "d=%s s=%s h=", r->signature->domain, r->signature->selector);
	for (guint i = 0; i < r->fields->len; i++) {
		const struct field *field = r->fields->pdata[i];

		g_string_append_printf(line, "%s%.*s", i > 0 ? ":" : "", (int)field->name_len,
				       field->name);
	}
	g_string_append(line, " over=");
	for (size_t i = 0; r->oversigned[i] != NULL; i++)
		g_string_append_printf(line, "%s:", r->oversigned[i]);
	g_string_append_printf(line, " body=%zu t=%lld x=%lld", r->body_len, (long long)r->now,
			       (long long)r->expire);
	g_ptr_array_add(f->requests, g_string_free(line, FALSE));
	*algorithm = "fake-sha256";
	if (f->requests->len == f->fail_at) {
		*why = g_strdup("the fake refuses");
		return false;
	}
	buf_puts(out, " v=1; d=");
	buf_puts(out, r->signature->domain);
	return true;
}

void
fake_signer_init(struct fake_signer *f)
{
	f->signer.sign = fake_sign;
	f->signer.context = f;
	f->requests = g_ptr_array_new_with_free_func(g_free);
	f->fail_at = 0;
}

void
fake_signer_clear(struct fake_signer *f)
{
	g_ptr_array_free(f->requests, TRUE);
}

char *
fixture_stderr_of(void (*f)(void))
{
	const char *path = fixture_path("stderr");
	char *text = NULL;
	int status = -1;
	pid_t child;

	(void)fflush(NULL);
	child = fork();
	if (child == 0) {
		if (freopen(path, "w", stderr) == NULL)
			_exit(99);
		f();
		(void)fflush(stderr);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(g_file_get_contents(path, &text, NULL, NULL));
	if (status != 0)
		fail_msg("the child ended with status %d, standard error: %s", status, text);
	return text;
}

#ifndef __has_feature
#define __has_feature(x) 0 /* gcc has macros instead */
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

bool
fixture_instrumented(void)
{
	return INSTRUMENTED;
}

bool
fixture_under_a_second(clock_t begun)
{
	return clock() - begun < CLOCKS_PER_SEC * (INSTRUMENTED ? 10 : 1);
}

void
fixture_tools_init(struct fixture_tools *t, const struct signer *signer,
		   const struct injector *injector, const struct limiter *limiter)
{
	t->hours = tally_table_new(1000);
	t->tools = (struct session_tools){.signer = signer,
					  .injector = injector,
					  .limiter = limiter,
					  .reached = reached_new(),
					  .locks = lock_table_new(),
					  .stats = stats_new(t->hours)};
}

void
fixture_tools_clear(struct fixture_tools *t)
{
	reached_free(t->tools.reached);
	lock_table_free(t->tools.locks);
	stats_free(t->tools.stats);
	tally_table_free(t->hours);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *
fixture_joined(GPtrArray *texts, const char *separator)
{
	char *text;

	g_ptr_array_sort(texts, by_text);
	g_ptr_array_add(texts, NULL);
	text = g_strjoinv(separator, (char **)texts->pdata);
	g_ptr_array_unref(texts);
	return text;
}

void
fixture_tally(const char *key, const char *field, int64_t value, void *texts)
{
	g_ptr_array_add(texts, g_strdup_printf("%s|%s=%" G_GINT64_FORMAT, key, field, (gint64)value));
}

char *
fixture_tallies(struct tally_table *t, const char *separator)
{
	GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);

	tally_table_each(t, fixture_tally, texts);
	return fixture_joined(texts, separator);
}
