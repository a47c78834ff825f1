/*
 * store - a Redis server that all nodes share, and that may be gone, slow or somebody else.
 *
 * A few connections for many threads, behind a circuit breaker: the first timeout or refusal opens
 * it, and then commands fail at once, until a thread of the store has found the server again (by
 * its address or by asking Sentinel) and has tried there what the commands need.  A command is
 * never sent twice, unless the server said that it did not execute it.  One log line for each
 * change of state.
 *
 * A command costs at most command_timeout_ms: that is for all, a connection too where one more is
 * needed than is open.  connect_timeout_ms is for the store's thread, and bounds others further.
 */
#ifndef POOLMILTER_IO_STORE_H
#define POOLMILTER_IO_STORE_H

#include "io/store_tls.h"

#include <glib.h>
#include <stdbool.h>

struct redisReply;
struct store;
struct store_request; /* io/store_link.h */

/** All strings stay the caller's. */
struct store_settings {
	const char *address;             /* "HOST:PORT", "[IPV6]:PORT", "unix:/path" */
	const char *const *sentinels;    /* NULL-terminated; NULL or empty: address */
	const char *sentinel_master;     /* the master's name there */
	const char *username, *password; /* NULL: none */
	guint database;
	bool tls;
	struct store_tls_files tls_files;
	guint connect_timeout_ms, command_timeout_ms;
	guint connections; /* at a time, at most */
};

/** What is wrong with settings, files of TLS included (g_free it); NULL: nothing. Asks nobody. */
char *store_settings_check(const struct store_settings *settings);

/**
 * A store, and its thread, in which all signals are blocked: to be made after the process has
 * become a daemon.  probe is copied: a request that succeeds where the server is able to do what
 * others will ask of it.  NULL with *why (g_free it) if the settings cannot be: never because the
 * server is not there.  Free with store_free().
 */
struct store *store_new(const struct store_settings *settings, const struct store_request *probe,
			char **why);

/** Nobody may use the store any more. NULL is allowed. Waits for the thread: a timeout or two. */
void store_free(struct store *s);

/**
 * Takes changed settings; false with *why, and the old ones stay.  Another server is asked from now
 * on, requests under way end where they are.  Thread-safe.
 */
bool store_change(struct store *s, const struct store_settings *settings,
		  const struct store_request *probe, char **why);

/** How a request ended. */
enum store_result {
	STORE_REPLIED,   /* there is a reply, and it is no error */
	STORE_REFUSED,   /* not executed, *why tells the reason */
	STORE_UNCERTAIN, /* it may have been executed or may be yet; *why tells the reason */
};

/**
 * Sends a request and waits for its reply, *reply, for freeReplyObject().  patience: microseconds
 * for the command; 0: command_timeout_ms.  *why: g_free it.  Thread-safe.
 */
enum store_result store_ask(struct store *s, const struct store_request *request, gint64 patience,
			    struct redisReply **reply, char **why);

/** True while the server answers. Thread-safe. */
bool store_up(struct store *s);

/**
 * Waits until it does, at most patience microseconds: false with *why (g_free it) if it does not by
 * then.  Thread-safe.
 */
bool store_wait_up(struct store *s, gint64 patience, char **why);

#endif
