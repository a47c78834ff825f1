/*
 * settings_events - webhooks, lock rules and bounce patterns; see settings_finish.h.
 *
 * What one key may hold is checked when it is read (setting_kind.c).  Here names are compared,
 * texts become rules, and what only makes sense together is looked at.  Whether a pattern is a
 * regular expression, only PCRE2 can tell (io/classifier.h).
 */
#include "core/isp.h"
#include "core/settings_finish.h"

#include <string.h>

#define EVENT_HEADERS_MAX 20
#define OWN_HEADERS "X-Poolmilter-"

/* A request has these from us or from libcurl. */
static const char *const request_headers[] = {
	"Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Host",
};

static bool
request_header(const char *name)
{
	for (guint i = 0; i < G_N_ELEMENTS(request_headers); i++)
		if (g_ascii_strcasecmp(name, request_headers[i]) == 0)
			return true;
	return g_ascii_strncasecmp(name, OWN_HEADERS, strlen(OWN_HEADERS)) == 0;
}

static void
check_webhook_header(struct finish *f, const struct webhook *w, guint i, const char *key)
{
	const struct webhook_header *h = w->headers->pdata[i];

	if (h->name == NULL)
		return;
	f->item = h->origin;
	if (request_header(h->name))
		finish_error(f, key, "\"%s\": each request has it already: expected another header",
			     h->name);
	for (guint k = 0; k < i; k++) {
		const struct webhook_header *other = w->headers->pdata[k];

		if (other->name != NULL && g_ascii_strcasecmp(other->name, h->name) == 0)
			finish_error(f, key, "\"%s\" stands here twice: expected each only once",
				     h->name);
	}
}

/* True if what is sent there without TLS does not leave this host. */
static bool
stays_here(const char *host)
{
	struct address a;

	return g_ascii_strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       (g_str_has_prefix(host, "127.") && address_parse(&a, host));
}

static void
check_webhook_url(struct finish *f, const struct webhook *w, const char *key)
{
	GUri *uri = w->url != NULL ? g_uri_parse(w->url, G_URI_FLAGS_NONE, NULL) : NULL;

	if (uri == NULL)
		return;
	/* No more of the URL: its path may be what lets us in. */
	if (strcmp(g_uri_get_scheme(uri), "http") == 0 && !stays_here(g_uri_get_host(uri)))
		finish_warning(f, key, "\"http://%s\": events travel unprotected: use https",
			       g_uri_get_host(uri));
	g_uri_unref(uri);
}

static void
register_webhook(struct finish *f, struct webhook *w, const char *key, GHashTable *by_name)
{
	const struct webhook *other =
		w->name != NULL ? g_hash_table_lookup(by_name, w->name) : NULL;
	char *where;

	if (other != NULL) {
		where = finish_place(other->origin);
		finish_error(f, key,
			     "\"%s\": the webhook at %s has it already: expected each only once",
			     w->name, where);
		g_free(where);
	} else if (w->name != NULL) {
		g_hash_table_insert(by_name, w->name, w);
	}
}

static void
finish_webhook(struct finish *f, struct webhook *w, guint i, GHashTable *by_name)
{
	char *name = g_strdup_printf("webhooks[%u].name", i),
	     *url = g_strdup_printf("webhooks[%u].url", i);

	w->pool = f->pool;
	f->item = w->origin;
	register_webhook(f, w, name, by_name);
	check_webhook_url(f, w, url);
	for (guint k = 0; k < w->headers->len; k++) {
		char *key = g_strdup_printf("webhooks[%u].headers[%u].name", i, k);

		check_webhook_header(f, w, k, key);
		g_free(key);
	}
	f->item.line = 0;
	g_free(name);
	g_free(url);
}

/* Says that a key does nothing without the group events. */
static void
check_used(const struct finish *f, const char *key, const GPtrArray *values)
{
	if (values->len > 0 && !f->s->events.used)
		finish_warning(f, key, "does nothing without the group events, which is missing");
}

static void
finish_webhooks(struct finish *f)
{
	struct settings *s = f->s;
	GHashTable *by_name = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < s->webhooks->len; i++)
		finish_webhook(f, s->webhooks->pdata[i], i, by_name);
	check_used(f, "webhooks", s->webhooks);
	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		f->pool = p;
		for (guint k = 0; k < p->webhooks->len; k++)
			finish_webhook(f, p->webhooks->pdata[k], k, by_name);
		check_used(f, "webhooks", p->webhooks);
	}
	f->pool = NULL;
	g_hash_table_destroy(by_name);
}

