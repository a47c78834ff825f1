/*
 * stats - what this node has done with mail; see stats.h.
 *
 * A message costs a row in the table and one in the totals for its pool, for each ISP, and for a
 * limit that is reached: no look-up depends on how many pools there are.  Totals never shrink but
 * by a restart, since what reads them takes differences; so their number is bounded.  Lock order:
 * there is one lock, of the totals; the table is not called under it.
 */
#include "core/stats.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

const struct stats_name stats_names[STATS_FIELDS] = {
	[STATS_MESSAGES] = {"messages", "MESSAGES", "Messages treated and accepted.", true, true},
	[STATS_RECIPIENTS] = {"recipients", "RCPTS", "Recipients of messages treated and accepted.",
			      true, true},
	[STATS_OCTETS] = {"octets", "SIZE",
			  "Octets of messages treated and accepted, as they came.", true, true},
	[STATS_SIGNATURES] = {"signatures", "SIGNED", "DKIM signatures of messages accepted.",
			      false, false},
	[STATS_ENCODED] = {"encoded", "ENCODED", "Messages treated, accepted, and encoded anew.",
			   false, false},
	[STATS_DEFERRED_LIMIT] = {"deferred_limit", "LIMITED",
				  "Messages deferred since a limit was reached.", true, true},
	[STATS_DEFERRED_RECIPIENTS] = {"deferred_recipients", "RCPT-451",
				       "Recipients deferred at RCPT since a limit was reached.",
				       false, true},
	[STATS_HELD] = {"held", "HELD", "Messages held in the quarantine of the MTA.", false, true},
	[STATS_WARNED] = {"warned", "WARNED", "Messages accepted although a limit was reached.",
			  false, true},
	[STATS_DEFERRED] = {"deferred", "DEFERRED", "Messages deferred for another reason.", true,
			    false},
	[STATS_REJECTED] = {"rejected", "REJECTED", "Messages rejected.", true, false},
	[STATS_PASSED] = {"passed", "PASSED", "Messages that went on untreated.", false, false},
	[STATS_ERRORS] = {"errors", "ERRORS", "Messages deferred for an error inside.", true,
			  false},
	[STATS_LOCAL_LIMIT] = {"local_limit", "LOCAL",
			       "Messages under this node's share of their limits, without Redis.",
			       false, false},
	[STATS_UNKNOWN_LIMIT] = {"unknown_limit", "UNKNOWN",
				 "Messages whose limits could not be asked for.", false, false},
	[STATS_DELIVERED] = {"delivered", "DELIVERED", "Recipients whose next server took the mail.",
			     false, true},
	[STATS_DELAYED] = {"delayed", "DELAYED", "Tries of delivery that the next server deferred.",
			   false, true},
	[STATS_BOUNCED] = {"bounced", "BOUNCED", "Recipients whose mail was refused for good.", false,
			   true},
	[STATS_EXPIRED] = {"expired", "EXPIRED",
			   "Recipients whose mail was deferred for too long and went back.", false, true},
	[STATS_COMPLAINTS] = {"complaints", "COMPLAINTS", "Complaints of recipients.", false, true},
#define AS(category, name, head, why) \
	[STATS_BOUNCED_AS + (category) - 1] = {"bounced_" name, head, \
		"Bounced recipients of category " why ".", false, true}
	AS(CATEGORY_BAD_MAILBOX, "bad_mailbox", "B-MAILBOX", "bad-mailbox"),
	AS(CATEGORY_BAD_DOMAIN, "bad_domain", "B-DOMAIN", "bad-domain"),
	AS(CATEGORY_INACTIVE, "inactive", "B-INACTIVE", "inactive"),
	AS(CATEGORY_FULL, "full", "B-FULL", "full"),
	AS(CATEGORY_TEMPORARY, "temporary", "B-TEMPORARY", "temporary"),
	AS(CATEGORY_REPUTATION, "reputation", "B-REPUTATION", "reputation"),
	AS(CATEGORY_POLICY, "policy", "B-POLICY", "policy"),
	AS(CATEGORY_AUTHENTICATION, "authentication", "B-AUTH", "authentication"),
	AS(CATEGORY_RATE, "rate", "B-RATE", "rate"),
	AS(CATEGORY_OTHER, "other", "B-OTHER", "other"),
#undef AS
};

