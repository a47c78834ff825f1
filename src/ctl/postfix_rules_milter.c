/*
 * postfix_rules_milter - how Postfix asks poolmilter; see postfix_finding.h.
 *
 * A milter in a list is poolmilter if its socket is one that poolmilter listens on.  A path is seen
 * from the queue directory, and by a chrooted process as if that were the root.
 */
#include "ctl/postfix_finding.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CONTENT_SPARE_SECONDS 10 /* signing and encoding of a large message on a busy host */
#define COMMAND_SPARE_SECONDS 2
#define GROUPS_MAX 128

/* ---- which milter is poolmilter ---- */

/* "unix:/path" of "unix:/path" or "{ unix:/path, timeout... }"; g_free it. */
static char *
milter_socket(const char *item)
{
	const char *begin = item + strspn(item, "{ \t");

	return g_strndup(begin, strcspn(begin, " \t,}"));
}

static bool
same_file(const char *a, const char *b)
{
	struct stat st, other;
	char *x = g_canonicalize_filename(a, "/"), *y = g_canonicalize_filename(b, "/");
	bool same = strcmp(x, y) == 0 || (stat(x, &st) == 0 && stat(y, &other) == 0 &&
					  st.st_dev == other.st_dev && st.st_ino == other.st_ino);

	g_free(x);
	g_free(y);
	return same;
}

/* A path as a process sees it; g_free it. */
static char *
seen_path(const struct postfix_findings *f, const char *path, bool chroot)
{
	const char *queue = postfix_config_get(f->config, NULL, "queue_directory");

	return chroot || *path != '/' ? g_build_filename(queue, path, NULL) : g_strdup(path);
}

static bool
is_listen_path(const struct postfix_findings *f, const char *listen, const char *path)
{
	char *outside = seen_path(f, path, false), *inside = seen_path(f, path, true);
	bool is = g_str_has_prefix(listen, "unix:") &&
		  (same_file(listen + 5, outside) || same_file(listen + 5, inside));

	g_free(outside);
	g_free(inside);
	return is;
}

/* "inet:HOST:PORT" against "inet:PORT@HOST": the port decides, hosts have many names. */
static bool
is_listen_port(const char *listen, const char *socket)
{
	const char *port = strrchr(socket, ':') + 1;
	size_t len = strlen(port);
	const char *ours = strchr(listen, ':') + 1;

	return g_str_has_prefix(listen, "inet") && strncmp(ours, port, len) == 0 &&
	       ours[len] == '@';
}

static bool
is_poolmilter(const struct postfix_findings *f, const char *item)
{
	const GPtrArray *listen = f->plan->settings->listen;
	char *socket = milter_socket(item);
	bool is = false;

	for (guint i = 0; i < listen->len && !is; i++)
		if (g_str_has_prefix(socket, "unix:") || g_str_has_prefix(socket, "local:"))
			is = is_listen_path(f, listen->pdata[i], strchr(socket, ':') + 1);
		else if (g_str_has_prefix(socket, "inet:"))
			is = is_listen_port(listen->pdata[i], socket);
	g_free(socket);
	return is;
}

/* Poolmilter's item of a list (g_free it), NULL: it is not there. */
static char *
own_item(const struct postfix_findings *f, const char *milters)
{
	GPtrArray *items = postfix_config_list(milters);
	char *own = NULL;

	for (guint i = 0; i < items->len && own == NULL; i++)
		if (is_poolmilter(f, items->pdata[i]))
			own = g_strdup(items->pdata[i]);
	g_ptr_array_free(items, TRUE);
	return own;
}

bool
postfix_finding_is_asked(const struct postfix_findings *f, const char *milters)
{
	char *own = milters != NULL ? own_item(f, milters) : NULL;
	bool asked = own != NULL;

	g_free(own);
	return asked;
}

/* What a milter has of its own in "{ unix:/path, NAME=VALUE }"; g_free it, NULL: nothing. */
static char *
item_setting(const char *item, const char *name)
{
	char *inner = *item == '{' ? g_strndup(item + 1, strlen(item) - 2) : g_strdup("");
	GPtrArray *words;
	char *value = NULL;

	g_strdelimit(inner, "=", ' '); /* "a = b" and "a=b" alike: a word, then another */
	words = postfix_config_list(inner);
	for (guint i = 1; i + 1 < words->len; i++)
		if (strcmp(words->pdata[i], name) == 0)
			value = g_strdup(words->pdata[i + 1]);
	g_ptr_array_free(words, TRUE);
	g_free(inner);
	return value;
}

/* ---- the lists ---- */

static bool
may_go_without(const struct postfix_findings *f, const struct postfix_service *s)
{
	const char *options = postfix_config_get(f->config, s, "receive_override_options");

	return s != NULL && postfix_finding_is_local(s) &&
	       (postfix_config_has(options, "no_milters") || postfix_finding_filters(f));
}

