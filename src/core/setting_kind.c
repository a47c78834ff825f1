/*
 * setting_kind - the kinds of text that settings hold; see setting_kind.h.
 *
 * Each kind is one parse function that either returns the normal form or refuses.  What is accepted
 * here reaches sockets, DNS names, headers and the log without further checks.
 */
#include "core/setting_kind.h"

#include "core/domain.h"
#include "core/limit.h"

#include <arpa/inet.h>
#include <glib.h>
#include <limits.h>
#include <string.h>
#include <sys/un.h>

#define HEADER_NAME_MAX 76 /* octets: name, colon and a value's begin fit a line of 78 */
#define LOCAL_PART_MAX 16  /* octets: leaves 48 of RFC 5321's 64 to the token */
#define POOL_NAME_MAX 64
#define LOGIN_MAX 255
#define ACCOUNT_MAX 32
#define IDENT_MAX 32

/* True if text has 1 to max octets, each alphanumeric ASCII or one of others. */
static bool
made_of(const char *text, size_t max, const char *others)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!g_ascii_isalnum(text[i]) && strchr(others, text[i]) == NULL)
			return false;
	return len > 0 && len <= max;
}

static char *
accept_if(bool ok, const char *text)
{
	return ok ? g_strdup(text) : NULL;
}

static char *
parse_labels(const char *text)
{
	char domain[DOMAIN_SIZE];

	return accept_if(domain_normalise(text, strlen(text), domain), domain);
}

static char *
parse_domain(const char *text)
{
	char domain[DOMAIN_SIZE];
	const char *top;

	if (!domain_normalise(text, strlen(text), domain))
		return NULL;
	/* A top level of digits only is an IP address, not a domain. */
	top = strrchr(domain, '.');
	return accept_if(top != NULL && strspn(top + 1, "0123456789") < strlen(top + 1), domain);
}

static char *
parse_domain_pattern(const char *text)
{
	bool suffix = g_str_has_prefix(text, "*.");
	char *domain = parse_domain(suffix ? text + 2 : text), *pattern;

	if (domain == NULL || !suffix)
		return domain;
	pattern = g_strconcat("*.", domain, NULL);
	g_free(domain);
	return pattern;
}

/* sub-domain *("." sub-domain), RFC 5321's: letters, digits, inner hyphens. */
static char *
parse_selector(const char *text)
{
	char domain[DOMAIN_SIZE];
	size_t len = strlen(text);

	return accept_if(made_of(text, DOMAIN_MAX, "-.") && text[len - 1] != '.' &&
				 domain_normalise(text, len, domain),
			 text);
}

/* *ftext of RFC 5322 3.6.8 in len octets. */
static bool
header_name_valid(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < 33 || text[i] > 126 || text[i] == ':')
			return false;
	return len > 0 && len <= HEADER_NAME_MAX;
}

static char *
parse_header_name(const char *text)
{
	return accept_if(strchr(text, '*') == NULL && header_name_valid(text, strlen(text)), text);
}

static char *
parse_header_pattern(const char *text)
{
	size_t len = strlen(text), name = len;

	if (len > 0 && text[len - 1] == '*')
		name--;
	return accept_if(memchr(text, '*', name) == NULL && header_name_valid(text, name), text);
}

static bool
printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (g_ascii_iscntrl(*text))
			return false;
	return true;
}

static char *
parse_path(const char *text)
{
	size_t len = strlen(text);

	return accept_if(text[0] == '/' && len > 1 && len < PATH_MAX && printable(text), text);
}

/* dot-atom-text of RFC 5322 3.2.3, without the '+' that begins the token. */
static char *
parse_local_part(const char *text)
{
	size_t len = strlen(text);

	return accept_if(made_of(text, LOCAL_PART_MAX, ".!#$%&'*-/=?^_`{|}~") && text[0] != '.' &&
				 text[len - 1] != '.' && strstr(text, "..") == NULL,
			 text);
}

static char *
parse_login(const char *text)
{
	size_t len = strlen(text);

	return accept_if(len > 0 && len <= LOGIN_MAX && printable(text) &&
				 strchr(text, ' ') == NULL && g_utf8_validate(text, -1, NULL),
			 text);
}

static char *
parse_pool_name(const char *text)
{
	/* "-" stands for no pool in the log. */
	return accept_if(made_of(text, POOL_NAME_MAX, "._-") && g_ascii_isalnum(*text), text);
}

static char *
parse_account(const char *text)
{
	return accept_if(made_of(text, ACCOUNT_MAX, "._-$") && text[0] != '-', text);
}

