/*
 * encode_policy - what is to become of a part; see encode_policy.h.
 *
 * Reads, allocates nothing, cannot fail.
 */
#include "core/encode_policy.h"

/* A part stays as it is. */
static struct decision
stays(const char *because, const char *why)
{
	return (struct decision){{RECODE_NOTHING, LABEL_NONE, false}, because, why, false};
}

static struct decision
changes(enum recode_step step, enum part_label to, const char *because)
{
	return (struct decision){{step, to, false}, because, NULL, false};
}

bool
encode_policy_label_is_eight(enum part_label label)
{
	return label == LABEL_8BIT || label == LABEL_BINARY;
}

bool
encode_policy_has_rules(const struct isp *isp)
{
	const int rules[] = {isp->encoding.global, isp->encoding.html, isp->encoding.text};

	for (size_t i = 0; i < G_N_ELEMENTS(rules); i++)
		if (rules[i] != ENCODING_UNSET && rules[i] != ENCODING_KEEP)
			return true;
	return false;
}

static bool
is_text(const struct part *part)
{
	return part->kind == PART_HTML || part->kind == PART_TEXT || part->kind == PART_OTHER_TEXT;
}

const char *
encode_policy_kind_word(const struct part *part)
{
	static const char *const words[] = {
		[PART_MULTIPART] = "multipart", [PART_HTML] = "html",
		[PART_TEXT] = "text",           [PART_OTHER_TEXT] = "other",
		[PART_MESSAGE] = "message",     [PART_OTHER] = "attachment",
	};

	return part->attachment && is_text(part) ? "attachment" : words[part->kind];
}

const char *
encode_policy_unsafe_word(const struct survey *s)
{
	if (s->has_long_line)
		return "long-line";
	return survey_is_lines(s) ? "8bit" : "control";
}

/* What the rule for this kind of text says; ENCODING_KEEP for what is no text. */
static enum encoding
rule_for(const struct encode_policy *policy, const struct part *part)
{
	int rule = ENCODING_KEEP;

	if (part->kind == PART_HTML)
		rule = policy->isp->encoding.html;
	else if (part->kind == PART_TEXT)
		rule = policy->isp->encoding.text;
	else if (part->kind == PART_OTHER_TEXT)
		rule = policy->isp->encoding.global;
	return rule == ENCODING_UNSET ? ENCODING_KEEP : (enum encoding)rule;
}

static enum part_label
label_of_rule(enum encoding rule)
{
	switch (rule) {
	case ENCODING_QUOTED_PRINTABLE:
		return LABEL_QUOTED_PRINTABLE;
	case ENCODING_BASE64:
		return LABEL_BASE64;
	default:
		return LABEL_8BIT;
	}
}

/* The encoding that takes fewer octets. */
static enum part_label
shorter(const struct survey *s, size_t len)
{
	size_t quoted = len + 2 * s->escapes, base64 = (len + 2) / 3 * 4;

	base64 += base64 / 76 *
		  2; /* line ends; those of quoted-printable are the text's own, nearly */
	return quoted <= base64 ? LABEL_QUOTED_PRINTABLE : LABEL_BASE64;
}

static const char by_rule[] = "the ISP's rule";

/* The rule "8bit" for content that is not encoded. */
static struct decision
decide_8bit(const struct part *part, const struct survey *s)
{
	enum part_label need = s->has_8bit ? LABEL_8BIT : LABEL_7BIT;

	if (!survey_is_lines(s))
		return changes(RECODE_ENCODE, LABEL_QUOTED_PRINTABLE, by_rule);
	if (part->label == need || (part->label == LABEL_NONE && need == LABEL_7BIT))
		return stays("it has the encoding", NULL);
	return changes(RECODE_LABEL, need, by_rule);
}

