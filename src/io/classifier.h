/*
 * classifier - the category of a reply, by the patterns of the settings (PCRE2) and RFC 3463.
 *
 * In this order: the settings' own patterns (bounces), those of the ISP before those of all; the
 * shipped ones (shipped_bounces) the same way; the enhanced status code; the reply code;
 * CATEGORY_OTHER.  Of several patterns in one of these lists the first decides.
 *
 * Patterns look at core/reply_text.h's form of the reply, octet by octet: only letters of ASCII are
 * the same in both cases, and "." is any octet.
 */
#ifndef POOLMILTER_IO_CLASSIFIER_H
#define POOLMILTER_IO_CLASSIFIER_H

#include "core/category.h"
#include "core/settings.h"

struct classifier;

enum classified_by {
	CLASSIFIED_BY_NOTHING, /* not known, or it was no failure */
	CLASSIFIED_BY_CUSTOM,  /* a pattern of the settings' own */
	CLASSIFIED_BY_SHIPPED, /* a shipped pattern */
	CLASSIFIED_BY_DSN,
	CLASSIFIED_BY_CODE,
};

/** What a reply was classified by. */
struct classified {
	enum category category;
	enum classified_by by;
	const struct bounce_pattern *pattern; /* NULL: by the codes */
};

/**
 * Compiles all patterns; wrong ones are told to errors, and left out.  The settings must live as
 * long as what is returned.  Free with classifier_free().
 */
struct classifier *classifier_new(const struct settings *s, struct errors *errors);
void classifier_free(struct classifier *c); /* NULL is allowed */

/**
 * Classifies.  isp: a record's name, or NULL; code: of the reply, 0: none; dsn: "5.1.1" or NULL;
 * reply: any octets; at most its first 4 KB are looked at, with a bound on the matching.
 * Thread-safe.
 */
struct classified classifier_find(const struct classifier *c, const char *isp, int code,
				  const char *dsn, const char *reply);

/**
 * True if a reply is one of a lock rule: of its category, if it has one, and matches its pattern,
 * if it has one.  Thread-safe.
 */
bool classifier_rule_matches(const struct classifier *c, const struct lock_rule *rule,
			     enum category category, const char *reply);

#endif
