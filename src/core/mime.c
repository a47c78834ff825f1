/*
 * mime - the parts of a message, by a strict reader; see mime.h.
 *
 * One pass from line to line.  Only lines that begin with "--" matter: each is held against the
 * boundaries of the multiparts that are open at this place.  Whoever begins as a boundary line must
 * be one to the last octet, of the innermost multipart that is not closed; a multipart must be
 * closed before the next part around it begins.  So readers that look for boundaries from the
 * inside out, from the outside in, by their beginning or by the whole line, with CRLF or with LF,
 * all cut at the same places.  What they could not agree on ends the reading with a doubt:
 *	- a boundary that is another one's beginning, or its equal, wherever in the message that is,
 *	- boundary lines with blanks behind them, after a bare LF or CR, after their multipart was
 *	  closed, anywhere outside of their multipart,
 *	- a multipart without parts, without a boundary or with two, that is not closed, that is
 *	  encoded,
 *	- in a part's header: lines that are no field and no continuation, blank continuation lines,
 *	  blanks before a colon, bare CR or LF, NUL, no empty line at the end,
 *	- a message/rfc822 part that mentions the boundary of the multipart around it: its own may
 *	  be equal.
 *
 * Parts are a few words each in one array; the octets stay where they are.  Everything is bounded
 * by the limits of mime.h before it is allocated.
 */
#include "core/mime.h"
#include "core/mime_header.h"

#include <string.h>

#define NO_PART G_MAXUINT

struct scan {
	struct mime *mime;
	const char *body;
	size_t len;
	guint open[MIME_DEPTH_MAX];  /* multiparts that have not ended, the innermost last */
	bool closed[MIME_DEPTH_MAX]; /* its last boundary line has been seen */
	unsigned depth;
	guint leaf;         /* the part whose content is running; NO_PART: none */
	size_t pieces;      /* MIME_PIECES_MAX */
	size_t outside;     /* MIME_OUTSIDE_MAX */
	size_t outside_at;  /* where octets outside of parts began */
	size_t looks;       /* MIME_LOOKS_MAX */
	size_t lines_found; /* boundary lines */
};

static struct part *
part_at(const struct mime *mime, guint n)
{
	return &g_array_index(mime->parts, struct part, n);
}

const struct part *
mime_part(const struct mime *mime, guint n)
{
	return part_at(mime, n);
}

static bool
doubt(struct scan *s, const char *why)
{
	if (s->mime->doubt == NULL)
		s->mime->doubt = why;
	return false;
}

/* ---- lines */

/*
 * The next line from at, the beginning of a line, that begins with "--"; len if there is none.
 * Looks for "-", which is rare, and from there for the next line.
 */
static size_t
next_mark(const char *data, size_t len, size_t at)
{
	const char *begin = data + at, *end = data + len, *p = begin;

	while (end - p >= 2 && (p = memchr(p, '-', (size_t)(end - p))) != NULL) {
		if ((p == begin || p[-1] == '\n') && end - p >= 2 && p[1] == '-')
			return (size_t)(p - data);
		p = memchr(p, '\n', (size_t)(end - p));
		if (p == NULL)
			break;
		p++;
	}
	return len;
}

/* Where the line ends: at its LF, or at the end of the data. */
static size_t
line_end(const char *data, size_t len, size_t at)
{
	const char *lf = memchr(data + at, '\n', len - at);

	return lf != NULL ? (size_t)(lf - data) : len;
}

static bool
begins_with(const char *data, size_t len, struct octets boundary)
{
	return len >= boundary.len && memcmp(data, boundary.data, boundary.len) == 0;
}

/* ---- headers of parts */

/* The octets of a name before its colon; 0 if the line is no field. */
static size_t
name_length(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && line[n] > ' ' && line[n] < 127 && line[n] != ':')
		n++;
	return n < len && line[n] == ':' ? n : 0;
}

static bool
is_blank_line(const char *line, size_t len)
{
	while (len > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		len--;
	}
	return len == 0;
}

struct header_scan {
	struct mime_header header;
	struct octets name, value; /* of the field that is running; name.len 0: none */
	size_t label_at, label_end;
};

