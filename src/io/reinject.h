/*
 * reinject - hands messages to an MTA again, by SMTP (libcurl).
 */
#ifndef POOLMILTER_IO_REINJECT_H
#define POOLMILTER_IO_REINJECT_H

#include "core/injector.h"

/** Prepares libcurl; once, before there are threads. False with *why (g_free it) on failure. */
bool reinject_init(char **why);

/** The injector; static. 10 s for the connection up to EHLO's reply, 120 s for the whole. */
const struct injector *reinject_injector(void);

/** How long one injection may take, in milliseconds. */
struct reinject_limits {
	long connect_ms; /* until the server has answered EHLO */
	long whole_ms;	 /* from the first packet to the reply after the final dot */
};

/** An injector with other limits; they stay the caller's and must outlive it. */
struct injector reinject_injector_limited(const struct reinject_limits *limits);

#endif
