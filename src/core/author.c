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

/* True for "a@b@example.com": GMime takes it, but no two readers agree on its domain. */
static bool
ambiguous(const char *address, const char *domain)
{
	const char *at = strchr(address, '@');

	return at + 1 != domain && address[0] != '"';
}

static void
mailbox_take(struct mailboxes *found, InternetAddressMailbox *mailbox)
{
	const char *address = internet_address_mailbox_get_addr(mailbox);
	const char *domain = address != NULL ? address_domain(address) : NULL;
	char normal[DOMAIN_SIZE];

	if (domain == NULL || domain == address + 1 || ambiguous(address, domain) ||
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

static void
field_take(struct mailboxes *found, const struct field *f)
{
	InternetAddressList *list = internet_address_list_parse(NULL, f->value);

	memset(found, 0, sizeof *found);
	list_take(found, list, false);
	g_clear_object(&list);
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
