/*
 * conf_file - reads a configuration file (libconfig) into settings; see conf_file.h.
 *
 * The table of settings (core/setting_table.h) says what may stand where; this file walks
 * libconfig's tree along it, file by file, and drops each tree before it reads the next.  No key is
 * named here but those of the steps that follow: pools of include_dir, the user and group.
 */
#include "io/conf_file.h"

#include "core/setting_table.h"
#include "io/classifier.h"
#include "io/conf_secrets.h"
#include "io/conf_text.h"

#include <grp.h>
#include <libconfig.h>
#include <malloc.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

struct load {
	struct settings *s;
	struct errors *errors;
	int flags;
	struct conf_text *text; /* of the file at hand */
	bool pools_only;          /* it is one of include_dir */
	GString *path;            /* of the key at hand */
	bool broken;              /* a file could not be read or parsed */
	uid_t owner;              /* of keys and secrets */
};

static void load_group(struct load *l, const config_setting_t *group, const struct setting_table *t,
		       void *base);

static struct origin
origin_of(const struct load *l, const config_setting_t *value)
{
	return conf_text_origin(l->text, config_setting_source_line(value));
}

/* Takes why and reports it for the key at hand. */
static void
report(struct load *l, const config_setting_t *value, char *why)
{
	errors_add(l->errors, origin_of(l, value), l->path->str, "%s", why);
	g_free(why);
}

static const char *
type_name(const config_setting_t *value)
{
	switch (config_setting_type(value)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a fraction";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_GROUP:
		return "a group { ... }";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ... ]";
	case CONFIG_TYPE_LIST:
		return "a list ( ... )";
	}
	return "nothing";
}

static const char *
shape_name(const struct setting *m)
{
	switch (m->type) {
	case SETTING_TEXTS:
	case SETTING_NETWORKS:
		return m->flags & SETTING_ONE_OR_MORE ? "a string or an array of strings; each "
						      : "an array of strings; each ";
	case SETTING_DURATION:
	case SETTING_CHOICE:
	case SETTING_MODE:
	case SETTING_TEXT:
	case SETTING_TEMPLATE:
		return "a string: ";
	default:
		return "";
	}
}

static void
wrong_type(struct load *l, const config_setting_t *value, const struct setting *m)
{
	char *expected = setting_expected(m);

	report(l, value,
	       g_strdup_printf("is %s: expected %s%s", type_name(value), shape_name(m), expected));
	g_free(expected);
}

static void
load_text(struct load *l, const config_setting_t *value, const struct setting *m, void *base)
{
	char *why = NULL;

	if (config_setting_type(value) != CONFIG_TYPE_STRING)
		wrong_type(l, value, m);
	else if (!setting_set_text(m, base, config_setting_get_string(value), &why))
		report(l, value, why);
}

static void
load_number(struct load *l, const config_setting_t *value, const struct setting *m, void *base)
{
	int type = config_setting_type(value);
	char *why = NULL;
	int64_t n;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		wrong_type(l, value, m);
		return;
	}
	/* libconfig's int64 call does not read an int. */
	n = type == CONFIG_TYPE_INT ? config_setting_get_int(value)
				    : config_setting_get_int64(value);
	if (!setting_set_int(m, base, n, &why))
		report(l, value, why);
}

static void
load_bool(struct load *l, const config_setting_t *value, const struct setting *m, void *base)
{
	char *why = NULL;

	if (config_setting_type(value) != CONFIG_TYPE_BOOL)
		wrong_type(l, value, m);
	else if (!setting_set_bool(m, base, config_setting_get_bool(value), &why))
		report(l, value, why);
}

/* An array or list of strings; what the file says replaces the default. */
static void
load_texts(struct load *l, const config_setting_t *value, const struct setting *m, void *base)
{
	bool single = (m->flags & SETTING_ONE_OR_MORE) &&
		      config_setting_type(value) == CONFIG_TYPE_STRING;
	gsize len = l->path->len;

	if (!single && !config_setting_is_array(value) && !config_setting_is_list(value)) {
		wrong_type(l, value, m);
		return;
	}
	setting_clear(m, base);
	if (single) {
		load_text(l, value, m, base);
		return;
	}
	for (int i = 0; i < config_setting_length(value); i++) {
		g_string_append_printf(l->path, "[%d]", i);
		load_text(l, config_setting_get_elem(value, (unsigned)i), m, base);
		g_string_truncate(l->path, len);
	}
	if ((m->flags & SETTING_REQUIRED) && config_setting_length(value) == 0)
		report(l, value, g_strdup("is empty: expected at least one"));
}

