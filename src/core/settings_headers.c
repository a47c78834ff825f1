/*
 * settings_headers - which headers rules may change, sign and remove; see settings_finish.h.
 */
#include "core/settings_finish.h"
#include "core/split.h"

#include <string.h>

/* Without these, or with another value, mail is no longer what its author sent. */
static const char *const forbidden[] = {"From", "DKIM-Signature", "Content-Transfer-Encoding", NULL};

/* Changes of these are allowed but seldom wise. */
static const char *const unwise[] = {
	"Content-Type", "MIME-Version", "Received", "Date", "Message-ID", NULL,
};

/* RFC 5322 3.6: at most one of each. */
static const char *const single[] = {
	"Date",
	"Sender",
	"Reply-To",
	"To",
	"Cc",
	"Bcc",
	"Message-ID",
	"In-Reply-To",
	"References",
	"Subject",
	"MIME-Version",
	"Content-Type",
	"Content-Transfer-Encoding",
	"List-Unsubscribe",
	"List-Unsubscribe-Post",
	NULL,
};

/* Fields that are added or changed on the way: a signature over them is sure to break. */
static const char *const unsignable[] = {
	"DKIM-Signature",         "Received",      "Return-Path",
	"Authentication-Results", "X-Spam-Status", SPLIT_HEADER, NULL,
};

/* True if the name is what a pattern with or without '*' says. */
static bool
pattern_matches(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return g_ascii_strncasecmp(pattern, name, len - 1) == 0;
	return g_ascii_strcasecmp(pattern, name) == 0;
}

/* The first of the names that the pattern matches, or NULL. */
static const char *
matched(const char *pattern, const char *const *names)
{
	for (; *names != NULL; names++)
		if (pattern_matches(pattern, *names))
			return *names;
	return NULL;
}

static void
check_header_rule(const struct finish *f, const char *key, const char *pattern, bool adds)
{
	const char *name = matched(pattern, forbidden);

	if (name != NULL) {
		finish_error(f, key,
			   "\"%s\": expected a header other than %s, which must stay as it is",
			   pattern, name);
		return;
	}
	name = matched(pattern, unwise);
	if (name != NULL)
		finish_warning(f, key, "\"%s\": changing %s may make mail unreadable or untraceable",
			     pattern, name);
	else if (adds && (name = matched(pattern, single)) != NULL)
		finish_warning(f, key, "\"%s\": a message may have only one %s: use set_headers",
			     pattern, name);
}

static void
check_header_values(struct finish *f, const GPtrArray *list, const char *key, bool adds)
{
	for (guint i = 0; i < list->len; i++) {
		const struct header_value *h = list->pdata[i];

		if (h->name == NULL)
			continue;
		f->item = h->origin;
		check_header_rule(f, key, h->name, adds);
		if (g_ascii_strcasecmp(h->name, SPLIT_HEADER) == 0)
			finish_error(f, key, "\"%s\": is poolmilter's own: expected another", h->name);
		if (g_ascii_strcasecmp(h->name, f->s->control_header) == 0)
			finish_error(
				f, key,
				"\"%s\": is the control header, which is always removed: expected "
				"another",
				h->name);
		for (guint j = 0; !adds && j < i; j++) {
			const struct header_value *other = list->pdata[j];

			if (other->name != NULL && g_ascii_strcasecmp(h->name, other->name) == 0)
				finish_error(f, key, "\"%s\": is set twice: expected each only once",
					   h->name);
		}
	}
	f->item.line = 0;
}

void
finish_header_rules(struct finish *f, const struct header_rules *rules)
{
	for (guint i = 0; i < rules->delete_headers->len; i++)
		check_header_rule(f, "delete_headers", rules->delete_headers->pdata[i], false);
	check_header_values(f, rules->set_headers, "set_headers", false);
	check_header_values(f, rules->add_headers, "add_headers", true);
}

void
finish_signed_headers(struct finish *f, const char *key, const GPtrArray *names)
{
	for (guint i = 0; i < names->len; i++)
		if (matched(names->pdata[i], unsignable) != NULL)
			finish_error(f, key,
				     "\"%s\": expected a header that does not change on the way",
				     (char *)names->pdata[i]);
}

bool
finish_header_needed(const char *name)
{
	return matched(name, forbidden) != NULL || matched(name, unwise) != NULL ||
	       matched(name, single) != NULL || pattern_matches(name, SPLIT_HEADER);
}
