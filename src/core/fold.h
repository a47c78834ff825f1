/*
 * fold - header fields with lines that no MTA carries.
 */
#ifndef POOLMILTER_CORE_FOLD_H
#define POOLMILTER_CORE_FOLD_H

#include "base/buf.h"
#include "core/message.h"

enum fold_result {
	FOLD_NOT_NEEDED, /* no line of more than 998 octets */
	FOLD_DONE,       /* at blanks that were there: it says the same as before */
	FOLD_CUT,        /* somewhere inside of a word, which then has a blank in it */
	FOLD_CANNOT,     /* it has to stay as it is */
};

/** True if a line of the field, its name included, has more than 998 octets (RFC 5322 2.1.1). */
bool fold_is_needed(const struct field *f);

/**
 * Writes the field's value with folds so that no line has more than 998 octets.  out is meaningful
 * if the result is FOLD_DONE or FOLD_CUT; its failure is the caller's to ask for.
 */
enum fold_result fold_value(const struct field *f, struct buf *out);

#endif
