/*
 * encode - transfer encodings: what the ISP's record wants, and what must not break on the way.
 *
 * Most mail is left by the first look: nothing is wanted, and its octets survive any hop.  Else the
 * structure is read (mime.h), each text part gets its decision (encode_policy.h), GMime must agree
 * with the structure, and the new body is spliced (recode.h).  Where there is doubt everything
 * stays; the plan tells why in words for the log.
 *
 * What survives: lines of at most 998 octets of ASCII without NUL, bare CR and bare LF.  Anything
 * else is converted or cut by some MTA behind us, after the signature was made.
 */
#include "core/encode_policy.h"
#include "core/fold.h"
#include "core/pipeline.h"
#include "core/signed_mail.h"

#include <string.h>

#define NOTES_MAX 4    /* reasons that the log tells */
#define FOLDS_MAX 1000 /* fields with long lines in one message */

struct work {
	const struct job *job;
	struct plan *plan;
	struct encode_policy policy;
	struct mime *mime;
	bool eight_between; /* 8-bit octets between the contents; looked for when it matters */
	unsigned notes;
};

/* ---- words for the log */

/* True if a list of words, separated by commas, has this one. */
static bool
list_has(const GString *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list->str; p != NULL; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	}
	return false;
}

static bool
list_add(GString **list, const char *kind, const char *what)
{
	char *word = kind != NULL ? g_strconcat(kind, ":", what, NULL) : g_strdup(what);
	bool fresh;

	if (*list == NULL)
		*list = g_string_new(NULL);
	fresh = !list_has(*list, word);
	if (fresh)
		g_string_append_printf(*list, "%s%s", (*list)->len > 0 ? "," : "", word);
	g_free(word);
	return fresh;
}

/* Notes why something stays as it is; kind NULL: the whole message. */
static void
note(struct work *w, const char *kind, const char *why)
{
	if (w->notes < NOTES_MAX && list_add(&w->plan->not_encoded, kind, why))
		w->notes++;
}

static void
leave_all(struct work *w, const char *why)
{
	note(w, NULL, why);
	plan_explain(w->plan, "encode: nothing is changed: %s", why);
}

/* ---- long header lines */

/* True if memory did not run out. */
static bool
fold_field(struct work *w, guint n, const struct field *f, unsigned *folds)
{
	struct buf value = BUF_INIT;
	enum fold_result result = *folds < FOLDS_MAX ? fold_value(f, &value) : FOLD_CANNOT;
	bool failed = buf_failed(&value);

	if (!failed && (result == FOLD_DONE || result == FOLD_CUT)) {
		image_change(w->plan->image, n, value.data, value.len);
		(*folds)++;
	} else if (!failed && fold_is_needed(f)) {
		result = FOLD_CANNOT;
		note(w, "header", "long-line");
	}
	if (result != FOLD_NOT_NEEDED)
		plan_explain(w->plan, "encode: header %s has lines over %d octets: %s", f->name,
			     CODEC_LINE_MAX,
			     result == FOLD_DONE  ? "folded"
			     : result == FOLD_CUT ? "cut where there was no blank"
						  : "left, it cannot be folded");
	buf_free(&value);
	return !failed;
}

static bool
fold_header(struct work *w)
{
	const GArray *fields = w->job->message->fields;
	unsigned folds = 0;

	for (guint n = 0; n < fields->len; n++)
		if (!fold_field(w, n, &g_array_index(fields, struct field, n), &folds))
			return false;
	return true;
}

static bool
has_long_field(const struct message *m)
{
	for (guint n = 0; n < m->fields->len; n++)
		if (fold_is_needed(&g_array_index(m->fields, struct field, n)))
			return true;
	return false;
}

/* ---- the body */

static struct octets
content_of(const struct work *w, const struct part *part)
{
	const char *body = w->job->message->body.data;

	return (struct octets){body != NULL ? body + part->content : NULL,
			       part->end - part->content};
}

/*
 * What is between the contents: headers of parts, boundary lines, what stands before and behind
 * them.  Calls each() for every piece until it is false.
 */
static void
each_between(struct work *w, bool (*each)(struct work *w, const struct survey *s))
{
	const char *data = w->job->message->body.data, *body = data != NULL ? data : "";
	size_t at = 0;

	for (guint n = 0; n <= w->mime->parts->len; n++) {
		const struct part *part = n < w->mime->parts->len ? mime_part(w->mime, n) : NULL;
		size_t end = part != NULL ? part->content : w->job->message->body.len;
		struct survey s;

		if (part != NULL && part->kind == PART_MULTIPART)
			continue;
		s = codec_survey(body + at, end - at);
		if (!each(w, &s))
			return;
		if (part != NULL)
			at = part->end;
	}
}

