/*
 * log_file - follows a log file through rotation and truncation.
 */
#ifndef POOLMILTER_IO_LOG_FILE_H
#define POOLMILTER_IO_LOG_FILE_H

#include "io/log_source.h"

/**
 * A source that reads the file at path, which need not be there yet, and what it was before it was
 * rotated.  Told in the log: rotation, truncation, lines that were lost.  End it with its free().
 */
struct log_source log_file_new(const char *path);

#endif
