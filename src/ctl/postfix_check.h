/*
 * postfix_check - poolctl postfix --check: what endangers mail in the settings of a Postfix.
 */
#ifndef POOLMILTER_CTL_POSTFIX_CHECK_H
#define POOLMILTER_CTL_POSTFIX_CHECK_H

#include "ctl/postfix_plan.h"

/**
 * Prints what is found in the Postfix of that configuration directory (NULL: the default one).  The
 * exit status: 0 nothing, 1 something, EX_UNAVAILABLE if it cannot be asked.
 */
int postfix_check(const struct postfix_plan *p, const char *directory, bool json);

#endif
