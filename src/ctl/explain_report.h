/*
 * explain_report - what poolctl explain tells: for people, and as JSON.
 */
#ifndef POOLMILTER_CTL_EXPLAIN_REPORT_H
#define POOLMILTER_CTL_EXPLAIN_REPORT_H

#include "core/pipeline.h"

#include <stdio.h>

/** Recipients that are treated together, and how. */
struct explain_part {
	const char *when;       /* static: "now", "injected again", "another transaction" */
	const GPtrArray *rcpts; /* of const char *, the message's */
	struct plan *plan;      /* of a message for these recipients */
	bool copy;              /* its limits are charged with the message itself */
};

struct explanation {
	const struct settings *settings;
	const struct message *message; /* made up: a From: field and nothing else */
	const struct job *job;
	GPtrArray *reasons; /* of struct isp_reason *: beside the message's recipients */
	GPtrArray *parts;   /* of struct explain_part *: one at least */
};

void explain_report_text(const struct explanation *e, FILE *out);
void explain_report_json(const struct explanation *e, FILE *out);

#endif
