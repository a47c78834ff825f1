/*
 * required_text - what a text must contain to match a pattern; see required_text.h.
 *
 * A small reader of PCRE2's syntax that gives up wherever it is not sure: then the pattern is
 * always matched.  Of a sequence the best part is taken, a run of plain characters or a group that
 * is not optional; of alternatives one of each.
 */
#include "core/required_text.h"

#include <string.h>

#define DEPTH_MAX 20
#define TEXTS_MAX 40

struct reader {
	const char *p;
	bool unsure; /* nothing is known of the whole pattern */
};

static GPtrArray *read_alternatives(struct reader *r, unsigned depth);

static gsize
shortest(const GPtrArray *texts)
{
	gsize least = G_MAXSIZE;

	for (guint i = 0; i < texts->len; i++)
		least = MIN(least, strlen(texts->pdata[i]));
	return least;
}

/* Of two that are both required the one that fewer texts have. Owns both. */
static GPtrArray *
better(GPtrArray *a, GPtrArray *b)
{
	GPtrArray *worse;

	if (a == NULL || b == NULL)
		return a != NULL ? a : b;
	worse = MIN(shortest(a), 8) * b->len >= MIN(shortest(b), 8) * a->len ? b : a;
	g_ptr_array_unref(worse);
	return worse == a ? b : a;
}

/* The end of a run: what stands there is required, if it is long enough. */
static GPtrArray *
end_run(GString *run, GPtrArray *best)
{
	GPtrArray *texts = NULL;

	if (run->len >= 3) {
		texts = g_ptr_array_new_with_free_func(g_free);
		g_ptr_array_add(texts, g_ascii_strdown(run->str, -1));
	}
	g_string_truncate(run, 0);
	return better(best, texts);
}

/* True if what was just read may be there not at all; takes the quantifier. */
static bool
optional(struct reader *r)
{
	bool none = *r->p == '?' || *r->p == '*' || *r->p == '{';

	if (*r->p == '{') { /* anything else in braces is text */
		r->p += 1 + strspn(r->p + 1, "0123456789,");
		r->unsure |= *r->p != '}';
	} else if (*r->p != '+' && !none) {
		return false;
	}
	if (*r->p != '\0')
		r->p++;
	while (*r->p == '?' || *r->p == '+') /* lazy, possessive */
		r->p++;
	r->unsure |= *r->p == '*' || *r->p == '{'; /* of a brace that was text */
	return none;
}

static void
skip_class(struct reader *r)
{
	r->p++; /* [ */
	if (*r->p == '^')
		r->p++;
	if (*r->p == ']')
		r->p++;
	for (; *r->p != ']' && !r->unsure; r->p++) {
		if (*r->p == '[' && strchr(":.=", r->p[1]) != NULL)
			r->unsure = true;
		if (*r->p == '\\' && (*++r->p == 'Q' || *r->p == 'E'))
			r->unsure = true;
		if (*r->p == '\0') {
			r->unsure = true;
			return;
		}
	}
	if (*r->p != '\0')
		r->p++;
}

/* A group: "(", "(?:", and those that only look are known. */
static GPtrArray *
read_group(struct reader *r, unsigned depth)
{
	bool looks = false;
	GPtrArray *texts;

	r->p++; /* ( */
	if (*r->p == '*')
		r->unsure = true;
	if (*r->p == '?') {
		looks = r->p[1] == '!' || r->p[1] == '<';
		if (r->p[1] != ':' && r->p[1] != '=' && strncmp(r->p, "?!", 2) != 0 &&
		    strncmp(r->p, "?<!", 3) != 0)
			r->unsure = true;
		r->p += strncmp(r->p, "?<!", 3) == 0 ? 3 : 2;
	}
	texts = r->unsure ? NULL : read_alternatives(r, depth + 1);
	if (*r->p != ')')
		r->unsure = true;
	else
		r->p++;
	if ((optional(r) || looks || r->unsure) && texts != NULL) {
		g_ptr_array_unref(texts);
		texts = NULL;
	}
	return texts;
}

/* One character of a run, or what is none; true if it is one. */
static bool
read_character(struct reader *r, char *c)
{
	*c = *r->p;
	if (*r->p == '\\') {
		*c = *++r->p;
		if (*c == '\0' || (g_ascii_isalnum(*c) && strchr("bBdDsSwW", *c) == NULL))
			r->unsure = true;
		if (*c != '\0')
			r->p++;
		return !g_ascii_isalnum(*c) && *c != '\0';
	}
	if (*r->p == '[') {
		skip_class(r);
		return false;
	}
	r->p++;
	return strchr(".^$", *c) == NULL;
}

static GPtrArray *
read_sequence(struct reader *r, unsigned depth)
{
	GPtrArray *best = NULL;
	GString *run = g_string_new(NULL);
	char c;

	while (*r->p != '\0' && *r->p != '|' && *r->p != ')' && !r->unsure) {
		if (*r->p == '(') {
			best = end_run(run, best);
			best = better(best, read_group(r, depth));
		} else if (read_character(r, &c)) {
			const char *before = r->p;

			if (!optional(r))
				g_string_append_c(run, c);
			if (r->p != before) /* how often is not known */
				best = end_run(run, best);
		} else {
			best = end_run(run, best);
			optional(r);
		}
	}
	best = end_run(run, best);
	g_string_free(run, TRUE);
	return best;
}

static GPtrArray *
read_alternatives(struct reader *r, unsigned depth)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
	bool known = true;

	if (depth > DEPTH_MAX)
		r->unsure = true;
	for (;;) {
		GPtrArray *texts = r->unsure ? NULL : read_sequence(r, depth);

		known = known && texts != NULL;
		if (texts != NULL) /* takes its elements */
			g_ptr_array_extend_and_steal(all, texts);
		if (r->unsure || *r->p != '|')
			break;
		r->p++;
	}
	if (known && !r->unsure && all->len <= TEXTS_MAX)
		return all;
	g_ptr_array_unref(all);
	return NULL;
}

GPtrArray *
required_text(const char *pattern)
{
	struct reader r = {pattern, false};
	GPtrArray *texts = read_alternatives(&r, 0);

	if (texts != NULL && (r.unsure || *r.p != '\0')) {
		g_ptr_array_unref(texts);
		texts = NULL;
	}
	return texts;
}

static uint16_t
number_of(const char *p)
{
	uint32_t n = (uint32_t)(unsigned char)g_ascii_tolower(p[0]) << 16 |
		     (uint32_t)(unsigned char)g_ascii_tolower(p[1]) << 8 |
		     (uint32_t)(unsigned char)g_ascii_tolower(p[2]);

	return (uint16_t)((n * 2654435761u) >> 19); /* Knuth's multiplicative hash: 13 bits */
}

void
trigrams_of(struct trigrams *t, const char *text, size_t len)
{
	memset(t, 0, sizeof *t);
	for (size_t i = 0; i + 3 <= len; i++) {
		uint16_t n = number_of(text + i);

		t->bits[n / 64] |= (uint64_t)1 << (n % 64);
	}
}

size_t
trigram_numbers(const char *text, uint16_t *numbers, size_t n)
{
	size_t len = strlen(text), all = len < 3 ? 0 : len - 2, count = MIN(all, n);

	for (size_t i = 0; i < count; i++)
		numbers[i] = number_of(text + i * all / count);
	return count;
}
