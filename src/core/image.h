/*
 * image - message + edits: the header as the MTA will hold it after our edits.  It is what gets signed.
 *
 * An edit is made in one place: it changes the image and is noted for the MTA in the same call, so
 * the two cannot differ.  The order of edits is the order in which the MTA must get them: deletes from
 * the last field of a name to the first (CVE-2022-48521), changes, additions, insertions at the top.
 */
#ifndef POOLMILTER_CORE_IMAGE_H
#define POOLMILTER_CORE_IMAGE_H

#include "core/message.h"

#include <glib.h>

enum edit_kind {
	EDIT_CHANGE, /* the index-th field of the name gets the value */
	EDIT_DELETE, /* the index-th field of the name goes */
	EDIT_ADD,    /* a field at the end */
	EDIT_INSERT, /* a field above all others */
};

/** One edit in the milter protocol's terms; index counts fields of the name from 1. */
struct edit {
	enum edit_kind kind;
	unsigned index;
	struct field field;
};

struct image; /* knows the message, which must outlive it */

/** The image of a sealed message without edits. Free with image_free(). */
struct image *image_new(const struct message *m);
void image_free(struct image *i);

/** Takes back every edit. */
void image_revert(struct image *i);

/** Gives another value to the nth field of the message (from 0), which must not be deleted. */
void image_change(struct image *i, guint nth, const char *value, size_t value_len);

/**
 * Deletes all fields that match: name, or all whose name begins with it if it ends in '*'; also those
 * that were added before.  Returns how many.
 */
unsigned image_delete(struct image *i, const char *pattern);

/**
 * Replaces all fields of a name by one with this value (the first one's place), or adds it at the end
 * if there is none.  The value has its leading space.  Returns how many fields went.
 */
unsigned image_set(struct image *i, const char *name, const char *value, size_t value_len);

/** Adds a field at the end; name must outlive the image. */
void image_add(struct image *i, const char *name, const char *value, size_t value_len);

/** Inserts a field above all others. After the first insertion only insertions may follow. */
void image_insert(struct image *i, const char *name, const char *value, size_t value_len);

/** Calls f for each field of the image from the top to the bottom. */
void image_each(const struct image *i, void (*f)(const struct field *field, void *context),
		void *context);

/** The edits so far, of struct edit, in the order in which the MTA must get them. */
const GArray *image_edits(const struct image *i);

#endif