static bool
note_piece(struct work *w, const struct survey *s)
{
	if (!survey_is_7bit(s))
		note(w, "multipart", encode_policy_unsafe_word(s));
	return true;
}

static bool
look_for_eight(struct work *w, const struct survey *s)
{
	w->eight_between = s->has_8bit;
	return !s->has_8bit;
}

/* True if there is a multipart whose label may change. */
static bool
any_eight_multipart(const struct work *w)
{
	for (guint n = 0; n < w->mime->parts->len; n++) {
		const struct part *part = mime_part(w->mime, n);

		if (part->kind == PART_MULTIPART && encode_policy_label_is_eight(part->label))
			return true;
	}
	return false;
}

/* Multiparts, the inner ones first; one that is signed or encrypted stays. */
static guint
decide_multiparts(struct work *w, struct decision *decisions)
{
	guint changes = 0;

	if (!w->policy.safe || !any_eight_multipart(w))
		return 0;
	if (!w->policy.body_safe)
		each_between(w, look_for_eight);
	for (guint n = w->mime->parts->len; n-- > 0;) {
		const struct part *part = mime_part(w->mime, n);

		if (part->kind == PART_MULTIPART) {
			decisions[n] = encode_policy_decide_multipart(
				&w->policy, part, w->eight_between || decisions[n].eight);
			changes += decisions[n].order.step != RECODE_NOTHING;
		} else if (encode_policy_label_is_eight(
				   recode_label(w->mime, n, &decisions[n].order))) {
			decisions[n].eight = true;
		}
		if (decisions[n].eight)
			decisions[part->parent].eight = true;
	}
	return changes;
}

/* Decides about all parts; returns how many are to change. */
static guint
decide_all(struct work *w, struct decision *decisions)
{
	guint changes = 0;

	for (guint n = 0; n < w->mime->parts->len; n++) {
		const struct part *part = mime_part(w->mime, n);

		decisions[n] = (struct decision){0};
		if (part->kind == PART_MULTIPART)
			continue;
		decisions[n] = encode_policy_decide(&w->policy, part, content_of(w, part));
		changes += decisions[n].order.step != RECODE_NOTHING;
	}
	return changes + decide_multiparts(w, decisions);
}

/* The message's own label: what it gets beside the new body. */
static void
label_message(struct work *w, enum part_label label)
{
	char *value = g_strconcat(" ", recode_word(label), NULL);

	if (w->mime->label_field >= 0) {
		image_change(w->plan->image, (guint)w->mime->label_field, value, strlen(value));
	} else {
		image_add(w->plan->image, "Content-Transfer-Encoding", value, strlen(value));
		w->plan->headers_added++;
	}
	g_free(value);
}

static void
explain_part(struct work *w, guint n, const struct decision *d, const char *what,
	     const char *because)
{
	const struct part *part = mime_part(w->mime, n);

	if (w->plan->explanations == NULL)
		return;
	plan_explain(w->plan, "encode: part %u, %.*s, %s: %s (%s)", n, (int)MIN(part->type.len, 80),
		     part->type.data,
		     part->label == LABEL_UNKNOWN ? "unknown encoding" : recode_word(part->label),
		     what, because != NULL ? because : d->because);
}

/* Carries out the decision about a part; true if it has changed. */
static bool
recode(struct work *w, struct recoder *r, guint n, const struct decision *d)
{
	const struct part *part = mime_part(w->mime, n);
	const char *kind = encode_policy_kind_word(part);
	enum part_label label = recode_part(r, n, &d->order);

	if (r->why != NULL)
		note(w, kind, r->why);
	else if (d->why != NULL)
		note(w, kind, d->why);
	if (r->done)
		list_add(&w->plan->encoded, kind, recode_word(label));
	if (n == 0 && label != part->label)
		label_message(w, label);
	explain_part(w, n, d, r->done ? recode_word(label) : "stays", r->why);
	return r->done;
}

/* Writes the new body. False: memory ran out. */
static bool
recode_all(struct work *w, const struct decision *decisions)
{
	struct recoder r = {.mime = w->mime, .out = &w->plan->body};
	bool changed = false;

	for (guint n = 0; n < w->mime->parts->len; n++)
		if (mime_part(w->mime, n)->kind != PART_MULTIPART ||
		    decisions[n].order.step != RECODE_NOTHING || decisions[n].why != NULL)
			changed = recode(w, &r, n, &decisions[n]) || changed;
	recode_end(&r);
	if (buf_failed(&w->plan->body))
		return false;
	w->plan->new_body = r.changed;
	if (changed && message_field(w->job->message, "MIME-Version", 0) == NULL) {
		image_add(w->plan->image, "MIME-Version", " 1.0", 4);
		w->plan->headers_added++;
	}
	return true;
}

