/*
 * setting_table - the one table of all keys of the configuration.
 *
 * It drives defaults, loading (io/conf_file.c), validation, the freeing of settings, the test of
 * conf/poolmilter.conf.sample.in and the list of keys in poolmilter.conf(5).  A new key is a row here
 * and a member in settings.h, nothing else.
 */
#ifndef POOLMILTER_CORE_SETTING_TABLE_H
#define POOLMILTER_CORE_SETTING_TABLE_H

#include "core/setting_kind.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
	SETTING_BOOL,     /* bool */
	SETTING_INT,      /* int64_t, from min to max */
	SETTING_DURATION, /* int64_t, seconds, from min to max: "90s", "15m", "2h", "3d" */
	SETTING_CHOICE,   /* int, one of choices */
	SETTING_MODE,     /* unsigned: octal digits in a string */
	SETTING_TEXT,     /* char * of a kind; NULL: not given */
	SETTING_TEMPLATE, /* struct template * */
	SETTING_TEXTS,    /* GPtrArray of char * of a kind, no two the same */
	SETTING_NETWORKS, /* GArray of struct network, no two the same */
	SETTING_GROUP,    /* members, which lie in the same struct */
	SETTING_LIST,     /* GPtrArray of structs: a list of groups of members */
};

#define SETTING_REQUIRED 1
#define SETTING_ONE_OR_MORE 2 /* of SETTING_TEXTS: a string may stand for an array of one */
#define SETTING_MANY 4        /* of SETTING_TEXTS: settings_finish() finds what stands there twice */
#define SETTING_AS_ANOTHER 8  /* of SETTING_LIST: the manual lists the members at another key */
#define SETTING_SECRET 16     /* of SETTING_TEXT: what is refused is not told, the log may have it */

struct setting_choice {
	const char *name; /* NULL ends the list */
	int value;
};

struct setting {
	const char *name;
	enum setting_type type;
	unsigned flags;
	size_t offset; /* of the member in the struct */
	const struct setting_kind *kind;
	const struct setting_choice *choices;
	int64_t min, max;
	const char *preset; /* the default: a literal of libconfig; NULL: none */
	/** Also required if this says so of the finished struct; NULL: no such condition. */
	bool (*required_if)(const void *base);
	const struct setting_table *members;
	const char *since;
	const char *help; /* sentences for the man page */
};

struct setting_table {
	const struct setting *settings;
	size_t count;
	size_t size;          /* of the struct; 0: a group within the struct around it */
	size_t origin_offset; /* of its struct origin; 0: it has none */
	GDestroyNotify free_item;
};

extern const struct setting_table setting_table;      /* of struct settings */
extern const struct setting_table setting_table_pool; /* of struct pool */
extern const struct setting_table setting_table_isp;  /* of struct isp */

/** The setting of that name, NULL if there is none. */
const struct setting *setting_find(const struct setting_table *t, const char *name);

/** The name in the table that a misspelt one most likely means, or NULL. */
const char *setting_suggest(const struct setting_table *t, const char *name);

/** Gives every member of a zeroed struct its default: afterwards no array is NULL. */
void setting_defaults(const struct setting_table *t, void *base);

/** Frees what the members hold, not the struct. */
void setting_release(const struct setting_table *t, void *base);

/*
 * These give a member the value that a file has.  On false the member keeps its value and *why
 * (g_free it) says what is wrong and what was expected.  setting_set_text() takes strings for every
 * type that is written as one; for an array it adds an element: call setting_clear() before the
 * first.
 */
bool setting_set_bool(const struct setting *m, void *base, bool value, char **why);
bool setting_set_int(const struct setting *m, void *base, int64_t value, char **why);
bool setting_set_text(const struct setting *m, void *base, const char *text, char **why);
void setting_clear(const struct setting *m, void *base);

/** Adds a struct with defaults to a SETTING_LIST and returns it. */
void *setting_add_item(const struct setting *m, void *base);

/** What a value of this setting must be, in words (g_free it). */
char *setting_expected(const struct setting *m);

/** Octets of a file in quotes, printable and cut, for a message (g_free it). */
char *setting_quote(const char *text);

/**
 * All settings as text: for the man page (its .TP paragraphs), or one line each of path, type,
 * default, range and help, with tabs between.  The caller frees it.
 */
GString *setting_table_text(bool man);

#endif
