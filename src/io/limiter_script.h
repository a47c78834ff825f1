/*
 * limiter_script - what Redis does for a request, and for a batch of statistics, in Lua.
 */
#ifndef POOLMILTER_IO_LIMITER_SCRIPT_H
#define POOLMILTER_IO_LIMITER_SCRIPT_H

/** The scripts' texts; limiter_script.c tells their arguments and their replies. */
extern const char limiter_script_charge[];
extern const char limiter_script_add[];

/* How a window is kept: this, the sum of the counts, then buckets, the oldest first. */
#define LIMITER_SCRIPT_MAGIC "PM1:"
/* Octets with the sum, which is the last 4 of them, big-endian as all numbers. */
#define LIMITER_SCRIPT_HEAD 8
/* Octets: time of the last charge (8), count (4). */
#define LIMITER_SCRIPT_BUCKET 12

#endif
