/*
 * fuzz_process - the whole pipeline over a message, as `poolctl process` runs it.
 *
 * Input: five octets choose no_pool, sender, recipients, client and signer, each followed by the
 * lines that the choice takes; the rest is the message.  What must hold of every plan stands in the
 * check_*() functions: the fake MTA of mta.h that applies the edits holds the image; no edit can
 * break out of its field; a refusal changes nothing; nobody's mail is never signed.
 */
#include "fuzz.h"

#include "core/domain.h"
#include "core/outcome.h"
#include "core/pipeline.h"
#include "core/split.h"
#include "core/token.h"
#include "ctl/eml.h"
#include "io/signer.h"
#include "mta.h"

#include <gmime/gmime.h>
#include <stdlib.h>
#include <string.h>

#define NOW ((time_t)1700000000)

#define KEYS "dkim_selector = \"s1\"; dkim_key = \"@D/key.pem\"; "

static const char config[] =
	"trusted_networks = [ \"127.0.0.0/8\", \"2001:db8::/32\" ];\n"
	"control_header = \"X-Pool\"; max_message_size = 65536; signature_expire_days = 7;\n"
	"signed_headers = [ \"X-Signed\" ]; oversigned_headers = [ \"Subject\", \"To\" ];\n"
	"reinject = \"smtp://127.0.0.1:10026\";\n"
	"isps = (\n"
	"{ name = \"org\"; domains = [ \"example.org\" ];\n"
	"  encoding: { html = \"base64\"; text = \"quoted-printable\"; };\n"
	"  delete_headers = [ \"X-Mailer\" ];\n"
	"  add_headers = ( { name = \"X-Isp\"; value = \"${isp} ${rcpt} ${header:X-Long}\"; } ); },\n"
	"{ name = \"x\"; domains = [ \"x.example\", \"*.x.example\" ]; encoding: { global = \"8bit\"; }; } );\n"
	"pools = (\n"
	"{ name = \"acme\"; sender_domain = \"example.com\"; spf_domain = \"b.example.com\"; " KEYS
	"  delete_headers = [ \"X-Campaign\", \"X-Internal-*\", \"Received\" ];\n"
	"  set_headers = ( { name = \"X-Mailer\"; value = \"${header:Subject} by ${pool}\"; },\n"
	"                  { name = \"Reply-To\"; value = \"${sender}\"; } );\n"
	"  add_headers = ( { name = \"X-Sender-Id\"; value = \"${pool}/${login}/${queue_id}\"; },\n"
	"                  { name = \"Feedback-ID\"; value = "
	"\"${header:X-Campaign}:${rcpt}:${rcpt_domain}\"; },\n"
	"                  { name = \"X-Mailer\"; value = \"${header:X-Long}${message_id}\"; } ); "
	"},\n"
	"{ name = \"verp\"; sender_domain = \"example.org\"; spf_domain = \"b.example.org\"; "
	"match_subdomains = true;\n"
	"  return_path = \"verp\"; " KEYS
	" add_headers = ( { name = \"X-8bit\"; value = \"\xc3\xa9 ${header:Subject}\"; } );\n"
	"  signatures = ( { domain = \"esp.example\"; selector = \"e1\"; key = \"@D/key.pem\"; } "
	"); },\n"
	"{ name = \"plain\"; sender_domain = \"m\xc3\xbcnchen.example\"; spf_domain = "
	"\"b.example.net\"; return_path = \"plain\"; " KEYS
	"  users = [ \"acme\", \"acme-*\" ]; },\n"
	"{ name = \"keep\"; sender_domain = \"example.net\"; return_path = \"keep\"; " KEYS
	"  networks = [ \"127.0.0.1\" ]; delete_headers = [ \"X-*\" ]; } );\n";

static const char *const no_pools[] = {"pass", "reject", "acme", "verp"};

static struct settings *settings[G_N_ELEMENTS(no_pools)];
static struct signer *real_signer;

