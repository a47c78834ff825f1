/*
 * dmarc_record - judges DMARC records; see dmarc_record.h.
 */
#include "core/dmarc_record.h"

#include "core/presence.h"

#include <string.h>

#define DMARC_VERSION "DMARC1"
#define PREFIX "_dmarc."
#define PUBLISH "publish the record that is wanted"

/* The first DMARC record of an answer and how many there are; NULL if there is none. */
static struct tag_list *
dmarc_of(const struct dns_answer *a, guint *count)
{
	struct tag_list *first = NULL;

	*count = 0;
	for (guint i = 0; i < a->records->len; i++) {
		const struct dns_record *r = a->records->pdata[i];
		struct tag_list *l = tag_list_parse(r->text, r->len);

		if (tag_list_begins(l, DMARC_VERSION) && (*count)++ == 0)
			first = l;
		else
			tag_list_free(l);
	}
	return first;
}

static const char *
policy_domain(const struct record *wanted)
{
	return wanted->name + strlen(PREFIX);
}

static bool
same_organisation(const struct dns_tools *tools, const char *a, const char *b)
{
	char org_a[DOMAIN_SIZE], org_b[DOMAIN_SIZE];

	tools->org_domain(a, org_a);
	tools->org_domain(b, org_b);
	return strcmp(org_a, org_b) == 0;
}

/* ---- policies ---- */

/* 0: none, 1: quarantine, 2: reject; -1: no policy. */
static int
policy_rank(const char *word)
{
	static const char *const words[] = {"none", "quarantine", "reject"};

	for (size_t i = 0; word != NULL && i < G_N_ELEMENTS(words); i++)
		if (g_ascii_strcasecmp(word, words[i]) == 0)
			return (int)i;
	return -1;
}

static bool
is_partial(const struct tag_list *l)
{
	const char *pct = tag_list_get(l, "pct");

	return pct != NULL && g_ascii_strtoll(pct, NULL, 10) != 100;
}

static int
subdomain_rank(const struct tag_list *l)
{
	const char *sp = tag_list_get(l, "sp");

	return policy_rank(sp != NULL ? sp : tag_list_get(l, "p"));
}

/* True if the policies can be read. */
static bool
judge_policy(const struct tag_list *l, const struct record *wanted, GPtrArray *findings)
{
	const char *p = tag_list_get(l, "p"), *sp = tag_list_get(l, "sp");
	struct tag_list *ours;

	if (policy_rank(p) < 0 || (sp != NULL && policy_rank(sp) < 0)) {
		finding_mend(findings_add(findings, DMARC_POLICY,
					  "%s=%s: not none, quarantine or reject",
					  policy_rank(p) < 0 ? "p" : "sp",
					  policy_rank(p) >= 0 ? sp
					  : p != NULL         ? p
							      : ""),
			     PUBLISH);
		return false;
	}
	ours = tag_list_parse(wanted->value, strlen(wanted->value));
	if (policy_rank(p) < policy_rank(tag_list_get(ours, "p")))
		finding_mend(findings_add(findings, DMARC_WEAKER, "p=%s, but %s is wanted", p,
					  tag_list_get(ours, "p")),
			     PUBLISH);
	else if (subdomain_rank(l) < subdomain_rank(ours))
		finding_mend(findings_add(findings, DMARC_WEAKER,
					  "subdomains have a weaker policy than is wanted"),
			     PUBLISH);
	tag_list_free(ours);
	if (is_partial(l))
		finding_mend(findings_add(findings, DMARC_PERCENT,
					  "pct=%s: the policy is not for all mail",
					  tag_list_get(l, "pct")),
			     "take pct= away");
	return true;
}

/* ---- reports ---- */

/* The domain of "mailto:local@domain!10m"; false if it is no such URI. */
static bool
report_domain(const char *uri, char out[DOMAIN_SIZE])
{
	const char *at = strrchr(uri, '@');
	size_t n;

	if (g_ascii_strncasecmp(uri, "mailto:", 7) != 0 || at == NULL || at == uri + 7)
		return false;
	n = strcspn(at + 1, "!?");
	return domain_normalise(at + 1, n, out);
}

/* False if the DNS says that reports on domain are not wanted there. */
static bool
reports_agreed(const struct dns_tools *tools, const char *domain, const char *to)
{
	char *name = g_strconcat(domain, "._report._dmarc.", to, NULL);
	const struct dns_answer *a = dns_answer(tools->dns, name, RECORD_TXT);
	struct tag_list *l;
	guint count = 1;

	if (dns_known(a)) {
		l = dmarc_of(a, &count);
		if (l != NULL)
			tag_list_free(l);
	}
	g_free(name);
	return count > 0;
}

