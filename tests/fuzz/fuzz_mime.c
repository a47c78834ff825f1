/*
 * fuzz_mime - stage_encode over hostile messages (FAULTS C).
 *
 * Input: an octet chooses the rules, another the line ends of the body ('0': LF stands for CRLF;
 * '1': as they are); the rest is a header, an empty line and a body.  What must hold:
 *	- GMime, an independent reader, finds the same tree before and after: types, and the decoded
 *	  content of every leaf to the octet;
 *	- octets outside of contents are the same, but for labels (Content-Transfer-Encoding);
 *	- no line of what was encoded is longer than 76 octets;
 *	- doing it once more changes nothing.
 */
#include "fuzz.h"

#include "core/codec.h"
#include "core/pipeline.h"

#include <gmime/gmime.h>
#include <string.h>

#define LABEL "Content-Transfer-Encoding:"

static struct settings *settings;

static void
prepare(void)
{
	g_mime_init();
	settings = fuzz_settings("pools = ( { name = \"acme\"; sender_domain = \"example.com\"; "
				 "spf_domain = \"b.example.com\"; dkim_selector = \"s1\"; "
				 "dkim_key = \"@D/key.pem\"; } );\n");
}

struct rules {
	int global, html, text;
	bool safe;
};

static const struct rules rule_sets[] = {
	{ENCODING_KEEP, ENCODING_KEEP, ENCODING_KEEP, true},
	{ENCODING_QUOTED_PRINTABLE, ENCODING_QUOTED_PRINTABLE, ENCODING_QUOTED_PRINTABLE, true},
	{ENCODING_BASE64, ENCODING_BASE64, ENCODING_BASE64, true},
	{ENCODING_8BIT, ENCODING_8BIT, ENCODING_8BIT, true},
	{ENCODING_KEEP, ENCODING_BASE64, ENCODING_QUOTED_PRINTABLE, true},
	{ENCODING_8BIT, ENCODING_QUOTED_PRINTABLE, ENCODING_BASE64, false},
	{ENCODING_QUOTED_PRINTABLE, ENCODING_KEEP, ENCODING_8BIT, true},
	{ENCODING_8BIT, ENCODING_8BIT, ENCODING_8BIT, false},
};

/* ---- messages */

/* The octets of a field's name before its colon, as MTAs know one; 0: none. */
static size_t
name_length(const char *line)
{
	size_t n = 0;

	while (line[n] > ' ' && line[n] < 127 && line[n] != ':')
		n++;
	return line[n] == ':' ? n : 0;
}

/* Takes a field with its continuation lines off the input; false at the empty line or the end. */
static bool
take_field(struct input *in, struct message *m)
{
	char *line = input_line(in);
	size_t name = name_length(line);
	GString *value = g_string_new(name > 0 ? line + name + 1 : NULL);
	bool more = *line != '\0' && in->len > 0;

	while (more && in->len > 0 && (*in->data == ' ' || *in->data == '\t')) {
		char *next = input_line(in);

		g_string_append_c(value, '\n');
		g_string_append(value, next);
		g_free(next);
	}
	if (name > 0)
		message_add_field(m, line, name, value->str, value->len);
	g_string_free(value, TRUE);
	g_free(line);
	return more;
}

static struct message *
take_message(struct input *in)
{
	struct message *m = message_new("a@example.com", 1 << 20);
	bool raw = input_choice(in, 2) == 1;

	while (take_field(in, m))
		;
	for (size_t i = 0; i < in->len; i++) {
		if (in->data[i] == '\n' && !raw)
			message_add_body(m, "\r", 1);
		message_add_body(m, in->data + i, 1);
	}
	message_seal(m);
	return m;
}

static void
add_field(const struct field *f, void *m)
{
	message_add_field(m, f->name, f->name_len, f->value, f->value_len);
}

/* The message as it goes out. */
static struct message *
result_of(const struct plan *plan, const struct message *m)
{
	struct message *result = message_new("a@example.com", 1 << 22);
	size_t len;
	const char *body = plan_body(plan, m, &len);

	image_each(plan->image, add_field, result);
	message_add_body(result, body, len);
	message_seal(result);
	return result;
}

static struct plan *
encode(const struct message *m, const struct rules *rules)
{
	static struct isp isp;
	const struct job job = {.settings = settings, .message = m};
	struct plan *plan = plan_new(m);

	isp.encoding.global = rules->global;
	isp.encoding.html = rules->html;
	isp.encoding.text = rules->text;
	settings->safe_encoding = rules->safe;
	plan->pool = g_ptr_array_index(settings->pools, 0);
	plan->isp = &isp;
	require(stage_encode(&job, plan));
	return plan;
}

