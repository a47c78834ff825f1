/*
 * delivery - how an attempt ended to bring events to somebody.
 */
#ifndef POOLMILTER_IO_DELIVERY_H
#define POOLMILTER_IO_DELIVERY_H

#include <glib.h>
#include <stdint.h>

enum delivery_result {
	DELIVERY_DONE,    /* they are there, to stay */
	DELIVERY_FAILED,  /* they are not, or perhaps: later again */
	DELIVERY_REFUSED, /* the same, and the reason is in what was sent: with fewer it may do */
};

struct delivery {
	enum delivery_result result;
	int64_t retry_after; /* microseconds that it asks to be left alone; 0: it does not */
	char *why;           /* printable, g_free it; NULL with DELIVERY_DONE */
};

#endif
