/*
 * setting_kind - the kinds of text that settings hold, but for addresses; see setting_kind.h.
 *
 * Each kind is one parse function that either returns the normal form or refuses.  What is accepted
 * here reaches sockets, DNS names, headers and the log without further checks.
 */
#include "core/setting_kind.h"

#include "core/domain.h"
#include "core/event.h"
#include "core/limit.h"
#include "core/setting_kind_text.h"

#include <limits.h>
#include <string.h>

#define HEADER_NAME_MAX 76 /* octets: name, colon and a value's begin fit a line of 78 */
#define LOCAL_PART_MAX 16  /* octets: leaves 48 of RFC 5321's 64 to the token */
#define POOL_NAME_MAX 64
#define LOGIN_MAX 255
#define ACCOUNT_MAX 32
#define IDENT_MAX 32
#define HTTP_NAME_MAX 64
#define HTTP_VALUE_MAX 4000
#define PATTERN_MAX 1000
#define REMARK_MAX 500

bool
kind_made_of(const char *text, size_t max, const char *others)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!g_ascii_isalnum(text[i]) && strchr(others, text[i]) == NULL)
			return false;
	return len > 0 && len <= max;
}

char *
kind_accept_if(bool ok, const char *text)
{
	return ok ? g_strdup(text) : NULL;
}

static char *
parse_labels(const char *text)
{
	char domain[DOMAIN_SIZE];

	return kind_accept_if(domain_normalise(text, strlen(text), domain), domain);
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
	return kind_accept_if(top != NULL && strspn(top + 1, "0123456789") < strlen(top + 1),
			      domain);
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

	return kind_accept_if(kind_made_of(text, DOMAIN_MAX, "-.") && text[len - 1] != '.' &&
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
	return kind_accept_if(strchr(text, '*') == NULL && header_name_valid(text, strlen(text)),
			      text);
}

static char *
parse_header_pattern(const char *text)
{
	size_t len = strlen(text), name = len;

	if (len > 0 && text[len - 1] == '*')
		name--;
	return kind_accept_if(memchr(text, '*', name) == NULL && header_name_valid(text, name),
			      text);
}

bool
kind_printable(const char *text)
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

	return kind_accept_if(text[0] == '/' && len > 1 && len < PATH_MAX && kind_printable(text),
			      text);
}

/* dot-atom-text of RFC 5322 3.2.3, without the '+' that begins the token. */
static char *
parse_local_part(const char *text)
{
	size_t len = strlen(text);

	return kind_accept_if(kind_made_of(text, LOCAL_PART_MAX, ".!#$%&'*-/=?^_`{|}~") &&
				      text[0] != '.' && text[len - 1] != '.' &&
				      strstr(text, "..") == NULL,
			      text);
}

static char *
parse_login(const char *text)
{
	size_t len = strlen(text);

	return kind_accept_if(len > 0 && len <= LOGIN_MAX && kind_printable(text) &&
				      strchr(text, ' ') == NULL && g_utf8_validate(text, -1, NULL),
			      text);
}

static char *
parse_pool_name(const char *text)
{
	/* "-" stands for no pool in the log. */
	return kind_accept_if(kind_made_of(text, POOL_NAME_MAX, "._-") && g_ascii_isalnum(*text),
			      text);
}

static char *
parse_account(const char *text)
{
	return kind_accept_if(kind_made_of(text, ACCOUNT_MAX, "._-$") && text[0] != '-', text);
}

static char *
parse_ident(const char *text)
{
	return kind_accept_if(kind_made_of(text, IDENT_MAX, "._-/"), text);
}

/* Digits with single dots between them; a dot may end it. */
static char *
parse_reply_code(const char *text)
{
	size_t len = strlen(text);
	bool ok = len > 0 && len <= 11 && text[0] >= '2' && text[0] <= '5';

	for (size_t i = 1; ok && i < len; i++)
		ok = g_ascii_isdigit(text[i]) || (text[i] == '.' && text[i - 1] != '.');
	return kind_accept_if(ok, text);
}