const int64_t stats_bounds_us[STATS_BOUNDS] = {
	250,   500,    1000,   2500,   5000,    10000,   25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 10000000,
};

struct total {
	struct stats_row row;
	int64_t told[STATS_MESSAGE_FIELDS]; /* in a summary */
};

struct stats {
	struct tally_table *hours;
	pthread_mutex_t lock;
	GHashTable *totals; /* key to struct total */
	struct stats_durations durations;
	gint64 summed_up; /* monotonic time of the last summary */
	_Atomic uint64_t lost;
};

enum stats_field
stats_field_find(const char *name)
{
	guint f = 0;

	while (f < STATS_FIELDS && strcmp(stats_names[f].name, name) != 0)
		f++;
	return (enum stats_field)f;
}

void
stats_hour(time_t t, char hour[STATS_HOUR_SIZE])
{
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(hour, STATS_HOUR_SIZE, "%Y%m%d%H", &tm) == 0)
		memcpy(hour, "0000000000", STATS_HOUR_SIZE);
}

static void
total_free(void *p)
{
	struct total *t = p;

	g_free((char *)t->row.key);
	g_free(t);
}

struct stats *
stats_new(struct tally_table *hours)
{
	struct stats *s = g_new0(struct stats, 1);

	s->hours = hours;
	pthread_mutex_init(&s->lock, NULL);
	s->totals = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, total_free);
	s->summed_up = g_get_monotonic_time();
	return s;
}

void
stats_free(struct stats *s)
{
	if (s == NULL)
		return;
	g_hash_table_destroy(s->totals);
	pthread_mutex_destroy(&s->lock);
	g_free(s);
}

/* ---- counting */

/* The lock is held. NULL: no room. */
static struct total *
total_of(struct stats *s, const char *key)
{
	struct total *t = g_hash_table_lookup(s->totals, key);

	if (t != NULL || g_hash_table_size(s->totals) >= STATS_ROWS_MAX)
		return t;
	t = g_new0(struct total, 1);
	t->row.key = g_strdup(key);
	g_hash_table_insert(s->totals, (char *)t->row.key, t);
	return t;
}

static void
add_total(struct stats *s, const char *key, const int64_t *by)
{
	struct total *t;

	pthread_mutex_lock(&s->lock);
	t = total_of(s, key);
	for (guint f = 0; t != NULL && f < STATS_MESSAGE_FIELDS; f++)
		t->row.n[f] += by[f];
	pthread_mutex_unlock(&s->lock);
	if (t == NULL)
		s->lost++;
}

/* Counts under a key, which is taken over, without its hour. */
static void
count(struct stats *s, char *key, const char *hour, const int64_t *by)
{
	char *of_hour = g_strconcat(key, "/", hour, NULL);
	struct tally tallies[STATS_MESSAGE_FIELDS];
	guint n = 0;

	for (guint f = 0; f < STATS_MESSAGE_FIELDS; f++)
		if (by[f] != 0)
			tallies[n++] = (struct tally){stats_names[f].name, by[f]};
	tally_table_add_many(s->hours, of_hour, tallies, n);
	add_total(s, key, by);
	g_free(of_hour);
	g_free(key);
}

static void
count_duration(struct stats *s, gint64 took)
{
	guint i = 0;

	while (i < STATS_BOUNDS && took > stats_bounds_us[i])
		i++;
	pthread_mutex_lock(&s->lock);
	s->durations.count[i]++;
	s->durations.sum_us += (uint64_t)took;
	pthread_mutex_unlock(&s->lock);
}

static int
by_address(const void *a, const void *b)
{
	const void *x = *(void *const *)a, *y = *(void *const *)b;

	return x < y ? -1 : x > y;
}

