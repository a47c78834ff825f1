/*
 * plan - what is to go out; see plan.h.
 */
#include "core/plan.h"

struct plan *
plan_new(const struct message *m)
{
	struct plan *p = g_new0(struct plan, 1);

	p->image = image_new(m);
	return p;
}

void
plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	g_free(p->detail);
	g_free(p->reply);
	g_free(p->new_sender);
	image_free(p->image);
	if (p->dkim != NULL)
		g_string_free(p->dkim, TRUE);
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
verdict_word(enum verdict verdict)
{
	static const char *const words[] = {"accepted", "passed", "deferred", "held", "rejected"};

	return words[verdict];
}
