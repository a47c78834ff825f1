/*
 * return_path - moves the envelope sender to the pool's bounce domain, so that SPF aligns.
 */
#ifndef POOLMILTER_CORE_RETURN_PATH_H
#define POOLMILTER_CORE_RETURN_PATH_H

#include "core/settings.h"
#include "core/token.h"

#include <stdbool.h>
#include <time.h>

/** What a recipient address at one of our bounce domains is worth. */
enum bounce_check {
	BOUNCE_NOT_OURS, /* another domain, or check_bounces is off */
	BOUNCE_VALID,
	BOUNCE_REFUSE,
};

/**
 * Checks a recipient (without <>) of incoming mail.  *why gets a word for the log when it is to be
 * refused ("forged", ...).  postmaster and abuse are always valid (RFC 5321 4.5.1, RFC 2142).
 */
enum bounce_check return_path_check(const struct settings *s, const char *rcpt, time_t now,
				    const char **why);

/**
 * Writes the local part of the Return-Path of a message of the pool to out, as the pool's return_path
 * says.  rcpt: the only recipient, or NULL; queue_id may be NULL.  False if the pool keeps the sender or
 * no secret is loaded.
 */
bool return_path_make(const struct settings *s, const struct pool *p, const char *rcpt,
		      const char *queue_id, time_t now, char out[LOCAL_PART_MAX + 1]);

/**
 * Writes the readable form of a recipient ("b+user=example.org") to out, at most LOCAL_PART_MAX
 * octets; false if it does not fit.  Octets that may not stand in a dot-atom, '#' among them, become
 * "#XX".
 */
bool verp_encode(const char *local_part, const char *rcpt, char out[LOCAL_PART_MAX + 1]);

/** The recipient in a local part made by verp_encode(); NULL if it is none. g_free it. */
char *verp_decode(const char *local_part, const char *local);

/**
 * The pool with this spf_domain whose name has this tag; NULL if there is none (any more).  Tags are
 * unique among the pools of one spf_domain.  Walks all pools: not for a message's path.
 */
const struct pool *return_path_pool(const struct settings *s, const char *spf_domain, uint32_t tag);

#endif
