/*
 * limiter_state - what limiter_memory and the statistics know, as text. A part of limiter_memory.
 *
 *	poolmilter-limits 1
 *	charge MOST SECONDS KEY LAST COUNT [LAST COUNT ...]
 *	tally KEY FIELD VALUE
 *	sha256 OF-ALL-LINES-ABOVE
 *
 * One blank between two words, LF after each line.  In keys and fields, octets other than 33 to 126 and
 * "%" are %XX; they may be empty.  LAST is microseconds since 1970, the oldest first.
 */
#ifndef POOLMILTER_CORE_LIMITER_STATE_H
#define POOLMILTER_CORE_LIMITER_STATE_H

#include "base/buf.h"
#include "core/limit_table.h"
#include "core/tally_table.h"

/** Appends all that counts. now, wall: the same moment on the tables' clock and as time of day. */
void limiter_state_write(struct limit_table *limits, struct tally_table *tallies, int64_t now,
			 int64_t wall, struct buf *out);

/**
 * Reads it into empty tables; what counts no longer is left out.  False, with *why (static), if it is
 * damaged or does not fit: the tables then hold a part of it.
 */
bool limiter_state_read(struct limit_table *limits, struct tally_table *tallies, int64_t now,
			int64_t wall, const char *text, size_t len, const char **why);

#endif
