/*
 * mta - a fake MTA for the process target: holds a header and applies edits as the milter protocol
 * says.
 *
 * It knows nothing of core/image.c: a list of fields, a count per name from 1 among those that are
 * there at that moment, names compared blind for case, as Postfix' cleanup_find_header_start()
 * does.
 */
#ifndef POOLMILTER_TESTS_FUZZ_MTA_H
#define POOLMILTER_TESTS_FUZZ_MTA_H

#include "core/image.h"
#include "core/message.h"

struct mta;

/** An MTA that holds the message's header. Free with mta_free(). */
struct mta *mta_new(const struct message *m);
void mta_free(struct mta *mta);

/** Applies one edit; fails the run if there is no such field. */
void mta_apply(struct mta *mta, const struct edit *e);

/** Requires that the MTA holds what the image says, byte for byte. */
void mta_check(const struct mta *mta, const struct image *image);

#endif
