/*
 * setting_rows - what the files of rows of the table of settings share; private to setting_rows*.c.
 *
 * Order is that of the man page and of the sample file.  Defaults are literals of libconfig; `help`
 * may use no markup, is cut into lines by the formatter, and does not repeat type, default and
 * range.
 */
#ifndef POOLMILTER_CORE_SETTING_ROWS_H
#define POOLMILTER_CORE_SETTING_ROWS_H

#include "core/setting_table.h"
#include "core/settings.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define IN_SETTINGS(member) .offset = offsetof(struct settings, member)
#define SINCE_0_1 .since = "0.1"
#define SINCE_0_2 .since = "0.2"
#define SINCE_0_3 .since = "0.3"
#define SINCE_0_4 .since = "0.4"
#define SINCE_0_5 .since = "0.5"

extern const struct setting_table setting_table_bounce; /* of struct bounce_pattern */
extern const struct setting_table setting_table_events; /* of struct settings: events */
extern const struct setting_table setting_table_header_value; /* of struct header_value */
extern const struct setting_table setting_table_lock;	      /* of struct lock_rule */
extern const struct setting_table setting_table_redis;	      /* of struct settings: redis */
extern const struct setting_table setting_table_webhook;      /* of struct webhook */

#endif
