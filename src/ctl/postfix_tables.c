/*
 * postfix_tables - the tables that Postfix looks ways, bounces and logins up in; see
 * postfix_tables.h.
 */
#include "ctl/postfix_tables.h"

#include "ctl/postfix_bounce.h"
#include "ctl/postfix_service.h"
#include "io/secret_file.h"

#include <string.h>

GString *
postfix_table_senders(const struct postfix_plan *p, const struct postfix_texts *t)
{
	GString *out = g_string_new(NULL);

	postfix_files_heading(out, t, "# The way of mail by its envelope sender.\n");
	for (guint i = 0; i < p->senders->len; i++) {
		const struct postfix_sender *s = p->senders->pdata[i];
		char *transport = postfix_service_transport(s->ways->pdata[0]);

		if (s->ways->len == 1)
			g_string_append_printf(out, "@%s\t%s\n", s->domain, transport);
		g_free(transport);
	}
	return out;
}

/* A name in a regular expression between slashes: what is neither letter, digit, '-' nor '_' in
 * brackets. */
static void
append_pattern(GString *out, const char *name)
{
	for (; *name != '\0'; name++)
		if (g_ascii_isalnum(*name) || *name == '-' || *name == '_')
			g_string_append_c(out, *name);
		else
			g_string_append_printf(out, *name == '^' ? "\\%c" : "[%c]", *name);
}

static void
append_route(GString *out, const struct postfix_route *r)
{
	g_string_append(out, "/^");
	append_pattern(out, r->header);
	g_string_append(out, ":[ \t]*");
	if (r->pool != NULL)
		append_pattern(out, r->pool->name);
	else
		g_string_append(out, "[^\\/]*");
	g_string_append(out, "\\/");
	append_pattern(out, r->isp->name);
	if (r->way != NULL)
		g_string_append_printf(out, "$/i FILTER %s:\n", r->way->name);
	else
		g_string_append(out, "$/i DUNNO\n");
}

GString *
postfix_table_routes(const struct postfix_plan *p, const struct postfix_texts *t)
{
	GString *out = g_string_new(NULL);

	postfix_files_heading(
		out, t,
		"# The way of mail by the pool and the ISP that poolmilter has found; a relay's is "
		"never left.\n");
	for (guint i = 0; i < p->routes->len; i++)
		append_route(out, p->routes->pdata[i]);
	return out;
}

GString *
postfix_table_bounces(const struct postfix_plan *p, const struct postfix_texts *t)
{
	GPtrArray *domains = postfix_bounce_domains(p->settings, false);
	GPtrArray *left = postfix_bounce_domains(p->settings, true);
	GString *out = g_string_new(NULL);

	postfix_files_heading(out, t,
			      "# Where bounces go.  Forged ones are refused by poolmilter before "
			      "(check_bounces).\n");
	for (guint i = 0; i < domains->len; i++)
		g_string_append_printf(out, "%s\tbounces\n@%s\t%s\n", (char *)domains->pdata[i],
				       (char *)domains->pdata[i], t->bounces);
	for (guint i = 0; i < left->len; i++)
		g_string_append_printf(out, "# Not @%s: it is a sender_domain and has other mail.\n",
				       (char *)left->pdata[i]);
	g_ptr_array_unref(domains);
	g_ptr_array_unref(left);
	return out;
}

GString *
postfix_table_officers(const struct postfix_plan *p, const struct postfix_texts *t)
{
	GPtrArray *domains = postfix_bounce_domains(p->settings, false);
	const char *to = t->bounces != NULL ? t->bounces : "postmaster";
	GString *out = g_string_new(NULL);

	postfix_files_heading(out, t, "# Mail for people at the domains of bounces.\n");
	for (guint i = 0; i < domains->len; i++)
		g_string_append_printf(out, "postmaster@%s\t%s\nabuse@%s\t%s\n", (char *)domains->pdata[i],
				       to, (char *)domains->pdata[i], to);
	g_ptr_array_unref(domains);
	return out;
}

/* What cannot stand in a line of a table as it is, or NULL. */
static const char *
password_problem(const char *username, const char *password)
{
	if (strchr(username, ':') != NULL)
		return "a ':' in the username cannot stand in Postfix' table";
	for (const char *c = password; *c != '\0'; c++)
		if (g_ascii_iscntrl(*c))
			return "a control character in the password cannot stand in Postfix' table";
	if (g_ascii_isspace(password[strlen(password) - 1]))
		return "a blank at the password's end cannot stand in Postfix' table";
	return g_utf8_validate(password, -1, NULL)
		       ? NULL
		       : "the password is not UTF-8, and Postfix would not find it";
}

static bool
append_password(GString *out, const struct postfix_way *w, uid_t owner, char **why)
{
	const struct pool *p = w->pool;
	char *password = secret_file_password(p->relay.password_file, owner, why);
	const char *problem;

	if (password == NULL)
		return false;
	problem = password_problem(p->relay.username, password);
	if (problem != NULL)
		*why = g_strdup_printf("%s: %s", p->relay.password_file, problem);
	else
		g_string_append_printf(out, "@%s\t%s:%s\n", postfix_plan_domain(p),
				       p->relay.username, password);
	explicit_bzero(password, strlen(password));
	g_free(password);
	return problem == NULL;
}

GString *
postfix_table_passwords(const struct postfix_plan *p, const struct postfix_texts *t, char **why)
{
	/* Room for all: a string that grows leaves copies behind. */
	GString *out = g_string_sized_new(4096 + 2048 * (gsize)p->ways->len);
	bool ok = true;

	postfix_files_heading(
		out, t,
		"# Logins at relays, by the envelope sender.  For root alone (chmod 600).\n");
	for (guint i = 0; ok && i < p->ways->len; i++)
		if (postfix_way_logs_in(p->ways->pdata[i]))
			ok = append_password(out, p->ways->pdata[i], t->owner, why);
	if (ok)
		return out;
	explicit_bzero(out->str, out->allocated_len);
	g_string_free(out, TRUE);
	return NULL;
}
