/*
 * joiner_private - flights in memory, and those that wait: for the files of joiner alone.
 *
 * A store that fails is noted in failed; nothing that is done then counts.  Slots stay where they
 * are until joiner_trim(), those of flights that ended until joiner_save().
 */
#ifndef POOLMILTER_CORE_JOINER_PRIVATE_H
#define POOLMILTER_CORE_JOINER_PRIVATE_H

#include "core/joiner.h"
#include "core/mta_line.h"

/** A flight in memory. */
struct slot {
	struct flight *f;
	GList used, changed; /* links of joiner's lists; data: the slot */
	bool dirty;          /* it is in the list of changed ones */
	bool stored;         /* the store may have it */
};

struct joiner {
	struct joiner_store store;
	char *node;
	guint flights_max;
	void (*event)(struct event *e, void *context);
	void *context;
	GHashTable *slots;    /* queue ID -> struct slot * */
	GQueue used, changed; /* of slots, last used first; to be saved */
	GHashTable *waits;    /* queue ID -> struct wait * */
	GSequence *by_due;    /* of the same */
	GHashTable *notes;    /* queue IDs of those whose waiting outlives this joiner: of char * */
	bool notes_read, notes_changed;
	bool failed;
};

/* joiner.c */

/** The latest flight of a queue ID, in memory or from the store; NULL: there is none. */
struct slot *joiner_find(struct joiner *j, const char *queue_id);

/** A new flight in the place of the old one (NULL: there is none), which stays as history if it is
 * a pool's. */
struct slot *joiner_begin(struct joiner *j, const char *queue_id, int64_t time, struct slot *old);

/** It has changed. */
void joiner_touch(struct joiner *j, struct slot *s);

/** It is nobody's. */
void joiner_forget(struct joiner *j, struct slot *s);

/** Ends a message that has left the queue, if nothing of it waits. */
void joiner_finish(struct joiner *j, struct slot *s);

/** Tells an event of a flight that has a pool; one of no recipient that was accepted or held is
 * told for each that poolmilter told. */
void joiner_tell(struct joiner *j, struct flight *f, struct event *e);

/** Tells what waited for the pool. */
void joiner_tell_pending(struct joiner *j, struct slot *s);

/** Saves what has changed, but for the notes; what has ended leaves memory. */
void joiner_save(struct joiner *j);

/** Has the least used ones leave memory that are too many. */
void joiner_trim(struct joiner *j);

/* joiner_lines.c */

void joiner_take(struct joiner *j, const struct log_line *line, const struct mta_line *m);

/* joiner_links.c */

/** Has a flight looked at by a time, or earlier if that was said before. */
void joiner_wait(struct joiner *j, const char *queue_id, int64_t due);
void joiner_wait_no_more(struct joiner *j, const char *queue_id);

/** Has it looked at, if nothing does yet. */
void joiner_wait_first(struct joiner *j, const struct flight *f);

/** When a flight wants to be looked at for the first time; INT64_MAX: not at all. */
int64_t joiner_first_look(const struct flight *f);

/** True if a line of its queue ID is of another message, whose first ones are missing. */
bool joiner_long_gone(const struct flight *f, int64_t now);

/** True if nobody has claimed it in time. */
bool joiner_overdue(const struct flight *f, int64_t now);

/** True if it may be another message, injected again. */
bool joiner_may_be_another(const struct flight *f);

/** Looks at a flight: it may be linked, its hops told; one that is nobody's is forgotten. */
void joiner_look_at(struct joiner *j, struct slot *s, int64_t now);

/** Looks at all that are due. */
void joiner_look(struct joiner *j, int64_t now);

/** Takes over a delivery to this host: a hop, or one that waits until a time. next_id NULL: none
 * was named. */
void joiner_hop(struct joiner *j, struct slot *s, struct event *e, const char *next_id,
		int64_t until);

void joiner_waits_init(struct joiner *j);
void joiner_waits_free(struct joiner *j);

#endif
