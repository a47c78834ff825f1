/*
 * spf_record - judges SPF records; see spf_record.h.
 *
 * Whether an address is authorised an evaluator decides (struct dns_tools).  The walk below goes
 * through the record and all that it includes as the evaluation of an address that nothing matches
 * does: it counts look-ups, and sees what an evaluation that ends early does not.
 */
#include "core/spf_record.h"

#include "core/presence.h"

#include <string.h>

#define SPF_VERSION "v=spf1"
#define NOBODY "203.0.113.1" /* an address for documentation, RFC 5737 */
#define WALK_MAX 100         /* look-ups; records that include each other end here */

struct walk {
	const struct dns *dns;
	guint lookups, voids;
	bool ptr; /* a ptr mechanism */
	char all; /* the qualifier of "all" in the record itself or where it redirects to; 0: none
		   */
	char *broken;        /* what makes it invalid; NULL: nothing seen */
	GPtrArray *included; /* of char *: domains */
};

/* One term: [qualifier] name [":" or "=" domain-spec]. */
struct term {
	char qualifier;
	bool modifier;
	char *name;   /* lower case */
	char *domain; /* without prefix lengths; NULL: not told */
};

bool
spf_record_is(const struct dns_record *r)
{
	size_t n = strlen(SPF_VERSION);

	return g_ascii_strncasecmp(r->text, SPF_VERSION, n) == 0 &&
	       (r->text[n] == '\0' || r->text[n] == ' ');
}

/* The first SPF record of an answer, and how many there are; NULL if there is none. */
static const struct dns_record *
spf_of(const struct dns_answer *a, guint *count)
{
	const struct dns_record *first = NULL;

	*count = 0;
	for (guint i = 0; i < a->records->len; i++) {
		const struct dns_record *r = a->records->pdata[i];

		if (!spf_record_is(r))
			continue;
		if ((*count)++ == 0)
			first = r;
	}
	return first;
}

/* ---- the walk ---- */

static void walk_record(struct walk *w, const char *domain, const char *text, bool own);

static struct term
term_read(const char *text)
{
	struct term t = {.qualifier = '+'};
	size_t n;

	if (*text != '\0' && strchr("+-~?", *text) != NULL)
		t.qualifier = *text++;
	n = strcspn(text, ":=/");
	t.name = g_ascii_strdown(text, (gssize)n);
	t.modifier = text[n] == '=';
	if (text[n] == ':' || text[n] == '=')
		t.domain = g_strndup(text + n + 1, strcspn(text + n + 1, "/"));
	return t;
}

static void
term_clear(struct term *t)
{
	g_free(t->name);
	g_free(t->domain);
}

/* The answer for a domain; NULL if its name depends on the mail, by a macro. */
static const struct dns_answer *
ask(const struct walk *w, const char *domain, enum record_type type)
{
	char name[DOMAIN_SIZE];

	if (!domain_normalise(domain, strlen(domain), name))
		return NULL;
	return dns_answer(w->dns, name, type);
}

static bool
is_void(const struct dns_answer *a)
{
	return a != NULL && dns_known(a) && a->state != DNS_FOUND;
}

/* include and redirect: both go on in another record, which must be there. */
static void
walk_into(struct walk *w, const struct term *t, bool own)
{
	const struct dns_answer *a;
	const struct dns_record *r;
	guint count;

	w->lookups++;
	if (t->domain == NULL || w->lookups > WALK_MAX)
		return;
	a = ask(w, t->domain, RECORD_TXT);
	if (a == NULL || !dns_known(a))
		return;
	r = spf_of(a, &count);
	w->voids += is_void(a);
	if (count != 1 && w->broken == NULL)
		w->broken = g_strdup_printf("%s:%s: %s", t->name, t->domain,
					    count == 0 ? "there is no SPF record"
						       : "there are several SPF records");
	if (count == 1)
		walk_record(w, t->domain, r->text, own);
}

/* A mechanism of the record of a domain, which it asks for where it does not name another. */
static void
walk_mechanism(struct walk *w, const char *domain, const struct term *t, bool own)
{
	const char *name = t->domain != NULL ? t->domain : domain;
	char normal[DOMAIN_SIZE];

	if (strcmp(t->name, "include") == 0) {
		if (t->domain != NULL && domain_normalise(t->domain, strlen(t->domain), normal))
			g_ptr_array_add(w->included, g_strdup(normal));
		walk_into(w, t, false);
	} else if (strcmp(t->name, "a") == 0 || strcmp(t->name, "exists") == 0) {
		w->lookups++;
		w->voids += is_void(ask(w, name, RECORD_A)) &&
			    (*t->name == 'e' || is_void(ask(w, name, RECORD_AAAA)));
	} else if (strcmp(t->name, "mx") == 0) {
		w->lookups++;
		w->voids += is_void(ask(w, name, RECORD_MX));
	} else if (strcmp(t->name, "ptr") == 0) {
		w->lookups++;
		w->ptr = true;
	} else if (strcmp(t->name, "all") == 0 && own && w->all == 0) {
		w->all = t->qualifier;
	}
}

