/*
 * tag_list - "v=DKIM1; k=rsa; p=...": the form that DKIM, DMARC and BIMI records share.
 */
#ifndef POOLMILTER_CORE_TAG_LIST_H
#define POOLMILTER_CORE_TAG_LIST_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

struct tag {
	char *name, *value; /* blanks around them are gone */
};

struct tag_list {
	GPtrArray *tags; /* of struct tag *: each that is well-formed, in order, also where others
			    are not */
	char *problem;   /* the first thing that breaks the grammar; NULL: nothing does */
	char *piece; /* what stands between the semicolons there, made printable; NULL with problem
		      */
};

/** Reads the len octets at text by the grammar of RFC 6376 3.2, strictly.  tag_list_free() it. */
struct tag_list *tag_list_parse(const char *text, size_t len);
void tag_list_free(struct tag_list *l);

/** The value of a tag, names are case-sensitive; NULL if it is not there. */
const char *tag_list_get(const struct tag_list *l, const char *name);

/** True if the first tag is v=VERSION. */
bool tag_list_begins(const struct tag_list *l, const char *version);

/** True if a value that is a list of words with the given separator between has the word; blanks
 * around words do not count. */
bool tag_value_has(const char *value, char separator, const char *word);

#endif
