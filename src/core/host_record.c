/*
 * host_record - judges records that name hosts; see host_record.h.
 */
#include "core/host_record.h"

#include "core/presence.h"

#include <string.h>

#define PUBLISH "publish the record that is wanted"

/* What a name leads to. */
enum way {
	WAY_LEADS,
	WAY_NOWHERE,
	WAY_UNKNOWN, /* the DNS could not tell */
};

static bool
has_address(const struct dns_answer *a)
{
	return a->state == DNS_FOUND;
}

/* Does a host have an address? */
static enum way
way_to(const struct dns *dns, const char *host)
{
	const struct dns_answer *a, *aaaa;

	dns_start(dns, host, RECORD_AAAA);
	a = dns_answer(dns, host, RECORD_A);
	aaaa = dns_answer(dns, host, RECORD_AAAA);
	if (has_address(a) || has_address(aaaa))
		return WAY_LEADS;
	return dns_known(a) && dns_known(aaaa) ? WAY_NOWHERE : WAY_UNKNOWN;
}

static void
unknown(const char *host, GPtrArray *findings)
{
	findings_add(findings, DNS_UNKNOWN, "the DNS could not tell whether %s has an address",
		     host);
}

/* ---- A, AAAA, PTR ---- */

void
host_record_judge_address(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, wanted->name, wanted->type);

	if (presence_judge(found, wanted->need, findings) && !dns_answer_has(found, wanted->value))
		finding_mend(findings_add(findings, ADDRESS_WRONG,
					  "%s has not the address %s that mail leaves from",
					  wanted->name, wanted->value),
			     "add the record that is wanted");
}

/* The source address whose PTR record this is. */
static const char *
ptr_address(const struct record *wanted)
{
	for (guint i = 0; i < wanted->pools->len; i++) {
		const struct pool *p = wanted->pools->pdata[i];

		for (guint k = 0; k < p->source_ips->len; k++) {
			char *name = zone_ptr_name(p->source_ips->pdata[k]);
			bool same = strcmp(name, wanted->name) == 0;

			g_free(name);
			if (same)
				return p->source_ips->pdata[k];
		}
	}
	return NULL;
}

/* The PTR record names another host than the HELO name. */
static void
judge_other_ptr(const struct record *wanted, const struct dns_answer *found, const struct dns *dns,
		GPtrArray *findings)
{
	const char *address = ptr_address(wanted);
	const struct dns_record *r = found->records->pdata[0];
	enum record_type type = strchr(address, ':') != NULL ? RECORD_AAAA : RECORD_A;
	const struct dns_answer *back = dns_answer(dns, r->text, type);

	if (!dns_known(back))
		unknown(r->text, findings);
	else if (dns_answer_has(back, address))
		finding_mend(findings_add(findings, PTR_WRONG, "%s is %s, not the HELO name %s",
					  address, r->text, wanted->value),
			     "have the network's owner set it, or set sender_subdomain");
	else
		finding_mend(
			findings_add(
				findings, PTR_UNCONFIRMED,
				"%s is %s, which has not this address: receivers refuse such mail",
				address, r->text),
			"have the network's owner set the record that is wanted");
}

void
host_record_judge_ptr(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, wanted->name, RECORD_PTR);

	if (!presence_judge(found, wanted->need, findings))
		return;
	if (!dns_answer_has(found, wanted->value))
		judge_other_ptr(wanted, found, dns, findings);
	else if (found->records->len > 1)
		finding_mend(findings_add(findings, PTR_SEVERAL,
					  "%u PTR records: receivers see any of them",
					  found->records->len),
			     "leave only the record that is wanted");
}

/* ---- MX ---- */

/* Where the MX records lead, each of them; tells of those that lead nowhere or to a CNAME. */
static enum way
judge_hosts(const struct dns_answer *mx, const struct dns *dns, enum finding_code nowhere,
	    GPtrArray *findings)
{
	enum way best = WAY_NOWHERE;

	for (guint i = 0; i < mx->records->len; i++) {
		const struct dns_record *r = mx->records->pdata[i];
		enum way way = way_to(dns, r->text);

		if (way == WAY_UNKNOWN)
			unknown(r->text, findings);
		else if (way == WAY_NOWHERE)
			finding_mend(findings_add(findings, nowhere,
						  "the MX host %s has no address", r->text),
				     "publish its address, or take the MX record away");
		else if (dns_answer(dns, r->text, RECORD_A)->alias != NULL)
			finding_mend(findings_add(findings, MX_ALIAS,
						  "the MX host %s is a CNAME (RFC 2181 10.3)",
						  r->text),
				     "name the host that the CNAME leads to");
		if (way == WAY_LEADS || (way == WAY_UNKNOWN && best != WAY_LEADS))
			best = way;
	}
	return best;
}

static bool
is_null_mx(const struct dns_answer *mx)
{
	return mx->records->len == 1 &&
	       strcmp(((struct dns_record *)mx->records->pdata[0])->text, ".") == 0;
}