/* own: its "all" is that of the record that is judged. */
static void
walk_record(struct walk *w, const char *domain, const char *text, bool own)
{
	char **words = g_strsplit(text + strlen(SPF_VERSION), " ", -1);
	bool all = false;
	struct term redirect = {.name = NULL};

	for (char **word = words; *word != NULL && w->lookups <= WALK_MAX; word++) {
		struct term t = term_read(*word);

		if (t.modifier && strcmp(t.name, "redirect") == 0 && redirect.name == NULL) {
			redirect = t;
			continue;
		}
		if (!t.modifier && !all) /* what stands behind "all" is never reached */
			walk_mechanism(w, domain, &t, own);
		all = all || (!t.modifier && strcmp(t.name, "all") == 0);
		term_clear(&t);
	}
	if (redirect.name != NULL && !all) /* RFC 7208 6.1 */
		walk_into(w, &redirect, own);
	term_clear(&redirect);
	g_strfreev(words);
}

/* ---- the verdict ---- */

static void
judge_limits(const struct walk *w, GPtrArray *findings)
{
	if (w->lookups > ZONE_SPF_LOOKUPS_MAX)
		finding_mend(
			findings_add(findings, SPF_LOOKUPS,
				     "%s%u DNS look-ups; receivers stop after %d (RFC 7208 4.6.4)",
				     w->lookups > WALK_MAX ? "over " : "",
				     MIN(w->lookups, (guint)WALK_MAX), ZONE_SPF_LOOKUPS_MAX),
			"put ip4: and ip6: in place of include, a and mx");
	else if (w->broken != NULL)
		finding_mend(findings_add(findings, SPF_BROKEN, "%s", w->broken),
			     "mend that record, or take the term away");
	else if (w->voids > SPF_VOID_LOOKUPS_MAX)
		finding_mend(
			findings_add(
				findings, SPF_VOID_LOOKUPS,
				"%u terms name what the DNS does not have; receivers stop after %d",
				w->voids, SPF_VOID_LOOKUPS_MAX),
			"take away the terms whose names are gone");
}

static void
judge_all(const struct walk *w, GPtrArray *findings)
{
	if (w->all == '+')
		finding_mend(
			findings_add(findings, SPF_ALL_PASS, "\"+all\" authorises the whole world"),
			"end the record with -all");
	else if (w->all == '?')
		finding_mend(findings_add(findings, SPF_ALL_NEUTRAL,
					  "\"?all\" says nothing of others' mail"),
			     "end the record with -all");
	else if (w->all == 0)
		finding_mend(findings_add(findings, SPF_ALL_NONE,
					  "no \"all\" at the end: nothing is said of others' mail"),
			     "end the record with -all");
}

/* The terms that take a pool's mail through another sender, and are not there. */
static void
judge_includes(const struct walk *w, const struct record *wanted, GPtrArray *findings)
{
	char **words = g_strsplit(wanted->value, " ", -1);

	for (char **word = words; *word != NULL; word++)
		if (g_str_has_prefix(*word, "include:") &&
		    !g_ptr_array_find_with_equal_func(w->included, *word + strlen("include:"),
						      g_str_equal, NULL))
			finding_mend(findings_add(findings, SPF_INCLUDE_ABSENT,
						  "%s is not in the record", *word),
				     "add it before the \"all\" at the end");
	g_strfreev(words);
}

/* What the evaluator says of addresses. */
struct evaluation {
	const struct dns_tools *tools;
	const char *domain;
	GHashTable *seen; /* addresses */
	GString *refused; /* those that are not authorised, with commas */
	enum spf_result worst;
	char *why;
};

static void
evaluate(struct evaluation *e, const char *address, const char *helo)
{
	enum spf_result result;
	char *why = NULL;

	if (!g_hash_table_add(e->seen, (void *)address))
		return;
	result = e->tools->spf(e->tools->dns, e->domain, address, helo, &why);
	if (result == SPF_FAILS)
		g_string_append_printf(e->refused, "%s%s", e->refused->len > 0 ? ", " : "",
				       address);
	if (result > e->worst) {
		e->worst = result;
		g_free(e->why);
		e->why = g_steal_pointer(&why);
	}
	g_free(why);
}

