/*
 * lock_check - what locks mean for a message; see lock_check.h.
 *
 * A pause is told as a limit that the message is over.  A slower rate becomes one more charge of
 * the pool to the ISP, so that it is asked with all others in one step.  Where the same limit is
 * charged already it stands for both: charges of one key and limit would add up.
 */
#include "core/lock_check.h"

#include <string.h>
#include <time.h>

/* Tells of a lock as of a limit. */
static void
set_over(struct limit_over *over, const struct pool *p, const struct isp *isp,
	 const struct lock_state *state, int64_t wait_us)
{
	time_t until = (time_t)((state->until + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);
	struct tm tm;
	char text[16];

	strftime(text, sizeof text, "%H:%M:%S", gmtime_r(&until, &tm));
	limits_over_clear(over);
	over->key = g_strdup_printf("pi/%s/%s", p->name, isp->name);
	over->name = g_strdup_printf("lock/%s/%s/%s", p->name, isp->name, state->rule);
	over->words = g_strdup_printf("sending of pool %s to %s is paused until %s UTC", p->name,
				      isp->name, text);
	over->wait_us = wait_us;
	over->paused = true;
}

bool
lock_check_paused(struct lock_table *t, const struct pool *p, const GPtrArray *isps,
		  struct limit_over *over)
{
	int64_t now = g_get_real_time(), latest = 0;
	const struct isp *before = NULL;
	struct lock_state state;

	for (guint i = 0; i < isps->len; i++) {
		const struct isp *isp = isps->pdata[i];

		if (isp == before || !lock_table_find(t, p->name, isp->name, now, &state))
			continue;
		if (state.paused && state.until > latest) {
			latest = state.until;
			set_over(over, p, isp, &state, state.until - now);
		}
		before = isp;
		g_free(state.rule);
	}
	return latest > 0;
}

static bool
charged_already(const GArray *charges, const char *key, struct limit limit)
{
	for (guint i = 0; i < charges->len; i++) {
		const struct charge *c = &g_array_index(charges, struct charge, i);

		if (c->limit.most == limit.most && c->limit.seconds == limit.seconds &&
		    strcmp(c->key, key) == 0)
			return true;
	}
	return false;
}

/* The pool's mail to one ISP: n recipients. */
static void
slow(GArray *charges, const struct pool *p, const struct isp *isp, uint32_t n, struct limit rate)
{
	char *key = g_strdup_printf("pi/%s/%s", p->name, isp->name);
	struct charge c = {key, rate, p->count == COUNT_MESSAGES ? 1 : MIN(n, rate.most)};

	if (charged_already(charges, key, rate))
		g_free(key);
	else
		g_array_append_val(charges, c);
}

GArray *
lock_check_slowed(struct lock_table *t, const struct pool *p, const GPtrArray *isps,
		  GArray *charges)
{
	GArray *counts = limits_count_isps(isps);
	int64_t now = g_get_real_time();
	struct lock_state state;

	if (charges == NULL)
		charges = limits_charges_new();
	for (guint i = 0; i < counts->len; i++) {
		const struct isp_count *c = &g_array_index(counts, struct isp_count, i);

		if (!lock_table_find(t, p->name, c->isp->name, now, &state))
			continue;
		if (!state.paused)
			slow(charges, p, c->isp, c->n, state.rate);
		g_free(state.rule);
	}
	g_array_unref(counts);
	if (charges->len == 0)
		g_clear_pointer(&charges, g_array_unref);
	return charges;
}
