/*
 * limiter_memory - the limiter's driver in memory; see limiter.h, limiter_memory.h.
 *
 * A request locks the shards of all its keys, in their order, then reads the clock: so for each key
 * time never runs backwards, and nobody sees half a request.  First all charges are looked at, with
 * those of the same key and limit added up; only when all fit, all are made.  What counts is
 * limit.c's, where it is kept limit_table.c's.  Ownership: the limiter copies keys.
 */
#include "core/limiter_memory.h"
#include "core/limit_table.h"
#include "core/limiter_state.h"

#include <stdatomic.h>
#include <string.h>

#define PLACES 16       /* keys of a request without an allocation */
#define SWEEP_URGENT 64 /* entries looked at in each shard of a request that finds no room */

struct limiter_memory {
	struct limiter facade;
	struct limit_table *limits;
	_Atomic guint share;
	_Atomic uint64_t changes;
	int64_t (*clock)(void *context);
	void *context;
};

/* A key and limit of a request. */
struct place {
	struct limit_entry probe;
	struct limit_entry *entry; /* NULL: nothing is counted there yet */
	uint64_t amount;
	guint charge; /* the first that goes there */
	bool is_new;
};

struct places {
	struct place *list;
	guint n;
	uint32_t shards;
	guint missing; /* how many have no entry */
	struct place few[PLACES];
};

static int64_t
monotonic(void *context)
{
	(void)context;
	return g_get_monotonic_time();
}

static struct limit
divided(struct limiter_memory *l, struct limit limit)
{
	guint share = l->share;

	limit.most = MAX(1, limit.most / share);
	return limit;
}

static void
places_add(struct places *p, const struct charge *charge, guint number)
{
	struct place *new = &p->list[p->n];

	if (charge->amount == 0)
		return;
	limit_entry_probe(&new->probe, charge->key, charge->limit);
	for (guint i = 0; i < p->n; i++)
		if (limit_entry_same(&p->list[i].probe, &new->probe)) {
			p->list[i].amount += charge->amount;
			return;
		}
	new->entry = NULL;
	new->amount = charge->amount;
	new->charge = number;
	p->shards |= 1U << new->probe.shard;
	p->n++;
}

static void
places_init(struct places *p, const struct limiter_request *request)
{
	p->list = request->n_charges <= PLACES ? p->few : g_new(struct place, request->n_charges);
	p->n = 0;
	p->shards = 0;
	p->missing = 0;
	for (guint i = 0; i < request->n_charges; i++)
		places_add(p, &request->charges[i], i);
}

static void
places_clear(struct places *p)
{
	if (p->list != p->few)
		g_free(p->list);
}

/* Finds the entries. True if all charges fit; else result has the one that waits longest. */
static bool
look(struct limiter_memory *l, struct places *p, int64_t now, struct limiter_result *result)
{
	struct limit_window none = {0};
	bool fits = true;

	p->missing = 0;
	for (guint i = 0; i < p->n; i++) {
		struct place *place = &p->list[i];
		struct limit limit = divided(l, place->probe.limit);
		int64_t wait;

		place->entry = limit_table_find(l->limits, &place->probe);
		p->missing += place->entry == NULL;
		wait = limit_window_wait(place->entry != NULL ? &place->entry->window : &none,
					 limit, place->amount, now);
		if (wait != 0 && result->wait_us >= 0 && (wait < 0 || wait > result->wait_us)) {
			result->which = place->charge;
			result->wait_us = wait;
		}
		fits = fits && wait == 0;
	}
	return fits;
}

/* Room for the entries that are missing. Entries that count nothing make place for them. */
static bool
make_room(struct limiter_memory *l, struct places *p, int64_t now, struct limiter_result *result)
{
	if (limit_table_reserve(l->limits, p->missing))
		return true;
	for (guint shard = 0; shard < LIMIT_TABLE_SHARDS; shard++)
		if (p->shards & 1U << shard)
			limit_table_sweep(l->limits, shard, SWEEP_URGENT, now);
	look(l, p, now, result); /* the sweep may have freed some of these too */
	return limit_table_reserve(l->limits, p->missing);
}

/* Two for each new entry, or the round could grow faster than it is swept. */
static void
sweep(struct limiter_memory *l, const struct place *place, bool first, int64_t now)
{
	if (place->is_new || first)
		limit_table_sweep(l->limits, place->probe.shard, place->is_new ? 2 : 1, now);
}

static void
charge_all(struct limiter_memory *l, struct places *p, int64_t now)
{
	for (guint i = 0; i < p->n; i++) {
		struct place *place = &p->list[i];

		place->is_new = place->entry == NULL;
		if (place->is_new)
			place->entry = limit_table_add(l->limits, &place->probe);
		limit_window_charge(&place->entry->window, divided(l, place->probe.limit),
				    place->amount, now);
	}
	/* Not before all are charged: it frees what counts nothing. */
	for (guint i = 0; i < p->n; i++)
		sweep(l, &p->list[i], i == 0, now);
}

