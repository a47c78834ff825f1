/*
 * outcome - what was done with a message, in words; see outcome.h.
 */
#include "core/outcome.h"

#define ADDRESS_MAX 320 /* octets shown: 64 of a local part, 255 of a domain (RFC 5321 4.5.3.1) */

void
outcome_address(GString *line, const char *key, const char *address)
{
	const unsigned char *p;
	gsize start;

	if (address == NULL) {
		g_string_append_printf(line, " %s=-", key);
		return;
	}
	g_string_append_printf(line, " %s=<", key);
	start = line->len;
	for (p = (const unsigned char *)address; *p != '\0' && line->len - start < ADDRESS_MAX; p++) {
		if (*p <= 32 || *p >= 127 || *p == '<' || *p == '>' || *p == '%')
			g_string_append_printf(line, "%%%02X", *p);
		else
			g_string_append_c(line, (char)*p);
	}
	g_string_append(line, *p != '\0' ? "...>" : ">");
}

/* The record that treats the message; how several were treated, and what became of the copies. */
static void
append_isp(GString *line, const struct plan *p)
{
	g_string_append_printf(line, " isp=%s", p->isp != NULL ? p->isp->name : "-");
	if (p->mixed == NULL)
		return;
	g_string_append_printf(line, " mixed=%s", p->mixed);
	for (guint i = 0; p->groups != NULL && i < p->groups->len; i++) {
		const struct group *g = g_ptr_array_index(p->groups, i);

		g_string_append_printf(line, "%s%s:%u/%u", i == 0 ? " split=" : ",", g->isp->name, g->taken,
				       g->rcpts->len);
	}
}

static void
append_encoding(GString *line, const struct plan *p)
{
	g_string_append_printf(line, " encoded=%s",
			       p->encoded != NULL && p->encoded->len > 0 ? p->encoded->str : "-");
	if (p->not_encoded != NULL && p->not_encoded->len > 0)
		g_string_append_printf(line, " reason=%s", p->not_encoded->str);
}

/* Names of limits are made of names of pools and records, so they are one safe word. */
static void
append_limit(GString *line, const struct plan *p)
{
	switch (p->limit) {
	case LIMIT_NONE:
		g_string_append(line, " limit=-");
		break;
	case LIMIT_OK:
		g_string_append(line, p->limit_local ? " limit=local" : " limit=ok");
		break;
	case LIMIT_UNKNOWN:
		g_string_append(line, " limit=unknown");
		break;
	case LIMIT_OVER:
		g_string_append_printf(line, " limit=%sover:%s", p->limit_local ? "local-" : "", p->over.name);
		if (p->over.wait_us < 0)
			g_string_append(line, " wait_ms=-");
		else
			g_string_append_printf(line, " wait_ms=%" G_GINT64_FORMAT,
					       (gint64)(p->over.wait_us + 999) / 1000);
		break;
	}
}

static void
append_treatment(GString *line, const struct plan *p)
{
	bool treated = p->verdict == VERDICT_ACCEPTED || p->verdict == VERDICT_HELD;

	if (treated || p->headers_added + p->headers_deleted > 0)
		g_string_append_printf(line, " headers=+%u-%u", p->headers_added, p->headers_deleted);
	else
		g_string_append(line, " headers=-");
	g_string_append_printf(line, " dkim=%s",
			       p->dkim != NULL && p->dkim->len > 0 ? p->dkim->str : "-");
}

GString *
outcome_line(const struct message *m, const struct plan *p, gint64 took)
{
	GString *line = g_string_sized_new(256);

	g_string_append_printf(line, "%s: pool=%s", m->queue_id != NULL ? m->queue_id : "-",
			       p->pool != NULL ? p->pool->name : "-");
	append_isp(line, p);
	outcome_address(line, "from", m->sender);
	outcome_address(line, "return_path", p->new_sender);
	g_string_append_printf(line, " nrcpt=%u", m->rcpts->len);
	if (m->sealed)
		g_string_append_printf(line, " size=%" G_GUINT64_FORMAT, m->size);
	else
		g_string_append(line, " size=-");
	append_encoding(line, p);
	append_treatment(line, p);
	append_limit(line, p);
	if (took >= 0)
		g_string_append_printf(line, " took_ms=%.1f", (double)took / 1000);
	else
		g_string_append(line, " took_ms=-");
	g_string_append_printf(line, " result=%s", verdict_word(p->verdict));
	if (p->reason != NULL)
		g_string_append_printf(line, " reason=%s", p->reason);
	return line;
}
