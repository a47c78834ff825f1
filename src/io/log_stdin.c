/*
 * log_stdin - log lines from a descriptor; see log_stdin.h.
 *
 * Lines stay here until they are kept, so that they can be read again.  They are not answered again
 * then: what stands before `answered` has been.
 */
#include "io/log_stdin.h"
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)
#define BEGIN "BEGIN TRANSACTION" /* omprog's beginTransactionMark and commitTransactionMark */
#define COMMIT "COMMIT TRANSACTION"

struct log_stdin {
	int in, out;
	bool confirm;
	bool opened, ended;
	char *data; /* from the first line that is not kept */
	size_t end, size;
	size_t next;     /* of the next line to read */
	size_t answered; /* lines before this have their answer, or are owed it */
	bool transaction;
	unsigned owed; /* answers when all is kept */
};

static void
answer(const struct log_stdin *f, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(f->out, text, len);

		if (n < 0 && errno != EINTR)
			return; /* nobody listens: then the input ends too */
		text += MAX(0, n);
		len -= (size_t)MAX(0, n);
	}
}

/* ---- lines ---- */

static bool
is(const struct text_part *line, const char *text)
{
	return line->len == strlen(text) && memcmp(line->p, text, line->len) == 0;
}

/* Answers a line that is new here, or notes that it is to be answered. */
static void
take_new(struct log_stdin *f, const struct text_part *line)
{
	if (is(line, BEGIN)) {
		f->transaction = true;
		answer(f, "OK\n");
	} else if (is(line, COMMIT)) {
		f->transaction = false;
		f->owed++;
	} else if (f->transaction) {
		answer(f, "DEFER_COMMIT\n");
	} else {
		f->owed++;
	}
}

/* Cuts a line that is too long, whose end is at `end` or not known yet (NULL). */
static void
cut(struct log_stdin *f, const char *end)
{
	char *rest = f->data + f->next + LOG_LINE_READ_MAX;
	size_t after = end != NULL ? (size_t)(f->data + f->end - end) : 0;

	if (after > 0)
		memmove(rest, end, after);
	f->end = (size_t)(rest - f->data) + after;
}

/* The next line that is whole; false if there is none. */
static bool
take_line(struct log_stdin *f, struct text_part *line)
{
	char *begin, *end;
	size_t have;

	if (f->end == f->next)
		return false;
	begin = f->data + f->next;
	end = memchr(begin, '\n', f->end - f->next);
	have = end != NULL ? (size_t)(end - begin) : f->end - f->next;
	if (have > LOG_LINE_READ_MAX)
		cut(f, end);
	if (end == NULL)
		return false;
	line->p = begin;
	line->len = MIN(have, LOG_LINE_READ_MAX);
	f->next += line->len + 1;
	return true;
}

/* Reads what is there, if anything is. */
static enum log_read
read_piece(struct log_stdin *f, char **why)
{
	struct pollfd ready = {.fd = f->in, .events = POLLIN};
	ssize_t n;

	if (f->ended)
		return LOG_READ_END;
	if (poll(&ready, 1, 0) <= 0)
		return LOG_READ_NONE;
	if (f->size - f->end < PIECE) {
		f->size = f->end + 2 * PIECE + f->end / 2;
		f->data = g_realloc(f->data, f->size);
	}
	n = read(f->in, f->data + f->end, PIECE);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return LOG_READ_NONE;
	if (n < 0) {
		*why = g_strdup_printf("events.log: standard input: %s", g_strerror(errno));
		return LOG_READ_FAILED;
	}
	f->end += (size_t)n;
	f->ended = n == 0;
	if (f->ended && f->end > f->next)
		log_line(LOG_WARNING, "warning: events.log: the last line of standard input has no "
				      "end and is left out");
	return n > 0 ? LOG_READ_ENTRY : LOG_READ_END;
}

/* ---- the source ---- */

static enum log_read
stdin_read(void *context, struct log_entry *entry, char **why)
{
	struct log_stdin *f = context;
	enum log_read got;

	entry->apart = false;
	for (;;) {
		if (f->owed > 0 && f->next >= f->answered)
			return LOG_READ_KEEP;
		if (take_line(f, &entry->raw)) {
			if (f->confirm && f->next > f->answered)
				take_new(f, &entry->raw);
			f->answered = MAX(f->answered, f->next);
			if (!f->confirm || !(is(&entry->raw, BEGIN) || is(&entry->raw, COMMIT)))
				return LOG_READ_ENTRY;
		} else if ((got = read_piece(f, why)) != LOG_READ_ENTRY) {
			return got;
		}
	}
}

static bool
stdin_open(void *context, const char *position, bool from_start, char **why)
{
	struct log_stdin *f = context;

	(void)position;
	(void)from_start;
	(void)why;
	f->next = 0;
	if (f->confirm && !f->opened)
		answer(f, "OK\n");
	f->opened = true;
	return true;
}

static char *
stdin_position(void *context)
{
	(void)context;
	return g_strdup("stdin");
}

static void
stdin_kept(void *context)
{
	struct log_stdin *f = context;

	if (f->next > 0)
		memmove(f->data, f->data + f->next, f->end - f->next);
	f->end -= f->next;
	f->next = f->answered = 0;
	for (; f->owed > 0; f->owed--)
		answer(f, "OK\n");
}

static void
stdin_wait(void *context, int wake_fd, int timeout_ms)
{
	const struct log_stdin *f = context;
	struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN},
			       {.fd = f->ended ? -1 : f->in, .events = POLLIN}};

	(void)poll(fds, G_N_ELEMENTS(fds), timeout_ms);
}

static void
stdin_free(void *context)
{
	struct log_stdin *f = context;

	g_free(f->data);
	g_free(f);
}

struct log_source
log_stdin_new(int in, int out, bool confirm)
{
	struct log_stdin *f = g_new0(struct log_stdin, 1);

	f->in = in;
	f->out = out;
	f->confirm = confirm;
	return (struct log_source){
		.open = stdin_open,
		.read = stdin_read,
		.position = stdin_position,
		.kept = stdin_kept,
		.wait = stdin_wait,
		.free = stdin_free,
		.context = f,
	};
}
