/*
 * control_client - asks the daemon of this node through its control socket; what it says there.
 *
 * A client sends one line and reads until the daemon closes.  Words are those of core/word.h:
 *
 *	limits		limit KEY MOST SECONDS USED WAIT_US SHARE_MOST	for each limit in use
 *	stats [START]	tally KEY FIELD VALUE	for each number of keys that begin so
 *	reset KEY	forgets the charges of a key
 *	locks		lock WORDS	for each lock in force, as lock_write() has it
 *	lock WORDS	sets a lock, unless one there holds (lock_holds())
 *	release POOL ISP	releases one
 *
 * The last line is ". ok", after reset with the number of windows forgotten, after lock and release
 * with the number of locks set or released, or ". error WHY".
 */
#ifndef POOLMILTER_IO_CONTROL_CLIENT_H
#define POOLMILTER_IO_CONTROL_CLIENT_H

#include "core/limiter_memory.h" /* struct limiter_use */
#include "core/lock_table.h"

#include <sys/un.h>

#define CONTROL_ANSWER_MAX ((size_t)256 * 1024 * 1024) /* octets; a million keys are some 60 MB */

/** The socket's path in a state directory; g_free it. */
char *control_client_path(const char *state_dir);

/** The path as an address; false, with errno, if it is too long for one (unix(7)). */
bool control_client_address(const char *path, struct sockaddr_un *address);

/**
 * Connects without waiting: a descriptor that does not block, or -1 with errno.  ENOENT,
 * ECONNREFUSED: nobody listens; EACCES: not allowed; EAGAIN: somebody listens, and too many wait
 * there.
 */
int control_client_connect(const char *path);

/**
 * Calls each() for all limits in use.  False with *why (g_free it) if the daemon at fd, which stays
 * the caller's and is good for one question, does not answer within 15 seconds.
 */
bool control_client_limits(int fd, void (*each)(const struct limiter_use *use, void *context),
			   void *context, char **why);

/** Calls each() for all tallies whose key begins with start, in the same way. */
bool control_client_tallies(int fd, const char *start,
			    void (*each)(const char *key, const char *field, int64_t value,
					 void *context),
			    void *context, char **why);

/** Forgets the charges of a key, in the same way; *forgotten: how many windows there were. */
bool control_client_reset(int fd, const char *key, guint *forgotten, char **why);

/** The locks in force: of struct lock, g_array_unref() it; NULL with *why, in the same way. */
GArray *control_client_locks(int fd, char **why);

/** Sets a lock, in the same way; *set: false if one there holds. */
bool control_client_lock(int fd, const struct lock *l, bool *set, char **why);

/** Releases a lock, in the same way; *was: there was one. */
bool control_client_release(int fd, const char *pool, const char *isp, bool *was, char **why);

#endif