static void
end_field(struct scan *s, struct header_scan *h)
{
	if (h->name.len == 0)
		return;
	mime_header_take(&h->header, h->name, h->value);
	if (h->header.encodings == 1 && h->header.encoding.data == h->value.data) {
		h->label_at = (size_t)(h->value.data - s->body);
		h->label_end = h->label_at + h->value.len;
	}
	h->name.len = 0;
}

/* Takes a line of a header, without its CRLF. */
static bool
take_header_line(struct scan *s, struct header_scan *h, const char *line, size_t len)
{
	size_t name_len;

	if (memchr(line, '\r', len) != NULL || memchr(line, '\0', len) != NULL)
		return doubt(s, "structure");
	if (line[0] == ' ' || line[0] == '\t') {
		if (h->name.len == 0 || is_blank_line(line, len))
			return doubt(s, "structure");
		h->value.len = (size_t)(line + len - h->value.data);
		return true;
	}
	end_field(s, h);
	name_len = name_length(line, len);
	if (name_len == 0 || (line[0] == '-' && line[1] == '-'))
		return doubt(s, "structure");
	h->name = (struct octets){line, name_len};
	h->value = (struct octets){line + name_len + 1, len - name_len - 1};
	return s->pieces + h->header.pieces < MIME_PIECES_MAX || doubt(s, "too-many-parts");
}

/* Reads a header from at on; *content is where the empty line behind it ends. */
static bool
read_header(struct scan *s, size_t at, struct header_scan *h, size_t *content)
{
	for (;;) {
		size_t lf = line_end(s->body, s->len, at);

		if (lf == s->len || lf == at || s->body[lf - 1] != '\r')
			return doubt(s, "structure");
		if (lf - 1 == at)
			break;
		if (!take_header_line(s, h, s->body + at, lf - 1 - at))
			return false;
		at = lf + 1;
	}
	end_field(s, h);
	*content = at + 2;
	s->pieces += h->header.pieces;
	return s->pieces <= MIME_PIECES_MAX || doubt(s, "too-many-parts");
}

/* Counts octets that are no content. */
static bool
count_outside(struct scan *s, size_t from, size_t to)
{
	s->outside += to - MIN(to, from);
	return s->outside <= MIME_OUTSIDE_MAX || doubt(s, "structure");
}

/* ---- parts */

static bool
open_multipart(struct scan *s, guint n)
{
	if (s->depth == MIME_DEPTH_MAX)
		return doubt(s, "too-deep");
	s->open[s->depth] = n;
	s->closed[s->depth++] = false;
	s->leaf = NO_PART;
	s->outside_at = part_at(s->mime, n)->content;
	return true;
}

/* A part begins behind a boundary line of the innermost multipart. */
static bool
begin_part(struct scan *s, size_t at)
{
	guint n = s->mime->parts->len, parent = s->open[s->depth - 1];
	struct header_scan h = {0};
	struct part part = {.parent = parent, .depth = s->depth, .header = at};
	const char *why;

	if (n == MIME_PARTS_MAX)
		return doubt(s, "too-many-parts");
	if (!read_header(s, at, &h, &part.content) || !count_outside(s, at, part.content))
		return false;
	why = mime_header_settle(&h.header, part_at(s->mime, parent), &part);
	if (why != NULL)
		return doubt(s, why);
	part.label_at = h.label_at;
	part.label_end = h.label_end;
	part.end = part.content;
	part_at(s->mime, parent)->children++;
	g_array_append_val(s->mime->parts, part);
	s->leaf = n;
	return part.kind != PART_MULTIPART || open_multipart(s, n);
}

/*
 * True if what is in the part, a message perhaps, may have the boundary of the multipart around it.
 */
static bool
hides_boundary(const struct scan *s, const struct part *part)
{
	const struct part *parent = part_at(s->mime, part->parent);

	return (part->kind == PART_MESSAGE || part->broken != NULL) &&
	       memmem(s->body + part->content, part->end - part->content, parent->boundary.data,
		      parent->boundary.len) != NULL;
}

/* What runs ends before the boundary line at this place, whose CRLF before it belongs to it. */
static bool
end_running(struct scan *s, size_t at)
{
	struct part *part;

	if (s->leaf == NO_PART)
		return count_outside(s, s->outside_at, at);
	part = part_at(s->mime, s->leaf);
	part->end = MAX(part->content, at - 2);
	s->leaf = NO_PART;
	return !hides_boundary(s, part) || doubt(s, "structure");
}

