/*
 * log_stdin - log lines from a descriptor, as rsyslog's omprog writes them to standard input.
 *
 * There is no position: what was not kept when the process ends is the writer's matter.  With confirm
 * it knows (omprog: confirmMessages="on", with or without useTransactions="on"): the source says OK once at the
 * start, and for each line when it is kept; between the lines BEGIN TRANSACTION and COMMIT TRANSACTION it says
 * DEFER_COMMIT for each line at once, and OK for the commit when all are kept.
 */
#ifndef POOLMILTER_IO_LOG_STDIN_H
#define POOLMILTER_IO_LOG_STDIN_H

#include "io/log_source.h"

/** A source that reads in, and with confirm answers to out. End it with its free(). */
struct log_source log_stdin_new(int in, int out, bool confirm);

#endif
