/*
 * encode_policy - what is to become of a part: the table of encodings wanted, had and possible.
 *
 * Of no use but to encode.c.
 */
#ifndef POOLMILTER_CORE_ENCODE_POLICY_H
#define POOLMILTER_CORE_ENCODE_POLICY_H

#include "core/mime.h"
#include "core/recode.h"
#include "core/settings.h"

/** What is asked for. */
struct encode_policy {
	const struct isp *isp;
	bool safe;      /* what would not survive the way is made safe */
	bool body_safe; /* the whole body would survive */
};

struct decision {
	struct recode_order order;
	const char *because; /* for explanations, static */
	const char *why;     /* why it stays though a change is wanted, static; NULL: none is */
	bool eight;	     /* 8-bit octets stay in it, or a label that says so */
};

/** True if some rule of the record may change mail. */
bool encode_policy_has_rules(const struct isp *isp);

/** Decides about a part that is no multipart; its content is the octets. */
struct decision encode_policy_decide(const struct encode_policy *policy, const struct part *part,
				     struct octets content);

/** True if the label allows octets that not every hop takes. */
bool encode_policy_label_is_eight(enum part_label label);

/**
 * The decision about a multipart, once those about all parts in it are known: eight, one of them is.
 * Some MTAs convert by the label alone: it becomes 7bit where nothing needs more.
 */
struct decision encode_policy_decide_multipart(const struct encode_policy *policy,
					       const struct part *part, bool eight);

/** Why octets do not survive the way: "long-line", "control", "8bit". */
const char *encode_policy_unsafe_word(const struct survey *s);

/** The word of a kind for the log: "html", "text", "other", "message", "attachment". */
const char *encode_policy_kind_word(const struct part *part);

#endif
