/*
 * stats - what this node has done with mail, counted by pool, ISP, limit and hour; and the names of
 * all that is counted, what became of the mail (core/event_stats.h) among it.
 *
 * Each message counts once under its pool ("-": none, as of mail that is not treated), and once under
 * each ISP of its recipients ("-": not looked for), with that ISP's recipients.  Keys of the table:
 *
 *	p/POOL/HOUR             a pool
 *	pi/POOL/ISP/HOUR        its mail to an ISP
 *	over/POOL/LIMIT/HOUR    its mail over a limit: "over/acme/pi/acme/gmail/20/second/2026112013"
 *
 * Beside the table there are totals since the process began, under the same keys without the hour.
 */
#ifndef POOLMILTER_CORE_STATS_H
#define POOLMILTER_CORE_STATS_H

#include "core/category.h"
#include "core/message.h"
#include "core/plan.h"
#include "core/tally_table.h"

#include <time.h>

/** What is counted.  Under a limit's key DEFERRED and REJECTED are those for that limit. */
enum stats_field {
	STATS_MESSAGES,
	STATS_RECIPIENTS,
	STATS_OCTETS,
	STATS_SIGNATURES,
	STATS_ENCODED,
	STATS_DEFERRED_LIMIT,
	STATS_DEFERRED_RECIPIENTS,
	STATS_HELD,
	STATS_WARNED,
	STATS_DEFERRED,
	STATS_REJECTED,
	STATS_PASSED,
	STATS_ERRORS,
	STATS_LOCAL_LIMIT,
	STATS_UNKNOWN_LIMIT,
	STATS_MESSAGE_FIELDS, /* those above: of messages, counted by the milter */
	/* Of events (core/event.h), counted by poolevents and poolctl bounce. */
	STATS_DELIVERED = STATS_MESSAGE_FIELDS,
	STATS_DELAYED,
	STATS_BOUNCED,
	STATS_EXPIRED,
	STATS_COMPLAINTS,
	STATS_BOUNCED_AS, /* one for each category from here on: STATS_BOUNCED_AS + category - 1 */
	STATS_FIELDS = STATS_BOUNCED_AS + CATEGORIES - 1 /* how many there are */
};

/** A field in all outputs. */
struct stats_name {
	const char *name; /* in the table, JSON, CSV, the log, and in names of metrics */
	const char *head; /* of its column in a table for people */
	const char *help; /* what it counts, for metrics */
	bool always;	  /* its column is there also where it is 0 everywhere */
	bool of_isp;	  /* metrics have it for each ISP, too */
};
extern const struct stats_name stats_names[STATS_FIELDS];

/** The field of a name; STATS_FIELDS if it is none. */
enum stats_field stats_field_find(const char *name);

#define STATS_HOUR_SIZE 11

/** "2026112013": the hour of a time in UTC, as keys end. */
void stats_hour(time_t t, char hour[STATS_HOUR_SIZE]);

struct stats;

/** Counts into hours, which must live as long, and in totals. Free with stats_free(). */
struct stats *stats_new(struct tally_table *hours);
void stats_free(struct stats *s); /* NULL is allowed */

/**
 * Counts a message whose treatment has ended as the plan says; also one that ended before the plan was
 * begun, with a plan of verdict and reason only.  took: microseconds of treatment; negative: there was
 * none.  Thread-safe; waits for nothing.
 */
void stats_message(struct stats *s, const struct message *m, const struct plan *p, gint64 took,
		   time_t now);

/** Counts a recipient that was refused before the message, since a limit of its ISP is reached. */
void stats_recipient(struct stats *s, const struct pool *pool, const struct isp *isp,
		     const struct limit_over *over, time_t now);

/** Totals of one key, which belongs to the struct stats, since the process began. */
struct stats_row {
	const char *key; /* "p/acme", "pi/acme/gmail", "over/acme/pi/acme/gmail/20/second" */
	int64_t n[STATS_MESSAGE_FIELDS];
};

#define STATS_ROWS_MAX 100000 /* 300 octets each; more keys have no totals */

/** A copy of all totals, of struct stats_row, sorted by key as octets; g_array_unref() it. */
GArray *stats_rows(struct stats *s);

#define STATS_BOUNDS 14

/** How long treatments took: how many up to each bound, and over the last. */
struct stats_durations {
	uint64_t count[STATS_BOUNDS + 1];
	uint64_t sum_us;
};
extern const int64_t stats_bounds_us[STATS_BOUNDS];
void stats_durations(struct stats *s, struct stats_durations *out);

/** How many numbers had no room, in the totals and in the table. */
uint64_t stats_lost(struct stats *s);

/**
 * Calls line() for each pool with mail since the last call, or since the beginning:
 * "stats: pool=acme messages=120 recipients=130 ... seconds=3600", all fields in their order.
 */
void stats_summary(struct stats *s, void (*line)(const char *text, void *context), void *context);

#endif
