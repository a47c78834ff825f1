/*
 * split - a message for recipients of several ISPs is injected again for some of them; see split.h.
 *
 * Whoever is not taken for certain stays on the message, so nobody is lost.  The field is tied to the
 * sender, holds for minutes, and never leaves the MTA.  It is not tied to the recipients, some of which
 * the MTA may refuse, nor to other header fields, which the MTA may add or rewrite before we see them.
 */
#include "core/split.h"
#include "core/isp.h"

#include <gmime/gmime.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define HOLDS_SECONDS 600
#define SKEW_SECONDS 60 /* of another node's clock */
#define ALL_SECONDS 100 /* after which no further copy is begun: Postfix waits 300 s for a filter */
#define MAC_SIZE 32
#define NAME_SIZE 65 /* of a pool or ISP record, with the NUL */
#define LOGIN_SIZE 602 /* escaped, with a dot in front and the NUL: the field stays under 998 octets */
#define FIELD_MAX 1000

struct mark {
	gint64 time;
	char pool[NAME_SIZE];
	char isp[NAME_SIZE];
	char login[LOGIN_SIZE]; /* "." and the login, escaped as in a URI (RFC 3986 2.1) */
	char mac[2 * MAC_SIZE + 1];
};

static void
make_mac(const struct secret *secret, const struct mark *mark, const struct message *m,
	 char out[2 * MAC_SIZE + 1])
{
	GString *text = g_string_new("poolmilter split 1");
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	g_string_append_printf(text, "\n%" G_GINT64_FORMAT "\n%s\n%s\n%s\n%s", mark->time, mark->pool,
			       mark->isp, mark->login, m->sender);
	if (HMAC(EVP_sha256(), secret->octets, (int)secret->len, (const unsigned char *)text->str,
		 text->len, mac, &len) == NULL)
		g_error("HMAC-SHA256 failed"); /* only without memory or without SHA-256 */
	for (unsigned i = 0; i < MAC_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", mac[i]);
	g_string_free(text, TRUE);
}

/* In constant time for each secret; all are tried, so that which one fits does not show. */
static bool
mac_valid(const struct settings *s, const struct mark *mark, const struct message *m)
{
	bool valid = false;

	for (guint i = 0; i < s->return_path.secrets->len; i++) {
		char mac[2 * MAC_SIZE + 1];

		make_mac(&g_array_index(s->return_path.secrets, struct secret, i), mark, m, mac);
		valid |= CRYPTO_memcmp(mac, mark->mac, sizeof mac) == 0;
	}
	return valid;
}

static bool
mark_parse(const struct field *f, struct mark *mark)
{
	char *text = g_strndup(f->value, MIN(f->value_len, FIELD_MAX));
	int end = 0;
	bool ok = sscanf(text, " v=1; t=%" G_GINT64_FORMAT "; pool=%64[A-Za-z0-9._-]; "
			       "isp=%64[A-Za-z0-9._-]; login=%601[A-Za-z0-9._~%%-]; mac=%64[0-9a-f]%n",
			 &mark->time, mark->pool, mark->isp, mark->login, mark->mac, &end) == 5 &&
		  text[end] == '\0' && mark->login[0] == '.' && strlen(mark->mac) == 2 * MAC_SIZE;

	g_free(text);
	return ok;
}

/* The login, escaped; NULL if it is too long for the field (g_free it). */
static char *
escaped_login(const struct message *m)
{
	char *escaped = m->login != NULL ? g_uri_escape_string(m->login, NULL, FALSE) : g_strdup("");

	if (strlen(escaped) + 2 > LOGIN_SIZE)
		g_clear_pointer(&escaped, g_free);
	return escaped;
}

enum split_mark
split_mark_read(const struct job *job, struct split_found *found)
{
	const struct field *f = message_field(job->message, SPLIT_HEADER, 0);
	gint64 now = (gint64)job->now;
	struct mark mark = {0};

	if (f == NULL)
		return SPLIT_NONE;
	if (message_field(job->message, SPLIT_HEADER, 1) != NULL || !mark_parse(f, &mark) ||
	    mark.time > now + SKEW_SECONDS || mark.time < now - HOLDS_SECONDS ||
	    !mac_valid(job->settings, &mark, job->message))
		return SPLIT_INVALID;
	found->pool = g_hash_table_lookup(job->settings->pool_by_name, mark.pool);
	found->isp = isp_named(job->settings, mark.isp);
	if (found->pool == NULL || found->isp == NULL)
		return SPLIT_INVALID;
	found->login = mark.login[1] != '\0' ? g_uri_unescape_string(mark.login + 1, NULL) : NULL;
	return SPLIT_VALID;
}

bool
split_mark_write(const struct job *job, const struct pool *pool, const struct isp *isp, GString *out)
{
	const GArray *secrets = job->settings->return_path.secrets;
	char *login = escaped_login(job->message);
	struct mark mark = {.time = (gint64)job->now};

	if (secrets->len == 0 || login == NULL) {
		g_free(login);
		return false;
	}
	g_strlcpy(mark.pool, pool->name, sizeof mark.pool);
	g_strlcpy(mark.isp, isp->name, sizeof mark.isp);
	g_snprintf(mark.login, sizeof mark.login, ".%s", login);
	g_free(login);
	make_mac(&g_array_index(secrets, struct secret, 0), &mark, job->message, mark.mac);
	g_string_append_printf(out,
			       SPLIT_HEADER ": v=1; t=%" G_GINT64_FORMAT "; pool=%s; isp=%s; login=%s; "
					    "mac=%s\r\n",
			       mark.time, mark.pool, mark.isp, mark.login, mark.mac);
	return true;
}

/*
 * Postfix deletes recipients by the address that its client gave.  Local submission shows us another one
 * where it is rewritten (canonical maps, a domain added), and of a source route it keeps the last part
 * only: the recipient would stay, and have the message twice.
 */
const char *
split_obstacle(const struct job *job, const struct plan *plan)
{
	char *login = escaped_login(job->message);

	g_free(login);
	if (login == NULL)
		return "the login is too long";
	if (plan->marked)
		return "it was injected again already";
	if (job->message->dsn)
		return "it has DSN options, which would be lost";
	if (job->message->local)
		return "it was submitted locally";
	for (guint i = 0; i < plan->rcpts->len; i++)
		if (*(const char *)g_ptr_array_index(plan->rcpts, i) == '@')
			return "a recipient has a source route";
	return NULL;
}

/* The fields on top of a copy: our mark, and the trace that the first reception left (RFC 5321 4.4). */
static GString *
top_fields(const struct job *job, const struct plan *plan, const struct group *group)
{
	GString *top = g_string_new(NULL);
	GDateTime *now = g_date_time_new_from_unix_utc((gint64)job->now);
	char *date = g_mime_utils_header_format_date(now);
	const char *id = job->message->queue_id;

	if (!split_mark_write(job, plan->pool, group->isp, top)) {
		g_string_free(top, TRUE);
		top = NULL;
	} else {
		g_string_append_printf(top, "Received: by %s (poolmilter)%s%s;\r\n\t%s\r\n",
				       g_get_host_name(), id != NULL ? " id " : "", id != NULL ? id : "",
				       date);
	}
	g_free(date);
	g_date_time_unref(now);
	return top;
}

static void
inject_group(const struct job *job, struct plan *plan, const struct injector *injector,
	     struct group *group, GPtrArray *left, char **why)
{
	bool *taken = g_new0(bool, group->rcpts->len);
	GString *top = top_fields(job, plan, group);

	if (top != NULL) {
		const struct injection injection = {job->settings->reinject, job->message, group->rcpts,
						    top->str};
		char *reason = NULL;

		group->taken = injector->send(injector->context, &injection, taken, &reason);
		if (*why == NULL)
			*why = reason;
		else
			g_free(reason);
		g_string_free(top, TRUE);
	} else if (*why == NULL) {
		*why = g_strdup("no Return-Path secret is loaded");
	}
	for (guint i = 0; i < group->rcpts->len; i++)
		g_ptr_array_add(taken[i] ? plan->gone : left, g_ptr_array_index(group->rcpts, i));
	g_free(taken);
}

GPtrArray *
split_inject(const struct job *job, struct plan *plan, const struct injector *injector, char **why)
{
	gint64 end = g_get_monotonic_time() + ALL_SECONDS * G_USEC_PER_SEC;
	GPtrArray *left = g_ptr_array_new();

	*why = NULL;
	plan->gone = g_ptr_array_new();
	for (guint i = 0; i < plan->groups->len; i++) {
		struct group *group = g_ptr_array_index(plan->groups, i);

		if (injector != NULL && g_get_monotonic_time() < end) {
			inject_group(job, plan, injector, group, left, why);
			continue;
		}
		if (*why == NULL)
			*why = g_strdup("no time left");
		for (guint k = 0; k < group->rcpts->len; k++)
			g_ptr_array_add(left, g_ptr_array_index(group->rcpts, k));
	}
	return left;
}
