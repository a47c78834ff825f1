/*
 * store_address - where a server of the store listens: its name in the configuration, its
 * addresses.
 */
#ifndef POOLMILTER_IO_STORE_ADDRESS_H
#define POOLMILTER_IO_STORE_ADDRESS_H

#include <glib.h>
#include <stdbool.h>
#include <sys/socket.h>

/** One address to connect to. */
struct store_place {
	struct sockaddr_storage address;
	socklen_t len;  /* 0: none */
	char text[128]; /* for people; cut if longer */
	char host[256]; /* the name that it was found by, for certificates; "" for a unix socket */
};

/**
 * True if text has a valid form: "HOST:PORT", "[IPV6]:PORT", "HOST" (default_port then), or
 * "unix:/absolute/path"; else *why (static).
 */
bool store_address_valid(const char *text, const char **why);

/**
 * Appends the places (struct store_place) of an address to a GArray.  Names are asked from the
 * system's resolver, which may take seconds: not for threads that hold up mail.  False with *why
 * (g_free it).
 */
bool store_address_places(const char *text, guint16 default_port, GArray *places, char **why);

/** The place of a numeric host; false for a name. Never waits. */
bool store_address_numeric(const char *host, const char *port, struct store_place *place);

#endif
