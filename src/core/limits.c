/*
 * limits - what a message is charged to; see limits.h and DESIGN, "Limits".
 *
 * A key names what is counted, the same on all nodes.  Names of pools and records hold letters,
 * digits, '.', '_' and '-' only, so that a key needs no escaping and ends nowhere else than it
 * seems to.
 */
#include "core/limits.h"

#include <string.h>

static void
charge_clear(void *charge)
{
	g_free((char *)((struct charge *)charge)->key);
}

GArray *
limits_charges_new(void)
{
	GArray *charges = g_array_new(FALSE, FALSE, sizeof(struct charge));

	g_array_set_clear_func(charges, charge_clear);
	return charges;
}

void
limits_charge(GArray *charges, char *key, const GArray *rules, uint32_t amount)
{
	for (guint i = 0; i < rules->len; i++) {
		struct charge c = {g_strdup(key), g_array_index(rules, struct limit, i), amount};

		g_array_append_val(charges, c);
	}
	g_free(key);
}

GArray *
limits_count_isps(const GPtrArray *isps)
{
	GArray *counts = g_array_new(FALSE, FALSE, sizeof(struct isp_count));
	GHashTable *places = g_hash_table_new(NULL, NULL);

	for (guint i = 0; i < isps->len; i++) {
		struct isp_count one = {isps->pdata[i], 1};
		gpointer place;

		if (g_hash_table_lookup_extended(places, one.isp, NULL, &place)) {
			g_array_index(counts, struct isp_count, GPOINTER_TO_UINT(place)).n++;
			continue;
		}
		g_hash_table_insert(places, (struct isp *)one.isp, GUINT_TO_POINTER(counts->len));
		g_array_append_val(counts, one);
	}
	g_hash_table_destroy(places);
	return counts;
}

/* The pool's own rules for the record, or the record's. */
static const GArray *
rules_for(const struct pool *p, const struct isp *isp)
{
	for (guint i = 0; i < p->isp_limits->len; i++) {
		const struct isp_limits *own = p->isp_limits->pdata[i];

		if (own->isp == isp)
			return own->limits.rules;
	}
	return isp->limits.rules;
}

char *
limits_total_key(const struct isp *isp)
{
	return g_strdup_printf("i/%s", isp->name);
}

GArray *
limits_of(const struct pool *p, const GPtrArray *isps)
{
	GArray *charges = limits_charges_new(), *counts = limits_count_isps(isps);
	bool messages = p->count == COUNT_MESSAGES;

	if (isps->len > 0)
		limits_charge(charges, g_strdup_printf("p/%s", p->name), p->limits.rules,
			      messages ? 1 : isps->len);
	for (guint i = 0; i < counts->len; i++) {
		const struct isp_count *c = &g_array_index(counts, struct isp_count, i);
		uint32_t amount = messages ? 1 : c->n;

		limits_charge(charges, g_strdup_printf("pi/%s/%s", p->name, c->isp->name),
			      rules_for(p, c->isp), amount);
		limits_charge(charges, limits_total_key(c->isp), c->isp->total_limits.rules, amount);
	}
	g_array_unref(counts);
	if (charges->len == 0)
		g_clear_pointer(&charges, g_array_unref);
	return charges;
}

/* "of pool acme", "of pool acme to gmail", "to gmail" */
static char *
whose(const char *key)
{
	char **part = g_strsplit(key, "/", 3), *words;

	if (strcmp(part[0], "i") == 0)
		words = g_strdup_printf("to %s", part[1]);
	else if (strcmp(part[0], "pi") == 0)
		words = g_strdup_printf("of pool %s to %s", part[1], part[2]);
	else
		words = g_strdup_printf("of pool %s", part[1]);
	g_strfreev(part);
	return words;
}

char *
limits_words(const struct charge *charge)
{
	char *text = limit_text(charge->limit), *of = whose(charge->key);
	char *words = g_strdup_printf("%s %s", text, of);

	g_free(text);
	g_free(of);
	return words;
}

void
limits_over_set(struct limit_over *over, const struct charge *charge, int64_t wait_us)
{
	char *text = limit_text(charge->limit);

	limits_over_clear(over);
	over->key = g_strdup(charge->key);
	over->name = g_strdup_printf("%s/%s", charge->key, text);
	over->words = limits_words(charge);
	over->wait_us = wait_us;
	g_free(text);
}

void
limits_over_clear(struct limit_over *over)
{
	g_clear_pointer(&over->key, g_free);
	g_clear_pointer(&over->name, g_free);
	g_clear_pointer(&over->words, g_free);
	over->wait_us = 0;
	over->paused = false;
}

char *
limits_over_reply(const struct limit_over *over)
{
	int64_t seconds = MAX(1, (over->wait_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC);

	return g_strdup_printf("%s%s%s, try again in %" G_GINT64_FORMAT " second%s",
			       over->paused ? "S" : "Sending limit ", over->words + over->paused,
			       over->paused ? "" : " is reached", (gint64)seconds, seconds == 1 ? "" : "s");
}

char *
limits_over_hold(const struct limit_over *over)
{
	return g_strdup_printf(over->paused ? "poolmilter: %s" : "poolmilter: over the limit %s", over->words);
}

bool
limits_total_reached(const struct limiter *l, const struct isp *isp, struct limit_over *over)
{
	GArray *charges = limits_charges_new();
	struct limiter_request request = {.mode = LIMITER_LOOK};
	struct limiter_result result;
	bool reached = false;

	limits_charge(charges, limits_total_key(isp), isp->total_limits.rules, 1);
	request.charges = (const struct charge *)(void *)charges->data;
	request.n_charges = charges->len;
	if (charges->len > 0) {
		reached = l->ask(l->context, &request, &result) == LIMITER_OVER;
		if (reached)
			limits_over_set(over, &request.charges[result.which], result.wait_us);
		g_free(result.why);
	}
	g_array_unref(charges);
	return reached;
}
