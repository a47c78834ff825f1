/*
 * test_encode - what goes out of stage_encode: header, body, and the words for the log.
 *
 * In bodies "\n" is CRLF; "\v" is a bare LF, "\f" a bare CR, "\a" a NUL.
 */
#include "fixture.h"

#include "core/fold.h"
#include "core/isp.h"
#include "core/mime.h"
#include "core/pipeline.h"
#include "core/signed_mail.h"

#include <string.h>

#define KEEP ENCODING_KEEP
#define EIGHT ENCODING_8BIT
#define QP ENCODING_QUOTED_PRINTABLE
#define B64 ENCODING_BASE64

static struct settings *settings;

/* ---- messages in the notation above */

static void
add_body(struct message *m, const char *body)
{
	static const char from[] = "\n\v\f\a", *const to[] = {"\r\n", "\n", "\r", ""};

	for (; *body != '\0'; body++) {
		const char *special = strchr(from, *body);

		if (special != NULL)
			message_add_body(m, to[special - from], *special == '\n' ? 2 : 1);
		else
			message_add_body(m, body, 1);
	}
}

static struct message *
message_of(const char *header, const char *body)
{
	struct message *whole = fixture_message(header, "a@example.com", NULL);
	struct message *m = message_new("a@example.com", 1 << 30);

	for (guint i = 0; i < whole->fields->len; i++) {
		const struct field *f = &g_array_index(whole->fields, struct field, i);

		message_add_field(m, f->name, f->name_len, f->value, f->value_len);
	}
	add_body(m, body);
	message_free(whole);
	message_seal(m);
	return m;
}

static char *
body_text(const char *body, size_t len)
{
	GString *text = g_string_new(NULL);

	for (size_t i = 0; i < len; i++) {
		if (body[i] == '\r' && i + 1 < len && body[i + 1] == '\n') {
			g_string_append_c(text, '\n');
			i++;
		} else {
			g_string_append_c(text, body[i] == '\r'   ? '\f'
						: body[i] == '\n' ? '\v'
						: body[i] == '\0' ? '\a'
								  : body[i]);
		}
	}
	return g_string_free(text, FALSE);
}

struct rules {
	int global, html, text;
};

static void
set_rules(struct isp *isp, const struct rules *rules)
{
	isp->encoding.global = rules->global;
	isp->encoding.html = rules->html;
	isp->encoding.text = rules->text;
	isp_settle_encoding(isp);
}

static struct plan *
run(const struct message *m, const struct rules *rules)
{
	static struct isp isp;
	const struct job job = {.settings = settings, .message = m};
	struct plan *plan = plan_new(m);

	set_rules(&isp, rules);
	plan->pool = g_ptr_array_index(settings->pools, 0);
	plan->isp = &isp;
	plan->explanations = g_ptr_array_new_with_free_func(g_free);
	assert_true(stage_encode(&job, plan));
	return plan;
}

#define MIXED "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n"
#define V "MIME-Version: 1.0\n"
#define CTE "Content-Transfer-Encoding: "
#define LATIN "Gr\xfc\xdf e\n"
#define LATIN_QP "Gr=FC=DF e\n"
#define LATIN_B64 "R3L83yBlDQo=\n"
#define X100 \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"890123456789"
#define X999 \
	X100 X100 X100 X100 X100 X100 X100 X100 X100 \
		"01234567890123456789012345678901234567890123456789012345678901234567890123456789" \
		"0123456789012345678"

/* One case: a header and a body come in, another header and body go out; NULL: the same. */
struct sample {
	const char *name;
	struct rules rules;
	const char *header, *body, *header_after, *body_after, *encoded, *not_encoded;
};

static void
check_sample(const struct sample *c)
{
	struct message *m = message_of(c->header, c->body);
	struct plan *plan = run(m, &c->rules);
	char *header = fixture_image_text(plan->image), *body;
	size_t len;
	const char *octets = plan_body(plan, m, &len);

	body = body_text(octets, len);
	check_string(c->name, header, c->header_after != NULL ? c->header_after : c->header);
	check_string(c->name, body, c->body_after != NULL ? c->body_after : c->body);
	check_string(c->name, plan->encoded != NULL ? plan->encoded->str : NULL, c->encoded);
	check_string(c->name, plan->not_encoded != NULL ? plan->not_encoded->str : NULL,
		     c->not_encoded);
	check_int(c->name, plan->new_body, c->body_after != NULL);
	g_free(header);
	g_free(body);
	plan_free(plan);
	message_free(m);
}

static void
check_samples(const struct sample *samples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_sample(&samples[i]);
}

/* ---- whole messages */

