/*
 * verdicts - all records of a zone judged, many at a time.
 */
#ifndef POOLMILTER_CTL_VERDICTS_H
#define POOLMILTER_CTL_VERDICTS_H

#include "core/dns_verdict.h"

/**
 * Judges each record of the zone (of struct dns_verdict *, in the zone's order; g_ptr_array_unref()
 * it), with a bar on the terminal.  Zone and tools must outlive the array.  NULL with *why (g_free
 * it) if no thread can be started.
 */
GPtrArray *verdicts_new(const struct zone *z, const struct dns_tools *tools, char **why);

#endif