/* The multiparts inside of the one at level end; false if one of them is not closed. */
static bool
end_inner(struct scan *s, unsigned level, size_t at)
{
	while (s->depth > level + 1) {
		struct part *part = part_at(s->mime, s->open[--s->depth]);

		if (!s->closed[s->depth])
			return doubt(s, "structure");
		part->end = MAX(part->content, at - 2);
	}
	return true;
}

/*
 * Takes a line that begins as a boundary line of the multipart at level does; *at moves behind what
 * was read.
 */
static bool
take_boundary(struct scan *s, unsigned level, size_t *at)
{
	const struct part *multipart = part_at(s->mime, s->open[level]);
	size_t lf = line_end(s->body, s->len, *at), rest = *at + 2 + multipart->boundary.len;
	size_t end = lf < s->len ? lf - 1 : lf; /* without CR */
	bool close = end == rest + 2 && s->body[rest] == '-' && s->body[rest + 1] == '-';

	if ((*at > 0 && (*at == 1 || s->body[*at - 2] != '\r')) ||
	    (lf < s->len && s->body[end] != '\r') || (end != rest && !close) ||
	    (!close && lf == s->len) || s->closed[level])
		return doubt(s, "structure");
	s->lines_found++;
	if (!end_running(s, *at) || !end_inner(s, level, *at))
		return false;
	*at = MIN(lf + 1, s->len);
	if (!close)
		return begin_part(s, *at) &&
		       (*at = part_at(s->mime, s->mime->parts->len - 1)->content, true);
	if (multipart->children == 0)
		return doubt(s, "structure");
	s->closed[level] = true;
	s->outside_at = *at;
	return true;
}

/* The open multipart as whose boundary line the line at this place begins; -1: none. */
static int
open_boundary(const struct scan *s, size_t at)
{
	for (unsigned level = s->depth; level-- > 0;)
		if (begins_with(s->body + at + 2, s->len - at - 2,
				part_at(s->mime, s->open[level])->boundary))
			return (int)level;
	return -1;
}

static bool
scan_body(struct scan *s)
{
	size_t at = next_mark(s->body, s->len, 0);

	while (at < s->len) {
		int level = open_boundary(s, at);

		s->looks += s->depth;
		if (s->looks > MIME_LOOKS_MAX)
			return doubt(s, "too-many-parts");
		if (level >= 0 && !take_boundary(s, (unsigned)level, &at))
			return false;
		if (level < 0)
			at = MIN(line_end(s->body, s->len, at) + 1, s->len);
		at = next_mark(s->body, s->len, at);
	}
	if (!end_running(s, s->len + 2) || !end_inner(s, 0, s->len + 2))
		return false;
	return s->closed[0] || doubt(s, "structure");
}

/* ---- all boundaries of the message */

