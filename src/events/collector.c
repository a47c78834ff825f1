/*
 * collector - makes events of the MTA's log; see collector.h.
 *
 * The first line is read before the transaction begins: without lines, nothing is written.
 */
#include "events/collector.h"

#include "core/joiner.h"
#include "io/event_record.h"

#include <string.h>

#define POSITION "log.position" /* name of the fact */
#define FLIGHTS_MAX 50000       /* in memory: some 50 MB */

struct collector {
	struct collector_tools tools;
	const struct settings *settings;
	const struct classifier *classifier;
	struct joiner *joiner;
	struct log_clock clock;
	int64_t last;      /* time of the last line */
	bool more;	   /* there were more lines than the last batch took */
	GPtrArray *events; /* new ones of the batch, of struct event * */
	char *why;         /* an event could not be kept; NULL: all could */
};

/* Takes an event of the joiner's. */
static void
take_event(struct event *e, void *context)
{
	struct collector *c = context;
	bool is_new = false;

	if (c->why == NULL) {
		event_complete(c->settings, c->classifier, e);
		(void)event_record(c->tools.db, c->settings, e, &is_new, &c->why);
	}
	if (is_new)
		g_ptr_array_add(c->events, e);
	else
		event_free(e);
}

struct collector *
collector_new(const struct collector_tools *tools)
{
	struct collector *c = g_new0(struct collector, 1);

	c->tools = *tools;
	c->events = g_ptr_array_new_with_free_func((GDestroyNotify)event_free);
	return c;
}

void
collector_free(struct collector *c)
{
	if (c == NULL)
		return;
	g_clear_pointer(&c->joiner, joiner_free);
	g_ptr_array_unref(c->events);
	g_free(c->why);
	g_free(c);
}

void
collector_change(struct collector *c, const struct settings *s, const struct classifier *classifier)
{
	c->settings = s;
	c->classifier = classifier;
}

/* ---- transactions ---- */

static bool
keep_position(struct collector *c, char **why)
{
	const struct log_source *source = c->tools.source;
	char *position = source->position(source->context);
	bool ok = event_db_set_fact(c->tools.db, POSITION, position, why);

	g_free(position);
	return ok;
}

/* What the joiner says of itself: why an event could not be kept, or its store's error. */
static bool
joined(struct collector *c, bool ok, char **why)
{
	if (ok && c->why == NULL)
		return true;
	*why = c->why != NULL ? c->why : g_strdup(event_db_store_error(c->tools.db));
	c->why = NULL;
	return false;
}

static bool
end_batch(struct collector *c, int64_t now, char **why)
{
	return joined(c, joiner_tick(c->joiner, now) && joiner_flush(c->joiner), why) &&
	       keep_position(c, why) && event_db_commit(c->tools.db, why);
}

static void
give_up(struct collector *c)
{
	event_db_rollback(c->tools.db);
	g_clear_pointer(&c->joiner, joiner_free);
	g_ptr_array_set_size(c->events, 0);
}

static void
tell_kept(struct collector *c)
{
	c->tools.source->kept(c->tools.source->context);
	if (c->events->len > 0)
		c->tools.kept(c->events, c->tools.context);
	g_ptr_array_set_size(c->events, 0);
}

bool
collector_open(struct collector *c, bool from_start, char **why)
{
	const struct log_source *source = c->tools.source;
	char *position = NULL;
	bool ok;

	give_up(c);
	ok = event_db_fact(c->tools.db, POSITION, &position, why) &&
	     source->open(source->context, position, from_start, why);
	if (ok && position == NULL) {
		ok = event_db_begin(c->tools.db, why) && keep_position(c, why) &&
		     event_db_commit(c->tools.db, why);
		if (!ok)
			event_db_rollback(c->tools.db);
	}
	g_free(position);
	if (!ok)
		return false;
	c->joiner = joiner_new(event_db_store(c->tools.db), g_get_host_name(), FLIGHTS_MAX,
			       take_event, c);
	c->clock.last = 0;
	c->last = g_get_real_time();
	return true;
}

/* ---- lines ---- */

static bool
is_our_own(const struct log_line *line)
{
	return line->program.len == strlen(COLLECTOR_IDENT) &&
	       memcmp(line->program.p, COLLECTOR_IDENT, line->program.len) == 0;
}

static bool
take_line(struct collector *c, const struct log_entry *entry, char **why)
{
	struct log_line line;

	if (entry->apart)
		line = entry->parts;
	else if (!log_line_parse(entry->raw.p, entry->raw.len, &c->clock, g_get_real_time(), &line))
		return true;
	c->last = line.time;
	if (is_our_own(&line))
		return true;
	return joined(c, joiner_line(c->joiner, &line), why);
}

static enum collected
collected(enum log_read got)
{
	switch (got) {
	case LOG_READ_ENTRY:
	case LOG_READ_KEEP:
		return COLLECTED_MORE;
	case LOG_READ_SOON:
		return COLLECTED_SOON;
	case LOG_READ_END:
		return COLLECTED_END;
	case LOG_READ_FAILED:
		return COLLECTED_FAILED;
	case LOG_READ_NONE:
		break;
	}
	return COLLECTED_ALL;
}

/*
 * Lines from this one on, in the transaction.  *got: what reading said at last; where it failed,
 * the next batch will be told.  False with *why: a line could not be taken.
 */
static bool
take_lines(struct collector *c, struct log_entry *entry, enum log_read *got, char **why)
{
	const struct log_source *source = c->tools.source;
	char *read_why = NULL;
	size_t octets = 0;

	*got = LOG_READ_ENTRY;
	for (guint n = 1; *got == LOG_READ_ENTRY; n++) {
		octets += entry->apart ? entry->parts.text.len : entry->raw.len;
		if (!take_line(c, entry, why))
			return false;
		if (n >= COLLECTOR_BATCH_LINES || octets >= COLLECTOR_BATCH_OCTETS)
			return true;
		*got = source->read(source->context, entry, &read_why);
	}
	if (*got == LOG_READ_FAILED)
		*got = LOG_READ_ENTRY;
	g_free(read_why);
	return true;
}

enum collected
collector_batch(struct collector *c, char **why)
{
	const struct log_source *source = c->tools.source;
	struct log_entry entry;
	enum log_read got = source->read(source->context, &entry, why);

	if (got == LOG_READ_KEEP)
		tell_kept(c); /* there is nothing to be kept */
	if (got != LOG_READ_ENTRY) {
		c->more = false;
		return collected(got);
	}
	if (!event_db_begin(c->tools.db, why) || !take_lines(c, &entry, &got, why) ||
	    !end_batch(c, MIN(c->last, g_get_real_time()), why)) {
		give_up(c);
		return COLLECTED_FAILED;
	}
	tell_kept(c);
	c->more = collected(got) == COLLECTED_MORE;
	return collected(got);
}

bool
collector_idle(struct collector *c, char **why)
{
	if (g_get_real_time() < joiner_due(c->joiner))
		return true;
	if (!event_db_begin(c->tools.db, why) || !end_batch(c, g_get_real_time(), why)) {
		give_up(c);
		return false;
	}
	tell_kept(c);
	return true;
}

int64_t
collector_behind(const struct collector *c)
{
	return c->more ? MAX((g_get_real_time() - c->last) / G_USEC_PER_SEC, 0) : 0;
}
