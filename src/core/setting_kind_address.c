/*
 * setting_kind_address - the kinds of text that say where something is: hosts, sockets, URLs; see
 * setting_kind.h and setting_kind.c.
 */
#include "core/domain.h"
#include "core/setting_kind_text.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <sys/un.h>

#define HTTP_URL_MAX 2000 /* octets: all servers take so much */

/* PORT@HOST; an IPv6 address may stand in brackets, which libmilter does not know. */
static char *
parse_inet(const char *text, bool v6)
{
	const char *at = strchr(text, '@');
	char *port, *host, *result = NULL;
	struct in6_addr a6;
	struct in_addr a4;
	size_t len;

	if (at == NULL)
		return NULL;
	len = strlen(at + 1);
	port = g_strndup(text, (size_t)(at - text));
	host = v6 && len > 2 && at[1] == '[' && at[len] == ']' ? g_strndup(at + 2, len - 2)
							       : g_strdup(at + 1);
	if (g_ascii_string_to_unsigned(port, 10, 1, 65535, NULL, NULL)) {
		char *name = setting_kind_labels.parse(host);
		const char *top = strrchr(host, '.');
		bool address =
			inet_pton(v6 ? AF_INET6 : AF_INET, host, v6 ? (void *)&a6 : &a4) == 1;

		top = top != NULL ? top + 1 : host;
		if (address || (name != NULL && !g_ascii_isdigit(top[0])))
			result = g_strdup_printf("%s:%s@%s", v6 ? "inet6" : "inet", port, host);
		g_free(name);
	}
	g_free(port);
	g_free(host);
	return result;
}

static char *
parse_listen(const char *text)
{
	const char *path = strchr(text, ':');

	if (g_str_has_prefix(text, "inet:"))
		return parse_inet(text + 5, false);
	if (g_str_has_prefix(text, "inet6:"))
		return parse_inet(text + 6, true);
	if (!g_str_has_prefix(text, "unix:") && !g_str_has_prefix(text, "local:"))
		return NULL;
	path++;
	if (path[0] != '/' || path[1] == '\0' || !kind_printable(path) ||
	    strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return NULL;
	return g_strconcat("unix:", path, NULL);
}

/* Takes off a port of 1 to 65535 after the last separator; false if what follows is none. */
static bool
take_port(char *text, char separator)
{
	char *port = strrchr(text, separator);

	if (port == NULL || !g_ascii_isdigit(port[1]) ||
	    !g_ascii_string_to_unsigned(port + 1, 10, 1, 65535, NULL, NULL))
		return false;
	*port = '\0';
	return true;
}

static bool
is_address(int family, const char *text)
{
	struct in6_addr octets; /* the larger one */

	return inet_pton(family, text, &octets) == 1;
}

/* A host name or an IP address; IPv6 in brackets. */
static bool
url_host_valid(char *host)
{
	char domain[DOMAIN_SIZE];
	size_t len = strlen(host);
	const char *top = strrchr(host, '.');

	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		return is_address(AF_INET6, host + 1);
	}
	top = top != NULL ? top + 1 : host;
	return is_address(AF_INET, host) ||
	       (kind_made_of(host, DOMAIN_MAX, "-.") && domain_normalise(host, len, domain) &&
		!g_ascii_isdigit(*top));
}

static char *
parse_smtp_url(const char *text)
{
	static const char scheme[] = "smtp://";
	char *host;
	bool ok;

	if (!g_str_has_prefix(text, scheme))
		return NULL;
	host = g_strdup(text + sizeof scheme - 1);
	ok = take_port(host, ':') && url_host_valid(host);
	g_free(host);
	return kind_accept_if(ok, text);
}

static char *
parse_host_port(const char *text)
{
	char *host = g_strdup(text);
	bool ok = take_port(host, ':') && url_host_valid(host);

	g_free(host);
	return kind_accept_if(ok, text);
}

static char *
parse_store(const char *text)
{
	return g_str_has_prefix(text, "unix:") ? parse_listen(text) : parse_host_port(text);
}

