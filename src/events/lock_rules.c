/*
 * lock_rules - counts replies and sets locks; see lock_rules.h.
 *
 * "10/5m": the tenth reply within five minutes sets the lock.  So nine are let into the window of a
 * limiter, in which no more than nine have room, and the one that finds none is the tenth: exact,
 * also for replies that several nodes count in Redis at a time, and a single step.  While Redis is
 * down each process counts for itself.  What a window has is forgotten when its lock is set: after
 * the lock counting begins anew.
 *
 * A reply is counted after the commit of its event.  A crash between the two loses some counts, and
 * nothing is ever counted twice: where commits fail again and again, one reply must not add up to a
 * lock.  Replies in a log that is read late count only if they are younger than the window is long.
 *
 * While a lock of the rule is in force its replies do not count: they are of mail that was on its
 * way before.  Which locks are is looked up at most once a second; who reaches a threshold in that
 * second finds the lock there that is already set (lock_holds()), and nothing happens.
 *
 * Events wait while a lock is looked up or set.  A daemon whose control socket hangs would hold
 * them up for 15 seconds each time: so it is not asked again for a while then.
 */
#include "events/lock_rules.h"
#include "base/log.h"
#include "core/limiter_memory.h"
#include "core/lock_table.h"
#include "io/lock_place.h"

#include <string.h>

#define REFRESH G_USEC_PER_SEC
#define SLOW G_USEC_PER_SEC         /* who takes longer to answer is left alone */
#define QUIET (30 * G_USEC_PER_SEC) /* for so long */

struct lock_rules {
	struct settings *settings;
	const struct classifier *classifier;
	GHashTable *isps;              /* name -> struct isp *: records that have rules */
	struct lock_place *place;      /* NULL: there are no rules */
	struct limiter_memory *memory; /* without Redis, or while it is down */
	struct lock_table *known;      /* locks, as of the last look */
	gint64 look_at;                /* not before this time, monotonic */
	gint64 ask_at;                 /* nor ask the place at all */
};

/* ---- life ---- */

static void
add_records(GHashTable *isps, const GPtrArray *records)
{
	for (guint i = 0; i < records->len; i++) {
		struct isp *isp = records->pdata[i];

		if (!isp->replaced && isp->locks->len > 0 &&
		    !g_hash_table_contains(isps, isp->name))
			g_hash_table_insert(isps, isp->name, isp);
	}
}

struct lock_rules *
lock_rules_new(struct settings *s, const struct classifier *c, char **why)
{
	struct lock_rules *r = g_new0(struct lock_rules, 1);

	r->settings = settings_ref(s);
	r->classifier = c;
	r->isps = g_hash_table_new(g_str_hash, g_str_equal);
	add_records(r->isps, s->isps);
	add_records(r->isps, s->shipped_isps);
	r->memory = limiter_memory_new(1, NULL, NULL);
	r->known = lock_table_new();
	if (g_hash_table_size(r->isps) > 0 && (r->place = lock_place_new(s, why)) == NULL)
		g_clear_pointer(&r, lock_rules_free);
	return r;
}

void
lock_rules_free(struct lock_rules *r)
{
	if (r == NULL)
		return;
	lock_place_free(r->place);
	lock_table_free(r->known);
	limiter_memory_free(r->memory);
	g_hash_table_destroy(r->isps);
	settings_unref(r->settings);
	g_free(r);
}

/* ---- what is in force ---- */

/* After the place was asked. */
static void
asked(struct lock_rules *r, gint64 began)
{
	gint64 now = g_get_monotonic_time();

	if (now - began > SLOW)
		r->ask_at = now + QUIET;
}

static void
look(struct lock_rules *r)
{
	gint64 now = g_get_monotonic_time();
	char *why = NULL;

	if (now < r->look_at || now < r->ask_at)
		return;
	r->look_at = now + REFRESH;
	(void)lock_place_refresh(r->place, r->known, &why);
	asked(r, now);
	g_free(why); /* it is told where a lock cannot be set */
}

static bool
in_force(struct lock_rules *r, const struct event *e, const struct lock_rule *rule)
{
	struct lock_state state;
	bool same;

	look(r);
	if (!lock_table_find(r->known, e->pool, e->isp, g_get_real_time(), &state))
		return false;
	same = strcmp(state.rule, rule->name) == 0;
	g_free(state.rule);
	return same;
}

/* ---- counting ---- */

