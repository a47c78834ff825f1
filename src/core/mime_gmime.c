/*
 * mime_gmime - GMime as the second reader of a message's structure; see mime_confirm() in mime.h.
 *
 * GMime gets the octets by a stream of our own that copies nothing and leaves out what the first
 * reader does not look into: messages in the message, and parts with a Content-Type that cannot be
 * relied on.  So it sees no header that has not been checked and counted: its memory and time stay
 * within the limits of mime.h, and nothing in it recurses deeper than MIME_DEPTH_MAX.  Then both
 * trees are compared node by node: kinds, types, number of children, boundaries, encodings, and the
 * range of each content.
 *
 * GMime registers its classes at first use and without locks: that happens under pthread_once().
 */
#include "core/mime.h"

#include <gmime/gmime.h>
#include <pthread.h>
#include <string.h>

/* ---- a stream over several ranges of memory, for one reading from the beginning to the end */

struct ranges {
	GMimeStream parent;
	GArray *ranges; /* of struct octets */
	guint current;
	size_t offset; /* in the current one */
};

struct ranges_class {
	GMimeStreamClass parent;
};

typedef struct ranges Ranges;
typedef struct ranges_class RangesClass;

static GType ranges_get_type(void);
G_DEFINE_TYPE(Ranges, ranges, g_mime_stream_get_type())

static ssize_t
ranges_read(GMimeStream *stream, char *buf, size_t len)
{
	Ranges *r = (Ranges *)stream;
	size_t done = 0;

	while (done < len && r->current < r->ranges->len) {
		const struct octets *o = &g_array_index(r->ranges, struct octets, r->current);
		size_t n = MIN(len - done, o->len - r->offset);

		if (n > 0)
			memcpy(buf + done, o->data + r->offset, n);
		done += n;
		r->offset += n;
		if (r->offset == o->len) {
			r->current++;
			r->offset = 0;
		}
	}
	stream->position += (gint64)done;
	return (ssize_t)done;
}

static gboolean
ranges_eos(GMimeStream *stream)
{
	const Ranges *r = (const Ranges *)stream;

	return r->current == r->ranges->len;
}

/* Contents are asked for their bounds only. */
static GMimeStream *
ranges_substream(GMimeStream *stream, gint64 start, gint64 end)
{
	GMimeStream *bounds = g_mime_stream_null_new();

	(void)stream;
	g_mime_stream_set_bounds(bounds, start, end);
	return bounds;
}

static gint64
ranges_tell(GMimeStream *stream)
{
	return stream->position;
}

static void
ranges_finalize(GObject *object)
{
	g_array_free(((Ranges *)object)->ranges, TRUE);
	G_OBJECT_CLASS(ranges_parent_class)->finalize(object);
}

static void
ranges_class_init(RangesClass *class)
{
	class->parent.read = ranges_read;
	class->parent.eos = ranges_eos;
	class->parent.tell = ranges_tell;
	class->parent.substream = ranges_substream;
	G_OBJECT_CLASS(class)->finalize = ranges_finalize;
}

static void
ranges_init(Ranges *r)
{
	r->ranges = g_array_new(FALSE, FALSE, sizeof(struct octets));
	g_mime_stream_construct(&r->parent, 0, -1);
}

static size_t
ranges_add(Ranges *r, const char *data, size_t len)
{
	const struct octets o = {data, len};

	g_array_append_val(r->ranges, o);
	return len;
}

static GMimeMessage *
parse(Ranges *r)
{
	GMimeParser *parser = g_mime_parser_new_with_stream(&r->parent);
	GMimeMessage *message;

	g_mime_parser_set_persist_stream(parser, TRUE);
	message = g_mime_parser_construct_message(parser, NULL);
	g_object_unref(parser);
	return message;
}

/* ---- the classes */

static void
init(void)
{
	static const char every_class[] =
		"Content-Type: multipart/mixed; boundary=a\n\n"
		"--a\nContent-Type: multipart/signed; boundary=b\nContent-Disposition: "
		"inline\n\n--b\n\nx\n--b--\n"
		"--a\nContent-Type: multipart/encrypted; boundary=c\n\n--c\n\nx\n--c--\n"
		"--a\nContent-Type: message/rfc822\n\nSubject: x\n\nx\n"
		"--a\nContent-Type: message/partial; id=x; number=1; total=2\n\nx\n"
		"--a\nContent-Type: application/pkcs7-mime\n\nx\n"
		"--a\nContent-Type: application/octet-stream; name*=utf-8''x\n\nx\n"
		"--a--\n";
	Ranges *r;
	GMimeMessage *message;

	g_mime_init();
	r = g_object_new(ranges_get_type(), NULL);
	ranges_add(r, every_class, sizeof every_class - 1);
	message = parse(r);
	g_object_unref(message);
	g_object_unref(r);
}

/* ---- comparing */

struct walk {
	const struct mime *mime;
	guint next;   /* part */
	gint64 shift; /* of an offset in the body to one in the stream */
};

