/*
 * callbacks - what libmilter calls; see callbacks.h.  No policy here.
 *
 * A session is made at the first callback that needs one and freed by close.  libmilter calls close
 * without connect for a port probe, and negotiates twice if an MTA does: both are harmless.
 */
#include "daemon/callbacks.h"
#include "daemon/apply.h"
#include "daemon/negotiate.h"
#include "daemon/session.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <string.h>

static const struct session_tools *the_tools;

static struct session *
session_of(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL) {
		s = session_new(the_tools);
		smfi_setpriv(ctx, s);
	}
	return s;
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
	     unsigned long f3, unsigned long *want_actions, unsigned long *want_steps,
	     unsigned long *want_f2, unsigned long *want_f3)
{
	(void)ctx, (void)f2, (void)f3;
	*want_f2 = *want_f3 = 0;
	return negotiate(actions, steps, want_actions, want_steps) ? SMFIS_CONTINUE : SMFIS_REJECT;
}

/* Sets address and port of the client; false if it has none that we know. */
static bool
client_address(const _SOCK_ADDR *sa, struct address *a, unsigned *port)
{
	char text[INET6_ADDRSTRLEN] = "";

	memset(a, 0, sizeof *a);
	if (sa == NULL)
		return false;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		*port = ntohs(in->sin_port);
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		*port = ntohs(in6->sin6_port);
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
	}
	return address_parse(a, text);
}

/*
 * Local submission: Sendmail tells "localhost" without an address; Postfix' cleanup, for mail by
 * pickup, a loopback address with port 0, which no SMTP client can have.
 */
static bool
is_local(const char *hostname, const struct address *a, unsigned port)
{
	static const unsigned char v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
	static const unsigned char v6[16] = {[15] = 1};

	if (hostname == NULL || strcmp(hostname, "localhost") != 0)
		return false;
	return !a->known || (port == 0 && (memcmp(a->octets, v4, sizeof v4) == 0 ||
					   memcmp(a->octets, v6, sizeof v6) == 0));
}

static sfsistat
on_connect(SMFICTX *ctx, char *hostname, _SOCK_ADDR *sa)
{
	struct address a;
	unsigned port = 0;

	(void)client_address(sa, &a, &port);
	session_connect(session_of(ctx), &a, is_local(hostname, &a, port));
	return SMFIS_NOREPLY;
}

/* True if an argument of MAIL or RCPT is an option of RFC 3461. */
static bool
has_dsn(char **argv)
{
	static const char *const options[] = {"NOTIFY=", "ORCPT=", "RET=", "ENVID="};

	for (char **arg = argv + 1; argv[0] != NULL && *arg != NULL; arg++)
		for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
			if (g_ascii_strncasecmp(*arg, options[i], strlen(options[i])) == 0)
				return true;
	return false;
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	char *sender = address_of_path(argv[0]);

	session_mail(session_of(ctx), sender, smfi_getsymval(ctx, (char *)"{auth_authen}"),
		     has_dsn(argv));
	g_free(sender);
	return SMFIS_NOREPLY;
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	char *rcpt = address_of_path(argv[0]);
	enum session_answer answer = session_rcpt(session_of(ctx), rcpt, has_dsn(argv));

	g_free(rcpt);
	if (answer == SESSION_REFUSE)
		return apply_reply(ctx, "550", "5.1.1", "Not a valid return path of ours");
	if (answer == SESSION_LATER)
		return apply_reply(ctx, "452", "4.5.3",
				   "Another provider's recipient: send it in a transaction of its own");
	if (answer == SESSION_LIMIT)
		return apply_reply(ctx, "451", "4.7.1", session_reply(session_of(ctx)));
	return SMFIS_CONTINUE;
}

static sfsistat
on_data(SMFICTX *ctx)
{
	switch (session_data(session_of(ctx), smfi_getsymval(ctx, (char *)"i"))) {
	case SESSION_ACCEPT:
		return SMFIS_ACCEPT;
	case SESSION_DEFER:
		return apply_reply(ctx, "421", "4.3.2", "Mail filter is restarting, try again later");
	default:
		return SMFIS_CONTINUE;
	}
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	session_header(session_of(ctx), name, value);
	return SMFIS_NOREPLY;
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_NOREPLY;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	session_body(session_of(ctx), data, len);
	return SMFIS_NOREPLY;
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	struct session *s = session_of(ctx);
	const struct plan *p = session_eom(s, smfi_getsymval(ctx, (char *)"i"));
	bool applied;
	sfsistat answer;

	if (p == NULL)
		return SMFIS_TEMPFAIL;
	answer = apply_plan(ctx, p, &applied);
	session_log(s, applied);
	session_end(s);
	return answer;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		session_end(s);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	session_free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

bool
callbacks_register(const struct session_tools *tools)
{
	static char name[] = "poolmilter";
	const struct smfiDesc desc = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = NEGOTIATE_ACTIONS,
		.xxfi_connect = on_connect,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eoh = on_eoh,
		.xxfi_body = on_body,
		.xxfi_eom = on_eom,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_data = on_data,
		.xxfi_negotiate = on_negotiate,
	};

	the_tools = tools;
	return smfi_register(desc) == MI_SUCCESS;
}
