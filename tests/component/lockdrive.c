/*
 * lockdrive - the lock rules of poolevents under the hands of test_locks.py.
 *
 *	lockdrive CONFIG
 *
 * Obeys lines on standard input, of words (core/word.h); each is answered by a line.  Log lines go to
 * standard error.
 *
 *	event COUNT TYPE SOURCE POOL ISP CATEGORY AGE_S REPLY
 *			so many such events, one after the other: the numbers of those that set a lock,
 *			from 1 on, and a dot.  POOL and ISP empty: none
 *	reload		the rules anew
 */
#include "base/log.h"
#include "core/word.h"
#include "events/lock_rules.h"
#include "io/conf_file.h"
#include "io/keystore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
die(const char *what)
{
	fprintf(stderr, "lockdrive: %s\n", what);
	exit(2);
}

static char *
take(struct word_line *line)
{
	GString *word = g_string_new(NULL);

	if (!word_take(line, word))
		die("a word is missing");
	return g_string_free(word, FALSE);
}

static char *
take_name(struct word_line *line)
{
	char *name = take(line);

	if (*name == '\0')
		g_clear_pointer(&name, g_free);
	return name;
}

static enum event_source
take_source(struct word_line *line)
{
	enum event_source s = EVENT_FROM_LOG;
	char *name = take(line);

	while (s < EVENT_SOURCES && strcmp(event_source_name(s), name) != 0)
		s++;
	g_free(name);
	return s;
}

static struct event *
take_event(struct word_line *line)
{
	char *type = take(line), *category;
	struct event *e = event_new(event_type_find(type), take_source(line));
	int64_t age;

	e->pool = take_name(line);
	e->isp = take_name(line);
	category = take(line);
	e->category = category_find(category);
	if (!word_take_number(line, -100000, 100000, &age))
		die("no age");
	e->time = g_get_real_time() - age * G_USEC_PER_SEC;
	e->reply = take_name(line);
	g_free(type);
	g_free(category);
	return e;
}

static void
tell_events(struct lock_rules *rules, struct word_line *line)
{
	struct event *e;
	int64_t count;

	if (!word_take_number(line, 1, 1000000, &count))
		die("no count");
	e = take_event(line);
	for (int64_t i = 1; i <= count; i++)
		if (lock_rules_event(rules, e))
			printf("%d ", (int)i);
	puts(".");
	event_free(e);
}

static struct lock_rules *
rules_new(struct settings *s, const struct classifier *c)
{
	char *why = NULL;
	struct lock_rules *rules = lock_rules_new(s, c, &why);

	if (rules == NULL)
		die(why);
	return rules;
}

static void
serve(struct settings *s, const struct classifier *c)
{
	struct lock_rules *rules = rules_new(s, c);
	char *text = NULL;
	size_t room = 0;

	while (getline(&text, &room, stdin) > 0) {
		struct word_line line = {text, text + strcspn(text, "\n")};

		if (word_begins(&line, "event")) {
			tell_events(rules, &line);
		} else {
			lock_rules_free(rules);
			rules = rules_new(s, c);
			puts(".");
		}
		fflush(stdout);
	}
	free(text);
	lock_rules_free(rules);
}

int
main(int argc, char **argv)
{
	struct errors *errors = errors_new();
	struct classifier *c;
	struct settings *s;

	if (argc != 2)
		die("expected a configuration");
	keystore_init();
	s = conf_file_load(argv[1], CONF_FILE_NO_SECRET, errors);
	if (s == NULL)
		die(g_ptr_array_index(errors->errors, 0));
	c = classifier_new(s, errors);
	if (errors->errors->len > 0)
		die(g_ptr_array_index(errors->errors, 0));
	serve(s, c);
	classifier_free(c);
	settings_unref(s);
	errors_free(errors);
	return 0;
}
