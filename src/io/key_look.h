/*
 * key_look - looks for the DNS records of many keys at once.
 */
#ifndef POOLMILTER_IO_KEY_LOOK_H
#define POOLMILTER_IO_KEY_LOOK_H

#include "core/settings.h"
#include "io/key_dns.h"

/** One key, and what was found.  Zero but for the signature, before. */
struct key_look {
	const struct signature *signature;
	enum key_dns_state state;
	char *why; /* as key_dns_check() has it; g_free it */
};

/**
 * Asks the settings' resolver for the record of each (looks: of struct key_look *), waits for the answers,
 * a minute at most, and judges them.  Nothing of an earlier look is remembered.
 */
void key_look_all(const struct settings *s, const GPtrArray *looks);

#endif
