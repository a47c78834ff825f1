/*
 * courier_private - a courier's state: for the files of courier alone.
 */
#ifndef POOLMILTER_EVENTS_COURIER_PRIVATE_H
#define POOLMILTER_EVENTS_COURIER_PRIVATE_H

#include "events/courier.h"

#include <pthread.h>

struct courier {
	const struct carrier *carrier;
	void *context;
	char *state_dir;
	bool sweeps;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct settings *next; /* to be taken; NULL: none */
	bool woken;
	bool stopping;

	struct settings *settings;
	struct event_db *db;          /* NULL: not open yet */
	gint64 db_after;              /* the database is left alone until then */
	GPtrArray *lanes;             /* of struct lane *, owned */
	GHashTable *by_name;          /* the same */
	GHashTable *configured;       /* names of all destinations of the settings, if it sweeps */
	guint turn;                   /* the lane that is looked at first */
	int64_t changes;              /* event_db_changes() at the last look */
	bool must_look;               /* whatever that says */
	bool tell_strangers;          /* at the next look */
	gint64 look_after, expire_at; /* g_get_monotonic_time() */
	gint64 stop_at;               /* 0: it is to go on */
};

/** True if the database can be used now; opens it. */
bool courier_db_ready(struct courier *c);

/** The database has failed: it is left alone for a while. Takes why. */
void courier_trouble(struct courier *c, char *why);

/** Looks, if there is reason to, what waits where. courier_look.c */
void courier_look(struct courier *c);

#endif
