/*
 * key_state - keys.state in the state directory: which pools sign with dkim_next.
 *
 * poolctl keys switch writes it (as root or as the daemon's user), and the daemon when it has seen
 * a record in the DNS; a lock on the directory keeps writers apart.  It is read when a
 * configuration is loaded, by the daemon and by poolctl.  It holds nothing secret.
 */
#ifndef POOLMILTER_IO_KEY_STATE_H
#define POOLMILTER_IO_KEY_STATE_H

#include "core/rotation_entry.h"

struct key;

/** The path of the file; g_free it. */
char *key_state_path(const char *state_dir);

/**
 * What stands in the file, none if there is none: rotation_entries_new().  If it cannot be read or
 * is damaged, none either, with *why (g_free it).
 */
GPtrArray *key_state_read(const char *state_dir, char **why);

/** Puts what the entries say of the settings' pools in force there. */
void key_state_apply(const struct settings *s, const GPtrArray *entries);

/** The fingerprint of a private key's public half (g_free it); NULL with *why if the key cannot be
 * read. */
char *key_state_fingerprint(struct key *k, char **why);

/** The file, locked, and what stands in it. */
struct key_state {
	GPtrArray *entries;
	GHashTable *live; /* name of a pool -> its entry that is not retired */
	char *damage; /* why there are none although there is a file; NULL: all is well */
	char *path;
	int fd; /* of the directory, that holds the lock */
};

/**
 * Locks and reads the file; NULL with *why, and errno: EWOULDBLOCK if somebody else has it, for
 * wait_ms milliseconds by now; EACCES without the rights to write it.
 */
struct key_state *key_state_open(const char *state_dir, unsigned wait_ms, char **why);

/** Gives the lock back; writes nothing. */
void key_state_close(struct key_state *ks);

/** The entry of a pool that is not retired; NULL: none. */
const struct rotation_entry *key_state_find(const struct key_state *ks, const char *pool);

/** Writes the entries whole or not at all; false with *why. */
bool key_state_write(struct key_state *ks, char **why);

/**
 * Writes down (in ks, not yet in the file) a mark of the pool's dkim_next, in place of what stands
 * there of the pool.  False with *why if the key cannot be read.
 */
bool key_state_mark(struct key_state *ks, const struct pool *p, enum rotation_mark mark, bool seen,
		    int64_t at, char **why);

/** Is told of an entry that is dropped, or is retired now. */
typedef void key_state_told_fn(const struct rotation_entry *e);

/**
 * Drops entries of a dkim_next that is in the settings no more, and retires those whose key has
 * become dkim_key: only those made before loaded (seconds since 1970), when the reading of these
 * settings began, since later ones may be about a newer configuration.  True if there was any.
 */
bool key_state_settle(struct key_state *ks, const struct settings *s, int64_t loaded, int64_t now,
		      key_state_told_fn *told);

#endif