static void
prepare(void)
{
	char *why = NULL;

	g_mime_init();
	for (size_t i = 0; i < G_N_ELEMENTS(no_pools); i++) {
		char *text = g_strdup_printf("no_pool = \"%s\"; mixed_isps = \"%s\";\n%s", no_pools[i],
					     i % 2 != 0 ? "split" : "neutral", config);

		settings[i] = fuzz_settings(text);
		g_free(text);
	}
	real_signer = signer_new(NOW, &why);
	require(real_signer != NULL && signer_keys_cached(real_signer));
}

/* ---- a signer that reads every octet it is given and signs with words */

static void
touch(uint32_t *sum, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*sum = *sum * 31 + ((const unsigned char *)data)[i];
}

static bool
fake_sign(void *context, const struct sign_request *r, struct buf *out, const char **algorithm,
	  char **why)
{
	uint32_t sum = 0;
	char *value;

	for (guint i = 0; i < r->fields->len; i++) {
		const struct field *f = r->fields->pdata[i];

		require(!field_is(f, "DKIM-Signature"));
		touch(&sum, f->name, f->name_len + 1); /* both end with a NUL */
		touch(&sum, f->value, f->value_len + 1);
	}
	for (size_t i = 0; r->oversigned[i] != NULL; i++)
		touch(&sum, r->oversigned[i], strlen(r->oversigned[i]));
	touch(&sum, r->body, r->body_len);
	if (context != NULL) { /* one that always fails */
		*why = g_strdup("no key");
		return false;
	}
	value = g_strdup_printf(" v=1; a=fake; d=%s; s=%s;\n\tb=%08x", r->signature->domain,
				r->signature->selector, sum);
	buf_puts(out, value);
	g_free(value);
	*algorithm = "fake";
	return true;
}

/* ---- the message */

struct run {
	const struct settings *settings;
	struct signer signer;
	struct eml eml;
	struct message *message;
	struct plan *plan;
};

static struct message *
take_sender(struct input *in, const struct settings *s)
{
	static const char *const senders[] = {"user@example.com", "", "b+aaaa@b.example.com",
					      "no-domain"};
	unsigned choice = input_choice(in, 8);
	char *line = choice >= G_N_ELEMENTS(senders) ? input_line(in) : NULL;
	struct message *m =
		message_new(line != NULL ? line : senders[choice], (uint64_t)s->max_message_size);

	g_free(line);
	return m;
}

static void
take_rcpts(struct input *in, struct message *m)
{
	static const char *const rcpts[] = {"a@example.org", "\"b c\"@x.example", "a@EXAMPLE.ORG",
					    "nobody"};
	unsigned choice = input_choice(in, 8);
	char *line;

	if (choice < 4)
		message_add_rcpt(m, rcpts[choice]);
	for (unsigned i = choice; i > 3; i--) {
		line = input_line(in);
		message_add_rcpt(m, line);
		g_free(line);
	}
}

static void
take_client(struct input *in, struct message *m)
{
	static const char *const clients[] = {"127.0.0.1", "2001:db8::1", "192.0.2.1", "10.0.0.1"};
	unsigned choice = input_choice(in, 16);

	if (choice < 8)
		require(address_parse(&m->client, clients[choice % 4]));
	m->local = choice == 8;
	if (choice >= 4 && choice < 8)
		m->login = g_strdup(choice % 2 != 0 ? "acme-1" : "other");
	if (choice > 8) {
		m->login = input_line(in);
		m->queue_id = input_line(in);
	}
}

/* The rest of the input as a file. */
static void
take_eml(struct input *in, struct run *r)
{
	buf_add(&r->eml.octets, in->data, in->len);
	require(!buf_failed(&r->eml.octets));
	eml_parse(&r->eml, r->message);
	message_seal(r->message);
}

