/*
 * finding - faults of a zone; see finding.h.
 *
 * The table below is all there is to be found, with its severity; poolctl(1) explains each word.
 */
#include "core/finding.h"

static const struct {
	const char *word;
	enum finding_severity severity;
} codes[FINDING_CODES] = {
	[DNS_UNKNOWN] = {"dns-unknown", FINDING_UNKNOWN},
	[KEY_UNREADABLE] = {"key-unreadable", FINDING_ERROR},
	[RECORD_MISSING] = {"missing", FINDING_ERROR},
	[RECORD_ADVISABLE] = {"advisable", FINDING_WARNING},
	[CNAME_CONFLICT] = {"cname-conflict", FINDING_ERROR},
	[CNAME_NOWHERE] = {"cname-nowhere", FINDING_ERROR},
	[RECORD_LONG] = {"record-long", FINDING_NOTE},
	[ADDRESS_WRONG] = {"address-wrong", FINDING_ERROR},
	[PTR_WRONG] = {"ptr-wrong", FINDING_WARNING},
	[PTR_UNCONFIRMED] = {"ptr-unconfirmed", FINDING_ERROR},
	[PTR_SEVERAL] = {"ptr-several", FINDING_WARNING},
	[MX_NULL] = {"mx-null", FINDING_WARNING},
	[MX_ALIAS] = {"mx-alias", FINDING_WARNING},
	[MX_NOWHERE] = {"mx-nowhere", FINDING_ERROR},
	[SPF_SEVERAL] = {"spf-several", FINDING_ERROR},
	[SPF_BROKEN] = {"spf-broken", FINDING_ERROR},
	[SPF_UNAUTHORISED] = {"spf-unauthorised", FINDING_ERROR},
	[SPF_LOOKUPS] = {"spf-lookups", FINDING_ERROR},
	[SPF_VOID_LOOKUPS] = {"spf-void-lookups", FINDING_ERROR},
	[SPF_ALL_PASS] = {"spf-all-pass", FINDING_ERROR},
	[SPF_ALL_NEUTRAL] = {"spf-all-neutral", FINDING_WARNING},
	[SPF_ALL_NONE] = {"spf-all-none", FINDING_WARNING},
	[SPF_PTR] = {"spf-ptr", FINDING_WARNING},
	[SPF_INCLUDE_ABSENT] = {"spf-include-absent", FINDING_ERROR},
	[SPF_SENDER_ID] = {"spf-sender-id", FINDING_NOTE},
	[KEY_SEVERAL] = {"dkim-several", FINDING_ERROR},
	[KEY_BROKEN] = {"dkim-broken", FINDING_ERROR},
	[KEY_VERSION] = {"dkim-version", FINDING_ERROR},
	[KEY_CUT] = {"dkim-cut", FINDING_ERROR},
	[KEY_REVOKED] = {"dkim-revoked", FINDING_ERROR},
	[KEY_SSH] = {"dkim-ssh-key", FINDING_ERROR},
	[KEY_GARBLED] = {"dkim-garbled", FINDING_ERROR},
	[KEY_PKCS1] = {"dkim-pkcs1", FINDING_ERROR},
	[KEY_SHORT] = {"dkim-short-key", FINDING_ERROR},
	[KEY_WEAK] = {"dkim-weak-key", FINDING_WARNING},
	[KEY_MISMATCH] = {"dkim-mismatch", FINDING_ERROR},
	[KEY_TYPE] = {"dkim-key-type", FINDING_ERROR},
	[KEY_HASH] = {"dkim-no-sha256", FINDING_ERROR},
	[KEY_SERVICE] = {"dkim-no-email", FINDING_ERROR},
	[KEY_TESTING] = {"dkim-testing", FINDING_WARNING},
	[KEY_STRICT] = {"dkim-strict", FINDING_WARNING},
	[KEY_NEXT_MISSING] = {"dkim-next-missing", FINDING_NOTE},
	[DOMAINKEYS_POLICY] = {"domainkeys-policy", FINDING_NOTE},
	[DMARC_SEVERAL] = {"dmarc-several", FINDING_ERROR},
	[DMARC_BROKEN] = {"dmarc-broken", FINDING_ERROR},
	[DMARC_BARE_MAILTO] = {"dmarc-bare-mailto", FINDING_ERROR},
	[DMARC_POLICY] = {"dmarc-policy", FINDING_ERROR},
	[DMARC_WEAKER] = {"dmarc-weaker", FINDING_WARNING},
	[DMARC_PERCENT] = {"dmarc-percent", FINDING_WARNING},
	[DMARC_RUA_NONE] = {"dmarc-no-rua", FINDING_WARNING},
	[DMARC_RUA_BROKEN] = {"dmarc-rua-broken", FINDING_ERROR},
	[DMARC_RUA_REFUSED] = {"dmarc-rua-refused", FINDING_WARNING},
	[DMARC_PLACE] = {"dmarc-place", FINDING_ERROR},
	[DMARC_SPF_ALIGNMENT] = {"dmarc-spf-alignment", FINDING_ERROR},
	[DMARC_DKIM_ALIGNMENT] = {"dmarc-dkim-alignment", FINDING_ERROR},
	[BIMI_SEVERAL] = {"bimi-several", FINDING_ERROR},
	[BIMI_BROKEN] = {"bimi-broken", FINDING_ERROR},
	[BIMI_URL] = {"bimi-url", FINDING_ERROR},
	[BIMI_LOGO] = {"bimi-logo", FINDING_WARNING},
	[BIMI_DMARC] = {"bimi-dmarc", FINDING_ERROR},
	[TRACKING_ELSEWHERE] = {"tracking-elsewhere", FINDING_ERROR},
	[BOUNCE_NOWHERE] = {"bounce-nowhere", FINDING_ERROR},
	[BOUNCE_ELSEWHERE] = {"bounce-elsewhere", FINDING_WARNING},
};

static void
finding_free(void *p)
{
	struct finding *f = p;

	g_free(f->text);
	g_free(f->mend);
	g_free(f);
}

GPtrArray *
findings_new(void)
{
	return g_ptr_array_new_with_free_func(finding_free);
}

struct finding *
findings_add(GPtrArray *findings, enum finding_code code, const char *format, ...)
{
	struct finding *f = g_new0(struct finding, 1);
	va_list ap;

	va_start(ap, format);
	f->text = g_strdup_vprintf(format, ap);
	va_end(ap);
	f->code = code;
	g_ptr_array_add(findings, f);
	return f;
}

void
finding_mend(struct finding *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	f->mend = g_strdup_vprintf(format, ap);
	va_end(ap);
}

const char *
finding_word(enum finding_code code)
{
	return codes[code].word;
}

enum finding_severity
finding_severity(enum finding_code code)
{
	return codes[code].severity;
}

const char *
finding_severity_word(enum finding_severity severity)
{
	static const char *const words[] = {
		[FINDING_NOTE] = "note",
		[FINDING_WARNING] = "warning",
		[FINDING_ERROR] = "error",
		[FINDING_UNKNOWN] = "unknown",
	};

	return words[severity];
}

int
findings_worst(const GPtrArray *findings)
{
	static const int ranks[] = {[FINDING_NOTE] = 0,
				    [FINDING_WARNING] = 1,
				    [FINDING_UNKNOWN] = 2,
				    [FINDING_ERROR] = 3};
	int worst = -1;

	for (guint i = 0; i < findings->len; i++) {
		const struct finding *f = findings->pdata[i];
		enum finding_severity severity = codes[f->code].severity;

		if (worst < 0 || ranks[severity] > ranks[worst])
			worst = severity;
	}
	return worst;
}
