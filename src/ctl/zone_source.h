/*
 * zone_source - where the records of core/zone.h come from: pools that arguments name, and their
 * keys.
 */
#ifndef POOLMILTER_CTL_ZONE_SOURCE_H
#define POOLMILTER_CTL_ZONE_SOURCE_H

#include "core/zone.h"

/**
 * The pools of these names, each once, all without names (of struct pool *; g_ptr_array_unref()
 * it).  NULL if one is unknown: that is said on standard error, for the command.
 */
GPtrArray *zone_source_pools(const struct settings *s, const char *command, char *const *names,
			     int count);

/** The record of a private key; context: the struct settings, whose keystore reads it. */
zone_key_fn zone_source_key;

#endif
