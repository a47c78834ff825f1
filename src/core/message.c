/*
 * message - what came in; see message.h.
 *
 * All header octets share one buf: 20,000 fields cost two allocations that grow, not 40,000.
 * While it grows the fields hold offsets; message_seal() turns them into pointers.
 */
#include "core/message.h"

#include <string.h>

struct message *
message_new(const char *sender, uint64_t size_max)
{
	struct message *m = g_new0(struct message, 1);

	m->sender = g_strdup(sender);
	m->size_max = size_max;
	m->rcpts = g_ptr_array_new_with_free_func(g_free);
	m->fields = g_array_sized_new(FALSE, FALSE, sizeof(struct field), 32);
	return m;
}

void
message_free(struct message *m)
{
	if (m == NULL)
		return;
	g_free(m->queue_id);
	g_free(m->sender);
	g_ptr_array_free(m->rcpts, TRUE);
	g_free(m->login);
	buf_free(&m->header);
	g_array_free(m->fields, TRUE);
	buf_free(&m->body);
	g_free(m);
}

void
message_add_rcpt(struct message *m, const char *rcpt)
{
	g_ptr_array_add(m->rcpts, g_strdup(rcpt));
}

/* Counts octets against the limit; false: they are not to be kept. */
static bool
room_for(struct message *m, size_t len)
{
	m->size += len;
	if (m->size > m->size_max && !m->too_large) {
		m->too_large = true;
		buf_free(&m->body); /* it will be refused: do not hold its memory until then */
	}
	return !m->too_large && !m->damaged;
}

/* Appends a value with CRLF folds as LF; a CR that ends no line stays what it is. */
static void
add_value(struct buf *b, const char *value, size_t len)
{
	const char *cr;

	while ((cr = memchr(value, '\r', len)) != NULL) {
		size_t n = (size_t)(cr - value);

		buf_add(b, value, n);
		if (n + 1 >= len || cr[1] != '\n')
			buf_add(b, "\r", 1);
		value += n + 1;
		len -= n + 1;
	}
	buf_add(b, value, len);
}

void
message_add_field(struct message *m, const char *name, size_t name_len, const char *value,
		  size_t value_len)
{
	struct field f = {NULL, NULL, name_len, 0};
	size_t start = m->header.len, value_at;

	/* "From :" is "From:" (RFC 5322 4.5.8); Postfix writes it so before we see it. */
	while (name_len > 0 && (name[name_len - 1] == ' ' || name[name_len - 1] == '\t'))
		name_len--;
	f.name_len = name_len;
	if (!room_for(m, name_len + value_len + 3))
		return;
	buf_add(&m->header, name, name_len);
	buf_add(&m->header, "", 1);
	value_at = m->header.len;
	add_value(&m->header, value, value_len);
	f.value_len = m->header.len - value_at;
	buf_add(&m->header, "", 1);
	f.name = (const char *)start; /* offsets until sealed */
	f.value = (const char *)value_at;
	g_array_append_val(m->fields, f);
	m->damaged = m->damaged || buf_failed(&m->header);
}

void
message_add_body(struct message *m, const void *data, size_t len)
{
	if (!room_for(m, len))
		return;
	buf_add(&m->body, data, len);
	m->damaged = m->damaged || buf_failed(&m->body);
}

void
message_seal(struct message *m)
{
	if (m->sealed)
		return;
	m->sealed = true;
	for (guint i = 0; i < m->fields->len; i++) {
		struct field *f = &g_array_index(m->fields, struct field, i);

		f->name = m->header.data + (size_t)f->name;
		f->value = m->header.data + (size_t)f->value;
	}
}

bool
field_is(const struct field *f, const char *name)
{
	return f->name_len == strlen(name) && g_ascii_strncasecmp(f->name, name, f->name_len) == 0;
}

bool
field_matches(const struct field *f, const char *pattern)
{
	size_t len = strlen(pattern);

	if (len == 0 || pattern[len - 1] != '*')
		return field_is(f, pattern);
	return f->name_len >= len - 1 && g_ascii_strncasecmp(f->name, pattern, len - 1) == 0;
}

const struct field *
message_field(const struct message *m, const char *name, unsigned nth)
{
	for (guint i = 0; i < m->fields->len; i++) {
		const struct field *f = &g_array_index(m->fields, struct field, i);

		if (field_is(f, name) && nth-- == 0)
			return f;
	}
	return NULL;
}

char *
address_of_path(const char *path)
{
	size_t len = strlen(path);

	if (len >= 2 && path[0] == '<' && path[len - 1] == '>')
		return g_strndup(path + 1, len - 2);
	return g_strdup(path);
}

const char *
address_domain(const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL ? at + 1 : NULL;
}