static char *
parse_http_name(const char *text)
{
	return kind_accept_if(kind_made_of(text, HTTP_NAME_MAX, "!#$%&'*+-.^_`|~"), text);
}

static char *
parse_http_value(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!g_ascii_isprint(text[i]))
			return NULL;
	return kind_accept_if(
		len > 0 && len <= HTTP_VALUE_MAX && text[0] != ' ' && text[len - 1] != ' ', text);
}

static char *
parse_event(const char *text)
{
	return kind_accept_if(event_type_find(text) != EVENT_TYPES, text);
}

static char *
parse_log_source(const char *text)
{
	if (strcmp(text, "journal") == 0 || strcmp(text, "stdin") == 0)
		return g_strdup(text);
	return parse_path(text);
}

/* A line of UTF-8 of 1 to max octets. */
static char *
parse_line(const char *text, size_t max)
{
	size_t len = strlen(text);

	return kind_accept_if(len > 0 && len <= max && kind_printable(text) &&
				      g_utf8_validate(text, -1, NULL),
			      text);
}

static char *
parse_pattern(const char *text)
{
	return parse_line(text, PATTERN_MAX);
}

static char *
parse_remark(const char *text)
{
	return parse_line(text, REMARK_MAX);
}

/* A date alone is its first moment. */
static char *
parse_time(const char *text)
{
	GTimeZone *utc = g_time_zone_new_utc();
	char *whole =
		strchr(text, 'T') == NULL ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
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
	return kind_accept_if(len > 0 && len <= LOGIN_MAX, text);
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
const struct setting_kind setting_kind_pool_name = {
	"a name of 1 to 64 letters, digits, '.', '_' and '-' that begins with a letter or digit",
	parse_pool_name, false};
const struct setting_kind setting_kind_isp_name = {
	"a name of 1 to 64 letters, digits, '.', '_' and '-' that begins with a letter or digit",
	parse_pool_name, true};
const struct setting_kind setting_kind_time = {"a date such as 2026-12-01 or 2026-12-01T06:00:00Z",
					       parse_time, false};
const struct setting_kind setting_kind_word = {"1 to 255 visible ASCII characters without blanks",
					       parse_word, false};
const struct setting_kind setting_kind_limit = {
	"1 to 1000000000, \"/\", and second, minute, hour, day, or a time of at most 31 days as 30s, 15m, "
	"2h, 7d: \"20/second\"",
	parse_limit, false};
const struct setting_kind setting_kind_log_source = {"an absolute path, \"journal\" or \"stdin\"",
						     parse_log_source, false};
const struct setting_kind setting_kind_event = {
	"one of \"accepted\", \"delivered\", \"deferred\", \"bounced\", \"expired\", \"held\", "
	"\"complaint\"",
	parse_event, false};
const struct setting_kind setting_kind_http_name = {
	"a header's name: 1 to 64 letters, digits and hyphens", parse_http_name, true};
const struct setting_kind setting_kind_http_value = {
	"1 to 4000 printable ASCII characters, no blanks around them", parse_http_value, false};
const struct setting_kind setting_kind_pattern = {
	"a regular expression of 1 to 1000 octets, UTF-8 without control characters", parse_pattern,
	false};
const struct setting_kind setting_kind_reply_code = {
	"the begin of a reply code or of an enhanced status code, such as \"421\" or \"5.7.\"",
	parse_reply_code, false};
const struct setting_kind setting_kind_remark = {
	"1 to 500 octets, UTF-8 without control characters", parse_remark, false};
const struct setting_kind setting_kind_account = {
	"a name of the system's of 1 to 32 letters, digits, '.', '_' and '-'", parse_account,
	false};
const struct setting_kind setting_kind_ident = {"1 to 32 letters, digits, '.', '_', '/' and '-'",
						parse_ident, false};
