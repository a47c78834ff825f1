/*
 * mime_header - what the Content-* fields of one header say; see mime_header.h.
 *
 * Only the plain forms of RFC 2045 count: tokens and quoted strings, no comments, each field once.
 * What else may be in Content-Type does no harm behind the type of a leaf, which stays as it is; in
 * that of a multipart, where the boundary stands, every parameter must be well-formed.
 *
 * Nothing is allocated, nothing can fail.
 */
#include "core/mime_header.h"

#include <string.h>

#define BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */

/* What is left to read of a value. */
struct reader {
	const char *p, *end;
};

static bool
octets_are(struct octets o, const char *word)
{
	return o.len == strlen(word) && g_ascii_strncasecmp(o.data, word, o.len) == 0;
}

static bool
octets_begin(struct octets o, const char *word)
{
	size_t len = strlen(word);

	return o.len >= len && g_ascii_strncasecmp(o.data, word, len) == 0;
}

static bool
octets_contain(struct octets o, const char *word)
{
	for (; o.len > 0; o.data++, o.len--)
		if (octets_begin(o, word))
			return true;
	return false;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 2045 5.1: printable ASCII but the tspecials. */
static bool
is_token(char c)
{
	return c > ' ' && c < 127 && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* RFC 2046 5.1.1. */
static bool
is_boundary(char c)
{
	return g_ascii_isalnum(c) || (c != '\0' && strchr("'()+_,-./:=? ", c) != NULL);
}

static struct reader
reader_of(struct octets value)
{
	const char *data = value.data != NULL ? value.data : "";

	return (struct reader){data, data + value.len};
}

static void
skip_space(struct reader *r)
{
	while (r->p < r->end && is_space(*r->p))
		r->p++;
}

static bool
skip_char(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static bool
read_token(struct reader *r, struct octets *token)
{
	token->data = r->p;
	while (r->p < r->end && is_token(*r->p))
		r->p++;
	token->len = (size_t)(r->p - token->data);
	return token->len > 0;
}

/* A quoted string without quoted pairs and folds. */
static bool
read_quoted(struct reader *r, struct octets *text)
{
	if (!skip_char(r, '"'))
		return false;
	text->data = r->p;
	while (r->p < r->end && *r->p != '"' && *r->p != '\\' && *r->p != '\r' && *r->p != '\n')
		r->p++;
	text->len = (size_t)(r->p - text->data);
	return skip_char(r, '"');
}

void
mime_header_take(struct mime_header *h, struct octets name, struct octets value)
{
	h->pieces++;
	if (!octets_begin(name, "Content-"))
		return;
	for (size_t i = 0; i < value.len; i++)
		h->pieces += value.data[i] == ';';
	if (octets_are(name, "Content-Type")) {
		h->types++;
		h->type = value;
		h->multipart = h->multipart || octets_contain(value, "multipart");
	} else if (octets_are(name, "Content-Transfer-Encoding")) {
		h->encodings++;
		h->encoding = value;
	} else if (octets_are(name, "Content-Disposition")) {
		h->dispositions++;
		h->disposition = value;
	}
}

/* "type/subtype", then parameters or nothing. */
static bool
read_type(struct reader *r, struct octets *type)
{
	struct octets token;

	skip_space(r);
	type->data = r->p;
	if (!read_token(r, &token) || !skip_char(r, '/') || !read_token(r, &token))
		return false;
	type->len = (size_t)(r->p - type->data);
	skip_space(r);
	return r->p == r->end || *r->p == ';';
}

/* Moves behind "; name=value"; false, without a move, if there is none. */
static bool
read_parameter(struct reader *r, struct octets *name, struct octets *value)
{
	struct reader here = *r;

	if (!skip_char(&here, ';'))
		return false;
	skip_space(&here);
	if (!read_token(&here, name))
		return false;
	skip_space(&here);
	if (!skip_char(&here, '='))
		return false;
	skip_space(&here);
	if (!read_token(&here, value) && !read_quoted(&here, value))
		return false;
	skip_space(&here);
	*r = here;
	return true;
}

/* The boundary of a multipart, from behind the type; false if there is doubt. */
static bool
read_boundary(struct reader *r, struct octets *boundary)
{
	struct octets name, value;

	boundary->data = NULL;
	while (read_parameter(r, &name, &value)) {
		if (!octets_begin(name, "boundary"))
			continue;
		if (boundary->data != NULL || !octets_are(name, "boundary"))
			return false; /* twice, or in RFC 2231's pieces */
		*boundary = value;
	}
	if (skip_char(r, ';')) /* one too many, as much mail has it */
		skip_space(r);
	if (r->p != r->end || boundary->data == NULL || boundary->len == 0 ||
	    boundary->len > BOUNDARY_MAX || boundary->data[boundary->len - 1] == ' ')
		return false;
	for (size_t i = 0; i < boundary->len; i++)
		if (!is_boundary(boundary->data[i]))
			return false;
	return true;
}

static enum part_kind
kind_of(struct octets type)
{
	static const struct {
		const char *begin;
		enum part_kind kind;
	} kinds[] = {{"multipart/", PART_MULTIPART},
		     {"text/", PART_OTHER_TEXT},
		     {"message/", PART_MESSAGE}};

	if (octets_are(type, "text/html"))
		return PART_HTML;
	if (octets_are(type, "text/plain"))
		return PART_TEXT;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (octets_begin(type, kinds[i].begin))
			return kinds[i].kind;
	return PART_OTHER;
}

static const char *
settle_type(const struct mime_header *h, const struct part *parent, struct part *part)
{
	static const struct octets plain = {"text/plain", 10}, rfc822 = {"message/rfc822", 14};
	struct reader r = reader_of(h->type);

	if (h->types == 0) {
		part->type = parent != NULL && octets_are(parent->type, "multipart/digest") ? rfc822
											    : plain;
		part->kind = kind_of(part->type);
		return NULL;
	}
	if (h->types > 1 || !read_type(&r, &part->type)) {
		part->type = plain;
		part->kind = PART_OTHER_TEXT; /* it may be text */
		part->broken = "content-type";
		return h->multipart ? "structure" : NULL;
	}
	part->kind = kind_of(part->type);
	if (part->kind == PART_MULTIPART && !read_boundary(&r, &part->boundary))
		return "structure";
	return NULL;
}

static enum part_label
label_of(struct octets value)
{
	static const char *const words[] = {
		[LABEL_7BIT] = "7bit",     [LABEL_8BIT] = "8bit",
		[LABEL_BINARY] = "binary", [LABEL_QUOTED_PRINTABLE] = "quoted-printable",
		[LABEL_BASE64] = "base64",
	};

	while (value.len > 0 && is_space(value.data[0])) {
		value.data++;
		value.len--;
	}
	while (value.len > 0 && is_space(value.data[value.len - 1]))
		value.len--;
	for (int label = LABEL_7BIT; label <= LABEL_BASE64; label++)
		if (octets_are(value, words[label]))
			return (enum part_label)label;
	return LABEL_UNKNOWN;
}

static void
settle_label(const struct mime_header *h, struct part *part)
{
	if (h->encodings == 1)
		part->label = label_of(h->encoding);
	else
		part->label = h->encodings == 0 ? LABEL_NONE : LABEL_UNKNOWN;
	if (part->label == LABEL_UNKNOWN && part->broken == NULL)
		part->broken = h->encodings == 1 ? "unknown-encoding" : "two-encodings";
}

/* RFC 2183: anything but "inline" may be an attachment, what cannot be read included. */
static bool
is_attachment(const struct mime_header *h)
{
	struct reader r = reader_of(h->disposition);
	struct octets word;

	if (h->dispositions == 0)
		return false;
	skip_space(&r);
	if (h->dispositions > 1 || !read_token(&r, &word) || !octets_are(word, "inline"))
		return true;
	skip_space(&r);
	return r.p != r.end && *r.p != ';';
}

const char *
mime_header_settle(const struct mime_header *h, const struct part *parent, struct part *part)
{
	const char *doubt = settle_type(h, parent, part);

	settle_label(h, part);
	part->attachment = is_attachment(h) || (parent != NULL && parent->attachment);
	if (parent != NULL)
		part->sealed = parent->sealed;
	if (doubt != NULL || part->kind != PART_MULTIPART)
		return doubt;
	if (octets_are(part->type, "multipart/signed"))
		part->sealed = "signed";
	else if (octets_are(part->type, "multipart/encrypted"))
		part->sealed = "encrypted";
	/* Its parts' encodings are their own: RFC 2045 6.4 forbids another one around them. */
	return part->label >= LABEL_QUOTED_PRINTABLE ? "encoded-multipart" : NULL;
}
