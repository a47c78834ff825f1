/*
 * dns_verdict - judges what the DNS has in place of a wanted record; see dns_verdict.h.
 *
 * Each kind of record has a judge of its own; here each gets to its own.
 */
#include "core/dns_verdict.h"

#include "core/bimi_record.h"
#include "core/dmarc_record.h"
#include "core/host_record.h"
#include "core/key_record.h"
#include "core/presence.h"
#include "core/spf_record.h"

#include <string.h>

void
dns_verdict_start(const struct record *r, const struct dns *dns)
{
	dns_start(dns, r->name, r->type);
	if (r->type != RECORD_PTR)
		dns_start(dns, r->name, RECORD_CNAME);
}

static bool
signs_subdomains(const struct record *r)
{
	for (guint i = 0; i < r->pools->len; i++)
		if (((const struct pool *)r->pools->pdata[i])->match_subdomains)
			return true;
	return false;
}

/* DomainKeys had a policy where DKIM has nothing. */
static void
judge_domainkeys(const struct record *r, const struct dns *dns, GPtrArray *findings)
{
	const char *name = strstr(r->name, "_domainkey.");
	const struct dns_answer *a = dns_answer(dns, name, RECORD_TXT);

	for (guint i = 0; i < a->records->len; i++) {
		const struct dns_record *policy = a->records->pdata[i];

		if (g_str_has_prefix(policy->text, "o=") || strstr(policy->text, "; o=") != NULL)
			finding_mend(findings_add(findings, DOMAINKEYS_POLICY,
						  "%s has a policy of DomainKeys (RFC 4870), which "
						  "nobody asks for",
						  name),
				     "take it away");
	}
}

static void
judge_key(const struct record *r, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, r->name, RECORD_TXT);

	if (r->value == NULL) {
		finding_mend(findings_add(findings, KEY_UNREADABLE, "%s", r->problem),
			     "see poolctl check --keys");
	} else if (r->purpose == FOR_DKIM_NEXT && r->need != RECORD_NEEDED && dns_known(found) &&
		   found->state != DNS_FOUND && found->alias == NULL) {
		finding_mend(findings_add(findings, KEY_NEXT_MISSING,
					  "the next key is not published yet"),
			     "publish the record that is wanted before the next key is used");
	} else {
		key_record_judge(found, r->value, signs_subdomains(r), findings);
	}
	if (r->purpose == FOR_DKIM)
		judge_domainkeys(r, dns, findings);
}

static void
judge(const struct record *r, const struct dns_tools *tools, GPtrArray *findings)
{
	switch (r->purpose) {
	case FOR_HELO:
		host_record_judge_address(r, tools->dns, findings);
		break;
	case FOR_PTR:
		host_record_judge_ptr(r, tools->dns, findings);
		break;
	case FOR_MX:
		host_record_judge_mx(r, tools->dns, findings);
		break;
	case FOR_BOUNCE:
		host_record_judge_bounce(r, tools->dns, findings);
		break;
	case FOR_TRACKING:
		host_record_judge_tracking(r, tools->dns, findings);
		break;
	case FOR_HELO_SPF:
	case FOR_SPF:
	case FOR_BOUNCE_SPF:
		spf_record_judge(r, tools, findings);
		break;
	case FOR_DKIM:
	case FOR_DKIM_NEXT:
		judge_key(r, tools->dns, findings);
		break;
	case FOR_DMARC:
		dmarc_record_judge(r, tools, findings);
		break;
	case FOR_DMARC_REPORTS:
		dmarc_reports_judge(r, tools, findings);
		break;
	case FOR_BIMI:
		bimi_record_judge(r, tools, findings);
		break;
	case FOR_LEGACY_SPF:
	case FOR_LEGACY_DKIM:
		break; /* nobody needs them */
	}
}

static bool
is_kind(const struct record *wanted, const struct dns_record *r)
{
	switch (wanted->purpose) {
	case FOR_HELO_SPF:
	case FOR_SPF:
	case FOR_BOUNCE_SPF:
		return spf_record_is(r);
	default:
		return false;
	}
}

/* A domain's TXT records are of many kinds: those of the wanted one, or all if there is none of it.
 */
static GPtrArray *
shown_of(const struct record *wanted, const struct dns_answer *found)
{
	GPtrArray *shown = g_ptr_array_new();
	bool any = false;

	for (guint i = 0; i < found->records->len; i++)
		any = any || is_kind(wanted, found->records->pdata[i]);
	for (guint i = 0; i < found->records->len; i++) {
		struct dns_record *r = found->records->pdata[i];

		if (!any || is_kind(wanted, r))
			g_ptr_array_add(shown, r->text);
	}
	return shown;
}

struct dns_verdict *
dns_verdict_new(const struct record *r, const struct dns_tools *tools)
{
	struct dns_verdict *v = g_new0(struct dns_verdict, 1);

	v->record = r;
	v->found = dns_answer(tools->dns, r->name, r->type);
	v->shown = shown_of(r, v->found);
	v->findings = findings_new();
	judge(r, tools, v->findings);
	if (r->type != RECORD_PTR)
		presence_judge_alias(tools->dns, r->name, v->findings);
	return v;
}

void
dns_verdict_free(void *verdict)
{
	struct dns_verdict *v = verdict;

	g_ptr_array_unref(v->shown);
	g_ptr_array_unref(v->findings);
	g_free(v);
}
