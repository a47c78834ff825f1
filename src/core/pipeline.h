/*
 * pipeline - the one way of a message: trust, pool, ISP, encoding, headers, Return-Path, signatures,
 * limits.
 *
 * The daemon and poolctl process run the very same pipeline.  Stages read the job and write the plan;
 * each is a function in a file of its own and may end the treatment.
 */
#ifndef POOLMILTER_CORE_PIPELINE_H
#define POOLMILTER_CORE_PIPELINE_H

#include "core/limiter.h"
#include "core/lock_table.h"
#include "core/message.h"
#include "core/plan.h"
#include "core/resolver.h"
#include "core/settings.h"
#include "core/sign.h"

#include <time.h>

/** What stages may read. */
struct job {
	const struct settings *settings;
	const struct message *message;
	const struct signer *signer;
	const struct resolver *resolver; /* NULL: no MX rules */
	const struct limiter *limiter;	 /* NULL: nothing is charged */
	const struct limiter *local_limiter; /* for when_down = "local"; NULL: limiter is this node's */
	struct lock_table *locks;	     /* NULL: none are obeyed */
	time_t now;			 /* for tokens and signatures */
	gint64 deadline;		 /* of waiting for the DNS, g_get_monotonic_time() */
	const GPtrArray *rcpts;		 /* for whom to treat it; NULL: all of the message's */
	bool no_split;			 /* mixed_isps is "neutral" for this message */
};

/** A stage; false ends the treatment (the plan says how). */
typedef bool stage_fn(const struct job *job, struct plan *plan);

stage_fn stage_trust;	    /* trust.c: may this client send for us? */
stage_fn stage_pool;	    /* pool.c: whose mail is it? */
stage_fn stage_isp;	    /* isp_stage.c: whose mailboxes are its recipients'? */
stage_fn stage_encode;	    /* encode.c: transfer encodings, and what must not break on the way */
stage_fn stage_headers;	    /* headers.c: delete, set, add */
stage_fn stage_return_path; /* return_path.c: the new sender */
stage_fn stage_sign;	    /* sign.c: DKIM signatures of the image */
stage_fn stage_limits;	    /* limits_stage.c: what it will be charged to; charges nothing */

/** Runs all stages. The plan is complete afterwards: accepted, or ended by a stage. Charges nothing. */
void pipeline_run(const struct job *job, struct plan *plan);

/**
 * Looks at the locks, and charges an accepted message to its limits, those of recipients of copies included;
 * call it once for a message, before anything of it is sent.  The plan's verdict may change: deferred,
 * rejected, held.
 */
void pipeline_charge(const struct job *job, struct plan *plan);

#endif