static void
load_item(struct load *l, const config_setting_t *group, const struct setting *m, void *base,
	  unsigned index)
{
	void *item = setting_add_item(m, base);

	*(struct origin *)(void *)((char *)item + m->members->origin_offset) = origin_of(l, group);
	if (m->members == &setting_table_pool)
		((struct pool *)item)->index = index;
	else if (m->members == &setting_table_isp)
		((struct isp *)item)->index = index;
	load_group(l, group, m->members, item);
}

static void
load_list(struct load *l, const config_setting_t *value, const struct setting *m, void *base)
{
	gsize len = l->path->len;

	/* An empty array looks like an empty list to whoever writes it. */
	if (!config_setting_is_list(value) &&
	    !(config_setting_is_array(value) && config_setting_length(value) == 0)) {
		wrong_type(l, value, m);
		return;
	}
	for (int i = 0; i < config_setting_length(value); i++) {
		const config_setting_t *group = config_setting_get_elem(value, (unsigned)i);

		g_string_append_printf(l->path, "[%d]", i);
		if (config_setting_is_group(group))
			load_item(l, group, m, base, (unsigned)i);
		else
			report(l, group,
			       g_strdup_printf("is %s: expected a group { ... }",
					       type_name(group)));
		g_string_truncate(l->path, len);
	}
}

static void
load_setting(struct load *l, const config_setting_t *value, const struct setting *m, void *base)
{
	switch (m->type) {
	case SETTING_BOOL:
		load_bool(l, value, m, base);
		break;
	case SETTING_INT:
		load_number(l, value, m, base);
		break;
	case SETTING_DURATION:
	case SETTING_CHOICE:
	case SETTING_MODE:
	case SETTING_TEXT:
	case SETTING_TEMPLATE:
		load_text(l, value, m, base);
		break;
	case SETTING_TEXTS:
	case SETTING_NETWORKS:
		load_texts(l, value, m, base);
		break;
	case SETTING_GROUP:
		if (config_setting_is_group(value))
			load_group(l, value, m->members, base);
		else
			wrong_type(l, value, m);
		break;
	case SETTING_LIST:
		load_list(l, value, m, base);
		break;
	}
}

static void
unknown_key(struct load *l, const config_setting_t *value, const struct setting_table *t)
{
	const char *near = setting_suggest(t, config_setting_name(value));

	report(l, value,
	       near != NULL ? g_strdup_printf("unknown key: did you mean \"%s\"?", near)
			    : g_strdup("unknown key"));
}

/* Keys outside of pools keep their places, for checks later on. */
static void
remember_origin(struct load *l, const config_setting_t *value)
{
	struct origin *at = g_new(struct origin, 1);

	*at = origin_of(l, value);
	g_hash_table_replace(l->s->origins, g_strdup(l->path->str), at);
}

/* Keys of a pool keep only their distance from its begin: there may be very many. */
static void
remember_pool_line(struct load *l, const config_setting_t *value, struct pool *p, size_t row)
{
	struct origin at = origin_of(l, value);

	if (at.file == p->origin.file && at.line - p->origin.line <= UINT16_MAX)
		p->lines[row] = (uint16_t)(at.line - p->origin.line);
}

/* Appends a key to the path, returns the length to cut it to afterwards. */
static gsize
path_push(struct load *l, const char *name)
{
	gsize len = l->path->len;

	if (len > 0)
		g_string_append_c(l->path, '.');
	g_string_append(l->path, name);
	return len;
}

static void
check_missing(struct load *l, const config_setting_t *group, const struct setting_table *t,
	      const void *base, uint64_t seen)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct setting *m = &t->settings[i];
		gsize len = path_push(l, m->name);

		if (!(seen & UINT64_C(1) << i) &&
		    ((m->flags & SETTING_REQUIRED) ||
		     (m->required_if != NULL && m->required_if(base)))) {
			char *expected = setting_expected(m);

			report(l, group, g_strdup_printf("missing: expected %s", expected));
			g_free(expected);
		}
		g_string_truncate(l->path, len);
	}
}

static void
load_group(struct load *l, const config_setting_t *group, const struct setting_table *t, void *base)
{
	uint64_t seen = 0;

	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *value = config_setting_get_elem(group, (unsigned)i);
		const struct setting *m = setting_find(t, config_setting_name(value));
		gsize len = path_push(l, config_setting_name(value));

		if (base == l->s && !l->pools_only)
			remember_origin(l, value);
		if (m == NULL) {
			unknown_key(l, value, t);
		} else if (l->pools_only && t == &setting_table &&
			   m->members != &setting_table_pool) {
			report(l, value, g_strdup("expected only pools in a file of include_dir"));
		} else {
			seen |= UINT64_C(1) << (m - t->settings);
			if (t == &setting_table_pool)
				remember_pool_line(l, value, base, (size_t)(m - t->settings));
			load_setting(l, value, m, base);
		}
		g_string_truncate(l->path, len);
	}
	if (!l->pools_only || t != &setting_table)
		check_missing(l, group, t, base, seen);
}

