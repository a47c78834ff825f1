/*
 * log_line - a line of the system's log taken apart; see log_line.h.
 *
 * Dates cost more than all the rest: the minute of the last line is kept, and most lines are of it.
 * A date without a year may be of this one or of those beside it, and in the hour that comes twice
 * in autumn, of both: the one nearest to the line before is taken.  Nothing is allocated.
 */
#include "core/log_line.h"

#include <string.h>
#include <time.h>

struct cursor {
	const char *p, *end;
};

static bool
skip(struct cursor *c, char expected)
{
	if (c->p == c->end || *c->p != expected)
		return false;
	c->p++;
	return true;
}

/* n digits, of which the first may be a blank. */
static bool
digits(struct cursor *c, int n, int max, int *number)
{
	*number = 0;
	if (c->end - c->p < n)
		return false;
	for (int i = 0; i < n; i++, c->p++) {
		if (g_ascii_isdigit(*c->p))
			*number = *number * 10 + (*c->p - '0');
		else if (i != 0 || *c->p != ' ')
			return false;
	}
	return *number <= max;
}

static bool
clock_time(struct cursor *c, struct tm *tm)
{
	return digits(c, 2, 23, &tm->tm_hour) && skip(c, ':') && digits(c, 2, 59, &tm->tm_min);
}

/* "<22>": facility and severity, RFC 3164 4.1.1. */
static bool
priority(struct cursor *c)
{
	int digit, n = 0;

	if (!skip(c, '<'))
		return true;
	while (n < 3 && c->p < c->end && *c->p != ' ' && digits(c, 1, 9, &digit))
		n++;
	return n > 0 && skip(c, '>');
}

/* ---- RFC 3164 ---- */

/* The time of a date in a year; false if there is none, or not with this kind of time (negative:
   any; what falls into the hour that spring leaves out is then moved). */
static bool
local_time(const struct tm *date, int year, int is_dst, int64_t *us)
{
	struct tm tm = *date;

	tm.tm_year = year;
	tm.tm_isdst = is_dst;
	*us = (int64_t)mktime(&tm) * G_USEC_PER_SEC;
	return tm.tm_mon == date->tm_mon && tm.tm_mday == date->tm_mday &&
	       (is_dst < 0 || (tm.tm_isdst == is_dst && tm.tm_hour == date->tm_hour));
}

/* The minute that is nearest to a time. */
static bool
nearest(const struct tm *date, int64_t to, int64_t *began)
{
	time_t seconds = (time_t)(to / G_USEC_PER_SEC);
	int64_t best = INT64_MAX, t;
	struct tm here;

	localtime_r(&seconds, &here);
	for (int year = here.tm_year - 1; year <= here.tm_year + 1; year++)
		for (int is_dst = -1; is_dst <= 1; is_dst++)
			if (local_time(date, year, is_dst, &t) && ABS(t - to) < best) {
				best = ABS(t - to);
				*began = t;
			}
	return best < INT64_MAX;
}

static bool
month(struct cursor *c, int *number)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	if (c->end - c->p < 3)
		return false;
	for (*number = 0; *number < 12; ++*number)
		if (memcmp(c->p, names + (size_t)*number * 3, 3) == 0) {
			c->p += 3;
			return true;
		}
	return false;
}

/* "Nov 20 12:00" */
static bool
minute_3164(struct cursor *c, int64_t near, int64_t *began)
{
	struct tm tm = {0};

	return month(c, &tm.tm_mon) && skip(c, ' ') && digits(c, 2, 31, &tm.tm_mday) &&
	       tm.tm_mday > 0 && skip(c, ' ') && clock_time(c, &tm) && nearest(&tm, near, began);
}

/* ---- RFC 3339 ---- */

