/*
 * store_reach - finds the server of the store and makes sure that it will do.
 */
#ifndef POOLMILTER_IO_STORE_REACH_H
#define POOLMILTER_IO_STORE_REACH_H

#include "io/store_config.h"

/**
 * Connects to a place and does what must be done first there: AUTH, SELECT; with sentinels the
 * server must say that it is a master.  NULL with *why (g_free it), which never holds the password.
 */
struct store_link *store_reach_place(const struct store_config *c, const struct store_place *place,
				     gint64 deadline, char **why);

/**
 * Finds the server, by its address or by asking the sentinels in turn, and tries the probe there:
 * the connection, and its *place; else NULL with *why.  Follows MOVED once.  May take seconds where
 * a name server is ill, else at most the timeouts of all servers that it tries.
 */
struct store_link *store_reach(const struct store_config *c, struct store_place *place, char **why);

/**
 * True if the sentinels name another master than the one at a place: false where there are none, or
 * none answers.
 */
bool store_reach_elsewhere(const struct store_config *c, const struct store_place *place);

/** The place that "MOVED SLOT HOST:PORT" tells; false if error is none, or HOST is a name. */
bool store_reach_moved(const char *error, struct store_place *place);

#endif
