/*
 * postfix_config - the settings of a Postfix on this host; see postfix_config.h.
 *
 * Read by its own programs, so that defaults, $name and the forms of master.cf are those that it
 * uses. Nothing is changed.
 */
#include "ctl/postfix_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- running its programs ---- */

/* In the child: the file becomes its standard input. */
static void
take_input(gpointer file)
{
	if (file != NULL)
		dup2(fileno(file), STDIN_FILENO);
}

/* Often not in the PATH of others than root. */
static char *
program_path(const char *name)
{
	char *path = g_find_program_in_path(name);

	return path != NULL ? path : g_strconcat("/usr/sbin/", name, NULL);
}

/* Standard output of "NAME [-c DIRECTORY] WORDS..."; NULL with *why unless it could be started and
 * ended with a status of at most max_status. */
static char *
run(const char *name, const char *directory, const char *const *words, FILE *input, int max_status,
    char **why)
{
	GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
	char *out = NULL, *err = NULL;
	GError *error = NULL;
	int status = 0;

	g_ptr_array_add(argv, program_path(name));
	if (directory != NULL) {
		g_ptr_array_add(argv, g_strdup("-c"));
		g_ptr_array_add(argv, g_strdup(directory));
	}
	for (; *words != NULL; words++)
		g_ptr_array_add(argv, g_strdup(*words));
	g_ptr_array_add(argv, NULL);
	if (!g_spawn_sync(NULL, (char **)argv->pdata, NULL,
			  input != NULL ? G_SPAWN_CHILD_INHERITS_STDIN : 0, take_input, input, &out,
			  &err, &status, &error)) {
		*why = g_strdup(error->message);
		g_error_free(error);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) > max_status) {
		*why = g_strdup_printf("%s: %s", name, g_strstrip(err));
		g_clear_pointer(&out, g_free);
	}
	g_free(err);
	g_ptr_array_free(argv, TRUE);
	return out;
}

/* Calls f for each line "NAME = VALUE" that "postconf WORD WORD" prints. */
static bool
each_setting(struct postfix_config *c, const char *const *words,
	     void (*f)(struct postfix_config *c, const char *name, const char *value), char **why)
{
	char *out = run("postconf", c->directory, words, NULL, 0, why), **lines;

	if (out == NULL)
		return false;
	lines = g_strsplit(out, "\n", -1);
	for (guint i = 0; lines[i] != NULL; i++) {
		char *equals = strstr(lines[i], " =");

		if (equals == NULL)
			continue;
		*equals = '\0';
		f(c, lines[i], g_strstrip(equals + 2));
	}
	g_strfreev(lines);
	g_free(out);
	return true;
}

/* ---- main.cf and master.cf ---- */

static void
add_main(struct postfix_config *c, const char *name, const char *value)
{
	g_hash_table_insert(c->main, g_strdup(name), g_strdup(value));
}

static struct postfix_service *
find(const struct postfix_config *c, const char *name, const char *type)
{
	for (guint i = 0; i < c->services->len; i++) {
		struct postfix_service *s = c->services->pdata[i];

		if (strcmp(s->name, name) == 0 && strcmp(s->type, type) == 0)
			return s;
	}
	return NULL;
}

static void
service_free(void *service)
{
	struct postfix_service *s = service;

	g_free(s->name);
	g_free(s->type);
	g_free(s->command);
	g_hash_table_destroy(s->overrides);
	g_free(s);
}

/* "smtp/inet/chroot": name and type; the service is made with the first of its fields. */
static struct postfix_service *
service_of(struct postfix_config *c, const char *path, const char **last)
{
	char **part = g_strsplit(path, "/", 3);
	struct postfix_service *s = NULL;

	if (g_strv_length(part) == 3) {
		s = find(c, part[0], part[1]);
		if (s == NULL) {
			s = g_new0(struct postfix_service, 1);
			s->name = g_strdup(part[0]);
			s->type = g_strdup(part[1]);
			s->overrides =
				g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
			g_ptr_array_add(c->services, s);
		}
		*last = path + strlen(part[0]) + strlen(part[1]) + 2;
	}
	g_strfreev(part);
	return s;
}

/* "-": no chroot since compatibility level 1. */
static bool
is_chroot(const struct postfix_config *c, const char *value)
{
	const char *level = g_hash_table_lookup(c->main, "compatibility_level");

	return *value == 'y' || (*value == '-' && (level == NULL || strcmp(level, "0") == 0));
}

