/*
 * recode - another transfer encoding for parts; see recode.h.
 *
 * The old body is copied up to the label of a part, then come the new label and the new content,
 * and so on: what is not written anew is copied octet for octet.  A label keeps its field's name
 * and place; a new one is the last field of its header.  Decoded content lives for one part at a
 * time.
 *
 * Content in a multipart ends before the CRLF of the next boundary line; that of a whole message is
 * lines. Decoded content goes out as it is only if no line of it could be taken for a boundary
 * line.
 *
 * Memory can run out: told by the buf.
 */
#include "core/recode.h"

#include <string.h>

const char *
recode_word(enum part_label label)
{
	static const char *const words[] = {
		[LABEL_NONE] = "7bit",
		[LABEL_7BIT] = "7bit",
		[LABEL_8BIT] = "8bit",
		[LABEL_BINARY] = "binary",
		[LABEL_QUOTED_PRINTABLE] = "quoted-printable",
		[LABEL_BASE64] = "base64",
	};

	return words[label];
}

static const char *
body_at(const struct recoder *r, size_t at)
{
	const char *body = r->mime->message->body.data;

	return body != NULL ? body + at : NULL;
}

static void
copy_to(struct recoder *r, size_t end)
{
	buf_add(r->out, body_at(r, r->copied), end - r->copied);
	r->copied = end;
}

/* Copies up to the content, with another label if it is not the same. */
static void
put_header(struct recoder *r, const struct part *part, enum part_label label)
{
	if (part->label != label && part->label_at != 0) {
		copy_to(r, part->label_at);
		buf_puts(r->out, " ");
		buf_puts(r->out, recode_word(label));
		r->copied = part->label_end;
	} else if (part->label != label) {
		copy_to(r, part->content - 2);
		buf_puts(r->out, "Content-Transfer-Encoding: ");
		buf_puts(r->out, recode_word(label));
		buf_puts(r->out, "\r\n");
	}
	copy_to(r, part->content);
}

static void
put_content(struct recoder *r, const char *data, size_t len, enum part_label label, bool whole)
{
	if (label == LABEL_QUOTED_PRINTABLE)
		quoted_printable_encode(data, len, whole, r->out);
	else if (label == LABEL_BASE64)
		base64_encode(data, len, whole, r->out);
	else
		buf_add(r->out, data, len);
}

static void
begin_change(struct recoder *r, size_t len)
{
	if (!r->changed)
		buf_reserve(r->out, r->mime->message->body.len + len);
	r->changed = r->done = true;
}

static void
put_part(struct recoder *r, guint n, enum part_label label, const char *data, size_t len)
{
	const struct part *part = mime_part(r->mime, n);

	begin_change(r, len);
	if (n > 0)
		put_header(r, part, label);
	put_content(r, data, len, label, n == 0);
	r->copied = part->end;
}

/* The label for decoded content that is wanted as 8bit. */
static enum part_label
plainest(const struct recoder *r, bool whole, const struct buf *content)
{
	struct survey s = codec_survey(content->data, content->len);

	if (!survey_is_lines(&s) || (whole && !s.ends_line) ||
	    mime_has_boundary(r->mime, content->data, content->len))
		return LABEL_QUOTED_PRINTABLE;
	return s.has_8bit ? LABEL_8BIT : LABEL_7BIT;
}

static bool
decode(struct recoder *r, const struct part *part, struct buf *content)
{
	const char *text = body_at(r, part->content);
	size_t len = part->end - part->content;

	return part->label == LABEL_BASE64 ? base64_decode(text, len, content, &r->why)
					   : quoted_printable_decode(text, len, content, &r->why);
}

/* Decodes a part; returns the label for what comes of it, the part's own if nothing does. */
static enum part_label
decode_for(struct recoder *r, guint n, const struct recode_order *order, struct buf *content)
{
	const struct part *part = mime_part(r->mime, n);

	if (!decode(r, part, content))
		content->len = 0; /* without memory some of it may be there: the buf tells */
	if (content->len == 0)
		return part->label;
	return order->to == LABEL_8BIT ? plainest(r, n == 0, content) : order->to;
}

static enum part_label
decode_part(struct recoder *r, guint n, const struct recode_order *order)
{
	const struct part *part = mime_part(r->mime, n);
	struct buf content = BUF_INIT;
	enum part_label to = decode_for(r, n, order, &content);

	if (content.len > 0 && (to != part->label || order->anew))
		put_part(r, n, to, content.data, content.len);
	r->out->failed = r->out->failed || buf_failed(&content);
	buf_free(&content);
	return to;
}

enum part_label
recode_label(const struct mime *mime, guint n, const struct recode_order *order)
{
	struct buf nothing = BUF_INIT, content = BUF_INIT;
	struct recoder r = {.mime = mime, .out = &nothing};
	enum part_label to;

	if (order->step == RECODE_NOTHING)
		return mime_part(mime, n)->label;
	if (order->step != RECODE_DECODE || order->to != LABEL_8BIT)
		return order->to;
	to = decode_for(&r, n, order, &content);
	buf_free(&content);
	return to;
}

enum part_label
recode_part(struct recoder *r, guint n, const struct recode_order *order)
{
	const struct part *part = mime_part(r->mime, n);

	r->done = false;
	r->why = NULL;
	switch (order->step) {
	case RECODE_NOTHING:
		break;
	case RECODE_LABEL:
		r->done = true;
		if (n > 0) {
			begin_change(r, 0);
			put_header(r, part, order->to);
		}
		return order->to;
	case RECODE_ENCODE:
		put_part(r, n, order->to, body_at(r, part->content), part->end - part->content);
		return order->to;
	case RECODE_DECODE:
		return decode_part(r, n, order);
	}
	return part->label;
}

void
recode_end(struct recoder *r)
{
	if (r->changed)
		copy_to(r, r->mime->message->body.len);
}
