/*
 * category - why mail was not delivered; see category.h.
 */
#include "core/category.h"

#include <string.h>

static const struct {
	const char *name, *class;
} categories[CATEGORIES] = {
	[CATEGORY_NONE] = {"-", "-"},
	[CATEGORY_BAD_MAILBOX] = {"bad-mailbox", "hard"},
	[CATEGORY_BAD_DOMAIN] = {"bad-domain", "hard"},
	[CATEGORY_INACTIVE] = {"inactive", "hard"},
	[CATEGORY_FULL] = {"full", "soft"},
	[CATEGORY_TEMPORARY] = {"temporary", "soft"},
	[CATEGORY_REPUTATION] = {"reputation", "block"},
	[CATEGORY_POLICY] = {"policy", "block"},
	[CATEGORY_AUTHENTICATION] = {"authentication", "block"},
	[CATEGORY_RATE] = {"rate", "block"},
	[CATEGORY_OTHER] = {"other", "other"},
};

const char *
category_name(enum category c)
{
	return categories[c].name;
}

const char *
category_class(enum category c)
{
	return categories[c].class;
}

enum category
category_find(const char *name)
{
	enum category c = CATEGORY_NONE + 1;

	while (c < CATEGORIES && strcmp(categories[c].name, name) != 0)
		c++;
	return c < CATEGORIES ? c : CATEGORY_NONE;
}