void
host_record_judge_mx(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, wanted->name, RECORD_MX);

	if (!dns_known(found) || (found->state != DNS_FOUND && found->alias != NULL)) {
		(void)presence_judge(found, wanted->need, findings);
	} else if (found->state != DNS_FOUND) {
		if (way_to(dns, wanted->name) == WAY_LEADS)
			(void)presence_judge(found, wanted->need, findings);
		else
			finding_mend(
				findings_add(findings, MX_NOWHERE,
					     "neither MX nor address: nobody can answer this mail"),
				PUBLISH);
	} else if (is_null_mx(found)) {
		finding_mend(
			findings_add(findings, MX_NULL,
				     "\"MX 0 .\" says that nobody can answer this mail (RFC 7505)"),
			"publish an MX record that leads to a host");
	} else {
		(void)judge_hosts(found, dns, MX_NOWHERE, findings);
	}
}

/* ---- bounces ---- */

static void
elsewhere(const struct record *wanted, const char *where, GPtrArray *findings)
{
	finding_mend(findings_add(findings, BOUNCE_ELSEWHERE, "bounces go to %s, not to %s", where,
				  wanted->value),
		     PUBLISH ", or set bounce_target");
}

static void
judge_no_mx(const struct record *wanted, const struct dns_answer *found, const struct dns *dns,
	    GPtrArray *findings)
{
	enum way way = way_to(dns, wanted->name);

	if (way == WAY_UNKNOWN)
		unknown(wanted->name, findings);
	else if (way == WAY_NOWHERE)
		finding_mend(findings_add(findings, BOUNCE_NOWHERE,
					  "neither MX nor address%s%s: bounces are lost",
					  found->alias != NULL ? " at the CNAME's end " : "",
					  found->alias != NULL ? found->alias : ""),
			     PUBLISH);
	else if (wanted->need == RECORD_NEEDED && found->alias == NULL)
		elsewhere(wanted, "the address of the domain itself", findings);
}

static void
judge_bounce_mx(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, wanted->name, RECORD_MX);
	const struct dns_record *first;

	if (!dns_known(found)) {
		(void)presence_judge(found, wanted->need, findings);
	} else if (found->state != DNS_FOUND) {
		judge_no_mx(wanted, found, dns, findings);
	} else if (is_null_mx(found)) {
		finding_mend(findings_add(findings, BOUNCE_NOWHERE,
					  "\"MX 0 .\" says that no mail is taken (RFC 7505): "
					  "bounces are lost"),
			     PUBLISH);
	} else if (judge_hosts(found, dns, BOUNCE_NOWHERE, findings) == WAY_LEADS &&
		   wanted->need == RECORD_NEEDED && !dns_answer_has(found, wanted->value)) {
		first = found->records->pdata[0];
		elsewhere(wanted, first->text, findings);
	}
}

static void
judge_bounce_alias(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, wanted->name, RECORD_CNAME);
	const struct dns_answer *mx = dns_answer(dns, wanted->name, RECORD_MX);
	const struct dns_record *first;

	if (!dns_known(found))
		(void)presence_judge(found, wanted->need, findings);
	else if (mx->state == DNS_FOUND)
		(void)judge_hosts(mx, dns, BOUNCE_NOWHERE, findings);
	else
		judge_no_mx(wanted, mx, dns, findings);
	if (findings_worst(findings) == FINDING_ERROR || !dns_known(found))
		return;
	if (found->state == DNS_FOUND && !dns_answer_has(found, wanted->value)) {
		first = found->records->pdata[0];
		elsewhere(wanted, first->text, findings);
	} else if (found->state != DNS_FOUND &&
		   !(mx->state == DNS_FOUND && dns_answer_has(mx, wanted->value))) {
		elsewhere(wanted, "other hosts", findings);
	}
}

void
host_record_judge_bounce(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	if (wanted->type == RECORD_MX)
		judge_bounce_mx(wanted, dns, findings);
	else
		judge_bounce_alias(wanted, dns, findings);
}

/* ---- tracking ---- */

void
host_record_judge_tracking(const struct record *wanted, const struct dns *dns, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(dns, wanted->name, RECORD_CNAME);
	const struct dns_answer *a = dns_answer(dns, wanted->name, RECORD_A);
	const struct dns_record *first;

	if (found->state != DNS_FOUND && a->state == DNS_FOUND) {
		first = a->records->pdata[0];
		if (!dns_answer_has(dns_answer(dns, wanted->value, RECORD_A), first->text))
			finding_mend(findings_add(findings, TRACKING_ELSEWHERE,
						  "has the address %s, which is none of %s",
						  first->text, wanted->value),
				     PUBLISH);
		return;
	}
	if (!presence_judge(found, wanted->need, findings))
		return;
	first = found->records->pdata[0];
	if (strcmp(first->text, wanted->value) != 0)
		finding_mend(findings_add(findings, TRACKING_ELSEWHERE, "leads to %s, not to %s",
					  first->text, wanted->value),
			     PUBLISH ", or set tracking_target");
	else if (way_to(dns, wanted->name) == WAY_UNKNOWN)
		unknown(wanted->value, findings);
	else if (way_to(dns, wanted->name) == WAY_NOWHERE)
		finding_mend(
			findings_add(findings, CNAME_NOWHERE, "%s has no address", wanted->value),
			"publish its address, or set tracking_target");
}
