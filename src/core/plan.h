/*
 * plan - what is to go out: the verdict, header edits, a new sender, the words for the log.
 *
 * Stages write it, in the order of the pipeline; the daemon applies it (daemon/apply.h), poolctl
 * process prints it.  message + plan = image (image.h): the bytes that the MTA will hold.
 */
#ifndef POOLMILTER_CORE_PLAN_H
#define POOLMILTER_CORE_PLAN_H

#include "core/image.h"
#include "core/limits.h"
#include "core/message.h"
#include "core/settings.h"

#include <glib.h>
#include <stdbool.h>

/** Recipients whose ISP wants another treatment than the message gets: mixed_isps = "split". */
struct group {
	const struct isp *isp; /* whose treatment they get; the first one's, if several are alike */
	GPtrArray *rcpts;      /* of const char *, the message's */
	guint taken;	       /* how many the injector has taken, for the log */
};

enum verdict {
	VERDICT_ACCEPTED, /* treated: go on with the edits of the plan */
	VERDICT_PASSED,	  /* not ours to treat: go on */
	VERDICT_DEFERRED, /* 4xx */
	VERDICT_HELD,	  /* quarantine */
	VERDICT_REJECTED, /* 5xx */
};

struct plan {
	enum verdict verdict;
	const char *reason; /* for the log, a static word such as "untrusted"; NULL: none */
	char *detail;	    /* for the log: what went wrong inside; NULL: nothing */
	char *reply;	    /* text of a 4xx or 5xx */
	const char *reply_code;	  /* "451"; static */
	const char *reply_status; /* "4.3.0", RFC 3463; static */

	const struct pool *pool; /* NULL: none found */
	char from_domain[254];	 /* domain of the author, normalised; "" if not found */

	const struct isp *isp;	   /* the record that treats the message; NULL: not looked for */
	GPtrArray *rcpt_isps;	   /* of const struct isp *: beside rcpts, each one's own record */
	GPtrArray *all_isps;	   /* the same with the recipients of groups; in no order */
	const char *mixed;	   /* how several ISPs were treated, for the log; NULL: there is one */
	const GPtrArray *rcpts;	   /* of const char *: those for whom the message is treated */
	GPtrArray *own_rcpts;	   /* rcpts where these are not all of the message's; else NULL */
	GPtrArray *groups;	   /* of struct group *: the others, to be injected again; or NULL */
	GPtrArray *gone;	   /* of const char *: of these, those that were taken; or NULL */
	bool marked;		   /* we have injected the message before (split.h) */
	const struct isp *injected_isp; /* the record that it names then; NULL: none valid */
	char *injected_login;		/* and the login of the original's client */

	bool new_body;
	struct buf body;   /* with CRLF line ends; instead of the message's if new_body */
	GString *encoded;  /* "html:base64,text:quoted-printable" for the log; NULL: nothing */
	GString *not_encoded; /* why parts stay as they are, for the log; NULL: nothing to say */

	char *new_sender;	 /* without <>; NULL: stays */
	struct image *image;	 /* the header after all edits, and the edits themselves */
	unsigned headers_added, headers_deleted;
	GArray *charges;	/* of struct charge: what it is charged to, groups included; NULL: nothing */
	guint own_charges;	/* how many of them: those behind are of locks */
	enum limit_state limit; /* after pipeline_charge() */
	bool limit_local;	/* it was this node's share that was asked, since Redis is down */
	struct limit_over over; /* with LIMIT_OVER */
	char *limit_problem;	/* with LIMIT_UNKNOWN, for the log; or NULL */
	char *hold;		/* with VERDICT_HELD: why, for the MTA's quarantine */
	GString *dkim;		/* "d/s/a,d/s/a" for the log */
	GPtrArray *explanations; /* of char *, --explain; NULL: nobody asks */
};

/** A plan for a sealed message that changes nothing. Free with plan_free(). */
struct plan *plan_new(const struct message *m);
void plan_free(struct plan *p);

/** Ends the treatment with a verdict and a reason for the log (static). */
void plan_end(struct plan *p, enum verdict verdict, const char *reason);

/** Ends the treatment with a reply to the client; drops every edit, so that nothing is half done. */
void plan_refuse(struct plan *p, enum verdict verdict, const char *reason, const char *code,
		 const char *status, const char *format, ...) G_GNUC_PRINTF(6, 7);

/** Defers the message because memory ran out for it. */
void plan_refuse_memory(struct plan *p);

/** Notes why something was decided; costs nothing when nobody asked. */
void plan_explain(struct plan *p, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** Adds a group without recipients. */
struct group *plan_group(struct plan *p, const struct isp *isp);

/** Takes over what has been done with the groups of an earlier plan for the same message. */
void plan_take_split(struct plan *p, struct plan *earlier);

/** Takes over what the limiter has said of an earlier plan for the same message. */
void plan_take_limits(struct plan *p, struct plan *earlier);

/** The only recipient for whom the message is treated; NULL if there are several. */
const char *plan_only_rcpt(const struct plan *p);

/** The body as it goes out: of the plan or of the message m; *len its octets. */
const char *plan_body(const struct plan *p, const struct message *m, size_t *len);

/** The word of a verdict as the log has it: "accepted", ... */
const char *verdict_word(enum verdict verdict);

#endif
