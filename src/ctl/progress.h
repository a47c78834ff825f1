/*
 * progress - a bar on the terminal while something takes long.
 */
#ifndef POOLMILTER_CTL_PROGRESS_H
#define POOLMILTER_CTL_PROGRESS_H

#include <glib.h>
#include <stdbool.h>

struct progress {
	const char *what; /* static: "records" */
	gint64 begun;     /* g_get_monotonic_time() */
	bool terminal;    /* standard error is one */
	bool drawn;
};

/** Begins; nothing is drawn in the first half second, nor where standard error is no terminal. */
void progress_begin(struct progress *p, const char *what);

/** Draws how far it is. */
void progress_draw(struct progress *p, guint done, guint total);

/** Takes the bar away. */
void progress_end(struct progress *p);

#endif
