/*
 * finding - what the check of a zone has found: a fault, what it is and how to mend it.
 */
#ifndef POOLMILTER_CORE_FINDING_H
#define POOLMILTER_CORE_FINDING_H

#include <glib.h>

enum finding_severity {
	FINDING_NOTE,    /* to know, not to mend */
	FINDING_WARNING, /* works today, for most */
	FINDING_ERROR,   /* mail suffers */
	FINDING_UNKNOWN, /* the DNS could not tell */
};

/** Each has a word ("dkim-mismatch") and a severity: finding_word(), finding_severity(). */
enum finding_code {
	/* any record */
	DNS_UNKNOWN,
	KEY_UNREADABLE,
	RECORD_MISSING,
	RECORD_ADVISABLE,
	CNAME_CONFLICT,
	CNAME_NOWHERE,
	RECORD_LONG,
	/* addresses */
	ADDRESS_WRONG,
	PTR_WRONG,
	PTR_UNCONFIRMED,
	PTR_SEVERAL,
	/* MX */
	MX_NULL,
	MX_ALIAS,
	MX_NOWHERE,
	/* SPF */
	SPF_SEVERAL,
	SPF_BROKEN,
	SPF_UNAUTHORISED,
	SPF_LOOKUPS,
	SPF_VOID_LOOKUPS,
	SPF_ALL_PASS,
	SPF_ALL_NEUTRAL,
	SPF_ALL_NONE,
	SPF_PTR,
	SPF_INCLUDE_ABSENT,
	SPF_SENDER_ID,
	/* DKIM */
	KEY_SEVERAL,
	KEY_BROKEN,
	KEY_VERSION,
	KEY_CUT,
	KEY_REVOKED,
	KEY_SSH,
	KEY_GARBLED,
	KEY_PKCS1,
	KEY_SHORT,
	KEY_WEAK,
	KEY_MISMATCH,
	KEY_TYPE,
	KEY_HASH,
	KEY_SERVICE,
	KEY_TESTING,
	KEY_STRICT,
	KEY_NEXT_MISSING,
	DOMAINKEYS_POLICY,
	/* DMARC */
	DMARC_SEVERAL,
	DMARC_BROKEN,
	DMARC_BARE_MAILTO,
	DMARC_POLICY,
	DMARC_WEAKER,
	DMARC_PERCENT,
	DMARC_RUA_NONE,
	DMARC_RUA_BROKEN,
	DMARC_RUA_REFUSED,
	DMARC_PLACE,
	DMARC_SPF_ALIGNMENT,
	DMARC_DKIM_ALIGNMENT,
	/* BIMI */
	BIMI_SEVERAL,
	BIMI_BROKEN,
	BIMI_URL,
	BIMI_LOGO,
	BIMI_DMARC,
	/* names that lead to others */
	TRACKING_ELSEWHERE,
	BOUNCE_NOWHERE,
	BOUNCE_ELSEWHERE,

	FINDING_CODES
};

struct finding {
	enum finding_code code;
	char *text; /* what is wrong */
	char *mend; /* how to mend it; NULL: nothing is to be done */
};

/** An array of struct finding *, which it owns. */
GPtrArray *findings_new(void);

/** Adds one, without a mend yet. It belongs to the array. */
struct finding *findings_add(GPtrArray *findings, enum finding_code code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/** Says how to mend it. */
void finding_mend(struct finding *f, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** "dkim-mismatch"; "error": static. */
const char *finding_word(enum finding_code code);
enum finding_severity finding_severity(enum finding_code code);
const char *finding_severity_word(enum finding_severity severity);

/** The worst severity, -1 without any.  FINDING_UNKNOWN counts below FINDING_ERROR only. */
int findings_worst(const GPtrArray *findings);

#endif
