/*
 * metric_text - pieces of Prometheus' text format, version 0.0.4; names begin with "poolmilter_".
 */
#ifndef POOLMILTER_CORE_METRIC_TEXT_H
#define POOLMILTER_CORE_METRIC_TEXT_H

#include "base/buf.h"

#include <glib.h>
#include <stdint.h>

/** Appends formatted text. */
void metric_add(struct buf *out, const char *format, ...) G_GNUC_PRINTF(2, 3);

/** HELP and TYPE of a metric; its samples follow. */
void metric_head(struct buf *out, const char *name, const char *type, const char *help);

/** A metric of one sample without labels. */
void metric_single(struct buf *out, const char *name, const char *type, const char *help,
		   int64_t value);

/** A label: NAME="VALUE", any octets. */
void metric_label(struct buf *out, const char *name, const char *value);

/** pool="acme" of a key of core/stats.h; and, where second names it, what follows the pool there. */
void metric_key_labels(struct buf *out, const char *key, const char *second);

#endif