static int
compare_boundaries(gconstpointer a, gconstpointer b)
{
	const struct octets *x = *(const struct octets *const *)a,
			    *y = *(const struct octets *const *)b;
	int order = memcmp(x->data, y->data, MIN(x->len, y->len));

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/*
 * Collects the boundaries; false if one is the beginning of another: then it is so of its
 * neighbour.
 */
static bool
collect_boundaries(struct scan *s)
{
	GPtrArray *all = s->mime->boundaries;

	for (guint n = 0; n < s->mime->parts->len; n++)
		if (part_at(s->mime, n)->kind == PART_MULTIPART)
			g_ptr_array_add(all, &part_at(s->mime, n)->boundary);
	g_ptr_array_sort(all, compare_boundaries);
	for (guint n = 1; n < all->len; n++) {
		const struct octets *a = all->pdata[n - 1], *b = all->pdata[n];

		if (begins_with(b->data, b->len, *a))
			return doubt(s, "structure");
	}
	return true;
}

/*
 * True if the octets behind a "--" begin with any boundary: if so, with the greatest that is not
 * above them.
 */
static bool
any_boundary(const struct mime *mime, const char *data, size_t len)
{
	struct octets here = {data, len};
	const struct octets *key = &here;
	guint low = 0, high = mime->boundaries->len;

	while (low < high) {
		guint middle = low + (high - low) / 2;

		if (compare_boundaries(&mime->boundaries->pdata[middle], &key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 &&
	       begins_with(data, len, *(const struct octets *)mime->boundaries->pdata[low - 1]);
}

static size_t
count_boundaries(const struct mime *mime, const char *data, size_t len, size_t most)
{
	size_t count = 0, at = next_mark(data, len, 0);

	while (at < len && count < most) {
		count += any_boundary(mime, data + at + 2, len - at - 2);
		at = next_mark(data, len, MIN(line_end(data, len, at) + 1, len));
	}
	return count;
}

bool
mime_has_boundary(const struct mime *mime, const char *data, size_t len)
{
	return mime->boundaries->len > 0 && count_boundaries(mime, data, len, 1) > 0;
}

/* True if a boundary follows a CR that ends no line: some readers take it for a line end. */
static bool
boundary_after_cr(const struct mime *mime, const char *data, size_t len)
{
	const char *p = data, *end = data + len;

	while (p < end && (p = memchr(p, '\r', (size_t)(end - p))) != NULL) {
		p++;
		if (end - p >= 2 && p[0] == '-' && p[1] == '-' &&
		    any_boundary(mime, p + 2, (size_t)(end - p) - 2))
			return true;
	}
	return false;
}

/*
 * No line outside of its multipart may begin as a boundary line: some readers would know it again.
 * With one multipart there is no outside.
 */
static bool
check_strays(struct scan *s, bool bare_cr)
{
	if (s->mime->boundaries->len > 1 &&
	    count_boundaries(s->mime, s->body, s->len, (size_t)-1) != s->lines_found)
		return doubt(s, "structure");
	if (bare_cr && boundary_after_cr(s->mime, s->body, s->len))
		return doubt(s, "structure");
	return true;
}

/* ---- the whole message */

/* Reads the message's own header into part 0. */
static bool
read_message_header(struct scan *s)
{
	const struct message *m = s->mime->message;
	struct mime_header h = {0};
	struct part part = {.end = s->len};
	unsigned versions = 0;
	bool bare_cr = false;
	const char *why;

	for (guint i = 0; i < m->fields->len; i++) {
		const struct field *f = &g_array_index(m->fields, struct field, i);

		/* Some readers take a lone CR for a line end, and so for the end of the header. */
		bare_cr = bare_cr || memchr(f->value, '\r', f->value_len) != NULL;
		if (g_ascii_tolower(f->name[0]) == 'm')
			versions += field_is(f, "MIME-Version");
		if (f->name_len < 8 || g_ascii_strncasecmp(f->name, "Content-", 8) != 0)
			continue;
		mime_header_take(&h, (struct octets){f->name, f->name_len},
				 (struct octets){f->value, f->value_len});
		if (field_is(f, "Content-Transfer-Encoding"))
			s->mime->label_field = (int)i;
	}
	why = mime_header_settle(&h, NULL, &part);
	g_array_append_val(s->mime->parts, part);
	if (bare_cr || versions > 1 || h.types > 1 || h.encodings > 1 || h.dispositions > 1)
		why = "header";
	s->pieces = h.pieces;
	if (h.pieces > MIME_PIECES_MAX)
		why = "too-many-parts";
	return why == NULL || doubt(s, why);
}

struct mime *
mime_read(const struct message *m, const struct survey *body)
{
	struct mime *mime = g_new0(struct mime, 1);
	struct scan s = {.mime = mime, .body = m->body.data, .len = m->body.len, .leaf = NO_PART};

	mime->message = m;
	mime->parts = g_array_new(FALSE, FALSE, sizeof(struct part));
	mime->boundaries = g_ptr_array_new();
	mime->label_field = -1;
	if (s.body == NULL)
		s.body = "";
	if (read_message_header(&s) && part_at(mime, 0)->kind == PART_MULTIPART)
		(void)(open_multipart(&s, 0) && scan_body(&s) && collect_boundaries(&s) &&
		       check_strays(&s, body->has_bare_cr));
	return mime;
}

void
mime_free(struct mime *mime)
{
	if (mime == NULL)
		return;
	g_array_free(mime->parts, TRUE);
	g_ptr_array_free(mime->boundaries, TRUE);
	g_free(mime);
}
