/*
 * isp_stage - the ISP records of a message's recipients, and which one treats it; see DESIGN,
 * "Recipients of several ISPs".
 *
 * A milter edits the message, not a recipient's copy.  Recipients whose records treat messages alike
 * are no conflict; else mixed_isps decides.  A message that was injected again by us names its record
 * (split.h), so it is never split twice and no look-up can change its mind; the recipients' own records
 * are for counting only.
 */
#include "core/isp.h"
#include "core/pipeline.h"
#include "core/split.h"

#include <string.h>

static const struct isp *
isp_at(const struct plan *plan, guint i)
{
	return g_ptr_array_index(plan->rcpt_isps, i);
}

static void
find_one(const struct job *job, struct plan *plan, const char *rcpt)
{
	struct isp_match match =
		isp_find(job->settings, job->resolver, address_domain(rcpt), job->deadline);

	g_ptr_array_add(plan->rcpt_isps, (struct isp *)match.isp);
	plan_explain(plan, "isp: <%s>: %s (%s%s)", rcpt, match.isp->name, isp_how_word(match.how),
		     match.failed ? ", MX hosts not known" : "");
}

/* The others' look-ups begin before the first is waited for, which begins its own. */
static void
find_all(const struct job *job, struct plan *plan)
{
	const GPtrArray *rcpts = plan->rcpts;

	for (guint i = 1; i < rcpts->len; i++)
		isp_prefetch(job->settings, job->resolver, address_domain(g_ptr_array_index(rcpts, i)));
	for (guint i = 0; i < rcpts->len; i++)
		find_one(job, plan, g_ptr_array_index(rcpts, i));
}

/* True if all recipients' records treat messages alike; *same_record: they are one record. */
static bool
alike(const struct plan *plan, bool *same_record)
{
	const struct isp *first = isp_at(plan, 0);
	bool same = true;

	*same_record = true;
	for (guint i = 1; i < plan->rcpt_isps->len; i++) {
		same = same && isp_at(plan, i)->treatment == first->treatment;
		*same_record = *same_record && isp_at(plan, i) == first;
	}
	return same;
}

static struct group *
group_of(struct plan *plan, const struct isp *isp)
{
	for (guint i = 0; plan->groups != NULL && i < plan->groups->len; i++) {
		struct group *g = g_ptr_array_index(plan->groups, i);

		if (g->isp->treatment == isp->treatment)
			return g;
	}
	return plan_group(plan, isp);
}

/* The first recipient's treatment is the message's; the others are grouped by theirs. */
static void
split(struct plan *plan)
{
	const GPtrArray *all = plan->rcpts;
	const struct isp *first = isp_at(plan, 0);
	GPtrArray *isps = g_ptr_array_new();

	plan->own_rcpts = g_ptr_array_new();
	for (guint i = 0; i < all->len; i++) {
		const struct isp *isp = isp_at(plan, i);
		char *rcpt = g_ptr_array_index(all, i);

		if (isp->treatment == first->treatment) {
			g_ptr_array_add(plan->own_rcpts, rcpt);
			g_ptr_array_add(isps, (struct isp *)isp);
		} else {
			g_ptr_array_add(group_of(plan, isp)->rcpts, rcpt);
		}
	}
	plan->rcpts = plan->own_rcpts;
	g_ptr_array_unref(plan->rcpt_isps);
	plan->rcpt_isps = isps;
	plan->isp = first;
	plan->mixed = "split";
	for (guint i = 0; i < plan->groups->len; i++) {
		const struct group *g = g_ptr_array_index(plan->groups, i);

		plan_explain(plan, "isp: to be injected again for %u recipients of %s", g->rcpts->len,
			     g->isp->name);
	}
}

static void
mixed(const struct job *job, struct plan *plan)
{
	const char *why = NULL;

	if (job->settings->mixed_isps == MIXED_SPLIT) {
		why = job->no_split ? "the message stays whole" : split_obstacle(job, plan);
		if (why == NULL) {
			split(plan);
			return;
		}
	}
	plan->isp = job->settings->default_isp;
	plan->mixed = "neutral";
	plan_explain(plan, "isp: the recipients' records differ in treatment: %s treats the message%s%s",
		     plan->isp->name, why != NULL ? ", not split: " : "", why != NULL ? why : "");
}

bool
stage_isp(const struct job *job, struct plan *plan)
{
	bool same_record;

	if (job->rcpts != NULL)
		plan->rcpts = job->rcpts;
	plan->rcpt_isps = g_ptr_array_sized_new(plan->rcpts->len);
	find_all(job, plan);
	plan->all_isps = g_ptr_array_ref(plan->rcpt_isps);
	if (plan->injected_isp != NULL) {
		plan->isp = plan->injected_isp;
		plan_explain(plan, "isp: %s treats the message, which was injected again by us",
			     plan->isp->name);
		return true;
	}
	plan->isp = plan->rcpt_isps->len > 0 ? isp_at(plan, 0) : job->settings->default_isp;
	if (plan->rcpt_isps->len == 0)
		return true;
	if (!alike(plan, &same_record))
		mixed(job, plan);
	else if (!same_record)
		plan->mixed = "alike";
	return true;
}
