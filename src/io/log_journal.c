/*
 * log_journal - reads the mail log from the systemd journal; see log_journal.h.
 *
 * The position is the cursor of the last entry.  Where that entry is gone by now (vacuumed),
 * reading goes on with the next one that is there, and the log says so.
 *
 * libsystemd says nothing where files may not be read: a journal without any file is an error here.
 */
#include "io/log_journal.h"
#include "base/log.h"
#include "core/word.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

#define KIND "journal"
#define NAME_MAX_OCTETS 64 /* of a field's name, beside its value */

struct log_journal {
	char *directory, *ident;
	sd_journal *journal;
	char *cursor;  /* of the last entry that was read; NULL: the beginning */
	bool at_entry; /* the journal is at an entry that was not read yet */
	GString *host, *program, *text;
};

static char *
cannot(int error)
{
	return g_strdup_printf("events.log: journal: %s", g_strerror(-error));
}

/* ---- opening ---- */

static void
close_journal(struct log_journal *f)
{
	sd_journal_close(f->journal);
	f->journal = NULL;
	f->at_entry = false;
	g_clear_pointer(&f->cursor, g_free);
}

/* Of these, either. */
static int
add_matches(struct log_journal *f)
{
	char *ident = g_strconcat("SYSLOG_IDENTIFIER=", f->ident, NULL);
	int error = sd_journal_add_match(f->journal, "SYSLOG_FACILITY=2", 0);

	if (error >= 0)
		error = sd_journal_add_disjunction(f->journal);
	if (error >= 0)
		error = sd_journal_add_match(f->journal, ident, 0);
	if (error >= 0)
		error = sd_journal_set_data_threshold(f->journal,
						      LOG_LINE_READ_MAX + NAME_MAX_OCTETS);
	g_free(ident);
	return error;
}

/* To the entry of a cursor, or the first one behind it. */
static int
seek_cursor(struct log_journal *f, const char *cursor)
{
	int error = sd_journal_seek_cursor(f->journal, cursor);
	int found = error < 0 ? error : sd_journal_next(f->journal);

	if (found <= 0)
		return found;
	f->at_entry = sd_journal_test_cursor(f->journal, cursor) <= 0;
	if (f->at_entry)
		log_line(LOG_WARNING, "warning: events.log: the journal has not the entry any more "
				      "that was read last: lines after it may be lost");
	return 0;
}

static int
seek_end(struct log_journal *f)
{
	int error = sd_journal_seek_tail(f->journal);
	int found = error < 0 ? error : sd_journal_previous(f->journal);

	if (found <= 0)
		return found;
	return sd_journal_get_cursor(f->journal, &f->cursor);
}

/* *cursor: of a position; NULL: from the beginning; false: it is no position in a journal. */
static bool
read_position(const char *position, char **cursor)
{
	struct word_line line = {position, position + strlen(position)};
	GString *word = g_string_new(NULL);
	bool good = word_begins(&line, KIND) && (word_ended(&line) || word_take(&line, word)) &&
		    word_ended(&line);

	*cursor = word->len > 0 ? g_strdup(word->str) : NULL;
	g_string_free(word, TRUE);
	return good;
}

static int
seek(struct log_journal *f, const char *position, bool from_start)
{
	char *cursor = NULL;
	bool good = position != NULL && read_position(position, &cursor);
	int error;

	if (position != NULL && !good)
		log_line(
			LOG_NOTICE,
			"events.log: the kept position is not one in the journal: begins at its %s",
			from_start ? "beginning" : "end");
	if (good && cursor != NULL)
		error = seek_cursor(f, cursor);
	else if (good || from_start)
		error = sd_journal_seek_head(f->journal);
	else
		return seek_end(f);
	f->cursor = cursor;
	return error;
}

