/*
 * pipeline - the one way of a message; see pipeline.h.
 */
#include "core/pipeline.h"

static bool
stage_size(const struct job *job, struct plan *plan)
{
	if (job->message->damaged) {
		plan_refuse_memory(plan);
		return false;
	}
	if (job->message->too_large) {
		plan_refuse(plan, VERDICT_REJECTED, "size", "552", "5.3.4",
			    "Message is larger than %" G_GINT64_FORMAT " octets",
			    job->settings->max_message_size);
		return false;
	}
	return true;
}

void
pipeline_run(const struct job *job, struct plan *plan)
{
	static stage_fn *const stages[] = {
		stage_trust,  stage_size,    stage_pool,	stage_isp,
		stage_encode, stage_headers, stage_return_path, stage_sign,
		stage_limits,
	};

	plan_end(plan, VERDICT_ACCEPTED, NULL);
	for (size_t i = 0; i < G_N_ELEMENTS(stages); i++)
		if (!stages[i](job, plan))
			break;
}
