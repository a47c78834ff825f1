/*
 * postfix_files - the texts that Postfix is given; see postfix_files.h.
 *
 * The same configuration gives the same octets.  Neither main.cf nor master.cf can include a file:
 * so the lines stand there to be read, and apply.sh puts them in with postconf(1), and nothing
 * twice.
 *
 * Names in the texts are of letters, digits and "._-+:[]/@" only (the settings' kinds see to it,
 * and the command to its arguments): nothing in them means anything to a shell or to Postfix.
 */
#include "ctl/postfix_files.h"

#include "ctl/postfix_bounce.h"
#include "ctl/postfix_service.h"
#include "ctl/postfix_tables.h"

#include <string.h>

#define COMMAND_WORDS 50 /* of one postconf in apply.sh */

/* How a parameter of main.cf comes to its value. */
enum how {
	SET,
	ADD_LAST, /* to what else stands there */
	ADD_FIRST,
};

struct line {
	const char *comment;
	const char *name;
	char *value;
	enum how how;
	const char *same; /* of ADD_*: what stands there if it has been added already, $ expanded */
	const char *through; /* of ADD_*: the list that brings it if it stands there; NULL: none */
};

struct texts {
	const struct postfix_plan *plan;
	const struct postfix_texts *given;
	GArray *lines;    /* of struct line */
	GPtrArray *owned; /* of char *: strings that lines point to */
};

void
postfix_files_heading(GString *out, const struct postfix_texts *t, const char *what)
{
	g_string_append_printf(out,
			       "# Made by \"poolctl postfix\" from %s; changes here get lost.\n%s",
			       t->source, what);
}

static char *
keep(struct texts *t, char *text)
{
	g_ptr_array_add(t->owned, text);
	return text;
}

static char *
table(struct texts *t, const char *type, const char *name)
{
	return keep(t, g_strdup_printf("%s:%s/%s", type, t->given->directory, name));
}

/* ---- main.cf ---- */

static void
line(struct texts *t, const char *comment, const char *name, char *value)
{
	struct line l = {comment, name, value, SET, NULL, NULL};

	g_array_append_val(t->lines, l);
}

static void
add_line(struct texts *t, const char *name, char *value, enum how how, const char *same,
	 const char *through)
{
	struct line l = {NULL, name, value, how, same, through};

	g_array_append_val(t->lines, l);
}

static void
milter_lines(struct texts *t)
{
	char *milter = t->plan->milter;

	line(t,
	     "Where poolmilter listens.  A relative path is one in the queue directory, and found "
	     "from within\n"
	     "# a chroot as well.  Behind other milters: what they change is signed then.\n",
	     "poolmilter_milter", milter);
	add_line(t, "smtpd_milters", keep(t, g_strdup("$poolmilter_milter")), ADD_LAST, milter,
		 NULL);
	add_line(t, "non_smtpd_milters", keep(t, g_strdup("$poolmilter_milter")), ADD_LAST, milter,
		 "smtpd_milters");
	line(t, "While poolmilter is away, clients keep their mail.\n", "milter_default_action",
	     keep(t, g_strdup("tempfail")));
	line(t, NULL, "milter_protocol", keep(t, g_strdup("6")));
	line(t,
	     "Lines that end in LF alone smuggle mail in.  (Postfix 3.5.23, 3.6.13, 3.7.9, 3.8.4 "
	     "and later; the\n"
	     "# older ones do not know it.)\n",
	     "smtpd_forbid_bare_newline", keep(t, g_strdup("yes")));
}

/* A pool with several addresses takes one of them by chance, by tables that stand in main.cf. */
static char *
transports_value(struct texts *t)
{
	GString *all = g_string_new(table(t, "texthash", "senders"));

	for (guint i = 0; i < t->plan->senders->len; i++) {
		const struct postfix_sender *s = t->plan->senders->pdata[i];

		if (s->ways->len == 1)
			continue;
		g_string_append_printf(all, ", pipemap:{inline:{@%s=any},randmap:{", s->domain);
		for (guint k = 0; k < s->ways->len; k++) {
			char *transport = postfix_service_transport(s->ways->pdata[k]);

			g_string_append_printf(all, "%s%s", k > 0 ? "," : "", transport);
			g_free(transport);
		}
		g_string_append(all, "}}");
	}
	return keep(t, g_string_free(all, FALSE));
}