/* True if GMime does not get to see the content. */
static bool
is_hidden(const struct part *part)
{
	return part->kind == PART_MESSAGE || part->broken != NULL;
}

static bool
same_type(const struct part *part, GMimeObject *object)
{
	GMimeContentType *type = g_mime_object_get_content_type(object);
	const char *media = type != NULL ? g_mime_content_type_get_media_type(type) : NULL;
	const char *subtype = type != NULL ? g_mime_content_type_get_media_subtype(type) : NULL;
	size_t len;

	if (media == NULL || subtype == NULL)
		return false;
	len = strlen(media);
	return part->type.len == len + 1 + strlen(subtype) &&
	       g_ascii_strncasecmp(part->type.data, media, len) == 0 &&
	       part->type.data[len] == '/' &&
	       g_ascii_strncasecmp(part->type.data + len + 1, subtype, strlen(subtype)) == 0;
}

static bool
same_encoding(const struct part *part, GMimePart *object)
{
	static const GMimeContentEncoding encodings[] = {
		[LABEL_NONE] = GMIME_CONTENT_ENCODING_DEFAULT,
		[LABEL_7BIT] = GMIME_CONTENT_ENCODING_7BIT,
		[LABEL_8BIT] = GMIME_CONTENT_ENCODING_8BIT,
		[LABEL_BINARY] = GMIME_CONTENT_ENCODING_BINARY,
		[LABEL_QUOTED_PRINTABLE] = GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
		[LABEL_BASE64] = GMIME_CONTENT_ENCODING_BASE64,
	};

	return part->label < LABEL_UNKNOWN &&
	       g_mime_part_get_content_encoding(object) == encodings[part->label];
}

static bool
same_leaf(const struct walk *w, const struct part *part, GMimeObject *object)
{
	GMimeDataWrapper *content;
	GMimeStream *stream;

	if (!GMIME_IS_PART(object) || !same_type(part, object) ||
	    !same_encoding(part, GMIME_PART(object)))
		return false;
	content = g_mime_part_get_content(GMIME_PART(object));
	stream = content != NULL ? g_mime_data_wrapper_get_stream(content) : NULL;
	return stream != NULL && stream->bound_start == w->shift + (gint64)part->content &&
	       stream->bound_end == w->shift + (gint64)part->end;
}

/* Recursion is bounded by our own tree's depth. */
static bool
same_tree(struct walk *w, GMimeObject *object)
{
	const struct part *part = mime_part(w->mime, w->next++);
	GMimeMultipart *multipart;
	const char *boundary;

	if (is_hidden(part)) {
		w->shift -= (gint64)(part->end - part->content);
		return !GMIME_IS_MULTIPART(object);
	}
	if (part->kind != PART_MULTIPART)
		return same_leaf(w, part, object);
	if (!GMIME_IS_MULTIPART(object) || !same_type(part, object))
		return false;
	multipart = GMIME_MULTIPART(object);
	boundary = g_mime_object_get_content_type_parameter(object, "boundary");
	if (g_mime_multipart_get_count(multipart) != (int)part->children || boundary == NULL ||
	    strlen(boundary) != part->boundary.len ||
	    memcmp(boundary, part->boundary.data, part->boundary.len) != 0)
		return false;
	for (guint i = 0, n = part->children; i < n; i++)
		if (!same_tree(w, g_mime_multipart_get_part(multipart, (int)i)))
			return false;
	return true;
}

/* The header that matters, and the body without what is hidden; returns where the body begins. */
static size_t
add_message(Ranges *r, const struct mime *mime)
{
	const struct field *type = message_field(mime->message, "Content-Type", 0);
	const struct buf *body = &mime->message->body;
	size_t start, at = 0;

	start = ranges_add(r, "Content-Type:", 13);
	start += ranges_add(r, type->value, type->value_len);
	start += ranges_add(r, "\r\n\r\n", 4);
	for (guint n = 0; n < mime->parts->len; n++) {
		const struct part *part = mime_part(mime, n);

		if (!is_hidden(part))
			continue;
		ranges_add(r, body->data + at, part->content - at);
		at = part->end;
	}
	ranges_add(r, body->data + at, body->len - at);
	/*
	 * Of a last line without line end GMime miscounts: it gives the CR before that line to the
	 * content.
	 */
	ranges_add(r, "\r\n", 2);
	return start;
}

bool
mime_confirm(const struct mime *mime)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct walk walk = {.mime = mime};
	GMimeMessage *message;
	Ranges *r;
	bool same;

	pthread_once(&once, init);
	r = g_object_new(ranges_get_type(), NULL);
	walk.shift = (gint64)add_message(r, mime);
	message = parse(r);
	same = message != NULL && message->mime_part != NULL &&
	       same_tree(&walk, message->mime_part) && walk.next == mime->parts->len;
	g_clear_object(&message);
	g_object_unref(r);
	return same;
}
