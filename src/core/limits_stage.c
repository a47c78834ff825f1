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
 * The limiter may not answer: Redis, which all nodes share.  Then when_down decides.  The share that
 * this node counts in memory meanwhile is another limiter; what it says is final.  Also where the
 * charge may have reached Redis: then it is charged twice, which harms nobody.
 */
#include "core/limits.h"
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
	plan->hold = g_strdup_printf("poolmilter: over the limit %s", plan->over.words);
}

static void
refuse(struct plan *plan, uint32_t amount)
{
	char *wait = limits_seconds(plan->over.wait_us);

	if (plan->over.wait_us < 0)
		plan_refuse(plan, VERDICT_REJECTED, "limit", "554", "5.7.1",
			    "More recipients (%u) than the sending limit %s ever allows: send to fewer at a "
			    "time",
			    amount, plan->over.words);
	else
		plan_refuse(plan, VERDICT_DEFERRED, "limit", "451", "4.7.1",
			    "Sending limit %s is reached, try again in %s", plan->over.words, wait);
	g_free(wait);
}

/* Local submission has no client that could try again. */
static void
over(const struct job *job, struct plan *plan, const struct charge *charge, int64_t wait_us)
{
	plan->limit = LIMIT_OVER;
	limits_over_set(&plan->over, charge, wait_us);
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
			refuse(plan, charge->amount);
		break;
	}
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
		over(job, plan, &request.charges[result.which], result.wait_us);
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

void
pipeline_charge(const struct job *job, struct plan *plan)
{
	char *why = NULL;

	if (plan->verdict != VERDICT_ACCEPTED || plan->charges == NULL || job->limiter == NULL)
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
