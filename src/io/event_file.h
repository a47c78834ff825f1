/*
 * event_file - events as lines of JSON in a file.
 *
 * The file may be renamed, deleted or emptied at any time, as logrotate(8) does: the next events go
 * into the one that has the path's name then.  For one thread.
 */
#ifndef POOLMILTER_IO_EVENT_FILE_H
#define POOLMILTER_IO_EVENT_FILE_H

#include "io/delivery.h"

struct event_file;

struct event_file *event_file_new(const char *path);
void event_file_free(struct event_file *f); /* NULL is allowed */

/**
 * Appends events (of struct event_row *), a line each, with one write().  DELIVERY_DONE: they are
 * on disk; else none of them counts as written, though some may stand there.
 */
struct delivery event_file_append(struct event_file *f, const GPtrArray *events);

#endif