static struct decision
decide_plain(const struct encode_policy *policy, const struct part *part, enum encoding rule,
	     const struct survey *s, size_t len)
{
	bool survives = survey_is_7bit(s);

	if (len > 0 && (rule == ENCODING_QUOTED_PRINTABLE || rule == ENCODING_BASE64))
		return changes(RECODE_ENCODE, label_of_rule(rule), by_rule);
	if (rule == ENCODING_8BIT)
		return decide_8bit(part, s);
	if (policy->safe && survives && encode_policy_label_is_eight(part->label))
		return changes(RECODE_LABEL, LABEL_7BIT, "it is 7bit");
	if (!policy->safe || survives)
		return stays("keep", NULL);
	return changes(RECODE_ENCODE, shorter(s, len), "it would not survive the way");
}

static struct decision
decide_encoded(const struct encode_policy *policy, const struct part *part, enum encoding rule,
	       const struct survey *s, size_t len)
{
	bool survives = survey_is_7bit(s);
	struct decision d;

	if (len == 0 || (rule == ENCODING_KEEP && (survives || !policy->safe)))
		return stays(len == 0 ? "it is empty" : "keep", NULL);
	if (rule != ENCODING_KEEP && label_of_rule(rule) == part->label && survives)
		return stays("it has the encoding", NULL);
	if (rule == ENCODING_KEEP)
		d = changes(RECODE_DECODE, part->label, "its lines would not survive the way");
	else
		d = changes(RECODE_DECODE, label_of_rule(rule), by_rule);
	d.order.anew = !survives;
	return d;
}

/* Why a part must not be touched whatever is wanted; NULL: it may be. */
static const char *
untouchable(const struct part *part)
{
	if (part->sealed != NULL)
		return part->sealed;
	return part->broken;
}

/* A part that stays: why, if a rule wants another encoding, or if it will not survive. */
static struct decision
decide_left(const struct encode_policy *policy, const struct part *part, enum encoding rule,
	    const struct survey *s)
{
	const char *why = untouchable(part), *word = NULL;
	bool ruled =
		rule != ENCODING_KEEP && !part->attachment && label_of_rule(rule) != part->label;

	if (policy->safe && !survey_is_7bit(s))
		word = why != NULL ? why : encode_policy_unsafe_word(s);
	else if (ruled && why != NULL)
		word = why;
	else if (policy->safe && encode_policy_label_is_eight(part->label))
		word = "8bit-label";
	return stays(why != NULL ? why : "no text, or an attachment", word);
}

/* True if there may be 8-bit octets, or a label that says so, when the order is carried out. */
static bool
remains_eight(const struct part *part, const struct survey *s, const struct recode_order *order)
{
	switch (order->step) {
	case RECODE_ENCODE:
		return false;
	case RECODE_LABEL:
		return encode_policy_label_is_eight(order->to);
	case RECODE_DECODE: /* which may fail; what becomes of the rule "8bit" shows afterwards */
		return s->has_8bit;
	default:
		return s->has_8bit || encode_policy_label_is_eight(part->label);
	}
}

struct decision
encode_policy_decide(const struct encode_policy *policy, const struct part *part,
		     struct octets content)
{
	static const struct survey safe_lines = {.ends_line = true};
	enum encoding rule = rule_for(policy, part);
	struct survey s = safe_lines;
	struct decision d;

	if (!policy->body_safe)
		s = codec_survey(content.data, content.len);
	if (!is_text(part) || part->attachment || untouchable(part) != NULL)
		d = decide_left(policy, part, rule, &s);
	else if (part->label < LABEL_QUOTED_PRINTABLE)
		d = decide_plain(policy, part, rule, &s, content.len);
	else
		d = decide_encoded(policy, part, rule, &s, content.len);
	d.eight = remains_eight(part, &s, &d.order);
	return d;
}

struct decision
encode_policy_decide_multipart(const struct encode_policy *policy, const struct part *part,
			       bool eight)
{
	struct decision d = stays("a multipart", NULL);

	if (!encode_policy_label_is_eight(part->label)) {
		d.eight = eight;
		return d;
	}
	if (policy->safe && !eight && untouchable(part) == NULL)
		return changes(RECODE_LABEL, LABEL_7BIT, "all in it is 7bit");
	d.eight = true;
	d.why = policy->safe && !eight ? "8bit-label" : NULL;
	return d;
}
