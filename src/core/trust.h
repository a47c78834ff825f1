/*
 * trust - who may send for us: authenticated clients, trusted networks, local submission.
 */
#ifndef POOLMILTER_CORE_TRUST_H
#define POOLMILTER_CORE_TRUST_H

#include "core/settings.h"

/** True if a client may send for us at all. login: {auth_authen} or NULL. */
bool trust_client(const struct settings *s, const struct address *client, const char *login, bool local);

/** True if a trusted client may use the pool: its `users` or `networks` name it, or both are empty. */
bool trust_pool(const struct pool *p, const struct address *client, const char *login);

#endif
