/*
 * limiter_state - see limiter_state.h.
 *
 * Each line is checked as if it came from a stranger: see state_text.h.
 */
#include "core/limiter_state.h"
#include "core/state_text.h"
#include "core/word.h"

#define VERSION_LINE "poolmilter-limits 1\n"
#define TIME_MAX (INT64_MAX / 4) /* sums of a few cannot overflow */

/* ---- writing */

struct writer {
	struct buf *out;
	GString *line;
	int64_t now;
	int64_t offset; /* from the clock's time to the time of day */
};

static void
put_line(struct writer *w)
{
	g_string_append_c(w->line, '\n');
	buf_add(w->out, w->line->str, w->line->len);
}

static void
write_entry(struct limit_entry *e, void *context)
{
	const struct limit_window *window = &e->window;
	int64_t length = (int64_t)e->limit.seconds * G_USEC_PER_SEC;
	struct writer *w = context;
	uint32_t i = 0;

	while (i < window->n && w->now - window->buckets[i].last >= length)
		i++;
	if (i == window->n)
		return;
	g_string_assign(w->line, "charge");
	word_put_number(w->line, e->limit.most);
	word_put_number(w->line, e->limit.seconds);
	word_put(w->line, e->key);
	for (; i < window->n; i++) {
		word_put_number(w->line, window->buckets[i].last + w->offset);
		word_put_number(w->line, (int64_t)window->buckets[i].count);
	}
	put_line(w);
}

static void
write_tally(const char *key, const char *field, int64_t value, void *context)
{
	struct writer *w = context;

	g_string_assign(w->line, "tally");
	word_put(w->line, key);
	word_put(w->line, field);
	word_put_number(w->line, value);
	put_line(w);
}

void
limiter_state_write(struct limit_table *limits, struct tally_table *tallies, int64_t now,
		    int64_t wall, struct buf *out)
{
	struct writer w = {out, g_string_sized_new(256), now, wall - now};
	size_t start = out->len;

	buf_puts(out, VERSION_LINE);
	limit_table_each(limits, UINT32_MAX, write_entry, &w);
	tally_table_each(tallies, write_tally, &w);
	state_text_end(out, start);
	g_string_free(w.line, TRUE);
}

/* ---- reading */

struct reader {
	struct limit_table *limits;
	struct tally_table *tallies;
	int64_t now;
	int64_t offset;
	struct word_line line;
	GString *key, *field;
};

/* The buckets of a line; those that count no longer fall out as later ones come. */
static bool
take_buckets(struct reader *r, struct limit limit, struct limit_window *window)
{
	int64_t last, before = -TIME_MAX, count, total = 0;
	int n = 0;

	while (!word_ended(&r->line)) {
		if (n++ == LIMIT_BUCKETS_MAX || !word_take_number(&r->line, before, TIME_MAX, &last) ||
		    !word_take_number(&r->line, 1, limit.most - total, &count))
			return false;
		before = last;
		total += count;
		limit_window_charge(window, limit, (uint64_t)count, MIN(last - r->offset, r->now));
	}
	return n > 0;
}

static const char *
read_charge(struct reader *r)
{
	struct limit_window window = {0};
	struct limit_entry probe;
	int64_t most, seconds;
	bool ok;

	if (!word_take_number(&r->line, 1, LIMIT_MOST_MAX, &most) ||
	    !word_take_number(&r->line, 1, LIMIT_SECONDS_MAX, &seconds) || !word_take(&r->line, r->key))
		return "a charge is not as it should be";
	limit_entry_probe(&probe, r->key->str, (struct limit){(uint32_t)most, (uint32_t)seconds});
	ok = take_buckets(r, probe.limit, &window);
	if (!ok || limit_window_used(&window, probe.limit, r->now) == 0) {
		limit_window_clear(&window);
		return ok ? NULL : "a charge's times and counts are not as they should be";
	}
	if (limit_table_find(r->limits, &probe) == NULL && limit_table_reserve(r->limits, 1)) {
		limit_table_add(r->limits, &probe)->window = window;
		return NULL;
	}
	limit_window_clear(&window);
	return "a key stands there twice, or there are too many";
}

static const char *
read_tally(struct reader *r)
{
	int64_t value;

	if (!word_take(&r->line, r->key) || !word_take(&r->line, r->field) ||
	    !word_take_number(&r->line, INT64_MIN, INT64_MAX, &value) || !word_ended(&r->line))
		return "a tally is not as it should be";
	if (!tally_table_add(r->tallies, r->key->str, r->field->str, value))
		return "there are too many tallies";
	return NULL;
}

static const char *
read_line(struct reader *r)
{
	if (word_begins(&r->line, "charge"))
		return read_charge(r);
	if (word_begins(&r->line, "tally"))
		return read_tally(r);
	return "a line of unknown kind";
}

bool
limiter_state_read(struct limit_table *limits, struct tally_table *tallies, int64_t now,
		   int64_t wall, const char *text, size_t len, const char **why)
{
	struct reader r = {.limits = limits, .tallies = tallies, .now = now, .offset = wall - now};
	struct state_text lines;

	*why = state_text_begin(&lines, text, len, VERSION_LINE);
	if (*why != NULL)
		return false;
	r.key = g_string_new(NULL);
	r.field = g_string_new(NULL);
	while (*why == NULL && state_text_line(&lines, &r.line))
		*why = read_line(&r);
	g_string_free(r.key, TRUE);
	g_string_free(r.field, TRUE);
	return *why == NULL;
}
