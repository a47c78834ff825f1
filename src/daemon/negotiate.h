/*
 * negotiate - what we ask of the MTA when it connects.
 */
#ifndef POOLMILTER_DAEMON_NEGOTIATE_H
#define POOLMILTER_DAEMON_NEGOTIATE_H

#include <libmilter/mfapi.h>
#include <stdbool.h>

/** The edits that an MTA must allow. All of them always: a reload may need what today does not. */
#define NEGOTIATE_ACTIONS                                                                     \
	(SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_CHGFROM | SMFIF_DELRCPT | SMFIF_QUARANTINE)

/**
 * Decides by the MTA's offer (SMFIF_* and SMFIP_* of libmilter/mfdef.h) and sets what we want.  False:
 * it lacks what we need, its name is in the log and the connection must be refused.
 */
bool negotiate(unsigned long actions, unsigned long steps, unsigned long *want_actions,
	       unsigned long *want_steps);

#endif