/* GMime must agree with the structure before any part of a multipart changes. */
static bool
confirmed(struct work *w, struct decision *decisions)
{
	if (mime_part(w->mime, 0)->kind != PART_MULTIPART || mime_confirm(w->mime))
		return true;
	leave_all(w, "structure");
	for (guint n = 0; n < w->mime->parts->len; n++)
		decisions[n].order.step = RECODE_NOTHING;
	return false;
}

static bool
encode_body(struct work *w, const struct survey *body)
{
	struct decision *decisions;
	bool ok = true;

	w->mime = mime_read(w->job->message, body);
	if (w->mime->doubt != NULL) {
		leave_all(w, w->mime->doubt);
	} else {
		decisions = g_new(struct decision, w->mime->parts->len);
		if (decide_all(w, decisions) == 0 || confirmed(w, decisions))
			ok = recode_all(w, decisions);
		if (!w->policy.body_safe && w->policy.safe)
			each_between(w, note_piece);
		g_free(decisions);
	}
	mime_free(w->mime);
	return ok;
}

/* ---- the stage */

#define LABEL_REACH 64 /* octets behind the name of the field that its value may begin in */

static bool
says_eight(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (g_ascii_strncasecmp(data + i, "8bit", MIN(len - i, 4)) == 0 ||
		    g_ascii_strncasecmp(data + i, "binary", MIN(len - i, 6)) == 0)
			return true;
	return false;
}

/* True if a header in the body may say 8bit or binary: after "-Encoding", which no encoded content has. */
static bool
body_may_say_eight(const char *data, size_t len)
{
	static const char name[] = "-encoding";
	const char *p = data, *end;

	if (len <= sizeof name)
		return false;
	end = data + len;
	while ((size_t)(end - p) > sizeof name) {
		p = memchr(p, '-', (size_t)(end - p) - (sizeof name - 1));
		if (p == NULL)
			break;
		if (g_ascii_strncasecmp(p, name, sizeof name - 1) == 0) {
			const char *value = p + sizeof name - 1;

			if (says_eight(value, MIN((size_t)(end - value), LABEL_REACH)))
				return true;
		}
		p++;
	}
	return false;
}

/* True if the message, of 7-bit octets, may have a label that makes MTAs convert it nevertheless. */
static bool
has_eight_label(const struct message *m)
{
	const struct field *label = message_field(m, "Content-Transfer-Encoding", 0);
	const struct field *type;

	if (label != NULL && says_eight(label->value, MIN(label->value_len, LABEL_REACH)))
		return true;
	type = message_field(m, "Content-Type", 0);
	return type != NULL && strcasestr(type->value, "multipart") != NULL &&
	       body_may_say_eight(m->body.data, m->body.len);
}

/* False: memory ran out. */
static bool
treat(struct work *w)
{
	const struct message *m = w->job->message;
	bool rules = encode_policy_has_rules(w->policy.isp), header, label;
	struct survey body = {.ends_line = true};

	if (rules) /* each part will be looked at */
		body.has_bare_cr = codec_has_bare_cr(m->body.data, m->body.len);
	else if (w->policy.safe)
		body = codec_survey(m->body.data, m->body.len);
	w->policy.body_safe = !rules && survey_is_7bit(&body);
	header = w->policy.safe && has_long_field(m);
	label = w->policy.safe && w->policy.body_safe && has_eight_label(m);
	if (!header && !rules && !label && (w->policy.body_safe || !w->policy.safe))
		return true;
	if (!w->job->settings->reencode_signed && signed_mail_by_others(m, w->plan->pool)) {
		leave_all(w, "signed");
		return true;
	}
	if (header && !fold_header(w))
		return false;
	if (!rules && !label && w->policy.body_safe)
		return true;
	return encode_body(w, &body);
}

bool
stage_encode(const struct job *job, struct plan *plan)
{
	struct work w = {.job = job, .plan = plan};

	w.policy.isp = plan->isp != NULL ? plan->isp : job->settings->default_isp;
	w.policy.safe = job->settings->safe_encoding;
	if (treat(&w))
		return true;
	plan_refuse_memory(plan);
	return false;
}