static void
pool_lines(struct texts *t)
{
	line(t, "The ways of the pools, by the envelope sender that poolmilter has set.\n",
	     "poolmilter_transports", transports_value(t));
	if (t->plan->senders->len > 0)
		add_line(t, "sender_dependent_default_transport_maps",
			 keep(t, g_strdup("$poolmilter_transports")), ADD_FIRST,
			 table(t, "texthash", "senders"), NULL);
	line(t, "The ways that keep the numbers of ISPs, by a header field that poolmilter sets.\n",
	     "poolmilter_routes", table(t, "regexp", "routes"));
	if (t->plan->routes->len > 0)
		add_line(t, "milter_header_checks", keep(t, g_strdup("$poolmilter_routes")),
			 ADD_FIRST, table(t, "regexp", "routes"), NULL);
}

static void
number_line(struct texts *t, const struct postfix_way *w, const char *suffix, int64_t n)
{
	if (n > 0)
		line(t, NULL, keep(t, g_strconcat(w->name, suffix, NULL)),
		     keep(t, g_strdup_printf("%" G_GINT64_FORMAT, (gint64)n)));
}

static void
number_lines(struct texts *t)
{
	for (guint i = 0; i < t->plan->ways->len; i++) {
		const struct postfix_way *w = t->plan->ways->pdata[i];

		if (w->numbers == NULL)
			continue;
		number_line(t, w, "_destination_concurrency_limit", w->numbers->connections);
		number_line(t, w, "_destination_recipient_limit",
			    w->numbers->recipients_per_message);
	}
}

/* Bounces become events: a service reads them. */
static bool
pipes(const struct texts *t)
{
	return t->given->config != NULL && postfix_bounce_used(t->plan->settings);
}

static void
pipe_lines(struct texts *t)
{
	char *domains = table(t, "texthash", "bounce_domains");

	line(t, "Bounces go to poolctl bounce; a Return-Path is for one recipient.\n",
	     POSTFIX_BOUNCE "_destination_recipient_limit", keep(t, g_strdup("1")));
	add_line(t, "transport_maps", domains, ADD_LAST, domains, NULL);
	add_line(t, "relay_domains", domains, ADD_LAST, domains, NULL);
}

static void
bounce_lines(struct texts *t)
{
	char *bounces;

	if (pipes(t))
		pipe_lines(t);
	else if (t->given->bounces == NULL)
		return;
	bounces = table(t, "texthash", "bounces");
	add_line(t, "virtual_alias_maps", bounces, ADD_LAST, bounces, NULL);
	if (!pipes(t))
		add_line(t, "virtual_alias_domains", bounces, ADD_LAST, bounces, "virtual_alias_maps");
}

static void
append_unrouted(GString *out, const struct postfix_plan *p)
{
	if (p->unrouted->len == 0)
		return;
	g_string_append(out, "\n# Nothing tells Postfix which mail these ISP records' numbers are "
			     "for, so they are not kept:\n#");
	for (guint i = 0; i < p->unrouted->len; i++)
		g_string_append_printf(out, " %s", ((struct isp *)p->unrouted->pdata[i])->name);
	g_string_append(out,
			"\n# In the records, in poolmilter.conf:\n"
			"#\tset_headers = ( { name = \"X-Route\"; value = \"" POSTFIX_ROUTE_VALUE
			"\"; } );\n");
}

