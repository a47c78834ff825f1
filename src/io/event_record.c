/*
 * event_record - completes an event and keeps it; see event_record.h.
 */
#include "io/event_record.h"
#include "core/event_route.h"
#include "core/event_stats.h"
#include "core/isp.h"
#include "io/event_json.h"

#include <string.h>

/* The record of the MX host that mail was sent to: "gmail-smtp-in.l.google.com[142.250.1.26]:25". */
static const struct isp *
isp_of_relay(const struct settings *s, const char *relay)
{
	size_t len = strcspn(relay, "[");
	char *host = g_ascii_strdown(relay, (gssize)len);
	const struct isp *isp = len > 0 && relay[len] == '[' ? isp_of_mx_host(s, host) : NULL;

	g_free(host);
	return isp;
}

static const struct isp *
isp_of_recipient(const struct settings *s, const struct event *e)
{
	const char *at = strrchr(e->recipient, '@');
	struct isp_match match = isp_find(s, NULL, at != NULL ? at + 1 : NULL, 0);
	const struct isp *isp = NULL;

	if (match.how != ISP_DEFAULT)
		return match.isp;
	if (e->source == EVENT_FROM_LOG && e->relay != NULL)
		isp = isp_of_relay(s, e->relay);
	/* What the milter found by the domain's MX hosts, if the message was for one provider. */
	if (isp == NULL && e->isp != NULL)
		isp = isp_named(s, e->isp);
	return isp != NULL ? isp : match.isp;
}

/* What has expired is of the category of its last try, where that is known. */
static bool
is_refusal(const struct event *e)
{
	return e->type == EVENT_DEFERRED || e->type == EVENT_BOUNCED ||
	       (e->type == EVENT_EXPIRED && e->reply != NULL);
}

void
event_complete(const struct settings *s, const struct classifier *c, struct event *e)
{
	if (e->recipient != NULL) {
		const struct isp *isp = isp_of_recipient(s, e);

		g_free(e->isp);
		e->isp = g_strdup(isp->name);
	}
	if (is_refusal(e))
		e->category =
			classifier_find(c, e->isp, e->code, e->dsn, e->reply != NULL ? e->reply : "").category;
}

static bool
add_tally(void *db, const char *key, const struct tally *tallies, guint n, char **why)
{
	return event_db_tally(db, key, tallies, n, why);
}

bool
event_record(struct event_db *db, const struct settings *s, const struct event *e, bool *is_new,
	     char **why)
{
	GPtrArray *destinations = event_route(s, e);
	char *json = event_json(e);
	bool fresh = false, ok = event_db_add(db, e, json, destinations, &fresh, why);

	if (ok && fresh)
		ok = event_stats(e, add_tally, db, why);
	if (is_new != NULL)
		*is_new = fresh;
	g_free(json);
	g_ptr_array_unref(destinations);
	return ok;
}
