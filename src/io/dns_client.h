/*
 * dns_client - many look-ups at a time for the check of a zone (libunbound).
 *
 * Each name and type is asked once; the answer is kept as long as the client lives, so that all
 * that is judged is judged by the same answers.  For a look at changed records make another client.
 */
#ifndef POOLMILTER_IO_DNS_CLIENT_H
#define POOLMILTER_IO_DNS_CLIENT_H

#include "core/dns.h"

struct dns_client;

/**
 * A client.  server: "ADDRESS@PORT" or "ADDRESS", NULL: those of /etc/resolv.conf.  Never asks the
 * root servers itself.  A look-up without an answer ends as DNS_TIMEOUT timeout_ms after it was
 * sent, and all that are left do total_ms after the client was made; the same once the first
 * DNS_CLIENT_SILENT look-ups have ended with no answer to any.  NULL with *why (g_free it) if
 * libunbound cannot be set up.  Starts threads, in which all signals are blocked.  Free with
 * dns_client_free().
 */
struct dns_client *dns_client_new(const char *server, gint64 timeout_ms, gint64 total_ms,
				  char **why);

/** Nobody may wait for an answer any more.  Frees the answers.  NULL is allowed. */
void dns_client_free(struct dns_client *c);

/** The facade; belongs to c. */
const struct dns *dns_client_facade(struct dns_client *c);

#define DNS_CLIENT_SILENT 20

#endif
