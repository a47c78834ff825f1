/*
 * event_record - completes an event and keeps it: for poolevents and poolctl bounce.
 */
#ifndef POOLMILTER_IO_EVENT_RECORD_H
#define POOLMILTER_IO_EVENT_RECORD_H

#include "core/settings.h"
#include "io/classifier.h"
#include "io/event_db.h"

/** Gives an event its recipient's ISP record and the reply's category. */
void event_complete(const struct settings *s, const struct classifier *c, struct event *e);

/**
 * Keeps a completed event in db for its destinations and counts it in the statistics, both in the
 * caller's transaction; one that is there already changes nothing, and *is_new (may be NULL) tells.
 * False with *why (g_free it): roll back.
 */
bool event_record(struct event_db *db, const struct settings *s, const struct event *e, bool *is_new,
		  char **why);

#endif
