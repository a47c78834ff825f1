/*
 * fuzz_record - TXT records as anybody may publish them: tag lists, and all that judges them.
 *
 * Input: one octet chooses what is done, then lines, each a TXT record: the first at the name in
 * question, the others at the names that it leads to, by turns.  A second reader of tag lists, the
 * grammar of RFC 6376 3.2 as a regular expression, says which are well-formed.
 */
#include "fuzz.h"

#include "core/dns_verdict.h"
#include "core/key_record.h"
#include "core/tag_list.h"

#include <string.h>

#define FWS "(?:[ \\t]|\\r\\n(?=[ \\t]))*"
#define SPEC FWS "[A-Za-z][A-Za-z0-9_]*" FWS "=(?:" FWS "[\\x21-\\x3a\\x3c-\\x7e])*" FWS
#define KEY "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static const char config[] =
	"pools = ( { name = \"p\"; sender_domain = \"example.com\"; spf_domain = \"b.example.com\";"
	" sender_subdomain = \"mail\"; source_ips = [ \"192.0.2.4\" ]; spf_include = [ "
	"\"i.example\" ];"
	" dmarc: { policy = \"reject\"; rua = \"mailto:d@example.com\"; };"
	" bimi_logo = \"https://example.com/l.svg\"; match_subdomains = true;"
	" dkim_selector = \"s\"; dkim_key = \"@D/key.pem\"; } );";

static struct settings *settings;
static struct zone *zone;

/* ---- a DNS that answers with the input ---- */

struct lines {
	const uint8_t *data;
	size_t len;
	GHashTable *answers;
	unsigned asked;
};

static void
start(void *context, const char *name, enum record_type type)
{
	(void)context;
	(void)name;
	(void)type;
}

/* The next line is the next name's record; all octets but LF may stand in it. */
static void
take_line(struct lines *l, struct dns_answer *a)
{
	const uint8_t *end = memchr(l->data, '\n', l->len);
	size_t n = end != NULL ? (size_t)(end - l->data) : l->len, used = end != NULL ? n + 1 : n;

	a->state = DNS_FOUND;
	dns_answer_add(a, (const char *)l->data, n, 0);
	l->data += used;
	l->len -= used;
}

static const struct dns_answer *
answer(void *context, const char *name, enum record_type type)
{
	static const enum dns_state states[] = {DNS_NO_DATA, DNS_NO_NAME, DNS_FAILED, DNS_TIMEOUT};
	struct lines *l = context;
	char *key = g_strdup_printf("%s %d", name, (int)type);
	struct dns_answer *a = g_hash_table_lookup(l->answers, key);

	if (a != NULL) {
		g_free(key);
		return a;
	}
	a = dns_answer_new(states[l->asked++ % G_N_ELEMENTS(states)]);
	if (type == RECORD_TXT && l->len > 0)
		take_line(l, a);
	if (type == RECORD_TXT && l->len > 0 && *l->data == '+') { /* a second one */
		l->data++;
		l->len--;
		take_line(l, a);
	}
	g_hash_table_insert(l->answers, key, a);
	return a;
}

static enum spf_result
spf(const struct dns *dns, const char *domain, const char *address, const char *helo, char **why)
{
	enum spf_result result = strlen(domain) % 2 == 0 ? SPF_FAILS : SPF_PASSES;

	(void)dns;
	(void)address;
	(void)helo;
	if (result != SPF_PASSES)
		*why = g_strdup("fail");
	return result;
}

static void
org_domain(const char *domain, char out[DOMAIN_SIZE])
{
	require_of(strlen(domain) <= DOMAIN_MAX, domain);
	g_strlcpy(out, domain, DOMAIN_SIZE);
}

static char *
key(void *context, const char *key_file, char **why)
{
	(void)context;
	(void)key_file;
	(void)why;
	return g_strdup(KEY);
}

/* ---- what must hold ---- */

static void
check_findings(const GPtrArray *findings)
{
	for (guint i = 0; i < findings->len; i++) {
		const struct finding *f = findings->pdata[i];

		require(f->code < FINDING_CODES && f->text != NULL && *f->text != '\0');
	}
}

static bool
well_formed(const char *text, size_t len)
{
	static GRegex *regex;

	if (regex == NULL)
		regex = g_regex_new("\\A" SPEC "(?:;" SPEC ")*(?:;" FWS ")?\\z",
				    G_REGEX_RAW | G_REGEX_OPTIMIZE, 0, NULL);
	return g_regex_match_full(regex, text, (gssize)len, 0, 0, NULL, NULL);
}

static void
tag_list(const char *text, size_t len)
{
	struct tag_list *l = tag_list_parse(text, len), *again;
	GString *written = g_string_new(NULL);
	GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);

	if (l->problem == NULL)
		require(well_formed(text, len));
	else
		require(l->piece != NULL &&
			(!well_formed(text, len) || strstr(l->problem, "before") != NULL));
	for (guint i = 0; i < l->tags->len; i++) {
		const struct tag *t = l->tags->pdata[i];

		require_of(g_hash_table_add(names, t->name), t->name);
		require(tag_list_get(l, t->name) == t->value);
		g_string_append_printf(written, "%s=%s;", t->name, t->value);
	}
	again = tag_list_parse(written->str, written->len);
	require(l->tags->len == 0 || (again->problem == NULL && again->tags->len == l->tags->len));
	for (guint i = 0; i < l->tags->len; i++)
		require(strcmp(((struct tag *)again->tags->pdata[i])->value,
			       ((struct tag *)l->tags->pdata[i])->value) == 0);
	tag_list_free(again);
	tag_list_free(l);
	g_hash_table_destroy(names);
	g_string_free(written, TRUE);
}

static void
key_record(const char *text, size_t len)
{
	GPtrArray *findings = findings_new();

	key_record_judge_text(text, len, KEY, true, findings);
	check_findings(findings);
	if (findings_worst(findings) != FINDING_ERROR) {
		/* Who takes it for ours must find our key in it, whatever stands around it. */
		char *copy = g_strndup(text, len);

		require_of(strstr(copy, "11qYAYK") != NULL || strpbrk(copy, " \t\r\n") != NULL,
			   copy);
		g_free(copy);
	}
	g_ptr_array_unref(findings);
}

/* Every record of the zone is judged, each with the whole input. */
static void
verdicts(const struct input *in)
{
	for (guint i = 0; i < zone->records->len; i++) {
		struct lines l = {.data = in->data, .len = in->len};
		const struct dns dns = {.start = start, .answer = answer, .context = &l};
		const struct dns_tools tools = {.dns = &dns, .spf = spf, .org_domain = org_domain};
		struct dns_verdict *v;

		l.answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, dns_answer_free);
		v = dns_verdict_new(zone->records->pdata[i], &tools);
		check_findings(v->findings);
		require(l.asked < 2000); /* no record makes us ask without end */
		dns_verdict_free(v);
		g_hash_table_destroy(l.answers);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned what = input_choice(&in, 4);

	if (settings == NULL) {
		settings = fuzz_settings(config);
		zone = zone_new(settings, NULL, 0, key, NULL);
	}
	if (what == 0)
		tag_list((const char *)in.data, in.len);
	else if (what == 1)
		key_record((const char *)in.data, in.len);
	else
		verdicts(&in);
	return 0;
}
