/*
 * dns - what the check of a zone asks of the DNS, and what it is told.
 *
 * A facade: libunbound in the programs (io/dns_client.h), tables in tests.
 */
#ifndef POOLMILTER_CORE_DNS_H
#define POOLMILTER_CORE_DNS_H

#include "core/zone.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum dns_state {
	DNS_FOUND,
	DNS_NO_DATA, /* the name exists, without records of this type */
	DNS_NO_NAME, /* NXDOMAIN */
	DNS_FAILED,  /* SERVFAIL, REFUSED: the server could not tell */
	DNS_TIMEOUT, /* no answer in time */
};

/** One record.  text is an address in its shortest form, a normalised domain ("." the root, "?"
 * what is no domain name), or the octets of all strings of a TXT record, with a NUL behind them. */
struct dns_record {
	char *text;
	size_t len;
	uint16_t preference; /* of an MX record */
};

struct dns_answer {
	enum dns_state state;
	GPtrArray *records; /* of struct dns_record *: the lowest MX preference first, else sorted
			       by text; empty but for DNS_FOUND */
	char *alias; /* where the CNAMEs that begin at this very name end; NULL: it has none */
};

/** The DNS.  Names are in the normal form of core/domain.h.  Thread-safe. */
struct dns {
	/** Begins a look-up without waiting for it. */
	void (*start)(void *context, const char *name, enum record_type type);
	/** Waits for its answer, which belongs to the facade and lives as long; begins it if need
	 * be. */
	const struct dns_answer *(*answer)(void *context, const char *name, enum record_type type);
	void *context;
};

/** As the facade's functions. */
void dns_start(const struct dns *d, const char *name, enum record_type type);
const struct dns_answer *dns_answer(const struct dns *d, const char *name, enum record_type type);

/** False if the DNS could not tell. */
bool dns_known(const struct dns_answer *a);

/** An answer without records; dns_answer_free() it. */
struct dns_answer *dns_answer_new(enum dns_state state);
void dns_answer_free(void *answer);

/** Adds a record, a copy of the text. */
void dns_answer_add(struct dns_answer *a, const char *text, size_t len, uint16_t preference);

/** Sorts the records. */
void dns_answer_sort(struct dns_answer *a);

/** True if one of the records is this text. */
bool dns_answer_has(const struct dns_answer *a, const char *text);

/** "no such name", ...: static. */
const char *dns_state_word(enum dns_state state);

#endif