static void
rule_order(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	   const char *value)
{
	GPtrArray *items = postfix_config_list(value);
	guint n = 0;

	for (guint i = 0; i < items->len; i++)
		n += is_poolmilter(f, items->pdata[i]);
	if (n > 1)
		postfix_finding_add(f, s, setting, "name it once",
				    "poolmilter stands there %u times: mail is signed "
				    "and counted as often",
				    n);
	else if (n == 1 && !is_poolmilter(f, items->pdata[items->len - 1]))
		postfix_finding_add(
			f, s, setting, "name poolmilter last",
			"what milters behind poolmilter change is changed after signing");
	g_ptr_array_free(items, TRUE);
}

static void
rule_milters(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	     const char *value)
{
	if (!postfix_finding_is_asked(f, value) && !may_go_without(f, s))
		postfix_finding_add(
			f, s, setting, "add $poolmilter_milter, or poolmilter's socket, at the end",
			"poolmilter is not asked: mail that comes in here leaves unsigned");
	rule_order(f, s, setting, value);
}

static void
rule_override(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	      const char *value)
{
	if (postfix_config_has(value, "no_milters") && (s == NULL || !postfix_finding_is_local(s)))
		postfix_finding_add(
			f, s, setting,
			"only a service on loopback that takes mail back from a filter may "
			"have no_milters",
			"no_milters: poolmilter is not asked, mail leaves unsigned");
}

static void
rule_milter_maps(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		 const char *value)
{
	if (*value != '\0')
		postfix_finding_add(
			f, s, setting,
			"leave it empty; trusted_networks of poolmilter.conf chooses clients",
			"clients in this table are not asked about: their mail leaves unsigned");
}

/* ---- one milter's settings, its own or those of all ---- */

/* Calls use with the value that poolmilter's item in the list has of its own. */
static void
own_value(struct postfix_findings *f, const struct postfix_service *s, const char *list,
	  const char *name,
	  void (*use)(struct postfix_findings *f, const struct postfix_service *s,
		      const char *setting, const char *value))
{
	char *item = own_item(f, list), *value = item != NULL ? item_setting(item, name) : NULL;

	if (value != NULL)
		use(f, s, "smtpd_milters", value);
	g_free(value);
	g_free(item);
}

static void
rule_action(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	    const char *value)
{
	if (strcmp(value, "tempfail") == 0)
		return;
	postfix_finding_add(
		f, s, setting, "milter_default_action = tempfail", "while poolmilter is away, %s",
		strcmp(value, "accept") == 0
			? "mail leaves unsigned, or damaged if it went away amid an edit"
		: strcmp(value, "quarantine") == 0 ? "mail is held as if it were sent"
						   : "mail is refused for good");
}

static void
rule_own_action(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		const char *value)
{
	(void)setting;
	own_value(f, s, value, "default_action", rule_action);
}

static void
rule_protocol(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	      const char *value)
{
	if (atoi(value) < 6)
		postfix_finding_add(
			f, s, setting, "milter_protocol = 6",
			"poolmilter needs protocol 6 and refuses to begin: all mail is deferred");
}

static gint64
redis_seconds(const struct settings *s)
{
	return s->redis.used
		       ? (s->redis.connect_timeout_ms + s->redis.command_timeout_ms) / 1000 + 1
		       : 0;
}

static void
check_time(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	   const char *value, gint64 needed)
{
	if (postfix_config_seconds(value) < needed)
		postfix_finding_add(f, s, setting,
				    "give it the default, 30s (milter_content_timeout: 300s)",
				    "poolmilter may take %" G_GINT64_FORMAT
				    " s here: mail that it has finished is tried again",
				    needed);
}

static void
rule_content_time(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		  const char *value)
{
	const struct settings *c = f->plan->settings;

	check_time(f, s, setting, value,
		   c->dns.timeout_ms / 1000 + redis_seconds(c) + CONTENT_SPARE_SECONDS);
}

static void
rule_command_time(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		  const char *value)
{
	check_time(f, s, setting, value,
		   f->plan->settings->dns.timeout_ms / 1000 + COMMAND_SPARE_SECONDS);
}

static void
rule_connect_time(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		  const char *value)
{
	check_time(f, s, setting, value, COMMAND_SPARE_SECONDS);
}

static void
rule_own_times(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	       const char *value)
{
	(void)setting;
	own_value(f, s, value, "content_timeout", rule_content_time);
	own_value(f, s, value, "command_timeout", rule_command_time);
	own_value(f, s, value, "connect_timeout", rule_connect_time);
}

static void
rule_login_macro(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
		 const char *value)
{
	if (!postfix_config_has(value, "{auth_authen}") &&
	    !postfix_config_has(value, "auth_authen"))
		postfix_finding_add(f, s, setting, "add {auth_authen}",
				    "poolmilter does not learn who has logged in, and passes the "
				    "mail as a stranger's");
}

