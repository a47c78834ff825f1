/*
 * headers - edits of the header: deletes, then sets, then adds; the pool's, then the ISP record's.
 *
 * Values are templates; what they take from the message cannot start a new line (template.h).
 */
#include "core/pipeline.h"

#include <string.h>

struct scope {
	const struct job *job;
	const struct plan *plan;
	bool failed; /* memory ran out */
};

static const char *
octets(const char *s, size_t *len)
{
	if (s != NULL)
		*len = strlen(s);
	return s;
}

static const char *
field_value(const struct message *m, const char *name, size_t *len)
{
	const struct field *f = message_field(m, name, 0);
	const char *value;

	if (f == NULL)
		return NULL;
	value = f->value;
	*len = f->value_len;
	for (; *len > 0 && g_ascii_isspace(*value); (*len)--)
		value++;
	while (*len > 0 && g_ascii_isspace(value[*len - 1]))
		(*len)--;
	return value;
}

static const char *
rcpt_domain(const GPtrArray *rcpts)
{
	const char *first = NULL;

	/* One domain for all recipients, or none at all: what is told must hold for each of them. */
	for (guint i = 0; i < rcpts->len; i++) {
		const char *domain = address_domain(g_ptr_array_index(rcpts, i));

		if (domain == NULL || (first != NULL && g_ascii_strcasecmp(first, domain) != 0))
			return NULL;
		if (first == NULL)
			first = domain;
	}
	return first;
}

static const char *
variable(const void *context, const char *name, size_t *len)
{
	const struct scope *s = context;
	const struct message *m = s->job->message;

	if (strncmp(name, "header:", 7) == 0)
		return field_value(m, name + 7, len);
	if (strcmp(name, "message_id") == 0)
		return field_value(m, "Message-ID", len);
	if (strcmp(name, "pool") == 0)
		return octets(s->plan->pool->name, len);
	if (strcmp(name, "isp") == 0)
		return octets(s->plan->isp->name, len);
	if (strcmp(name, "sender") == 0)
		return octets(m->sender, len);
	if (strcmp(name, "sender_domain") == 0)
		return octets(s->plan->pool->sender_domain, len);
	if (strcmp(name, "rcpt") == 0)
		return octets(plan_only_rcpt(s->plan), len);
	if (strcmp(name, "rcpt_domain") == 0)
		return octets(rcpt_domain(s->plan->rcpts), len);
	if (strcmp(name, "queue_id") == 0)
		return octets(m->queue_id, len);
	if (strcmp(name, "login") == 0)
		return octets(s->plan->injected_isp != NULL ? s->plan->injected_login : m->login, len);
	return NULL;
}

/*
 * Expands a rule's value with its leading space.  False if nothing comes of it, or if memory ran out,
 * which is kept in scope->failed: the message must not go on without the field.
 */
static bool
expand(struct scope *scope, const struct header_value *rule, struct buf *value)
{
	const struct template_source source = {variable, scope};
	bool any;

	buf_clear(value, 65536);
	buf_add(value, " ", 1);
	any = template_expand(rule->value, rule->name, &source, value);
	scope->failed = scope->failed || buf_failed(value);
	return any && !scope->failed;
}

static void
delete_all(const struct header_rules *rules, struct plan *plan)
{
	for (guint i = 0; i < rules->delete_headers->len; i++) {
		const char *pattern = g_ptr_array_index(rules->delete_headers, i);
		unsigned n = image_delete(plan->image, pattern);

		plan->headers_deleted += n;
		plan_explain(plan, "headers: delete %s: %u", pattern, n);
	}
}

static void
set_all(struct scope *scope, const struct header_rules *rules, struct plan *plan, struct buf *value)
{
	for (guint i = 0; i < rules->set_headers->len; i++) {
		const struct header_value *rule = g_ptr_array_index(rules->set_headers, i);

		if (!expand(scope, rule, value)) {
			plan_explain(plan, "headers: set %s: no value, stays", rule->name);
			continue;
		}
		plan->headers_deleted += image_set(plan->image, rule->name, value->data, value->len);
		plan->headers_added++;
		plan_explain(plan, "headers: set %s:%s", rule->name, value->data);
	}
}

static void
add_all(struct scope *scope, const struct header_rules *rules, struct plan *plan, struct buf *value)
{
	for (guint i = 0; i < rules->add_headers->len; i++) {
		const struct header_value *rule = g_ptr_array_index(rules->add_headers, i);

		if (!expand(scope, rule, value)) {
			plan_explain(plan, "headers: add %s: no value, not added", rule->name);
			continue;
		}
		image_add(plan->image, rule->name, value->data, value->len);
		plan->headers_added++;
		plan_explain(plan, "headers: add %s:%s", rule->name, value->data);
	}
}

static void
apply_rules(struct scope *scope, const struct header_rules *rules, struct plan *plan, struct buf *value)
{
	delete_all(rules, plan);
	set_all(scope, rules, plan, value);
	add_all(scope, rules, plan, value);
}

bool
stage_headers(const struct job *job, struct plan *plan)
{
	struct scope scope = {job, plan, false};
	struct buf value = BUF_INIT;

	apply_rules(&scope, &plan->pool->headers, plan, &value);
	apply_rules(&scope, &plan->isp->headers, plan, &value);
	buf_free(&value);
	if (scope.failed)
		plan_refuse_memory(plan);
	return !scope.failed;
}