static void
run_begin(struct run *r, struct input *in)
{
	memset(r, 0, sizeof *r);
	r->settings = settings[input_choice(in, G_N_ELEMENTS(settings))];
	r->message = take_sender(in, r->settings);
	take_rcpts(in, r->message);
	take_client(in, r->message);
	r->signer.sign = fake_sign;
	switch (input_choice(in, 16)) {
	case 15:
		r->signer = *real_signer;
		break;
	case 14:
		r->signer.context = r; /* fails */
		break;
	default:
		break;
	}
	take_eml(in, r);
	r->plan = plan_new(r->message);
	r->plan->explanations = g_ptr_array_new_with_free_func(g_free);
}

static void
run_end(struct run *r)
{
	plan_free(r->plan);
	message_free(r->message);
	eml_free(&r->eml);
}

/* ---- what must hold */

/* Octets without the line ends of folds. */
static char *
unfolded(const char *value)
{
	char **lines = g_strsplit(value, "\n", -1), *text = g_strjoinv("", lines);

	g_strfreev(lines);
	return text;
}

/* True if the change only folds a field of the message in another way: then its octets are not ours. */
static bool
folds_only(const struct run *r, const struct edit *e)
{
	bool same = false;
	char *now;

	if (e->kind != EDIT_CHANGE)
		return false;
	now = unfolded(e->field.value);
	for (guint i = 0; !same && i < r->message->fields->len; i++) {
		char *was = unfolded(g_array_index(r->message->fields, struct field, i).value);

		same = strcmp(was, now) == 0;
		g_free(was);
	}
	g_free(now);
	return same;
}

static void
check_image(const struct run *r)
{
	const GArray *edits = image_edits(r->plan->image);
	struct mta *mta = mta_new(r->message);

	for (guint i = 0; i < edits->len; i++) {
		const struct edit *e = &g_array_index(edits, struct edit, i);

		require(!field_is(&e->field, "From") || folds_only(r, e));
		if (e->kind != EDIT_DELETE && !folds_only(r, e))
			fuzz_check_value(e->field.name, e->field.value, e->field.value_len);
		mta_apply(mta, e);
	}
	mta_check(mta, r->plan->image);
	mta_free(mta);
}

static guint
count_kind(const struct plan *p, enum edit_kind kind)
{
	const GArray *edits = image_edits(p->image);
	guint n = 0;

	for (guint i = 0; i < edits->len; i++)
		n += g_array_index(edits, struct edit, i).kind == kind;
	return n;
}

static void
check_sender(const struct run *r)
{
	const char *sender = r->plan->new_sender, *at;

	if (sender == NULL)
		return;
	require(r->message->sender[0] != '\0' && r->plan->pool->return_path != RETURN_PATH_KEEP);
	at = strrchr(sender, '@');
	require_of(at != NULL && strcmp(at + 1, r->plan->pool->spf_domain) == 0, sender);
	require_of(at - sender <= LOCAL_PART_MAX && fuzz_dot_atom(sender, (size_t)(at - sender)),
		   sender);
}

/* Reasons to leave a message alone, found another way than trust.c and author.c do. */
static bool
untrusted(const struct message *m)
{
	return m->login == NULL && !m->local && m->client.known &&
	       (m->client.octets[12] == 192 || m->client.octets[12] == 10) &&
	       m->client.octets[0] == 0;
}

static unsigned
count_from(const struct message *m)
{
	unsigned n = 0;

	for (guint i = 0; i < m->fields->len; i++)
		n += g_ascii_strcasecmp(g_array_index(m->fields, struct field, i).name, "From") ==
		     0;
	return n;
}

static bool
sender_stays(const struct run *r)
{
	const struct pool *p = r->plan->pool;
	const char *at = strrchr(r->message->sender, '@');
	char domain[DOMAIN_SIZE];

	return p->return_path == RETURN_PATH_KEEP || r->message->sender[0] == '\0' ||
	       (at != NULL && domain_normalise(at + 1, strlen(at + 1), domain) &&
		strcmp(domain, p->spf_domain) == 0);
}

