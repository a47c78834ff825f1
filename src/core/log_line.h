/*
 * log_line - a line of the system's log: when, which host, which program, what it said.
 *
 * The forms: "Nov 20 12:00:01 mx1 postfix/smtp[123]: text" (RFC 3164, Postfix' own maillog_file) and
 * "2026-11-20T12:00:01.123456+00:00 mx1 postfix/smtp[123]: text" (rsyslog, RFC 3339), both with or
 * without "<22>" in front.  Nothing is copied: the parts lie in the line.
 */
#ifndef POOLMILTER_CORE_LOG_LINE_H
#define POOLMILTER_CORE_LOG_LINE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_READ_MAX 65536 /* octets: what is longer is cut there by who reads it */

struct text_part {
	const char *p;
	size_t len;
};

struct log_line {
	int64_t time; /* microseconds since 1970 */
	struct text_part host;
	struct text_part program; /* "postfix/smtp", "postfix-out/smtp", "poolmilter" */
	struct text_part text;
};

#define LOG_CLOCK_MINUTE 16 /* octets of "2026-11-20T12:00" */

/** What lines without a year and a zone need: one for each log that is read; zeroed at first. */
struct log_clock {
	int64_t last; /* time of the last line; 0: none */
	/* of log_line.c: the last line's date without its seconds, and when that minute began */
	char minute[LOG_CLOCK_MINUTE];
	size_t minute_len;
	int64_t minute_began;
};

/**
 * Takes a line (no line end, any octets) apart; false if it is of no form.  now: microseconds since
 * 1970; of the years that a date may be of, the one nearest to the clock's last line or now.  Times
 * without a zone are local time.
 */
bool log_line_parse(const char *line, size_t len, struct log_clock *clock, int64_t now,
		    struct log_line *out);

#endif
