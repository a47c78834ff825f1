/*
 * image - message + edits; see image.h.
 *
 * The message's own fields stay in their array with a state beside each (kept, deleted, or which edit
 * changed it); what is added and inserted stands in the edits alone.  Each rule walks the header once:
 * the cost is fields x rules, and a message without rules costs nothing.
 */
#include "core/image.h"

#include <string.h>

struct image {
	const struct message *message;
	GArray *edits;	   /* of struct edit */
	gint32 *states;	   /* a message field's state; NULL: all kept */
	GPtrArray *memory; /* of values made by edits */
};

#define KEPT -1
#define DELETED -2 /* else: index of the EDIT_CHANGE */

struct image *
image_new(const struct message *m)
{
	struct image *i = g_new0(struct image, 1);

	i->message = m;
	i->edits = g_array_new(FALSE, FALSE, sizeof(struct edit));
	i->memory = g_ptr_array_new_with_free_func(g_free);
	return i;
}

void
image_free(struct image *i)
{
	if (i == NULL)
		return;
	g_array_free(i->edits, TRUE);
	g_ptr_array_free(i->memory, TRUE);
	g_free(i->states);
	g_free(i);
}

void
image_revert(struct image *i)
{
	g_array_set_size(i->edits, 0);
	g_ptr_array_set_size(i->memory, 0);
	g_clear_pointer(&i->states, g_free);
}

static const struct field *
own_field(const struct image *i, guint n)
{
	return &g_array_index(i->message->fields, struct field, n);
}

static void
states_need(struct image *i)
{
	guint n = i->message->fields->len;

	if (i->states != NULL)
		return;
	i->states = g_new(gint32, n + 1);
	for (guint k = 0; k < n; k++)
		i->states[k] = KEPT;
}

static bool
same_name(const struct field *a, const struct field *b)
{
	return a->name_len == b->name_len && g_ascii_strncasecmp(a->name, b->name, a->name_len) == 0;
}

static void
edit_append(struct image *i, enum edit_kind kind, unsigned index, const struct field *field)
{
	struct edit e = {kind, index, *field};

	g_array_append_val(i->edits, e);
}

/* A field whose octets the image owns; the name's are the caller's (settings) and stay. */
static struct field
field_make(struct image *i, const char *name, const char *value, size_t value_len)
{
	struct field f = {name, g_memdup2(value, value_len + 1), strlen(name), value_len};

	((char *)f.value)[value_len] = '\0';
	g_ptr_array_add(i->memory, (char *)f.value);
	return f;
}

/* How often the name stood in the set before, from 0; counts goes from set to set. */
static guint
name_count(GHashTable *counts, const struct field *f)
{
	char *name = g_ascii_strdown(f->name, (gssize)f->name_len);
	guint count = GPOINTER_TO_UINT(g_hash_table_lookup(counts, name));

	g_hash_table_insert(counts, name, GUINT_TO_POINTER(count + 1));
	return count;
}

/*
 * Deletes a set of fields (indices into the message, ascending), last first: the MTA counts per name
 * among those that are left.  The set holds every field of each of its names, but for the keep first
 * ones, so that a field's index is its place in the set.
 */
static void
delete_fields(struct image *i, const GArray *which, guint keep)
{
	GHashTable *counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	guint *indices = g_new(guint, which->len);

	for (guint k = 0; k < which->len; k++)
		indices[k] = name_count(counts, own_field(i, g_array_index(which, guint, k))) + 1;
	for (guint k = which->len; k-- > 0;) {
		guint n = g_array_index(which, guint, k);

		edit_append(i, EDIT_DELETE, indices[k] + keep, own_field(i, n));
		i->states[n] = DELETED;
	}
	g_free(indices);
	g_hash_table_destroy(counts);
}

/* Takes back an edit that no other one depends on. */
static void
edit_remove(struct image *i, guint e)
{
	g_array_remove_index(i->edits, e);
	for (guint n = 0; i->states != NULL && n < i->message->fields->len; n++)
		if (i->states[n] > (gint32)e)
			i->states[n]--;
}

/* Takes back additions, from an edit on: the MTA need not hear of them. Returns how many. */
static unsigned
unadd(struct image *i, guint from, const char *pattern)
{
	unsigned count = 0;

	for (guint e = i->edits->len; e-- > from;) {
		const struct edit *edit = &g_array_index(i->edits, struct edit, e);

		if (edit->kind == EDIT_ADD && field_matches(&edit->field, pattern)) {
			edit_remove(i, e);
			count++;
		}
	}
	return count;
}