static void
refused(const char *domain, const char *to, GPtrArray *findings)
{
	finding_mend(findings_add(findings, DMARC_RUA_REFUSED,
				  "%s has not agreed to get reports on %s: receivers send none "
				  "(RFC 7489 7.1)",
				  to, domain),
		     "have %s._report._dmarc.%s TXT \"v=DMARC1\" published there", domain, to);
}

static void
judge_report_uri(const char *uri, const struct record *wanted, const struct dns_tools *tools,
		 GPtrArray *findings)
{
	char domain[DOMAIN_SIZE];
	struct tag_list *ours = tag_list_parse(wanted->value, strlen(wanted->value));
	const char *own = tag_list_get(ours, "rua");
	char own_domain[DOMAIN_SIZE] = "";

	if (own != NULL && !report_domain(own, own_domain))
		*own_domain = '\0';
	if (!report_domain(uri, domain))
		finding_mend(
			findings_add(findings, DMARC_RUA_BROKEN, "rua=%s: not mailto:ADDRESS", uri),
			PUBLISH);
	else if (strcmp(domain, own_domain) != 0 && /* a record of its own is wanted for ours */
		 !same_organisation(tools, domain, policy_domain(wanted)) &&
		 !reports_agreed(tools, policy_domain(wanted), domain))
		refused(policy_domain(wanted), domain, findings);
	tag_list_free(ours);
}

static void
judge_reports(const struct tag_list *l, const struct record *wanted, const struct dns_tools *tools,
	      GPtrArray *findings)
{
	const char *rua = tag_list_get(l, "rua");
	char **uris;

	if (rua == NULL) {
		finding_mend(findings_add(findings, DMARC_RUA_NONE,
					  "no rua=: nobody tells you of mail that fails"),
			     "add rua=mailto:ADDRESS");
		return;
	}
	uris = g_strsplit(rua, ",", -1);
	for (char **uri = uris; *uri != NULL; uri++)
		judge_report_uri(g_strstrip(*uri), wanted, tools, findings);
	g_strfreev(uris);
}

void
dmarc_reports_judge(const struct record *wanted, const struct dns_tools *tools, GPtrArray *findings)
{
	char *domain = g_strndup(wanted->name, strcspn(wanted->name, "_") - 1);
	const char *to = strstr(wanted->name, PREFIX) + strlen(PREFIX);
	const struct dns_answer *a = dns_answer(tools->dns, wanted->name, RECORD_TXT);

	if (!dns_known(a))
		(void)presence_judge(a, wanted->need, findings);
	else if (!same_organisation(tools, domain, to) && !reports_agreed(tools, domain, to))
		refused(domain, to, findings);
	g_free(domain);
}

/* ---- alignment ---- */

static bool
is_strict(const struct tag_list *l, const char *tag)
{
	const char *mode = tag_list_get(l, tag);

	return mode != NULL && g_ascii_strcasecmp(mode, "s") == 0;
}

/* RFC 7489 3.1: the Return-Path's domain and d= must be the From: domain, or of its organisation.
 */
static void
judge_alignment(const struct tag_list *l, const struct pool *p, const struct dns_tools *tools,
		GPtrArray *findings)
{
	if (p->spf_domain != NULL && p->return_path != RETURN_PATH_KEEP &&
	    (is_strict(l, "aspf") ? strcmp(p->spf_domain, p->sender_domain) != 0
				  : !same_organisation(tools, p->spf_domain, p->sender_domain)))
		finding_mend(
			findings_add(
				findings, DMARC_SPF_ALIGNMENT, "SPF never aligns: %s is not %s%s",
				p->spf_domain, p->sender_domain,
				is_strict(l, "aspf") ? ", and aspf=s" : " nor of its organisation"),
			is_strict(l, "aspf") ? "take aspf=s away" : "take a spf_domain under %s",
			p->sender_domain);
	if (p->match_subdomains && is_strict(l, "adkim"))
		finding_mend(
			findings_add(
				findings, DMARC_DKIM_ALIGNMENT,
				"adkim=s: signatures of %s never align with mail of its subdomains",
				p->sender_domain),
			"take adkim=s away, or make pools for the subdomains");
}

/* ---- the verdict ---- */

