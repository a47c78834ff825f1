/*
 * keystore - private keys of a configuration: read once, checked, shared by all pools that name the file.
 *
 * A PEM file, RSA of at least 1024 bits or Ed25519, owned by root or by the user that the daemon runs
 * as, not writable by the group and closed to others.  Parsed when the configuration loads; beyond
 * KEYSTORE_EAGER different files only owner, mode and readability are checked then and each key is
 * parsed at its first use.
 */
#ifndef POOLMILTER_IO_KEYSTORE_H
#define POOLMILTER_IO_KEYSTORE_H

#include "base/errors.h"

#include <stdbool.h>

#define KEYSTORE_EAGER 1000

struct key;
struct keystore;

enum key_type { KEY_RSA, KEY_ED25519 };

/**
 * Readies libcrypto; call it before anything else uses it.  It is told not to clean up at exit(): other
 * threads may still sign then.
 */
void keystore_init(void);

/** A new, empty keystore. owner: the uid besides root that key files may belong to. */
struct keystore *keystore_new(unsigned owner);

/** Frees the keystore and its keys. Takes void * to serve as struct settings' keys_free. */
void keystore_free(void *ks);

/** The key of a file, without reading it yet; the same object for the same path. */
struct key *keystore_add(struct keystore *ks, const char *path, struct origin origin, const char *key_name);

/**
 * Reads and checks all keys added; all: parse each one, however many.  What is wrong goes to errors,
 * with the path and the reason, at the place that named the file first.  Never says anything about
 * the content of a key.
 */
void keystore_load(struct keystore *ks, bool all, struct errors *errors);

/** The file a key comes from. */
const char *key_path(const struct key *k);

/**
 * The parsed key (an EVP_PKEY *, owned by the keystore), parsed now if it was not yet.  NULL with
 * *why (g_free it) if that fails.  Thread-safe.
 */
void *key_get(struct key *k, enum key_type *type, char **why);

#endif
