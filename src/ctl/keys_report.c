/*
 * keys_report - the keys of pools; see keys_report.h.
 */
#include "ctl/keys_report.h"

#include "ctl/report.h"
#include "io/key_look.h"
#include "io/keygen.h"

#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define DAY 86400

enum role {
	ROLE_OWN,     /* dkim_key */
	ROLE_NEXT,    /* dkim_next */
	ROLE_OTHER,   /* of signatures */
	ROLE_HISTORY, /* was dkim_key once: only its name is known */
};

struct row {
	struct key_look look; /* without a signature: history */
	const struct pool *pool;
	enum role role;
	const char *domain, *selector;
	bool signs;
	int64_t since;         /* it signs, or signed until then; ROTATION_NEVER: not known */
	char *kind;            /* "rsa-2048"; NULL: it cannot be read */
	char *record;          /* text of its TXT record; NULL: the same */
	int64_t changed;       /* its file; ROTATION_NEVER: not known */
	const char *elsewhere; /* another domain that the same file signs for; NULL: none */
};

struct keys_report {
	GPtrArray *rows; /* of struct row * */
	bool dns;
	int64_t now;
};

/* ---- collecting ---- */

static void
row_free(void *row)
{
	struct row *r = row;

	g_free(r->look.why);
	g_free(r->kind);
	g_free(r->record);
	g_free(r);
}

static void
take_key(struct row *r, struct key *k)
{
	enum key_type type;
	void *pkey = key_get(k, &type, &r->look.why);
	struct stat st;

	r->changed = stat(key_path(k), &st) == 0 ? (int64_t)st.st_mtime : ROTATION_NEVER;
	if (pkey == NULL)
		return;
	r->kind = keygen_kind(pkey, type);
	r->record = keygen_record(pkey, type);
}

static struct row *
add_row(struct keys_report *report, const struct pool *p, enum role role,
	const struct signature *sig)
{
	struct row *r = g_new0(struct row, 1);

	r->pool = p;
	r->role = role;
	r->since = r->changed = ROTATION_NEVER;
	r->look.state = KEY_DNS_UNKNOWN;
	g_ptr_array_add(report->rows, r);
	if (sig == NULL)
		return r;
	r->look.signature = sig;
	r->domain = sig->domain;
	r->selector = sig->selector;
	take_key(r, sig->key);
	return r;
}

static void
add_pool(struct keys_report *report, const struct pool *p, const GPtrArray *former)
{
	const struct rotation *rotation = p->rotation;
	bool next = rotation != NULL && rotation_state(rotation, report->now) == ROTATION_SIGNS;
	struct row *r = add_row(report, p, ROLE_OWN, p->signatures->pdata[0]);

	r->signs = !next;
	r->since = next ? rotation_since(rotation) : ROTATION_NEVER;
	if (rotation != NULL) {
		r = add_row(report, p, ROLE_NEXT, rotation->next);
		r->signs = next;
		r->since = next ? rotation_since(rotation) : ROTATION_NEVER;
	}
	for (guint i = 1; i < p->signatures->len; i++)
		add_row(report, p, ROLE_OTHER, p->signatures->pdata[i])->signs = true;
	if (former == NULL)
		return;
	for (guint i = 0; i < former->len; i++) {
		const struct rotation_entry *e = former->pdata[i];

		r = add_row(report, p, ROLE_HISTORY, NULL);
		r->domain = e->domain;
		r->selector = e->before;
		r->since = e->at;
	}
}

static void
array_unref(void *array)
{
	g_ptr_array_unref(array);
}

/* Name of a pool -> array of its retired entries. */
static GHashTable *
former_keys(const GPtrArray *entries)
{
	GHashTable *by_pool = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, array_unref);

	for (guint i = 0; i < entries->len; i++) {
		struct rotation_entry *e = entries->pdata[i];
		GPtrArray *list = g_hash_table_lookup(by_pool, e->pool);

		if (e->mark != ROTATION_RETIRED)
			continue;
		if (list == NULL) {
			list = g_ptr_array_new();
			g_hash_table_insert(by_pool, e->pool, list);
		}
		g_ptr_array_add(list, e);
	}
	return by_pool;
}

/* Which files sign for several domains: each row gets one of the others. */
static void
mark_shared(const struct settings *s, const struct keys_report *report)
{
	GHashTable *first = g_hash_table_new(g_str_hash, g_str_equal);
	GHashTable *second = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < s->pools->len; i++) {
		const struct pool *p = s->pools->pdata[i];

		for (guint k = 0; k < p->signatures->len; k++) {
			const struct signature *sig = p->signatures->pdata[k];
			const char *domain = g_hash_table_lookup(first, sig->key_file);

			if (domain == NULL)
				g_hash_table_insert(first, sig->key_file, sig->domain);
			else if (strcmp(domain, sig->domain) != 0)
				g_hash_table_insert(second, sig->key_file, sig->domain);
		}
	}
	for (guint i = 0; i < report->rows->len; i++) {
		struct row *r = report->rows->pdata[i];
		const char *file = r->look.signature != NULL ? r->look.signature->key_file : "";
		const char *domain = g_hash_table_lookup(first, file);

		r->elsewhere = domain != NULL && strcmp(domain, r->domain) != 0
				       ? domain
				       : g_hash_table_lookup(second, file);
	}
	g_hash_table_destroy(first);
	g_hash_table_destroy(second);
}

