/*
 * error_report - tells what is wrong with a configuration, line by line.
 */
#ifndef POOLMILTER_BASE_ERROR_REPORT_H
#define POOLMILTER_BASE_ERROR_REPORT_H

#include "base/errors.h"

/** To standard error. */
void error_report_terminal(const struct errors *e);

/** To the log. */
void error_report_log(const struct errors *e);

/** The errors as one text, under a first line that says that the configuration cannot be used; g_free it. */
char *error_report_text(const struct errors *e);

#endif
