/*
 * template - values of headers with ${variables}, parsed when the configuration loads.
 *
 * What a variable expands to comes from the message and is hostile: expansion never yields CR, LF, NUL
 * or another control character, 8-bit text is encoded as RFC 2047 encoded-words where it can be, and
 * the result is folded (RFC 5322 2.2.3) so that no line is longer than 998 octets, 78 where possible.
 */
#ifndef POOLMILTER_CORE_TEMPLATE_H
#define POOLMILTER_CORE_TEMPLATE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct template;

/** Where variables get their values: the caller's, called for each variable of a template. */
struct template_source {
	/**
	 * Returns the value of a variable ("pool", "header:Subject", ...) as octets with their length,
	 * or NULL for none (expands to nothing).  The octets must stay until the next call.
	 */
	const char *(*value)(const void *context, const char *name, size_t *len);
	const void *context;
};

/**
 * Parses text: literal text, ${name}, ${header:Name} and $$ for a dollar.  Returns NULL and sets *why
 * (static) for an unknown variable, an unclosed "${", control characters.  Free with template_free().
 */
struct template *template_parse(const char *text, const char **why);
void template_free(struct template *t);

/**
 * Appends the expansion to out as the value of the field `name`: without the leading space, folded
 * with LF and a space.  Returns false if it expands to nothing but white space (a field without a
 * value is not worth adding).
 */
bool template_expand(const struct template *t, const char *name, const struct template_source *source,
		     struct buf *out);

/** The text that it was parsed from; belongs to the template. */
const char *template_text(const struct template *t);

/** True if the template refers to the variable. */
bool template_uses(const struct template *t, const char *variable);

#endif
