/*
 * store_tls - TLS for a connection to the store (OpenSSL), without a socket: octets in, octets out.
 *
 * hiredis 0.14 has no TLS, and newer ones write to the socket themselves, without deadline and
 * MSG_NOSIGNAL.  So the connection stays store_link's, and this only turns plain text into records
 * and back.
 */
#ifndef POOLMILTER_IO_STORE_TLS_H
#define POOLMILTER_IO_STORE_TLS_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/** Files in PEM; each may be NULL, cert_file and key_file only together. */
struct store_tls_files {
	const char
		*ca_file; /* NULL: the system's CAs, and then the certificate must name the host */
	const char *cert_file, *key_file;
};

struct store_tls_context;
struct store_tls;

/** What connections share; NULL with *why (g_free it): a file that cannot be read. */
struct store_tls_context *store_tls_context_new(const struct store_tls_files *files, char **why);
void store_tls_context_free(struct store_tls_context *c); /* NULL is allowed */

/** A client's side of a connection to a host (the name or address it was asked for by). */
struct store_tls *store_tls_new(struct store_tls_context *c, const char *host);
void store_tls_free(struct store_tls *t); /* NULL is allowed */

/** Takes a step: 1: done, 0: needs more of the peer, -1: failed with *why (g_free it). */
int store_tls_handshake(struct store_tls *t, char **why);

/** Encrypts; false if that is not possible. */
bool store_tls_write(struct store_tls *t, const char *data, size_t len);

/** Takes up to size octets that are to be sent; 0: none. */
size_t store_tls_output(struct store_tls *t, char *data, size_t size);

/** Octets that came. */
void store_tls_input(struct store_tls *t, const char *data, size_t len);

/** Plain text of what came: its octets, 0: needs more of the peer, -1: broken or closed. */
ssize_t store_tls_read(struct store_tls *t, char *data, size_t size);

#endif
