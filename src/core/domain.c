/*
 * domain - one form for every domain name that is compared; see domain.h.
 *
 * libidn2 does no more than strings: it is pure, so it may stand in core.  Only this file calls it.
 */
#include "core/domain.h"

#include <glib.h>
#include <idn2.h>
#include <stdint.h>
#include <string.h>

static bool
ascii_only(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* Lower case and syntax of an ASCII name; len is without the trailing dot. */
static bool
copy_ascii(const char *text, size_t len, char out[DOMAIN_SIZE])
{
	size_t label = 0;

	if (len == 0 || len > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '.') {
			if (label == 0 || out[i - 1] == '-')
				return false;
			label = 0;
		} else {
			if (!g_ascii_isalnum(c) && c != '_' && (c != '-' || label == 0))
				return false;
			if (++label > 63)
				return false;
		}
		out[i] = g_ascii_tolower(c);
	}
	out[len] = '\0';
	return label > 0 && out[len - 1] != '-';
}

static bool
copy_idn(const char *text, size_t len, char out[DOMAIN_SIZE])
{
	char *utf8, *ascii = NULL;
	bool ok;

	if (len > 4 * DOMAIN_MAX || !g_utf8_validate(text, (gssize)len, NULL))
		return false;
	utf8 = g_strndup(text, len);
	ok = idn2_to_ascii_8z(utf8, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK;
	g_free(utf8);
	if (ok)
		ok = copy_ascii(ascii, strlen(ascii), out);
	idn2_free(ascii);
	return ok;
}

bool
domain_normalise(const char *text, size_t len, char out[DOMAIN_SIZE])
{
	bool ok;

	if (len > 0 && text[len - 1] == '.')
		len--;
	ok = ascii_only(text, len) ? copy_ascii(text, len, out) : copy_idn(text, len, out);
	if (!ok)
		out[0] = '\0';
	return ok;
}

const char *
domain_parent(const char *domain)
{
	const char *dot = strchr(domain, '.');

	return dot != NULL ? dot + 1 : NULL;
}

bool
domain_at_or_below(const char *domain, const char *parent)
{
	size_t len = strlen(domain), tail = strlen(parent);

	return len >= tail && strcmp(domain + len - tail, parent) == 0 &&
	       (len == tail || domain[len - tail - 1] == '.');
}
