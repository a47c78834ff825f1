/*
 * conf_text - the text of a configuration with its @include files in place, and where each line
 * of it comes from.
 */
#ifndef POOLMILTER_IO_CONF_TEXT_H
#define POOLMILTER_IO_CONF_TEXT_H

#include "base/errors.h"

#include <glib.h>

struct conf_text;

/**
 * Reads path and what it includes.  Names of the files read are added to files (of char *), which
 * must outlive all origins.  Returns NULL, with the reasons in errors, if a file cannot be read,
 * includes itself, or holds what libconfig would misread without a word.  Free with
 * conf_text_free().
 */
struct conf_text *conf_text_read(const char *path, GPtrArray *files, struct errors *errors);
void conf_text_free(struct conf_text *t);

/** The whole text, for config_read_string(). */
const char *conf_text_string(const struct conf_text *t);

/** Frees the whole text, which may be large; origins can still be asked for. */
void conf_text_drop(struct conf_text *t);

/** True if there is nothing but white space and comments. */
bool conf_text_empty(const struct conf_text *t);

/** The file and line that a line (from 1) of the whole text comes from; line 0 is the first file as
 * a whole. */
struct origin conf_text_origin(const struct conf_text *t, unsigned line);

#endif