static char *
parse_address(const char *text)
{
	struct in6_addr octets; /* the larger one */
	char normal[INET6_ADDRSTRLEN];

	for (int i = 0; i < 2; i++)
		if (inet_pton(i == 0 ? AF_INET : AF_INET6, text, &octets) == 1 &&
		    inet_ntop(i == 0 ? AF_INET : AF_INET6, &octets, normal, sizeof normal) != NULL)
			return g_strdup(normal);
	return NULL;
}

static char *
parse_host(const char *text)
{
	char *address = parse_address(text);

	return address != NULL ? address : setting_kind_domain.parse(text);
}

static char *
parse_dns_server(const char *text)
{
	char *address = g_strdup(text);
	bool ok = strchr(text, '@') == NULL || take_port(address, '@');

	ok = ok && (is_address(AF_INET, address) || is_address(AF_INET6, address));
	g_free(address);
	return kind_accept_if(ok, text);
}

static char *
parse_https_url(const char *text)
{
	GUri *uri = strlen(text) < PATH_MAX ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
	bool ok = uri != NULL && strcmp(g_uri_get_scheme(uri), "https") == 0 &&
		  g_uri_get_host(uri) != NULL && *g_uri_get_host(uri) != '\0' &&
		  strpbrk(text, "; \"\\") == NULL;

	if (uri != NULL)
		g_uri_unref(uri);
	return kind_accept_if(ok, text);
}

/* Who may post there is told by headers or a signature, not by a login. */
static char *
parse_http_url(const char *text)
{
	size_t len = strlen(text);
	GUri *uri = len <= HTTP_URL_MAX ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
	bool ok = uri != NULL &&
		  (strcmp(g_uri_get_scheme(uri), "https") == 0 ||
		   strcmp(g_uri_get_scheme(uri), "http") == 0) &&
		  g_uri_get_host(uri) != NULL && *g_uri_get_host(uri) != '\0' &&
		  g_uri_get_userinfo(uri) == NULL && g_uri_get_fragment(uri) == NULL;

	for (size_t i = 0; ok && i < len; i++)
		ok = g_ascii_isgraph(text[i]) && strchr("\"\\<>^`{|}", text[i]) == NULL;
	if (uri != NULL)
		g_uri_unref(uri);
	return kind_accept_if(ok, text);
}

/* A URI of RFC 7489 6.2: no comma, semicolon or exclamation mark, which mean something there. */
static char *
parse_mailto(const char *text)
{
	static const char scheme[] = "mailto:";
	const char *address = text + sizeof scheme - 1, *at;
	char domain[DOMAIN_SIZE];

	if (!g_str_has_prefix(text, scheme))
		return NULL;
	at = strrchr(address, '@');
	return kind_accept_if(at != NULL && at > address && at - address <= 64 &&
				      kind_printable(text) && strpbrk(text, ",;! \"\\") == NULL &&
				      domain_normalise(at + 1, strlen(at + 1), domain),
			      text);
}

const struct setting_kind setting_kind_listen = {
	"unix:/PATH of at most 107 octets, inet:PORT@HOST or inet6:PORT@HOST", parse_listen, false};
const struct setting_kind setting_kind_smtp_url = {
	"smtp://HOST:PORT such as smtp://127.0.0.1:10026", parse_smtp_url, false};
const struct setting_kind setting_kind_dns_server = {
	"an IP address, or one with a port such as 127.0.0.1@5353", parse_dns_server, false};
const struct setting_kind setting_kind_store = {"HOST:PORT such as 127.0.0.1:6379, or unix:/PATH",
						parse_store, false};
const struct setting_kind setting_kind_host_port = {"HOST:PORT such as 10.0.0.1:26379",
						    parse_host_port, true};
const struct setting_kind setting_kind_address = {"an IPv4 or IPv6 address", parse_address, false};
const struct setting_kind setting_kind_host = {"a host name or an IP address", parse_host, false};
const struct setting_kind setting_kind_https_url = {
	"an https:// URL such as https://example.com/logo.svg", parse_https_url, false};
const struct setting_kind setting_kind_http_url = {
	"an http:// or https:// URL of at most 2000 characters, without a user and a fragment, "
	"such as "
	"https://example.com/events",
	parse_http_url, false};
const struct setting_kind setting_kind_mailto = {
	"mailto: and an address, such as mailto:dmarc@example.com", parse_mailto, false};
