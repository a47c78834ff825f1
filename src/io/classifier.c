/*
 * classifier - categories by patterns and codes; see classifier.h.
 *
 * Everything is compiled once and only read afterwards, so that any thread may ask.  Patterns stand
 * in lists, one for each ISP that has some and one for all ISPs, custom and shipped apart.  Before
 * a pattern is matched its code is compared, and its required text (core/required_text.h) is
 * looked for.
 *
 * A pattern that backtracks without end costs MATCH_LIMIT steps at most: then it does not match,
 * which the log is told, once for each pattern.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "io/classifier.h"

#include "base/log.h"
#include "core/category_code.h"
#include "core/reply_text.h"
#include "core/required_text.h"

#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#define MATCH_LIMIT 50000
#define DEPTH_LIMIT 5000
#define HEAP_LIMIT 4096 /* KiB */
#define TRIGRAMS 4      /* of a required text, that are looked for */

struct sieve {
	uint16_t numbers[TRIGRAMS];
	size_t n;
};

/* A pattern that is ready to be matched. */
struct matcher {
	pcre2_code *code;
	const char *pattern;
	struct origin origin;
	GArray *sieves; /* of struct sieve; one lets a text pass that matches; NULL: all do */
	gint told;      /* atomic: its limit was told */
};

struct rule {
	const struct bounce_pattern *pattern;
	struct matcher *matcher; /* NULL: its code alone decides */
};

/* Patterns of the settings' own, or shipped ones. */
struct rule_lists {
	GArray *all;        /* of struct rule */
	GHashTable *by_isp; /* name in lower case -> GArray of struct rule */
};

struct classifier {
	struct rule_lists lists[2]; /* custom, shipped */
	GHashTable *locks;          /* struct lock_rule * -> struct matcher * */
	pcre2_match_context *context;
};

/* A reply that is being looked at. */
struct subject {
	char text[REPLY_TEXT_MAX + 1];
	size_t len;
	char code[12];
	const char *dsn;
	struct trigrams trigrams;
	pcre2_match_data *match;
};

static void
matcher_free(void *data)
{
	struct matcher *m = data;

	if (m == NULL)
		return;
	pcre2_code_free(m->code);
	if (m->sieves != NULL)
		g_array_unref(m->sieves);
	g_free(m);
}

static GArray *
sieves_new(const char *pattern)
{
	GPtrArray *texts = required_text(pattern);
	GArray *sieves;

	if (texts == NULL)
		return NULL;
	sieves = g_array_new(FALSE, FALSE, sizeof(struct sieve));
	for (guint i = 0; i < texts->len; i++) {
		struct sieve sieve = {.n = 0};

		sieve.n = trigram_numbers(texts->pdata[i], sieve.numbers, TRIGRAMS);
		g_array_append_val(sieves, sieve);
	}
	g_ptr_array_unref(texts);
	return sieves;
}

/* NULL if the pattern is wrong, which errors are told. */
static struct matcher *
matcher_new(const char *pattern, struct origin origin, struct errors *errors)
{
	const uint32_t options = PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
				 PCRE2_NEVER_BACKSLASH_C;
	struct matcher *m;
	int number;
	PCRE2_SIZE offset;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options,
					 &number, &offset, NULL);

	if (code == NULL) {
		PCRE2_UCHAR why[256];

		pcre2_get_error_message(number, why, sizeof why);
		errors_add(errors, origin, "pattern", "\"%s\": %s (at offset %zu)", pattern,
			   (const char *)why, (size_t)offset);
		return NULL;
	}
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, it is interpreted */
	m = g_new0(struct matcher, 1);
	m->code = code;
	m->pattern = pattern;
	m->origin = origin;
	m->sieves = sieves_new(pattern);
	return m;
}

static void
rule_clear(void *data)
{
	struct rule *rule = data;

	matcher_free(rule->matcher);
}

static GArray *
rules_new(void)
{
	GArray *rules = g_array_new(FALSE, FALSE, sizeof(struct rule));

	g_array_set_clear_func(rules, rule_clear);
	return rules;
}

static void
unref_rules(void *rules)
{
	g_array_unref(rules);
}