/* Each ISP once; isps, one for each recipient, may be NULL. */
static void
count_isps(struct stats *s, const char *pool, const GPtrArray *isps, const char *hour, int64_t *by)
{
	GPtrArray *sorted;
	guint end;

	if (isps == NULL || isps->len == 0) {
		count(s, g_strconcat("pi/", pool, "/-", NULL), hour, by);
		return;
	}
	sorted = g_ptr_array_sized_new(isps->len);
	g_ptr_array_extend(sorted, (GPtrArray *)isps, NULL, NULL);
	g_ptr_array_sort(sorted, by_address);
	for (guint i = 0; i < sorted->len; i = end) {
		const struct isp *isp = sorted->pdata[i];

		for (end = i + 1; end < sorted->len && sorted->pdata[end] == isp; end++)
			;
		if (by[STATS_MESSAGES] > 0)
			by[STATS_RECIPIENTS] = end - i;
		count(s, g_strconcat("pi/", pool, "/", isp->name, NULL), hour, by);
	}
	g_ptr_array_unref(sorted);
}

/* Signatures stand in the log's word with a comma between. */
static int64_t
signatures(const struct plan *p)
{
	int64_t n = 0;

	if (p->dkim == NULL || p->dkim->len == 0)
		return 0;
	for (const char *c = p->dkim->str; c != NULL; c = strchr(c + 1, ','))
		n++;
	return n;
}

/* True if it is the limit that has refused the message, or would have. */
static bool
for_limit(const struct plan *p)
{
	return p->limit == LIMIT_OVER &&
	       (p->verdict == VERDICT_ACCEPTED || g_strcmp0(p->reason, "limit") == 0);
}

static bool
is_error(const struct plan *p)
{
	return p->detail != NULL || g_strcmp0(p->reason, "memory") == 0 ||
	       g_strcmp0(p->reason, "mta") == 0;
}

static void
numbers(const struct message *m, const struct plan *p, int64_t *by)
{
	switch (p->verdict) {
	case VERDICT_ACCEPTED:
		by[STATS_MESSAGES] = 1;
		by[STATS_RECIPIENTS] = p->rcpts->len;
		by[STATS_OCTETS] = (int64_t)m->size;
		by[STATS_SIGNATURES] = signatures(p);
		by[STATS_ENCODED] = p->encoded != NULL && p->encoded->len > 0;
		by[STATS_WARNED] = p->limit == LIMIT_OVER;
		break;
	case VERDICT_PASSED:
		by[STATS_PASSED] = 1;
		break;
	case VERDICT_DEFERRED:
		by[for_limit(p) ? STATS_DEFERRED_LIMIT : STATS_DEFERRED] = 1;
		by[STATS_ERRORS] = is_error(p);
		break;
	case VERDICT_HELD:
		by[STATS_HELD] = 1;
		break;
	case VERDICT_REJECTED:
		by[STATS_REJECTED] = 1;
		break;
	}
	by[STATS_LOCAL_LIMIT] = p->limit_local;
	by[STATS_UNKNOWN_LIMIT] = p->limit == LIMIT_UNKNOWN;
}

static void
count_limit(struct stats *s, const char *pool, const char *limit, const char *hour,
	    enum stats_field outcome)
{
	int64_t by[STATS_MESSAGE_FIELDS] = {0};

	by[outcome] = 1;
	count(s, g_strconcat("over/", pool, "/", limit, NULL), hour, by);
}

static enum stats_field
limit_outcome(const struct plan *p)
{
	switch (p->verdict) {
	case VERDICT_DEFERRED:
		return STATS_DEFERRED;
	case VERDICT_REJECTED:
		return STATS_REJECTED;
	case VERDICT_HELD:
		return STATS_HELD;
	case VERDICT_ACCEPTED:
	case VERDICT_PASSED:
		break;
	}
	return STATS_WARNED;
}

/* Copies count by themselves when they come in, so an accepted message counts for whom it still
 * goes to. */
