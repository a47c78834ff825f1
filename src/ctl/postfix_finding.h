/*
 * postfix_finding - what endangers mail or signatures in a Postfix' settings, and the rules that
 * find it.
 */
#ifndef POOLMILTER_CTL_POSTFIX_FINDING_H
#define POOLMILTER_CTL_POSTFIX_FINDING_H

#include "ctl/postfix_config.h"
#include "ctl/postfix_plan.h"

struct postfix_finding {
	char *where; /* "main.cf", or the service: "submission/inet" */
	char *setting;
	char *value; /* as found; NULL: it is not there */
	char *problem;
	const char *mend;
};

struct postfix_findings {
	const struct postfix_plan *plan;
	const struct postfix_config *config;
	GPtrArray *list; /* of struct postfix_finding * */
};

/** Adds one about a setting of a service (NULL: main.cf), with the value that is in force there;
 * nothing if that has been told already. */
void postfix_finding_add(struct postfix_findings *f, const struct postfix_service *s,
			 const char *setting, const char *mend, const char *format, ...)
	G_GNUC_PRINTF(5, 6);

/** Looks at the value of a setting in main.cf (s NULL), or of a service that has its own. */
typedef void postfix_rule(struct postfix_findings *f, const struct postfix_service *s,
			  const char *setting, const char *value);

/** Calls the rule for main.cf and for each service with that program and its own value; no value is
 * "". */
void postfix_finding_each(struct postfix_findings *f, const char *program, const char *setting,
			  postfix_rule *rule);

/** True for a service that only this host reaches. */
bool postfix_finding_is_local(const struct postfix_service *s);

/** True if poolmilter is among the milters of a list of main.cf or a service. */
bool postfix_finding_is_asked(const struct postfix_findings *f, const char *milters);

/** True if mail goes by a filter somewhere (content_filter, smtpd_proxy_filter). */
bool postfix_finding_filters(const struct postfix_findings *f);

/** How poolmilter is asked: milters in all ways in, what becomes of mail without it, times, its
 * socket. */
void postfix_rules_milter(struct postfix_findings *f);

/** What reaches poolmilter, and what changes mail after it. */
void postfix_rules_mail(struct postfix_findings *f);

/** Whether what poolctl postfix generates is in use, and as generated. */
void postfix_rules_ways(struct postfix_findings *f);

#endif
