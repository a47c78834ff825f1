/*
 * signed_mail - has somebody else signed the message?
 */
#ifndef POOLMILTER_CORE_SIGNED_MAIL_H
#define POOLMILTER_CORE_SIGNED_MAIL_H

#include "core/message.h"
#include "core/settings.h"

/**
 * True if a DKIM-Signature field of the message is not of one of the pool's signatures: other d= or
 * s= (RFC 6376 3.5), or one that cannot be read.  Nothing is verified.
 */
bool signed_mail_by_others(const struct message *m, const struct pool *pool);

#endif
