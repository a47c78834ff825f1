/*
 * limiter_name - names in Redis for keys of any octets; see limiter_name.h.
 *
 * Keys hold names of pools and domains, which come from configuration and mail.  In Redis they must
 * not hold braces (a hash tag would be another), nor what SCAN takes for a pattern, nor blanks or
 * line ends that confuse whoever looks at them.
 */
#include "io/limiter_name.h"

#include <string.h>

#define CUT 100 /* octets left of a name that is too long */

void
limiter_name_add(GString *out, const char *key)
{
	static const char hex[] = "0123456789ABCDEF";
	gsize start = out->len;

	for (const char *p = key; *p != '\0'; p++) {
		guchar c = (guchar)*p;

		if (g_ascii_isalnum(c) || c == '.' || c == '_' || c == '/' || c == '-') {
			g_string_append_c(out, (char)c);
		} else {
			g_string_append_c(out, '%');
			g_string_append_c(out, hex[c >> 4]);
			g_string_append_c(out, hex[c & 15]);
		}
	}
	if (out->len - start > LIMITER_NAME_MAX) {
		char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);

		g_string_truncate(out, start + CUT);
		g_string_append_c(out, '~');
		g_string_append(out, digest);
		g_free(digest);
	}
}

char *
limiter_name_key(const char *name)
{
	GString *key = g_string_new(NULL);

	for (; *name != '\0'; name++) {
		if (*name == '%' && g_ascii_isxdigit(name[1]) && g_ascii_isxdigit(name[2])) {
			g_string_append_c(key, (char)(g_ascii_xdigit_value(name[1]) * 16 +
						      g_ascii_xdigit_value(name[2])));
			name += 2;
		} else {
			g_string_append_c(key, *name);
		}
	}
	return g_string_free(key, FALSE);
}
