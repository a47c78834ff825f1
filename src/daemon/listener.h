/*
 * listener - the sockets that the MTA connects to, several at once.
 *
 * libmilter listens on one socket.  We open ours ourselves, put them into an epoll set and hand
 * libmilter the set's descriptor ("fd:N", which Debian's libmilter takes): it is readable when a client
 * waits, and libmilter's accept() is ours (milter_hooks.c) and takes the client from the right socket.
 * That also gives us TCP_NODELAY, socket modes, stale sockets, and a pause when descriptors run out.
 */
#ifndef POOLMILTER_DAEMON_LISTENER_H
#define POOLMILTER_DAEMON_LISTENER_H

#include "core/settings.h"

#include <stdbool.h>

/**
 * Opens all sockets of settings->listen.  A UNIX socket that nobody answers on any more is replaced, one
 * that is in use is left alone.  False with *why (g_free it); nothing stays open then.
 */
bool listener_open(const struct settings *s, char **why);

/** The descriptor for libmilter. */
int listener_fd(void);

/** Accepts a client: a descriptor, or -1 with errno. Pauses briefly when descriptors run out. */
int listener_accept(void);

/** Stops listening and removes the UNIX sockets; wakes who waits for a client. Thread-safe. */
void listener_close(void);

#endif
