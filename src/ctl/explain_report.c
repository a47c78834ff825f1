/*
 * explain_report - what poolctl explain tells; see explain_report.h.
 *
 * Everything comes from the plans of the pipeline and from the settings; nothing is decided here.
 */
#include "ctl/explain_report.h"

#include "core/pool.h"
#include "core/rotation.h"
#include "core/setting_table.h"
#include "ctl/isp_report.h"
#include "ctl/report.h"

#include <string.h>

static const struct plan *
first_plan(const struct explanation *e)
{
	return ((const struct explain_part *)e->parts->pdata[0])->plan;
}

static bool
treated(const struct plan *p)
{
	return p->verdict == VERDICT_ACCEPTED || p->verdict == VERDICT_HELD;
}

/* Which key of the configuration led to the pool; NULL without one. */
static const char *
pool_key(const struct explanation *e)
{
	const struct plan *p = first_plan(e);

	if (p->pool == NULL)
		return NULL;
	if (strcmp(p->pool->sender_domain, p->from_domain) == 0)
		return "sender_domain";
	return pool_find(e->settings, p->from_domain) == p->pool ? "match_subdomains" : "no_pool";
}

/* What several records led to, as mixed_isps says; NULL: there is one. */
static const char *
mixed_word(const struct explanation *e)
{
	const char *word = first_plan(e)->mixed;

	return e->parts->len > 1 && first_plan(e)->groups == NULL ? "defer" : word;
}

/* ---- values of headers ---- */

/* Variables whose value only a message has. */
static bool
needs_message(const struct template *t)
{
	return strstr(template_text(t), "${header:") != NULL || template_uses(t, "message_id") ||
	       template_uses(t, "queue_id");
}

static void
keep_last(const struct field *f, void *context)
{
	char **value = context;

	g_free(*value);
	*value = g_strndup(f->value, f->value_len);
}

/* What the rule's value becomes: the stage's own work, with this rule alone. NULL: no value. */
static char *
expanded(const struct explanation *e, const struct plan *done, struct header_value *rule)
{
	GPtrArray *none = g_ptr_array_new(), *one = g_ptr_array_new();
	struct pool pool = *done->pool;
	struct isp isp = *done->isp;
	struct plan *p = plan_new(e->message);
	char *value = NULL;

	g_ptr_array_add(one, rule);
	isp.headers = (struct header_rules){none, none, none};
	pool.headers = (struct header_rules){none, none, one};
	p->pool = &pool;
	p->isp = &isp;
	p->rcpts = done->rcpts;
	if (stage_headers(e->job, p) && p->headers_added == 1)
		image_each(p->image, keep_last, &value);
	plan_free(p);
	g_ptr_array_unref(one);
	g_ptr_array_unref(none);
	return value != NULL ? g_strstrip(value) : NULL;
}

/* One edit: whose, "delete", "set" or "add", the name or pattern, and the rule with its value. */
typedef void edit_fn(void *context, const char *whose, const char *what, const char *name,
		     struct header_value *rule);

static void
each_value(const GPtrArray *rules, const char *whose, const char *what, edit_fn *f, void *context)
{
	for (guint i = 0; i < rules->len; i++) {
		struct header_value *rule = rules->pdata[i];

		f(context, whose, what, rule->name, rule);
	}
}

/* In the order of stage_headers(). */
static void
each_edit(const struct plan *p, edit_fn *f, void *context)
{
	const struct header_rules *const both[] = {&p->pool->headers, &p->isp->headers};
	static const char *const whose[] = {"pool", "isp"};

	for (guint i = 0; i < G_N_ELEMENTS(both); i++) {
		const GPtrArray *deletes = both[i]->delete_headers;

		for (guint k = 0; k < deletes->len; k++)
			f(context, whose[i], "delete", deletes->pdata[k], NULL);
		each_value(both[i]->set_headers, whose[i], "set", f, context);
		each_value(both[i]->add_headers, whose[i], "add", f, context);
	}
}

/* ---- text ---- */

struct printer {
	const struct explanation *explanation;
	const struct plan *plan;
	FILE *out;
	const char *key; /* of the next line; "" after it */
};

static void G_GNUC_PRINTF(2, 3) line(struct printer *p, const char *format, ...)
{
	va_list ap;

	fprintf(p->out, "%-11s ", p->key);
	va_start(ap, format);
	vfprintf(p->out, format, ap);
	va_end(ap);
	fputc('\n', p->out);
	p->key = "";
}

static void
print_decisions(struct printer *p, const char *stage)
{
	const GPtrArray *list = p->plan->explanations;
	size_t len = strlen(stage);

	for (guint i = 0; i < list->len; i++) {
		const char *text = list->pdata[i];

		if (strncmp(text, stage, len) == 0 && strncmp(text + len, ": ", 2) == 0)
			line(p, "%s", text + len + 2);
	}
}

