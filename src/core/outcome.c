/*
 * outcome - what was done with a message, in words; see outcome.h.
 */
#include "core/outcome.h"
#include "core/word.h"

#include <string.h>

#define VALUE_MAX 300	/* octets of a header's value that events tell */
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

/* Lines of words; each begins alike. */
struct event_lines {
	GPtrArray *done; /* of char * */
	GString *line;
	char *head;
};

static void
end_line(struct event_lines *l)
{
	if (l->line->len > strlen(l->head))
		g_ptr_array_add(l->done, g_strndup(l->line->str, l->line->len));
	g_string_assign(l->line, l->head);
}

static void
add_word(struct event_lines *l, const char *word)
{
	gsize before = l->line->len;

	word_put(l->line, word);
	if (l->line->len <= OUTCOME_EVENT_LINE)
		return;
	g_string_truncate(l->line, before);
	end_line(l);
	word_put(l->line, word);
}

/* The field's value on one line (RFC 5322 2.2.3), cut between characters of UTF-8 (g_free it). */
static char *
told_value(const struct field *f)
{
	GString *value = g_string_sized_new(f->value_len);
	size_t len = VALUE_MAX;

	for (size_t i = 0; i < f->value_len && f->value[i] != '\0'; i++)
		if (f->value[i] != '\n')
			g_string_append_c(value, f->value[i]);
	g_strstrip(value->str);
	if (strlen(value->str) > len) {
		for (int back = 0; back < 3 && ((unsigned char)value->str[len] & 0xC0) == 0x80; back++)
			len--;
		value->str[len] = '\0';
	}
	return g_string_free(value, FALSE);
}

static void
add_headers(struct event_lines *l, const struct message *m, const GPtrArray *names)
{
	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		const struct field *f = message_field(m, name, 0);
		char *value, *word;

		if (f == NULL)
			continue;
		value = told_value(f);
		word = g_strconcat("header:", name, ":", value, NULL);
		add_word(l, word);
		g_free(word);
		g_free(value);
	}
}

/* Each address once: the MTA delivers to it once. */
static void
add_rcpts(struct event_lines *l, const GPtrArray *rcpts)
{
	GHashTable *told = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < rcpts->len && g_hash_table_size(told) < OUTCOME_EVENT_RECIPIENTS; i++) {
		char *rcpt = g_ptr_array_index(rcpts, i), *word;

		if (strlen(rcpt) > ADDRESS_MAX || !g_hash_table_add(told, rcpt))
			continue;
		word = g_strconcat("rcpt:", rcpt, NULL);
		add_word(l, word);
		g_free(word);
	}
	g_hash_table_destroy(told);
}

GPtrArray *
outcome_event_lines(const struct message *m, const struct plan *p, const GPtrArray *headers)
{
	struct event_lines l = {.done = g_ptr_array_new_with_free_func(g_free)};

	if (m->queue_id == NULL || p->pool == NULL ||
	    (p->verdict != VERDICT_ACCEPTED && p->verdict != VERDICT_HELD))
		return l.done;
	l.head = g_strconcat(m->queue_id, ": event:", NULL);
	l.line = g_string_new(l.head);
	add_headers(&l, m, headers);
	add_rcpts(&l, p->rcpts);
	end_line(&l);
	g_string_free(l.line, TRUE);
	g_free(l.head);
	return l.done;
}
