/*
 * key_dns - the DNS record of a DKIM key; see key_dns.h.
 */
#include "io/key_dns.h"

#include "core/key_record.h"
#include "io/keygen.h"

/* The first error, or else the first finding, as a line; NULL: none. */
static char *
first_finding(const GPtrArray *findings)
{
	const struct finding *first = NULL;

	for (guint i = 0; i < findings->len; i++) {
		const struct finding *f = findings->pdata[i];

		if (first == NULL || (finding_severity(first->code) != FINDING_ERROR &&
				      finding_severity(f->code) == FINDING_ERROR))
			first = f;
	}
	if (first == NULL)
		return NULL;
	return first->mend != NULL ? g_strdup_printf("%s: %s", first->text, first->mend)
				   : g_strdup(first->text);
}

enum key_dns_state
key_dns_check(const struct dns *dns, const char *domain, const char *selector, void *pkey,
	      enum key_type type, char **why)
{
	char *name = g_strdup_printf("%s._domainkey.%s", selector, domain);
	const struct dns_answer *found = dns_answer(dns, name, RECORD_TXT);
	char *own = keygen_record(pkey, type);
	GPtrArray *findings = findings_new();
	enum key_dns_state state = KEY_DNS_PUBLISHED;

	if (own == NULL)
		findings_add(findings, KEY_UNREADABLE, "the public half of the key cannot be had");
	else
		key_record_judge(found, own, false, findings);
	if (own == NULL || !dns_known(found))
		state = KEY_DNS_UNKNOWN;
	else if (found->records->len == 0)
		state = KEY_DNS_MISSING;
	else if (findings_worst(findings) == FINDING_ERROR)
		state = KEY_DNS_WRONG;
	*why = first_finding(findings);
	g_ptr_array_unref(findings);
	g_free(own);
	g_free(name);
	return state;
}

const char *
key_dns_word(enum key_dns_state state)
{
	static const char *const words[] = {
		[KEY_DNS_PUBLISHED] = "published",
		[KEY_DNS_MISSING] = "missing",
		[KEY_DNS_WRONG] = "wrong",
		[KEY_DNS_UNKNOWN] = "unknown",
	};

	return words[state];
}
