/*
 * mta - a fake MTA for the process target; see mta.h.
 *
 * A field is one string of octets, "Name:value"; values of the message may hold NUL octets, what
 * travels in an edit is a C string.
 */
#include "mta.h"

#include "fuzz.h"

#include <string.h>

struct mta {
	GPtrArray *fields; /* of GString * */
};

static void
field_free(void *field)
{
	g_string_free(field, TRUE);
}

static GString *
field_new(const char *name, size_t name_len, const char *value, size_t value_len)
{
	GString *field = g_string_new_len(name, (gssize)name_len);

	g_string_append_c(field, ':');
	return g_string_append_len(field, value, (gssize)value_len);
}

static bool
field_has_name(const GString *field, const char *name)
{
	const char *colon = memchr(field->str, ':', field->len);
	size_t len = strlen(name);

	return (size_t)(colon - field->str) == len &&
	       g_ascii_strncasecmp(field->str, name, len) == 0;
}

struct mta *
mta_new(const struct message *m)
{
	struct mta *mta = g_new(struct mta, 1);

	mta->fields = g_ptr_array_new_with_free_func(field_free);
	for (guint i = 0; i < m->fields->len; i++) {
		const struct field *f = &g_array_index(m->fields, struct field, i);

		g_ptr_array_add(mta->fields,
				field_new(f->name, f->name_len, f->value, f->value_len));
	}
	return mta;
}

void
mta_free(struct mta *mta)
{
	g_ptr_array_free(mta->fields, TRUE);
	g_free(mta);
}

/* The place of the index-th field of the name. */
static guint
find(const struct mta *mta, const char *name, unsigned index)
{
	require_of(index > 0, name);
	for (guint i = 0; i < mta->fields->len; i++)
		if (field_has_name(mta->fields->pdata[i], name) && --index == 0)
			return i;
	fuzz_fail("the MTA has such a field", __FILE__, __LINE__, name);
}

static void
change(GString *field, const char *value)
{
	const char *colon = memchr(field->str, ':', field->len);

	g_string_truncate(field, (gsize)(colon - field->str) + 1);
	g_string_append(field, value);
}

void
mta_apply(struct mta *mta, const struct edit *e)
{
	const char *name = e->field.name, *value = e->field.value;

	require_of(strlen(name) == e->field.name_len, name);
	switch (e->kind) {
	case EDIT_CHANGE:
		change(mta->fields->pdata[find(mta, name, e->index)], value);
		break;
	case EDIT_DELETE:
		g_ptr_array_remove_index(mta->fields, find(mta, name, e->index));
		break;
	case EDIT_ADD:
		g_ptr_array_add(mta->fields, field_new(name, strlen(name), value, strlen(value)));
		break;
	case EDIT_INSERT:
		g_ptr_array_insert(mta->fields, 0,
				   field_new(name, strlen(name), value, strlen(value)));
		break;
	}
}

struct comparison {
	const struct mta *mta;
	guint at;
};

static void
compare(const struct field *f, void *context)
{
	struct comparison *c = context;
	GString *ours = field_new(f->name, f->name_len, f->value, f->value_len);

	require_of(c->at < c->mta->fields->len, ours->str);
	require_of(g_string_equal(ours, c->mta->fields->pdata[c->at]), ours->str);
	c->at++;
	g_string_free(ours, TRUE);
}

void
mta_check(const struct mta *mta, const struct image *image)
{
	struct comparison c = {mta, 0};

	image_each(image, compare, &c);
	require(c.at == mta->fields->len);
}