static char *
parse_ident(const char *text)
{
	return accept_if(made_of(text, IDENT_MAX, "._-/"), text);
}

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
		char *name = parse_labels(host);
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
	if (path[0] != '/' || path[1] == '\0' || !printable(path) ||
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
	       (made_of(host, DOMAIN_MAX, "-.") && domain_normalise(host, len, domain) &&
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
	return accept_if(ok, text);
}

static char *
parse_host_port(const char *text)
{
	char *host = g_strdup(text);
	bool ok = take_port(host, ':') && url_host_valid(host);

	g_free(host);
	return accept_if(ok, text);
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

	return address != NULL ? address : parse_domain(text);
}

static char *
parse_https_url(const char *text)
{
	GUri *uri = strlen(text) < PATH_MAX ? g_uri_parse(text, G_URI_FLAGS_NONE, NULL) : NULL;
	bool ok = uri != NULL && strcmp(g_uri_get_scheme(uri), "https") == 0 &&
		  g_uri_get_host(uri) != NULL && *g_uri_get_host(uri) != '\0' && strpbrk(text, "; \"\\") == NULL;

	if (uri != NULL)
		g_uri_unref(uri);
	return accept_if(ok, text);
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
	return accept_if(at != NULL && at > address && at - address <= 64 && printable(text) &&
				 strpbrk(text, ",;! \"\\") == NULL &&
				 domain_normalise(at + 1, strlen(at + 1), domain),
			 text);
}

/* A date alone is its first moment. */
static char *
parse_time(const char *text)
{
	GTimeZone *utc = g_time_zone_new_utc();
	char *whole = strchr(text, 'T') == NULL ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
	GDateTime *t = g_date_time_new_from_iso8601(whole, utc);
	GDateTime *in_utc = t != NULL ? g_date_time_to_utc(t) : NULL;
	char *normal = in_utc != NULL ? g_date_time_format(in_utc, "%Y-%m-%dT%H:%M:%SZ") : NULL;

	g_clear_pointer(&t, g_date_time_unref);
	g_clear_pointer(&in_utc, g_date_time_unref);
	g_free(whole);
	g_time_zone_unref(utc);
	return normal;
}

/* Visible ASCII, so no blank and no control character. */
static char *
parse_word(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!g_ascii_isgraph(text[i]))
			return NULL;
	return accept_if(len > 0 && len <= LOGIN_MAX, text);
}

static char *
parse_dns_server(const char *text)
{
	char *address = g_strdup(text);
	bool ok = strchr(text, '@') == NULL || take_port(address, '@');

	ok = ok && (is_address(AF_INET, address) || is_address(AF_INET6, address));
	g_free(address);
	return accept_if(ok, text);
}

static char *
parse_limit(const char *text)
{
	struct limit limit;

	return limit_parse(text, &limit) ? limit_text(limit) : NULL;
}

const struct setting_kind setting_kind_domain = {"a domain name such as mail.example.com",
						 parse_domain, true};
const struct setting_kind setting_kind_domain_pattern = {
	"a domain name such as example.com, or *.example.com for all names below it",
	parse_domain_pattern, true};
const struct setting_kind setting_kind_labels = {"a name below sender_domain such as \"mail\"",
						 parse_labels, true};
const struct setting_kind setting_kind_selector = {
	"a selector: letters, digits, hyphens, dots between labels", parse_selector, true};
const struct setting_kind setting_kind_header_name = {
	"a header's name: 1 to 76 visible ASCII characters without ':' and '*'", parse_header_name,
	true};
const struct setting_kind setting_kind_header_pattern = {
	"a header's name, with or without a '*' at its end", parse_header_pattern, true};
const struct setting_kind setting_kind_path = {"an absolute path", parse_path, false};
const struct setting_kind setting_kind_local_part = {
	"1 to 16 characters that an address may begin with, without '+'", parse_local_part, false};
const struct setting_kind setting_kind_login = {
	"a login name without spaces, '*' stands for anything", parse_login, false};
const struct setting_kind setting_kind_listen = {
	"unix:/PATH of at most 107 octets, inet:PORT@HOST or inet6:PORT@HOST", parse_listen, false};
const struct setting_kind setting_kind_pool_name = {
	"a name of 1 to 64 letters, digits, '.', '_' and '-' that begins with a letter or digit",
	parse_pool_name, false};
const struct setting_kind setting_kind_isp_name = {
	"a name of 1 to 64 letters, digits, '.', '_' and '-' that begins with a letter or digit",
	parse_pool_name, true};
const struct setting_kind setting_kind_smtp_url = {
	"smtp://HOST:PORT such as smtp://127.0.0.1:10026", parse_smtp_url, false};
const struct setting_kind setting_kind_dns_server = {
	"an IP address, or one with a port such as 127.0.0.1@5353", parse_dns_server, false};
const struct setting_kind setting_kind_store = {
	"HOST:PORT such as 127.0.0.1:6379, or unix:/PATH", parse_store, false};
const struct setting_kind setting_kind_host_port = {"HOST:PORT such as 10.0.0.1:26379",
						    parse_host_port, true};
const struct setting_kind setting_kind_address = {"an IPv4 or IPv6 address", parse_address, false};
const struct setting_kind setting_kind_host = {"a host name or an IP address", parse_host, false};
const struct setting_kind setting_kind_https_url = {
	"an https:// URL such as https://example.com/logo.svg", parse_https_url, false};
const struct setting_kind setting_kind_mailto = {
	"mailto: and an address, such as mailto:dmarc@example.com", parse_mailto, false};
const struct setting_kind setting_kind_time = {
	"a date such as 2026-12-01 or 2026-12-01T06:00:00Z", parse_time, false};
const struct setting_kind setting_kind_word = {"1 to 255 visible ASCII characters without blanks",
					       parse_word, false};
const struct setting_kind setting_kind_limit = {
	"1 to 1000000000, \"/\", and second, minute, hour, day, or a time of at most 31 days as 30s, 15m, "
	"2h, 7d: \"20/second\"",
	parse_limit, false};
const struct setting_kind setting_kind_account = {
	"a name of the system's of 1 to 32 letters, digits, '.', '_' and '-'", parse_account,
	false};
const struct setting_kind setting_kind_ident = {"1 to 32 letters, digits, '.', '_', '/' and '-'",
						parse_ident, false};
