/*
 * category - why mail was not delivered, in the few classes that senders act on.
 */
#ifndef POOLMILTER_CORE_CATEGORY_H
#define POOLMILTER_CORE_CATEGORY_H

enum category {
	CATEGORY_NONE, /* not classified: it was delivered, say */
	/* hard: this address will not take mail */
	CATEGORY_BAD_MAILBOX,
	CATEGORY_BAD_DOMAIN,
	CATEGORY_INACTIVE,
	/* soft: another time it may */
	CATEGORY_FULL,
	CATEGORY_TEMPORARY,
	/* block: the sender is what is refused */
	CATEGORY_REPUTATION,
	CATEGORY_POLICY,
	CATEGORY_AUTHENTICATION,
	CATEGORY_RATE,
	CATEGORY_OTHER,
	CATEGORIES
};

/** "bad-mailbox", ...; CATEGORY_NONE: "-". */
const char *category_name(enum category c);

/** "hard", "soft", "block", "other"; CATEGORY_NONE: "-". */
const char *category_class(enum category c);

/** The category of a name; CATEGORY_NONE if it is none. */
enum category category_find(const char *name);

#endif
