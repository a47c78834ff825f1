/*
 * category_code - categories by codes; see category_code.h.
 *
 * The codes are those of IANA's "SMTP Enhanced Status Codes" registry.  A 4.x.x is never hard: the
 * server says itself that it may be taken another time.  A code that servers use for much more than
 * it says is left to the next in line: 5.x.0 to the reply code, 550 and 554 to CATEGORY_OTHER. That
 * may keep an address too long, but never takes away one that is good.
 */
#include "core/category_code.h"

#include <glib.h>
#include <stdio.h>

/* From RFC 3463, if no other is named. */
static const struct {
	unsigned short subject, detail;
	enum category soft, hard; /* of 4.x.x and 5.x.x */
} dsns[] = {
	{1, 1, CATEGORY_TEMPORARY, CATEGORY_BAD_MAILBOX},         /* bad destination mailbox */
	{1, 2, CATEGORY_TEMPORARY, CATEGORY_BAD_DOMAIN},          /* bad destination system */
	{1, 3, CATEGORY_TEMPORARY, CATEGORY_BAD_MAILBOX},         /* its syntax */
	{1, 4, CATEGORY_TEMPORARY, CATEGORY_BAD_MAILBOX},         /* ambiguous */
	{1, 6, CATEGORY_TEMPORARY, CATEGORY_INACTIVE},            /* has moved */
	{1, 7, CATEGORY_POLICY, CATEGORY_POLICY},                 /* sender's syntax */
	{1, 8, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* sender's system */
	{1, 10, CATEGORY_TEMPORARY, CATEGORY_BAD_DOMAIN},         /* null MX, RFC 7505 */
	{2, 0, CATEGORY_TEMPORARY, CATEGORY_NONE},
	{2, 1, CATEGORY_TEMPORARY, CATEGORY_INACTIVE}, /* mailbox disabled */
	{2, 2, CATEGORY_FULL, CATEGORY_FULL},          /* mailbox full */
	{2, 3, CATEGORY_POLICY, CATEGORY_POLICY},      /* message too long for it */
	{2, 4, CATEGORY_TEMPORARY, CATEGORY_OTHER},    /* mailing list expansion */
	{3, 0, CATEGORY_TEMPORARY, CATEGORY_NONE},
	{3, 1, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY}, /* system full */
	{3, 2, CATEGORY_TEMPORARY, CATEGORY_NONE},      /* takes no messages; 521 tells if ever */
	{3, 3, CATEGORY_TEMPORARY, CATEGORY_OTHER},     /* features */
	{3, 4, CATEGORY_POLICY, CATEGORY_POLICY},       /* message too big for the system */
	{3, 5, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY}, /* configured wrongly */
	{4, 0, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY},
	{4, 1, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY},  /* no answer */
	{4, 2, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY},  /* bad connection */
	{4, 3, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY},  /* directory server */
	{4, 4, CATEGORY_TEMPORARY, CATEGORY_BAD_DOMAIN}, /* unable to route */
	{4, 5, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY},  /* congestion */
	{4, 6, CATEGORY_TEMPORARY, CATEGORY_OTHER},      /* loop */
	{4, 7, CATEGORY_TEMPORARY, CATEGORY_TEMPORARY},  /* expired */
	{5, 3, CATEGORY_TEMPORARY, CATEGORY_POLICY},     /* too many recipients */
	{6, 0, CATEGORY_TEMPORARY, CATEGORY_POLICY},
	{6, 1, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* media not supported */
	{6, 2, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* conversion prohibited */
	{6, 3, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* conversion not supported */
	{6, 5, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* conversion failed */
	{6, 6, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* content not available, RFC 4468 */
	{6, 7, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* no UTF-8 addresses, RFC 6531 */
	{6, 9, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* no UTF-8 headers, RFC 6531 */
	{7, 0, CATEGORY_TEMPORARY, CATEGORY_POLICY},
	{7, 1, CATEGORY_POLICY, CATEGORY_POLICY},     /* refused */
	{7, 2, CATEGORY_POLICY, CATEGORY_POLICY},     /* list expansion prohibited */
	{7, 3, CATEGORY_POLICY, CATEGORY_POLICY},     /* security conversion */
	{7, 4, CATEGORY_TEMPORARY, CATEGORY_POLICY},  /* security features */
	{7, 5, CATEGORY_TEMPORARY, CATEGORY_POLICY},  /* cryptographic failure */
	{7, 6, CATEGORY_TEMPORARY, CATEGORY_POLICY},  /* algorithm */
	{7, 7, CATEGORY_TEMPORARY, CATEGORY_POLICY},  /* integrity */
	{7, 8, CATEGORY_TEMPORARY, CATEGORY_POLICY},  /* login wrong, RFC 4954 */
	{7, 9, CATEGORY_TEMPORARY, CATEGORY_POLICY},  /* mechanism too weak, RFC 4954 */
	{7, 10, CATEGORY_POLICY, CATEGORY_POLICY},    /* encryption needed, RFC 5248 */
	{7, 11, CATEGORY_POLICY, CATEGORY_POLICY},    /* for this mechanism, RFC 4954 */
	{7, 13, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* account that sends is disabled, RFC 5248 */
	{7, 14, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* trust relationship, RFC 5248 */
	{7, 15, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* priority too low, RFC 6710 */
	{7, 16, CATEGORY_TEMPORARY, CATEGORY_POLICY}, /* too big for its priority, RFC 6710 */
	{7, 17, CATEGORY_TEMPORARY, CATEGORY_BAD_MAILBOX}, /* mailbox has a new owner, RFC 7293 */
	{7, 18, CATEGORY_TEMPORARY, CATEGORY_BAD_DOMAIN},  /* domain has a new owner, RFC 7293 */
	{7, 19, CATEGORY_TEMPORARY, CATEGORY_OTHER},       /* owner not known, RFC 7293 */
	{7, 20, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* no DKIM, RFC 7372 */
	{7, 21, CATEGORY_AUTHENTICATION,
	 CATEGORY_AUTHENTICATION}, /* DKIM not good enough, RFC 7372 */
	{7, 22, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* not the author's, RFC 7372 */
	{7, 23, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* SPF, RFC 7372 */
	{7, 24, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* SPF error, RFC 7372 */
	{7, 25, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* reverse DNS, RFC 7372 */
	{7, 26, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* several, RFC 7372 */
	{7, 27, CATEGORY_POLICY, CATEGORY_POLICY}, /* sender has a null MX, RFC 7505 */
	{7, 28, CATEGORY_RATE, CATEGORY_RATE},     /* flood; in the registry */
	{7, 29, CATEGORY_AUTHENTICATION, CATEGORY_AUTHENTICATION}, /* ARC, RFC 8617 */
	{7, 30, CATEGORY_TEMPORARY, CATEGORY_POLICY},              /* REQUIRETLS, RFC 8689 */
};

/* From RFC 5321 4.2.3, if no other is named. */
static const struct {
	int code;
	enum category category;
} codes[] = {
	{521, CATEGORY_BAD_DOMAIN}, /* host takes no mail, RFC 7504 */
	{530, CATEGORY_POLICY}, /* authentication required, RFC 4954; STARTTLS first, RFC 3207 */
	{535, CATEGORY_POLICY}, /* login wrong, RFC 4954 */
	{538, CATEGORY_POLICY}, /* encryption required, RFC 2554 */
	{551, CATEGORY_BAD_MAILBOX}, /* user not local */
	{552, CATEGORY_FULL},        /* exceeded storage allocation */
	{553, CATEGORY_BAD_MAILBOX}, /* mailbox name not allowed */
	{556, CATEGORY_BAD_DOMAIN},  /* domain takes no mail, RFC 7504 */
};

enum category
category_of_dsn(const char *dsn, int code)
{
	unsigned class, subject, detail;
	char end;

	if (sscanf(dsn, "%1u.%3u.%3u%c", &class, &subject, &detail, &end) != 3 ||
	    (class != 4 && class != 5))
		return CATEGORY_NONE;
	for (size_t i = 0; i < G_N_ELEMENTS(dsns); i++)
		if (dsns[i].subject == subject && dsns[i].detail == detail)
			return class == 4 || code / 100 == 4 ? dsns[i].soft : dsns[i].hard;
	return CATEGORY_NONE;
}

enum category
category_of_code(int code)
{
	if (code / 100 == 4)
		return CATEGORY_TEMPORARY;
	for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
		if (codes[i].code == code)
			return codes[i].category;
	return CATEGORY_NONE;
}
