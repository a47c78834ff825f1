/*
 * limits_stage - the sending limits of a message; see DESIGN, "Limits".
 *
 * The stage finds out what the message is to be charged to, and charges nothing: the pipeline may
 * run twice for a message, and for poolctl, which sends nothing.  pipeline_charge() asks, once,
 * when the message is treated and signed and before the first copy is injected again.  It asks for
 * all recipients, those of the copies included: so a message is charged whole or not at all, one
 * over the limit is deferred before any copy of it is on its way, and whoever is not taken by an
 * injection is paid for already.  A copy that comes in with our mark is not charged again.
 *
 * Locks come before: a message that meets a pause is treated as over a limit, without a question; a
 * slower rate is one more charge.  Both by what this node knows of the locks (core/lock_table.h).
 *
 * The limiter may not answer: Redis, which all nodes share.  Then when_down decides.  The share that
 * this node counts in memory meanwhile is another limiter; what it says is final.  Also where the
 * charge may have reached Redis: then it is charged twice, which harms nobody.
 */
#include "core/limits.h"
#include "core/lock_check.h"
#include "core/pipeline.h"

static void
explain(struct plan *plan)
{
	for (guint i = 0; i < plan->charges->len; i++) {
		const struct charge *c = &g_array_index(plan->charges, struct charge, i);
		char *text = limit_text(c->limit);

		plan_explain(plan, "limits: %s: %s, this message: %u", c->key, text, c->amount);
		g_free(text);
	}
}

bool
stage_limits(const struct job *job, struct plan *plan)
{
	(void)job;
	if (plan->injected_isp != NULL) {
		plan_explain(plan, "limits: charged before it was injected again");
		return true;
	}
	plan->charges = limits_of(plan->pool, plan->all_isps);
	if (plan->explanations != NULL && plan->charges != NULL)
		explain(plan);
	return true;
}

static void
hold(struct plan *plan)
{
	plan_end(plan, VERDICT_HELD, "limit");
	plan->hold = limits_over_hold(&plan->over);
}

static void
refuse(struct plan *plan, uint32_t amount)
{
	char *reply = NULL;

	if (plan->over.wait_us < 0) {
		plan_refuse(plan, VERDICT_REJECTED, "limit", "554", "5.7.1",
			    "More recipients (%u) than the sending limit %s ever allows: send to fewer at a "
			    "time",
			    amount, plan->over.words);
	} else {
		reply = limits_over_reply(&plan->over);
		plan_refuse(plan, VERDICT_DEFERRED, "limit", "451", "4.7.1", "%s", reply);
	}
	g_free(reply);
}

/* Local submission has no client that could try again.  amount: that was to be charged. */
static void
over(const struct job *job, struct plan *plan, uint32_t amount)
{
	plan->limit = LIMIT_OVER;
	switch ((enum on_limit)plan->pool->on_limit) {
	case ON_LIMIT_WARN:
		break;
	case ON_LIMIT_HOLD:
		hold(plan);
		break;
	case ON_LIMIT_DEFER:
		if (job->message->local)
			hold(plan);
		else
			refuse(plan, amount);
		break;
	}
}

/* A lock's rate is no reason to refuse for ever what this node's share of it has no room for. */
static void
over_charge(const struct job *job, struct plan *plan, guint which, int64_t wait_us)
{
	const struct charge *c = &g_array_index(plan->charges, struct charge, which);

	if (which >= plan->own_charges && wait_us < 0)
		wait_us = c->limit.seconds * (int64_t)G_USEC_PER_SEC;
	limits_over_set(&plan->over, c, wait_us);
	over(job, plan, c->amount);
}

/* False: there is no answer, *why is told. */
static bool
ask(const struct job *job, const struct limiter *limiter, struct plan *plan, char **why)
{
	const struct limiter_request request = {
		.charges = (const struct charge *)(void *)plan->charges->data,
		.n_charges = plan->charges->len};
	struct limiter_result result = {0};
	enum limiter_answer answer = limiter->ask(limiter->context, &request, &result);

	*why = result.why;
	if (answer == LIMITER_ALLOWED)
		plan->limit = LIMIT_OK;
	else if (answer == LIMITER_OVER)
		over_charge(job, plan, result.which, result.wait_us);
	return answer == LIMITER_ALLOWED || answer == LIMITER_OVER;
}

static void
defer_unknown(const struct job *job, struct plan *plan)
{
	if (job->message->local) {
		plan_end(plan, VERDICT_HELD, "limits-unknown");
		plan->hold = g_strdup("poolmilter: its limits could not be asked");
		return;
	}
	plan_refuse(plan, VERDICT_DEFERRED, "limits-unknown", "451", "4.3.0",
		    "Sending limits cannot be checked now, try again later");
}

/* Without an answer of the shared limiter. */
static void
down(const struct job *job, struct plan *plan)
{
	plan->limit = LIMIT_UNKNOWN;
	switch ((enum when_down)job->settings->redis.when_down) {
	case WHEN_DOWN_LOCAL:
		plan->limit_local = ask(job, job->local_limiter, plan, &plan->limit_problem);
		break;
	case WHEN_DOWN_ACCEPT:
		break;
	case WHEN_DOWN_DEFER:
		defer_unknown(job, plan);
		break;
	}
}

/* True: the message is over, it is not charged. */
static bool
locked(const struct job *job, struct plan *plan)
{
	if (job->locks == NULL || lock_table_empty(job->locks) || plan->all_isps == NULL ||
	    plan->injected_isp != NULL)
		return false;
	if (lock_check_paused(job->locks, plan->pool, plan->all_isps, &plan->over)) {
		over(job, plan, 0);
		return true;
	}
	plan->charges = lock_check_slowed(job->locks, plan->pool, plan->all_isps, plan->charges);
	return false;
}

void
pipeline_charge(const struct job *job, struct plan *plan)
{
	char *why = NULL;

	if (plan->verdict != VERDICT_ACCEPTED)
		return;
	plan->own_charges = plan->charges != NULL ? plan->charges->len : 0;
	if (locked(job, plan) || plan->charges == NULL || job->limiter == NULL)
		return;
	if (ask(job, job->limiter, plan, &why))
		return;
	if (job->local_limiter != NULL) {
		g_free(why); /* the shared limiter logs its state itself */
		down(job, plan);
	} else {
		plan->limit = LIMIT_UNKNOWN;
		plan->limit_problem = why;
	}
}
