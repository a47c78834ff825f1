/*
 * bounce_part - readers of the parts of a report; for bounce_report.c alone.
 */
#ifndef POOLMILTER_CORE_BOUNCE_PART_H
#define POOLMILTER_CORE_BOUNCE_PART_H

#include "core/bounce_report.h"

#include <stdbool.h>

/** Adds a notice; NULL if there are too many. */
struct bounce_notice *bounce_notice_add(struct bounce_report *r, enum event_type type);

/** The field lines of a delivery status (RFC 3464 2): true if they told of a recipient. */
bool bounce_status_read(struct bounce_report *r, const char *text);

/** The field lines of a feedback report (RFC 5965 3): true if it is one; *complaint: and of that
 * kind. */
bool bounce_feedback_read(struct bounce_report *r, const char *text, bool *complaint);

/** True if a text begins with fields of one of these two. */
bool bounce_is_status(const char *text);
bool bounce_is_feedback(const char *text);

/** Field lines of the message that a report is about, up to the first empty one. */
void bounce_original_read(struct bounce_report *r, const char *text);

/** One of its fields; value: folded or not. */
void bounce_original_field(struct bounce_report *r, const char *name, const char *value);

/**
 * Text for people, UTF-8: true if it told of a recipient, or of one that it does not name. subject:
 * of the report, failed: X-Failed-Recipients; each may be NULL.
 */
bool bounce_text_read(struct bounce_report *r, const char *text, const char *subject,
		      const char *failed);

/** Gives notices without a reply what the text says of their recipients. */
void bounce_text_complete(struct bounce_report *r, const char *text);

/** HTML as text; g_free it. */
char *bounce_html_text(const char *html);

/** Lower case text: says that mail was not, or not yet, delivered. */
bool bounce_says_failed(const char *lower);
bool bounce_says_delayed(const char *lower);

/** Lower case From and Subject: of mailers, of their bounces, of answers by automata. */
bool bounce_from_mailer(const char *lower);
bool bounce_subject_fails(const char *lower);
bool bounce_subject_answers(const char *lower);

/** Lower case line: what follows is the message that the text is about. */
bool bounce_begins_original(const char *lower);

/** A reply of SMTP in a text. */
struct bounce_reply {
	const char *at; /* where it begins; NULL: there is none */
	int code;       /* 0: there is an enhanced status code only */
	char dsn[12];   /* "": none */
};

/** Finds the most likely one, class 4 or 5, in the len octets at text. */
struct bounce_reply bounce_reply_find(const char *text, size_t len);

#define BOUNCE_REPLY_MAX 1000 /* octets of a reply's text */

/** The reply's text as one line, from its code on until something else begins, or limit; g_free it.
 */
char *bounce_reply_line(const struct bounce_reply *reply, const char *limit);

/** Octets from at until an empty line, or end. */
size_t bounce_paragraph(const char *at, const char *end);

/** The enhanced status code (RFC 3463) of that class, '4' or '5' (0: any), in the octets: "" if
 * none. */
void bounce_dsn_find(const char *text, size_t len, char class, char dsn[12]);

/**
 * An address in a text: of it, up to an end, the next one from *at on, which is put behind it;
 * NULL: no more.  g_free it.
 */
char *bounce_address_next(const char **at, const char *end);

/** An address as fields have it ("rfc822;<a@b>", "<a@b>", "a@b"); NULL: it is none.  g_free it. */
char *bounce_address(const char *value);

/** The octets as one line: runs of blanks and control characters as one blank; g_free it. */
char *bounce_line(const char *text, size_t len);

#endif
