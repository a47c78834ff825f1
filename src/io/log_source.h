/*
 * log_source - where the lines of the MTA's log come from: a file, the journal, or standard input.
 *
 * A facade: io/log_file.h, io/log_journal.h, io/log_stdin.h.  For one thread.
 *
 * The caller reads lines, asks for the position behind the last one and keeps it, and says so.  Where it
 * could not keep it, it opens the source again at the position that it kept before, and all lines since then come again.
 */
#ifndef POOLMILTER_IO_LOG_SOURCE_H
#define POOLMILTER_IO_LOG_SOURCE_H

#include "core/log_line.h"

/** A line: as it stands in a file, or taken apart where it is kept in parts. */
struct log_entry {
	bool apart;
	struct text_part raw;  /* not apart: without its line end, at most LOG_LINE_READ_MAX octets */
	struct log_line parts; /* apart */
};

enum log_read {
	LOG_READ_ENTRY,
	LOG_READ_NONE,	 /* not now: wait */
	LOG_READ_SOON,	 /* the same, and there is more: in a moment it is known to be its turn */
	LOG_READ_KEEP,	 /* the same: who writes waits until what was read so far is kept */
	LOG_READ_END,	 /* there will never be more */
	LOG_READ_FAILED, /* with *why (g_free it); try again later */
};

struct log_source {
	/**
	 * Goes to a position that position() gave.  NULL: there is none yet; then to the end of what is there,
	 * or with from_start to its beginning.  Also at any later time, to go back.  False with *why
	 * (g_free it): it cannot be read now.
	 */
	bool (*open)(void *context, const char *position, bool from_start, char **why);
	/** The next line.  What entry points to is good until the next call of any function here. */
	enum log_read (*read)(void *context, struct log_entry *entry, char **why);
	/** The position behind the last line that was read: printable text; g_free it. */
	char *(*position)(void *context);
	/** Says that the last position() is kept: the lines before it will not be asked for again. */
	void (*kept)(void *context);
	/** Waits until there may be more, until wake_fd can be read, or for that long. */
	void (*wait)(void *context, int wake_fd, int timeout_ms);
	void (*free)(void *context);
	void *context;
};

#endif