static void
look(const struct settings *s, const struct keys_report *report)
{
	GPtrArray *looks = g_ptr_array_new();

	for (guint i = 0; i < report->rows->len; i++) {
		struct row *r = report->rows->pdata[i];

		if (r->kind != NULL)
			g_ptr_array_add(looks, &r->look);
	}
	key_look_all(s, looks);
	g_ptr_array_unref(looks);
}

struct keys_report *
keys_report_new(const struct settings *s, const GPtrArray *pools, const GPtrArray *entries,
		bool dns, int64_t now)
{
	struct keys_report *report = g_new0(struct keys_report, 1);
	GHashTable *former = former_keys(entries);

	report->rows = g_ptr_array_new_with_free_func(row_free);
	report->dns = dns;
	report->now = now;
	for (guint i = 0; i < pools->len; i++)
		add_pool(report, pools->pdata[i],
			 g_hash_table_lookup(former, ((struct pool *)pools->pdata[i])->name));
	g_hash_table_destroy(former);
	mark_shared(s, report);
	if (dns)
		look(s, report);
	return report;
}

void
keys_report_free(struct keys_report *r)
{
	g_ptr_array_unref(r->rows);
	g_free(r);
}

int
keys_report_status(const struct keys_report *report)
{
	int status = EX_OK;

	for (guint i = 0; report->dns && i < report->rows->len; i++) {
		const struct row *r = report->rows->pdata[i];

		if (!r->signs || r->look.state == KEY_DNS_PUBLISHED)
			continue;
		if (r->look.state != KEY_DNS_UNKNOWN)
			return 1;
		status = EX_TEMPFAIL;
	}
	return status;
}

/* ---- words ---- */

char *
keys_report_day(int64_t seconds)
{
	char *text = rotation_time_text(seconds);

	*strchrnul(text, 'T') = '\0';
	return text;
}

static const char *
state_word(const struct row *r, int64_t now)
{
	static const char *const words[] = {
		[ROTATION_SIGNS] = "signing",
		[ROTATION_WAITS_TIME] = "waits-for-time",
		[ROTATION_WAITS_DNS] = "waits-for-dns",
		[ROTATION_WAITS_SWITCH] = "waits-for-switch",
		[ROTATION_TAKEN_BACK] = "taken-back",
	};

	if (r->role == ROLE_NEXT)
		return words[rotation_state(r->pool->rotation, now)];
	return r->signs ? "signing" : "retired";
}

/* The state, with the time that belongs to it; g_free it. */
static char *
state_text(const struct row *r, int64_t now)
{
	const char *word = state_word(r, now), *before = r->signs ? "since" : "on";
	bool waits = strcmp(word, "waits-for-time") == 0;
	int64_t at = waits ? r->pool->rotation->use_after : r->since;
	char *when, *text;

	if (at == ROTATION_NEVER)
		return g_strdup(word);
	when = rotation_time_text(at);
	text = g_strdup_printf("%s %s %s", word, waits ? "until" : before, when);
	g_free(when);
	return text;
}

static char *
age_text(const struct row *r, int64_t now)
{
	if (r->changed == ROTATION_NEVER)
		return g_strdup("-");
	return g_strdup_printf("%" G_GINT64_FORMAT "d", MAX(0, now - r->changed) / DAY);
}

static const char *
dns_word(const struct keys_report *report, const struct row *r)
{
	return report->dns && r->role != ROLE_HISTORY ? key_dns_word(r->look.state) : "-";
}

/* ---- text ---- */

#define COLUMNS 7

static void
row_cells(const struct keys_report *report, const struct row *r, char *cells[COLUMNS])
{
	cells[0] = g_strdup(r->pool->name);
	cells[1] = g_strdup(r->selector);
	cells[2] = g_strdup(r->domain);
	cells[3] = g_strdup(r->kind != NULL ? r->kind : "-");
	cells[4] = age_text(r, report->now);
	cells[5] = state_text(r, report->now);
	cells[6] = g_strdup(dns_word(report, r));
}

/* One line of the table; out NULL: only its widths. */
static void
print_cells(const char *const cells[COLUMNS], int widths[COLUMNS], FILE *out)
{
	for (int c = 0; c < COLUMNS; c++)
		if (out == NULL)
			widths[c] = MAX(widths[c], (int)strlen(cells[c]));
		else if (c + 1 < COLUMNS)
			fprintf(out, "%-*s  ", widths[c], cells[c]);
		else
			fprintf(out, "%s\n", cells[c]);
}

