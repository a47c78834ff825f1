/*
 * log_journal - reads the mail log from the systemd journal.
 */
#ifndef POOLMILTER_IO_LOG_JOURNAL_H
#define POOLMILTER_IO_LOG_JOURNAL_H

#include "io/log_source.h"

/**
 * A source that reads what was logged with the facility mail, or by our daemon under its syslog
 * ident; of this host's system journal, or of the files in directory if that is not NULL.  End it
 * with its free(). Without libsystemd its open() says so.
 */
struct log_source log_journal_new(const char *directory, const char *ident);

#endif
