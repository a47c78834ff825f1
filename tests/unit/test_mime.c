/*
 * test_mime - the strict reader of a message's structure, and that GMime agrees with it.
 *
 * In texts "\n" is CRLF; "\v" is a bare LF, "\f" a bare CR, "\a" a NUL.
 */
#include "fixture.h"

#include "core/mime.h"

#include <string.h>

/* A message of a header and a body in the notation above. */
static struct message *
message_of(const char *header, const char *body, size_t len)
{
	struct message *whole = fixture_message(header, "a@example.com", NULL);
	struct message *m = message_new("a@example.com", 1 << 30);
	const struct field *f;

	for (guint i = 0; i < whole->fields->len; i++) {
		f = &g_array_index(whole->fields, struct field, i);
		message_add_field(m, f->name, f->name_len, f->value, f->value_len);
	}
	for (size_t i = 0; i < len; i++) {
		static const char from[] = "\n\v\f\a", *const to[] = {"\r\n", "\n", "\r", ""};
		const char *special = strchr(from, body[i]);

		if (special != NULL && *special != '\0')
			message_add_body(m, to[special - from], *special == '\n' ? 2 : 1);
		else
			message_add_body(m, body + i, 1);
	}
	message_free(whole);
	message_seal(m);
	return m;
}

static struct mime *
read_mime(const struct message *m)
{
	struct survey s = codec_survey(m->body.data, m->body.len);

	return mime_read(m, &s);
}

/* ---- the tree as text: "kind(label)" of each part, children in brackets */

static void
append_part(GString *text, const struct mime *mime, guint *next)
{
	static const char *const kinds[] = {
		[PART_MULTIPART] = "multi",  [PART_HTML] = "html",       [PART_TEXT] = "text",
		[PART_OTHER_TEXT] = "other", [PART_MESSAGE] = "message", [PART_OTHER] = "file",
	};
	static const char *const labels[] = {
		[LABEL_NONE] = "",
		[LABEL_7BIT] = "/7",
		[LABEL_8BIT] = "/8",
		[LABEL_BINARY] = "/bin",
		[LABEL_QUOTED_PRINTABLE] = "/qp",
		[LABEL_BASE64] = "/b64",
		[LABEL_UNKNOWN] = "/?",
	};
	const struct part *p = mime_part(mime, (*next)++);

	g_string_append_printf(text, "%s%s%s", kinds[p->kind], labels[p->label],
			       p->attachment ? "+" : "");
	if (p->broken != NULL)
		g_string_append_printf(text, "!%s", p->broken);
	if (p->sealed != NULL)
		g_string_append_printf(text, "#%s", p->sealed);
	if (p->kind != PART_MULTIPART)
		return;
	g_string_append_c(text, '[');
	for (guint i = 0; i < p->children; i++) {
		if (i > 0)
			g_string_append_c(text, ' ');
		append_part(text, mime, next);
	}
	g_string_append_c(text, ']');
}

