/*
 * test_log_line - lines of the system's log taken apart.
 */
#include "fixture.h"

#include "core/log_line.h"

#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define DAY (86400 * SECOND)
#define NOV20 (1795132800 * SECOND) /* 2026-11-20T00:00:00Z */

static const struct {
	const char *name, *line;
	int64_t time; /* with now = NOV20 + 12 h, in UTC; 0: of no form */
	const char *host, *program, *text;
} cases[] = {
	{"RFC 3164", "Nov 20 12:00:01 mx1 postfix/smtp[123]: text", NOV20 + 43201 * SECOND, "mx1",
	 "postfix/smtp", "text"},
	{"with a priority", "<22>Nov 20 12:00:01 mx1 postfix/smtp[123]: text",
	 NOV20 + 43201 * SECOND, "mx1", "postfix/smtp", "text"},
	{"day of one digit", "Nov  2 00:00:00 mx1 postfix/qmgr[1]: a: b", NOV20 - 18 * DAY, "mx1",
	 "postfix/qmgr", "a: b"},
	{"day with a nought, postlogd(8)", "Nov 02 00:00:00 mx1 postfix/qmgr[1]: a: b",
	 NOV20 - 18 * DAY, "mx1", "postfix/qmgr", "a: b"},
	{"last year", "Dec 31 23:59:59 mx1 a[1]: t", NOV20 + 42 * DAY - SECOND, "mx1", "a", "t"},
	{"half a year back", "Jun  1 00:00:00 mx1 a[1]: t", NOV20 - 172 * DAY, "mx1", "a", "t"},
	{"next spring", "Jan  1 00:00:00 mx1 a[1]: t", NOV20 + 42 * DAY, "mx1", "a", "t"},
	{"RFC 3339", "2026-11-20T12:00:01.123456+00:00 mx1.example.com postfix/smtp[9]: text",
	 NOV20 + 43201 * SECOND + 123456, "mx1.example.com", "postfix/smtp", "text"},
	{"RFC 3339 with a priority", "<6>2026-11-20T12:00:01.123456+00:00 mx1 p[9]: text",
	 NOV20 + 43201 * SECOND + 123456, "mx1", "p", "text"},
	{"east", "2026-11-20T12:00:01+01:30 mx1 p[9]: text", NOV20 + 37801 * SECOND, "mx1", "p",
	 "text"},
	{"west", "2026-11-20T12:00:01-01:30 mx1 p[9]: text", NOV20 + 48601 * SECOND, "mx1", "p",
	 "text"},
	{"Z", "2026-11-20T12:00:01Z mx1 p[9]: text", NOV20 + 43201 * SECOND, "mx1", "p", "text"},
	{"three digits", "2026-11-20T12:00:01.5Z mx1 p[9]: text", NOV20 + 43201 * SECOND + 500000,
	 "mx1", "p", "text"},
	{"nanoseconds", "2026-11-20T12:00:01.123456789Z mx1 p[9]: text",
	 NOV20 + 43201 * SECOND + 123456, "mx1", "p", "text"},
	{"no process ID", "Nov 20 12:00:01 mx1 postfix/smtp: text", NOV20 + 43201 * SECOND, "mx1",
	 "postfix/smtp", "text"},
	{"IPv6 host", "Nov 20 12:00:01 2001:db8::1 postfix-out/smtp[1]: text",
	 NOV20 + 43201 * SECOND, "2001:db8::1", "postfix-out/smtp", "text"},
	{"no text", "Nov 20 12:00:01 mx1 p[1]:", NOV20 + 43201 * SECOND, "mx1", "p", ""},
	{"text of blanks", "Nov 20 12:00:01 mx1 p[1]:   x ", NOV20 + 43201 * SECOND, "mx1", "p",
	 "  x "},
	{"leap second", "Nov 20 12:00:60 mx1 p[1]: x", NOV20 + 43260 * SECOND, "mx1", "p", "x"},
	{"text like a line", "Nov 20 12:00:01 mx1 p[1]: Nov 20 12:00:01 mx1 postfix/smtp[1]: x",
	 NOV20 + 43201 * SECOND, "mx1", "p", "Nov 20 12:00:01 mx1 postfix/smtp[1]: x"},
	{"empty", "", 0, NULL, NULL, NULL},
	{"a date alone", "Nov 20 12:00:01", 0, NULL, NULL, NULL},
	{"no program", "Nov 20 12:00:01 mx1 last message repeated 3 times", 0, NULL, NULL, NULL},
	{"no host", "Nov 20 12:00:01 postfix/smtp[1]: x", 0, NULL, NULL, NULL},
	{"unknown month", "Nox 20 12:00:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"day 0", "Nov  0 12:00:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"day 31 of a month of 30", "Nov 31 12:00:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"hour 24", "Nov 20 24:00:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"minute 60", "Nov 20 12:60:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"second 61", "Nov 20 12:00:61 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"month 13", "2026-13-20T12:00:01Z mx1 p[9]: text", 0, NULL, NULL, NULL},
	{"month 0", "2026-00-20T12:00:01Z mx1 p[9]: text", 0, NULL, NULL, NULL},
	{"no zone", "2026-11-20T12:00:01 mx1 p[9]: text", 0, NULL, NULL, NULL},
	{"a point and no digits", "2026-11-20T12:00:01.Z mx1 p[9]: text", 0, NULL, NULL, NULL},
	{"a bracket that does not close", "Nov 20 12:00:01 mx1 p[1: x", 0, NULL, NULL, NULL},
	{"a priority that does not close", "<22Nov 20 12:00:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"an empty priority", "<>Nov 20 12:00:01 mx1 p[1]: x", 0, NULL, NULL, NULL},
	{"control characters", "\x01\x02", 0, NULL, NULL, NULL},
};

static void
check_part(const char *name, struct text_part got, const char *want)
{
	char *text = g_strndup(got.p, got.len);

	check_string(name, text, want);
	g_free(text);
}

/* Each line is in a block of just its size: a sanitizer sees what reads behind it. */
static bool
parse(const char *text, size_t len, struct log_clock *clock, int64_t now, char **block,
      struct log_line *out)
{
	*block = g_memdup2(text, len);
	return log_line_parse(*block != NULL ? *block : "", len, clock, now, out);
}

static void
test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct log_clock clock = {0};
		struct log_line line;
		char *block;
		bool ok = parse(cases[i].line, strlen(cases[i].line), &clock, NOV20 + DAY / 2,
				&block, &line);

		check_int(cases[i].name, ok, cases[i].time != 0);
		if (ok) {
			check_int(cases[i].name, line.time, cases[i].time);
			check_part(cases[i].name, line.host, cases[i].host);
			check_part(cases[i].name, line.program, cases[i].program);
			check_part(cases[i].name, line.text, cases[i].text);
		}
		g_free(block);
	}
}