/* ---- the independent reader */

struct leaf {
	char *type;          /* depth and Content-Type with its parameters */
	GByteArray *content; /* decoded */
	gint64 start, end;   /* of the content as it stands, in the text */
};

struct reading {
	GByteArray *text;
	size_t body; /* where it begins in the text */
	GArray *leaves;
	unsigned depth;
};

/* The fields that say what the message is; GMime leaks when it reads odd addresses. */
static void
append_field(const struct field *f, GByteArray *text)
{
	if (g_ascii_strncasecmp(f->name, "Content-", 8) != 0)
		return;
	g_byte_array_append(text, (const guint8 *)f->name, (guint)f->name_len);
	g_byte_array_append(text, (const guint8 *)":", 1);
	for (size_t i = 0; i < f->value_len; i++) {
		if (f->value[i] == '\n')
			g_byte_array_append(text, (const guint8 *)"\r", 1);
		g_byte_array_append(text, (const guint8 *)f->value + i, 1);
	}
	g_byte_array_append(text, (const guint8 *)"\r\n", 2);
}

static void
read_leaf(struct reading *r, GMimeObject *object)
{
	GMimeContentType *type = g_mime_object_get_content_type(object);
	GMimeStream *stream = g_mime_stream_mem_new(), *raw;
	GMimeDataWrapper *content =
		GMIME_IS_PART(object) ? g_mime_part_get_content(GMIME_PART(object)) : NULL;
	struct leaf leaf = {.start = -1, .end = -1};
	char *parameters = g_mime_content_type_encode(type, NULL);

	leaf.type = g_strdup_printf("%u %s", r->depth, parameters);
	leaf.content = g_byte_array_new();
	g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), leaf.content);
	if (content != NULL) {
		raw = g_mime_data_wrapper_get_stream(content);
		leaf.start = raw->bound_start;
		leaf.end = raw->bound_end;
		g_mime_data_wrapper_write_to_stream(content, stream);
	}
	g_array_append_val(r->leaves, leaf);
	g_free(parameters);
	g_object_unref(stream);
}

static void
read_object(struct reading *r, GMimeObject *object)
{
	r->depth++;
	if (GMIME_IS_MESSAGE_PART(object)) {
		GMimeMessage *message = g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));

		if (message != NULL && message->mime_part != NULL)
			read_object(r, message->mime_part);
	} else if (GMIME_IS_MULTIPART(object)) {
		int n = g_mime_multipart_get_count(GMIME_MULTIPART(object));

		for (int i = 0; i < n; i++)
			read_object(r, g_mime_multipart_get_part(GMIME_MULTIPART(object), i));
	} else {
		read_leaf(r, object);
	}
	r->depth--;
}

static void
leaf_clear(void *leaf)
{
	g_free(((struct leaf *)leaf)->type);
	g_byte_array_free(((struct leaf *)leaf)->content, TRUE);
}

static bool
is_multipart(const struct message *m)
{
	const struct field *type = message_field(m, "Content-Type", 0);

	return type != NULL && g_ascii_strncasecmp(type->value + strspn(type->value, " \t\r\n"),
						   "multipart/", 10) == 0;
}

/* Text first, then the leaves in their order. */
static struct reading
read_message(const struct message *m)
{
	struct reading r = {g_byte_array_new(), 0, g_array_new(FALSE, FALSE, sizeof(struct leaf)),
			    0};
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeMessage *message;

	for (guint i = 0; i < m->fields->len; i++)
		append_field(&g_array_index(m->fields, struct field, i), r.text);
	g_byte_array_append(r.text, (const guint8 *)"\r\n", 2);
	r.body = r.text->len;
	g_byte_array_append(r.text, (const guint8 *)m->body.data, (guint)m->body.len);
	if (is_multipart(
		    m)) /* GMime misreads the end of the last part otherwise: see mime_gmime.c */
		g_byte_array_append(r.text, (const guint8 *)"\r\n", 2);
	stream = g_mime_stream_mem_new_with_buffer((const char *)r.text->data, r.text->len);
	parser = g_mime_parser_new_with_stream(stream);
	message = g_mime_parser_construct_message(parser, NULL);
	g_array_set_clear_func(r.leaves, leaf_clear);
	if (message != NULL && message->mime_part != NULL)
		read_object(&r, message->mime_part);
	g_clear_object(&message);
	g_object_unref(parser);
	g_object_unref(stream);
	return r;
}

static void
reading_clear(struct reading *r)
{
	g_byte_array_free(r->text, TRUE);
	g_array_free(r->leaves, TRUE);
}

/* ---- before and after */