static const struct sample single[] = {
	{"nothing to do", {0}, "Subject: x\n", "hello\n", NULL, NULL, NULL, NULL},
	{"no body", {B64, 0, 0}, "Subject: x\n", "", NULL, NULL, NULL, NULL},
	{"8-bit without any label",
	 {0},
	 "Subject: x\n",
	 LATIN,
	 "Subject: x\n" CTE "quoted-printable\n" V,
	 LATIN_QP,
	 "text:quoted-printable",
	 NULL},
	{"labelled 7bit",
	 {0},
	 V CTE "7bit\n",
	 LATIN,
	 V CTE "quoted-printable\n",
	 LATIN_QP,
	 "text:quoted-printable",
	 NULL},
	{"labelled 8bit, other spelling",
	 {0},
	 "Mime-version: 1.0\ncontent-transfer-encoding:8BIT\nX: y\n",
	 LATIN,
	 "Mime-version: 1.0\ncontent-transfer-encoding: quoted-printable\nX: y\n",
	 LATIN_QP,
	 "text:quoted-printable",
	 NULL},
	{"html",
	 {0},
	 V "Content-Type: text/html; charset=iso-8859-1\n",
	 LATIN,
	 V "Content-Type: text/html; charset=iso-8859-1\n" CTE "quoted-printable\n",
	 LATIN_QP,
	 "html:quoted-printable",
	 NULL},
	{"base64 where it is shorter",
	 {0},
	 V,
	 "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\n",
	 V CTE "base64\n",
	 "0J/RgNC40LLQtdGCDQo=\n",
	 "text:base64",
	 NULL},
	{"bare CR",
	 {0},
	 V,
	 "a lot of text here\fb\n",
	 V CTE "quoted-printable\n",
	 "a lot of text here=0Db\n",
	 "text:quoted-printable",
	 NULL},
	{"bare LF",
	 {0},
	 V,
	 "a lot of text here\vb\n",
	 V CTE "quoted-printable\n",
	 "a lot of text here=0Ab\n",
	 "text:quoted-printable",
	 NULL},
	{"NUL",
	 {0},
	 V,
	 "a lot of text here\a\n",
	 V CTE "quoted-printable\n",
	 "a lot of text here=00\n",
	 "text:quoted-printable",
	 NULL},
	{"line of 998",
	 {0},
	 V,
	 X100 X100 X100 X100 X100 X100 X100 X100 X100
	 "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
	 "901234567\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"rule base64", {B64, 0, 0}, V, LATIN, V CTE "base64\n", LATIN_B64, "text:base64", NULL},
	{"rule base64 for plain text",
	 {B64, 0, 0},
	 V,
	 "hello\n",
	 V CTE "base64\n",
	 "aGVsbG8NCg==\n",
	 "text:base64",
	 NULL},
	{"rule quoted-printable, already so",
	 {QP, 0, 0},
	 V CTE "quoted-printable\n",
	 "a=\nb\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"rule quoted-printable, already so and broken",
	 {QP, 0, 0},
	 V CTE "quoted-printable\n",
	 "a=b\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"rule base64, already so",
	 {B64, 0, 0},
	 V CTE "BASE64\n",
	 "R3L8\n3yBlDQo=\n\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"quoted-printable to base64",
	 {B64, 0, 0},
	 V CTE "quoted-printable\n",
	 LATIN_QP,
	 V CTE "base64\n",
	 LATIN_B64,
	 "text:base64",
	 NULL},
	{"base64 to quoted-printable",
	 {QP, 0, 0},
	 V CTE "base64\n",
	 LATIN_B64,
	 V CTE "quoted-printable\n",
	 LATIN_QP,
	 "text:quoted-printable",
	 NULL},
	{"base64 to 8bit",
	 {EIGHT, 0, 0},
	 V CTE "base64\n",
	 LATIN_B64,
	 V CTE "8bit\n",
	 LATIN,
	 "text:8bit",
	 NULL},
	{"base64 of ASCII to 8bit",
	 {EIGHT, 0, 0},
	 V CTE "base64\n",
	 "aGVsbG8NCg==\n",
	 V CTE "7bit\n",
	 "hello\n",
	 "text:7bit",
	 NULL},
	{"base64 without final newline to 8bit",
	 {EIGHT, 0, 0},
	 V CTE "base64\n",
	 "aGVsbG8=\n",
	 V CTE "quoted-printable\n",
	 "hello=\n",
	 "text:quoted-printable",
	 NULL},
	{"base64 without final newline to quoted-printable",
	 {QP, 0, 0},
	 V CTE "base64\n",
	 "aGVsbG8=",
	 V CTE "quoted-printable\n",
	 "hello=\n",
	 "text:quoted-printable",
	 NULL},
	{"base64 of bare LF to 8bit",
	 {EIGHT, 0, 0},
	 V CTE "base64\n",
	 "YQpiCg==\n",
	 V CTE "quoted-printable\n",
	 "a=0Ab=0A=\n",
	 "text:quoted-printable",
	 NULL},
	{"quoted-printable that cannot be 8bit",
	 {EIGHT, 0, 0},
	 V CTE "quoted-printable\n",
	 "a=0Ab\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"base64 of UTF-16 to 8bit",
	 {EIGHT, 0, 0},
	 V "Content-Type: text/plain; charset=utf-16le\n" CTE "base64\n",
	 "aABpAA0ACgA=\n",
	 V "Content-Type: text/plain; charset=utf-16le\n" CTE "quoted-printable\n",
	 "h=00i=00=0D=00=0A=00=\n",
	 "text:quoted-printable",
	 NULL},
	{"base64 of nothing", {QP, 0, 0}, V CTE "base64\n", "\n", NULL, NULL, NULL, NULL},
	{"broken base64",
	 {QP, 0, 0},
	 V CTE "base64\n",
	 "R3L83yBlDQo\n",
	 NULL,
	 NULL,
	 NULL,
	 "text:broken-base64"},
	{"broken quoted-printable",
	 {B64, 0, 0},
	 V CTE "quoted-printable\n",
	 "a=b\n",
	 NULL,
	 NULL,
	 NULL,
	 "text:broken-quoted-printable"},
	{"8-bit in quoted-printable",
	 {0},
	 V CTE "quoted-printable\n",
	 LATIN,
	 NULL,
	 NULL,
	 NULL,
	 "text:broken-quoted-printable"},
	{"long line in quoted-printable",
	 {0},
	 V CTE "quoted-printable\n",
	 "=41" X999 "\n",
	 V CTE "quoted-printable\n",
	 NULL,
	 "text:quoted-printable",
	 NULL},
	{"8-bit labelled 7bit, rule 8bit",
	 {EIGHT, 0, 0},
	 V CTE "7bit\n",
	 LATIN,
	 V CTE "8bit\n",
	 NULL,
	 "text:8bit",
	 NULL},
	{"8-bit without label, rule 8bit",
	 {EIGHT, 0, 0},
	 "A: b\n",
	 LATIN,
	 "A: b\n" CTE "8bit\n" V,
	 NULL,
	 "text:8bit",
	 NULL},
	{"8bit already", {EIGHT, 0, 0}, V CTE "8bit\n", LATIN, NULL, NULL, NULL, NULL},
	{"8bit for ASCII already",
	 {EIGHT, 0, 0},
	 V CTE "8bit\n",
	 "hello\n",
	 V CTE "7bit\n",
	 NULL,
	 "text:7bit",
	 NULL},
	{"ASCII with a label that is converted", {0}, V CTE "8Bit\n", "hello\n", V CTE "7bit\n", NULL, "text:7bit", NULL},
	{"ASCII with the label binary", {0}, V CTE "binary\n", "hello\n", V CTE "7bit\n", NULL, "text:7bit", NULL},
	{"nothing, with a label that is converted", {0}, V CTE "8bit\n", "", V CTE "7bit\n", NULL, "text:7bit", NULL},
	{"no text, with a label that is converted",
	 {0},
	 V "Content-Type: image/x\n" CTE "8bit\n",
	 "hello\n",
	 NULL,
	 NULL,
	 NULL,
	 "attachment:8bit-label"},
	{"7bit already", {EIGHT, 0, 0}, V, "hello\n", NULL, NULL, NULL, NULL},
	{"binary, rule 8bit",
	 {EIGHT, 0, 0},
	 V CTE "binary\n",
	 "hello\n",
	 V CTE "7bit\n",
	 NULL,
	 "text:7bit",
	 NULL},
	{"bare CR, rule 8bit",
	 {EIGHT, 0, 0},
	 V,
	 "a\fb\n",
	 V CTE "quoted-printable\n",
	 "a=0Db\n",
	 "text:quoted-printable",
	 NULL},
	{"no final newline, rule 8bit", {EIGHT, 0, 0}, V, "hello", NULL, NULL, NULL, NULL},
	{"leading dots and From",
	 {QP, 0, 0},
	 V,
	 ".\n..\nFrom x\n",
	 V CTE "quoted-printable\n",
	 "=2E\n=2E.\n=46rom x\n",
	 "text:quoted-printable",
	 NULL},
	{"only html", {0, B64, 0}, V, "hello\n", NULL, NULL, NULL, NULL},
	{"only text",
	 {0, 0, B64},
	 V,
	 "hello\n",
	 V CTE "base64\n",
	 "aGVsbG8NCg==\n",
	 "text:base64",
	 NULL},
	{"html wins over global",
	 {QP, B64, 0},
	 V "Content-Type: text/html\n",
	 "x\n",
	 V "Content-Type: text/html\n" CTE "base64\n",
	 "eA0K\n",
	 "html:base64",
	 NULL},
	{"keep wins over global",
	 {B64, KEEP, 0},
	 V "Content-Type: text/html\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"other text",
	 {B64, KEEP, KEEP},
	 V "Content-Type: text/calendar\n",
	 "x\n",
	 V "Content-Type: text/calendar\n" CTE "base64\n",
	 "eA0K\n",
	 "other:base64",
	 NULL},
	{"attachment",
	 {B64, 0, 0},
	 V "Content-Disposition: attachment\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"attachment of unknown encoding",
	 {B64, 0, 0},
	 V CTE "x-foo\nContent-Disposition: attachment\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"attachment with 8-bit",
	 {B64, 0, 0},
	 V "Content-Disposition: attachment\n",
	 LATIN,
	 NULL,
	 NULL,
	 NULL,
	 "attachment:8bit"},
	{"no text",
	 {B64, 0, 0},
	 V "Content-Type: application/pdf\n",
	 "x\f\n",
	 NULL,
	 NULL,
	 NULL,
	 "attachment:control"},
	{"S/MIME",
	 {B64, 0, 0},
	 V "Content-Type: application/pkcs7-mime\n" CTE "base64\n",
	 "eA0K\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"message",
	 {B64, 0, 0},
	 V "Content-Type: message/rfc822\n",
	 "A: b\n\n" LATIN,
	 NULL,
	 NULL,
	 NULL,
	 "message:8bit"},
	{"unknown encoding",
	 {B64, 0, 0},
	 V CTE "x-foo\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 "text:unknown-encoding"},
	{"unknown encoding, nothing wanted", {0}, V CTE "x-foo\n", "x\n", NULL, NULL, NULL, NULL},
	{"unknown encoding, does not survive",
	 {0},
	 V CTE "x-foo\n",
	 LATIN,
	 NULL,
	 NULL,
	 NULL,
	 "text:unknown-encoding"},
	{"malformed type",
	 {B64, 0, 0},
	 V "Content-Type: text\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 "other:content-type"},
	{"two encodings",
	 {B64, 0, 0},
	 V CTE "7bit\n" CTE "7bit\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 "header"},
	{"two types",
	 {B64, 0, 0},
	 V "Content-Type: text/plain\nContent-Type: text/plain\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 "header"},
	{"two versions", {B64, 0, 0}, V V, "x\n", NULL, NULL, NULL, "header"},
	{"two versions, nothing wanted", {0}, V V, "x\n", NULL, NULL, NULL, NULL},
	{"ISO-2022-JP",
	 {QP, 0, 0},
	 V "Content-Type: text/plain; charset=iso-2022-jp\n" CTE "7bit\n",
	 "\x1b$B$3\x1b(B\n",
	 V "Content-Type: text/plain; charset=iso-2022-jp\n" CTE "quoted-printable\n",
	 "=1B$B$3=1B(B\n",
	 "text:quoted-printable",
	 NULL},
	{"format=flowed",
	 {QP, 0, 0},
	 V "Content-Type: text/plain; format=flowed\n",
	 "a \nb\n-- \nc\n",
	 V "Content-Type: text/plain; format=flowed\n" CTE "quoted-printable\n",
	 "a=20\nb\n=2D-=20\nc\n",
	 "text:quoted-printable",
	 NULL},
	{"an author's signature",
	 {B64, 0, 0},
	 V "DKIM-Signature: d=example.com; s=other\n",
	 LATIN,
	 NULL,
	 NULL,
	 NULL,
	 "signed"},
	{"an author's signature, nothing wanted",
	 {0},
	 V "DKIM-Signature: d=example.com; s=other\n",
	 "x\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"our own signature",
	 {B64, 0, 0},
	 V "DKIM-Signature: d=example.com; s=s1\n",
	 "x\n",
	 V "DKIM-Signature: d=example.com; s=s1\n" CTE "base64\n",
	 "eA0K\n",
	 "text:base64",
	 NULL},
};

static void
test_single(void **state)
{
	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(single); i++) {
		struct sample c = single[i];
		char *after = NULL;

		if (strcmp(c.name, "long line in quoted-printable") == 0) {
			GString *lines = g_string_new("A");

			g_string_append(lines, X999);
			for (gsize at = 75; at < lines->len; at += 77)
				g_string_insert(lines, (gssize)at, "=\n");
			g_string_append(lines, "\n");
			after = g_string_free(lines, FALSE);
			c.body_after = after;
			c.header_after = NULL;
		}
		check_sample(&c);
		g_free(after);
	}
}

/* ---- multiparts */

#define TWO(first, second) "pre\n\n--b\n" first "\n--b\n" second "\n--b--\nepi\n\n"

static const struct sample parts[] = {
	{"nothing to do", {0}, MIXED, TWO("\nx\n", "\ny\n"), NULL, NULL, NULL, NULL},
	{"labels of ASCII that are converted",
	 {0},
	 MIXED CTE "8bit\n",
	 TWO(CTE "8bit\n\nx", "Content-Type: text/html\n" CTE "7bit\n\ny"),
	 MIXED CTE "7bit\n",
	 TWO(CTE "7bit\n\nx", "Content-Type: text/html\n" CTE "7bit\n\ny"),
	 "multipart:7bit,text:7bit",
	 NULL},
	{"a label in the body only",
	 {0},
	 MIXED,
	 TWO("\nx", CTE "8BIT\n\ny"),
	 MIXED,
	 TWO("\nx", CTE "7bit\n\ny"),
	 "text:7bit",
	 NULL},
	{"the word in a text is no label", {0}, MIXED, TWO("\n8bit", "\n8bit"), NULL, NULL, NULL, NULL},
	{"the multipart's label when its parts are made safe",
	 {0},
	 MIXED CTE "8bit\n",
	 TWO(CTE "8bit\n\n\xfc", "\ny"),
	 MIXED CTE "7bit\n",
	 TWO(CTE "quoted-printable\n\n=FC", "\ny"),
	 "multipart:7bit,text:quoted-printable",
	 NULL},
	{"the multipart's label stays for an attachment",
	 {0},
	 MIXED CTE "8bit\n",
	 TWO(CTE "8bit\n\n\xfc", "Content-Disposition: attachment\n" CTE "8bit\n\n\xfc"),
	 NULL,
	 TWO(CTE "quoted-printable\n\n=FC", "Content-Disposition: attachment\n" CTE "8bit\n\n\xfc"),
	 "text:quoted-printable",
	 "attachment:8bit"},
	{"the multipart's label stays for what is between",
	 {0},
	 MIXED CTE "8bit\n",
	 "\xfc\n--b\n" CTE "8bit\n\n\xfc\n--b--\n",
	 NULL,
	 "\xfc\n--b\n" CTE "quoted-printable\n\n=FC\n--b--\n",
	 "text:quoted-printable",
	 "multipart:8bit"},
	{"the inner multipart's label",
	 {0},
	 MIXED,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n" CTE "8bit\n\n--c\n" CTE
	 "8bit\n\nx\n--c--\n--b--\n",
	 NULL,
	 "--b\nContent-Type: multipart/mixed; boundary=c\n" CTE "7bit\n\n--c\n" CTE
	 "7bit\n\nx\n--c--\n--b--\n",
	 "multipart:7bit,text:7bit",
	 NULL},
	{"the label around what is signed",
	 {0},
	 MIXED CTE "8bit\n",
	 "--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--\n--b--\n",
	 MIXED CTE "7bit\n",
	 NULL,
	 "multipart:7bit",
	 NULL},
	{"the label of what is signed stays",
	 {0},
	 MIXED CTE "8bit\n",
	 "--b\nContent-Type: multipart/signed; boundary=c\n" CTE "8bit\n\n--c\n\nx\n--c--\n--b--\n",
	 NULL,
	 NULL,
	 NULL,
	 "multipart:8bit-label"},
	{"a label binary in the body only",
	 {0},
	 MIXED,
	 TWO("\nx", CTE "\n Binary\n\ny"),
	 MIXED,
	 TWO("\nx", CTE "7bit\n\ny"),
	 "text:7bit",
	 NULL},
	{"one part is made safe",
	 {0},
	 MIXED,
	 TWO("\n" LATIN, "A: b\n\ny\n"),
	 NULL,
	 TWO(CTE "quoted-printable\n\n" LATIN_QP, "A: b\n\ny\n"),
	 "text:quoted-printable",
	 NULL},
	{"label in its place",
	 {QP, 0, 0},
	 MIXED,
	 TWO("A: b\ncontent-transfer-ENCODING:\n\t8bit\nContent-Type: text/html\n\nx",
	     "Content-Type: text/plain\n\ny\n"),
	 NULL,
	 TWO("A: b\ncontent-transfer-ENCODING: quoted-printable\nContent-Type: text/html\n\nx",
	     "Content-Type: text/plain\n" CTE "quoted-printable\n\ny\n"),
	 "html:quoted-printable,text:quoted-printable",
	 NULL},
	{"one line for two parts of a kind",
	 {B64, 0, 0},
	 MIXED,
	 TWO("\nx", "\ny\n"),
	 NULL,
	 TWO(CTE "base64\n\neA==", CTE "base64\n\neQ0K"),
	 "text:base64",
	 NULL},
	{"by kind",
	 {0, B64, QP},
	 MIXED,
	 TWO("\nx", "Content-Type: text/html\n\ny"),
	 NULL,
	 TWO(CTE "quoted-printable\n\nx", "Content-Type: text/html\n" CTE "base64\n\neQ=="),
	 "text:quoted-printable,html:base64",
	 NULL},
	{"no MIME-Version",
	 {B64, 0, 0},
	 "Content-Type: multipart/mixed; boundary=b\n",
	 TWO("\nx", "\n"),
	 "Content-Type: multipart/mixed; boundary=b\n" V,
	 TWO(CTE "base64\n\neA==", "\n"),
	 "text:base64",
	 NULL},
	{"attachments stay",
	 {QP, 0, 0},
	 MIXED,
	 TWO("\nx=",
	     "Content-Type: text/html\nContent-Disposition: attachment\n" CTE "base64\n\neA=="),
	 NULL,
	 TWO(CTE "quoted-printable\n\nx=3D",
	     "Content-Type: text/html\nContent-Disposition: attachment\n" CTE "base64\n\neA=="),
	 "text:quoted-printable",
	 NULL},
	{"what will not survive",
	 {0},
	 MIXED,
	 TWO("\n" LATIN, "Content-Disposition: attachment\n\n" X999 "\n"),
	 NULL,
	 TWO(CTE "quoted-printable\n\n" LATIN_QP, "Content-Disposition: attachment\n\n" X999 "\n"),
	 "text:quoted-printable",
	 "attachment:long-line"},
	{"long line in a part's header",
	 {0},
	 MIXED,
	 TWO("X: " X999 "\n\nx", "\ny"),
	 NULL,
	 NULL,
	 NULL,
	 "multipart:long-line"},
	{"8-bit epilogue",
	 {0},
	 MIXED,
	 "--b\n\nx\n--b--\n" LATIN,
	 NULL,
	 NULL,
	 NULL,
	 "multipart:8bit"},
	{"nested",
	 {B64, 0, 0},
	 MIXED,
	 TWO("Content-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--c\nContent-Type: "
	     "text/html\n\ny\n--c--",
	     "Content-Type: image/png\n" CTE "base64\n\neA=="),
	 NULL,
	 TWO("Content-Type: multipart/alternative; boundary=c\n\n--c\n" CTE "base64\n\neA==\n--c\n"
	     "Content-Type: text/html\n" CTE "base64\n\neQ==\n--c--",
	     "Content-Type: image/png\n" CTE "base64\n\neA=="),
	 "text:base64,html:base64",
	 NULL},
	{"signed",
	 {B64, 0, 0},
	 V "Content-Type: multipart/signed; boundary=b\n",
	 TWO("\n" LATIN, "Content-Type: application/pgp-signature\n\ny"),
	 NULL,
	 NULL,
	 NULL,
	 "text:signed"},
	{"signed, nothing wanted",
	 {0},
	 V "Content-Type: multipart/signed; boundary=b\n",
	 TWO("\nx", "Content-Type: application/pgp-signature\n\ny"),
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"signed beside another",
	 {B64, 0, 0},
	 MIXED,
	 TWO("Content-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--", "\ny"),
	 NULL,
	 TWO("Content-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--", CTE "base64\n\neQ=="),
	 "text:base64",
	 "text:signed"},
	{"encrypted",
	 {QP, 0, 0},
	 V "Content-Type: multipart/encrypted; boundary=b\n",
	 TWO("Content-Type: application/pgp-encrypted\n\nVersion: 1",
	     "Content-Type: application/octet-stream\n\ny"),
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"message",
	 {B64, 0, 0},
	 V "Content-Type: multipart/mixed; boundary=b7\n",
	 "--b7\n\nx\n--b7\nContent-Type: message/rfc822\n\nSubject: y\n\n" LATIN "--b7--\n",
	 NULL,
	 "--b7\n" CTE "base64\n\neA==\n--b7\nContent-Type: message/rfc822\n\nSubject: y\n\n" LATIN
	 "--b7--\n",
	 "text:base64",
	 "message:8bit"},
	{"digest",
	 {B64, 0, 0},
	 V "Content-Type: multipart/digest; boundary=b7\n",
	 "--b7\n\nSubject: x\n\nx\n--b7--\n",
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"broken base64",
	 {QP, 0, 0},
	 MIXED,
	 TWO(CTE "base64\n\neA=", "\ny="),
	 NULL,
	 TWO(CTE "base64\n\neA=", CTE "quoted-printable\n\ny=3D"),
	 "text:quoted-printable",
	 "text:broken-base64"},
	{"nothing but broken parts",
	 {QP, 0, 0},
	 MIXED,
	 TWO(CTE "base64\n\neA=", CTE "base64\n\ne"),
	 NULL,
	 NULL,
	 NULL,
	 "text:broken-base64"},
	{"two encodings",
	 {QP, 0, 0},
	 MIXED,
	 TWO(CTE "base64\n" CTE "base64\n\neA==", "\ny="),
	 NULL,
	 TWO(CTE "base64\n" CTE "base64\n\neA==", CTE "quoted-printable\n\ny=3D"),
	 "text:quoted-printable",
	 "text:two-encodings"},
	{"malformed type",
	 {QP, 0, 0},
	 MIXED,
	 TWO("Content-Type: text\n\nx", "\n"),
	 NULL,
	 NULL,
	 NULL,
	 "other:content-type"},
	{"empty parts",
	 {B64, 0, 0},
	 MIXED,
	 TWO("", "Content-Type: text/html\n"),
	 NULL,
	 NULL,
	 NULL,
	 NULL},
	{"part of an empty line",
	 {B64, 0, 0},
	 MIXED,
	 TWO("\n\n", "\n"),
	 NULL,
	 TWO(CTE "base64\n\nDQo=", "\n"),
	 "text:base64",
	 NULL},
	{"not closed", {B64, 0, 0}, MIXED, "--b\n\n" LATIN, NULL, NULL, NULL, "structure"},
	{"not closed, nothing wanted", {0}, MIXED, "--b\n\nx\n", NULL, NULL, NULL, NULL},
	{"encoded multipart",
	 {B64, 0, 0},
	 MIXED CTE "base64\n",
	 "--b\n\nx\n--b--\n",
	 NULL,
	 NULL,
	 NULL,
	 "encoded-multipart"},
	{"8bit that would look like a boundary",
	 {EIGHT, 0, 0},
	 MIXED,
	 TWO(CTE "base64\n\neA0KLS1iDQo=", CTE "base64\n\neA=="),
	 NULL,
	 TWO(CTE "quoted-printable\n\nx\n=2D-b\n", CTE "7bit\n\nx"),
	 "text:quoted-printable,text:7bit",
	 NULL},
	{"8bit that would begin as a boundary",
	 {EIGHT, 0, 0},
	 MIXED,
	 TWO(CTE "base64\n\nLS1ieA==", "\n"),
	 NULL,
	 TWO(CTE "quoted-printable\n\n=2D-bx", "\n"),
	 "text:quoted-printable",
	 NULL},
	{"8bit labels",
	 {EIGHT, 0, 0},
	 MIXED,
	 TWO(CTE "7bit\n\n" LATIN, CTE "binary\n\ny"),
	 NULL,
	 TWO(CTE "8bit\n\n" LATIN, CTE "7bit\n\ny"),
	 "text:8bit,text:7bit",
	 NULL},
	{"at most four reasons",
	 {B64, 0, 0},
	 MIXED,
	 "--b\n" CTE "x\n\nx\n--b\nContent-Type: text/html\n" CTE
	 "x\n\nx\n--b\nContent-Type: text/css\n" CTE "x\n\nx\n"
	 "--b\n" CTE "base64\n\n===\n--b\nContent-Type: text\n\nx\n--b\n" CTE
	 "quoted-printable\n\n=\n--b--\n",
	 NULL,
	 NULL,
	 NULL,
	 "text:unknown-encoding,html:unknown-encoding,other:unknown-encoding,other:content-type"},
};

static void
test_parts(void **state)
{
	(void)state;
	check_samples(parts, G_N_ELEMENTS(parts));
}

/* ---- settings */

static const struct sample unsafe[] = {
	{"8-bit stays", {0}, V, LATIN, NULL, NULL, NULL, NULL},
	{"8-bit stays beside a rule for html", {0, B64, 0}, V, LATIN, NULL, NULL, NULL, NULL},
	{"bare CR stays", {KEEP, 0, 0}, V, "a\fb\n", NULL, NULL, NULL, NULL},
	{"long header stays", {0}, "X: " X100 " " X999 "\n", "x\n", NULL, NULL, NULL, NULL},
	{"rules work",
	 {QP, 0, 0},
	 V,
	 LATIN,
	 V CTE "quoted-printable\n",
	 LATIN_QP,
	 "text:quoted-printable",
	 NULL},
	{"attachments are not spoken of",
	 {QP, 0, 0},
	 V "Content-Disposition: attachment\n",
	 LATIN,
	 NULL,
	 NULL,
	 NULL,
	 NULL},
};

static void
test_not_safe(void **state)
{
	(void)state;
	settings->safe_encoding = false;
	check_samples(unsafe, G_N_ELEMENTS(unsafe));
	settings->safe_encoding = true;
}

static const struct sample signed_mail[] = {
	{"changed all the same",
	 {B64, 0, 0},
	 V "DKIM-Signature: d=example.com; s=other\n",
	 "x\n",
	 V "DKIM-Signature: d=example.com; s=other\n" CTE "base64\n",
	 "eA0K\n",
	 "text:base64",
	 NULL},
};

static void
test_reencode_signed(void **state)
{
	(void)state;
	settings->reencode_signed = true;
	check_samples(signed_mail, G_N_ELEMENTS(signed_mail));
	settings->reencode_signed = false;
}

/*
 * Nothing changes where GMime does not agree.  It takes what follows a full buffer for the beginning of a
 * line: there is a length of line that has it see a boundary.
 */
static void
test_gmime_disagrees(void **state)
{
	static const struct rules rules = {B64, 0, 0};

	(void)state;
	for (int length = 4000; length < 4100; length++) {
		char *line = g_strnfill((gsize)length, 'x'),
		     *name = g_strdup_printf("line of %d", length);
		char *body = g_strconcat("--b\n\n", line, "--b\n--b--\n", NULL);
		struct message *m = message_of(MIXED, body);
		struct survey s = codec_survey(m->body.data, m->body.len);
		struct mime *mime = mime_read(m, &s);
		struct plan *plan = run(m, &rules);
		bool agreed = mime_confirm(mime);

		check_string(name, mime->doubt, NULL);
		check_int(name, plan->new_body, agreed);
		if (!agreed)
			check_true(name, strstr(plan->not_encoded->str, "structure") != NULL);
		plan_free(plan);
		mime_free(mime);
		message_free(m);
		g_free(body);
		g_free(name);
		g_free(line);
	}
}

/* What is explained, and that no explanation is made when nobody asks. */
static void
test_explanations(void **state)
{
	static const struct rules rules = {B64, KEEP, 0};
	struct message *m =
		message_of(MIXED, TWO("\nx", "Content-Type: text/html\n" CTE "8bit\n\ny"));
	struct plan *plan = run(m, &rules);

	(void)state;
	assert_int_equal(plan->explanations->len, 2);
	assert_string_equal(plan->explanations->pdata[0],
			    "encode: part 1, text/plain, 7bit: base64 (the ISP's rule)");
	assert_string_equal(plan->explanations->pdata[1],
			    "encode: part 2, text/html, 8bit: 7bit (it is 7bit)");
	plan_free(plan);
	message_free(m);
}

static void
test_counts_headers(void **state)
{
	static const struct rules rules = {B64, 0, 0};
	struct message *m = message_of("Subject: x\n", "x\n");
	struct plan *plan = run(m, &rules);

	(void)state;
	assert_int_equal(plan->headers_added, 2);
	assert_int_equal(plan->headers_deleted, 0);
	plan_free(plan);
	message_free(m);
}

/* ---- signatures of others */

static void
test_signed_by_others(void **state)
{
	static const struct {
		const char *name, *header;
		bool others;
	} cases[] = {
		{"none", "Subject: x\n", false},
		{"ours", "DKIM-Signature: v=1; d=example.com; s=s1; b=x\n", false},
		{"ours, blanks and case", "dkim-signature:v=1;\n\td = EXAMPLE.com ;\n s=\n S1\n",
		 false},
		{"the platform's", "DKIM-Signature: s=esp1; d=esp.example;\n", false},
		{"ours and another's",
		 "DKIM-Signature: d=example.com; s=s1\nDKIM-Signature: d=x.example; s=s1\n", true},
		{"another selector", "DKIM-Signature: d=example.com; s=s2\n", true},
		{"another domain", "DKIM-Signature: d=sub.example.com; s=s1\n", true},
		{"a pair of two of ours", "DKIM-Signature: d=example.com; s=esp1\n", true},
		{"d= twice", "DKIM-Signature: d=example.com; d=example.com; s=s1\n", true},
		{"no s=", "DKIM-Signature: d=example.com\n", true},
		{"no d=", "DKIM-Signature: s=s1\n", true},
		{"tags in upper case are others", "DKIM-Signature: D=example.com; S=s1\n", true},
		{"blank inside", "DKIM-Signature: d=example. com; s=s1\n", true},
		{"dot at the end", "DKIM-Signature: d=example.com.; s=s1\n", true},
		{"empty", "DKIM-Signature:\n", true},
		{"no tags", "DKIM-Signature: x; y; =; ;\n", true},
		{"longer name", "X-DKIM-Signature: d=x; s=y\n", false},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct message *m = message_of(cases[i].header, "");

		check_int(cases[i].name,
			  signed_mail_by_others(m, g_ptr_array_index(settings->pools, 0)),
			  cases[i].others);
		message_free(m);
	}
}

/* ---- long header lines */

#define X990 \
	X100 X100 X100 X100 X100 X100 X100 X100 X100 \
		"01234567890123456789012345678901234567890123456789012345678901234567890123456789" \
		"0123456789"
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "

/* The text without folds; without blanks, too, if a blank more is no difference. */
static char *
unfold(const char *text, bool blanks)
{
	GString *plain = g_string_new(NULL);

	for (; *text != '\0'; text++)
		if (*text != '\n' && (blanks || *text != ' '))
			g_string_append_c(plain, *text);
	return g_string_free(plain, FALSE);
}

static void
check_folded(const char *name, const struct field *f, const struct buf *out, bool cut)
{
	struct field after = {f->name, out->data, f->name_len, out->len};
	char *before_text = unfold(f->value, !cut), *after_text = unfold(out->data, !cut);

	check_string(name, after_text, before_text);
	check_true(name, !fold_is_needed(&after));
	for (const char *p = out->data; (p = strchr(p, '\n')) != NULL; p++)
		check_true(name, p[1] == ' ' && p[2] != ' ' && p[2] != '\n' && p[2] != '\0');
	g_free(before_text);
	g_free(after_text);
}

/* "!" in the header stands for 1,500 octets of words. */
static void
check_fold(const char *name, const char *text, enum fold_result want, const char *after)
{
	GString *header = g_string_new(text), *words = g_string_new(NULL);
	struct buf out = BUF_INIT;
	struct message *m;
	const struct field *f;

	for (int k = 0; k < 30; k++)
		g_string_append(words, A50);
	g_string_append(words, "z");
	g_string_replace(header, "!", words->str, 0);
	g_string_append(header, "\n");
	m = message_of(header->str, "");
	f = &g_array_index(m->fields, struct field, 0);
	check_int(name, fold_value(f, &out), want);
	check_int(name, fold_is_needed(f), want != FOLD_NOT_NEEDED);
	if (want == FOLD_DONE || want == FOLD_CUT)
		check_folded(name, f, &out, want == FOLD_CUT);
	if (after != NULL)
		check_true(name, g_str_has_prefix(out.data, after));
	buf_free(&out);
	message_free(m);
	g_string_free(header, TRUE);
	g_string_free(words, TRUE);
}

static void
test_fold(void **state)
{
	static const struct {
		const char *name, *header;
		enum fold_result result;
		const char *after; /* how the value begins; NULL: not looked at */
	} cases[] = {
		{"short", "Subject: x", FOLD_NOT_NEEDED, NULL},
		{"many short lines",
		 "Subject: " X100 "\n " X100 "\n " X100 X100 X100 "\n " X100 X100 X100 X100 X100,
		 FOLD_NOT_NEEDED, NULL},
		{"words", "Subject: !", FOLD_DONE, NULL},
		{"words in a second line", "Subject: x\n !", FOLD_DONE, NULL},
		{"word of 990", "Subject: b " X990 " c", FOLD_DONE, " b\n " X990 " c"},
		{"word of 990 behind the name", "Subject: " X990, FOLD_DONE, "\n " X990},
		{"word of 999", "X: " X999, FOLD_CUT, "\n 0123"},
		{"word of 999 without a blank", "X:" X999, FOLD_CUT, NULL},
		{"word of 1,994, cut twice", "X:" X990 X990 "01234567890123", FOLD_CUT, NULL},
		{"word of 999 in From", "From: " X999, FOLD_CANNOT, NULL},
		{"words in From", "From: !", FOLD_DONE, NULL},
		{"word of 999 in Content-Type", "content-type: " X999, FOLD_CANNOT, NULL},
		{"signature", "DKIM-Signature: !", FOLD_CANNOT, NULL},
		{"seal", "ARC-Seal: !", FOLD_CANNOT, NULL},
		{"bare CR", "Subject: !\r!", FOLD_CANNOT, NULL},
	};

	(void)state;
	for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
		check_fold(cases[i].name, cases[i].header, cases[i].result, cases[i].after);
}

/* Blanks only: no line of a folded field may be without a word. */
static void
test_fold_blanks(void **state)
{
	GString *header = g_string_new("Subject: a");
	struct buf out = BUF_INIT;
	struct message *m;

	(void)state;
	for (int i = 0; i < 3000; i++)
		g_string_append_c(header, ' ');
	g_string_append(header, "b\n");
	m = message_of(header->str, "");
	assert_int_equal(fold_value(&g_array_index(m->fields, struct field, 0), &out), FOLD_CANNOT);
	buf_clear(&out, 0);
	message_free(m);
	g_string_assign(header, "Subject: " X100 X100 X100 X100 X100);
	for (int i = 0; i < 600; i++)
		g_string_append_c(header, ' ');
	g_string_append(header, "\n"); /* they are at the end */
	m = message_of(header->str, "");
	assert_int_equal(fold_value(&g_array_index(m->fields, struct field, 0), &out), FOLD_CANNOT);
	buf_free(&out);
	message_free(m);
	g_string_free(header, TRUE);
}

static void
test_long_headers(void **state)
{
	char *cut = g_strdup_printf("X: " X100 "\n %.997s\n %s\nY: z\n", X999, &X999[997]);
	const struct sample cases[] = {
		{"cut, body stays",
		 {0},
		 "X: " X100 " " X999 "\nY: z\n",
		 "x\n",
		 cut,
		 NULL,
		 NULL,
		 NULL},
		{"folded",
		 {0},
		 "X: " X100 " " X990 "\nY: z\n",
		 "x\n",
		 "X: " X100 "\n " X990 "\nY: z\n",
		 NULL,
		 NULL,
		 NULL},
		{"left and told",
		 {0},
		 "From: " X999 "\n",
		 "x\n",
		 NULL,
		 NULL,
		 NULL,
		 "header:long-line"},
		{"signed by its author",
		 {0},
		 "X: " X100 " " X999 "\nDKIM-Signature: x\n",
		 "x\n",
		 NULL,
		 NULL,
		 NULL,
		 "signed"},
	};

	(void)state;
	check_samples(cases, G_N_ELEMENTS(cases));
	g_free(cut);
}

static void
test_many_long_headers(void **state)
{
	GString *header = g_string_new(NULL);
	struct message *m;
	struct plan *plan;
	static const struct rules rules;
	clock_t start;

	(void)state;
	for (int i = 0; i < 3000; i++)
		g_string_append_printf(
			header, "X-%d: " X100 " " X100 X100 X100 X100 X100 X100 X100 X100 X100 "\n",
			i);
	m = message_of(header->str, "x\n");
	start = clock();
	plan = run(m, &rules);
	assert_true(fixture_under_a_second(start));
	assert_int_equal(image_edits(plan->image)->len, 1000);
	assert_string_equal(plan->not_encoded->str, "header:long-line");
	plan_free(plan);
	message_free(m);
	g_string_free(header, TRUE);
}

/* Memory that runs out defers the message; nothing half done is left. */
static void
test_memory(void **state)
{
	static const struct rules rules = {B64, 0, 0};
	static const char *const headers[] = {V, "Subject: x\n", MIXED};
	static struct isp isp;

	(void)state;
	set_rules(&isp, &rules);
	for (size_t i = 0; i < G_N_ELEMENTS(headers); i++) {
		struct message *m = message_of(headers[i], TWO("\n" LATIN, "\ny\n"));
		const struct job job = {.settings = settings, .message = m};
		struct plan *plan = plan_new(m);

		plan->pool = g_ptr_array_index(settings->pools, 0);
		plan->isp = &isp;
		plan->body.failed = true; /* as after an append that failed */
		check_true(headers[i], !stage_encode(&job, plan));
		check_int(headers[i], plan->verdict, VERDICT_DEFERRED);
		check_string(headers[i], plan->reason, "memory");
		check_true(headers[i], !plan->new_body);
		check_int(headers[i], image_edits(plan->image)->len, 0);
		plan_free(plan);
		message_free(m);
	}
}

static int
setup(void **state)
{
	(void)state;
	settings = fixture_settings(
		"pools = (" POOL("acme", "example.com",
				 "signatures = ( { domain = \"esp.example\"; selector = \"esp1\"; "
				 "key = \"@D/key.pem\"; } );") ");\n");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	settings_unref(settings);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_not_safe),
		cmocka_unit_test(test_reencode_signed),
		cmocka_unit_test(test_gmime_disagrees),
		cmocka_unit_test(test_explanations),
		cmocka_unit_test(test_counts_headers),
		cmocka_unit_test(test_signed_by_others),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_fold_blanks),
		cmocka_unit_test(test_long_headers),
		cmocka_unit_test(test_many_long_headers),
		cmocka_unit_test(test_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
