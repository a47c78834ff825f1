/*
 * eml - a message in a file; see eml.h.
 */
#include "ctl/eml.h"

#include <string.h>

bool
eml_read(struct eml *e, FILE *in)
{
	char chunk[65536];
	size_t n;

	memset(e, 0, sizeof *e);
	while ((n = fread(chunk, 1, sizeof chunk, in)) > 0)
		buf_add(&e->octets, chunk, n);
	return !ferror(in) && !buf_failed(&e->octets);
}

void
eml_free(struct eml *e)
{
	buf_free(&e->octets);
}

/* Length of the line at text with its end; *content without it. */
static size_t
line_length(const char *text, size_t len, size_t *content)
{
	const char *lf = memchr(text, '\n', len);
	size_t line = lf != NULL ? (size_t)(lf - text) + 1 : len;

	*content = lf != NULL ? line - 1 : line;
	if (lf != NULL && *content > 0 && text[*content - 1] == '\r')
		(*content)--;
	return line;
}

/* Length of the field name if the line begins a header field, else 0: printable ASCII, blanks, colon. */
static size_t
name_length(const char *line, size_t len)
{
	size_t n = 0, colon;

	while (n < len && line[n] > 32 && line[n] < 127 && line[n] != ':')
		n++;
	for (colon = n; colon < len && (line[colon] == ' ' || line[colon] == '\t');)
		colon++;
	return n > 0 && colon < len && line[colon] == ':' ? colon : 0;
}

/* Reads one field with its continuation lines; returns its length, 0 if there is none. */
static size_t
parse_field(const char *text, size_t len, struct message *m)
{
	struct buf value = BUF_INIT;
	size_t content, at = line_length(text, len, &content);
	size_t name = name_length(text, content);

	if (name == 0)
		return 0;
	buf_add(&value, text + name + 1, content - name - 1);
	while (at < len && (text[at] == ' ' || text[at] == '\t')) {
		size_t line = line_length(text + at, len - at, &content);

		buf_add(&value, "\n", 1);
		buf_add(&value, text + at, content);
		at += line;
	}
	message_add_field(m, text, name, value.data != NULL ? value.data : "", value.len);
	m->damaged = m->damaged || buf_failed(&value);
	buf_free(&value);
	return at;
}

/* The body as it travels: every line ends with CRLF. */
static void
parse_body(const char *text, size_t len, struct message *m)
{
	while (len > 0) {
		size_t content, line = line_length(text, len, &content);

		message_add_body(m, text, content);
		message_add_body(m, "\r\n", 2);
		text += line;
		len -= line;
	}
}

void
eml_parse(struct eml *e, struct message *m)
{
	const char *text = e->octets.data != NULL ? e->octets.data : "";
	size_t len = e->octets.len, at = 0, n, content = 0;

	if (len > 0) {
		n = line_length(text, len, &content);
		e->crlf = n - content == 2;
	}
	while (at < len && (n = parse_field(text + at, len - at, m)) > 0)
		at += n;
	if (at < len) {
		n = line_length(text + at, len - at, &content);
		e->separator = content == 0;
		at += e->separator ? n : 0;
	}
	e->body = at;
	parse_body(text + at, len - at, m);
}

struct writer {
	FILE *out;
	const char *end; /* of a line */
};

static void
write_field(const struct field *f, void *context)
{
	const struct writer *w = context;
	const char *value = f->value, *lf;
	size_t len = f->value_len;

	fwrite(f->name, 1, f->name_len, w->out);
	fputc(':', w->out);
	while ((lf = memchr(value, '\n', len)) != NULL) {
		fwrite(value, 1, (size_t)(lf - value), w->out);
		fputs(w->end, w->out);
		len -= (size_t)(lf - value) + 1;
		value = lf + 1;
	}
	fwrite(value, 1, len, w->out);
	fputs(w->end, w->out);
}

/* A body of ours has CRLF line ends only. */
static void
write_body(const struct buf *body, const struct writer *w)
{
	const char *p = body->data, *end = p + body->len, *cr;

	while ((cr = memchr(p, '\r', (size_t)(end - p))) != NULL && cr + 1 < end) {
		fwrite(p, 1, (size_t)(cr - p), w->out);
		if (cr[1] == '\n')
			fputs(w->end, w->out);
		else
			fwrite(cr, 1, 2, w->out);
		p = cr + 2;
	}
	fwrite(p, 1, (size_t)(end - p), w->out);
}

void
eml_write(const struct eml *e, const struct plan *plan, FILE *out)
{
	struct writer w = {out, e->crlf ? "\r\n" : "\n"};

	image_each(plan->image, write_field, &w);
	/* Header and body must stay apart where the header ended without an empty line. */
	if (e->separator || e->body < e->octets.len)
		fputs(w.end, out);
	if (plan->new_body && plan->body.len > 0)
		write_body(&plan->body, &w);
	else if (e->body < e->octets.len)
		fwrite(e->octets.data + e->body, 1, e->octets.len - e->body, out);
}
