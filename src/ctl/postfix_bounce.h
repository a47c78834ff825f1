/*
 * postfix_bounce - how bounces get from Postfix to poolctl bounce: a service of pipe(8), and the
 * domains whose mail goes there.
 */
#ifndef POOLMILTER_CTL_POSTFIX_BOUNCE_H
#define POOLMILTER_CTL_POSTFIX_BOUNCE_H

#include "ctl/postfix_files.h"
#include "ctl/postfix_finding.h"

#define POSTFIX_BOUNCE "poolmilter-bounce" /* the service's name */

/** True if bounces become events. */
bool postfix_bounce_used(const struct settings *s);

/** The service's line in master.cf; config: the absolute path of the configuration.  g_free it. */
char *postfix_bounce_service(const struct settings *s, const char *config);

/**
 * The domains that Return-Paths are at, of char * (they belong to the settings): those that take no
 * other mail, or with left those that do.  g_ptr_array_unref() it.
 */
GPtrArray *postfix_bounce_domains(const struct settings *s, bool left);

/** The table of these domains, for transport_maps and relay_domains. */
GString *postfix_bounce_table(const struct postfix_plan *p, const struct postfix_texts *t);

/** Whether bounces get there. */
void postfix_rules_bounces(struct postfix_findings *f);

#endif
