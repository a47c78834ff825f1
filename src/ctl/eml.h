/*
 * eml - a message in a file: read into a message, written back as the MTA would hold it.
 */
#ifndef POOLMILTER_CTL_EML_H
#define POOLMILTER_CTL_EML_H

#include "core/message.h"
#include "core/plan.h"

#include <stdbool.h>
#include <stdio.h>

struct eml {
	struct buf octets; /* the file as it came */
	size_t body;	   /* where the body begins */
	bool separator;	   /* an empty line stands before the body */
	bool crlf;	   /* line ends of the header: CRLF, else LF */
};

/** Reads the whole stream; false on a read error or without memory (errno). */
bool eml_read(struct eml *e, FILE *in);

/**
 * Adds header and body to the message as the MTA would send them to a milter: folds as LF, the body with
 * CRLF line ends.  The header ends at an empty line, or before the first line that is no header field.
 */
void eml_parse(struct eml *e, struct message *m);

/**
 * Writes the message as the plan makes it, with the line ends that the file had; a body that stays, as it
 * came.
 */
void eml_write(const struct eml *e, const struct plan *plan, FILE *out);

void eml_free(struct eml *e);

#endif
