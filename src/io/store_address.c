/*
 * store_address - where a server of the store listens; see store_address.h.
 */
#include "io/store_address.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"

/* The two halves of "HOST:PORT"; port is empty if there is none. */
struct parts {
	char host[256];
	char port[8];
};

static bool
is_port(const char *text)
{
	guint64 port;

	return g_ascii_string_to_unsigned(text, 10, 1, 65535, &port, NULL);
}

static bool
copy_part(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

static bool
split(const char *text, struct parts *p)
{
	const char *end, *host = text;

	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		text = end != NULL ? end + 1 : NULL;
	} else {
		end = host + strcspn(host, ":");
		text = end;
	}
	if (text == NULL || (*text != '\0' && *text != ':') || end == host)
		return false;
	if (!copy_part(p->host, sizeof p->host, host, (size_t)(end - host)))
		return false;
	p->port[0] = '\0';
	return *text == '\0' || (is_port(text + 1) &&
				 copy_part(p->port, sizeof p->port, text + 1, strlen(text + 1)));
}

static bool
host_valid(const char *host)
{
	for (; *host != '\0'; host++)
		if (!g_ascii_isalnum(*host) && strchr("-._:%", *host) == NULL)
			return false;
	return true;
}

bool
store_address_valid(const char *text, const char **why)
{
	struct sockaddr_un un;
	struct parts p;

	*why = "neither HOST:PORT nor unix:/PATH";
	if (g_str_has_prefix(text, UNIX_PREFIX)) {
		text += strlen(UNIX_PREFIX);
		if (*text != '/')
			*why = "the path of a unix socket must be absolute";
		else if (strlen(text) >= sizeof un.sun_path)
			*why = "the path is too long for a unix socket";
		else
			return true;
		return false;
	}
	return split(text, &p) && host_valid(p.host);
}

static void
unix_place(const char *path, struct store_place *place)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memset(place, 0, sizeof *place);
	g_strlcpy(un.sun_path, path, sizeof un.sun_path);
	memcpy(&place->address, &un, sizeof un);
	place->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un.sun_path) + 1);
	snprintf(place->text, sizeof place->text, UNIX_PREFIX "%s", path);
}

static void
inet_place(const struct addrinfo *a, const char *name, struct store_place *place)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	memset(place, 0, sizeof *place);
	memcpy(&place->address, a->ai_addr, a->ai_addrlen);
	place->len = a->ai_addrlen;
	g_strlcpy(place->host, name, sizeof place->host);
	if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		g_strlcpy(place->text, name, sizeof place->text);
		return;
	}
	if (g_snprintf(place->text, sizeof place->text,
		       a->ai_family == AF_INET6 ? "[%.90s]:%s" : "%.90s:%s", host, port) < 0)
		place->text[0] = '\0';
}

static int
look_up(const char *host, const char *port, int flags, struct addrinfo **found)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};

	hints.ai_flags = flags | AI_NUMERICSERV;
	*found = NULL;
	return getaddrinfo(host, port, &hints, found);
}

bool
store_address_numeric(const char *host, const char *port, struct store_place *place)
{
	struct addrinfo *found;

	if (!is_port(port) || look_up(host, port, AI_NUMERICHOST, &found) != 0)
		return false;
	inet_place(found, host, place);
	freeaddrinfo(found);
	return true;
}

bool
store_address_places(const char *text, guint16 default_port, GArray *places, char **why)
{
	struct addrinfo *found;
	struct store_place place;
	struct parts p;
	int error;

	if (g_str_has_prefix(text, UNIX_PREFIX)) {
		unix_place(text + strlen(UNIX_PREFIX), &place);
		g_array_append_val(places, place);
		return true;
	}
	if (!split(text, &p)) {
		*why = g_strdup_printf("%s: neither HOST:PORT nor unix:/PATH", text);
		return false;
	}
	if (p.port[0] == '\0')
		snprintf(p.port, sizeof p.port, "%u", (unsigned)default_port);
	error = look_up(p.host, p.port, 0, &found);
	if (error != 0) {
		*why = g_strdup_printf("%s: %s", p.host, gai_strerror(error));
		return false;
	}
	for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
		inet_place(a, p.host, &place);
		g_array_append_val(places, place);
	}
	freeaddrinfo(found);
	return true;
}