/* The list of an ISP; made if there is none. */
static GArray *
list_for(struct rule_lists *lists, const char *isp)
{
	char *key;
	GArray *rules;

	if (isp == NULL)
		return lists->all;
	key = g_ascii_strdown(isp, -1);
	rules = g_hash_table_lookup(lists->by_isp, key);
	if (rules == NULL) {
		rules = rules_new();
		g_hash_table_insert(lists->by_isp, key, rules);
	} else {
		g_free(key);
	}
	return rules;
}

static void
lists_fill(struct rule_lists *lists, const GPtrArray *patterns, struct errors *errors)
{
	lists->all = rules_new();
	lists->by_isp = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, unref_rules);
	for (guint i = 0; i < patterns->len; i++) {
		const struct bounce_pattern *p = g_ptr_array_index(patterns, i);
		struct rule rule = {p, NULL};

		if (p->pattern != NULL) {
			rule.matcher = matcher_new(p->pattern, p->origin, errors);
			if (rule.matcher == NULL)
				continue;
		}
		g_array_append_val(list_for(lists, p->isp), rule);
	}
}

static void
add_locks(struct classifier *c, const GPtrArray *isps, struct errors *errors)
{
	for (guint i = 0; i < isps->len; i++) {
		const struct isp *isp = g_ptr_array_index(isps, i);

		for (guint j = 0; j < isp->locks->len; j++) {
			struct lock_rule *rule = g_ptr_array_index(isp->locks, j);
			struct matcher *m = NULL;

			if (rule->pattern != NULL && !isp->replaced)
				m = matcher_new(rule->pattern, rule->origin, errors);
			if (m != NULL)
				g_hash_table_insert(c->locks, rule, m);
		}
	}
}

struct classifier *
classifier_new(const struct settings *s, struct errors *errors)
{
	struct classifier *c = g_new0(struct classifier, 1);

	c->context = pcre2_match_context_create(NULL);
	if (c->context == NULL)
		g_error("out of memory");
	pcre2_set_match_limit(c->context, MATCH_LIMIT);
	pcre2_set_depth_limit(c->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(c->context, HEAP_LIMIT);
	lists_fill(&c->lists[0], s->bounces, errors);
	lists_fill(&c->lists[1], s->shipped_bounces, errors);
	c->locks = g_hash_table_new_full(NULL, NULL, NULL, matcher_free);
	add_locks(c, s->isps, errors);
	add_locks(c, s->shipped_isps, errors);
	return c;
}

void
classifier_free(struct classifier *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(c->lists); i++) {
		g_array_unref(c->lists[i].all);
		g_hash_table_unref(c->lists[i].by_isp);
	}
	g_hash_table_unref(c->locks);
	pcre2_match_context_free(c->context);
	g_free(c);
}

static bool
sieve_lets_pass(const struct sieve *sieve, const struct trigrams *t)
{
	for (size_t i = 0; i < sieve->n; i++)
		if (!trigrams_have(t, sieve->numbers[i]))
			return false;
	return true;
}

static bool
may_match(const struct matcher *m, const struct trigrams *t)
{
	if (m->sieves == NULL)
		return true;
	for (guint i = 0; i < m->sieves->len; i++)
		if (sieve_lets_pass(&g_array_index(m->sieves, struct sieve, i), t))
			return true;
	return false;
}

static bool
matches(const struct classifier *c, struct matcher *m, const struct subject *subject)
{
	int n;

	if (!may_match(m, &subject->trigrams))
		return false;
	n = pcre2_match(m->code, (PCRE2_SPTR)subject->text, subject->len, 0, 0, subject->match,
			c->context);
	if (n < 0 && n != PCRE2_ERROR_NOMATCH && g_atomic_int_compare_and_exchange(&m->told, 0, 1))
		log_line(LOG_WARNING,
			 "%s:%u: pattern \"%s\" was given up: it takes too long on a reply",
			 m->origin.file != NULL ? m->origin.file : "-", m->origin.line, m->pattern);
	return n >= 0;
}

