/*
 * limit - rules and windows of sending limits; see limit.h and DESIGN, "Limits".
 *
 * A window keeps buckets: a count and the time of the last charge in it.  A bucket counts, whole,
 * until its last charge is a window's length old.  So each charge counts for at least that long,
 * and the sum of what counts is never below what was accepted in the last window: the limit holds
 * whatever the edges.  A charge joins the newest bucket if that then holds no more than a 50th of
 * the limit, or was charged in the same microsecond; else it opens one.  A charge counts too long
 * only for company in its bucket, hence whenever one more is refused, the window that ends there
 * has all of the limit but less than a 50th: at any edge, for any offer, 98 % is used.  Limits
 * under 100 have a bucket for each charge and are exact.  (Buckets cut by the clock instead would
 * lose a slice of time each round, and a burst would wander.)
 *
 * A clock that is set back puts charges into the future.  They count as made now: at most a window
 * longer than they should, never shorter.  A clock that jumps ahead cannot be told from a quiet
 * time; the owner must take one that does not (limiter_memory.c does).
 */
#include "core/limit.h"

#include <string.h>

static const struct unit {
	const char *word, *letter;
	uint32_t seconds;
} units[] = {
	{"/day", "d", 86400},
	{"/hour", "h", 3600},
	{"/minute", "m", 60},
	{"/second", "s", 1},
};

/* A number from 1 to max without a leading zero; returns what follows it, or NULL. */
static const char *
number_parse(const char *text, uint32_t max, uint32_t *number)
{
	uint64_t n = 0;

	if (*text < '1' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		n = n * 10 + (uint64_t)(*text - '0');
		if (n > max)
			return NULL;
	}
	*number = (uint32_t)n;
	return text;
}

static bool
window_parse(const char *text, uint32_t *seconds)
{
	uint32_t number;

	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (strcmp(text, units[i].word) == 0) {
			*seconds = units[i].seconds;
			return true;
		}
	if (*text != '/' || (text = number_parse(text + 1, LIMIT_SECONDS_MAX, &number)) == NULL)
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
		if (strcmp(text, units[i].letter) == 0) {
			*seconds = number * units[i].seconds;
			return number <= LIMIT_SECONDS_MAX / units[i].seconds;
		}
	return false;
}

bool
limit_parse(const char *text, struct limit *limit)
{
	struct limit l;

	text = number_parse(text, LIMIT_MOST_MAX, &l.most);
	if (text == NULL || !window_parse(text, &l.seconds))
		return false;
	*limit = l;
	return true;
}

char *
limit_text(struct limit limit)
{
	for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
		if (limit.seconds == units[i].seconds)
			return g_strdup_printf("%u%s", limit.most, units[i].word);
		if (limit.seconds % units[i].seconds == 0)
			return g_strdup_printf("%u/%u%s", limit.most,
					       limit.seconds / units[i].seconds, units[i].letter);
	}
	return NULL; /* not reached: all are whole seconds */
}

static int64_t
length(struct limit limit)
{
	return (int64_t)limit.seconds * G_USEC_PER_SEC;
}

static void
drop_oldest(struct limit_window *w, uint32_t n)
{
	w->n -= n;
	memmove(w->buckets, w->buckets + n, w->n * sizeof *w->buckets);
}

uint64_t
limit_window_used(struct limit_window *w, struct limit limit, int64_t now)
{
	uint32_t dead = 0;

	for (uint32_t i = w->n; i > 0 && w->buckets[i - 1].last > now; i--)
		w->buckets[i - 1].last = now;
	while (dead < w->n && now - w->buckets[dead].last >= length(limit))
		w->used -= w->buckets[dead++].count;
	if (dead > 0)
		drop_oldest(w, dead);
	return w->used;
}

int64_t
limit_window_wait(struct limit_window *w, struct limit limit, uint64_t amount, int64_t now)
{
	uint64_t used = limit_window_used(w, limit, now), freed = 0;
	uint32_t i = 0;

	if (amount > limit.most)
		return -1;
	if (amount == 0 || used <= limit.most - amount)
		return 0;
	while (freed < used - (limit.most - amount))
		freed += w->buckets[i++].count;
	return w->buckets[i - 1].last + length(limit) - now;
}

static struct limit_bucket *
bucket_open(struct limit_window *w)
{
	if (w->n == w->room) {
		w->room = w->room == 0 ? 2 : MIN(2 * w->room, LIMIT_BUCKETS_MAX);
		w->buckets = g_renew(struct limit_bucket, w->buckets, w->room);
	}
	w->buckets[w->n] = (struct limit_bucket){0, 0};
	return &w->buckets[w->n++];
}

void
limit_window_charge(struct limit_window *w, struct limit limit, uint64_t amount, int64_t now)
{
	uint64_t part = MAX(1, limit.most / LIMIT_PARTS);
	struct limit_bucket *b;

	limit_window_used(w, limit, now);
	if (amount == 0)
		return;
	b = w->n > 0 ? &w->buckets[w->n - 1] : NULL;
	/* Buckets run out only with charges over the limit or another limit than before. */
	if (b == NULL || (b->last != now && b->count + amount > part && w->n < LIMIT_BUCKETS_MAX))
		b = bucket_open(w);
	b->last = now;
	b->count += amount;
	w->used += amount;
}

void
limit_window_clear(struct limit_window *w)
{
	g_free(w->buckets);
	*w = (struct limit_window){0};
}