static GString *
main_text(const struct texts *t)
{
	GString *out = g_string_new(NULL);

	postfix_files_heading(
		out, t->given,
		"# For main.cf, which cannot include it: apply.sh puts it there; or by hand.  "
		"Where a list of\n"
		"# milters or tables stands there already, these are added to it.\n");
	for (guint i = 0; i < t->lines->len; i++) {
		const struct line *l = &g_array_index(t->lines, struct line, i);

		if (l->comment != NULL)
			g_string_append_printf(out, "\n# %s", l->comment);
		g_string_append_printf(out, "%s = %s\n", l->name, l->value);
	}
	g_string_append_printf(out,
			       "\n# Larger mail is refused by poolmilter (max_message_size), after "
			       "it has been sent:\n"
			       "# message_size_limit must be above 0 and at most %" G_GINT64_FORMAT
			       ".\n",
			       (gint64)t->plan->settings->max_message_size);
	append_unrouted(out, t->plan);
	return out;
}

/* ---- master.cf ---- */

static void
print_service(void *text, const char *service, const GPtrArray *options)
{
	GString *out = text;

	g_string_append_printf(out, "\n%s\n", service);
	for (guint i = 0; i < options->len; i++)
		g_string_append_printf(out, "    -o %s\n", (char *)options->pdata[i]);
}

/* Calls f for all services. */
static void
each_service(const struct texts *t, postfix_service_fn *f, void *context)
{
	GPtrArray *none;
	char *service;

	postfix_service_each(t->plan, t->given->directory, f, context);
	if (!pipes(t))
		return;
	none = g_ptr_array_new();
	service = postfix_bounce_service(t->plan->settings, t->given->config);
	f(context, service, none);
	g_free(service);
	g_ptr_array_unref(none);
}

static GString *
master_text(const struct texts *t)
{
	GString *out = g_string_new(NULL);

	postfix_files_heading(
		out, t->given,
		"# For master.cf, which cannot include it: apply.sh puts it there; or by hand.\n");
	each_service(t, print_service, out);
	return out;
}

/* ---- apply.sh ---- */

static const char apply_begin[] =
	"#\n"
	"#	apply.sh [CONFIG_DIR]\n"
	"#\n"
	"# Puts it into main.cf and master.cf.  What is there already stays as it is, other "
	"milters and tables\n"
	"# too; services that are no longer needed stay until \"poolctl postfix --check\" names "
	"them, since\n"
	"# queued mail may still ask for them.  Run \"postfix reload\" at once afterwards.\n"
	"set -eu\n"
	"config=${1:-$(postconf -h config_directory)}\n"
	"\n"
	"# PARAMETER VALUE SAME THROUGH: $added becomes the setting with VALUE in its list, or "
	"nothing if SAME is in\n"
	"# it, or the list THROUGH, which has it.\n"
	"add_last() {\n"
	"	look \"$1\" \"$3\" \"$4\" && added= || added=\"$1=${old:+$old, }$2\"\n"
	"}\n"
	"\n"
	"add_first() {\n"
	"	look \"$1\" \"$3\" \"$4\" && added= || added=\"$1=$2${old:+, $old}\"\n"
	"}\n"
	"\n"
	"# What stands there becomes $old; true if nothing is to be added.\n"
	"look() {\n"
	"	old=$(postconf -c \"$config\" -h \"$1\")\n"
	"	case $old in\n"
	"	*\"\\$$3\"* | *\"\\${$3}\"*) return 0 ;;\n"
	"	esac\n"
	"	case $(postconf -c \"$config\" -hx \"$1\") in\n"
	"	*\"$2\"*) return 0 ;;\n"
	"	'') old= ;;\n"
	"	esac\n"
	"	return 1\n"
	"}\n"
	"\n";

/* Of single quotes, which no name has. */
static void
apply_service(void *words, const char *service, const GPtrArray *options)
{
	int name = (int)strcspn(service, " "), type = (int)strcspn(service + name + 1, " ");
	GString *word = g_string_new(NULL);

	g_string_append_printf(word, "'%.*s/%.*s=%s", name, service, type, service + name + 1,
			       service);
	for (guint i = 0; i < options->len; i++)
		g_string_append_printf(word, " -o %s", (char *)options->pdata[i]);
	g_string_append_c(word, '\'');
	g_ptr_array_add(words, g_string_free(word, FALSE));
}

/* Many words in one command: what belongs together comes together, and postconf waits a second for
 * a file that has just been changed. */
