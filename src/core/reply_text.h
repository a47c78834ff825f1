/*
 * reply_text - what a server said, in the form that patterns are matched against.
 *
 * Servers break their texts into lines where they like, and MTAs join these lines in their own ways.
 * So that a pattern need not know: blanks, line ends and other control characters are one blank,
 * none first or last; the codes at the beginning of further lines are left out, as are Postfix'
 * words around the reply:
 *
 *	host mx.example[192.0.2.1] said: 550-5.1.1 No 550 5.1.1 user (in reply to RCPT TO command)
 *	550-5.1.1 No user
 */
#ifndef POOLMILTER_CORE_REPLY_TEXT_H
#define POOLMILTER_CORE_REPLY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define REPLY_TEXT_MAX 4096 /* octets; what comes after them is not looked at */

/** Writes that form of a reply (any octets) with a NUL; returns its length. */
size_t reply_text(const char *reply, char out[REPLY_TEXT_MAX + 1]);

#define REPLY_DSN_SIZE 12

/**
 * Writes the enhanced status code that stands in a text of that form: behind the reply code, first
 * of all, or as qmail writes it, "(#5.1.1)".  False and "" if there is none.
 */
bool reply_text_dsn(const char *text, char dsn[REPLY_DSN_SIZE]);

#endif