static void
subject_init(struct subject *subject, const char *reply, int code, const char *dsn)
{
	subject->len = reply_text(reply, subject->text);
	subject->dsn = dsn != NULL ? dsn : "";
	subject->code[0] = '\0';
	if (code != 0)
		snprintf(subject->code, sizeof subject->code, "%d", code);
	trigrams_of(&subject->trigrams, subject->text, subject->len);
	subject->match = pcre2_match_data_create(1, NULL);
	if (subject->match == NULL)
		g_error("out of memory");
}

/* True if the enhanced code begins with want, as a number: "5.7.1" does not begin "5.7.10". */
static bool
dsn_begins(const char *dsn, const char *want)
{
	size_t len = strlen(want);

	return strncmp(dsn, want, len) == 0 &&
	       (dsn[len] == '\0' || dsn[len] == '.' || want[len - 1] == '.');
}

static bool
code_is(const struct bounce_pattern *p, const struct subject *subject)
{
	return p->code == NULL || p->code[0] == '\0' || g_str_has_prefix(subject->code, p->code) ||
	       dsn_begins(subject->dsn, p->code);
}

/* The first of a list that is met; NULL: none. */
static const struct bounce_pattern *
look(const struct classifier *c, const GArray *rules, const struct subject *subject)
{
	for (guint i = 0; rules != NULL && i < rules->len; i++) {
		const struct rule *rule = &g_array_index(rules, struct rule, i);

		if (code_is(rule->pattern, subject) &&
		    (rule->matcher == NULL || matches(c, rule->matcher, subject)))
			return rule->pattern;
	}
	return NULL;
}

static struct classified
by_patterns(const struct classifier *c, const char *isp, const struct subject *subject)
{
	char *key = isp != NULL ? g_ascii_strdown(isp, -1) : NULL;
	struct classified found = {CATEGORY_NONE, CLASSIFIED_BY_NOTHING, NULL};

	for (size_t i = 0; found.pattern == NULL && i < G_N_ELEMENTS(c->lists); i++) {
		found.by = i == 0 ? CLASSIFIED_BY_CUSTOM : CLASSIFIED_BY_SHIPPED;
		if (key != NULL)
			found.pattern =
				look(c, g_hash_table_lookup(c->lists[i].by_isp, key), subject);
		if (found.pattern == NULL)
			found.pattern = look(c, c->lists[i].all, subject);
	}
	if (found.pattern != NULL)
		found.category = (enum category)found.pattern->category;
	g_free(key);
	return found;
}

static struct classified
by_codes(int code, const char *dsn)
{
	enum category category = dsn != NULL ? category_of_dsn(dsn, code) : CATEGORY_NONE;

	if (category != CATEGORY_NONE)
		return (struct classified){category, CLASSIFIED_BY_DSN, NULL};
	category = category_of_code(code);
	if (category != CATEGORY_NONE)
		return (struct classified){category, CLASSIFIED_BY_CODE, NULL};
	return (struct classified){CATEGORY_OTHER, CLASSIFIED_BY_NOTHING, NULL};
}

struct classified
classifier_find(const struct classifier *c, const char *isp, int code, const char *dsn,
		const char *reply)
{
	struct subject subject;
	struct classified found;

	if (code / 100 == 2 || (code == 0 && dsn != NULL && dsn[0] == '2'))
		return (struct classified){CATEGORY_NONE, CLASSIFIED_BY_NOTHING, NULL};
	subject_init(&subject, reply, code, dsn);
	found = by_patterns(c, isp, &subject);
	pcre2_match_data_free(subject.match);
	return found.pattern != NULL ? found : by_codes(code, dsn);
}

bool
classifier_rule_matches(const struct classifier *c, const struct lock_rule *rule,
			enum category category, const char *reply)
{
	struct matcher *m;
	struct subject subject;
	bool matched;

	if (rule->category != CATEGORY_NONE && rule->category != (int)category)
		return false;
	if (rule->pattern == NULL)
		return true;
	m = g_hash_table_lookup(c->locks, rule);
	if (m == NULL) /* its pattern is wrong */
		return false;
	subject_init(&subject, reply, 0, NULL);
	matched = matches(c, m, &subject);
	pcre2_match_data_free(subject.match);
	return matched;
}
