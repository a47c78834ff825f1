/*
 * mx_context - libunbound set up for questions to given servers, and its answers about MX as ours.
 */
#ifndef POOLMILTER_IO_MX_CONTEXT_H
#define POOLMILTER_IO_MX_CONTEXT_H

#include "core/domain.h"
#include "io/mx_cache.h"

#include <unbound.h>

/** A context that has done nothing yet, for ub_ctx_delete(); NULL with *why. server NULL: see
 * resolv_conf. */
struct ub_ctx *mx_context_new(const char *server, const char *resolv_conf, char **why);

/** The hosts in MX records: one reference. A lone "." says that there are none (RFC 7505). */
struct mx_hosts *mx_context_hosts(const struct ub_result *result);

/** The normal form of the name in RDATA (RFC 1035 3.3, never compressed); false for what is none, or the
 * root. */
bool mx_context_name(const unsigned char *data, size_t len, char out[DOMAIN_SIZE]);

#endif
