/*
 * token - the opaque part of a signed Return-Path.
 *
 * Layout, before base32 (RFC 4648 alphabet in lower case, no padding; read in any case, since local
 * parts are lower- and upper-cased on their way):
 *
 *	1  version (high nibble, 1) and flags
 *	2  day: days since 1970-01-01, modulo 65536
 *	4  tag of the pool's name
 *	4  tag of the recipient, if the message has just one
 *	n  queue ID as text, or 6 octets of its hash where it does not fit
 *	10 HMAC-SHA256, cut, over a label, all the above and the domain of the address
 */
#ifndef POOLMILTER_CORE_TOKEN_H
#define POOLMILTER_CORE_TOKEN_H

#include "core/settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define LOCAL_PART_MAX 64 /* octets, RFC 5321 4.5.3.1.1 */
#define TOKEN_QUEUE_ID_SIZE 40

struct token {
	uint32_t pool_tag;
	unsigned day; /* since 1970-01-01; decoded: the latest possible one */
	bool has_rcpt;
	unsigned char rcpt_tag[4];
	bool queue_id_hashed;
	char queue_id[TOKEN_QUEUE_ID_SIZE]; /* text; hexadecimal digits if hashed */
};

enum token_result {
	TOKEN_OK,
	TOKEN_MALFORMED, /* empty, cut, not base32, unknown version */
	TOKEN_FORGED,	 /* the HMAC fits none of the secrets, or another domain or recipient */
	TOKEN_EXPIRED,
	TOKEN_FUTURE,
};

/**
 * Writes the local part "<local_part>+<token>" for a message of the pool to out.  rcpt: the only
 * recipient, or NULL; queue_id may be NULL.  False if there is no secret.
 */
bool token_encode(const struct settings *s, const struct pool *p, const char *rcpt,
		  const char *queue_id, time_t now, char out[LOCAL_PART_MAX + 1]);

/**
 * Reads and verifies the local part of an address at domain.  rcpt: a recipient it must be for, or
 * NULL for any.  Which secret fits, and whether any does, takes the same time.
 */
enum token_result token_decode(const struct settings *s, const char *local, const char *domain,
			       const char *rcpt, time_t now, struct token *t);

/** What follows "<local_part>+" in the local part of an address, in any case; NULL if it is not ours. */
const char *token_text(const char *local_part, const char *local);

/** A word for the log: "forged", ... */
const char *token_word(enum token_result r);

#endif
