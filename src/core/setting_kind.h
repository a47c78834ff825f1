/*
 * setting_kind - the kinds of text that settings hold: a domain, a header's name, a path, ...
 */
#ifndef POOLMILTER_CORE_SETTING_KIND_H
#define POOLMILTER_CORE_SETTING_KIND_H

#include <stdbool.h>

struct setting_kind {
	const char *expected; /* "a domain name such as mail.example.com" */
	/** The normal form of text (g_free it), or NULL if it is not of this kind. */
	char *(*parse)(const char *text);
	bool caseless; /* "A" and "a" are the same in a list */
};

extern const struct setting_kind setting_kind_domain;         /* normalised, at least two labels */
extern const struct setting_kind setting_kind_domain_pattern; /* the same, "*." may begin it */
extern const struct setting_kind setting_kind_labels;         /* normalised, one label or more */
extern const struct setting_kind setting_kind_selector;       /* RFC 6376 3.1, as written */
extern const struct setting_kind setting_kind_header_name;    /* RFC 5322 2.2 */
extern const struct setting_kind setting_kind_header_pattern; /* the same, '*' may end it */
extern const struct setting_kind setting_kind_path;           /* absolute */
extern const struct setting_kind setting_kind_local_part;     /* dot-atom of at most 16 octets */
extern const struct setting_kind setting_kind_login;  /* a login name, '*' stands for anything */
extern const struct setting_kind setting_kind_listen; /* "local:" becomes "unix:" */
extern const struct setting_kind setting_kind_pool_name;
extern const struct setting_kind setting_kind_isp_name;
extern const struct setting_kind setting_kind_smtp_url;   /* smtp://HOST:PORT */
extern const struct setting_kind setting_kind_dns_server; /* ADDRESS or ADDRESS@PORT */
extern const struct setting_kind setting_kind_store;      /* HOST:PORT, [IPV6]:PORT or unix:/PATH */
extern const struct setting_kind setting_kind_host_port;  /* HOST:PORT, [IPV6]:PORT */
extern const struct setting_kind setting_kind_address;    /* an IP address, in its normal form */
extern const struct setting_kind setting_kind_host;       /* a host name or an IP address */
extern const struct setting_kind setting_kind_https_url;  /* RFC 3986, with a host */
extern const struct setting_kind setting_kind_mailto;     /* "mailto:" and an address */
extern const struct setting_kind setting_kind_time;       /* ISO 8601, UTC: 2026-12-01T06:00:00Z */
extern const struct setting_kind setting_kind_word;       /* visible ASCII characters */
extern const struct setting_kind setting_kind_limit;      /* "20/second", limit_text()'s form */
extern const struct setting_kind setting_kind_log_source; /* absolute path, "journal" or "stdin" */
extern const struct setting_kind setting_kind_event;	  /* event_type_name()'s */
extern const struct setting_kind setting_kind_http_url;	  /* RFC 9110 4.2, without user and fragment */
extern const struct setting_kind setting_kind_http_name;  /* of a header, RFC 9110 5.1 */
extern const struct setting_kind setting_kind_http_value; /* of a header, RFC 9110 5.5, ASCII */
extern const struct setting_kind setting_kind_pattern;	  /* PCRE2; whether it is one, is seen later */
extern const struct setting_kind setting_kind_reply_code; /* "4", "421", "5.7.", "5.7.26" */
extern const struct setting_kind setting_kind_remark;	  /* a line of UTF-8 */
extern const struct setting_kind setting_kind_account; /* of a user or group of the system */
extern const struct setting_kind setting_kind_ident;   /* of syslog */

#endif
