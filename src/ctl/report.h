/*
 * report - pieces of JSON (jansson) that several commands write.
 */
#ifndef POOLMILTER_CTL_REPORT_H
#define POOLMILTER_CTL_REPORT_H

#include <glib.h>
#include <jansson.h>
#include <stdio.h>

/** A JSON string of any octets: what is not UTF-8 becomes U+FFFD; null for NULL. The caller's. */
json_t *report_text(const char *text);

/** An array of such strings from an array of char *; NULL is an empty one. The caller's. */
json_t *report_texts(const GPtrArray *texts);

/** The texts of an array of char * in one, ", " between; g_free it. */
char *report_join(const GPtrArray *texts);

/** Writes j with a line end, and gives it back. */
void report_write(json_t *j, FILE *out);

#endif