static enum limiter_answer
ask(const struct limiter *limiter, const struct charge *charge)
{
	const struct limiter_request request = {.charges = charge, .n_charges = 1};
	struct limiter_result result;
	enum limiter_answer answer = limiter->ask(limiter->context, &request, &result);

	g_free(result.why); /* the driver logs its state itself */
	return answer;
}

/* Counts one more; true if it is the last drop. */
static bool
count(struct lock_rules *r, const struct charge *charge)
{
	const struct limiter *shared = lock_place_limiter(r->place);
	enum limiter_answer answer = LIMITER_FAILED;

	if (charge->limit.most == 0)
		return true;
	if (shared != NULL)
		answer = ask(shared, charge);
	if (answer != LIMITER_ALLOWED && answer != LIMITER_OVER)
		answer = ask(limiter_memory_facade(r->memory), charge);
	return answer == LIMITER_OVER;
}

static void
forget(struct lock_rules *r, const struct charge *charge)
{
	char *why = NULL;

	(void)limiter_memory_reset(r->memory, charge->key);
	(void)lock_place_forget(r->place, charge->key, charge->limit, &why);
	g_free(why);
}

/* ---- setting ---- */

static struct lock
make_lock(const struct event *e, const struct lock_rule *rule)
{
	int64_t now = g_get_real_time();
	int64_t seconds = rule->pause > 0 ? rule->pause : rule->step * rule->steps;

	return (struct lock){.pool = e->pool,
			     .isp = e->isp,
			     .rule = rule->name,
			     .why = e->reply,
			     .since = now,
			     .until = now + seconds * G_USEC_PER_SEC,
			     .paused = rule->pause > 0,
			     .rate = rule->rate_rule,
			     .step = rule->step * G_USEC_PER_SEC};
}

static void
tell(const struct lock *l, const struct lock_rule *rule)
{
	char *text = lock_text(l);

	log_line(LOG_NOTICE, "lock: %s (%u replies in %u s, last: \"%.*s\")", text,
		 rule->threshold_rule.most, rule->threshold_rule.seconds, LOCK_WHY_MAX,
		 l->why != NULL ? l->why : "");
	g_free(text);
}

/* True if it is set now.  If that is not known the window stays full: the next reply tries again.
 */
static bool
set(struct lock_rules *r, const struct event *e, const struct lock_rule *rule,
    const struct charge *charge)
{
	static struct log_limit often;
	struct lock l = make_lock(e, rule); /* all strings are others' */
	gint64 now = g_get_monotonic_time();
	bool done = false, known;
	char *why = NULL;

	if (now < r->ask_at)
		return false;
	known = lock_place_set(r->place, &l, &done, &why);
	asked(r, now);
	if (!known) {
		log_limited(&often, LOG_ERR, "lock: pool=%s isp=%s rule=%s: cannot be set: %s",
			    l.pool, l.isp, l.rule, why);
		g_free(why);
		return false;
	}
	forget(r, charge);
	if (done) {
		(void)lock_table_set(r->known, &l);
		tell(&l, rule);
	}
	return done;
}

/* ---- events ---- */

static bool
of_interest(const struct event *e)
{
	return (e->type == EVENT_DEFERRED || e->type == EVENT_BOUNCED) &&
	       e->source == EVENT_FROM_LOG && e->pool != NULL && e->isp != NULL;
}

static bool
matches(const struct lock_rules *r, const struct event *e, const struct lock_rule *rule)
{
	return g_get_real_time() - e->time <
		       rule->threshold_rule.seconds * (gint64)G_USEC_PER_SEC &&
	       classifier_rule_matches(r->classifier, rule, e->category,
				       e->reply != NULL ? e->reply : "");
}

static bool
apply(struct lock_rules *r, const struct event *e, const struct lock_rule *rule)
{
	struct charge charge = {.limit = rule->threshold_rule, .amount = 1};
	bool done = false;
	char *key;

	if (!matches(r, e, rule) || in_force(r, e, rule))
		return false;
	charge.key = key = g_strdup_printf("lock/%s/%s/%s", e->pool, e->isp, rule->name);
	charge.limit.most--;
	if (count(r, &charge))
		done = set(r, e, rule, &charge);
	g_free(key);
	return done;
}

bool
lock_rules_event(struct lock_rules *r, const struct event *e)
{
	const struct isp *isp;
	bool done = false;

	if (!of_interest(e) || (isp = g_hash_table_lookup(r->isps, e->isp)) == NULL ||
	    g_hash_table_lookup(r->settings->pool_by_name, e->pool) == NULL)
		return false;
	for (guint i = 0; i < isp->locks->len; i++)
		done = apply(r, e, isp->locks->pdata[i]) || done;
	return done;
}
