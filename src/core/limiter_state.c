/*
 * limiter_state - see limiter_state.h.
 *
 * The checksum tells a file that was cut or changed by accident.  Still each line is checked as if
 * it came from a stranger: whoever can write the file can also write its checksum.
 */
#include "core/limiter_state.h"

#include <errno.h>
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
put_word(GString *line, const char *word)
{
	for (; *word != '\0'; word++)
		if (*word > 32 && *word < 127 && *word != '%')
			g_string_append_c(line, *word);
		else
			g_string_append_printf(line, "%%%02X", (unsigned char)*word);
}

/* A blank and the number.  By hand: with printf() keys were locked five times as long. */
static void
put_number(GString *line, int64_t number)
{
	uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
	char text[24], *p = text + sizeof text;

	do
		*--p = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		*--p = '-';
	*--p = ' ';
	g_string_append_len(line, p, text + sizeof text - p);
}

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
	put_number(w->line, e->limit.most);
	put_number(w->line, e->limit.seconds);
	g_string_append_c(w->line, ' ');
	put_word(w->line, e->key);
	for (; i < window->n; i++) {
		put_number(w->line, window->buckets[i].last + w->offset);
		put_number(w->line, (int64_t)window->buckets[i].count);
	}
	put_line(w);
}

static void
write_tally(const char *key, const char *field, int64_t value, void *context)
{
	struct writer *w = context;

	g_string_assign(w->line, "tally ");
	put_word(w->line, key);
	g_string_append_c(w->line, ' ');
	put_word(w->line, field);
	put_number(w->line, value);
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
	const char *p; /* the line from here on */
	const char *end;
	GString *key, *field;
};

/* The next word of the line, without the blank that must precede it. */
static bool
take_word(struct reader *r, const char **word, size_t *len)
{
	const char *blank;

	if (r->p == r->end || *r->p != ' ')
		return false;
	*word = ++r->p;
	blank = memchr(r->p, ' ', (size_t)(r->end - r->p));
	r->p = blank != NULL ? blank : r->end;
	*len = (size_t)(r->p - *word);
	return true;
}

static bool
take_number(struct reader *r, int64_t min, int64_t max, int64_t *number)
{
	char digits[24], *end;
	const char *word;
	size_t len;

	if (!take_word(r, &word, &len) || len == 0 || len >= sizeof digits ||
	    !(g_ascii_isdigit(*word) || *word == '-'))
		return false;
	memcpy(digits, word, len);
	digits[len] = '\0';
	errno = 0;
	*number = g_ascii_strtoll(digits, &end, 10);
	return errno == 0 && *end == '\0' && end[-1] != '-' && *number >= min && *number <= max;
}

static bool
take_text(struct reader *r, GString *text)
{
	const char *word;
	size_t len;

	if (!take_word(r, &word, &len))
		return false;
	g_string_truncate(text, 0);
	for (size_t i = 0; i < len; i++) {
		char c = word[i];

		if (c == '%') {
			if (len - i < 3 || !g_ascii_isxdigit(word[i + 1]) ||
			    !g_ascii_isxdigit(word[i + 2]))
				return false;
			c = (char)(g_ascii_xdigit_value(word[i + 1]) << 4 |
				   g_ascii_xdigit_value(word[i + 2]));
			i += 2;
		} else if (c < 33 || c > 126) {
			return false;
		}
		if (c == '\0')
			return false;
		g_string_append_c(text, c);
	}
	return true;
}

/* The buckets of a line; those that count no longer fall out as later ones come. */
static bool
take_buckets(struct reader *r, struct limit limit, struct limit_window *window)
{
	int64_t last, before = -TIME_MAX, count, total = 0;
	int n = 0;

	while (r->p < r->end) {
		if (n++ == LIMIT_BUCKETS_MAX || !take_number(r, before, TIME_MAX, &last) ||
		    !take_number(r, 1, limit.most - total, &count))
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

	if (!take_number(r, 1, LIMIT_MOST_MAX, &most) ||
	    !take_number(r, 1, LIMIT_SECONDS_MAX, &seconds) || !take_text(r, r->key))
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

	if (!take_text(r, r->key) || !take_text(r, r->field) ||
	    !take_number(r, INT64_MIN, INT64_MAX, &value) || r->p != r->end)
		return "a tally is not as it should be";
	if (!tally_table_add(r->tallies, r->key->str, r->field->str, value))
		return "there are too many tallies";
	return NULL;
}

static const char *
read_line(struct reader *r)
{
	const char *word = r->p, *blank = memchr(r->p, ' ', (size_t)(r->end - r->p));
	size_t len = blank != NULL ? (size_t)(blank - word) : 0;

	r->p = blank;
	if (len == 6 && memcmp(word, "charge", len) == 0)
		return read_charge(r);
	if (len == 5 && memcmp(word, "tally", len) == 0)
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
		r.p = next;
		r.end = memchr(next, '\n', (size_t)(lines_end - next)); /* the last is one */
		next = r.end + 1;
		*why = read_line(&r);
	}
	g_string_free(r.key, TRUE);
	g_string_free(r.field, TRUE);
	return *why == NULL;
}
