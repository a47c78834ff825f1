/*
 * postfix_service - the services of master.cf that a plan needs.
 */
#ifndef POOLMILTER_CTL_POSTFIX_SERVICE_H
#define POOLMILTER_CTL_POSTFIX_SERVICE_H

#include "ctl/postfix_plan.h"

/** Takes a service, "NAME TYPE - - n - - PROGRAM", and its options, char * "name=value". */
typedef void postfix_service_fn(void *context, const char *service, const GPtrArray *options);

/** The way as tables have it, "SERVICE:NEXTHOP"; g_free it. */
char *postfix_service_transport(const struct postfix_way *w);

/** The options of the way's service, char * "name=value"; g_ptr_array_free(..., TRUE) it. directory
 * is that of the tables. */
GPtrArray *postfix_service_options(const struct postfix_way *w, const char *directory);

/** Calls f for the services of all ways, and for the listener that mixed_isps = "split" needs. */
void postfix_service_each(const struct postfix_plan *p, const char *directory,
			  postfix_service_fn *f, void *context);

#endif