static void
judge_record(const struct tag_list *l, const struct record *wanted, const struct dns_tools *tools,
	     GPtrArray *findings)
{
	if (l->problem != NULL && g_ascii_strncasecmp(l->piece, "mailto:", 7) == 0) {
		finding_mend(findings_add(findings, DMARC_BARE_MAILTO,
					  "\"%s\" is no tag: rua= is missing before it", l->piece),
			     "write rua=%s", l->piece);
		return;
	}
	if (l->problem != NULL) {
		finding_mend(
			findings_add(findings, DMARC_BROKEN, "%s: \"%s\"", l->problem, l->piece),
			PUBLISH);
		return;
	}
	if (!judge_policy(l, wanted, findings))
		return;
	judge_reports(l, wanted, tools, findings);
	for (guint i = 0; i < wanted->pools->len; i++)
		judge_alignment(l, wanted->pools->pdata[i], tools, findings);
}

/* No record is where it should be: does one stand where others do?  True if that was told. */
static bool
judge_place(const struct record *wanted, const struct dns_tools *tools, GPtrArray *findings)
{
	const char *domain = policy_domain(wanted);
	char *doubled = g_strconcat(wanted->name, ".", domain, NULL);
	const char *const places[] = {domain, doubled};
	char org[DOMAIN_SIZE];
	bool told = false;

	for (size_t i = 0; i < G_N_ELEMENTS(places) && !told; i++) {
		guint count;
		struct tag_list *l =
			dmarc_of(dns_answer(tools->dns, places[i], RECORD_TXT), &count);

		if (l == NULL)
			continue;
		tag_list_free(l);
		told = true;
		finding_mend(findings_add(findings, DMARC_PLACE,
					  "there is a DMARC record at %s, where nobody looks",
					  places[i]),
			     i == 0 ? "publish it at %s"
				    : "publish it at %s: its name lacked the last dot",
			     wanted->name);
	}
	tools->org_domain(domain, org);
	if (!told && strcmp(org, domain) != 0) {
		guint count;
		char *name = g_strconcat(PREFIX, org, NULL);
		struct tag_list *l = dmarc_of(dns_answer(tools->dns, name, RECORD_TXT), &count);

		if (l != NULL) {
			told = true;
			finding_mend(findings_add(findings, RECORD_ADVISABLE,
						  "no record here: that of %s is used", name),
				     PUBLISH);
			tag_list_free(l);
		}
		g_free(name);
	}
	g_free(doubled);
	return told;
}

void
dmarc_record_judge(const struct record *wanted, const struct dns_tools *tools, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(tools->dns, wanted->name, RECORD_TXT);
	guint count;
	struct tag_list *l = dmarc_of(found, &count);

	if (found->state != DNS_FOUND) {
		if (!dns_known(found) || found->alias != NULL ||
		    !judge_place(wanted, tools, findings))
			(void)presence_judge(found, wanted->need, findings);
	} else if (count == 0) {
		finding_mend(findings_add(findings, DMARC_BROKEN,
					  "no record here begins with v=" DMARC_VERSION),
			     PUBLISH);
	} else if (count > 1) {
		finding_mend(findings_add(findings, DMARC_SEVERAL,
					  "%u DMARC records: receivers take none (RFC 7489 6.6.3)",
					  count),
			     "leave only one");
	} else {
		judge_record(l, wanted, tools, findings);
	}
	if (l != NULL)
		tag_list_free(l);
}

enum dmarc_enforcement
dmarc_record_enforced(const char *domain, const struct dns_tools *tools)
{
	char *name = g_strconcat(PREFIX, domain, NULL), org[DOMAIN_SIZE];
	const struct dns_answer *a = dns_answer(tools->dns, name, RECORD_TXT);
	guint count;
	struct tag_list *l = dmarc_of(a, &count);
	enum dmarc_enforcement enforced = DMARC_RELAXED;
	bool inherited = false;

	tools->org_domain(domain, org);
	if (l == NULL && dns_known(a) && strcmp(org, domain) != 0) {
		g_free(name);
		name = g_strconcat(PREFIX, org, NULL);
		a = dns_answer(tools->dns, name, RECORD_TXT);
		l = dmarc_of(a, &count);
		inherited = true;
	}
	if (!dns_known(a))
		enforced = DMARC_NOT_KNOWN;
	else if (l != NULL && count == 1 && !is_partial(l) && subdomain_rank(l) > 0 &&
		 (inherited || policy_rank(tag_list_get(l, "p")) > 0))
		enforced = DMARC_ENFORCED;
	if (l != NULL)
		tag_list_free(l);
	g_free(name);
	return enforced;
}
