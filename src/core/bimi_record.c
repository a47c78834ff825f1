/*
 * bimi_record - judges BIMI records; see bimi_record.h.
 */
#include "core/bimi_record.h"

#include "core/dmarc_record.h"
#include "core/presence.h"
#include "core/tag_list.h"

#include <string.h>

#define PREFIX "default._bimi."
#define PUBLISH "publish the record that is wanted"

static void
judge_logo(const struct tag_list *l, const struct record *wanted, GPtrArray *findings)
{
	struct tag_list *ours = tag_list_parse(wanted->value, strlen(wanted->value));
	const char *url = tag_list_get(l, "l");

	if (url == NULL || g_ascii_strncasecmp(url, "https://", 8) != 0 || url[8] == '\0')
		finding_mend(findings_add(findings, BIMI_URL, "l=%s: no https URL",
					  url != NULL ? url : ""),
			     PUBLISH);
	else if (g_strcmp0(url, tag_list_get(ours, "l")) != 0)
		finding_mend(findings_add(findings, BIMI_LOGO,
					  "l=%s is another logo than bimi_logo", url),
			     "publish the record that is wanted, or set bimi_logo");
	tag_list_free(ours);
}

static void
judge_record(const struct dns_record *r, const struct record *wanted, const struct dns_tools *tools,
	     GPtrArray *findings)
{
	struct tag_list *l = tag_list_parse(r->text, r->len);
	enum dmarc_enforcement enforced;

	if (l->problem != NULL) {
		finding_mend(
			findings_add(findings, BIMI_BROKEN, "%s: \"%s\"", l->problem, l->piece),
			PUBLISH);
	} else if (!tag_list_begins(l, "BIMI1")) {
		finding_mend(findings_add(findings, BIMI_BROKEN, "does not begin with v=BIMI1"),
			     PUBLISH);
	} else {
		judge_logo(l, wanted, findings);
		enforced = dmarc_record_enforced(wanted->name + strlen(PREFIX), tools);
		if (enforced == DMARC_RELAXED)
			finding_mend(
				findings_add(
					findings, BIMI_DMARC,
					"no logo is shown without a DMARC policy that is enforced"),
				"publish DMARC with p=quarantine or p=reject, without sp=none and "
				"pct=");
		else if (enforced == DMARC_NOT_KNOWN)
			findings_add(findings, DNS_UNKNOWN,
				     "the DNS could not tell of the DMARC record");
	}
	tag_list_free(l);
}

void
bimi_record_judge(const struct record *wanted, const struct dns_tools *tools, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(tools->dns, wanted->name, RECORD_TXT);

	if (!presence_judge(found, wanted->need, findings))
		return;
	if (found->records->len > 1)
		finding_mend(findings_add(findings, BIMI_SEVERAL,
					  "%u TXT records: receivers take none",
					  found->records->len),
			     "leave only the record that is wanted");
	else
		judge_record(found->records->pdata[0], wanted, tools, findings);
}
