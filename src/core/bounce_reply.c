/*
 * bounce_reply - finds SMTP replies, enhanced status codes and addresses in text; see
 * bounce_part.h.
 *
 * Numbers of three digits are many in a text.  One is taken for a reply code if an enhanced status
 * code of its class follows, or if it stands where replies do: at the begin of a line, behind a
 * colon, in quotes, after words as "said" and "error".
 */
#include "core/bounce_part.h"

#include <string.h>

#define ADDRESS_MAX 320 /* octets, RFC 3696 erratum 1690: 254 in a path; some more for UTF-8 */
#define LINE_MAX_OCTETS 4096

/* Length of "5.1.1" at p; 0 if there is none. */
static size_t
dsn_length(const char *p, const char *end)
{
	size_t n = 2;

	if (end - p < 5 || strchr("245", p[0]) == NULL || p[0] == '\0' || p[1] != '.')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		while (p + n < end && g_ascii_isdigit(p[n]) && digits < 4) {
			n++;
			digits++;
		}
		if (digits == 0 || digits > 3)
			return 0;
		if (part == 0 && (p + n >= end || p[n++] != '.'))
			return 0;
	}
	/* "4.5.6.7" is an address. */
	if (p + n + 1 < end && p[n] == '.' && g_ascii_isdigit(p[n + 1]))
		return 0;
	return n;
}

void
bounce_dsn_find(const char *text, size_t len, char class, char dsn[12])
{
	const char *end = text + len;

	*dsn = '\0';
	for (const char *p = text; p < end; p++) {
		size_t n;

		if (!g_ascii_isdigit(*p) || (class != 0 && *p != class) ||
		    (p > text && (g_ascii_isalnum(p[-1]) || p[-1] == '.')))
			continue;
		n = dsn_length(p, end);
		if (n > 0) {
			memcpy(dsn, p, n);
			dsn[n] = '\0';
			return;
		}
	}
}

/* The word that ends before p, blanks and quotes apart. */
static bool
follows_word(const char *text, const char *p)
{
	static const char *const words[] = {
		"said",   "error",    "code",     "responsecode", "status", "returned", "reply",
		"reason", "response", "answered", "smtp",         "with",   "replied"};
	const char *begin;

	while (p > text && strchr(" \t\"'", p[-1]) != NULL)
		p--;
	begin = p;
	while (begin > text && g_ascii_isalpha(begin[-1]))
		begin--;
	for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
		if ((size_t)(p - begin) == strlen(words[i]) &&
		    g_ascii_strncasecmp(begin, words[i], (gsize)(p - begin)) == 0)
			return true;
	return false;
}

/* True if only blanks and ">" or "<" stand before p in its line, or what introduces a quotation. */
static bool
begins(const char *text, const char *p)
{
	while (p > text && strchr(" \t<>#-", p[-1]) != NULL)
		p--;
	return p == text || strchr("\n:;(\"'[", p[-1]) != NULL;
}

/* How likely the three digits at p are a reply's; 0: not at all. */
static int
likelihood(const char *text, const char *p, const char *end, char dsn[12])
{
	const char *rest = p + 3;
	size_t n;

	*dsn = '\0';
	if (rest < end && strchr(" \t-:;#,)\"'\n", *rest) == NULL)
		return 0;
	while (rest < end && strchr(" \t-#:'(\"", *rest) != NULL)
		rest++;
	n = dsn_length(rest, end);
	if (n > 0 && *rest == *p) {
		memcpy(dsn, rest, n);
		dsn[n] = '\0';
		return 3;
	}
	/* IronPort: "5.3.0 - Other mail system problem 554-'Transaction failed'". */
	if (end - p > 4 && p[3] == '-' && p[4] == '\'')
		return 2;
	return begins(text, p) || follows_word(text, p) ? 2 : 0;
}

