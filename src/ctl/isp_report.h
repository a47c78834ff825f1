/*
 * isp_report - an ISP record in words and as JSON, and why a recipient's domain has it.
 */
#ifndef POOLMILTER_CTL_ISP_REPORT_H
#define POOLMILTER_CTL_ISP_REPORT_H

#include "core/isp.h"
#include "core/settings.h"

#include <jansson.h>
#include <stdio.h>

/** The record of a domain and why. */
struct isp_reason {
	char *domain; /* as given; "" for none */
	struct isp_match match;
	char *suffix;          /* "*.example.com" that matched; NULL: none */
	GPtrArray *hosts;      /* of char *: MX hosts; NULL: not asked for */
	enum mx_answer answer; /* with hosts */
};

/** Finds it as the pipeline does, and asks for MX hosts again where they count. Free it. */
struct isp_reason *isp_reason_new(const struct settings *s, const struct resolver *resolver,
				  const char *domain, gint64 deadline);
void isp_reason_free(void *reason);

/** "domain", "suffix *.example.com", "mx: HOST (RECORD), ...", "default: ..."; g_free it. */
char *isp_reason_words(const struct settings *s, const struct isp_reason *r);

/** {"domain", "isp", "how", "suffix", "mx": [{"host", "isp"}] or null, "mx_failed"}. */
json_t *isp_reason_json(const struct settings *s, const struct isp_reason *r);

/** "custom", "shipped", or "built-in" of a default that stands in no file. */
const char *isp_report_source(const struct isp *isp);

/** "FILE:LINE", "-" for one that stands in no file; g_free it. */
char *isp_report_place(const struct isp *isp);

/** The word that the configuration has for an encoding. */
const char *isp_report_encoding(int encoding);

/** "html:base64,text:keep,other:keep", "-" if all is kept; g_free it. */
char *isp_report_encodings(const struct isp *isp);

/** {"html", "text", "other"}. */
json_t *isp_report_encodings_json(const struct isp *isp);

/** "connections at a time: 5, ...", or NULL if none is known; g_free it. */
char *isp_report_numbers(const struct isp *isp);

/** {"connections", "messages_per_connection", "recipients_per_message"}, null where not known. */
json_t *isp_report_numbers_json(const struct isp *isp);

#endif
