/*
 * return_path - moves the envelope sender to the pool's bounce domain; see return_path.h and DESIGN.
 *
 * The null reverse-path stays, an address that is ours already stays, From: is never touched.  What the
 * MTA gets is a dot-atom of ours at a checked domain: Postfix takes malformed addresses with no more
 * than a warning.
 */
#include "core/return_path.h"
#include "core/domain.h"
#include "core/message.h"
#include "core/pipeline.h"

#include <string.h>

#define PLAIN_LOCAL_PART "bounce"
#define ESCAPE '#'

/* What may stand raw: atext (RFC 5322 3.2.3) without the escape and without % and !, which MTAs still
   take for routes. */
static bool
is_plain(char c)
{
	return g_ascii_isalnum(c) || (c != '\0' && strchr("$&'*+-/?^_`{|}~=", c) != NULL);
}

bool
verp_encode(const char *local_part, const char *rcpt, char out[LOCAL_PART_MAX + 1])
{
	const char *at = strrchr(rcpt, '@');
	GString *s = g_string_new(local_part);
	bool fits;

	g_string_append_c(s, '+');
	for (const char *p = rcpt; *p != '\0'; p++) {
		bool in_local = at == NULL || p < at;
		bool dot = *p == '.' && s->str[s->len - 1] != '.' && s->str[s->len - 1] != '+' &&
			   p[1] != '\0';

		if (p == at)
			g_string_append_c(s, '=');
		/* In the domain '=' must not stand raw: the last '=' is the '@'. */
		else if (dot || (is_plain(*p) && (in_local || *p != '=')))
			g_string_append_c(s, *p);
		else
			g_string_append_printf(s, "%c%02X", ESCAPE, (unsigned char)*p);
	}
	fits = at != NULL && s->len <= LOCAL_PART_MAX;
	if (fits)
		memcpy(out, s->str, s->len + 1);
	g_string_free(s, TRUE);
	return fits;
}

char *
verp_decode(const char *local_part, const char *local)
{
	const char *text = token_text(local_part, local);
	const char *at = text != NULL ? strrchr(text, '=') : NULL;
	GString *s;

	if (at == NULL)
		return NULL;
	s = g_string_new(NULL);
	for (const char *p = text; *p != '\0'; p++) {
		if (p == at) {
			g_string_append_c(s, '@');
		} else if (*p != ESCAPE) {
			g_string_append_c(s, *p);
		} else if (g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2])) {
			g_string_append_c(s, (char)(g_ascii_xdigit_value(p[1]) * 16 +
						    g_ascii_xdigit_value(p[2])));
			p += 2;
		} else {
			g_string_free(s, TRUE);
			return NULL;
		}
	}
	return g_string_free(s, FALSE);
}

const struct pool *
return_path_pool(const struct settings *s, const char *spf_domain, uint32_t tag)
{
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = g_ptr_array_index(s->pools, i);

		if (p->tag == tag && g_strcmp0(p->spf_domain, spf_domain) == 0)
			return p;
	}
	return NULL;
}

/* Is the local part one that a pool with one of these modes (bits of 1 << mode) sends with? */
static bool
local_part_valid(const struct settings *s, unsigned modes, const char *local, const char *domain,
		 time_t now, const char **why)
{
	enum token_result r;
	struct token t;

	if (g_ascii_strcasecmp(local, "postmaster") == 0 || g_ascii_strcasecmp(local, "abuse") == 0)
		return true;
	if ((modes & 1u << RETURN_PATH_PLAIN) && g_ascii_strcasecmp(local, PLAIN_LOCAL_PART) == 0)
		return true;
	if (modes & 1u << RETURN_PATH_VERP) {
		char *rcpt = verp_decode(s->return_path.local_part, local);

		g_free(rcpt);
		if (rcpt != NULL)
			return true;
	}
	r = token_decode(s, local, domain, NULL, now, &t);
	*why = token_word(r);
	return r == TOKEN_OK;
}

enum bounce_check
return_path_check(const struct settings *s, const char *rcpt, time_t now, const char **why)
{
	const char *domain = address_domain(rcpt);
	char normal[DOMAIN_SIZE];
	unsigned modes;
	char *local;
	bool valid;

	if (!s->return_path.check_bounces || domain == NULL ||
	    !domain_normalise(domain, strlen(domain), normal))
		return BOUNCE_NOT_OURS;
	modes = GPOINTER_TO_UINT(g_hash_table_lookup(s->spf_domains, normal));
	if (modes == 0 || (modes & 1u << RETURN_PATH_KEEP))
		return BOUNCE_NOT_OURS;
	local = g_strndup(rcpt, (gsize)(domain - rcpt - 1));
	valid = local_part_valid(s, modes, local, normal, now, why);
	g_free(local);
	return valid ? BOUNCE_VALID : BOUNCE_REFUSE;
}

static bool
already_ours(const struct pool *p, const char *sender)
{
	const char *domain = address_domain(sender);
	char normal[DOMAIN_SIZE];

	return domain != NULL && domain_normalise(domain, strlen(domain), normal) &&
	       strcmp(normal, p->spf_domain) == 0;
}

bool
return_path_make(const struct settings *s, const struct pool *p, const char *rcpt,
		 const char *queue_id, time_t now, char out[LOCAL_PART_MAX + 1])
{
	switch (p->return_path) {
	case RETURN_PATH_KEEP:
		return false;
	case RETURN_PATH_PLAIN:
		g_strlcpy(out, PLAIN_LOCAL_PART, LOCAL_PART_MAX);
		return true;
	case RETURN_PATH_VERP:
		if (rcpt != NULL && verp_encode(s->return_path.local_part, rcpt, out))
			return true;
		break; /* none or too long: a token tells who it was */
	default:
		break;
	}
	return token_encode(s, p, rcpt, queue_id, now, out);
}

bool
stage_return_path(const struct job *job, struct plan *plan)
{
	const struct pool *p = plan->pool;
	const struct message *m = job->message;
	char local[LOCAL_PART_MAX + 1];

	if (p->return_path == RETURN_PATH_KEEP || m->sender[0] == '\0' ||
	    already_ours(p, m->sender)) {
		plan_explain(plan, "return path: stays <%s> (%s)", m->sender,
			     p->return_path == RETURN_PATH_KEEP ? "return_path = \"keep\""
			     : m->sender[0] == '\0'		? "null reverse-path"
								: "ours already");
		return true;
	}
	if (!return_path_make(job->settings, p, plan_only_rcpt(plan), m->queue_id, job->now, local)) {
		plan_refuse(plan, VERDICT_DEFERRED, "return-path", "451", "4.3.0",
			    "Return-Path cannot be made now, try again later");
		plan->detail = g_strdup("no Return-Path secret is loaded");
		return false;
	}
	plan->new_sender = g_strdup_printf("%s@%s", local, p->spf_domain);
	plan_explain(plan, "return path: <%s> becomes <%s>", m->sender, plan->new_sender);
	return true;
}