static void
check_accepted(const struct run *r)
{
	const struct plan *p = r->plan;

	require(count_from(r->message) == 1 && !untrusted(r->message));
	require(p->pool != NULL && p->from_domain[0] != '\0' && p->reply == NULL);
	require(count_kind(p, EDIT_INSERT) == p->pool->signatures->len);
	require(p->dkim->len > 0);
	require((p->new_sender == NULL) == sender_stays(r));
}

static void
check_passed(const struct run *r)
{
	const GArray *edits = image_edits(r->plan->image);

	require(r->plan->reason != NULL && r->plan->new_sender == NULL);
	for (guint i = 0; i < edits->len; i++) {
		const struct edit *e = &g_array_index(edits, struct edit, i);

		require(e->kind == EDIT_DELETE &&
			(field_is(&e->field, "X-Pool") || field_is(&e->field, SPLIT_HEADER)));
	}
	require(edits->len == 0 || !untrusted(r->message));
}

static void
check_refused(const struct run *r)
{
	const struct plan *p = r->plan;

	require(image_edits(p->image)->len == 0 && p->new_sender == NULL);
	require(!p->new_body && p->groups == NULL);
	require(p->headers_added + p->headers_deleted == 0 &&
		(p->dkim == NULL || p->dkim->len == 0));
	require(p->reason != NULL && p->reply != NULL);
	require(*p->reply_code == (p->verdict == VERDICT_DEFERRED ? '4' : '5'));
	require(*p->reply_status == *p->reply_code);
	for (const char *c = p->reply; *c != '\0'; c++)
		require_of(*c >= 32 && *c < 127, p->reply);
}

/* One line that a program can take apart. */
static void
check_log(const struct run *r)
{
	GString *line = outcome_line(r->message, r->plan, 900);

	require(strstr(line->str, " result=") != NULL);
	if (r->message->queue_id == NULL) /* which is the MTA's, and made printable by the log */
		for (gsize i = 0; i < line->len; i++)
			require_of(line->str[i] >= 32 && line->str[i] < 127, line->str);
	g_string_free(line, TRUE);
}

/* What poolctl writes, read again, is the image. Bare CR in a file have no such promise. */
static void
check_file(const struct run *r)
{
	struct message *again = message_new("", 1 << 24);
	struct eml eml = {.octets = BUF_INIT};
	char *text = NULL;
	size_t len = 0, body_len;
	const char *body;
	FILE *out;
	struct mta *mta;

	if (r->eml.octets.len > 0 && memchr(r->eml.octets.data, '\r', r->eml.octets.len) == NULL) {
		out = open_memstream(&text, &len);
		eml_write(&r->eml, r->plan, out);
		fclose(out);
		buf_add(&eml.octets, text, len);
		eml_parse(&eml, again);
		message_seal(again);
		mta = mta_new(again);
		mta_check(mta, r->plan->image);
		mta_free(mta);
		body = plan_body(r->plan, r->message, &body_len);
		require(r->message->too_large ||
			(again->body.len == body_len &&
			 (body_len == 0 || memcmp(again->body.data, body, body_len) == 0)));
	}
	free(text);
	eml_free(&eml);
	message_free(again);
}

static void
check(const struct run *r)
{
	check_image(r);
	check_sender(r);
	check_log(r);
	switch (r->plan->verdict) {
	case VERDICT_ACCEPTED:
		check_accepted(r);
		break;
	case VERDICT_PASSED:
		check_passed(r);
		break;
	default:
		check_refused(r);
	}
	if (!r->message->too_large)
		check_file(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct run r;
	struct job job;

	if (real_signer == NULL)
		prepare();
	run_begin(&r, &in);
	job = (struct job){.settings = r.settings, .message = r.message, .signer = &r.signer, .now = NOW};
	pipeline_run(&job, r.plan);
	check(&r);
	run_end(&r);
	return 0;
}