static bool
journal_open(void *context, const char *position, bool from_start, char **why)
{
	struct log_journal *f = context;
	int error;

	close_journal(f);
	error = f->directory != NULL
			? sd_journal_open_directory(&f->journal, f->directory, 0)
			: sd_journal_open(&f->journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (error >= 0 && f->directory == NULL &&
	    sd_journal_has_persistent_files(f->journal) <= 0 &&
	    sd_journal_has_runtime_files(f->journal) <= 0) {
		*why = g_strdup("events.log: journal: no file of it can be read; its readers are "
				"the groups systemd-journal and adm: is the user in one?");
		close_journal(f);
		return false;
	}
	if (error >= 0)
		error = add_matches(f);
	if (error >= 0)
		error = seek(f, position, from_start);
	if (error < 0) {
		*why = cannot(error);
		close_journal(f);
	}
	return error >= 0;
}

/* ---- reading ---- */

/* A field of the entry; empty where it has none. */
static void
get(const struct log_journal *f, const char *field, GString *out)
{
	size_t name = strlen(field) + 1, len; /* "FIELD=" */
	const void *data;

	g_string_truncate(out, 0);
	if (sd_journal_get_data(f->journal, field, &data, &len) >= 0 && len > name)
		g_string_append_len(out, (const char *)data + name,
				    (gssize)MIN(len - name, LOG_LINE_READ_MAX));
}

static struct text_part
part(const GString *text)
{
	return (struct text_part){text->str, text->len};
}

/* The entry that the journal is at. */
static int
take_entry(struct log_journal *f, struct log_entry *entry)
{
	uint64_t time_us;
	char *cursor;
	int error = sd_journal_get_realtime_usec(f->journal, &time_us);

	if (error >= 0)
		error = sd_journal_get_cursor(f->journal, &cursor);
	if (error < 0)
		return error;
	g_free(f->cursor);
	f->cursor = cursor;
	get(f, "_HOSTNAME", f->host);
	get(f, "SYSLOG_IDENTIFIER", f->program);
	get(f, "MESSAGE", f->text);
	entry->apart = true;
	entry->parts = (struct log_line){.time = (int64_t)time_us,
					 .host = part(f->host),
					 .program = part(f->program),
					 .text = part(f->text)};
	return 1;
}

static enum log_read
journal_read(void *context, struct log_entry *entry, char **why)
{
	struct log_journal *f = context;
	int found = f->at_entry ? 1 : sd_journal_next(f->journal);

	f->at_entry = false;
	if (found > 0)
		found = take_entry(f, entry);
	if (found < 0)
		*why = cannot(found);
	return found > 0 ? LOG_READ_ENTRY : found == 0 ? LOG_READ_NONE : LOG_READ_FAILED;
}

static char *
journal_position(void *context)
{
	const struct log_journal *f = context;
	GString *line = g_string_new(KIND);

	if (f->cursor != NULL)
		word_put(line, f->cursor);
	return g_string_free(line, FALSE);
}

static void
journal_kept(void *context)
{
	(void)context;
}

/* Milliseconds until libsystemd wants to look by itself; at most limit. */
static int
own_timeout(const struct log_journal *f, int limit)
{
	struct timespec now;
	uint64_t at, now_us;

	if (sd_journal_get_timeout(f->journal, &at) < 0 || at == UINT64_MAX ||
	    clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		return limit;
	now_us = (uint64_t)now.tv_sec * G_USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
	return at <= now_us ? 0 : (int)MIN((at - now_us) / 1000 + 1, (uint64_t)limit);
}

static void
journal_wait(void *context, int wake_fd, int timeout_ms)
{
	const struct log_journal *f = context;
	struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN}, {.fd = -1}};

	if (f->journal != NULL) {
		fds[1].fd = sd_journal_get_fd(f->journal);
		fds[1].events = (short)MAX(0, sd_journal_get_events(f->journal));
		timeout_ms = own_timeout(f, timeout_ms);
	}
	(void)poll(fds, G_N_ELEMENTS(fds), timeout_ms);
	if (f->journal != NULL)
		(void)sd_journal_process(f->journal);
}

static void
journal_free(void *context)
{
	struct log_journal *f = context;

	close_journal(f);
	g_free(f->directory);
	g_free(f->ident);
	g_string_free(f->host, TRUE);
	g_string_free(f->program, TRUE);
	g_string_free(f->text, TRUE);
	g_free(f);
}

struct log_source
log_journal_new(const char *directory, const char *ident)
{
	struct log_journal *f = g_new0(struct log_journal, 1);

	f->directory = g_strdup(directory);
	f->ident = g_strdup(ident);
	f->host = g_string_new(NULL);
	f->program = g_string_new(NULL);
	f->text = g_string_new(NULL);
	return (struct log_source){
		.open = journal_open,
		.read = journal_read,
		.position = journal_position,
		.kept = journal_kept,
		.wait = journal_wait,
		.free = journal_free,
		.context = f,
	};
}
