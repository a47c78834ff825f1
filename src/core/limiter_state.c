/*
 * limiter_state - see limiter_state.h.
 *
 * The checksum tells a file that was cut or changed by accident.  Still each line is checked as if
 * it came from a stranger: whoever can write the file can also write its checksum.
 */
#include "core/limiter_state.h"
#include "core/word.h"

#include <openssl/evp.h>
#include <string.h>

#define VERSION_LINE "poolmilter-limits 1\n"
#define SUM_WORD "sha256 "
#define SUM_HEX 64
#define SUM_LINE (sizeof SUM_WORD - 1 + SUM_HEX + 1)
#define TIME_MAX (INT64_MAX / 4) /* sums of a few cannot overflow */

static bool
checksum(const char *text, size_t len, char hex[SUM_HEX + 1])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (EVP_Digest(text, len, sum, &size, EVP_sha256(), NULL) != 1 || size * 2 != SUM_HEX)
		return false;
	for (unsigned i = 0; i < size; i++)
		g_snprintf(hex + 2 * i, 3, "%02x", sum[i]);
	return true;
}

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
	char hex[SUM_HEX + 1];
	size_t start = out->len;

	buf_puts(out, VERSION_LINE);
	limit_table_each(limits, UINT32_MAX, write_entry, &w);
	tally_table_each(tallies, write_tally, &w);
	if (!buf_failed(out) && checksum(out->data + start, out->len - start, hex)) {
		g_string_printf(w.line, SUM_WORD "%s", hex);
		put_line(&w);
	}
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

static const char *
check_frame(const char *text, size_t len)
{
	const size_t version = sizeof VERSION_LINE - 1;
	char hex[SUM_HEX + 1];
	const char *sum;

	if (len < version || memcmp(text, VERSION_LINE, version) != 0)
		return "the first line is not that of this version";
	if (len < version + SUM_LINE)
		return "it is cut";
	sum = text + len - SUM_LINE;
	if (sum[-1] != '\n' || memcmp(sum, SUM_WORD, sizeof SUM_WORD - 1) != 0 ||
	    text[len - 1] != '\n')
		return "it is cut, or something follows the checksum";
	if (!checksum(text, len - SUM_LINE, hex) ||
	    memcmp(sum + sizeof SUM_WORD - 1, hex, SUM_HEX) != 0)
		return "the checksum does not match";
	return NULL;
}

bool
limiter_state_read(struct limit_table *limits, struct tally_table *tallies, int64_t now,
		   int64_t wall, const char *text, size_t len, const char **why)
{
	struct reader r = {.limits = limits, .tallies = tallies, .now = now, .offset = wall - now};
	const char *next, *lines_end;

	*why = check_frame(text, len);
	if (*why != NULL)
		return false;
	lines_end = text + len - SUM_LINE;
	r.key = g_string_new(NULL);
	r.field = g_string_new(NULL);
	for (next = text + sizeof VERSION_LINE - 1; *why == NULL && next < lines_end;) {
		r.line.p = next;
		r.line.end = memchr(next, '\n', (size_t)(lines_end - next)); /* the last is one */
		next = r.line.end + 1;
		*why = read_line(&r);
	}
	g_string_free(r.key, TRUE);
	g_string_free(r.field, TRUE);
	return *why == NULL;
}
