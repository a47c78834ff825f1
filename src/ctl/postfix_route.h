/*
 * postfix_route - ways that keep the numbers of ISP records, and the header fields that tell
 * Postfix to take them.
 */
#ifndef POOLMILTER_CTL_POSTFIX_ROUTE_H
#define POOLMILTER_CTL_POSTFIX_ROUTE_H

#include "ctl/postfix_plan.h"

/** Fills routes and unrouted of a plan that has its senders, and adds the ways. */
void postfix_route_add(struct postfix_plan *p);

#endif
