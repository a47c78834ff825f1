/*
 * sendmail_lines - what Sendmail needs of a configuration; see sendmail_lines.h.
 *
 * Sendmail chooses source address, HELO name and relay by the recipient (mailertable,
 * CLIENT_OPTIONS), not by the sender: pools' own ways need Postfix, or a Sendmail for each.
 */
#include "ctl/sendmail_lines.h"

#include "ctl/postfix_plan.h"

#include <glib.h>

static void
append_ways(GString *out, const struct settings *s)
{
	guint n = 0;

	for (guint i = 0; i < s->pools->len; i++)
		n += postfix_plan_own_way(s->pools->pdata[i]);
	if (n > 0)
		g_string_append_printf(
			out,
			"dnl # %u pools have source_ips, sender_subdomain or a relay.  Sendmail "
			"cannot choose those by the\ndnl # sender: it needs an instance for each "
			"such "
			"pool.\n",
			n);
}

char *
sendmail_lines(const struct settings *s, const char *source)
{
	GString *out = g_string_new(NULL);

	g_string_append_printf(out,
			       "dnl # Made by \"poolctl postfix --sendmail\" from %s: for "
			       "sendmail.mc, before the\n"
			       "dnl # MAILER lines; then sendmailconfig and a restart.\n",
			       source);
	g_string_append(out, "dnl # F=T: while poolmilter is away, clients keep their mail.  As "
			     "the last filter, so that what "
			     "others\ndnl # change is signed.\n");
	g_string_append_printf(
		out, "INPUT_MAIL_FILTER(`poolmilter', `S=%s, F=T, T=C:10s;S:20s;R:20s;E:60s')dnl\n",
		(char *)s->listen->pdata[0]);
	g_string_append(out, "dnl # Larger mail is refused by poolmilter (max_message_size), after "
			     "it has been sent.\n");
	g_string_append_printf(out, "define(`confMAX_MESSAGE_SIZE', `%" G_GINT64_FORMAT "')dnl\n",
			       (gint64)s->max_message_size);
	append_ways(out, s);
	g_string_append(
		out,
		"dnl # After the signature nothing may change mail: no masquerading on the way out "
		"(MASQUERADE_AS,\ndnl # genericstable) of pools' domains.\n");
	return g_string_free(out, FALSE);
}
