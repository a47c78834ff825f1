/*
 * negotiate - what we ask of the MTA when it connects; see negotiate.h.
 *
 * No-reply flags save a round trip per header and body chunk (PERF.md); libmilter answers itself where
 * an MTA lacks them.  RCPT is answered, since a bounce with a forged token is refused there, and DATA:
 * an unanswered DATA stalls Postfix between smtpd and cleanup over TCP.  The end of the header is asked
 * for, though nothing is done there: without it libmilter ignores the end of a message that has no
 * header, and the MTA waits in vain.
 */
#include "daemon/negotiate.h"
#include "base/log.h"

#include <glib.h>

static const struct {
	unsigned long flag;
	const char *name;
} needed[] = {
	{SMFIF_ADDHDRS, "add headers (SMFIF_ADDHDRS)"},
	{SMFIF_CHGHDRS, "change headers (SMFIF_CHGHDRS)"},
	{SMFIF_CHGBODY, "replace the body (SMFIF_CHGBODY)"},
	{SMFIF_CHGFROM, "change the envelope sender (SMFIF_CHGFROM)"},
	{SMFIF_DELRCPT, "delete recipients (SMFIF_DELRCPT)"},
	{SMFIF_QUARANTINE, "hold messages (SMFIF_QUARANTINE)"},
};

static void
append_name(GString *missing, const char *name)
{
	g_string_append_printf(missing, "%s%s", missing->len > 0 ? ", " : "", name);
}

bool
negotiate(unsigned long actions, unsigned long steps, unsigned long *want_actions,
	  unsigned long *want_steps)
{
	static struct log_limit limit;
	GString *missing = g_string_new(NULL);
	bool ok;

	for (size_t i = 0; i < G_N_ELEMENTS(needed); i++)
		if (!(actions & needed[i].flag))
			append_name(missing, needed[i].name);
	/* libmilter does not tell the version; the DATA event came with version 4. */
	if (!(steps & SMFIP_NODATA))
		append_name(missing, "milter protocol 6 (Postfix: milter_protocol = 6)");
	ok = missing->len == 0;
	if (!ok)
		log_limited(&limit, LOG_ERR, "negotiation: connection refused, the MTA cannot: %s",
			    missing->str);
	g_string_free(missing, TRUE);
	*want_actions = NEGOTIATE_ACTIONS;
	*want_steps = SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_HDR |
		      SMFIP_NR_EOH | SMFIP_NR_BODY | (steps & SMFIP_HDR_LEADSPC);
	return ok;
}