static void
syntax_error(struct load *l, const config_t *config)
{
	struct origin at = conf_text_origin(l->text, (unsigned)config_error_line(config));
	const char *text = config_error_text(config);

	if (text == NULL || strcmp(text, "syntax error") == 0)
		text = "syntax error before or in this line: expected KEY = VALUE;";
	errors_add(l->errors, at, NULL, "%s", text);
	l->broken = true;
}

static void
load_text_of_file(struct load *l)
{
	config_t config;
	bool ok;

	config_init(&config);
	ok = config_read_string(&config, conf_text_string(l->text)) == CONFIG_TRUE;
	conf_text_drop(l->text);
	if (!ok)
		syntax_error(l, &config);
	else
		load_group(l, config_root_setting(&config), &setting_table, l->s);
	config_destroy(&config);
}

static void
load_file(struct load *l, const char *path, bool pools_only)
{
	struct conf_text *text = conf_text_read(path, l->s->files, l->errors);

	if (text == NULL || conf_text_empty(text))
		l->broken = true;
	if (text == NULL)
		return;
	l->text = text;
	l->pools_only = pools_only;
	if (conf_text_empty(text))
		errors_add(l->errors, conf_text_origin(text, 1), NULL, "is empty: expected %s",
			   pools_only ? "pools = ( { ... } );" : "listen and pools");
	else
		load_text_of_file(l);
	l->text = NULL;
	conf_text_free(text);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the *.conf files in the directory, in order; NULL if it cannot be read. */
static GPtrArray *
directory_names(struct load *l, const char *directory)
{
	GPtrArray *names;
	GError *error = NULL;
	GDir *d = g_dir_open(directory, 0, &error);
	const char *name;

	if (d == NULL) {
		errors_add(l->errors, settings_origin(l->s, "include_dir"), "include_dir", "%s",
			   error->message);
		g_error_free(error);
		return NULL;
	}
	names = g_ptr_array_new_with_free_func(g_free);
	while ((name = g_dir_read_name(d)) != NULL)
		if (g_str_has_suffix(name, ".conf") && name[0] != '.')
			g_ptr_array_add(names, g_strdup(name));
	g_dir_close(d);
	g_ptr_array_sort(names, compare_names);
	return names;
}

static void
load_directory(struct load *l, const char *directory)
{
	GPtrArray *names = directory_names(l, directory);

	for (guint i = 0; names != NULL && i < names->len; i++) {
		char *path = g_build_filename(directory, names->pdata[i], NULL);

		load_file(l, path, true);
		g_free(path);
	}
	if (names != NULL)
		g_ptr_array_free(names, TRUE);
}

/* Looks up user and socket_group; owner becomes the user's ID. */
static void
check_accounts(struct load *l)
{
	const struct passwd *pw;

	l->owner = geteuid();
	if (l->s->user != NULL) {
		pw = getpwnam(l->s->user);
		if (pw != NULL)
			l->owner = pw->pw_uid;
		else
			errors_add(l->errors, settings_origin(l->s, "user"), "user",
				   "\"%s\": expected a user of this system", l->s->user);
	}
	if (l->s->socket_group != NULL && getgrnam(l->s->socket_group) == NULL)
		errors_add(l->errors, settings_origin(l->s, "socket_group"), "socket_group",
			   "\"%s\": expected a group of this system", l->s->socket_group);
}

/* Which patterns are regular expressions, PCRE2 tells. */
static void
check_patterns(struct load *l)
{
	if (!errors_any(l->errors))
		classifier_free(classifier_new(l->s, l->errors));
}

static void
load_all(struct load *l, const char *path)
{
	load_file(l, path, false);
	if (l->s->include_dir != NULL)
		load_directory(l, l->s->include_dir);
	/* Whatever is missing then, may stand in the file that could not be read. */
	if (l->broken)
		return;
	settings_finish(l->s, l->errors);
	check_accounts(l);
	check_patterns(l);
	conf_secrets_load(l->s, l->flags, l->owner, l->errors);
	malloc_trim(0); /* libconfig's trees are larger than all that we keep */
}

struct settings *
conf_file_load(const char *path, int flags, struct errors *errors)
{
	struct load l = {.s = settings_new(), .errors = errors, .flags = flags};

	l.path = g_string_new(NULL);
	load_all(&l, path);
	g_string_free(l.path, TRUE);
	if (errors_any(errors)) {
		settings_unref(l.s);
		return NULL;
	}
	return l.s;
}
