/*
 * log - the one sink of log lines; see log.h.
 *
 * Locks are pthread's, here and everywhere: ThreadSanitizer cannot see GLib's.
 * The writer thread starts with the first line after log_open(), so that a daemon may fork in between.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_MAX 10000 /* lines */
#define LINGER_NS 5000000 /* the writer looks again after so long before it sleeps: no wake-up per line */

struct line {
	int level;
	char *text;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	GQueue queue;	  /* of struct line * */
	bool busy;	  /* the writer holds a line */
	bool asleep;	  /* the writer must be woken */
	bool running;	  /* the writer exists */
	unsigned dropped; /* since the last line that said so */
	char *ident;
	bool open;
	bool to_stderr;
	bool closed;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static int log_level = LOG_INFO; /* atomic */

static void
write_stderr(const char *text)
{
	fprintf(stderr, "%s[%ld]: %s\n", sink.ident != NULL ? sink.ident : "poolmilter",
		(long)getpid(), text);
}

static void
write_line(int level, const char *text)
{
	if (sink.to_stderr || !sink.open)
		write_stderr(text);
	else
		syslog(level, "%s", text);
}

/* Writes one line and frees it; the lock is not held. */
static void
write_queued(struct line *l, unsigned dropped)
{
	char text[80];

	if (dropped > 0) {
		snprintf(text, sizeof text, "warning: %u log lines dropped, syslog is slow", dropped);
		write_line(LOG_WARNING, text);
	}
	write_line(l->level, l->text);
	g_free(l->text);
	g_free(l);
}

/* Waits for a line; the lock is held before and after. */
static void
wait_for_line(void)
{
	const struct timespec linger = {0, LINGER_NS};

	sink.busy = false;
	pthread_cond_broadcast(&sink.changed);
	pthread_mutex_unlock(&sink.lock);
	nanosleep(&linger, NULL);
	pthread_mutex_lock(&sink.lock);
	sink.asleep = true;
	while (g_queue_is_empty(&sink.queue))
		pthread_cond_wait(&sink.changed, &sink.lock);
	sink.asleep = false;
}

static void *
writer(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&sink.lock);
	for (;;) {
		struct line *l = g_queue_pop_head(&sink.queue);
		unsigned dropped = sink.dropped;

		if (l == NULL) {
			wait_for_line();
			continue;
		}
		sink.busy = true;
		sink.dropped = 0;
		pthread_mutex_unlock(&sink.lock);
		write_queued(l, dropped);
		pthread_mutex_lock(&sink.lock);
	}
	return NULL;
}

void
log_open(const char *ident, int facility, bool to_stderr)
{
	g_free(sink.ident);
	sink.ident = g_strdup(ident);
	sink.to_stderr = to_stderr;
	sink.open = true;
	if (!to_stderr)
		openlog(sink.ident, LOG_PID | LOG_NDELAY, facility);
}

void
log_set_level(int level)
{
	g_atomic_int_set(&log_level, level);
}

bool
log_enabled(int level)
{
	return level <= g_atomic_int_get(&log_level);
}

static bool
printable(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 32 || (unsigned char)*p >= 127)
			return false;
	return true;
}

/* Makes a line of any text: printable, at most LOG_LINE_MAX octets. Takes and gives g_malloc'ed text. */
static char *
clean(char *text)
{
	GString *s;
	const char *p = text;

	if (printable(text) && strlen(text) <= LOG_LINE_MAX)
		return text;
	s = g_string_sized_new(LOG_LINE_MAX + 8);
	while (*p != '\0' && s->len < LOG_LINE_MAX - 6) { /* room for "\xHH" and "..." */
		gunichar c = g_utf8_get_char_validated(p, -1);
		size_t len = (size_t)(g_utf8_next_char(p) - p);

		if (c == (gunichar)-1 || c == (gunichar)-2 || !g_unichar_isprint(c)) {
			g_string_append_printf(s, "\\x%02X", (unsigned char)*p);
			len = 1;
		} else {
			g_string_append_len(s, p, (gssize)len);
		}
		p += len;
	}
	if (*p != '\0')
		g_string_append(s, "...");
	g_free(text);
	return g_string_free(s, FALSE);
}

static void
enqueue(int level, char *text)
{
	struct line *l = g_new(struct line, 1);

	l->level = level;
	l->text = text;
	pthread_mutex_lock(&sink.lock);
	if (!sink.running && !sink.closed) {
		pthread_t thread;

		sink.running = pthread_create(&thread, NULL, writer, NULL) == 0 &&
			       pthread_detach(thread) == 0;
	}
	if (sink.closed || sink.queue.length >= QUEUE_MAX) {
		sink.dropped++;
		g_free(l->text);
		g_free(l);
	} else {
		g_queue_push_tail(&sink.queue, l);
		if (sink.asleep)
			pthread_cond_broadcast(&sink.changed);
	}
	pthread_mutex_unlock(&sink.lock);
}

static void G_GNUC_PRINTF(2, 0)
log_va(int level, const char *format, va_list ap)
{
	int saved = errno;
	char *text = clean(g_strdup_vprintf(format, ap));

	if (!sink.open) {
		write_stderr(text);
		g_free(text);
	} else {
		enqueue(level, text);
	}
	errno = saved;
}

void
log_line(int level, const char *format, ...)
{
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, format);
	log_va(level, format, ap);
	va_end(ap);
}

void
log_limited(struct log_limit *limit, int level, const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	gint64 now = g_get_monotonic_time();
	unsigned suppressed;
	va_list ap;

	pthread_mutex_lock(&lock);
	suppressed = limit->suppressed;
	if (now < limit->next) {
		limit->suppressed++;
		pthread_mutex_unlock(&lock);
		return;
	}
	limit->next = now + 60 * G_USEC_PER_SEC;
	limit->suppressed = 0;
	pthread_mutex_unlock(&lock);
	if (suppressed > 0)
		log_line(level, "the following line stood for %u more in the last while", suppressed);
	va_start(ap, format);
	if (log_enabled(level))
		log_va(level, format, ap);
	va_end(ap);
}

void
log_close(unsigned seconds)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += (time_t)seconds;
	pthread_mutex_lock(&sink.lock);
	while (sink.running && (sink.queue.length > 0 || sink.busy))
		if (pthread_cond_timedwait(&sink.changed, &sink.lock, &end) != 0)
			break;
	sink.closed = true;
	sink.running = false;
	pthread_mutex_unlock(&sink.lock);
}
