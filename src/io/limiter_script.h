/*
 * limiter_script - what Redis does for a request, in Lua.
 */
#ifndef POOLMILTER_IO_LIMITER_SCRIPT_H
#define POOLMILTER_IO_LIMITER_SCRIPT_H

/** The script's text; limiter_script.c tells its arguments and its reply. */
extern const char limiter_script[];

/* How the script keeps a window: this, the sum of the counts, then buckets, the oldest first. */
#define LIMITER_SCRIPT_MAGIC "PM1:"
#define LIMITER_SCRIPT_HEAD \
	8 /* octets; the sum is the last 4 of them, big-endian as all numbers \
	   */
#define LIMITER_SCRIPT_BUCKET 12 /* octets: time of the last charge (8), count (4) */

#endif
