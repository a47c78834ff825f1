/*
 * template - values of headers with ${variables}; see template.h for the contract.
 *
 * A template is a list of segments, literal or variable.  Expansion has three steps, each a function:
 * collect (what variables give, made printable), encode (RFC 2047 where there is 8-bit text), fold.
 */
#include "core/template.h"

#include <glib.h>
#include <gmime/gmime.h>
#include <string.h>

#define FOLD_AT 78   /* RFC 5322 2.1.1: should */
#define LINE_MAX_OCTETS 998 /* RFC 5322 2.1.1: must */

struct segment {
	char *text; /* literal text, or the variable's name */
	bool variable;
};

struct template {
	char *text;
	GArray *segments; /* of struct segment */
};

static const char *const variables[] = {
	"pool",	    "isp",	  "sender",	   "sender_domain", "rcpt", "rcpt_domain",
	"queue_id", "message_id", "login",	   NULL,
};

static void
segment_clear(void *p)
{
	g_free(((struct segment *)p)->text);
}

static void
segment_append(struct template *t, const char *text, size_t len, bool variable)
{
	struct segment s = {g_strndup(text, len), variable};

	if (len == 0 && !variable)
		g_free(s.text);
	else
		g_array_append_val(t->segments, s);
}

static bool
field_name_valid(const char *name)
{
	if (*name == '\0')
		return false;
	for (; *name != '\0'; name++)
		if (*name < 33 || *name > 126 || *name == ':')
			return false;
	return true;
}

static const char *
variable_check(const char *name)
{
	if (strncmp(name, "header:", 7) == 0)
		return field_name_valid(name + 7) ? NULL
						  : "${header:NAME}: NAME is not a header name";
	return g_strv_contains(variables, name)
		       ? NULL
		       : "unknown variable; expected ${pool}, ${isp}, ${sender}, ${sender_domain}, ${rcpt}, "
			 "${rcpt_domain}, ${queue_id}, ${message_id}, ${login} or ${header:NAME}";
}

/* Takes the "${name}" at text; returns what follows it, or NULL with *why. */
static const char *
variable_parse(struct template *t, const char *text, const char **why)
{
	const char *end = strchr(text, '}');
	char *name;

	if (end == NULL) {
		*why = "\"${\" without \"}\"";
		return NULL;
	}
	name = g_strndup(text + 2, (gsize)(end - text - 2));
	*why = variable_check(name);
	if (*why == NULL)
		segment_append(t, name, strlen(name), true);
	g_free(name);
	return *why == NULL ? end + 1 : NULL;
}

static const char *
dollar_parse(struct template *t, const char *text, const char **why)
{
	if (text[1] == '{')
		return variable_parse(t, text, why);
	if (text[1] == '$') {
		segment_append(t, "$", 1, false);
		return text + 2;
	}
	*why = "a single \"$\": write \"$$\" for a dollar or \"${name}\" for a variable";
	return NULL;
}

static bool
literal_valid(const char *text, const char **why)
{
	*why = "control characters (CR, LF, ...) may not stand in a header's value";
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			return false;
	*why = "not valid UTF-8";
	return g_utf8_validate(text, -1, NULL);
}

struct template *
template_parse(const char *text, const char **why)
{
	struct template *t;

	if (!literal_valid(text, why))
		return NULL;
	t = g_new(struct template, 1);
	t->text = g_strdup(text);
	t->segments = g_array_new(FALSE, FALSE, sizeof(struct segment));
	g_array_set_clear_func(t->segments, segment_clear);
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, "$");

		segment_append(t, text, len, false);
		text += len;
		if (*text == '$')
			text = dollar_parse(t, text, why);
	}
	if (text == NULL) {
		template_free(t);
		return NULL;
	}
	return t;
}

void
template_free(struct template *t)
{
	if (t == NULL)
		return;
	g_array_free(t->segments, TRUE);
	g_free(t->text);
	g_free(t);
}

const char *
template_text(const struct template *t)
{
	return t->text;
}

bool
template_uses(const struct template *t, const char *variable)
{
	for (guint i = 0; i < t->segments->len; i++) {
		const struct segment *s = &g_array_index(t->segments, struct segment, i);

		if (s->variable && strcmp(s->text, variable) == 0)
			return true;
	}
	return false;
}

/* Appends octets with every control character as a space, runs of white space as one. */
static void
append_printable(struct buf *out, const char *octets, size_t len)
{
	bool space = out->len > 0 && out->data[out->len - 1] == ' ';

	buf_reserve(out, len);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)octets[i];

		if (c <= 32 || c == 127) {
			if (!space)
				buf_add(out, " ", 1);
			space = true;
		} else {
			buf_add(out, &octets[i], 1);
			space = false;
		}
	}
}

static void
collect(const struct template *t, const struct template_source *source, struct buf *out)
{
	for (guint i = 0; i < t->segments->len; i++) {
		const struct segment *s = &g_array_index(t->segments, struct segment, i);
		const char *octets = s->text;
		size_t len = strlen(s->text);

		if (s->variable)
			octets = source->value(source->context, s->text, &len);
		if (octets != NULL)
			append_printable(out, octets, len);
	}
}

static bool
has_8bit(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if ((unsigned char)b->data[i] >= 0x80)
			return true;
	return false;
}

/* RFC 2047.  What is not UTF-8 has no known charset: the octets in doubt become U+FFFD. */
static void
encode(struct buf *text)
{
	char *utf8 = g_utf8_make_valid(text->data, (gssize)text->len);
	char *encoded = g_mime_utils_header_encode_text(NULL, utf8, "utf-8");

	buf_clear(text, (size_t)-1);
	append_printable(text, encoded, strlen(encoded));
	g_free(encoded);
	g_free(utf8);
}

/* Length of the longest piece of text (of len octets) that may end a line with room octets left. */
static size_t
line_length(const char *text, size_t len, size_t room, size_t max)
{
	size_t at;

	if (len <= room)
		return len;
	for (at = room; at > 0; at--)
		if (text[at] == ' ')
			return at;
	/* One long word: to its end if RFC 5322 allows that, else it is cut. */
	for (at = room; at < len && at < max; at++)
		if (text[at] == ' ')
			return at;
	return at;
}

static void
fold(const char *text, size_t len, size_t name_len, struct buf *out)
{
	size_t room = name_len + 2 < FOLD_AT - 20 ? FOLD_AT - name_len - 2 : 20;
	size_t max = LINE_MAX_OCTETS - name_len - 2;

	while (len > 0) {
		size_t n = line_length(text, len, room, max);

		buf_add(out, text, n);
		text += n;
		len -= n;
		if (len > 0) {
			buf_add(out, "\n ", 2);
			if (*text == ' ') {
				text++;
				len--;
			}
		}
		room = FOLD_AT - 1;
		max = LINE_MAX_OCTETS - 1;
	}
}

bool
template_expand(const struct template *t, const char *name, const struct template_source *source,
		struct buf *out)
{
	struct buf text = BUF_INIT;
	size_t start = 0, before = out->len;

	collect(t, source, &text);
	if (!buf_failed(&text) && has_8bit(&text))
		encode(&text);
	while (start < text.len && text.data[start] == ' ')
		start++;
	while (text.len > start && text.data[text.len - 1] == ' ')
		text.len--;
	if (buf_failed(&text))
		out->failed = true;
	else if (text.len > start)
		fold(text.data + start, text.len - start, strlen(name), out);
	buf_free(&text);
	return out->len > before;
}
