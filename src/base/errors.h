/*
 * errors - what is wrong with a configuration, all of it in one run.
 *
 * Each entry names file, line (0: the file as a whole), the key's path and what was expected, in the
 * form that compilers use, so that editors can jump there:
 *
 *	/etc/poolmilter/poolmilter.conf:12: pools[0].spf_domain: "ac_bounces..example": not a domain name
 */
#ifndef POOLMILTER_BASE_ERRORS_H
#define POOLMILTER_BASE_ERRORS_H

#include <glib.h>
#include <stdbool.h>

struct errors {
	GPtrArray *errors;   /* of char *, in order of finding */
	GPtrArray *warnings; /* the same, of what is allowed but unwise */
};

/** Where a setting stands. file is owned by whoever keeps the settings. */
struct origin {
	const char *file;
	unsigned line;
};

/** An empty list. Free with errors_free(). */
struct errors *errors_new(void);
void errors_free(struct errors *e);

/** Adds an error at a place; key may be NULL. */
void errors_add(struct errors *e, struct origin at, const char *key, const char *format, ...)
	G_GNUC_PRINTF(4, 5);

/** Adds a warning: does not make errors_any() true. */
void errors_warn(struct errors *e, struct origin at, const char *key, const char *format, ...)
	G_GNUC_PRINTF(4, 5);

/** True if there is at least one error (warnings do not count). */
bool errors_any(const struct errors *e);

#endif
