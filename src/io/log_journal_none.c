/*
 * log_journal_none - where libsystemd is missing; see log_journal.h.
 */
#include "io/log_journal.h"

static bool
none_open(void *context, const char *position, bool from_start, char **why)
{
	(void)context;
	(void)position;
	(void)from_start;
	*why = g_strdup("events.log: \"journal\": poolevents was built without libsystemd");
	return false;
}

static void
none_free(void *context)
{
	(void)context;
}

/* Nothing else is called where open() has failed. */
struct log_source
log_journal_new(const char *directory, const char *ident)
{
	(void)directory;
	(void)ident;
	return (struct log_source){.open = none_open, .free = none_free};
}