static void
print_pool(struct printer *p)
{
	const struct pool *pool = p->plan->pool;
	const char *key = pool_key(p->explanation);

	p->key = "client";
	print_decisions(p, "trust");
	p->key = "pool";
	print_decisions(p, "pool");
	if (pool != NULL)
		line(p, "by %s%s%s; %s:%u", key, strcmp(key, "match_subdomains") == 0 ? " of " : "",
		     strcmp(key, "match_subdomains") == 0 ? pool->sender_domain : "",
		     pool->origin.file, pool->origin.line);
}

static void
print_rcpts(struct printer *p)
{
	const struct explanation *e = p->explanation;

	p->key = "recipients";
	for (guint i = 0; i < e->reasons->len; i++) {
		const struct isp_reason *r = e->reasons->pdata[i];
		char *words = isp_reason_words(e->settings, r);
		char *place = isp_report_place(r->match.isp);

		line(p, "<%s>: %s (%s); %s %s", (char *)e->message->rcpts->pdata[i],
		     r->match.isp->name, words, isp_report_source(r->match.isp), place);
		g_free(words);
		g_free(place);
	}
}

/* What the stage says of all recipients together. */
static void
print_mixed(struct printer *p)
{
	const struct explanation *e = p->explanation;
	const GPtrArray *list = p->plan->explanations;
	const char *word = mixed_word(e);
	int mode = e->settings->mixed_isps;

	p->key = "mixed_isps";
	if (g_strcmp0(word, "alike") == 0)
		line(p, "several records, which treat mail alike");
	if (g_strcmp0(word, "defer") == 0)
		line(p, "the records differ in treatment: recipients unlike the first one get 452, "
			"for a "
			"transaction of their own");
	for (guint i = 0; i < list->len; i++) {
		const char *text = list->pdata[i];

		if (g_str_has_prefix(text, "isp: ") && text[5] != '<')
			line(p, "%s", text + 5);
	}
	if (g_strcmp0(word, "split") == 0)
		line(p, "at %s", e->settings->reinject);
	if (g_strcmp0(word, "neutral") == 0 && mode != MIXED_NEUTRAL && e->message->local)
		line(p, "(mixed_isps is for SMTP clients only: see --client)");
}

static void
print_edit(void *context, const char *whose, const char *what, const char *name,
	   struct header_value *rule)
{
	struct printer *p = context;
	char *value;

	if (rule == NULL) {
		line(p, "%s: %s %s", whose, what, name);
	} else if (needs_message(rule->value) || strchr(template_text(rule->value), '$') == NULL) {
		line(p, "%s: %s %s: %s", whose, what, name, template_text(rule->value));
	} else {
		value = expanded(p->explanation, p->plan, rule);
		line(p, "%s: %s %s: %s -> %s", whose, what, name, template_text(rule->value),
		     value != NULL ? value : "(nothing)");
		g_free(value);
	}
}

static void
print_encoding(struct printer *p)
{
	const struct settings *s = p->explanation->settings;
	char *words = isp_report_encodings(p->plan->isp);

	p->key = "encoding";
	line(p, "%s", strcmp(words, "-") != 0 ? words : "all text keeps its own");
	if (s->safe_encoding)
		line(p, "text that would not survive the way is made safe (safe_encoding)");
	if (!s->reencode_signed)
		line(p,
		     "mail that carries someone else's signature stays as it is (reencode_signed)");
	g_free(words);
}

static const char *
algorithm_of(char **made, guint i)
{
	const char *slash = i < g_strv_length(made) ? strrchr(made[i], '/') : NULL;

	return slash != NULL ? slash + 1 : "-";
}

static void
print_names(struct printer *p, const char *key, GPtrArray *names)
{
	GString *text = g_string_new(NULL);

	p->key = key;
	for (guint i = 0; i < names->len; i++) {
		if (text->len + strlen(names->pdata[i]) > 80) {
			line(p, "%s", text->str);
			g_string_truncate(text, 0);
		}
		g_string_append_printf(text, "%s%s", text->len > 0 ? " " : "",
				       (char *)names->pdata[i]);
	}
	line(p, "%s", text->str);
	g_string_free(text, TRUE);
	g_ptr_array_unref(names);
}