static void
rule_id_macro(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	      const char *value)
{
	if (!postfix_config_has(value, "i") && !postfix_config_has(value, "{i}"))
		postfix_finding_add(f, s, setting, "add i",
				    "poolmilter does not learn the queue ID: log lines and "
				    "Return-Path tokens do without");
}

/* ---- the socket ---- */

static bool
allowed(const struct stat *st, const struct passwd *pw, unsigned bit)
{
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;

	if (st->st_uid == pw->pw_uid)
		return (st->st_mode & (bit << 6)) != 0;
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
		n = GROUPS_MAX;
	for (int i = 0; i < n; i++)
		if (st->st_gid == groups[i])
			return (st->st_mode & (bit << 3)) != 0;
	return (st->st_mode & bit) != 0;
}

/* The first directory on the way to path that the user cannot enter; g_free it, NULL: none. */
static char *
closed_directory(const char *path, const struct passwd *pw)
{
	char *closed = NULL;

	for (const char *slash = strchr(path + 1, '/'); slash != NULL && closed == NULL;
	     slash = strchr(slash + 1, '/')) {
		char *directory = g_strndup(path, (gsize)(slash - path));
		struct stat st;

		if (stat(directory, &st) == 0 && !allowed(&st, pw, 1))
			closed = g_steal_pointer(&directory);
		g_free(directory);
	}
	return closed;
}

/* Postfix' processes connect as mail_owner. */
static void
check_rights(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	     const char *path, const struct stat *st)
{
	const char *owner = postfix_config_get(f->config, NULL, "mail_owner");
	const struct passwd *pw = getpwnam(owner);
	char *closed;

	if (pw == NULL)
		return;
	closed = closed_directory(path, pw);
	if (closed != NULL)
		postfix_finding_add(f, s, setting,
				    "give its group the right to enter (chmod g+x), and Postfix' "
				    "user that group",
				    "%s cannot enter %s: all mail is deferred", owner, closed);
	else if (!allowed(st, pw, 2))
		postfix_finding_add(f, s, setting, "socket_group = \"postfix\"; in poolmilter.conf",
				    "%s may not write to %s: all mail is deferred", owner, path);
	g_free(closed);
}

static void
check_socket(struct postfix_findings *f, const struct postfix_service *s, const char *setting,
	     const char *item, GHashTable *seen)
{
	char *socket = milter_socket(item), *path;
	struct stat st;

	if (!g_str_has_prefix(socket, "unix:") && !g_str_has_prefix(socket, "local:")) {
		g_free(socket);
		return;
	}
	path = seen_path(f, strchr(socket, ':') + 1, s->chroot);
	g_free(socket);
	if (!g_hash_table_add(seen, path)) /* the table frees it */
		return;
	if (stat(path, &st) != 0)
		postfix_finding_add(
			f, s, setting,
			"listen below the queue directory, with a relative path here; is "
			"poolmilter running?",
			"%s%s is not there: all mail is deferred", path,
			s->chroot ? ", where the socket is for this chrooted service," : "");
	else
		check_rights(f, s, setting, path, &st);
}

static void
check_sockets(struct postfix_findings *f, const char *program, const char *setting,
	      GHashTable *seen)
{
	for (guint i = 0; i < f->config->services->len; i++) {
		const struct postfix_service *s = f->config->services->pdata[i];
		const char *value = postfix_config_get(f->config, s, setting);
		char *item;

		if (g_strcmp0(s->command, program) != 0 || value == NULL)
			continue;
		item = own_item(f, value);
		if (item != NULL)
			check_socket(f, s, setting, item, seen);
		g_free(item);
	}
}

/* ---- all of them ---- */

void
postfix_rules_milter(struct postfix_findings *f)
{
	static const struct {
		const char *program, *setting;
		postfix_rule *rule;
	} rules[] = {
		{"smtpd", "smtpd_milters", rule_milters},
		{"cleanup", "non_smtpd_milters", rule_milters},
		{"smtpd", "receive_override_options", rule_override},
		{"smtpd", "smtpd_milter_maps", rule_milter_maps},
		{"smtpd", "milter_default_action", rule_action},
		{"cleanup", "milter_default_action", rule_action},
		{"smtpd", "smtpd_milters", rule_own_action},
		{"smtpd", "milter_protocol", rule_protocol},
		{"smtpd", "milter_connect_timeout", rule_connect_time},
		{"smtpd", "milter_command_timeout", rule_command_time},
		{"smtpd", "milter_content_timeout", rule_content_time},
		{"smtpd", "smtpd_milters", rule_own_times},
		{"smtpd", "milter_mail_macros", rule_login_macro},
		{"smtpd", "milter_end_of_data_macros", rule_id_macro},
	};
	GHashTable *seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

	for (guint i = 0; i < G_N_ELEMENTS(rules); i++)
		postfix_finding_each(f, rules[i].program, rules[i].setting, rules[i].rule);
	check_sockets(f, "smtpd", "smtpd_milters", seen);
	check_sockets(f, "cleanup", "non_smtpd_milters", seen);
	g_hash_table_destroy(seen);
}
