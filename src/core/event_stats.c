/*
 * event_stats - what an event adds to the statistics; see event_stats.h.
 */
#include "core/event_stats.h"

/* The numbers that go up; returns how many, at most two. */
static guint
numbers(const struct event *e, struct tally out[2])
{
	enum stats_field f;
	guint n = 0;

	switch (e->type) {
	case EVENT_DELIVERED:
		f = STATS_DELIVERED;
		break;
	case EVENT_DEFERRED:
		f = STATS_DELAYED;
		break;
	case EVENT_BOUNCED:
		f = STATS_BOUNCED;
		break;
	case EVENT_EXPIRED:
		f = STATS_EXPIRED;
		break;
	case EVENT_COMPLAINT:
		f = STATS_COMPLAINTS;
		break;
	case EVENT_ACCEPTED: /* the milter counts these */
	case EVENT_HELD:
	default:
		return 0;
	}
	out[n++] = (struct tally){stats_names[f].name, 1};
	if (f == STATS_BOUNCED && e->category != CATEGORY_NONE)
		out[n++] = (struct tally){stats_names[STATS_BOUNCED_AS + e->category - 1].name, 1};
	return n;
}

bool
event_stats(const struct event *e,
	    bool (*add)(void *context, const char *key, const struct tally *tallies, guint n,
			char **why),
	    void *context, char **why)
{
	const char *pool = e->pool != NULL ? e->pool : "-", *isp = e->isp != NULL ? e->isp : "-";
	struct tally tallies[2];
	guint n = numbers(e, tallies);
	char hour[STATS_HOUR_SIZE];
	bool ok = true;

	if (n == 0)
		return true;
	stats_hour((time_t)(e->time / G_USEC_PER_SEC), hour);
	for (guint i = 0; ok && i < 4; i++) {
		bool of_isp = i % 2 == 1, total = i < 2;
		char *key = g_strconcat(total ? EVENT_STATS_TOTAL : "", of_isp ? "pi/" : "p/", pool,
					of_isp ? "/" : "", of_isp ? isp : "", total ? "" : "/",
					total ? "" : hour, NULL);

		ok = add(context, key, tallies, n, why);
		g_free(key);
	}
	return ok;
}
