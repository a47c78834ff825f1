/*
 * log - the one sink of log lines: syslog, or standard error in the foreground.
 *
 * A line never holds up mail: syslog(3) blocks while its reader does, so lines go through a bounded
 * queue to a thread of their own; what does not fit is dropped, counted, and the count is told.
 * Escaping and cutting happen here, never at the call: control characters and what is not UTF-8 become
 * "\xHH", lines end at LOG_LINE_MAX octets.
 */
#ifndef POOLMILTER_BASE_LOG_H
#define POOLMILTER_BASE_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <syslog.h>

#define LOG_LINE_MAX 1900 /* octets; syslog's own limit is 2048 (RFC 3164: 1024, rsyslog: 8192) */

/** Where lines go from now on. Before the first call: standard error, at once. */
void log_open(const char *ident, int facility, bool to_stderr);

/** Lines less urgent than level (LOG_ERR ... LOG_DEBUG) are not written. */
void log_set_level(int level);

/** True if a line of this level would be written; to save the cost of making it. */
bool log_enabled(int level);

/** Writes a line. Never blocks, keeps errno. Thread-safe. */
void log_line(int level, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** As log_line(), but not more than one line a minute from each place that keeps a limit. */
struct log_limit {
	gint64 next;	    /* monotonic, microseconds */
	unsigned suppressed;
};
void log_limited(struct log_limit *limit, int level, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** Waits until the queue is written, for at most some seconds; then no line is queued any more. */
void log_close(unsigned seconds);

#endif
