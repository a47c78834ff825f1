/*
 * tag_list - lists of tag=value; see tag_list.h.
 *
 *	tag-list  =  tag-spec *( ";" tag-spec ) [ ";" ]
 *	tag-spec  =  [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
 *	tag-name  =  ALPHA *( ALPHA / DIGIT / "_" )
 *	tag-value =  [ tval *( 1*(WSP / FWS) tval ) ], tval printable ASCII without ";"
 *
 * and no tag twice.  FWS is blanks with at most one CRLF in front of some of them.
 */
#include "core/tag_list.h"

#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Past blanks, and past CRLF in front of blanks. */
static size_t
skip_space(const char *text, size_t at, size_t len)
{
	for (;;) {
		if (at < len && is_blank(text[at]))
			at++;
		else if (len - at > 2 && text[at] == '\r' && text[at + 1] == '\n' &&
			 is_blank(text[at + 2]))
			at += 3;
		else
			return at;
	}
}

static bool
is_value_char(char c)
{
	return c > ' ' && c < 0x7f;
}

static char *
printable(const char *text, size_t len)
{
	char *copy = g_strndup(text, MIN(len, 60));

	for (char *p = copy; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return g_strstrip(copy);
}

static void
tag_free(void *p)
{
	struct tag *t = p;

	g_free(t->name);
	g_free(t->value);
	g_free(t);
}

/* A value with what folds it taken for one blank each; NULL: a character that may not be there. */
static char *
read_value(const char *text, size_t at, size_t len)
{
	GString *value = g_string_new(NULL);

	at = skip_space(text, at, len);
	while (at < len) {
		size_t next = skip_space(text, at, len);

		if (next > at && next < len)
			g_string_append_c(value, ' ');
		at = next;
		if (at < len && !is_value_char(text[at]))
			return g_string_free(value, TRUE);
		if (at < len)
			g_string_append_c(value, text[at++]);
	}
	return g_string_free(value, FALSE);
}

/* Reads one tag-spec, the len octets at text, into l; what is wrong with it, or NULL. */
static const char *
read_tag(struct tag_list *l, const char *text, size_t len)
{
	size_t at = skip_space(text, 0, len), begin = at;
	struct tag *t;
	char *value;

	if (at == len)
		return "nothing between two semicolons";
	if (memchr(text, '=', len) == NULL)
		return "a piece without \"=\"";
	while (at < len && (g_ascii_isalpha(text[at]) ||
			    (at > begin && (g_ascii_isdigit(text[at]) || text[at] == '_'))))
		at++;
	t = g_new0(struct tag, 1);
	t->name = g_strndup(text + begin, at - begin);
	at = skip_space(text, at, len);
	if (*t->name == '\0' || at == len || text[at] != '=') {
		tag_free(t);
		return "no tag name before \"=\"";
	}
	if (tag_list_get(l, t->name) != NULL) {
		tag_free(t);
		return "a tag that was there before";
	}
	value = read_value(text, at + 1, len);
	t->value = value;
	if (value == NULL) {
		tag_free(t);
		return "a character that no value may have";
	}
	g_ptr_array_add(l->tags, t);
	return NULL;
}

struct tag_list *
tag_list_parse(const char *text, size_t len)
{
	struct tag_list *l = g_new0(struct tag_list, 1);
	size_t at = 0;

	l->tags = g_ptr_array_new_with_free_func(tag_free);
	for (;;) {
		const char *end = memchr(text + at, ';', len - at), *problem;
		size_t n = end != NULL ? (size_t)(end - text) - at : len - at;

		/* The last semicolon may end the list. */
		if (end == NULL && at > 0 && skip_space(text, at, len) == len)
			return l;
		problem = read_tag(l, text + at, n);
		if (problem != NULL && l->problem == NULL) {
			l->problem = g_strdup(problem);
			l->piece = printable(text + at, n);
		}
		if (end == NULL)
			return l;
		at += n + 1;
	}
}

void
tag_list_free(struct tag_list *l)
{
	g_ptr_array_unref(l->tags);
	g_free(l->problem);
	g_free(l->piece);
	g_free(l);
}

const char *
tag_list_get(const struct tag_list *l, const char *name)
{
	for (guint i = 0; i < l->tags->len; i++) {
		const struct tag *t = l->tags->pdata[i];

		if (strcmp(t->name, name) == 0)
			return t->value;
	}
	return NULL;
}

bool
tag_list_begins(const struct tag_list *l, const char *version)
{
	const struct tag *t = l->tags->len > 0 ? l->tags->pdata[0] : NULL;

	return t != NULL && strcmp(t->name, "v") == 0 && strcmp(t->value, version) == 0;
}

bool
tag_value_has(const char *value, char separator, const char *word)
{
	const char separators[] = {separator, '\0'};
	char **words = g_strsplit(value, separators, -1);
	bool has = false;

	for (char **w = words; *w != NULL && !has; w++)
		has = g_ascii_strcasecmp(g_strstrip(*w), word) == 0;
	g_strfreev(words);
	return has;
}
