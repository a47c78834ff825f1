/*
 * events_report - events and their queue as tables for people, or as JSON.
 */
#ifndef POOLMILTER_CTL_EVENTS_REPORT_H
#define POOLMILTER_CTL_EVENTS_REPORT_H

#include "core/settings.h"
#include "io/event_db.h"

#include <stdio.h>

/** How events are shown. */
struct events_view {
	FILE *out;
	bool json;      /* as they are stored, one in a line */
	unsigned types; /* bits of 1 << enum event_type; 0: all */
	int width;      /* lines are cut there; 0: not */
	guint shown;    /* so many so far */
};

/** Columns of the terminal that out is; 0: it is none. */
int events_report_width(FILE *out);

/** An event, if it is of the types, under a head if it is the first one. */
void events_report_event(struct events_view *v, const struct event_row *row);

/** The same of a dead letter, with its destination and the reason. */
void events_report_letter(struct events_view *v, const struct event_row *row,
			  const char *destination, const char *reason);

/**
 * The queue: destinations of struct event_destination *, as event_db_destinations() gives them, and
 * those of the settings that are not among them.
 */
void events_report_queue(const GPtrArray *destinations, const struct settings *s, bool json,
			 FILE *out);

#endif