/* Every beginning of every line: no matter what, nothing behind its end is read. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		for (size_t len = 0; len < strlen(cases[i].line); len++) {
			struct log_clock clock = {0};
			struct log_line line;
			char *block;

			if (parse(cases[i].line, len, &clock, NOV20, &block, &line))
				check_true(cases[i].name,
					   line.text.p + line.text.len == block + len);
			g_free(block);
		}
}

static void
test_any_octets(void **state)
{
	static const char head[] = "Nov 20 12:00:01 mx1 p[1]: ";
	char text[sizeof head + 256];
	struct log_clock clock = {0};
	struct log_line line;

	(void)state;
	memcpy(text, head, sizeof head - 1);
	for (int i = 0; i < 256; i++)
		text[sizeof head - 1 + (size_t)i] = (char)i;
	assert_true(log_line_parse(text, sizeof head - 1 + 256, &clock, NOV20, &line));
	assert_int_equal(line.text.len, 256);
	assert_int_equal((unsigned char)line.text.p[255], 255);
}

static int64_t
time_of(struct log_clock *clock, const char *date, int64_t now)
{
	char *text = g_strconcat(date, " mx1 p[1]: x", NULL);
	struct log_line line;

	assert_true(log_line_parse(text, strlen(text), clock, now, &line));
	g_free(text);
	return line.time;
}

/* A log of years has no year: each line is near the one before it. */
static void
test_years(void **state)
{
	struct log_clock clock = {0};
	int64_t last, t = 0;

	(void)state;
	last = time_of(&clock, "Nov 20 00:00:00", NOV20);
	assert_int_equal(last, NOV20);
	for (int year = 0; year < 3; year++) {
		last = t != 0 ? t : last;
		time_of(&clock, "Feb  1 00:00:00", NOV20);
		time_of(&clock, "Jul  1 00:00:00", NOV20);
		t = time_of(&clock, "Nov 20 00:00:00", NOV20);
		assert_in_range((t - last) / DAY, 365, 366);
	}
}

static void
test_leap_day(void **state)
{
	struct log_clock clock = {0};
	int64_t feb = 1835308800 * SECOND; /* 2028-02-28T00:00:00Z */

	(void)state;
	assert_int_equal(time_of(&clock, "Feb 29 00:00:00", feb), feb + DAY);
}

/* Berlin: the hour from 2 to 3 comes twice in autumn, and not at all in spring. */
static void
test_summer_time(void **state)
{
	struct log_clock clock = {0};
	int64_t before = 1792886399 * SECOND; /* 2026-10-25T01:59:59 CEST */

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	assert_int_equal(time_of(&clock, "Oct 25 01:59:59", before), before);
	assert_int_equal(time_of(&clock, "Oct 25 02:00:00", before), before + SECOND);
	assert_int_equal(time_of(&clock, "Oct 25 02:30:00", before), before + 1801 * SECOND);
	assert_int_equal(time_of(&clock, "Oct 25 02:59:59", before), before + 3600 * SECOND);
	assert_int_equal(time_of(&clock, "Oct 25 02:00:00", before), before + 3601 * SECOND);
	assert_int_equal(time_of(&clock, "Oct 25 02:29:00", before), before + 5341 * SECOND);
	assert_int_equal(time_of(&clock, "Oct 25 02:58:00", before), before + 7081 * SECOND);
	assert_int_equal(time_of(&clock, "Oct 25 03:00:00", before), before + 7201 * SECOND);
	assert_true(time_of(&clock, "Mar 28 02:30:00", before) > before);
	setenv("TZ", "UTC", 1);
	tzset();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),      cmocka_unit_test(test_cut),
		cmocka_unit_test(test_any_octets), cmocka_unit_test(test_years),
		cmocka_unit_test(test_leap_day),   cmocka_unit_test(test_summer_time),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