static enum limiter_answer
ask_locked(struct limiter_memory *l, struct places *p, enum limiter_mode mode,
	   struct limiter_result *result)
{
	int64_t now = l->clock(l->context);

	if (!look(l, p, now, result) && mode != LIMITER_RECORD)
		return LIMITER_OVER;
	if (mode == LIMITER_LOOK)
		return LIMITER_ALLOWED;
	if (!make_room(l, p, now, result)) {
		result->why = g_strdup_printf("no room for another key beside the %u in use",
					      limit_table_size(l->limits));
		return LIMITER_FAILED;
	}
	charge_all(l, p, now);
	return LIMITER_ALLOWED;
}

static enum limiter_answer
ask(void *context, const struct limiter_request *request, struct limiter_result *result)
{
	struct limiter_memory *l = context;
	enum limiter_answer answer;
	struct places p;

	*result = (struct limiter_result){0};
	places_init(&p, request);
	limit_table_lock(l->limits, p.shards);
	answer = ask_locked(l, &p, request->mode, result);
	limit_table_unlock(l->limits, p.shards);
	if (request->mode != LIMITER_LOOK && p.n > 0 && answer == LIMITER_ALLOWED)
		atomic_fetch_add_explicit(&l->changes, 1, memory_order_relaxed);
	places_clear(&p);
	return answer;
}

struct limiter_memory *
limiter_memory_new(guint share, int64_t (*clock)(void *context), void *context)
{
	struct limiter_memory *l = g_new0(struct limiter_memory, 1);

	l->facade.ask = ask;
	l->facade.context = l;
	l->limits = limit_table_new(LIMITER_KEYS_MAX);
	l->share = MAX(1, share);
	l->clock = clock != NULL ? clock : monotonic;
	l->context = context;
	return l;
}

void
limiter_memory_free(struct limiter_memory *l)
{
	if (l == NULL)
		return;
	limit_table_free(l->limits);
	g_free(l);
}

const struct limiter *
limiter_memory_facade(struct limiter_memory *l)
{
	return &l->facade;
}

void
limiter_memory_set_share(struct limiter_memory *l, guint share)
{
	l->share = MAX(1, share);
}

void
limiter_memory_set_max(struct limiter_memory *l, guint keys)
{
	limit_table_set_max(l->limits, keys);
}

void
limiter_memory_write(struct limiter_memory *l, struct tally_table *tallies, int64_t wall,
		     struct buf *out)
{
	limiter_state_write(l->limits, tallies, l->clock(l->context), wall, out);
}

bool
limiter_memory_read(struct limiter_memory *l, struct tally_table *tallies, int64_t wall,
		    const char *text, size_t len, const char **why)
{
	int64_t now = l->clock(l->context);

	if (limit_table_size(l->limits) > 0 || tally_table_size(tallies) > 0) {
		*why = "the counters are in use already";
		return false;
	}
	if (limiter_state_read(l->limits, tallies, now, wall, text, len, why))
		return true;
	limit_table_clear(l->limits);
	tally_table_clear(tallies);
	return false;
}

struct each_use {
	struct limiter_memory *l;
	void (*each)(const struct limiter_use *use, void *context);
	void *context;
};

static void
each_use(struct limit_entry *e, void *context)
{
	const struct each_use *u = context;
	struct limit limit = divided(u->l, e->limit);
	int64_t now = u->l->clock(u->l->context);
	struct limiter_use use = {e->key, e->limit, limit.most, 0, 0};

	use.used = limit_window_used(&e->window, limit, now);
	use.wait_us = limit_window_wait(&e->window, limit, 1, now);
	if (use.used > 0)
		u->each(&use, u->context);
}

void
limiter_memory_each(struct limiter_memory *l,
		    void (*each)(const struct limiter_use *use, void *context), void *context)
{
	struct each_use u = {l, each, context};

	limit_table_each(l->limits, UINT32_MAX, each_use, &u);
}

struct reset {
	const char *key;
	int64_t now;
	bool found;
};

static void
reset_entry(struct limit_entry *e, void *context)
{
	struct reset *r = context;

	if (strcmp(e->key, r->key) != 0)
		return;
	r->found = r->found || limit_window_used(&e->window, e->limit, r->now) > 0;
	limit_window_clear(&e->window); /* the sweep takes the entry */
}

bool
limiter_memory_reset(struct limiter_memory *l, const char *key)
{
	struct reset r = {key, l->clock(l->context), false};
	struct limit_entry probe;

	limit_entry_probe(&probe, key, (struct limit){1, 1});
	limit_table_each(l->limits, 1U << probe.shard, reset_entry, &r);
	if (r.found)
		atomic_fetch_add(&l->changes, 1);
	return r.found;
}

uint64_t
limiter_memory_changes(struct limiter_memory *l)
{
	return atomic_load(&l->changes);
}

guint
limiter_memory_size(struct limiter_memory *l)
{
	return limit_table_size(l->limits);
}
