/*
 * fuzz_author - the domain that From: and Sender: speak for.
 *
 * Input: a line (with its continuation lines) is the value of From:, a second that of Sender:, a
 * third that of another From:; empty ones are no field.
 */
#include "fuzz.h"

#include "core/author.h"

#include <gmime/gmime.h>
#include <string.h>

/* The next value: to a LF that no blank follows. */
static struct input
take_value(struct input *in)
{
	struct input value = {in->data, 0};

	while (value.len < in->len &&
	       (in->data[value.len] != '\n' ||
		(value.len + 1 < in->len && strchr(" \t", in->data[value.len + 1]) != NULL)))
		value.len++;
	if (in->len > 0) {
		size_t skip = value.len < in->len ? value.len + 1 : value.len;

		in->data += skip;
		in->len -= skip;
	}
	return value;
}

static bool
add_field(struct message *m, const char *name, struct input value)
{
	if (value.len == 0)
		return false;
	message_add_field(m, name, strlen(name), (const char *)value.data, value.len);
	return true;
}

/* A name as it is compared, by its own rules: letters in lower case, digits, hyphens, underscores.
 */
static void
check_domain(const char *domain)
{
	char again[DOMAIN_SIZE];

	require(domain[0] != '\0' && strlen(domain) <= DOMAIN_MAX);
	for (const char *p = domain; *p != '\0'; p++)
		require_of(g_ascii_islower(*p) || g_ascii_isdigit(*p) || strchr("-_.", *p) != NULL,
			   domain);
	require_of(strstr(domain, "..") == NULL && domain[0] != '.', domain);
	require_of(domain[strlen(domain) - 1] != '.', domain);
	require_of(domain_normalise(domain, strlen(domain), again), domain);
	require_of(strcmp(again, domain) == 0, domain);
}

/* What is left of a value without its quoted strings, comments and blanks, in lower case. */
static char *
bare(struct input value)
{
	GString *left = g_string_new(NULL);
	bool quoted = false;
	unsigned depth = 0;

	for (size_t i = 0; i < value.len && value.data[i] != '\0'; i++) {
		char c = (char)value.data[i];

		if ((quoted || depth > 0) && c == '\\') {
			i++;
		} else if (depth == 0 && c == '"') {
			quoted = !quoted;
		} else if (!quoted && c == '(') {
			depth++;
		} else if (depth > 0) {
			depth -= c == ')';
		} else if (!quoted && !g_ascii_isspace(c)) {
			g_string_append_c(left, g_ascii_tolower(c));
		}
	}
	return g_string_free(left, FALSE);
}

/* True if the domain stands behind an "@", and no more of a name behind it. */
static bool
holds_domain(const char *text, const char *domain)
{
	size_t len = strlen(domain);
	const char *end;

	while ((text = strchr(text, '@')) != NULL) {
		text++;
		if (strncmp(text, domain, len) != 0)
			continue;
		end = text[len] == '.' ? text + len + 1 : text + len; /* one trailing dot */
		if (*end == '\0' || (!g_ascii_isalnum(*end) && strchr("-_.", *end) == NULL))
			return true;
	}
	return false;
}

/* The domain was not found where no address can stand (8-bit text is mapped: not checked). */
static void
check_place(const char *domain, struct input from, struct input sender)
{
	char *in_from = bare(from), *in_sender = bare(sender);

	require_of(!g_str_is_ascii(in_from) || !g_str_is_ascii(in_sender) ||
			   holds_domain(in_from, domain) || holds_domain(in_sender, domain),
		   domain);
	g_free(in_sender);
	g_free(in_from);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size}, from_value, sender_value, second_value;
	struct message *m = message_new("", 1 << 24);
	bool from, second;
	char domain[DOMAIN_SIZE];
	enum author_result r;

	g_mime_init();
	from_value = take_value(&in);
	from = add_field(m, "From", from_value);
	sender_value = take_value(&in);
	add_field(m, "Sender", sender_value);
	second_value = take_value(&in);
	second = add_field(m, "from", second_value);
	message_seal(m);
	memset(domain, 'x', sizeof domain);
	r = author_domain(m, domain);
	require((r == AUTHOR_NO_FROM) == (!from && !second));
	require((r == AUTHOR_TWO_FROM) == (from && second));
	require((author_reason(r) == NULL) == (r == AUTHOR_FOUND));
	if (r == AUTHOR_FOUND) {
		check_domain(domain);
		check_place(domain, from ? from_value : second_value, sender_value);
	} else {
		require(domain[0] == '\0');
	}
	message_free(m);
	return 0;
}