static unsigned
delete_received(struct image *i, const char *pattern)
{
	GArray *which = NULL;
	unsigned count;

	for (guint n = 0; n < i->message->fields->len; n++) {
		if ((i->states != NULL && i->states[n] == DELETED) ||
		    !field_matches(own_field(i, n), pattern))
			continue;
		if (which == NULL)
			which = g_array_new(FALSE, FALSE, sizeof(guint));
		g_array_append_val(which, n);
	}
	if (which == NULL)
		return 0;
	states_need(i);
	delete_fields(i, which, 0);
	count = which->len;
	g_array_free(which, TRUE);
	return count;
}

unsigned
image_delete(struct image *i, const char *pattern)
{
	return delete_received(i, pattern) + unadd(i, 0, pattern);
}

void
image_change(struct image *i, guint nth, const char *value, size_t value_len)
{
	struct field f = field_make(i, "", value, value_len), old = *own_field(i, nth);
	unsigned index = 1;

	states_need(i);
	for (guint n = 0; n < nth; n++)
		if (i->states[n] != DELETED && same_name(own_field(i, n), &old))
			index++;
	i->states[nth] = (gint32)i->edits->len;
	old.value = f.value;
	old.value_len = f.value_len;
	edit_append(i, EDIT_CHANGE, index, &old);
}

static bool
change_first(struct image *i, const struct field *field)
{
	for (guint n = 0; n < i->message->fields->len; n++) {
		struct field old = *own_field(i, n);

		if (!same_name(&old, field) || (i->states != NULL && i->states[n] == DELETED))
			continue;
		states_need(i);
		i->states[n] = (gint32)i->edits->len;
		old.value = field->value; /* the MTA keeps the name as it stands in the message */
		old.value_len = field->value_len;
		edit_append(i, EDIT_CHANGE, 1, &old);
		return true;
	}
	return false;
}

/* Deletes all but the first field of a name; returns how many. */
static unsigned
delete_others(struct image *i, const char *name)
{
	GArray *which = g_array_new(FALSE, FALSE, sizeof(guint));
	unsigned seen = 0, count;

	for (guint n = 0; n < i->message->fields->len; n++)
		if (field_is(own_field(i, n), name) &&
		    (i->states == NULL || i->states[n] != DELETED) && seen++ > 0)
			g_array_append_val(which, n);
	count = which->len;
	if (count > 0) {
		states_need(i);
		delete_fields(i, which, 1);
	}
	g_array_free(which, TRUE);
	return count;
}

/* Gives the value to the first of the name's additions, or adds it. Returns how many went. */
static unsigned
change_added(struct image *i, const struct field *field)
{
	for (guint e = 0; e < i->edits->len; e++) {
		struct edit *edit = &g_array_index(i->edits, struct edit, e);

		if (edit->kind != EDIT_ADD || !same_name(&edit->field, field))
			continue;
		edit->field.value = field->value;
		edit->field.value_len = field->value_len;
		return 1 + unadd(i, e + 1, field->name);
	}
	edit_append(i, EDIT_ADD, 0, field);
	return 0;
}

unsigned
image_set(struct image *i, const char *name, const char *value, size_t value_len)
{
	unsigned deleted = delete_others(i, name);
	struct field f = field_make(i, name, value, value_len);

	if (change_first(i, &f))
		return deleted + 1 + unadd(i, 0, name);
	return change_added(i, &f);
}

void
image_add(struct image *i, const char *name, const char *value, size_t value_len)
{
	struct field f = field_make(i, name, value, value_len);

	edit_append(i, EDIT_ADD, 0, &f);
}

void
image_insert(struct image *i, const char *name, const char *value, size_t value_len)
{
	struct field f = field_make(i, name, value, value_len);

	edit_append(i, EDIT_INSERT, 0, &f);
}

void
image_each(const struct image *i, void (*f)(const struct field *field, void *context), void *context)
{
	for (guint e = i->edits->len; e-- > 0;) {
		const struct edit *edit = &g_array_index(i->edits, struct edit, e);

		if (edit->kind == EDIT_INSERT)
			f(&edit->field, context);
	}
	for (guint n = 0; n < i->message->fields->len; n++) {
		gint32 state = i->states != NULL ? i->states[n] : KEPT;

		if (state == KEPT)
			f(own_field(i, n), context);
		else if (state != DELETED)
			f(&g_array_index(i->edits, struct edit, (guint)state).field, context);
	}
	for (guint e = 0; e < i->edits->len; e++) {
		const struct edit *edit = &g_array_index(i->edits, struct edit, e);

		if (edit->kind == EDIT_ADD)
			f(&edit->field, context);
	}
}

const GArray *
image_edits(const struct image *i)
{
	return i->edits;
}
