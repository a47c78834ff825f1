/*
 * milter_io - buffered input and output under libmilter.
 *
 * libmilter reads each packet with two polls and two reads, and writes each edit by itself: some 200
 * system calls for a small message (PERF.md).  Where it is linked statically, its read(), poll(),
 * writev() and close() are wrapped at link time (-Wl,--wrap) by milter_io.c: connections that were
 * registered here read ahead, and write behind until libmilter waits for the MTA again.  Where it is
 * not, milter_io_none.c stands in: nothing is buffered, all works the same.
 */
#ifndef POOLMILTER_DAEMON_MILTER_IO_H
#define POOLMILTER_DAEMON_MILTER_IO_H

#include <stdbool.h>

/** Buffers the connection from now on, until it is closed. */
void milter_io_register(int fd);

/** True if the functions are wrapped in this program. */
bool milter_io_buffered(void);

#endif