static char *
tree_of(const struct mime *mime)
{
	GString *text = g_string_new(mime->doubt);
	guint next = 0;

	if (mime->doubt == NULL)
		append_part(text, mime, &next);
	return g_string_free(text, FALSE);
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\n"

static const struct {
	const char *name, *header, *body, *tree;
} structures[] = {
	/* single parts */
	{"no header fields of MIME", "Subject: x\n", "x\n", "text"},
	{"text with charset", "Content-Type: text/plain; charset=utf-8\n", "x\n", "text"},
	{"upper case", "CONTENT-TYPE: TEXT/HTML\ncontent-transfer-encoding: BASE64\n", "eA==\n",
	 "html/b64"},
	{"folds",
	 "Content-Type:\n text/html;\n\tcharset=utf-8\nContent-Transfer-Encoding:\n  8bit \n",
	 "x\n", "html/8"},
	{"other text", "Content-Type: text/calendar\n", "x\n", "other"},
	{"a semicolon too many", "Content-Type: text/html;\n", "x\n", "html"},
	{"parameters of text that are malformed do no harm", "Content-Type: text/html; charset\n",
	 "x\n", "html"},
	{"attachment", "Content-Type: text/plain\nContent-Disposition: attachment; filename=x\n",
	 "x\n", "text+"},
	{"inline", "Content-Disposition: INLINE; filename=x\n", "x\n", "text"},
	{"inline and nothing else", "Content-Disposition: inline\n", "x\n", "text"},
	{"unknown disposition", "Content-Disposition: inlined\n", "x\n", "text+"},
	{"empty disposition", "Content-Disposition:\n", "x\n", "text+"},
	{"inline and something", "Content-Disposition: inline x\n", "x\n", "text+"},
	{"two dispositions", "Content-Disposition: inline\nContent-Disposition: inline\n", "x\n",
	 "header"},
	{"pdf", "Content-Type: application/pdf\n", "x\n", "file"},
	{"message", "Content-Type: message/rfc822\n", "x\n", "message"},
	{"binary", "Content-Transfer-Encoding: binary\n", "x\n", "text/bin"},
	{"unknown encoding", "Content-Transfer-Encoding: x-uuencode\n", "x\n",
	 "text/?!unknown-encoding"},
	{"misspelt encoding", "Content-Transfer-Encoding: 8-bit\n", "x\n",
	 "text/?!unknown-encoding"},
	{"encoding with a comment", "Content-Transfer-Encoding: 7bit (x)\n", "x\n",
	 "text/?!unknown-encoding"},
	{"empty encoding", "Content-Transfer-Encoding:\n", "x\n", "text/?!unknown-encoding"},
	{"two encodings", "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 7bit\n",
	 "x\n", "header"},
	{"two types", "Content-Type: text/plain\nContent-Type: text/plain\n", "x\n", "header"},
	{"two versions", "MIME-Version: 1.0\nMime-Version: 1.0\n", "x\n", "header"},
	{"type without subtype", "Content-Type: text\n", "x\n", "other!content-type"},
	{"type with a blank", "Content-Type: text /plain\n", "x\n", "other!content-type"},
	{"type with a comment", "Content-Type: text/plain (x)\n", "x\n", "other!content-type"},
	{"type without semicolon", "Content-Type: text/plain charset=x\n", "x\n",
	 "other!content-type"},
	{"empty type", "Content-Type:\n", "x\n", "other!content-type"},
	{"multipart without semicolon", "Content-Type: multipart/mixed boundary=b\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"multipart without subtype", "Content-Type: Multipart\n", "x\n", "structure"},

	/* multiparts */
	{"one part", MIXED, "--b\n\nx\n--b--\n", "multi[text]"},
	{"quoted boundary", "Content-Type: multipart/mixed; x=y; boundary=\"b =?\"; z=\"u v\"\n",
	 "--b =?\n\nx\n--b =?--\n", "multi[text]"},
	{"preamble and epilogue", MIXED, "pre\n--bx is none\n--b\n\nx\n--b--\nepi\n--\n",
	 "structure"},
	{"preamble and epilogue with other marks", MIXED, "pre\n-- \n--b\n\nx\n--b--\nepi\n--a\n",
	 "multi[text]"},
	{"part without content", MIXED, "--b\n\n--b\nA: b\n\n--b--\n", "multi[text text]"},
	{"no line end at the end", MIXED, "--b\n\nx\n--b--", "multi[text]"},
	{"types and encodings", MIXED,
	 "--b\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nx\n"
	 "--b\nContent-type:text/html\nContent-transfer-encoding:8bit\n\nx\n"
	 "--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n"
	 "Content-Disposition: attachment\n\nx\n--b--\n",
	 "multi[text/qp html/8 file/b64+]"},
	{"nested", MIXED,
	 "--b\nContent-Type: multipart/alternative; boundary=\"c\"\n\n--c\n\nx\n--c\nContent-Type: "
	 "text/html\n\n"
	 "y\n--c--\n\n--b\n\nz\n--b--\n",
	 "multi[multi[text html] text]"},
	{"nested at once", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: multipart/mixed; "
	 "boundary=d\n\n"
	 "--d\n\n--d--\n--c--\n--b--\n",
	 "multi[multi[multi[text]]]"},
	{"attachment around", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\nContent-Disposition: "
	 "attachment\n\n--c\n\nx\n--c--\n"
	 "--b--\n",
	 "multi[multi+[text+]]"},
	{"signed", "Content-Type: multipart/signed; boundary=b\n",
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n--b\n"
	 "Content-Type: application/pgp-signature\n\nx\n--b--\n",
	 "multi#signed[multi#signed[text#signed] file#signed]"},
	{"encrypted", "Content-Type: Multipart/Encrypted; boundary=b\n", "--b\n\nx\n--b--\n",
	 "multi#encrypted[text#encrypted]"},
	{"digest", "Content-Type: multipart/digest; boundary=q7\n",
	 "--q7\n\nSubject: x\n\nx\n--q7\nContent-Type: text/plain\n\nx\n--q7--\n",
	 "multi[message text]"},
	{"message is not looked into", "Content-Type: multipart/mixed; boundary=q7\n",
	 "--q7\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; "
	 "boundary=c\n\n--c\n--q7--\n",
	 "multi[message]"},
	{"message with the boundary around it", MIXED,
	 "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; "
	 "boundary=b\n\n--b\n\nx\n--b--\n",
	 "structure"},
	{"part of a broken type with the boundary around it", MIXED,
	 "--b\nContent-Type: message\n\nboundary=b\n\n--b\n\nx\n--b--\n", "structure"},
	{"part with two types", MIXED,
	 "--b\nContent-Type: text/plain\nContent-Type: text/html\n\nx\n--b--\n",
	 "multi[other!content-type]"},
	{"part with two types, one multipart", MIXED,
	 "--b\nContent-Type: text/plain\nContent-Type: multipart/mixed; boundary=c\n\nx\n--b--\n",
	 "structure"},
	{"part with two encodings", MIXED,
	 "--b\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 8bit\n\nx\n--b--\n",
	 "multi[text/?!two-encodings]"},
	{"multipart that says 8bit", MIXED "Content-Transfer-Encoding: 8bit\n", "--b\n\nx\n--b--\n",
	 "multi/8[text]"},
	{"encoded multipart", MIXED "Content-Transfer-Encoding: base64\n", "--b\n\nx\n--b--\n",
	 "encoded-multipart"},
	{"inner multipart of unknown encoding", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\nContent-Transfer-Encoding: "
	 "x\n\n--c\n\n--c--\n--b--\n",
	 "encoded-multipart"},

	/* boundaries */
	{"none", "Content-Type: multipart/mixed\n", "--b\n\nx\n--b--\n", "structure"},
	{"empty", "Content-Type: multipart/mixed; boundary=\"\"\n", "--\n\nx\n----\n", "structure"},
	{"two", "Content-Type: multipart/mixed; boundary=b; boundary=c\n", "--b\n\nx\n--b--\n",
	 "structure"},
	{"the same twice", "Content-Type: multipart/mixed; boundary=b; boundary=b\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"RFC 2231", "Content-Type: multipart/mixed; boundary*0=b\n", "--b\n\nx\n--b--\n",
	 "structure"},
	{"RFC 2231 beside a plain one", "Content-Type: multipart/mixed; boundary=b; boundary*=c\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"quoted pair", "Content-Type: multipart/mixed; boundary=\"\\b\"\n", "--b\n\nx\n--b--\n",
	 "structure"},
	{"blank at its end", "Content-Type: multipart/mixed; boundary=\"b \"\n",
	 "--b \n\nx\n--b --\n", "structure"},
	{"of 70",
	 "Content-Type: multipart/mixed; boundary="
	 "0123456789012345678901234567890123456789012345678901234567890123456789\n",
	 "--0123456789012345678901234567890123456789012345678901234567890123456789\n\nx\n"
	 "--0123456789012345678901234567890123456789012345678901234567890123456789--\n",
	 "multi[text]"},
	{"of 71",
	 "Content-Type: multipart/mixed; boundary="
	 "01234567890123456789012345678901234567890123456789012345678901234567890\n",
	 "--01234567890123456789012345678901234567890123456789012345678901234567890\n\nx\n"
	 "--01234567890123456789012345678901234567890123456789012345678901234567890--\n",
	 "structure"},
	{"8-bit", "Content-Type: multipart/mixed; boundary=\"\xc3\xa9\"\n",
	 "--\xc3\xa9\n\nx\n--\xc3\xa9--\n", "structure"},
	{"no token, not quoted", "Content-Type: multipart/mixed; boundary=a/b\n",
	 "--a/b\n\nx\n--a/b--\n", "structure"},
	{"a semicolon too many", "Content-Type: multipart/mixed; boundary=b;\n",
	 "--b\n\nx\n--b--\n", "multi[text]"},
	{"two semicolons", "Content-Type: multipart/mixed; boundary=b; ; x=y\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"something behind it", "Content-Type: multipart/mixed; boundary=b x\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"comment behind it", "Content-Type: multipart/mixed; boundary=b (x)\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"parameter without value", "Content-Type: multipart/mixed; boundary=b; x\n",
	 "--b\n\nx\n--b--\n", "structure"},
	{"not closed", MIXED, "--b\n\nx\n", "structure"},
	{"no boundary line", MIXED, "x\n", "structure"},
	{"empty body", MIXED, "", "structure"},
	{"closed only", MIXED, "--b--\n", "structure"},
	{"closed twice", MIXED, "--b\n\nx\n--b--\n--b--\n", "structure"},
	{"part after the close", MIXED, "--b\n\nx\n--b--\n--b\n\nx\n", "structure"},
	{"blank behind it", MIXED, "--b \n\nx\n--b--\n", "structure"},
	{"tab behind the close", MIXED, "--b\n\nx\n--b--\t\n", "structure"},
	{"line that begins as one", MIXED, "--b\n\nx\n--ba\n--b--\n", "structure"},
	{"hyphen behind it", MIXED, "--b\n\nx\n--b-\n--b--\n", "structure"},
	{"hyphen behind the close", MIXED, "--b\n\nx\n--b---\n", "structure"},
	{"bare LF before it", MIXED, "--b\n\nx\v--b--\n", "structure"},
	{"bare LF behind it", MIXED, "--b\v\nx\n--b--\n", "structure"},
	{"something and a bare LF behind it", MIXED, "--bx\v\nx\n--b--\n", "structure"},
	{"something and a bare LF behind the close", MIXED, "--b\n\nx\n--b--x\v", "structure"},
	{"bare LF behind the close", MIXED, "--b\n\nx\n--b--\v", "structure"},
	{"bare CR before it", MIXED, "--b\n\nx\f--b\n--b--\n", "structure"},
	{"bare CR behind it", MIXED, "--b\f\n\nx\n--b--\n", "structure"},
	{"bare CR before another mark", MIXED, "--b\n\nx\f--a\n--b--\n", "multi[text]"},
	{"bare LF at the beginning", MIXED, "\v--b\n\nx\n--b--\n", "structure"},
	{"bare CR elsewhere", MIXED, "--b\n\nx\fy\vz\n--b--\n", "multi[text]"},
	{"at the end of the body", MIXED, "--b\n\nx\n--b", "structure"},
	{"inner not closed", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--b--\n", "structure"},
	{"inner without parts", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\nx\n--b--\n", "structure"},
	{"inner is the beginning of the outer", "Content-Type: multipart/mixed; boundary=bc\n",
	 "--bc\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--bc--\n",
	 "structure"},
	{"outer is the beginning of the inner", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=bc\n\n--bc\n\nx\n--bc--\n--b--\n",
	 "structure"},
	{"inner is the outer", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n--b--\n", "structure"},
	{"two inner of the same", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n"
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n--b--\n",
	 "structure"},
	{"inner in the outer's text", MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n--b\n\n--c\n--b--\n",
	 "structure"},
	{"inner before it begins", MIXED,
	 "--c\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n--b--\n",
	 "structure"},

	/* headers of parts */
	{"no empty line", MIXED, "--b\nA: b\n--b--\n", "structure"},
	{"no line at all", MIXED, "--b\n--b--\n", "structure"},
	{"a line that is no field", MIXED, "--b\nhello\n\nx\n--b--\n", "structure"},
	{"blank before the colon", MIXED, "--b\nContent-Type : text/html\n\nx\n--b--\n",
	 "structure"},
	{"continuation first", MIXED, "--b\n A: b\n\nx\n--b--\n", "structure"},
	{"blank continuation", MIXED, "--b\nA: b\n \n\nx\n--b--\n", "structure"},
	{"bare LF in it", MIXED, "--b\nA: b\vB: c\n\nx\n--b--\n", "structure"},
	{"bare CR in it", MIXED, "--b\nA: b\fB: c\n\nx\n--b--\n", "structure"},
	{"NUL in it", MIXED, "--b\nA: b\a\n\nx\n--b--\n", "structure"},
	{"a name that looks like a boundary line", MIXED, "--b\n--a: b\n\nx\n--b--\n", "structure"},
	{"8-bit value", MIXED, "--b\nA: \xc3\xa9\n\nx\n--b--\n", "multi[text]"},
	{"DEL in a name", MIXED, "--b\nA\177: b\n\nx\n--b--\n", "structure"},
	{"colon first", MIXED, "--b\n: b\n\nx\n--b--\n", "structure"},
};

static void
test_structures(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(structures); i++) {
		const char *body = structures[i].body;
		struct message *m = message_of(structures[i].header, body, strlen(body));
		struct mime *mime = read_mime(m);
		char *tree = tree_of(mime);

		check_string(structures[i].name, tree, structures[i].tree);
		if (mime->doubt == NULL && mime_part(mime, 0)->kind == PART_MULTIPART)
			check_true(structures[i].name, mime_confirm(mime));
		g_free(tree);
		mime_free(mime);
		message_free(m);
	}
}

/* ---- ranges */

static void
check_range(const char *name, const struct message *m, size_t at, size_t end, const char *want)
{
	char *got = g_strndup(m->body.data + at, end - at);

	check_string(name, got, want);
	g_free(got);
}

static void
test_ranges(void **state)
{
	static const char body[] =
		"pre\n--q7\nX: y\nContent-Transfer-Encoding: \n  8bit\nZ: z\n\none\n\n--q7\n\n"
		"two\n--q7\nContent-Type: message/rfc822\n\nSubject: x\n\n--q7--\nepi\n";
	struct message *m =
		message_of("Content-Type: multipart/mixed; boundary=q7\n", body, sizeof body - 1);
	struct mime *mime = read_mime(m);

	(void)state;
	assert_null(mime->doubt);
	assert_int_equal(mime->parts->len, 4);
	check_range("content", m, mime_part(mime, 1)->content, mime_part(mime, 1)->end, "one\r\n");
	check_range("header", m, mime_part(mime, 1)->header, mime_part(mime, 1)->content,
		    "X: y\r\nContent-Transfer-Encoding: \r\n  8bit\r\nZ: z\r\n\r\n");
	check_range("label", m, mime_part(mime, 1)->label_at, mime_part(mime, 1)->label_end,
		    " \r\n  8bit");
	check_range("content 2", m, mime_part(mime, 2)->content, mime_part(mime, 2)->end, "two");
	check_range("header 2", m, mime_part(mime, 2)->header, mime_part(mime, 2)->content, "\r\n");
	check_int("no label", mime_part(mime, 2)->label_at, 0);
	check_range("content 3", m, mime_part(mime, 3)->content, mime_part(mime, 3)->end,
		    "Subject: x\r\n");
	check_true("GMime agrees", mime_confirm(mime));
	mime_free(mime);
	message_free(m);
}

/* GMime must be asked the right thing: a tree that is not what stands there is refused. */
static void
test_confirm_refuses(void **state)
{
	static const char body[] = "--b\nContent-Type: text/html\n\none\n--b\n\ntwo\n--b--\n";
	static const char *const names[] = {"as it is", "content",  "end",  "type",
					    "label",    "children", "kind", "boundary"};

	(void)state;
	for (int i = 0; i < (int)G_N_ELEMENTS(names); i++) {
		struct message *m = message_of(MIXED, body, sizeof body - 1);
		struct mime *mime = read_mime(m);
		struct part *root = &g_array_index(mime->parts, struct part, 0), *first = root + 1;

		first->content += i == 1;
		first->end -= i == 2;
		first->type.len -= i == 3;
		first->label = i == 4 ? LABEL_BASE64 : first->label;
		root->children -= i == 5;
		first->kind = i == 6 ? PART_MULTIPART : first->kind;
		root->boundary.len -= i == 7;
		check_int(names[i], mime_confirm(mime), i == 0);
		mime_free(mime);
		message_free(m);
	}
}

/* ---- limits */

/* Multiparts in one another, in the last a text. */
static struct message *
nested(unsigned depth, const char *text)
{
	GString *body = g_string_new(NULL);
	struct message *m;

	for (unsigned i = 1; i < depth; i++)
		g_string_append_printf(
			body, "--b%u.\nContent-Type: multipart/mixed; boundary=b%u.\n\n", i - 1, i);
	g_string_append_printf(body, "--b%u.\n\n%s", depth - 1, text);
	for (unsigned i = depth; i-- > 0;)
		g_string_append_printf(body, "--b%u.--\n", i);
	m = message_of("Content-Type: multipart/mixed; boundary=b0.\n", body->str, body->len);
	g_string_free(body, TRUE);
	return m;
}

/* Lines that begin with "--", in as many multiparts as there can be. */
static struct message *
marks(unsigned n)
{
	GString *text = g_string_new(NULL);
	struct message *m;

	for (unsigned i = 0; i < n; i++)
		g_string_append(text, "--\n");
	m = nested(MIME_DEPTH_MAX, text->str);
	g_string_free(text, TRUE);
	return m;
}

/* A part with a long header field. */
static struct message *
long_header(unsigned octets)
{
	GString *body = g_string_new("--b\nX: ");
	struct message *m;

	for (unsigned i = 0; i < octets / 4; i++)
		g_string_append(body, "y\n "); /* four octets */
	g_string_append(body, "y\n\nx\n--b--\n");
	m = message_of(MIXED, body->str, body->len);
	g_string_free(body, TRUE);
	return m;
}

/* Parts of a multipart, each with some fields in its header. */
static struct message *
many(unsigned parts, unsigned fields)
{
	GString *body = g_string_new(NULL);
	struct message *m;

	for (unsigned i = 0; i < parts; i++) {
		g_string_append(body, "--b\n");
		for (unsigned k = 0; k < fields; k++)
			g_string_append(body, "X: y\n");
		g_string_append(body, "\nx\n");
	}
	g_string_append(body, "--b--\n");
	m = message_of(MIXED, body->str, body->len);
	g_string_free(body, TRUE);
	return m;
}

static struct message *
parameters(unsigned n)
{
	GString *header = g_string_new("Content-Type: multipart/mixed; boundary=b");
	struct message *m;

	for (unsigned i = 0; i < n; i++)
		g_string_append(header, "; x=y");
	g_string_append(header, "\n");
	m = message_of(header->str, "--b\n\nx\n--b--\n", 14);
	g_string_free(header, TRUE);
	return m;
}

static struct message *
preamble(unsigned octets)
{
	GString *body = g_string_new(NULL);
	struct message *m;

	while (body->len < octets)
		g_string_append(body, "y");
	g_string_append(body, "\n--b\n\nx\n--b--\n");
	m = message_of(MIXED, body->str, body->len);
	g_string_free(body, TRUE);
	return m;
}

static void
check_limit(const char *name, struct message *m, const char *want)
{
	clock_t start = clock();
	struct mime *mime = read_mime(m);

	check_string(name, mime->doubt, want);
	if (want == NULL)
		check_true(name, mime_confirm(mime));
	check_true(name, fixture_under_a_second(start));
	mime_free(mime);
	message_free(m);
}

static void
test_limits(void **state)
{
	(void)state;
	check_limit("as deep as allowed", nested(MIME_DEPTH_MAX, "x\n"), NULL);
	check_limit("one deeper", nested(MIME_DEPTH_MAX + 1, "x\n"), "too-deep");
	check_limit("1,000 deep", nested(1000, "x\n"), "too-deep");
	check_limit("as many parts as allowed", many(MIME_PARTS_MAX - 1, 0), NULL);
	check_limit("one more", many(MIME_PARTS_MAX, 0), "too-many-parts");
	check_limit("100,000 parts", many(100000, 0), "too-many-parts");
	check_limit("as many fields as allowed", many(1, MIME_PIECES_MAX - 3), NULL);
	check_limit("too many fields", many(1, MIME_PIECES_MAX), "too-many-parts");
	check_limit("too many fields in several parts", many(10, MIME_PIECES_MAX / 10),
		    "too-many-parts");
	check_limit("as many parameters as allowed", parameters(MIME_PIECES_MAX - 2), NULL);
	check_limit("too many parameters", parameters(MIME_PIECES_MAX), "too-many-parts");
	/* GMime makes room line by line, and AddressSanitizer's realloc() copies each time. */
	check_limit("long headers",
		    long_header(fixture_instrumented() ? MIME_OUTSIDE_MAX / 8 : MIME_OUTSIDE_MAX - 100), NULL);
	check_limit("too long headers", long_header(MIME_OUTSIDE_MAX), "structure");
	check_limit("marks", marks(MIME_LOOKS_MAX / MIME_DEPTH_MAX - 1000), NULL);
	check_limit("too many marks", marks(MIME_LOOKS_MAX / MIME_DEPTH_MAX), "too-many-parts");
	check_limit("long preamble", preamble(MIME_OUTSIDE_MAX - 100), NULL);
	check_limit("too long preamble", preamble(MIME_OUTSIDE_MAX), "structure");
}

/* ---- lines that could be taken for boundaries */

static void
test_has_boundary(void **state)
{
	static const struct {
		const char *name, *text;
		bool has;
	} cases[] = {
		{"nothing", "", false},
		{"no mark", "b\r\nc\r\n", false},
		{"first line", "--b", true},
		{"inner", "x\r\n--cd", true},
		{"close", "x\r\n--cd--\r\n", true},
		{"begins as one", "x\r\n--bxyz\r\n", true},
		{"inside of a line", "x--b\r\n", false},
		{"another", "--a\r\n--\r\n-- \r\n--c\r\n--ce\r\n", false},
	};
	static const char body[] =
		"--b\nContent-Type: multipart/mixed; boundary=cd\n\n--cd\n\n--cd--\n--b--\n";
	struct message *m = message_of(MIXED, body, sizeof body - 1);
	struct mime *mime = read_mime(m);

	(void)state;
	assert_null(mime->doubt);
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_int(cases[i].name,
			  mime_has_boundary(mime, cases[i].text, strlen(cases[i].text)),
			  cases[i].has);
	mime_free(mime);
	message_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),      cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_confirm_refuses), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_has_boundary),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
