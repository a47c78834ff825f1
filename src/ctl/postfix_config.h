/*
 * postfix_config - the settings of a Postfix on this host, as postconf(1) tells them.
 */
#ifndef POOLMILTER_CTL_POSTFIX_CONFIG_H
#define POOLMILTER_CTL_POSTFIX_CONFIG_H

#include <glib.h>
#include <stdbool.h>

/** An entry of master.cf. */
struct postfix_service {
	char *name, *type; /* "submission", "inet" */
	bool chroot;
	int processes;         /* at most; 0: default_process_limit */
	char *command;         /* the program: "smtpd" */
	GHashTable *overrides; /* parameters of its own, name -> value */
};

struct postfix_config {
	char *directory;     /* NULL: the default one */
	GHashTable *main;    /* all parameters, name -> value; $ expanded */
	GPtrArray *services; /* of struct postfix_service *, in order */
};

/** Asks postconf; NULL with *why (g_free it).  directory NULL: the default one. */
struct postfix_config *postfix_config_read(const char *directory, char **why);

void postfix_config_free(struct postfix_config *c);

/** The value in force for a service (NULL: main.cf); NULL: this Postfix knows no such parameter. */
const char *postfix_config_get(const struct postfix_config *c, const struct postfix_service *s,
			       const char *name);

/** The service of that name and type, NULL: none. */
const struct postfix_service *postfix_config_service(const struct postfix_config *c,
						     const char *name, const char *type);

/** The items of a list, char *: at commas and blanks, but not within braces; g_ptr_array_free(...,
 * TRUE) it. */
GPtrArray *postfix_config_list(const char *value);

/** True if a word stands in the list, in any case. */
bool postfix_config_has(const char *list, const char *word);

/** Seconds of "30s", "5m", "1h", "1d" or a bare number of seconds; 0: none of these. */
gint64 postfix_config_seconds(const char *value);

/**
 * What the table ("hash:/etc/postfix/x") has of the keys, char *: key -> value;
 * g_hash_table_destroy() it. Keys that it does not have, and all where it cannot be asked, are
 * missing.
 */
GHashTable *postfix_config_query(const struct postfix_config *c, const char *table,
				 const GPtrArray *keys);

#endif
