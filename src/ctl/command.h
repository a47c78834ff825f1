/*
 * command - what the commands of poolctl have in common.
 */
#ifndef POOLMILTER_CTL_COMMAND_H
#define POOLMILTER_CTL_COMMAND_H

#include "core/settings.h"

#include <glib.h>

/** A command: argv[0] is its name. Returns an exit status of sysexits.h. */
typedef int command_fn(int argc, char **argv);

command_fn command_bounce, command_check, command_classify, command_process, command_isps, command_explain, command_limits, command_locks, command_genkey, command_verp,
	command_postfix, command_reload, command_settings, command_stats, command_keys, command_dns, command_dns_check, command_events;

/** Says what is wrong with the arguments and where help is; returns EX_USAGE. */
int command_usage_error(const char *command, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** The help of a command (main.c) to standard output; returns EX_OK. */
int command_help(const char *command);

/** Loads a configuration and prints errors and warnings to standard error; NULL if it is wrong. */
struct settings *command_load(const char *config, int flags);

/** Reads seconds since 1970 for --time; false if it is no such number. */
bool command_time(const char *text, time_t *t);

#endif
