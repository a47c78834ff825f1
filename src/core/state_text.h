/*
 * state_text - the frame of our state files: a line with the version, lines, a checksum of all of them.
 *
 *	poolmilter-limits 1
 *	...
 *	sha256 OF-ALL-LINES-ABOVE
 *
 * The checksum tells a file that was cut or changed by accident.  It proves nothing more: whoever can
 * write the file can also write its checksum, so readers check each line as if it came from a stranger.
 */
#ifndef POOLMILTER_CORE_STATE_TEXT_H
#define POOLMILTER_CORE_STATE_TEXT_H

#include "base/buf.h"
#include "core/word.h"

/** Ends the text that begins at start in out: appends the checksum's line. */
void state_text_end(struct buf *out, size_t start);

/** The lines between the first and the last one. */
struct state_text {
	const char *next;
	const char *end;
};

/**
 * Looks at the frame of a text whose first line must be version (with its LF).  What is wrong (static),
 * or NULL: then the lines can be taken.
 */
const char *state_text_begin(struct state_text *t, const char *text, size_t len, const char *version);

/** Takes the next line; false if there is none. */
bool state_text_line(struct state_text *t, struct word_line *line);

#endif
