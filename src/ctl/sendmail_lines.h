/*
 * sendmail_lines - what Sendmail needs of a configuration, in the language of sendmail.mc (m4).
 */
#ifndef POOLMILTER_CTL_SENDMAIL_LINES_H
#define POOLMILTER_CTL_SENDMAIL_LINES_H

#include "core/settings.h"

/** The lines; source is the configuration's name for the heading.  g_free it. */
char *sendmail_lines(const struct settings *s, const char *source);

#endif