static void
print_rows(const struct keys_report *report, int widths[COLUMNS], FILE *out)
{
	for (guint i = 0; i < report->rows->len; i++) {
		char *cells[COLUMNS];

		row_cells(report, report->rows->pdata[i], cells);
		print_cells((const char *const *)cells, widths, out);
		for (int c = 0; c < COLUMNS; c++)
			g_free(cells[c]);
	}
}

static void
print_table(const struct keys_report *report, FILE *out)
{
	static const char *const titles[COLUMNS] = {"POOL", "SELECTOR", "DOMAIN", "TYPE",
						    "AGE",  "STATE",    "DNS"};
	int widths[COLUMNS] = {0};

	print_cells(titles, widths, NULL);
	print_rows(report, widths, NULL);
	print_cells(titles, widths, out);
	print_rows(report, widths, out);
}

/* What to do about the record of a key that signs, or is to. */
static void
print_dns_advice(const struct row *r, FILE *out)
{
	const char *why = r->look.why != NULL ? r->look.why : key_dns_word(r->look.state);

	if (r->look.state == KEY_DNS_PUBLISHED && r->look.why == NULL)
		return;
	fprintf(out, "%s: %s._domainkey.%s: %s%s\n", r->pool->name, r->selector, r->domain, why,
		r->look.state != KEY_DNS_MISSING ? ""
		: r->signs ? "; mail fails DKIM: poolctl dns print shows the record"
			   : "; poolctl dns print shows the record");
}

static void
print_removal(const struct row *r, FILE *out)
{
	char *day = keys_report_day(rotation_removal(r->since) + DAY - 1);

	fprintf(out, "%s: %s._domainkey.%s may be removed from the DNS from %s on", r->pool->name,
		r->selector, r->domain, day);
	if (r->role == ROLE_OWN)
		fprintf(out,
			"; before, make %s dkim_selector and %s dkim_key, and remove dkim_next",
			r->pool->dkim_next.selector, r->pool->dkim_next.key);
	fputc('\n', out);
	g_free(day);
}

static void
print_advice(const struct keys_report *report, const struct row *r, FILE *out)
{
	const char *state = state_word(r, report->now);
	bool published = report->dns && r->look.state == KEY_DNS_PUBLISHED;

	if (r->kind == NULL && r->look.why != NULL)
		fprintf(out, "%s: %s\n", r->pool->name, r->look.why);
	else if (report->dns && strcmp(state, "retired") != 0)
		print_dns_advice(r, out);
	if (strcmp(state, "retired") == 0)
		print_removal(r, out);
	else if (published && strcmp(state, "waits-for-switch") == 0)
		fprintf(out, "%s: %s is published: poolctl keys switch %s\n", r->pool->name,
			r->selector, r->pool->name);
	if (r->elsewhere != NULL)
		fprintf(out,
			"%s: %s signs for %s, too: expected a key for each domain (poolctl genkey)\n",
			r->pool->name, r->look.signature->key_file, r->elsewhere);
}

void
keys_report_text(const struct keys_report *report, FILE *out)
{
	print_table(report, out);
	for (guint i = 0; i < report->rows->len; i++)
		print_advice(report, report->rows->pdata[i], out);
}

/* ---- JSON ---- */

static json_t *
time_json(int64_t seconds)
{
	return seconds != ROTATION_NEVER ? json_integer(seconds) : json_null();
}

static json_t *
row_json(const struct keys_report *report, const struct row *r)
{
	static const char *const roles[] = {
		[ROLE_OWN] = "dkim_key",
		[ROLE_NEXT] = "dkim_next",
		[ROLE_OTHER] = "signatures",
		[ROLE_HISTORY] = "former",
	};
	const struct signature *sig = r->look.signature;
	const char *state = state_word(r, report->now);
	bool asked = report->dns && r->role != ROLE_HISTORY;
	json_t *j = json_pack("{ss ss ss ss ss}", "pool", r->pool->name, "selector", r->selector,
			      "domain", r->domain, "role", roles[r->role], "state", state);

	json_object_set_new(j, "file", report_text(sig != NULL ? sig->key_file : NULL));
	json_object_set_new(j, "type", report_text(r->kind));
	json_object_set_new(j, "changed", time_json(r->changed));
	json_object_set_new(j, "since", time_json(r->since));
	json_object_set_new(
		j, "use_after",
		time_json(r->role == ROLE_NEXT ? r->pool->rotation->use_after : ROTATION_NEVER));
	json_object_set_new(j, "removable",
			    time_json(strcmp(state, "retired") == 0 ? rotation_removal(r->since)
								    : ROTATION_NEVER));
	json_object_set_new(j, "dns", report_text(asked ? key_dns_word(r->look.state) : NULL));
	json_object_set_new(j, "dns_why", report_text(asked ? r->look.why : NULL));
	json_object_set_new(j, "record", report_text(r->record));
	json_object_set_new(j, "also_for", report_text(r->elsewhere));
	return j;
}

void
keys_report_json(const struct keys_report *report, FILE *out)
{
	json_t *list = json_array();

	for (guint i = 0; i < report->rows->len; i++)
		json_array_append_new(list, row_json(report, report->rows->pdata[i]));
	report_write(list, out);
}
