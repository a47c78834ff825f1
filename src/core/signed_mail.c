/*
 * signed_mail - has somebody else signed the message?  See signed_mail.h.
 *
 * Tag lists as in RFC 6376 3.2.  In doubt a signature is somebody else's: then the message stays as
 * it is.
 */
#include "core/signed_mail.h"
#include "core/rotation.h"

#include <string.h>

struct tag {
	const char *data;
	size_t len;
	unsigned count;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
trim(const char **p, const char **end)
{
	while (*p < *end && is_space(**p))
		(*p)++;
	while (*p < *end && is_space((*end)[-1]))
		(*end)--;
}

/* Takes "name = value" if the name is d or s, which are blind for nothing: tags have a case. */
static void
take_tag(const char *p, const char *end, struct tag *d, struct tag *s)
{
	const char *equals = memchr(p, '=', (size_t)(end - p)), *name_end = equals, *value;
	struct tag *tag;

	if (equals == NULL)
		return;
	value = equals + 1;
	trim(&p, &name_end);
	trim(&value, &end);
	if (name_end - p != 1 || (*p != 'd' && *p != 's'))
		return;
	tag = *p == 'd' ? d : s;
	tag->data = value;
	tag->len = (size_t)(end - value);
	tag->count++;
}

static bool
tag_is(const struct tag *tag, const char *text)
{
	return tag->count == 1 && tag->len == strlen(text) &&
	       g_ascii_strncasecmp(tag->data, text, tag->len) == 0;
}

static bool
is_signature(const struct tag *d, const struct tag *s, const struct signature *signature)
{
	return tag_is(d, signature->domain) && tag_is(s, signature->selector);
}

static bool
is_ours(const struct field *f, const struct pool *pool)
{
	struct tag d = {0}, s = {0};
	const char *p = f->value, *end = f->value + f->value_len;

	while (p < end) {
		const char *semicolon = memchr(p, ';', (size_t)(end - p));

		take_tag(p, semicolon != NULL ? semicolon : end, &d, &s);
		p = semicolon != NULL ? semicolon + 1 : end;
	}
	for (guint i = 0; i < pool->signatures->len; i++)
		if (is_signature(&d, &s, g_ptr_array_index(pool->signatures, i)))
			return true;
	return pool->rotation != NULL && is_signature(&d, &s, pool->rotation->next);
}

bool
signed_mail_by_others(const struct message *m, const struct pool *pool)
{
	for (guint i = 0; i < m->fields->len; i++) {
		const struct field *f = &g_array_index(m->fields, struct field, i);

		if (field_is(f, "DKIM-Signature") && !is_ours(f, pool))
			return true;
	}
	return false;
}