static void
check_lock_name(const struct finish *f, guint i, const char *key)
{
	const struct lock_rule *rule = f->isp->locks->pdata[i];

	for (guint k = 0; rule->name != NULL && k < i; k++) {
		const struct lock_rule *other = f->isp->locks->pdata[k];

		if (g_strcmp0(other->name, rule->name) == 0)
			finish_error(f, key,
				     "the name \"%s\" stands here twice: expected each only once",
				     rule->name);
	}
}

/* Of what each key must be there with others; f->whole: what is not there was not refused before.
 */
static void
check_lock(const struct finish *f, const struct lock_rule *rule, const char *key)
{
	if (f->whole && rule->category == CATEGORY_NONE && rule->pattern == NULL)
		finish_error(f, key, "no reply counts: expected a category, a pattern, or both");
	if (f->whole && rule->pause == 0 && rule->rate == NULL)
		finish_error(f, key, "missing: expected pause or rate");
	if (rule->pause > 0 && rule->rate != NULL)
		finish_error(f, key, "has pause and rate: expected one of them");
	if (rule->rate != NULL && rule->step * rule->steps > LIMIT_SECONDS_MAX)
		finish_error(f, key, "step times steps: expected at most 31 days");
}

static void
finish_record_locks(struct finish *f, const struct isp *isp)
{
	f->isp = isp;
	for (guint i = 0; i < isp->locks->len; i++) {
		struct lock_rule *rule = isp->locks->pdata[i];
		char *key = g_strdup_printf("locks[%u]", i);

		f->item = rule->origin;
		check_lock_name(f, i, key);
		check_lock(f, rule, key);
		if (rule->threshold != NULL)
			limit_parse(rule->threshold,
				    &rule->threshold_rule); /* it was read once already */
		if (rule->rate != NULL)
			limit_parse(rule->rate, &rule->rate_rule);
		f->item.line = 0;
		g_free(key);
	}
}

/* Shipped records may have rules without the group events: these do not mean that anybody wants
 * them. */
static void
finish_locks(struct finish *f)
{
	const struct settings *s = f->s;

	for (guint i = 0; i < s->isps->len; i++) {
		const struct isp *isp = s->isps->pdata[i];

		finish_record_locks(f, isp);
		check_used(f, "locks", isp->locks);
	}
	for (guint i = 0; i < s->shipped_isps->len; i++)
		finish_record_locks(f, s->shipped_isps->pdata[i]);
	f->isp = NULL;
}

/* The record's name becomes that of the record as it is written there. */
static void
finish_bounce(struct finish *f, struct bounce_pattern *b, const char *key, bool shipped)
{
	const struct isp *isp = f->whole && b->isp != NULL ? isp_named(f->s, b->isp) : NULL;

	f->item = b->origin;
	if (f->whole && b->code == NULL && b->pattern == NULL)
		finish_error(f, key, "matches every reply: expected a code, a pattern, or both");
	if (f->whole && b->isp != NULL && isp == NULL && !shipped)
		finish_error(f, key,
			     "\"%s\": there is no such ISP record: expected the name of one",
			     b->isp);
	if (isp != NULL) {
		g_free(b->isp);
		b->isp = g_strdup(isp->name);
	}
	f->item.line = 0;
}

static void
finish_bounces(struct finish *f, const GPtrArray *patterns, const char *list, bool shipped)
{
	for (guint i = 0; i < patterns->len; i++) {
		char *key = g_strdup_printf("%s[%u]", list, i);

		finish_bounce(f, patterns->pdata[i], key, shipped);
		g_free(key);
	}
}

void
finish_events(struct finish *f)
{
	struct settings *s = f->s;

	s->events.used = g_hash_table_contains(s->origins, "events");
	if (s->events.stream != NULL && !s->redis.used)
		finish_error(f, "events.stream",
			     "is on a Redis server: expected the group redis too");
	if (s->event_headers->len > EVENT_HEADERS_MAX)
		finish_error(f, "event_headers", "has %u names: expected at most %d",
			     s->event_headers->len, EVENT_HEADERS_MAX);
	check_used(f, "event_headers", s->event_headers);
	finish_webhooks(f);
	finish_locks(f);
	finish_bounces(f, s->bounces, "bounces", false);
	finish_bounces(f, s->shipped_bounces, "shipped_bounces", true);
}