struct bounce_reply
bounce_reply_find(const char *text, size_t len)
{
	const char *end = text + len;
	struct bounce_reply best = {.at = NULL};
	int best_likelihood = 0;

	for (const char *p = text; p + 3 <= end && best_likelihood < 3; p++) {
		char dsn[12];
		int likely;

		if ((*p != '4' && *p != '5') || !g_ascii_isdigit(p[1]) || !g_ascii_isdigit(p[2]) ||
		    (p > text && (g_ascii_isalnum(p[-1]) || strchr("./@=_-", p[-1]) != NULL)))
			continue;
		likely = likelihood(text, p, end, dsn);
		if (likely > best_likelihood) {
			best_likelihood = likely;
			best.at = p;
			best.code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0';
			memcpy(best.dsn, dsn, sizeof dsn);
		}
	}
	if (best.at != NULL && *best.dsn == '\0')
		bounce_dsn_find(best.at, (size_t)(end - best.at), *best.at, best.dsn);
	if (best.at == NULL) {
		bounce_dsn_find(text, len, '5', best.dsn);
		if (*best.dsn == '\0')
			bounce_dsn_find(text, len, '4', best.dsn);
		if (*best.dsn != '\0')
			best.at = g_strstr_len(text, (gssize)len, best.dsn);
	}
	return best;
}

/* ---- its text ---- */

size_t
bounce_paragraph(const char *at, const char *end)
{
	const char *p = at;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *q;

		if (lf == NULL)
			return (size_t)(end - at);
		for (q = lf + 1; q < end && strchr(" \t\r", *q) != NULL;)
			q++;
		if (q < end && *q == '\n')
			return (size_t)(lf - at);
		p = lf + 1;
	}
	return (size_t)(end - at);
}

/* Length of the marks that transcripts set in front of lines. */
static size_t
marks(const char *p, const char *end)
{
	size_t n = 0;

	while (p + n < end && strchr(" \t<", p[n]) != NULL)
		n++;
	return n;
}

/* True if a line begins another reply, or a remark of the MTA; last: the line before was the last
 * of one. */
static bool
ends_reply(const char *p, const char *end, bool last)
{
	bool code = end - p > 3 && g_ascii_isdigit(p[0]) && g_ascii_isdigit(p[1]) &&
		    g_ascii_isdigit(p[2]) && (p[3] == ' ' || p[3] == '-');

	return (code && last) || g_str_has_prefix(p, "---") || g_str_has_prefix(p, ">>>") ||
	       g_str_has_prefix(p, "Giving up on ") || g_str_has_prefix(p, "[RCPT_TO]");
}

/* Exchange: "#550 5.1.1 ... #SMTP#". */
static const char *
without_type(const char *p, const char *end)
{
	const char *type = g_strstr_len(p, end - p, " #SMTP#");

	return type != NULL ? type : end;
}

/* Takes a bracket or quote off the end that was opened in front of the reply. */
static void
strip_closing(char *reply)
{
	static const char pairs[] = "()[]<>''\"\"";
	size_t len = strlen(reply);
	const char *pair = len > 0 ? strchr(pairs, reply[len - 1]) : NULL;
	char open;
	int depth = 0;

	if (pair == NULL || (pair - pairs) % 2 == 0)
		pair = len > 0 && strchr("'\"", reply[len - 1]) != NULL
			       ? strrchr(pairs, reply[len - 1])
			       : NULL;
	if (pair == NULL)
		return;
	open = pair[-1];
	for (const char *p = reply; *p != '\0'; p++)
		depth += open == *pair ? *p == open : (*p == open) - (*p == *pair);
	if (open == *pair ? depth % 2 == 1 : depth < 0)
		reply[len - 1] = '\0';
}

char *
bounce_reply_line(const struct bounce_reply *reply, const char *limit)
{
	const char *p = reply->at,
		   *end = p + MIN(bounce_paragraph(p, limit), (size_t)BOUNCE_REPLY_MAX);
	GString *out = g_string_new(NULL);
	bool last = true;
	char *line;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p)), *next = lf != NULL ? lf : end;

		if (p > reply->at) {
			p += marks(p, next);
			if (ends_reply(p, next, last))
				break;
		}
		if (next - p > 3 && g_ascii_isdigit(*p))
			last = p[3] != '-';
		g_string_append_len(out, p, without_type(p, next) - p);
		g_string_append_c(out, ' ');
		p = next + (lf != NULL);
	}
	line = bounce_line(out->str, out->len);
	strip_closing(line);
	g_string_free(out, TRUE);
	return line;
}

