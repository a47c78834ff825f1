/*
 * presence - is there an answer to judge?  See presence.h.
 */
#include "core/presence.h"

bool
presence_judge(const struct dns_answer *found, enum record_need need, GPtrArray *findings)
{
	enum finding_code code = need == RECORD_NEEDED ? RECORD_MISSING : RECORD_ADVISABLE;

	if (found->state == DNS_FOUND)
		return true;
	if (!dns_known(found))
		finding_mend(
			findings_add(findings, DNS_UNKNOWN, "%s", dns_state_word(found->state)),
			"see whether the name servers of the domain answer, and check again");
	else if (found->alias != NULL)
		finding_mend(findings_add(findings, CNAME_NOWHERE, "a CNAME leads to %s: %s there",
					  found->alias, dns_state_word(found->state)),
			     "publish the record there, or publish it here in place of the CNAME");
	else
		finding_mend(findings_add(findings, code, "not published: %s",
					  dns_state_word(found->state)),
			     "publish the record that is wanted");
	return false;
}

void
presence_judge_alias(const struct dns *dns, const char *name, GPtrArray *findings)
{
	static const enum record_type others[] = {RECORD_A, RECORD_AAAA, RECORD_MX, RECORD_TXT};
	const struct dns_record *alias;

	if (dns_answer(dns, name, RECORD_CNAME)->state != DNS_FOUND)
		return;
	alias = dns_answer(dns, name, RECORD_CNAME)->records->pdata[0];
	for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
		const struct dns_answer *a = dns_answer(dns, name, others[i]);

		if (a->state == DNS_FOUND && a->alias == NULL) {
			finding_mend(
				findings_add(findings, CNAME_CONFLICT,
					     "a CNAME (to %s) and %s records stand side by side: "
					     "receivers "
					     "see the one or the other",
					     alias->text, zone_type_word(others[i])),
				"a CNAME must be alone at its name: take it away, or all others");
			return;
		}
	}
}