static GString *
between(const struct reading *r, gint64 from, gint64 to)
{
	return g_string_new_len((const char *)r->text->data + from, (gssize)(to - from));
}

/* The end of the line at this place. */
static gsize
next_line(const GString *text, gsize at)
{
	while (at < text->len && text->str[at++] != '\n')
		;
	return at;
}

/* Takes the last label out of what stands between two contents. */
static GString *
without_label(GString *text)
{
	gsize label = text->len, end;

	for (gsize at = 0; at < text->len; at = next_line(text, at))
		if (text->len - at >= strlen(LABEL) &&
		    g_ascii_strncasecmp(text->str + at, LABEL, strlen(LABEL)) == 0)
			label = at;
	end = next_line(text, label);
	while (end < text->len && (text->str[end] == ' ' || text->str[end] == '\t'))
		end = next_line(text, end);
	return g_string_erase(text, (gssize)label, (gssize)(end - label));
}

/* A label may be new, or have another value; nothing else. */
static void
check_between(const struct reading *a, gint64 a_from, gint64 a_to, const struct reading *b,
	      gint64 b_from, gint64 b_to)
{
	GString *before = between(a, a_from, a_to), *after = between(b, b_from, b_to);

	if (!g_string_equal(before, after)) {
		without_label(after);
		if (!g_string_equal(before, after)) /* it is not new */
			without_label(before);
		require_of(g_string_equal(before, after), after->str);
	}
	g_string_free(before, TRUE);
	g_string_free(after, TRUE);
}

/*
 * No line of an encoded content is too long; content that is not encoded cannot have changed to
 * that.
 */
static void
check_lines(const struct reading *r, const struct leaf *leaf)
{
	size_t line = 0;

	for (gint64 i = leaf->start; i < leaf->end; i++) {
		line = r->text->data[i] == '\n' ? 0 : line + 1;
		require(line <= CODEC_LINE_MAX + 1); /* with the CR */
	}
}

static void
check_leaf(const struct reading *before, const struct reading *after, const struct leaf *a,
	   const struct leaf *b)
{
	bool same =
		a->end - a->start == b->end - b->start &&
		(a->start < 0 || memcmp(before->text->data + a->start, after->text->data + b->start,
					(size_t)(a->end - a->start)) == 0);

	require_of(strcmp(a->type, b->type) == 0, a->type);
	require_of(a->content->len == b->content->len, a->type);
	require_of(a->content->len == 0 ||
			   memcmp(a->content->data, b->content->data, a->content->len) == 0,
		   a->type);
	if (!same)
		check_lines(after, b);
}

static void
check_same(const struct message *m, const struct message *result)
{
	struct reading before = read_message(m), after = read_message(result);
	gint64 a = (gint64)before.body, b = (gint64)after.body;

	require(before.leaves->len == after.leaves->len);
	for (guint i = 0; i < before.leaves->len; i++) {
		const struct leaf *x = &g_array_index(before.leaves, struct leaf, i);
		const struct leaf *y = &g_array_index(after.leaves, struct leaf, i);

		check_leaf(&before, &after, x, y);
		if (x->start < 0)
			continue;
		check_between(&before, a, x->start, &after, b, y->start);
		a = x->end;
		b = y->end;
	}
	check_between(&before, a, (gint64)before.text->len, &after, b, (gint64)after.text->len);
	reading_clear(&before);
	reading_clear(&after);
}

static bool
has_edits(const struct plan *plan)
{
	return plan->new_body || image_edits(plan->image)->len > 0;
}

static void
check_edits(const struct plan *plan)
{
	const GArray *edits = image_edits(plan->image);

	for (guint i = 0; i < edits->len; i++) {
		const struct edit *e = &g_array_index(edits, struct edit, i);

		require(e->kind == EDIT_CHANGE || e->kind == EDIT_ADD);
		require(e->field.value_len < 9 || strlen(e->field.value) == e->field.value_len);
		if (e->kind == EDIT_ADD)
			require(field_is(&e->field, "MIME-Version") ||
				field_is(&e->field, "Content-Transfer-Encoding"));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	const struct rules *rules;
	struct message *m, *result;
	struct plan *plan, *again;

	if (settings == NULL)
		prepare();
	rules = &rule_sets[input_choice(&in, G_N_ELEMENTS(rule_sets))];
	m = take_message(&in);
	plan = encode(m, rules);
	require(!plan->new_body || (plan->encoded != NULL && plan->encoded->len > 0));
	if (has_edits(plan)) {
		check_edits(plan);
		result = result_of(plan, m);
		check_same(m, result);
		again = encode(result, rules);
		require(!has_edits(again));
		plan_free(again);
		message_free(result);
	}
	plan_free(plan);
	message_free(m);
	return 0;
}