/* ---- addresses ---- */

static bool
is_local(char c)
{
	return g_ascii_isalnum(c) || (c & 0x80) != 0 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

static bool
is_domain(char c)
{
	return g_ascii_isalnum(c) || (c & 0x80) != 0 || c == '-' || c == '.' || c == '_';
}

char *
bounce_address_next(const char **at, const char *end)
{
	const char *from = *at;

	for (const char *p = *at; p < end; p++) {
		const char *begin = p, *last = p + 1;

		if (*p != '@')
			continue;
		while (begin > from && p - begin < ADDRESS_MAX && is_local(begin[-1]))
			begin--;
		while (begin < p && strchr("'`*.|", *begin) != NULL)
			begin++;
		/* "dda:SMTP=ann@example.org" of Exchange. */
		if (p - begin > 5 && g_ascii_strncasecmp(begin, "smtp=", 5) == 0)
			begin += 5;
		while (last < end && last - p < ADDRESS_MAX && is_domain(*last))
			last++;
		while (last > p + 1 && strchr(".-_", last[-1]) != NULL)
			last--;
		if (begin < p && memchr(p + 1, '.', (size_t)(last - p - 1)) != NULL &&
		    last - begin <= ADDRESS_MAX) {
			*at = last;
			return g_strndup(begin, (gsize)(last - begin));
		}
	}
	*at = end;
	return NULL;
}

/* "\x{4E}" as RFC 6533 3 has it for what is not ASCII, and "+3D" of RFC 3461 4 is left to who
 * compares. */
static void
append_unescaped(GString *out, const char *p)
{
	while (*p != '\0') {
		char *end;
		guint64 c;

		if (strncmp(p, "\\x{", 3) != 0) {
			g_string_append_c(out, *p++);
			continue;
		}
		c = g_ascii_strtoull(p + 3, &end, 16);
		if (*end != '}' || c == 0 || c > 0x10ffff || !g_unichar_validate((gunichar)c)) {
			g_string_append_c(out, *p++);
			continue;
		}
		g_string_append_unichar(out, (gunichar)c);
		p = end + 1;
	}
}

char *
bounce_address(const char *value)
{
	const char *semicolon = strchr(value, ';'), *at = strchr(value, '@');
	GString *out = g_string_new(NULL);
	char *address, *open;
	bool good;

	append_unescaped(out, semicolon != NULL && (at == NULL || semicolon < at) ? semicolon + 1
										  : value);
	address = g_strstrip(g_string_free(out, FALSE));
	open = strchr(address, '<');
	if (open != NULL) {
		memmove(address, open + 1, strlen(open));
		address[strcspn(address, ">")] = '\0';
	}
	at = strrchr(address, '@');
	good = at != NULL && at > address && at[1] != '\0' && strlen(address) <= ADDRESS_MAX;
	for (const char *p = address; *p != '\0'; p++)
		if (g_ascii_iscntrl(*p) || (*p == ' ' && *address != '"'))
			good = false;
	if (!good)
		g_clear_pointer(&address, g_free);
	return address;
}

char *
bounce_line(const char *text, size_t len)
{
	GString *out = g_string_new(NULL);

	for (size_t i = 0; i < len && out->len < LINE_MAX_OCTETS; i++) {
		char c = g_ascii_iscntrl(text[i]) ? ' ' : text[i];

		if (c != ' ' || (out->len > 0 && out->str[out->len - 1] != ' '))
			g_string_append_c(out, c);
	}
	if (out->len > 0 && out->str[out->len - 1] == ' ')
		g_string_truncate(out, out->len - 1);
	return g_string_free(out, FALSE);
}