/* Evaluates the addresses of all pools; without any, one of nobody, which tells whether the record
 * is valid. */
static void
evaluate_all(struct evaluation *e, const GPtrArray *pools)
{
	for (guint i = 0; i < pools->len; i++) {
		const struct pool *p = pools->pdata[i];
		char *helo = zone_helo_name(p);

		for (guint k = 0; k < p->source_ips->len; k++)
			evaluate(e, p->source_ips->pdata[k],
				 helo != NULL ? helo : p->sender_domain);
		g_free(helo);
	}
	if (g_hash_table_size(e->seen) > 0)
		return;
	evaluate(e, NOBODY, e->domain);
	g_string_truncate(e->refused, 0);
}

static void
judge_addresses(const struct record *wanted, const struct dns_tools *tools, GPtrArray *findings)
{
	struct evaluation e = {.tools = tools, .domain = wanted->name, .worst = SPF_PASSES};

	e.seen = g_hash_table_new(g_str_hash, g_str_equal);
	e.refused = g_string_new(NULL);
	evaluate_all(&e, wanted->pools);
	if (e.worst == SPF_INVALID)
		finding_mend(findings_add(findings, SPF_BROKEN, "%s", e.why),
			     "publish the record that is wanted");
	else if (e.worst == SPF_UNKNOWN)
		findings_add(findings, DNS_UNKNOWN,
			     "the DNS could not tell of all that the record names");
	if (e.refused->len > 0)
		finding_mend(findings_add(findings, SPF_UNAUTHORISED, "does not authorise %s",
					  e.refused->str),
			     "add them as ip4: or ip6: before the \"all\" at the end");
	g_free(e.why);
	g_hash_table_destroy(e.seen);
	g_string_free(e.refused, TRUE);
}

static void
judge_record(const struct record *wanted, const struct dns_record *r, const struct dns_tools *tools,
	     GPtrArray *findings)
{
	struct walk w = {.dns = tools->dns, .included = g_ptr_array_new_with_free_func(g_free)};
	guint before = findings->len;

	walk_record(&w, wanted->name, r->text, true);
	judge_limits(&w, findings);
	if (findings->len == before)
		judge_addresses(wanted, tools, findings);
	if (findings->len == before || findings_worst(findings) != FINDING_ERROR) {
		judge_includes(&w, wanted, findings);
		judge_all(&w, findings);
	}
	if (w.ptr)
		finding_mend(findings_add(findings, SPF_PTR,
					  "the mechanism \"ptr\" is not to be used (RFC 7208 5.5)"),
			     "put ip4: and ip6: in its place");
	if (r->len > SPF_OCTETS_MAX)
		finding_mend(findings_add(findings, RECORD_LONG,
					  "%zu octets; over %d an answer may not fit a UDP packet",
					  r->len, SPF_OCTETS_MAX),
			     "move some of it into a record that this one includes");
	g_ptr_array_unref(w.included);
	g_free(w.broken);
}

void
spf_record_judge(const struct record *wanted, const struct dns_tools *tools, GPtrArray *findings)
{
	const struct dns_answer *found = dns_answer(tools->dns, wanted->name, RECORD_TXT);
	const struct dns_record *r;
	guint count;

	r = spf_of(found, &count);
	if (found->state != DNS_FOUND)
		(void)presence_judge(found, wanted->need, findings);
	else if (count == 0)
		finding_mend(findings_add(findings,
					  wanted->need == RECORD_NEEDED ? RECORD_MISSING
									: RECORD_ADVISABLE,
					  "no TXT record here begins with \"" SPF_VERSION "\""),
			     "publish the record that is wanted");
	else if (count > 1)
		finding_mend(findings_add(findings, SPF_SEVERAL,
					  "%u SPF records: receivers take none (RFC 7208 4.5)",
					  count),
			     "make one of them, with all terms and one \"all\" at the end");
	else
		judge_record(wanted, r, tools, findings);
	for (guint i = 0; i < found->records->len; i++) {
		const struct dns_record *other = found->records->pdata[i];

		if (g_ascii_strncasecmp(other->text, "spf2.0/", 7) == 0)
			finding_mend(
				findings_add(
					findings, SPF_SENDER_ID,
					"a record of Sender ID (RFC 4406), which nobody asks for"),
				"take it away");
	}
}