void
stats_message(struct stats *s, const struct message *m, const struct plan *p, gint64 took,
	      time_t now)
{
	const char *pool = p->pool != NULL ? p->pool->name : "-";
	int64_t by[STATS_MESSAGE_FIELDS] = {0};
	char hour[STATS_HOUR_SIZE];

	stats_hour(now, hour);
	numbers(m, p, by);
	count(s, g_strconcat("p/", pool, NULL), hour, by);
	count_isps(s, pool, p->verdict == VERDICT_ACCEPTED ? p->rcpt_isps : p->all_isps, hour, by);
	if (for_limit(p))
		count_limit(s, pool, p->over.name, hour, limit_outcome(p));
	if (took >= 0)
		count_duration(s, took);
}

void
stats_recipient(struct stats *s, const struct pool *pool, const struct isp *isp,
		const struct limit_over *over, time_t now)
{
	int64_t by[STATS_MESSAGE_FIELDS] = {[STATS_DEFERRED_RECIPIENTS] = 1};
	char hour[STATS_HOUR_SIZE];

	stats_hour(now, hour);
	count(s, g_strconcat("p/", pool->name, NULL), hour, by);
	count(s, g_strconcat("pi/", pool->name, "/", isp->name, NULL), hour, by);
	count_limit(s, pool->name, over->name, hour, STATS_DEFERRED_RECIPIENTS);
}

/* ---- reading */

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct stats_row *)a)->key, ((const struct stats_row *)b)->key);
}

/* Messages wait meanwhile: so under the lock nothing is done but copying. */
GArray *
stats_rows(struct stats *s)
{
	GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct stats_row));
	GHashTableIter iter;
	gpointer t;

	pthread_mutex_lock(&s->lock);
	g_array_set_size(rows, g_hash_table_size(s->totals));
	g_hash_table_iter_init(&iter, s->totals);
	for (guint i = 0; g_hash_table_iter_next(&iter, NULL, &t); i++)
		g_array_index(rows, struct stats_row, i) = ((const struct total *)t)->row;
	pthread_mutex_unlock(&s->lock);
	g_array_sort(rows, by_key);
	return rows;
}

void
stats_durations(struct stats *s, struct stats_durations *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->durations;
	pthread_mutex_unlock(&s->lock);
}

uint64_t
stats_lost(struct stats *s)
{
	return s->lost + tally_table_lost(s->hours);
}

/* ---- summing up */

/* What was not told of a pool; NULL: nothing. The lock is held. */
static char *
summary_line(struct total *t, gint64 seconds)
{
	GString *line;

	if (!g_str_has_prefix(t->row.key, "p/") || memcmp(t->row.n, t->told, sizeof t->told) == 0)
		return NULL;
	line = g_string_new("stats: pool=");
	g_string_append(line, t->row.key + strlen("p/"));
	for (guint f = 0; f < STATS_MESSAGE_FIELDS; f++)
		g_string_append_printf(line, " %s=%" G_GINT64_FORMAT, stats_names[f].name,
				       (gint64)(t->row.n[f] - t->told[f]));
	memcpy(t->told, t->row.n, sizeof t->told);
	g_string_append_printf(line, " seconds=%" G_GINT64_FORMAT, seconds);
	return g_string_free(line, FALSE);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
stats_summary(struct stats *s, void (*line)(const char *text, void *context), void *context)
{
	GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
	gint64 now = g_get_monotonic_time(), seconds;
	GHashTableIter iter;
	gpointer p;
	char *text;

	pthread_mutex_lock(&s->lock);
	seconds = (now - s->summed_up + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
	s->summed_up = now;
	g_hash_table_iter_init(&iter, s->totals);
	while (g_hash_table_iter_next(&iter, NULL, &p))
		if ((text = summary_line(p, seconds)) != NULL)
			g_ptr_array_add(lines, text);
	pthread_mutex_unlock(&s->lock);
	g_ptr_array_sort(lines, by_text);
	for (guint i = 0; i < lines->len; i++)
		line(lines->pdata[i], context);
	g_ptr_array_unref(lines);
}