/* "2026-11-20T12:00", as if it were UTC */
static bool
minute_3339(struct cursor *c, int64_t *began)
{
	struct tm tm = {0};

	if (*c->p == ' ' || !digits(c, 4, 9999, &tm.tm_year) || !skip(c, '-') ||
	    !digits(c, 2, 12, &tm.tm_mon) || !skip(c, '-') || !digits(c, 2, 31, &tm.tm_mday) ||
	    !skip(c, 'T') || !clock_time(c, &tm) || tm.tm_mon == 0 || tm.tm_mday == 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*began = (int64_t)timegm(&tm) * G_USEC_PER_SEC;
	return true;
}

/* Digits behind the point; those after the sixth are dropped. */
static bool
fraction(struct cursor *c, int64_t *us)
{
	int64_t unit = G_USEC_PER_SEC;
	const char *begin;

	if (!skip(c, '.'))
		return true;
	for (begin = c->p; c->p < c->end && g_ascii_isdigit(*c->p); c->p++) {
		unit /= 10;
		*us += (*c->p - '0') * unit;
	}
	return c->p > begin;
}

static bool
zone(struct cursor *c, int64_t *time)
{
	struct tm tm;
	int64_t offset;
	bool east;

	if (skip(c, 'Z'))
		return true;
	east = c->p < c->end && *c->p == '+';
	if (!skip(c, east ? '+' : '-') || !clock_time(c, &tm))
		return false;
	offset = (tm.tm_hour * 60 + tm.tm_min) * (int64_t)60 * G_USEC_PER_SEC;
	*time += east ? -offset : offset;
	return true;
}

/* ---- both ---- */

static bool
minute(struct cursor *c, bool old_form, struct log_clock *clock, int64_t now, int64_t *began)
{
	size_t len = old_form ? 12 : LOG_CLOCK_MINUTE;
	const char *text = c->p;

	if (clock->minute_len == len && (size_t)(c->end - c->p) >= len &&
	    memcmp(c->p, clock->minute, len) == 0) {
		c->p += len;
		*began = clock->minute_began;
		return true;
	}
	if (old_form ? !minute_3164(c, clock->last != 0 ? clock->last : now, began)
		     : !minute_3339(c, began))
		return false;
	memcpy(clock->minute, text, len);
	clock->minute_len = len;
	clock->minute_began = *began;
	return true;
}

static bool
date(struct cursor *c, struct log_clock *clock, int64_t now, int64_t *time)
{
	bool old_form = c->p < c->end && g_ascii_isalpha(*c->p);
	int seconds;

	if (c->p == c->end || !minute(c, old_form, clock, now, time) || !skip(c, ':') ||
	    !digits(c, 2, 60, &seconds))
		return false;
	*time += seconds * G_USEC_PER_SEC;
	return (old_form || (fraction(c, time) && zone(c, time))) && skip(c, ' ');
}

/* Up to one of two octets, which stays. */
static bool
part(struct cursor *c, char stop, char other, struct text_part *out)
{
	out->p = c->p;
	while (c->p < c->end && *c->p != stop && *c->p != other && *c->p != ' ')
		c->p++;
	out->len = (size_t)(c->p - out->p);
	return out->len > 0 && c->p < c->end;
}

/* "postfix/smtp[123]: text" */
static bool
tag(struct cursor *c, struct log_line *out)
{
	if (!part(c, '[', ':', &out->program))
		return false;
	if (skip(c, '[')) {
		const char *close = memchr(c->p, ']', (size_t)(c->end - c->p));

		if (close == NULL)
			return false;
		c->p = close + 1;
	}
	if (!skip(c, ':'))
		return false;
	skip(c, ' ');
	out->text = (struct text_part){c->p, (size_t)(c->end - c->p)};
	return true;
}

bool
log_line_parse(const char *line, size_t len, struct log_clock *clock, int64_t now,
	       struct log_line *out)
{
	struct cursor c = {line, line + len};

	if (!priority(&c) || !date(&c, clock, now, &out->time) || !part(&c, ' ', ' ', &out->host) ||
	    !skip(&c, ' ') || !tag(&c, out))
		return false;
	clock->last = out->time;
	return true;
}
