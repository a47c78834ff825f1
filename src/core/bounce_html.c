/*
 * bounce_html - the text of HTML, as far as reading bounces needs it: lines at block elements, the
 * most frequent character references, nothing of styles and scripts; see bounce_part.h.
 */
#include "core/bounce_part.h"

#include <string.h>

static bool
is_tag(const char *p, const char *name)
{
	size_t len = strlen(name);

	return g_ascii_strncasecmp(p, name, len) == 0 && !g_ascii_isalnum(p[len]);
}

static bool
ends_line(const char *p)
{
	static const char *const names[] = {"br", "p",  "div", "tr", "li",
					    "td", "h1", "h2",  "h3", "table",
					    "ul", "ol", "pre", "hr", "blockquote"};

	p += *p == '/';
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (is_tag(p, names[i]))
			return true;
	return false;
}

/* Behind the end of a style or script whose begin tag is at p. */
static const char *
skip_sealed(const char *p, const char *name)
{
	const char *end = p;

	while ((end = strstr(end + 1, "</")) != NULL)
		if (is_tag(end + 2, name))
			return end + 2;
	return p + strlen(p);
}

/* Behind a tag that begins at p; a style or script goes with what is in it. */
static const char *
skip_tag(const char *p)
{
	static const char *const sealed[] = {"style", "script", "head"};

	for (size_t i = 0; i < G_N_ELEMENTS(sealed); i++)
		if (is_tag(p + 1, sealed[i])) {
			p = skip_sealed(p, sealed[i]);
			break;
		}
	p += strcspn(p, ">");
	return p + (*p == '>');
}

/* "<user@example.com>", that should have been "&lt;user@...". */
static bool
is_address(const char *p)
{
	size_t len = strcspn(p, "> =\"\n");

	return p[len] == '>' && memchr(p, '@', len) != NULL;
}

static const char *
append_reference(GString *out, const char *p)
{
	static const struct {
		const char *name, *text;
	} names[] = {{"&lt;", "<"},   {"&gt;", ">"},   {"&amp;", "&"}, {"&quot;", "\""},
		     {"&nbsp;", " "}, {"&apos;", "'"}, {"&#39;", "'"}, {"&#64;", "@"}};
	char *end;
	guint64 c;

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		if (g_str_has_prefix(p, names[i].name)) {
			g_string_append(out, names[i].text);
			return p + strlen(names[i].name);
		}
	if (p[1] == '#' && g_ascii_isdigit(p[2])) {
		c = g_ascii_strtoull(p + 2, &end, 10);
		if (*end == ';' && c > 31 && c <= 0x10ffff && g_unichar_validate((gunichar)c)) {
			g_string_append_unichar(out, (gunichar)c);
			return end + 1;
		}
	}
	g_string_append_c(out, '&');
	return p + 1;
}

char *
bounce_html_text(const char *html)
{
	GString *out = g_string_new(NULL);
	const char *p = html;

	while (*p != '\0') {
		if (*p == '&') {
			p = append_reference(out, p);
		} else if (*p == '<' && (g_ascii_isalpha(p[1]) || p[1] == '/' || p[1] == '!') &&
			   !is_address(p)) {
			if (ends_line(p + 1))
				g_string_append_c(out, '\n');
			p = skip_tag(p);
		} else {
			g_string_append_c(out, *p == '\r' || *p == '\n' ? ' ' : *p);
			p++;
		}
	}
	return g_string_free(out, FALSE);
}