static void
append_commands(GString *out, const char *option_word, const GPtrArray *words)
{
	for (guint i = 0; i < words->len; i++)
		g_string_append_printf(
			out, "%s \\\n\t%s%s", i % COMMAND_WORDS > 0 ? "" : option_word,
			(char *)words->pdata[i],
			i + 1 == words->len || (i + 1) % COMMAND_WORDS == 0 ? "\n" : "");
}

/* Each name of a list is a variable, too, of the setting as it will be. */
static void
append_lines(GString *out, const struct texts *t, GPtrArray *words)
{
	static const char *const adds[] = {[ADD_LAST] = "add_last", [ADD_FIRST] = "add_first"};

	for (guint i = 0; i < t->lines->len; i++) {
		const struct line *l = &g_array_index(t->lines, struct line, i);

		if (l->how == SET) {
			g_ptr_array_add(words, g_strdup_printf("'%s=%s'", l->name, l->value));
			continue;
		}
		g_ptr_array_add(words, g_strdup_printf("${%s:+\"$%s\"}", l->name, l->name));
		g_string_append_printf(out, "%s %s '%s' '%s' '%s' && %s=$added\n", adds[l->how],
				       l->name, l->value, l->same,
				       l->through != NULL ? l->through : "-", l->name);
	}
}

static GString *
apply_text(const struct texts *t)
{
	GPtrArray *services = g_ptr_array_new_with_free_func(g_free),
		  *sets = g_ptr_array_new_with_free_func(g_free);
	GString *out = g_string_new("#!/bin/sh\n");

	postfix_files_heading(out, t->given, apply_begin);
	each_service(t, apply_service, services);
	append_lines(out, t, sets);
	append_commands(out, "postconf -c \"$config\" -M", services);
	append_commands(out, "postconf -c \"$config\" -e", sets);
	g_ptr_array_free(services, TRUE);
	g_ptr_array_free(sets, TRUE);
	return out;
}

/* ---- all of it ---- */

static void
file_free(void *file)
{
	struct postfix_file *f = file;

	explicit_bzero(f->text->str, f->text->len);
	g_string_free(f->text, TRUE);
	g_free(f);
}

/* Nothing for a text of NULL. */
static void
add_file(GPtrArray *files, const char *name, mode_t mode, GString *text)
{
	struct postfix_file *f;

	if (text == NULL)
		return;
	f = g_new(struct postfix_file, 1);
	*f = (struct postfix_file){name, mode, text};
	g_ptr_array_add(files, f);
}

static void
add_texts(GPtrArray *files, struct texts *t)
{
	milter_lines(t);
	pool_lines(t);
	number_lines(t);
	bounce_lines(t);
	add_file(files, "main.cf.poolmilter", 0644, main_text(t));
	add_file(files, "master.cf.poolmilter", 0644, master_text(t));
	add_file(files, "senders", 0644, postfix_table_senders(t->plan, t->given));
	add_file(files, "routes", 0644, postfix_table_routes(t->plan, t->given));
	if (pipes(t)) {
		add_file(files, "bounce_domains", 0644, postfix_bounce_table(t->plan, t->given));
		add_file(files, "bounces", 0644, postfix_table_officers(t->plan, t->given));
	} else if (t->given->bounces != NULL) {
		add_file(files, "bounces", 0644, postfix_table_bounces(t->plan, t->given));
	}
	if (t->given->whole)
		add_file(files, "apply.sh", 0755, apply_text(t));
}

GPtrArray *
postfix_files_new(const struct postfix_plan *p, const struct postfix_texts *given, char **why)
{
	struct texts t = {p, given, g_array_new(FALSE, FALSE, sizeof(struct line)),
			  g_ptr_array_new_with_free_func(g_free)};
	GPtrArray *files = g_ptr_array_new_with_free_func(file_free);

	*why = NULL;
	if (given->whole)
		add_file(files, "passwords", 0600, postfix_table_passwords(p, given, why));
	if (*why == NULL)
		add_texts(files, &t);
	else
		g_clear_pointer(&files, g_ptr_array_unref);
	g_array_free(t.lines, TRUE);
	g_ptr_array_free(t.owned, TRUE);
	return files;
}