static void
print_signatures(struct printer *p)
{
	const struct settings *s = p->explanation->settings;
	const GPtrArray *list = p->plan->pool->signatures;
	char **made = g_strsplit(p->plan->dkim->str, ",", -1);

	p->key = "signatures";
	for (guint i = 0; i < list->len; i++) {
		const struct signature *sig = rotation_signature(p->plan->pool, i, time(NULL));

		line(p, "d=%s s=%s a=%s key=%s", sig->domain, sig->selector, algorithm_of(made, i),
		     sig->key_file);
	}
	g_strfreev(made);
	print_names(p, "signed", sign_names(s, p->plan->pool, p->plan->isp));
	print_names(p, "oversigned", sign_oversigned_names(s, p->plan->pool, p->plan->isp));
}

/* The word that the configuration has for a choice of the pool. */
static const char *
choice_word(const char *key, int value)
{
	const struct setting_choice *c = setting_find(&setting_table_pool, key)->choices;

	while (c->name != NULL && c->value != value)
		c++;
	return c->name;
}

static void
print_charges(struct printer *p)
{
	const struct pool *pool = p->plan->pool;

	for (guint i = 0; i < p->plan->charges->len; i++) {
		const struct charge *c = &g_array_index(p->plan->charges, struct charge, i);
		char *words = limits_words(c);

		line(p, "%s: this message counts %u (%s)", words, c->amount,
		     choice_word("count", pool->count));
		g_free(words);
	}
	line(p, "over one of them: %s (on_limit)", choice_word("on_limit", pool->on_limit));
}

static void
print_limits(struct printer *p, const struct explain_part *part)
{
	char *numbers = isp_report_numbers(p->plan->isp);

	p->key = "limits";
	if (part->copy)
		line(p, "charged with the message itself");
	else if (p->plan->charges != NULL)
		print_charges(p);
	else if (numbers == NULL)
		line(p, "none known");
	if (numbers != NULL)
		line(p, "%s: the MTA's to keep", numbers);
	g_free(numbers);
}

static void
print_treatment(struct printer *p, const struct explain_part *part)
{
	print_encoding(p);
	p->key = "headers";
	each_edit(p->plan, print_edit, p);
	p->key = "return path";
	print_decisions(p, "return path");
	print_signatures(p);
	print_limits(p, part);
}

static void
print_part(struct printer *p, const struct explain_part *part, bool several)
{
	p->plan = part->plan;
	if (several) {
		fprintf(p->out, "\n%s:", part->when);
		for (guint i = 0; i < part->rcpts->len; i++)
			fprintf(p->out, " <%s>", (char *)part->rcpts->pdata[i]);
		fputc('\n', p->out);
	}
	if (treated(p->plan)) {
		p->key = "record";
		line(p, "%s", p->plan->isp->name);
		print_treatment(p, part);
	}
	p->key = "result";
	if (p->plan->reply != NULL)
		line(p, "%s: %s %s %s", verdict_word(p->plan->verdict), p->plan->reply_code,
		     p->plan->reply_status, p->plan->reply);
	else
		line(p, "%s%s%s", verdict_word(p->plan->verdict),
		     p->plan->reason != NULL ? ": " : "",
		     p->plan->reason != NULL ? p->plan->reason : "");
	if (p->plan->detail != NULL)
		line(p, "%s", p->plan->detail);
}

void
explain_report_text(const struct explanation *e, FILE *out)
{
	struct printer p = {e, first_plan(e), out, ""};

	print_pool(&p);
	print_rcpts(&p);
	print_mixed(&p);
	for (guint i = 0; i < e->parts->len; i++)
		print_part(&p, e->parts->pdata[i], e->parts->len > 1);
}

/* ---- JSON ---- */

struct edits {
	const struct explanation *explanation;
	const struct plan *plan;
	json_t *list;
};

static void
append_edit(void *context, const char *whose, const char *what, const char *name,
	    struct header_value *rule)
{
	struct edits *e = context;
	json_t *j = json_pack("{ssssss}", "by", whose, "edit", what, "name", name);
	char *value = NULL;

	if (rule != NULL) {
		if (!needs_message(rule->value))
			value = expanded(e->explanation, e->plan, rule);
		json_object_set_new(j, "value", json_string(template_text(rule->value)));
		json_object_set_new(j, "expanded", report_text(value));
	}
	json_array_append_new(e->list, j);
	g_free(value);
}

static json_t *
signatures_json(const struct plan *p)
{
	char **made = g_strsplit(p->dkim->str, ",", -1);
	json_t *list = json_array();

	for (guint i = 0; i < p->pool->signatures->len; i++) {
		const struct signature *sig = rotation_signature(p->pool, i, time(NULL));

		json_array_append_new(list, json_pack("{ssssssss}", "domain", sig->domain,
						      "selector", sig->selector, "algorithm",
						      algorithm_of(made, i), "key", sig->key_file));
	}
	g_strfreev(made);
	return list;
}

