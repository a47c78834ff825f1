/*
 * apply - gives a plan to the MTA through libmilter.
 */
#ifndef POOLMILTER_DAEMON_APPLY_H
#define POOLMILTER_DAEMON_APPLY_H

#include "core/plan.h"

#include <libmilter/mfapi.h>

/**
 * Sends the edits of the plan and returns the answer for the end-of-message callback.  *applied is
 * false if libmilter refused an edit: the message is deferred then, and the MTA drops what it had got.
 */
sfsistat apply_plan(SMFICTX *ctx, const struct plan *p, bool *applied);

/** Sets a reply and returns the status that goes with its class (4 or 5). */
sfsistat apply_reply(SMFICTX *ctx, const char *code, const char *status, const char *text);

#endif
