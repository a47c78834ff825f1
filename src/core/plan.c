/*
 * plan - what is to go out; see plan.h.
 */
#include "core/plan.h"

struct plan *
plan_new(const struct message *m)
{
	struct plan *p = g_new0(struct plan, 1);

	p->image = image_new(m);
	p->rcpts = m->rcpts;
	return p;
}

static void
group_free(void *group)
{
	g_ptr_array_free(((struct group *)group)->rcpts, TRUE);
	g_free(group);
}

struct group *
plan_group(struct plan *p, const struct isp *isp)
{
	struct group *g = g_new0(struct group, 1);

	if (p->groups == NULL)
		p->groups = g_ptr_array_new_with_free_func(group_free);
	g->isp = isp;
	g->rcpts = g_ptr_array_new();
	g_ptr_array_add(p->groups, g);
	return g;
}

void
plan_take_split(struct plan *p, struct plan *earlier)
{
	p->groups = g_steal_pointer(&earlier->groups);
	p->gone = g_steal_pointer(&earlier->gone);
	p->mixed = earlier->mixed;
}

void
plan_take_limits(struct plan *p, struct plan *earlier)
{
	p->limit = earlier->limit;
	p->limit_local = earlier->limit_local;
	limits_over_clear(&p->over);
	p->over = earlier->over;
	earlier->over = (struct limit_over){0};
	p->limit_problem = g_steal_pointer(&earlier->limit_problem);
	p->hold = g_steal_pointer(&earlier->hold);
}

static void
free_string(GString *s)
{
	if (s != NULL)
		g_string_free(s, TRUE);
}

void
plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	g_free(p->detail);
	g_free(p->reply);
	g_free(p->new_sender);
	g_free(p->injected_login);
	image_free(p->image);
	buf_free(&p->body);
	g_free(p->hold);
	g_free(p->limit_problem);
	limits_over_clear(&p->over);
	g_clear_pointer(&p->charges, g_array_unref);
	g_clear_pointer(&p->rcpt_isps, g_ptr_array_unref);
	g_clear_pointer(&p->all_isps, g_ptr_array_unref);
	g_clear_pointer(&p->own_rcpts, g_ptr_array_unref);
	g_clear_pointer(&p->groups, g_ptr_array_unref);
	g_clear_pointer(&p->gone, g_ptr_array_unref);
	free_string(p->encoded);
	free_string(p->not_encoded);
	free_string(p->dkim);
	if (p->explanations != NULL)
		g_ptr_array_free(p->explanations, TRUE);
	g_free(p);
}

void
plan_end(struct plan *p, enum verdict verdict, const char *reason)
{
	p->verdict = verdict;
	p->reason = reason;
}

void
plan_refuse(struct plan *p, enum verdict verdict, const char *reason, const char *code,
	    const char *status, const char *format, ...)
{
	va_list ap;

	plan_end(p, verdict, reason);
	p->reply_code = code;
	p->reply_status = status;
	g_free(p->reply);
	va_start(ap, format);
	p->reply = g_strdup_vprintf(format, ap);
	va_end(ap);

	image_revert(p->image);
	g_clear_pointer(&p->new_sender, g_free);
	p->headers_added = p->headers_deleted = 0;
	p->new_body = false;
	buf_free(&p->body);
	if (p->encoded != NULL)
		g_string_truncate(p->encoded, 0);
	if (p->not_encoded != NULL)
		g_string_truncate(p->not_encoded, 0);
	g_clear_pointer(&p->groups, g_ptr_array_unref);
	if (p->dkim != NULL)
		g_string_truncate(p->dkim, 0);
}

void
plan_refuse_memory(struct plan *p)
{
	plan_refuse(p, VERDICT_DEFERRED, "memory", "451", "4.3.0", "Out of memory, try again later");
}

void
plan_explain(struct plan *p, const char *format, ...)
{
	va_list ap;

	if (p->explanations == NULL)
		return;
	va_start(ap, format);
	g_ptr_array_add(p->explanations, g_strdup_vprintf(format, ap));
	va_end(ap);
}

const char *
plan_only_rcpt(const struct plan *p)
{
	return p->rcpts->len == 1 ? g_ptr_array_index(p->rcpts, 0) : NULL;
}

const char *
plan_body(const struct plan *p, const struct message *m, size_t *len)
{
	const struct buf *b = p->new_body ? &p->body : &m->body;

	*len = b->len;
	return b->data;
}

const char *
verdict_word(enum verdict verdict)
{
	static const char *const words[] = {"accepted", "passed", "deferred", "held", "rejected"};

	return words[verdict];
}