static json_t *
names_json(GPtrArray *names)
{
	json_t *list = report_texts(names);

	g_ptr_array_unref(names);
	return list;
}

/* The MTA's numbers, and what we count. */
static json_t *
limits_json(const struct explain_part *part)
{
	const struct plan *p = part->plan;
	json_t *j = isp_report_numbers_json(p->isp), *list = json_array();

	for (guint i = 0; !part->copy && p->charges != NULL && i < p->charges->len; i++) {
		const struct charge *c = &g_array_index(p->charges, struct charge, i);
		char *text = limit_text(c->limit);

		json_array_append_new(list, json_pack("{sssssI}", "key", c->key, "limit", text,
						      "amount", (json_int_t)c->amount));
		g_free(text);
	}
	json_object_set_new(j, "charges", list);
	json_object_set_new(j, "on_limit", json_string(choice_word("on_limit", p->pool->on_limit)));
	json_object_set_new(j, "count", json_string(choice_word("count", p->pool->count)));
	return j;
}

static void
add_treatment(json_t *j, const struct explanation *e, const struct explain_part *part)
{
	const struct plan *p = part->plan;
	const struct settings *s = e->settings;
	struct edits edits = {e, p, json_array()};

	each_edit(p, append_edit, &edits);
	json_object_set_new(j, "encoding", isp_report_encodings_json(p->isp));
	json_object_set_new(j, "headers", edits.list);
	json_object_set_new(
		j, "return_path",
		report_text(p->new_sender != NULL ? p->new_sender : e->message->sender));
	json_object_set_new(j, "signatures", signatures_json(p));
	json_object_set_new(j, "signed_headers", names_json(sign_names(s, p->pool, p->isp)));
	json_object_set_new(j, "oversigned_headers",
			    names_json(sign_oversigned_names(s, p->pool, p->isp)));
	json_object_set_new(j, "limits", limits_json(part));
}

static json_t *
part_json(const struct explanation *e, const struct explain_part *part)
{
	const struct plan *p = part->plan;
	json_t *j = json_object();

	json_object_set_new(j, "when", json_string(part->when));
	json_object_set_new(j, "recipients", report_texts(part->rcpts));
	json_object_set_new(j, "isp", report_text(treated(p) ? p->isp->name : NULL));
	json_object_set_new(j, "result", json_string(verdict_word(p->verdict)));
	json_object_set_new(j, "reason", report_text(p->reason));
	json_object_set_new(j, "detail", report_text(p->detail));
	json_object_set_new(j, "reply",
			    p->reply != NULL
				    ? json_pack("{ssssso}", "code", p->reply_code, "status",
						p->reply_status, "text", report_text(p->reply))
				    : json_null());
	json_object_set_new(j, "decisions", report_texts(p->explanations));
	if (treated(p))
		add_treatment(j, e, part);
	return j;
}

static json_t *
rcpt_json(const struct explanation *e, guint i)
{
	const struct isp_reason *r = e->reasons->pdata[i];
	json_t *j = isp_reason_json(e->settings, r);

	json_object_set_new(j, "recipient", report_text(e->message->rcpts->pdata[i]));
	json_object_set_new(j, "source", json_string(isp_report_source(r->match.isp)));
	json_object_set_new(j, "file", report_text(r->match.isp->origin.file));
	json_object_set_new(j, "line", json_integer(r->match.isp->origin.line));
	return j;
}

void
explain_report_json(const struct explanation *e, FILE *out)
{
	const struct plan *p = first_plan(e);
	json_t *j = json_object(), *rcpts = json_array(), *parts = json_array();

	for (guint i = 0; i < e->reasons->len; i++)
		json_array_append_new(rcpts, rcpt_json(e, i));
	for (guint i = 0; i < e->parts->len; i++)
		json_array_append_new(parts, part_json(e, e->parts->pdata[i]));
	json_object_set_new(j, "sender", report_text(e->message->sender));
	json_object_set_new(j, "from_domain",
			    report_text(*p->from_domain != '\0' ? p->from_domain : NULL));
	json_object_set_new(j, "pool", report_text(p->pool != NULL ? p->pool->name : NULL));
	json_object_set_new(j, "pool_by", report_text(pool_key(e)));
	json_object_set_new(j, "recipients", rcpts);
	json_object_set_new(j, "mixed_isps", report_text(mixed_word(e)));
	json_object_set_new(j, "safe_encoding", json_boolean(e->settings->safe_encoding));
	json_object_set_new(j, "reencode_signed", json_boolean(e->settings->reencode_signed));
	json_object_set_new(j, "treatments", parts);
	report_write(j, out);
}
