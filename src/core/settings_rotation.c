/*
 * settings_rotation - what dkim_next of a pool must hold together; see settings_finish.h.
 */
#include "core/domain.h"
#include "core/rotation.h"
#include "core/settings_finish.h"

#include <string.h>

/* Two keys cannot have one name in the DNS. */
static void
check_selector(struct finish *f, const struct pool *p)
{
	const struct signature *next = p->rotation->next;

	for (guint i = 0; i < p->signatures->len; i++) {
		const struct signature *sig = p->signatures->pdata[i];

		if (sig->selector == NULL ||
		    g_ascii_strcasecmp(sig->selector, next->selector) != 0 ||
		    g_strcmp0(sig->domain, next->domain) != 0)
			continue;
		if (i == 0 && strcmp(sig->key_file, next->key_file) == 0)
			finish_error(
				f, "dkim_next",
				"is dkim_selector and dkim_key already: expected it to be removed");
		else
			finish_error(f, "dkim_next",
				     "\"%s\": expected another selector than that of %s",
				     next->selector, i == 0 ? "dkim_key" : "one of signatures");
	}
}

void
finish_rotation(struct finish *f, struct pool *p)
{
	static const char between[] = "._domainkey.";

	if (p->dkim_next.selector == NULL || p->dkim_next.key == NULL || p->sender_domain == NULL)
		return;
	p->rotation = rotation_new(f->s, p);
	if (strlen(p->dkim_next.selector) + sizeof between - 1 + strlen(p->sender_domain) >
	    DOMAIN_MAX)
		finish_error(f, "dkim_next", "%s%s%s: expected at most %d octets",
			     p->dkim_next.selector, between, p->sender_domain, DOMAIN_MAX);
	check_selector(f, p);
}
