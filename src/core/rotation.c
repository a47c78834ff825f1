/*
 * rotation - the key that follows a pool's own; see rotation.h.
 *
 * Where require_dns is set, a dkim_next signs only when its record has been seen, by poolctl keys
 * switch or by the daemon: what is written down says so, the clock alone does not.
 */
#include "core/rotation.h"

#include <stdatomic.h>

/* The settings' table has checked it. */
static int64_t
time_of(const char *text)
{
	GTimeZone *utc = g_time_zone_new_utc();
	GDateTime *t = text != NULL ? g_date_time_new_from_iso8601(text, utc) : NULL;
	int64_t seconds = t != NULL ? g_date_time_to_unix(t) : ROTATION_NEVER;

	g_clear_pointer(&t, g_date_time_unref);
	g_time_zone_unref(utc);
	return seconds;
}

struct rotation *
rotation_new(const struct settings *s, const struct pool *p)
{
	struct rotation *r = g_new0(struct rotation, 1);

	r->next = g_new0(struct signature, 1);
	r->next->domain = g_strdup(p->sender_domain);
	r->next->selector = g_strdup(p->dkim_next.selector);
	r->next->key_file = g_strdup(p->dkim_next.key);
	r->next->origin = settings_pool_origin(p, "dkim_next");
	r->use_after = time_of(p->dkim_next.use_after);
	r->need_dns = s->require_dns;
	rotation_set(r, ROTATION_UNMARKED, false, 0);
	return r;
}

void
rotation_free(struct rotation *r)
{
	if (r == NULL)
		return;
	g_free(r->next->domain);
	g_free(r->next->selector);
	g_free(r->next->key_file);
	g_free(r->next);
	g_free(r);
}

/* A switch does not look at the clock again: one that is wrong for a while does not undo it. */
static int64_t
signs_from(const struct rotation *r)
{
	if (r->need_dns && !r->seen)
		return ROTATION_NEVER;
	switch (r->mark) {
	case ROTATION_SWITCHED:
		return 0;
	case ROTATION_UNMARKED:
	case ROTATION_SEEN:
		return r->use_after;
	case ROTATION_BACK:
	case ROTATION_RETIRED:
		break;
	}
	return ROTATION_NEVER;
}

void
rotation_set(struct rotation *r, enum rotation_mark mark, bool seen, int64_t at)
{
	r->mark = mark;
	r->seen = seen;
	r->at = at;
	atomic_store(&r->from, signs_from(r));
}

static bool
signs(const struct rotation *r, int64_t now)
{
	int64_t from = atomic_load(&r->from);

	return from != ROTATION_NEVER && now >= from;
}

enum rotation_state
rotation_state(const struct rotation *r, int64_t now)
{
	if (signs(r, now))
		return ROTATION_SIGNS;
	if (r->mark == ROTATION_BACK)
		return ROTATION_TAKEN_BACK;
	if (r->mark == ROTATION_SWITCHED)
		return ROTATION_WAITS_DNS;
	if (r->use_after == ROTATION_NEVER)
		return ROTATION_WAITS_SWITCH;
	return now < r->use_after ? ROTATION_WAITS_TIME : ROTATION_WAITS_DNS;
}

int64_t
rotation_since(const struct rotation *r)
{
	if (signs_from(r) == ROTATION_NEVER)
		return ROTATION_NEVER;
	return r->mark == ROTATION_SWITCHED ? r->at : MAX(r->at, r->use_after);
}

int64_t
rotation_removal(int64_t since)
{
	return since + ROTATION_KEEP_DAYS * (int64_t)86400;
}

char *
rotation_time_text(int64_t seconds)
{
	GDateTime *t = g_date_time_new_from_unix_utc(seconds);
	char *text = t != NULL ? g_date_time_format(t, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("?");

	g_clear_pointer(&t, g_date_time_unref);
	return text;
}

const struct signature *
rotation_signature(const struct pool *p, guint i, time_t now)
{
	return i == 0 && p->rotation != NULL && signs(p->rotation, now) ? p->rotation->next
									: p->signatures->pdata[i];
}
