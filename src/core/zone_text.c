/*
 * zone_text - records as zone files and reports write them; see zone.h.
 */
#include "core/zone.h"

#include <string.h>

/* A piece of text as a quoted string: RFC 1035 5.1. */
static void
append_string(GString *out, const char *text, size_t len)
{
	g_string_append_c(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			g_string_append_printf(out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			g_string_append_printf(out, "\\%03u", c);
		else
			g_string_append_c(out, (char)c);
	}
	g_string_append_c(out, '"');
}

static char *
quoted_strings(const char *text)
{
	GString *out = g_string_new(NULL);
	size_t len = strlen(text), at = 0;

	do {
		size_t piece = MIN(len - at, ZONE_STRING_MAX);

		if (at > 0)
			g_string_append_c(out, ' ');
		append_string(out, text + at, piece);
		at += piece;
	} while (at < len);
	return g_string_free(out, FALSE);
}

char *
zone_rdata(const struct record *r)
{
	switch (r->type) {
	case RECORD_PTR:
	case RECORD_CNAME:
		return g_strconcat(r->value, ".", NULL);
	case RECORD_MX:
		return g_strdup_printf("%d %s.", ZONE_MX_PREFERENCE, r->value);
	case RECORD_TXT:
		return quoted_strings(r->value);
	case RECORD_A:
	case RECORD_AAAA:
		break;
	}
	return g_strdup(r->value);
}

const char *
zone_type_word(enum record_type type)
{
	static const char *const words[] = {"A", "AAAA", "PTR", "MX", "TXT", "CNAME"};

	return words[type];
}

const char *
zone_purpose_word(enum record_purpose purpose)
{
	static const char *const words[] = {
		[FOR_HELO] = "helo",
		[FOR_PTR] = "ptr",
		[FOR_HELO_SPF] = "helo-spf",
		[FOR_MX] = "mx",
		[FOR_SPF] = "spf",
		[FOR_BOUNCE_SPF] = "bounce-spf",
		[FOR_BOUNCE] = "bounce",
		[FOR_DKIM] = "dkim",
		[FOR_DKIM_NEXT] = "dkim-next",
		[FOR_DMARC] = "dmarc",
		[FOR_DMARC_REPORTS] = "dmarc-reports",
		[FOR_BIMI] = "bimi",
		[FOR_TRACKING] = "tracking",
		[FOR_LEGACY_SPF] = "legacy-spf",
		[FOR_LEGACY_DKIM] = "legacy-dkim",
	};

	return words[purpose];
}

const char *
zone_need_word(enum record_need need)
{
	static const char *const words[] = {"needed", "advised", "if-none", "obsolete"};

	return words[need];
}
