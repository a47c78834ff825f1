/*
 * author - the domain that a message speaks for; see author.h.
 *
 * GMime reads the address lists, groups, comments and quoted strings of RFC 5322.  It forgives much; so
 * what it finds must pass domain_normalise(), or the field counts as unreadable and is never signed.
 */
#include "core/author.h"

#include <gmime/gmime.h>
#include <string.h>

struct mailboxes {
	unsigned count;
	bool bad; /* a mailbox whose domain is none */
	char domain[DOMAIN_SIZE]; /* of the first */
};

static void
mailbox_take(struct mailboxes *found, InternetAddressMailbox *mailbox)
{
	const char *address = internet_address_mailbox_get_addr(mailbox);
	const char *domain = address != NULL ? address_domain(address) : NULL;
	char normal[DOMAIN_SIZE];

	if (domain == NULL || domain == address + 1 ||
	    !domain_normalise(domain, strlen(domain), normal)) {
		found->bad = true;
		return;
	}
	if (found->count++ == 0)
		memcpy(found->domain, normal, sizeof normal);
}

static void
list_take(struct mailboxes *found, InternetAddressList *list, bool group)
{
	int n = list != NULL ? internet_address_list_length(list) : 0;

	for (int i = 0; i < n; i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);

		if (INTERNET_ADDRESS_IS_MAILBOX(a))
			mailbox_take(found, INTERNET_ADDRESS_MAILBOX(a));
		else if (!group && INTERNET_ADDRESS_IS_GROUP(a))
			list_take(found, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)), true);
		else
			found->bad = true; /* groups do not nest, RFC 5322 3.4 */
	}
}

/* The octet after a quoted string or a comment that begins at p; NULL if it does not end. */
static const char *
skip_quoted(const char *p)
{
	char open = *p, close = open == '(' ? ')' : '"';
	int depth = 1;

	for (p++; *p != '\0' && depth > 0; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (*p == close)
			depth--;
		else if (*p == open)
			depth++;
	}
	return depth == 0 ? p : NULL;
}

/*
 * True if a quoted string, a comment or an angle address does not end, or if a mailbox has more than one
 * "@" ("a@example.com@example.org", routes): GMime makes something of it, but no two readers agree on
 * its domain.  An "@" in a display name, before "<", is no harm: much mail has it.
 */
static bool
ambiguous(const char *p)
{
	unsigned ats = 0;
	bool angle = false;

	for (;; p++) {
		while (p != NULL && (*p == '"' || *p == '('))
			p = skip_quoted(p);
		if (p == NULL)
			return true;
		if (*p == '@') {
			ats++;
		} else if (*p == '<') {
			angle = true;
			ats = 0;
		} else if (*p == '>' || *p == ';' || *p == '\0' || (*p == ',' && !angle)) {
			/* a mailbox ends */
			if (ats > 1 || (angle && *p != '>'))
				return true;
			if (*p == '\0')
				return false;
			angle = false;
			ats = 0;
		}
	}
}

/*
 * The value without comments, and with quoted strings that say nothing.  Where GMime cannot read on it
 * goes to the next comma, even inside of these: it would find addresses that no other reader sees.
 */
static char *
without_quoted(const char *p)
{
	GString *text = g_string_new(NULL);

	while (*p != '\0') {
		if (*p == '"' || *p == '(') {
			g_string_append(text, *p == '"' ? "\"q\"" : " ");
			p = skip_quoted(p);
		} else {
			g_string_append_c(text, *p++);
		}
	}
	return g_string_free(text, FALSE);
}

/*
 * GMime decodes A-labels, and the way back maps what is no valid one to another domain: the punycode of
 * full-width letters becomes plain "example.com".  What is found must stand in ASCII text as it is.
 */
static bool
stands_in(const char *text, const char *domain)
{
	GString *plain = g_string_new(NULL);
	size_t len = strlen(domain);
	const char *end;
	bool found = false;

	for (; *text != '\0'; text++)
		if (!g_ascii_isspace(*text))
			g_string_append_c(plain, g_ascii_tolower(*text));
	for (const char *p = plain->str; !found && (p = strchr(p, '@')) != NULL;) {
		p++;
		if (strncmp(p, domain, len) != 0)
			continue;
		end = p[len] == '.' ? p + len + 1 : p + len; /* one trailing dot */
		found = *end == '\0' || strchr(">,;", *end) != NULL;
	}
	g_string_free(plain, TRUE);
	return found;
}

static void
field_take(struct mailboxes *found, const struct field *f)
{
	InternetAddressList *list;
	char *text;

	memset(found, 0, sizeof *found);
	found->bad = ambiguous(f->value);
	if (found->bad)
		return; /* GMime leaks on some of these, too */
	text = without_quoted(f->value);
	list = internet_address_list_parse(NULL, text);
	list_take(found, list, false);
	if (found->count > 0 && g_str_is_ascii(text) && !stands_in(text, found->domain))
		found->bad = true;
	g_clear_object(&list);
	g_free(text);
}

void
author_init(void)
{
	static const char every_class[] = "A <a@example.com>, g: b@example.com;";
	const struct field f = {"From", every_class, 4, sizeof every_class - 1};
	struct mailboxes found;

	g_mime_init();
	field_take(&found, &f);
}

enum author_result
author_domain(const struct message *m, char domain[DOMAIN_SIZE])
{
	const struct field *from = message_field(m, "From", 0);
	const struct field *sender;
	struct mailboxes found;

	domain[0] = '\0';
	if (from == NULL)
		return AUTHOR_NO_FROM;
	if (message_field(m, "From", 1) != NULL)
		return AUTHOR_TWO_FROM;
	field_take(&found, from);
	if (found.bad || found.count == 0)
		return AUTHOR_UNREADABLE;
	if (found.count > 1) {
		sender = message_field(m, "Sender", 0);
		if (sender == NULL || message_field(m, "Sender", 1) != NULL)
			return AUTHOR_NO_SENDER;
		field_take(&found, sender);
		if (found.bad || found.count != 1)
			return AUTHOR_NO_SENDER;
	}
	memcpy(domain, found.domain, DOMAIN_SIZE);
	return AUTHOR_FOUND;
}

const char *
author_reason(enum author_result r)
{
	switch (r) {
	case AUTHOR_NO_FROM:
		return "no-from";
	case AUTHOR_TWO_FROM:
		return "two-from";
	case AUTHOR_UNREADABLE:
		return "from-unreadable";
	case AUTHOR_NO_SENDER:
		return "no-sender";
	case AUTHOR_FOUND:
		break;
	}
	return NULL;
}