static void
add_field(struct postfix_config *c, const char *path, const char *value)
{
	const char *field = "";
	struct postfix_service *s = service_of(c, path, &field);

	if (s == NULL)
		return;
	if (strcmp(field, "chroot") == 0)
		s->chroot = is_chroot(c, value);
	else if (strcmp(field, "process_limit") == 0)
		s->processes = atoi(value);
	else if (strcmp(field, "command") == 0)
		s->command = g_strndup(value, strcspn(value, " \t"));
}

static void
add_override(struct postfix_config *c, const char *path, const char *value)
{
	const char *name = "";
	struct postfix_service *s = service_of(c, path, &name);

	if (s != NULL)
		g_hash_table_insert(s->overrides, g_strdup(name), g_strdup(value));
}

struct postfix_config *
postfix_config_read(const char *directory, char **why)
{
	static const char *const main_words[] = {"-x", NULL};
	static const char *const field_words[] = {"-F", NULL};
	static const char *const override_words[] = {"-P", "-x", NULL};
	struct postfix_config *c = g_new0(struct postfix_config, 1);

	c->directory = g_strdup(directory);
	c->main = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	c->services = g_ptr_array_new_with_free_func(service_free);
	if (each_setting(c, main_words, add_main, why) &&
	    each_setting(c, field_words, add_field, why) &&
	    each_setting(c, override_words, add_override, why))
		return c;
	postfix_config_free(c);
	return NULL;
}

void
postfix_config_free(struct postfix_config *c)
{
	if (c == NULL)
		return;
	g_free(c->directory);
	g_hash_table_destroy(c->main);
	g_ptr_array_free(c->services, TRUE);
	g_free(c);
}

const char *
postfix_config_get(const struct postfix_config *c, const struct postfix_service *s,
		   const char *name)
{
	const char *value = s != NULL ? g_hash_table_lookup(s->overrides, name) : NULL;

	return value != NULL ? value : g_hash_table_lookup(c->main, name);
}

const struct postfix_service *
postfix_config_service(const struct postfix_config *c, const char *name, const char *type)
{
	return find(c, name, type);
}

/* ---- values ---- */

GPtrArray *
postfix_config_list(const char *value)
{
	GPtrArray *items = g_ptr_array_new_with_free_func(g_free);
	const char *begin = NULL;
	int depth = 0;

	for (;; value++) {
		bool separator = *value == '\0' ||
				 (depth <= 0 && (*value == ',' || g_ascii_isspace(*value)));

		depth += (*value == '{') - (*value == '}');
		if (!separator && begin == NULL) {
			begin = value;
		} else if (separator && begin != NULL) {
			g_ptr_array_add(items, g_strndup(begin, (gsize)(value - begin)));
			begin = NULL;
		}
		if (*value == '\0')
			return items;
	}
}

bool
postfix_config_has(const char *list, const char *word)
{
	GPtrArray *items = postfix_config_list(list != NULL ? list : "");
	bool has = false;

	for (guint i = 0; i < items->len; i++)
		has = has || g_ascii_strcasecmp(items->pdata[i], word) == 0;
	g_ptr_array_free(items, TRUE);
	return has;
}

gint64
postfix_config_seconds(const char *value)
{
	static const char units[] = "smhdw";
	static const gint64 seconds[] = {1, 60, 3600, 86400, 604800};
	char *end = NULL;
	gint64 n = value != NULL ? g_ascii_strtoll(value, &end, 10) : 0;
	const char *unit;

	if (n <= 0 || *end == '\0')
		return MAX(n, 0);
	unit = strchr(units, *end);
	return unit != NULL && n < G_MAXINT32 ? n * seconds[unit - units] : 0;
}

/* ---- tables ---- */

GHashTable *
postfix_config_query(const struct postfix_config *c, const char *table, const GPtrArray *keys)
{
	GHashTable *found = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	const char *words[] = {"-q", "-", table, NULL};
	char *out = NULL, *why = NULL, **lines;
	FILE *input = tmpfile();

	for (guint i = 0; input != NULL && i < keys->len; i++)
		fprintf(input, "%s\n", (char *)keys->pdata[i]);
	if (input != NULL && fflush(input) == 0 && fseek(input, 0, SEEK_SET) == 0)
		out = run("postmap", c->directory, words, input, 1, &why);
	lines = g_strsplit(out != NULL ? out : "", "\n", -1);
	for (guint i = 0; lines[i] != NULL; i++) {
		char *tab = strchr(lines[i], '\t');

		if (tab != NULL)
			g_hash_table_insert(found, g_strndup(lines[i], (gsize)(tab - lines[i])),
					    g_strdup(tab + 1));
	}
	if (input != NULL)
		fclose(input);
	g_strfreev(lines);
	g_free(out);
	g_free(why);
	return found;
}
